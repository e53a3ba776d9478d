"""An event has one spelling, and nothing else is read as one."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.log.leaf import MAX_LEAF_BYTES, Event, Fact, encode_leaf, parse_leaf
from agent.errors import LeafFormatError

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FACT = st.none() | st.booleans() | WHOLE | TEXT | st.lists(TEXT, max_size=4)
NAME = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True).filter(lambda name: name not in {"at", "kind", "n", "v"})
EVENT = st.builds(
    Event,
    number=st.integers(0, 2**53 - 1),
    at=st.datetimes(timezones=st.just(UTC)),
    kind=st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True),
    facts=st.dictionaries(NAME, FACT, max_size=5),
)


def event(number: int = 17, kind: str = "policy-refused", at: datetime = NOON, **facts: Fact) -> Event:
    return Event(number=number, at=at, kind=kind, facts=facts)


def test_a_leaf_is_these_bytes() -> None:
    leaf = encode_leaf(event(reason='rolled "back"\n', version=-3, roles=("grants", "é"), again=True, since=None))

    assert leaf == (
        b'{"again":true,"at":"2026-11-28T12:00:00.000000Z","kind":"policy-refused","n":17,'
        b'"reason":"rolled \\"back\\"\\n","roles":["grants","\xc3\xa9"],"since":null,"v":1,"version":-3}'
    )


@given(EVENT)
def test_every_event_is_read_as_it_was_written(one: Event) -> None:
    leaf = encode_leaf(one)

    assert parse_leaf(leaf) == one
    assert encode_leaf(parse_leaf(leaf)) == leaf
    assert b"\n" not in leaf


def test_a_leaf_says_utc_whatever_zone_it_was_given_in() -> None:
    assert encode_leaf(event(at=NOON.astimezone(timezone(timedelta(hours=-6))))) == encode_leaf(event())


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert parse_leaf(encode_leaf(event(name="card\udcff"))).facts == {"name": "card?"}


@pytest.mark.parametrize(
    "refused",
    [
        event(kind="Boot"),
        event(kind=""),
        event(kind="boot\n"),
        event(kind="b" * 49),
        event(number=-1),
        event(number=2**53),
        event(number=True),
        event(at=NOON.replace(tzinfo=None)),
        event(v=2),
        event(Name="x"),
        event(ratio=0.5),
        event(ratio=float("nan")),
        event(bytes_=2**53),
        event(pairs=[["nested"]]),
        event(shape={"a": 1}),
        event(text="x" * MAX_LEAF_BYTES),
    ],
)
def test_what_is_no_event_has_no_spelling(refused: Event) -> None:
    with pytest.raises(ValueError, match=r"event|fact"):
        encode_leaf(refused)


GOOD = json.loads(encode_leaf(event(reason="x")))


def spelled(**changes: object) -> bytes:
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value != "gone"}
    return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()


def test_the_spelling_that_the_refusals_below_change_is_read() -> None:
    assert parse_leaf(spelled()) == event(reason="x")


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 10_000,
        b" " * (MAX_LEAF_BYTES + 1),
        spelled() + b"\n",
        spelled(v=2),
        spelled(v=True),
        spelled(v="gone"),
        spelled(n="17"),
        spelled(n=True),
        spelled(n=17.0),
        spelled(kind=3),
        spelled(kind="Boot"),
        spelled(at=3),
        spelled(at="2026-11-28T12:00:00Z"),
        spelled(at="2026-13-28T12:00:00.000000Z"),
        spelled(reason=0.5),
        spelled(reason={"a": "b"}),
        spelled().replace(b'"x"', b'"\\u0078"'),
        spelled().replace(b'"x"', b'"x","reason":"x"'),
        spelled().replace(b'"x"', b'"\\udcff"'),
        json.dumps(GOOD).encode(),
        spelled().decode().encode("utf-16"),
    ],
)
def test_any_other_spelling_is_refused(leaf: bytes) -> None:
    with pytest.raises(LeafFormatError):
        parse_leaf(leaf)
