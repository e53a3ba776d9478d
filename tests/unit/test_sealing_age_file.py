"""A sealed file opens for its recipients alone, and a new header leaves its payload as it was."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.sealing import age_file
from agent.core.sealing.age_file import Sealer, open_stream, read_header, rewrap
from agent.core.sealing.chunks import CHUNK_BYTES, PAYLOAD_NONCE_BYTES
from agent.core.sealing.header import Stanza, make_header
from agent.core.sealing.recipients import Identity, PostQuantumIdentity, Recipient, X25519Identity
from agent.errors import (
    HeaderError,
    HeaderMacError,
    KeyFormatError,
    SealError,
    TruncatedError,
    UnsupportedSealError,
    WrongIdentityError,
)

CLEAR = bytes(range(256)) * 600  # two full chunks and a part
KINDS: list[type[X25519Identity] | type[PostQuantumIdentity]] = [X25519Identity, PostQuantumIdentity]


def seal(clear: bytes, *recipients: Recipient) -> bytes:
    sealer = Sealer(recipients)
    return sealer.header + sealer.push(clear) + sealer.finish()


def open_all(file: bytes, *identities: Identity) -> bytes:
    return b"".join(open_stream([file], identities))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_recipient_opens_the_file_alone(
    kind: type[X25519Identity] | type[PostQuantumIdentity], count: int
) -> None:
    identities = [kind.generate() for _ in range(count)]

    file = seal(CLEAR, *(identity.recipient for identity in identities))

    assert len(read_header([file]).stanzas) == count
    for identity in identities:
        assert open_all(file, kind.generate(), identity) == CLEAR


@pytest.mark.parametrize(
    ("kind", "first_bytes", "other_bytes"), [(X25519Identity, 168, 98), (PostQuantumIdentity, 1627, 1557)]
)
def test_the_sizes_are_those_format_md_states(
    kind: type[X25519Identity] | type[PostQuantumIdentity], first_bytes: int, other_bytes: int
) -> None:
    recipients = [kind.generate().recipient for _ in range(3)]

    for count in (1, 2, 3):
        header_bytes = first_bytes + (count - 1) * other_bytes
        for size in (0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, len(CLEAR)):
            chunks = max(1, -(-size // CHUNK_BYTES))
            assert len(seal(CLEAR[:size], *recipients[:count])) == header_bytes + 16 + size + 16 * chunks


def test_two_files_of_the_same_bytes_share_no_key_and_no_nonce() -> None:
    recipient = X25519Identity.generate().recipient

    one, two = (seal(CLEAR, recipient) for _ in range(2))

    assert len(one) == len(two)
    assert one[-CHUNK_BYTES:] != two[-CHUNK_BYTES:]


def test_a_stranger_and_nobody_cannot_open_it() -> None:
    file = seal(CLEAR, PostQuantumIdentity.generate().recipient)

    for identities in ([PostQuantumIdentity.generate()], [X25519Identity.generate()], []):
        with pytest.raises(WrongIdentityError):
            open_stream([file], identities)


def test_nothing_is_sealed_to_nobody_or_to_mixed_recipients() -> None:
    with pytest.raises(KeyFormatError):
        Sealer([])
    with pytest.raises(KeyFormatError):
        Sealer([kind.generate().recipient for kind in KINDS])


def test_more_recipients_than_a_header_may_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age_file, "MAX_HEADER_BYTES", 1000)
    recipient = X25519Identity.generate().recipient

    with pytest.raises(KeyFormatError, match="more than 1000 bytes"):
        Sealer([recipient] * 10)


def test_a_changed_header_is_refused_even_by_its_recipient() -> None:
    identity = X25519Identity.generate()
    file = seal(CLEAR, identity.recipient)
    grafted = file.replace(b"v1\n-> X25519", b"v1\n-> note for-you\n\n-> X25519", 1)

    with pytest.raises(HeaderMacError):
        open_stream([grafted], [identity])


def test_a_file_that_ends_in_its_payload_nonce_is_refused() -> None:
    identity = X25519Identity.generate()
    header = Sealer([identity.recipient]).header

    with pytest.raises(HeaderError, match="15 of the 16"):
        open_stream([header[:-1]], [identity])


def test_a_file_that_ends_after_its_header_is_cut_off() -> None:
    identity = X25519Identity.generate()
    opened = open_stream([Sealer([identity.recipient]).header], [identity])

    with pytest.raises(TruncatedError):
        next(opened)


def test_a_file_sealed_to_a_passphrase_is_refused_before_any_work_is_done() -> None:
    identity = X25519Identity.generate()
    stanzas = [Stanza("scrypt", ("AAAA", "30"), bytes(32)), identity.recipient.wrap(bytes(16))]
    file = bytes(make_header(stanzas, bytes(16))) + bytes(PAYLOAD_NONCE_BYTES)

    with pytest.raises(UnsupportedSealError, match="passphrase"):
        open_stream([file], [identity])


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_header_moves_the_file_to_new_recipients_and_leaves_the_payload(
    kind: type[X25519Identity] | type[PostQuantumIdentity],
) -> None:
    old, new = kind.generate(), kind.generate()
    sealer = Sealer([old.recipient])
    payload = sealer.header[-PAYLOAD_NONCE_BYTES:] + sealer.push(CLEAR) + sealer.finish()
    file = sealer.header[:-PAYLOAD_NONCE_BYTES] + payload

    moved = b"".join(rewrap([file[:5000], file[5000:]], [old], [new.recipient]))

    assert moved.endswith(payload)
    assert open_all(moved, new) == CLEAR
    with pytest.raises(WrongIdentityError):
        open_stream([moved], [old])


def test_a_cut_off_file_can_be_moved_to_new_recipients_too() -> None:
    old, new = PostQuantumIdentity.generate(), PostQuantumIdentity.generate()
    file = seal(CLEAR, old.recipient)[:-1]

    opened = open_stream(rewrap([file], [old], [new.recipient]), [new])

    assert next(opened) + next(opened) == CLEAR[: 2 * CHUNK_BYTES]
    with pytest.raises(TruncatedError):
        next(opened)


def test_a_new_header_never_weakens_a_file() -> None:
    post_quantum, x25519 = PostQuantumIdentity.generate(), X25519Identity.generate()

    with pytest.raises(KeyFormatError, match="post-quantum"):
        rewrap([seal(CLEAR, post_quantum.recipient)], [post_quantum], [x25519.recipient])

    stronger = b"".join(rewrap([seal(CLEAR, x25519.recipient)], [x25519], [post_quantum.recipient]))
    assert open_all(stronger, post_quantum) == CLEAR


def test_a_new_header_needs_an_identity_and_a_recipient() -> None:
    identity = X25519Identity.generate()
    file = seal(CLEAR, identity.recipient)

    with pytest.raises(WrongIdentityError):
        rewrap([file], [X25519Identity.generate()], [identity.recipient])
    with pytest.raises(KeyFormatError):
        rewrap([file], [identity], [])


FOREIGN = X25519Identity.generate()
SEALED = seal(CLEAR[:200], FOREIGN.recipient)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=300)
    | st.builds(lambda tail: b"age-encryption.org/v1\n-> " + tail, st.binary(max_size=200))
    | st.builds(
        lambda cut, graft, skip: SEALED[:cut] + graft + SEALED[cut + skip :],
        st.integers(0, len(SEALED)),
        st.binary(max_size=20),
        st.integers(0, 20),
    )
)
def test_whatever_the_bytes_opening_says_what_is_wrong_or_gives_what_was_sealed(file: bytes) -> None:
    try:
        clear = open_all(file, FOREIGN)
    except SealError:
        return
    assert (file, clear) == (SEALED, CLEAR[:200])
