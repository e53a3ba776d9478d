"""Keys are spelled as age spells them, never mixed, and secrets are never shown."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.core.sealing import bech32
from agent.core.sealing.header import Stanza, encode_base64
from agent.core.sealing.recipients import (
    PostQuantumIdentity,
    PostQuantumRecipient,
    Profile,
    X25519Identity,
    X25519Recipient,
    check_profile,
    parse_identities,
    parse_recipient,
    parse_recipients,
)
from agent.errors import HeaderError, KeyFormatError

# "The X25519 recipient type" and "The MLKEM768-X25519 … recipient type" of the C2SP age specification.
SPEC_X25519_IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
SPEC_X25519_RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
SPEC_POST_QUANTUM_IDENTITY = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR"
SPEC_POST_QUANTUM_RECIPIENT_START = "age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87pzf5zrqtzdxz95paef6"
SPEC_POST_QUANTUM_RECIPIENT_END = "wze9pyyzk3tlhl53k2ykx3qheyty7saeq0d3fzv49zc0k"

LOW_ORDER = bytes(32)
KINDS: list[type[X25519Identity] | type[PostQuantumIdentity]] = [X25519Identity, PostQuantumIdentity]
FILE_KEY = b"YELLOW SUBMARINE"


def test_the_keys_of_the_specification_parse_and_print_as_it_prints_them() -> None:
    x25519, post_quantum = parse_identities(f"{SPEC_X25519_IDENTITY}\n{SPEC_POST_QUANTUM_IDENTITY}\n")

    assert str(x25519.recipient) == SPEC_X25519_RECIPIENT
    assert x25519.reveal() == SPEC_X25519_IDENTITY
    assert post_quantum.reveal() == SPEC_POST_QUANTUM_IDENTITY
    assert str(post_quantum.recipient).startswith(SPEC_POST_QUANTUM_RECIPIENT_START)
    assert str(post_quantum.recipient).endswith(SPEC_POST_QUANTUM_RECIPIENT_END)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_key_goes_round_and_only_to_its_recipient(
    kind: type[X25519Identity] | type[PostQuantumIdentity],
) -> None:
    right, wrong = kind.generate(), kind.generate()
    recipient = parse_recipient(str(right.recipient))

    stanzas = [recipient.wrap(FILE_KEY), recipient.wrap(FILE_KEY)]

    assert recipient == right.recipient
    assert parse_identities(right.reveal())[0].unwrap(stanzas) == FILE_KEY
    assert wrong.unwrap(stanzas) is None
    assert right.unwrap([Stanza("grease", (), b"")]) is None
    assert stanzas[0] != stanzas[1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_identity_does_not_show_in_its_repr(kind: type[X25519Identity] | type[PostQuantumIdentity]) -> None:
    identity = kind.generate()

    assert identity.reveal() not in repr(identity)
    assert "secret" not in repr(identity)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        ("hello", "not an age key"),
        (SPEC_X25519_RECIPIENT.upper(), "not an age key"),
        (SPEC_X25519_IDENTITY, "identity (secret"),
        (SPEC_X25519_IDENTITY.lower(), "identity (secret"),
        ("AGE-PLUGIN-YUBIKEY-1QQQ", "plugin"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "SSH"),
        ("age1tag1qqq", "tagged recipient"),
        ("age1tagpq1qqq", "tagged post-quantum"),
        ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "plugin 'yubikey'"),
        ("age11qqqqqq", "plugin ''"),
        ("age1", "too short"),
        (SPEC_X25519_RECIPIENT[:-1] + "q", "checksum"),
        (SPEC_X25519_RECIPIENT + " ", "not one Bech32 uses"),
        (bech32.encode("age", bytes(31)), "31 bytes"),
        (bech32.encode("age", LOW_ORDER), "low order"),
        (bech32.encode("age1pq", bytes(1215)), "1215 bytes"),
        (bech32.encode("age1pq", b"\xff" * 1184 + b"\x09" + bytes(31)), "out of range"),
        (
            bech32.encode("age1pq", PostQuantumIdentity.generate().recipient.public_bytes[:1184] + LOW_ORDER),
            "low order",
        ),
    ],
)
def test_a_wrong_recipient_is_named_for_what_it_is(text: str, named: str) -> None:
    with pytest.raises(KeyFormatError) as refusal:
        parse_recipient(text)

    assert named in str(refusal.value)
    assert "GFPYYSJZ" not in str(refusal.value).upper()


def test_recipients_keep_their_order_and_lose_repetitions() -> None:
    one, two = (str(X25519Identity.generate().recipient) for _ in range(2))

    recipients = parse_recipients([two, one, two])

    assert [str(recipient) for recipient in recipients] == [two, one]
    assert check_profile(recipients) is Profile.X25519


def test_no_recipient_and_mixed_recipients_are_refused() -> None:
    mixed = [str(kind.generate().recipient) for kind in KINDS]

    with pytest.raises(KeyFormatError, match="no recipient"):
        parse_recipients([])
    with pytest.raises(KeyFormatError, match="mix"):
        parse_recipients(mixed)


def test_an_identity_file_may_hold_comments_and_several_identities() -> None:
    text = f"# created: 2026-11-28T12:00:00Z\n\n{SPEC_X25519_IDENTITY}\r\n  {SPEC_POST_QUANTUM_IDENTITY}\n"

    assert [identity.profile for identity in parse_identities(text)] == [Profile.X25519, Profile.POST_QUANTUM]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (SPEC_X25519_RECIPIENT, "found a recipient"),
        ("AGE-PLUGIN-YUBIKEY-1QQQ", "plugin"),
        ("age-encryption.org/v1", "itself sealed"),
        ("-----BEGIN AGE ENCRYPTED FILE-----", "itself sealed"),
        (SPEC_X25519_IDENTITY.lower(), "another kind"),
        (SPEC_X25519_IDENTITY[:-1] + "Q", "checksum"),
        (bech32.encode("age-secret-key-", bytes(31)).upper(), "31 bytes"),
        (bech32.encode("age-secret-key-pq-", bytes(33)).upper(), "33 bytes"),
    ],
)
def test_a_wrong_line_of_an_identity_file_is_named_by_number_and_not_quoted(line: str, named: str) -> None:
    with pytest.raises(KeyFormatError) as refusal:
        parse_identities(f"# comment\n{line}\n")

    assert named in str(refusal.value)
    assert "line 2" in str(refusal.value)
    assert line not in str(refusal.value)


def test_an_identity_file_without_an_identity_is_refused() -> None:
    with pytest.raises(KeyFormatError, match="no identity"):
        parse_identities("# nothing here\n")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: replace(good, arguments=()),
        lambda good: replace(good, arguments=good.arguments * 2),
        lambda good: replace(good, arguments=(good.arguments[0][:-1],)),
        lambda good: replace(good, arguments=("*" + good.arguments[0][1:],)),
        lambda good: replace(good, arguments=(good.arguments[0] + "=",)),
        lambda good: replace(good, arguments=(encode_base64(bytes(33)),)),
        lambda good: replace(good, arguments=(encode_base64(LOW_ORDER),)),
        lambda good: replace(good, body=good.body + b"\0"),
    ],
    ids=["none", "two", "short", "not Base64", "padded", "long", "low order", "long body"],
)
def test_a_malformed_stanza_of_its_type_is_refused_even_beside_one_that_opens(
    spoil: Callable[[Stanza], Stanza],
) -> None:
    identity = X25519Identity.generate()
    good = identity.recipient.wrap(FILE_KEY)

    with pytest.raises(HeaderError):
        identity.unwrap([spoil(good), good])


def test_a_low_order_point_inside_a_post_quantum_stanza_is_malformed_not_foreign() -> None:
    identity = PostQuantumIdentity.generate()
    good = identity.recipient.wrap(FILE_KEY)

    with pytest.raises(HeaderError, match="low order"):
        identity.unwrap([Stanza(good.kind, (encode_base64(os.urandom(1088) + LOW_ORDER),), good.body)])


def test_recipients_of_the_wrong_length_cannot_be_made() -> None:
    with pytest.raises(KeyFormatError):
        X25519Recipient(bytes(33))
    with pytest.raises(KeyFormatError):
        PostQuantumRecipient(bytes(32))
