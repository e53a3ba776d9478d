"""The JSON that policy documents are written in: a small, unambiguous part of RFC 8259.

Two parsers that read one signed text differently are a hole, so everything on
which parsers disagree is refused: duplicate keys, numbers beyond IEEE double's
exact integers, NaN, lone surrogates, a byte order mark, deep nesting. So is what
would let a text look different from what it says: control and bidirectional
formatting characters (CVE-2021-42574).

Pure. `check` accepts or raises; `canonical` writes the one form that is signed.
"""

import json
import unicodedata
from itertools import pairwise
from typing import NoReturn

from agent.errors import DocumentFormatError

MAX_DOCUMENT_BYTES = 64 * 1024  # a grant with 40 zones is 12 KiB; a fortnight of post-quantum epoch keys 30 KiB
MAX_DEPTH = 16  # the deepest document is 6 deep
MAX_NUMBER_CHARACTERS = 24  # the longest shortest-form double is "-2.2250738585072014e-308"
MAX_EXACT_INTEGER = 2**53 - 1  # RFC 7493 2.2

# Controls, formatting (bidi, zero width, tags, BOM), surrogates, private use, line and paragraph ends. Unassigned ones
# may pass: which they are depends on the age of the Unicode tables, and two devices must agree.
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def check_text(text: str) -> str:
    """Return `text` if every character of it shows as itself.

    Raises:
        ValueError: It holds a control, formatting or private character.
    """
    if text.isascii() and text.isprintable():
        return text
    for character in text:
        if unicodedata.category(character) in HIDDEN_CATEGORIES:
            raise ValueError(f"text holds the hidden character U+{ord(character):04X}")
    return text


def check(raw: bytes) -> object:
    """Return what `raw` says, if it is JSON of the strict kind.

    Args:
        raw: The bytes of one whole document.

    Raises:
        DocumentFormatError: It is too large or too deep, not UTF-8, not JSON, or ambiguous.
    """
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise DocumentFormatError(f"document has {len(raw)} bytes, expected at most {MAX_DOCUMENT_BYTES}")
    try:
        text = raw.decode("utf-8", errors="strict")  # also refuses encoded surrogates
    except UnicodeDecodeError as error:
        raise DocumentFormatError(f"document is not UTF-8 at byte {error.start}") from error
    if text.startswith("\ufeff"):
        raise DocumentFormatError("document starts with a byte order mark, expected none (RFC 8259 8.1)")
    _check_depth(text)
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except ValueError as error:  # JSONDecodeError, and those of the hooks below
        raise DocumentFormatError(f"document is not strict JSON: {error}") from error
    try:
        _check_strings(value)
    except ValueError as error:
        raise DocumentFormatError(f"document is not plain text: {error}") from error
    return value


def canonical(value: object) -> bytes:
    """Return the one way to write `value`: sorted keys, no spaces, UTF-8, shortest numbers."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _check_depth(text: str) -> None:
    """Refuse nesting that would cost a recursive parser its stack, before one runs."""
    depth = 0
    quoted = escaped = False
    for character in text:
        if quoted:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise DocumentFormatError(f"document nests deeper than {MAX_DEPTH} levels")
        elif character in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = sorted(name for name, _ in pairs)
    for one, other in pairwise(names):
        if one == other:
            raise ValueError(f"key {ascii(one)[:66]} appears twice")
    return dict(pairs)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_CHARACTERS or abs(int(digits)) > MAX_EXACT_INTEGER:
        raise ValueError(f"number {digits[:MAX_NUMBER_CHARACTERS]} is beyond the exact integers (RFC 7493 2.2)")
    return int(digits)


def _number(digits: str) -> float:
    if len(digits) > MAX_NUMBER_CHARACTERS or abs(float(digits)) > MAX_EXACT_INTEGER:
        raise ValueError(f"number {digits[:MAX_NUMBER_CHARACTERS]} is beyond exact doubles (RFC 7493 2.2)")
    return float(digits)


def _check_strings(value: object) -> None:
    match value:
        case str():
            check_text(value)
        case dict():
            for name, inner in value.items():
                check_text(name)
                _check_strings(inner)
        case list():
            for inner in value:
                _check_strings(inner)
        case _:
            pass  # numbers, booleans and null hold no text
