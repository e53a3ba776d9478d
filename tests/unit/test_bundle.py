"""A bundle is one canonical map of allowed names to bytes; any other bytes are refused by their shape alone."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.bundle import (
    MAX_BUNDLE_BYTES,
    MAX_DOCUMENT_BYTES,
    MAX_ENTRIES,
    MAX_METADATA_BYTES,
    decode_bundle,
    encode_bundle,
)
from agent.errors import BundleFormatError

SMALL = {"metadata/1.root.json": b"{}", "targets/grants/ab.g-1.json": b"x"}

names = st.builds(
    "{}/{}".format,
    st.sampled_from(["metadata", "targets", "targets/grants"]),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
)


@given(st.dictionaries(names, st.binary(max_size=64), max_size=8))
def test_what_was_packed_is_unpacked(entries: dict[str, bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


@given(st.binary(max_size=200))
def test_any_bytes_are_one_bundle_or_refused(packed: bytes) -> None:
    try:
        entries = decode_bundle(packed)
    except BundleFormatError:
        return

    assert encode_bundle(entries) == packed


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x80",
        b"\xd9\xd9\xf7\xa0",  # a self-described map: the tag is a second spelling
        b"\xbf\x69targets/a\x40\xff",  # of unknown length
        b"\xb9\x00\x01\x69targets/a\x40",  # one entry, counted in two bytes
        b"\xa1\x69targets/a\x40\x00",  # a byte too many
        b"\xa1\x69targets/a",  # a value too few
        b"\xa1\x69targets/a\x5b\xff\xff\xff\xff\xff\xff\xff\xff",  # 16 EiB, announced
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",  # as many entries, announced
        b"\xa2\x69targets/a\x40\x69targets/a\x41x",  # one name, two contents
        b"\xa2\x69targets/b\x40\x69targets/a\x40",  # out of order
        b"\xa1\x69targets/a\x60",  # text for a value
        b"\xa1\x69targets/a\xf9\x7e\x00",  # not a number
        b"\xa1\x69targets/a\xc2\x41\x01",  # a tagged number
        b"\xa1\x69targets/a\xa1\x61a\x40",  # a map inside
        b"\xa1\x49targets/a\x40",  # bytes for a name
        b"\xa1\x69targets/\xff\x40",  # a name that is not UTF-8
        b"\xa1\xf7\x40",
        b"\x81" * 100_000,
        b"\xa1\x69targets/a" + b"\x81" * 100_000,
    ],
)
def test_any_other_shape_is_refused(packed: bytes) -> None:
    with pytest.raises(BundleFormatError) as refused:
        decode_bundle(packed)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "targets",
        "targets/",
        "/metadata/1.root.json",
        "metadata/../x",
        "metadata/.hidden",
        "metadata//x",
        "other/x",
        "targets/a/b/c/d",
        "targets/a\x00",
        "targets/a\n",
        "targets/ä",
        "targets/" + "a" * 129,
    ],
)
def test_a_name_that_no_client_asks_for_is_refused(name: str) -> None:
    with pytest.raises(BundleFormatError, match="not allowed"):
        decode_bundle(cbor2.dumps({name: b""}, canonical=True))


@pytest.mark.parametrize(
    ("name", "limit"), [("metadata/1.root.json", MAX_METADATA_BYTES), ("targets/a", MAX_DOCUMENT_BYTES)]
)
def test_an_entry_may_fill_its_limit_and_not_pass_it(name: str, limit: int) -> None:
    assert decode_bundle(encode_bundle({name: bytes(limit)})) == {name: bytes(limit)}

    with pytest.raises(BundleFormatError, match="more than"):
        encode_bundle({name: bytes(limit + 1)})


def test_too_many_entries_are_refused() -> None:
    with pytest.raises(BundleFormatError, match="entries"):
        encode_bundle({f"targets/{n}": b"" for n in range(MAX_ENTRIES + 1)})


def test_ten_megabytes_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(BundleFormatError, match=str(MAX_BUNDLE_BYTES)):
        decode_bundle(b"\xa0" + bytes(10_000_000))


def test_more_than_the_limit_is_not_packed() -> None:
    with pytest.raises(BundleFormatError, match=str(MAX_BUNDLE_BYTES)):
        encode_bundle({f"targets/{n}": bytes(MAX_DOCUMENT_BYTES) for n in range(40)})


def test_every_truncation_is_refused() -> None:
    packed = encode_bundle(SMALL)

    for length in range(len(packed)):
        with pytest.raises(BundleFormatError):
            decode_bundle(packed[:length])
