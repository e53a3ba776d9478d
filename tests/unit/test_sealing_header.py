"""A header has one spelling; every other is refused before anything of it is believed."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.sealing import header as header_module
from agent.core.sealing.header import (
    Header,
    SealedBytes,
    Stanza,
    decode_base64,
    encode_base64,
    make_header,
    parse_header,
)
from agent.errors import HeaderError, HeaderMacError, UnsupportedSealError

FILE_KEY = b"YELLOW SUBMARINE"
WORDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=70)
STANZAS = st.lists(
    st.builds(Stanza, WORDS, st.lists(WORDS, max_size=3).map(tuple), st.binary(max_size=150)), min_size=1, max_size=4
)
GOOD = bytes(make_header([Stanza("X25519", ("share",), bytes(48)), Stanza("empty", (), b"")], FILE_KEY))


def pieces(file: bytes, size: int) -> Iterator[bytes]:
    return (file[at : at + size] for at in range(0, len(file), size))


def parse(file: bytes) -> Header:
    return parse_header(SealedBytes([file]))


@given(STANZAS, st.integers(1, 80), st.binary(max_size=40))
def test_what_is_printed_parses_to_the_same_and_leaves_the_payload(
    stanzas: list[Stanza], size: int, payload: bytes
) -> None:
    header = make_header(stanzas, FILE_KEY)
    source = SealedBytes(pieces(bytes(header) + payload, size))

    parsed = parse_header(source)

    assert parsed == header
    parsed.verify(FILE_KEY)
    assert source.take(3) == payload[:3]
    assert b"".join(source.rest()) == payload[3:]


def test_a_full_last_line_of_a_body_is_followed_by_an_empty_one() -> None:
    printed = bytes(make_header([Stanza("x", (), bytes(48))], FILE_KEY))

    assert printed.splitlines()[:4] == [b"age-encryption.org/v1", b"-> x", b"A" * 64, b""]


@given(st.data())
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(GOOD) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != GOOD[place]))
    changed = GOOD[:place] + bytes([value]) + GOOD[place + 1 :]

    with pytest.raises(HeaderError):
        parse(changed).verify(FILE_KEY)


@given(st.integers(0, len(GOOD) - 1))
def test_no_cut_goes_unnoticed(length: int) -> None:
    with pytest.raises(HeaderError):
        parse(GOOD[:length])


def test_another_file_key_does_not_verify() -> None:
    with pytest.raises(HeaderMacError):
        parse(GOOD).verify(bytes(16))


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"", "empty"),
        (b"\0\0\0\x18ftypiso5", "not an age file"),
        (b"age-encryption.org/v2\n-> x\n\n", "another version"),
        (b"age-encryption.org/v1\r\n", "another version"),
        (b"age-encryption.org/v1\n--- " + b"A" * 43 + b"\n", "no stanza"),
        (b"age-encryption.org/v1\n-> x\n\n-- \n", "neither"),
        (b"age-encryption.org/v1\n-> \n\n", "first line"),
        (b"age-encryption.org/v1\n-> x  y\n\n", "first line"),
        (b"age-encryption.org/v1\n-> x\xff\n\n", "first line"),
        (b"age-encryption.org/v1\n-> " + b"x" * 99 + b"\n" + b"A" * 65 + b"\n", "xxx… stanza"),
        (b"age-encryption.org/v1\n-> x\nA\n", "not Base64"),
        (b"age-encryption.org/v1\n-> x\nAB\n", "canonical"),
    ],
)
def test_a_malformed_header_is_named_for_what_is_wrong(file: bytes, said: str) -> None:
    with pytest.raises(HeaderError, match=said):
        parse(file)


def test_an_armored_file_is_refused_as_such() -> None:
    with pytest.raises(UnsupportedSealError, match="armored"):
        parse(b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n")


@pytest.mark.parametrize("block_bytes", [64, 4096])
def test_an_endless_header_is_refused_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(header_module, "MAX_HEADER_BYTES", 1000)
    endless_line = b"age-encryption.org/v1\n-> " + b"x" * 3000
    endless_stanzas = b"age-encryption.org/v1\n" + b"-> x\n\n" * 500

    for file in (endless_line, endless_stanzas):
        with pytest.raises(HeaderError, match="longer than 1000"):
            parse_header(SealedBytes(pieces(file, block_bytes)))


@given(st.binary(max_size=100))
def test_base64_has_one_spelling(raw: bytes) -> None:
    text = encode_base64(raw)

    assert decode_base64(text) == raw
    for other in (text + "=", text + "\n", " " + text):
        with pytest.raises(HeaderError):
            decode_base64(other)
