"""What of a log shows a span: the run of leaves, the gaps, what was hidden; and nothing that the leaves do not say."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.log.leaf import Event, encode_leaf
from agent.core.retention import LONGEST_SEGMENT
from agent.errors import EvidenceError, LeafFormatError
from provisioning.evidence.chain import GAP, Hidden, Run, choose_run, gaps, hidden_spans
from provisioning.evidence.stored import stored_of
from tests.fakes.documents import NOON

SECOND = timedelta(seconds=1)
SPAN = {"starts_at": NOON, "ends_at": NOON + 60 * SECOND}


def event(number: int, kind: str, at: datetime = NOON, **facts: Any) -> Event:
    return Event(number=number, at=at, kind=kind, facts=facts)


def stored(number: int, starts_s: float, ends_s: float, **changes: Any) -> Event:
    starts_at, ends_at = NOON + starts_s * SECOND, NOON + ends_s * SECOND
    facts = {
        "file": "a",
        "sha256": "0" * 64,
        "size_bytes": 1,
        "layer": "masked",
        "sequence": number,
        "starts_at": starts_at.isoformat(),
        "ends_at": ends_at.isoformat(),
        "frames_stored": 1,
        "frames_failed_closed": 0,
        "decision": "d",
        "documents": [],
        "truncated": False,
    }
    return event(number, "segment-stored", ends_at, **(facts | changes))


def run_of(*events: Event) -> Run:
    leaves = [(one.number, encode_leaf(one)) for one in events]
    return choose_run(leaves, layer="masked", size=len(leaves), **SPAN)


def test_a_run_goes_from_the_segment_before_to_the_segment_after() -> None:
    events = [
        stored(0, -30, -20),
        stored(1, -20, -10),
        event(2, "policy-applied"),
        stored(3, -10, 10),
        event(4, "camera-lost"),
        stored(5, 20, 60),
        event(6, "command"),
        stored(7, 60, 70),
        stored(8, 70, 80),
    ]

    run = run_of(*events)

    assert (run.first, run.last) == (1, 7)
    assert [one.index for one in run.inside] == [3, 5]


def test_a_run_reaches_the_ends_of_a_log_that_has_no_more() -> None:
    run = run_of(event(0, "started"), stored(1, 0, 10), event(2, "stopped"))

    assert (run.first, run.last) == (0, 2)


def test_the_other_layer_is_not_in_the_way() -> None:
    run = run_of(stored(0, 0, 10), stored(1, 0, 10, layer="sealed"), stored(2, 60, 70))

    assert (run.first, run.last) == (0, 2)
    assert [one.index for one in run.inside] == [0]


def test_a_clock_that_was_put_back_hides_no_segment() -> None:
    run = run_of(stored(0, 0, 10), stored(1, 70, 80), stored(2, 20, 30), stored(3, 90, 99))

    assert [one.index for one in run.inside] == [0, 2]
    assert run.last == 3


def test_a_log_that_tells_of_no_segment_of_the_span_makes_no_run() -> None:
    with pytest.raises(EvidenceError, match="no segment of that span"):
        run_of(event(0, "started"), stored(1, -20, 0), stored(2, 60, 70))


def test_a_segment_that_was_found_after_a_crash_may_reach_as_far_as_any() -> None:
    facts = {"file": "a", "sha256": "0" * 64, "size_bytes": 1, "layer": "masked", "sequence": 3, "truncated": True}
    found = stored_of(event(9, "segment-recovered", starts_at=(NOON - 30 * SECOND).isoformat(), **facts))

    assert found is not None
    assert found.recovered
    assert found.ends_at - found.starts_at == LONGEST_SEGMENT
    assert found.overlaps(**SPAN)


def test_a_segment_without_a_frame_is_none() -> None:
    assert stored_of(stored(0, 0, 1, starts_at=None, ends_at=None)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha256": 7},
        {"size_bytes": True},
        {"documents": "g-1"},
        {"starts_at": "noon"},
        {"starts_at": "2026-11-28T12:00:00+01:00"},
        {"ends_at": "2026-11-28T12:00:00"},
    ],
    ids=str,
)
def test_a_leaf_that_leaves_out_what_it_must_say_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(LeafFormatError):
        stored_of(stored(0, 0, 1, **wrong))


def covered(spans: Iterable[tuple[int, int]]) -> list[tuple[datetime, datetime]]:
    return [(NOON + one * SECOND, NOON + other * SECOND) for one, other in spans]


def test_gaps_at_both_ends_and_within_are_named() -> None:
    found = list(gaps(covered([(5, 10), (10, 20), (30, 40)]), **SPAN))

    assert found == covered([(0, 5), (20, 30), (40, 60)])


def test_less_than_a_second_is_no_gap() -> None:
    almost = [(NOON, NOON + 30 * SECOND), (NOON + 30.99 * SECOND, NOON + 59.5 * SECOND)]

    assert list(gaps(almost, **SPAN)) == []


@given(st.lists(st.tuples(st.integers(-20, 80), st.integers(0, 30)), max_size=8))
def test_every_second_is_always_in_a_gap_or_in_a_segment(drawn: list[tuple[int, int]]) -> None:
    spans = covered((starts, starts + length) for starts, length in drawn)

    found = list(gaps(spans, **SPAN))

    for second in range(60):
        at = NOON + second * SECOND
        assert any(one <= at < other for one, other in found) != any(one <= at < other for one, other in spans)
    assert all(other - one >= GAP for one, other in found)


def test_what_was_hidden_whole_is_told_up_to_where_a_leaf_tells_it() -> None:
    events = [
        event(0, "mask-failed-closed", NOON - 9 * SECOND, reason="Learning: the scene"),
        event(1, "mask-recovered", NOON - 5 * SECOND),
        event(2, "mask-failed-closed", NOON + 1 * SECOND, reason=" Stale:\n\u202elate "),
        event(3, "mask-failed-closed", NOON + 2 * SECOND),
        event(4, "started", NOON + 7 * SECOND),
        event(5, "mask-failed-closed", NOON + 50 * SECOND, reason="Stale"),
    ]

    assert list(hidden_spans(events, **SPAN)) == [
        Hidden(starts_at=NOON + 1 * SECOND, ends_at=NOON + 2 * SECOND, why="Stale: ?late"),
        Hidden(starts_at=NOON + 2 * SECOND, ends_at=NOON + 7 * SECOND, why="the camera's log does not say"),
        Hidden(starts_at=NOON + 50 * SECOND, ends_at=None, why="Stale"),
    ]
