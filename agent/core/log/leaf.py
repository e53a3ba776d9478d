"""One event of the log as bytes, and back.

A leaf is one JSON object in the canonical form of RFC 8785, without a line feed, so
that whoever holds the event can make its leaf again, in any language. Our facts need
little of that RFC: names in ASCII, no fractions, whole numbers that fit a double.

Reading is strict: bytes that are not exactly what `encode_leaf` makes are no leaf. Two
spellings of one event would be two leaves.

Pure: values in, values out. FORMAT.md, section 1.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from agent.errors import LeafFormatError

Fact: TypeAlias = str | int | bool | Sequence[str] | None  # what one event may say about one thing

LEAF_VERSION = 1
MAX_LEAF_BYTES = 16 * 1024  # an event is a sentence, not a document
_MAX_INTEGER = 2**53 - 1  # RFC 7493 2.2: exact in every language's JSON
_KIND = re.compile(r"[a-z][a-z0-9-]{0,47}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_OWN = frozenset({"at", "kind", "n", "v"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of the log.

    Attributes:
        number: Its index; rises by one with each event, across restarts.
        at: When, aware UTC.
        kind: What happened: lower case words joined by hyphens, such as "policy-applied".
        facts: What else is worth keeping; never a picture, never a person.
    """

    number: int
    at: datetime
    kind: str
    facts: Mapping[str, Fact]


def encode_leaf(event: Event) -> bytes:
    """Return the canonical bytes of `event`.

    Half a surrogate pair, which is no text, becomes a question mark.

    Raises:
        ValueError: It is not an event: a bad kind, name or number, a naive time, a fraction, or too long.
    """
    if not _KIND.fullmatch(event.kind):
        raise ValueError(f"not a kind of event: {event.kind!r}")
    if event.at.utcoffset() is None:
        raise ValueError("an event needs an aware time")
    if type(event.number) is not int or not 0 <= event.number <= _MAX_INTEGER:  # True would be spelled true
        raise ValueError(f"not a number of an event: {event.number!r}")
    for name, fact in event.facts.items():
        if name in _OWN or not _NAME.fullmatch(name):
            raise ValueError(f"not a name of a fact: {name!r}")
        _check(name, fact)
    fields = {
        **event.facts,
        "at": event.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z",
        "kind": event.kind,
        "n": event.number,
        "v": LEAF_VERSION,
    }
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    leaf = text.encode("utf-8", "replace")
    if len(leaf) > MAX_LEAF_BYTES:
        raise ValueError(f"a {event.kind} event of {len(leaf)} bytes, expected at most {MAX_LEAF_BYTES}")
    return leaf


def parse_leaf(leaf: bytes) -> Event:
    """Return the event that `leaf` spells.

    Raises:
        LeafFormatError: It is not the one canonical spelling of an event of a known version.
    """
    if len(leaf) > MAX_LEAF_BYTES:
        raise LeafFormatError(f"a leaf of {len(leaf)} bytes, expected at most {MAX_LEAF_BYTES}")
    try:
        fields = json.loads(leaf)
    except (ValueError, RecursionError) as error:  # a megabyte of brackets is not an event either
        raise LeafFormatError("a leaf is not JSON") from error
    if not isinstance(fields, dict) or not fields.keys() >= _OWN:
        raise LeafFormatError(f"a leaf has no {', '.join(sorted(_OWN))}")
    if fields["v"] != LEAF_VERSION:
        raise LeafFormatError(f"a leaf of version {fields['v']!r}, expected {LEAF_VERSION}")
    if not isinstance(fields["kind"], str) or not isinstance(fields["at"], str) or not _AT.fullmatch(fields["at"]):
        raise LeafFormatError("a leaf without a kind and a time")
    try:
        event = Event(
            number=fields["n"],
            at=datetime.fromisoformat(fields["at"]),
            kind=fields["kind"],
            facts={name: fact for name, fact in fields.items() if name not in _OWN},
        )
        canonical = encode_leaf(event)
    except ValueError as error:
        raise LeafFormatError(f"a leaf is no event: {error}") from error
    if canonical != leaf:
        raise LeafFormatError("a leaf is not in its canonical spelling")
    return event


def _check(name: str, fact: Fact) -> None:
    match fact:
        case bool() | str() | None:
            return
        case int():
            if -_MAX_INTEGER <= fact <= _MAX_INTEGER:
                return
        case list() | tuple():
            if all(isinstance(each, str) for each in fact):
                return
        case _:
            pass
    raise ValueError(f"not a fact: {name} is {fact!r}")
