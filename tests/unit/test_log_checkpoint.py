"""A checkpoint is believed if the log signed exactly it, and a witness if it cosigned exactly it."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.core.log.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    log_key,
    open_checkpoint,
    sign_checkpoint,
    witnessed_at,
)
from agent.core.log.merkle import EMPTY_ROOT
from agent.core.log.note import (
    KeyKind,
    Note,
    NoteSignature,
    VerifierKey,
    cosign_text,
    parse_note,
    parse_verifier_key,
    sign_text,
    verify_cosignature,
)
from agent.errors import CheckpointFormatError, CheckpointSignatureError

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KEY = log_key("cam-07", LOG.public_key().public_bytes_raw())
WITNESS_KEY = VerifierKey(
    name="witness.example.org/w1", kind=KeyKind.COSIGNATURE, public=WITNESS.public_key().public_bytes_raw()
)
CHECKPOINT = Checkpoint(origin=KEY.name, size=20_852_163, root=bytes(range(32)))
SIGNED = sign_checkpoint(CHECKPOINT, KEY, LOG.sign).to_bytes()

# The example of C2SP signed-note, and the keys that Go's golang.org/x/mod/sumdb/note publishes with it.
PUBLISHED_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def resigned(text: str) -> bytes:
    return Note(text=text, signatures=(sign_text(text, KEY, LOG.sign),)).to_bytes()


def test_a_checkpoint_is_this_text_with_a_signature_below() -> None:
    text, _, below = SIGNED.decode().partition("\n\n")

    assert KEY.name == "lamppost/cam-07/56475aa75463474c"
    assert text == f"{KEY.name}\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert below.startswith(f"— {KEY.name} ")
    assert base64.b64decode(below.split()[-1]) == KEY.id + LOG.sign(f"{text}\n".encode())


def test_what_was_signed_is_opened() -> None:
    assert open_checkpoint(SIGNED, KEY) == CHECKPOINT


def test_an_empty_log_can_say_so() -> None:
    empty = Checkpoint(origin=KEY.name, size=0, root=EMPTY_ROOT)

    assert open_checkpoint(sign_checkpoint(empty, KEY, LOG.sign).to_bytes(), KEY) == empty


def test_a_published_note_verifies_with_its_published_key() -> None:
    key = parse_verifier_key(PUBLISHED_KEY)
    note = parse_note(PUBLISHED_NOTE.encode())

    with pytest.raises(CheckpointFormatError, match="2 lines"):  # signed by it, and no checkpoint
        open_checkpoint(PUBLISHED_NOTE.encode(), key)
    assert note.to_bytes() == PUBLISHED_NOTE.encode()
    assert str(key) == PUBLISHED_KEY


def test_a_cosignature_says_when_and_leaves_the_checkpoint_as_it_was() -> None:
    cosigned = cosign_checkpoint(SIGNED, WITNESS_KEY, WITNESS.sign, now=NOON + timedelta(microseconds=5))

    assert open_checkpoint(cosigned, KEY) == CHECKPOINT
    assert witnessed_at(cosigned, WITNESS_KEY) == NOON
    assert cosigned.startswith(SIGNED)
    stamp = int(NOON.timestamp())
    signature = parse_note(cosigned).signatures[-1].signature
    assert signature == stamp.to_bytes(8, "big") + WITNESS.sign(
        f"cosignature/v1\ntime {stamp}\n{CHECKPOINT.text}".encode()
    )


def test_a_witness_that_looks_again_replaces_its_cosignature() -> None:
    once = cosign_checkpoint(SIGNED, WITNESS_KEY, WITNESS.sign, now=NOON)
    twice = cosign_checkpoint(once, WITNESS_KEY, WITNESS.sign, now=NOON + timedelta(hours=1))

    assert len(parse_note(twice).signatures) == 2
    assert witnessed_at(twice, WITNESS_KEY) == NOON + timedelta(hours=1)


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_no_changed_byte_passes(at: int, mask: int) -> None:
    changed = bytearray(SIGNED)
    changed[at] ^= mask

    with pytest.raises((CheckpointFormatError, CheckpointSignatureError)):
        open_checkpoint(bytes(changed), KEY)


@given(st.integers(0, 200), st.integers(1, 255))
def test_no_changed_byte_passes_as_witnessed(at: int, mask: int) -> None:
    changed = bytearray(cosign_checkpoint(SIGNED, WITNESS_KEY, WITNESS.sign, now=NOON))
    changed[-1 - at % 150] ^= mask  # the witness's line

    with pytest.raises((CheckpointFormatError, CheckpointSignatureError)):
        witnessed_at(bytes(changed), WITNESS_KEY)


def test_a_signature_by_an_unknown_key_says_nothing_for_or_against() -> None:
    stranger = NoteSignature(name=KEY.name, key_id=b"\0\0\0\0", signature=b"anything")
    note = parse_note(SIGNED).with_signature(stranger)

    assert open_checkpoint(note.to_bytes(), KEY) == CHECKPOINT
    with pytest.raises(CheckpointSignatureError, match="not signed by"):
        open_checkpoint(Note(text=CHECKPOINT.text, signatures=(stranger,)).to_bytes(), KEY)
    with pytest.raises(CheckpointSignatureError, match="not signed by"):
        witnessed_at(SIGNED, WITNESS_KEY)


def test_a_wrong_signature_by_a_known_key_condemns_the_note_even_beside_a_good_one() -> None:
    good = parse_note(SIGNED)
    bad = replace(good.signatures[0], signature=bytes(64))

    with pytest.raises(CheckpointSignatureError, match="does not verify"):
        open_checkpoint(replace(good, signatures=(*good.signatures, bad)).to_bytes(), KEY)


def test_a_log_speaks_for_itself_only() -> None:
    other = replace(CHECKPOINT, origin="lamppost/cam-08/0000000000000000")

    with pytest.raises(ValueError, match="signs nothing for"):
        sign_checkpoint(other, KEY, LOG.sign)
    with pytest.raises(CheckpointSignatureError, match="signed a checkpoint of"):
        open_checkpoint(resigned(other.text), KEY)


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY.name}\n1\n",
        f"{KEY.name}\n1\n{base64.b64encode(bytes(32)).decode()}\nextension\n",
        f"\n1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{KEY.name}\n01\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{KEY.name}\n-1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{KEY.name}\n٣\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{KEY.name}\n{10**16}\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{KEY.name}\n1\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{KEY.name}\n1\n{base64.b64encode(bytes(32)).decode()[:-2]}B=\n",
        f"{KEY.name}\n1\nno base64\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointFormatError):
        open_checkpoint(resigned(text), KEY)


SIGNATURE_LINE = SIGNED.decode().splitlines()[-1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\n\n" + SIGNATURE_LINE.encode() + b"\n",
        b"text\r\n\n" + SIGNATURE_LINE.encode() + b"\n",
        b"text\n" + SIGNATURE_LINE.encode() + b"\n",
        SIGNED.removesuffix(b"\n"),
        SIGNED + b"\n",
        SIGNED.replace("— ".encode(), b"- "),
        SIGNED.replace("— ".encode(), "—  ".encode()),
        f"text\n\n{SIGNATURE_LINE} \n".encode(),
        "text\n\n— name\n".encode(),
        "text\n\n— name+ AAAAAAAA\n".encode(),
        "text\n\n— na\u00a0me AAAAAAAA\n".encode(),
        "text\n\n— name AAAAAA==\n".encode(),
        "text\n\n— name AAAAAAB=\n".encode(),
        "text\n\n— name AAAA\u00e9AAA\n".encode(),
        f"text\n\n{(SIGNATURE_LINE + chr(10)) * 65}".encode(),
        b"x" * (64 * 1024 + 1),
    ],
)
def test_what_is_no_note_is_refused(content: bytes) -> None:
    with pytest.raises(CheckpointFormatError):
        open_checkpoint(content, KEY)


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_verifier_key_is_read_as_it_was_written(kind: KeyKind) -> None:
    key = VerifierKey(name="witness.example.org/w1", kind=kind, public=bytes(range(32)))

    assert parse_verifier_key(str(key)) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name+00000000",
        "name+00000000+",
        "name+00000000+AA=A",
        f"{str(KEY)[:-1]}+",
        str(KEY).replace(KEY.id.hex(), "00000000"),
        f"name+00000000+{base64.b64encode(bytes([9]) + bytes(32)).decode()}",
        f"name+00000000+{base64.b64encode(bytes([1]) + bytes(31)).decode()}",
        f"na me+00000000+{base64.b64encode(bytes([1]) + bytes(32)).decode()}",
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(CheckpointFormatError):
        parse_verifier_key(text)


def test_a_key_of_one_kind_makes_and_verifies_nothing_of_the_other() -> None:
    with pytest.raises(ValueError, match="expected ed25519"):
        sign_text("text\n", WITNESS_KEY, WITNESS.sign)
    with pytest.raises(ValueError, match="expected cosignature"):
        cosign_text("text\n", KEY, LOG.sign, now=NOON)
    with pytest.raises(ValueError, match="expected ed25519"):
        open_checkpoint(SIGNED, WITNESS_KEY)
    with pytest.raises(ValueError, match="expected cosignature"):
        witnessed_at(SIGNED, KEY)


def test_a_cosignature_of_a_time_that_cannot_be_is_refused() -> None:
    late = NoteSignature(name=WITNESS_KEY.name, key_id=WITNESS_KEY.id, signature=b"\xff" * 72)

    with pytest.raises(CheckpointSignatureError, match="cannot be"):
        verify_cosignature(parse_note(SIGNED).with_signature(late), WITNESS_KEY)
