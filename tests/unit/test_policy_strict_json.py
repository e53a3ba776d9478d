"""What two parsers could read differently, or a person could misread, is no document."""

import json

import pytest

from agent.core.policy.strict_json import MAX_DEPTH, MAX_DOCUMENT_BYTES, canonical, check, check_text
from agent.errors import DocumentFormatError

AMBIGUOUS = {
    "a duplicate key": (b'{"a":1,"a":2}', "appears twice"),
    "a duplicate key, escaped": (b'{"a":1,"\\u0061":2}', "appears twice"),
    "a duplicate key, deep": (b'{"x":[{"a":1,"a":1}]}', "appears twice"),
    "not a number": (b'{"a":NaN}', "NaN is not a JSON number"),
    "infinity": (b'{"a":-Infinity}', "is not a JSON number"),
    "a huge integer": (b'{"a":' + b"9" * 5000 + b"}", "beyond the exact integers"),
    "an integer no double holds": (b'{"a":9007199254740993}', "beyond the exact integers"),
    "a float that overflows": (b'{"a":1e999}', "beyond exact doubles"),
    "a float of many digits": (b'{"a":0.' + b"1" * 400 + b"}", "beyond exact doubles"),
    "an encoded surrogate": (b'{"a":"\xed\xa0\x80"}', "not UTF-8 at byte 6"),
    "a lone surrogate, escaped": (b'{"a":"\\ud800"}', "hidden character U+D800"),
    "Latin-1": (b'{"a":"\xe9"}', "not UTF-8"),
    "overlong UTF-8": (b'{"a":"\xc0\xaf"}', "not UTF-8"),
    "a byte order mark": (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "not UTF-8"),
    "text that turns around": ('{"a":"safe \u202etxt.exe"}'.encode(), "hidden character U+202E"),
    "a zero-width space": ('{"a":"gr\u200bant"}'.encode(), "hidden character U+200B"),
    "a hidden character in a key": ('{"a\u2066":1}'.encode(), "hidden character U+2066"),
    "an escaped control character": (b'{"a":"\\u0000"}', "hidden character U+0000"),
    "a line end in a text": (b'{"a":"one\\ntwo"}', "hidden character U+000A"),
    "a raw control character": (b'{"a":"\x01"}', "strict JSON"),
    "a comment": (b'{"a":1} // yes', "Extra data"),
    "two documents": (b'{"a":1}{"a":2}', "Extra data"),
    "single quotes": (b"{'a':1}", "strict JSON"),
    "a trailing comma": (b'{"a":1,}', "strict JSON"),
    "half a document": (b'{"a":', "strict JSON"),
    "nothing": (b"", "strict JSON"),
    "a deep document": (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "deeper than 16"),
    "a bomb of brackets": (b"[" * MAX_DOCUMENT_BYTES, "deeper than 16"),
    "10 MB": (b" " * 10_000_000, "10000000 bytes, expected at most 65536"),
}


@pytest.mark.parametrize(("raw", "reason"), AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_ambiguous_json_is_refused_in_one_line(raw: bytes, reason: str) -> None:
    with pytest.raises(DocumentFormatError) as refusal:
        check(raw)

    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("size", [MAX_DOCUMENT_BYTES - 1, MAX_DOCUMENT_BYTES])
def test_a_document_may_fill_its_limit(size: int) -> None:
    assert check(b'{"a":1}'.ljust(size)) == {"a": 1}


def test_one_byte_more_than_the_limit_is_too_much() -> None:
    with pytest.raises(DocumentFormatError, match="65537 bytes"):
        check(b'{"a":1}'.ljust(MAX_DOCUMENT_BYTES + 1))


def test_brackets_in_texts_do_not_nest() -> None:
    text = '[\\"[' * 100

    assert check(json.dumps({"a": text}).encode()) == {"a": text}


def test_the_deepest_document_that_is_allowed_is_read() -> None:
    assert check(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_ordinary_values_of_every_kind_are_read() -> None:
    value = {"a": [1, -2.5, True, False, None, "St. Étienne", "東京"], "b": {}}

    assert check(json.dumps(value, ensure_ascii=False).encode()) == value


def test_the_canonical_form_is_sorted_dense_and_utf8() -> None:
    assert canonical({"b": [1.5, "é"], "a": None}) == '{"a":null,"b":[1.5,"é"]}'.encode()


def test_text_that_shows_as_itself_is_kept() -> None:
    assert check_text("Straße 14, naïve") == "Straße 14, naïve"
