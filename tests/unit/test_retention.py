"""The ring gives up the right segments, in the right order."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.policy.decision import HeldSpan
from agent.core.retention import LONGEST_SEGMENT, RemovalPlan, StoredSegment, is_held, plan_erasure, plan_removals
from agent.core.video import Layer

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ROOMY_BYTES = 1_000_000


def segment(age: timedelta, *, sequence: int | None = None, size_bytes: int = 10) -> StoredSegment:
    """Return a segment that started `age` before noon; recorded in order of age unless `sequence` says otherwise."""
    return StoredSegment(
        path=f"2026/11/28/{age.total_seconds()}",
        camera_id="pole-7",
        layer=Layer.MASKED,
        started_at=NOON - age,
        sequence=sequence if sequence is not None else 10_000_000 - int(age.total_seconds()),
        size_bytes=size_bytes,
    )


def hold(start: timedelta, end: timedelta) -> HeldSpan:
    """Return a hold from `start` to `end` before noon."""
    return HeldSpan("h-1", NOON - start, NOON - end)


def test_a_ring_that_fits_gives_up_nothing() -> None:
    plan = plan_removals([segment(MINUTE)], now=NOON, keep_for=HOUR, capacity_bytes=10)

    assert plan == RemovalPlan()


def test_a_full_ring_evicts_oldest_first() -> None:
    ages = [segment(n * MINUTE) for n in (3, 1, 2)]

    plan = plan_removals(ages, now=NOON, keep_for=HOUR, capacity_bytes=15)

    assert plan.evicted == (ages[0], ages[2])
    assert plan.excess_bytes == 0


def test_what_is_as_old_as_the_retention_expires_although_there_is_room() -> None:
    just_kept, just_expired = segment(HOUR - timedelta(microseconds=1)), segment(HOUR)

    plan = plan_removals([just_kept, just_expired], now=NOON, keep_for=HOUR, capacity_bytes=ROOMY_BYTES)

    assert plan.expired == (just_expired,)
    assert plan.evicted == ()


def test_room_that_expiry_makes_is_not_made_again_by_eviction() -> None:
    old, new = segment(2 * HOUR), segment(MINUTE)

    plan = plan_removals([old, new], now=NOON, keep_for=HOUR, capacity_bytes=10)

    assert plan.removals == (old,)


def test_a_hold_beats_expiry_and_eviction() -> None:
    expired, kept, newest = segment(2 * HOUR), segment(30 * MINUTE), segment(MINUTE)
    holds = [hold(3 * HOUR, 20 * MINUTE)]

    plan = plan_removals([expired, kept, newest], now=NOON, keep_for=HOUR, capacity_bytes=20, holds=holds)

    assert plan.expired == ()
    assert plan.evicted == (newest,)
    assert plan.held == 2


def test_holds_that_exceed_the_capacity_are_reported_by_how_much() -> None:
    segments = [segment(n * MINUTE) for n in (10, 20, 30)]

    plan = plan_removals(segments, now=NOON, keep_for=HOUR, capacity_bytes=12, holds=[hold(HOUR, timedelta(0))])

    assert plan.removals == ()
    assert plan.excess_bytes == 18


@pytest.mark.parametrize(
    ("start", "end", "held"),
    [
        (HOUR, HOUR - MINUTE, True),
        (HOUR + MINUTE, HOUR, False),  # half-open: the hold ends where the segment starts
        (HOUR + MINUTE, HOUR - timedelta(microseconds=1), True),
        (HOUR - LONGEST_SEGMENT, timedelta(0), False),
        (HOUR - LONGEST_SEGMENT + timedelta(microseconds=1), timedelta(0), True),  # it may have lasted that long
    ],
)
def test_a_segment_is_held_if_any_part_of_it_may_lie_in_the_span(start: timedelta, end: timedelta, held: bool) -> None:
    assert is_held(segment(HOUR), [hold(start, end)]) is held


def test_nothing_expires_while_no_clock_can_be_believed_but_space_still_evicts() -> None:
    ancient, recent = segment(10_000 * HOUR), segment(MINUTE)

    roomy = plan_removals([ancient, recent], now=None, keep_for=HOUR, capacity_bytes=ROOMY_BYTES)
    full = plan_removals([ancient, recent], now=None, keep_for=HOUR, capacity_bytes=10)

    assert roomy == RemovalPlan()
    assert full == RemovalPlan(evicted=(ancient,))


def test_after_a_clock_step_back_the_one_recorded_first_is_still_the_oldest() -> None:
    before_the_step = segment(MINUTE, sequence=1)
    after_the_step = segment(3 * HOUR, sequence=2)

    plan = plan_removals([after_the_step, before_the_step], now=None, keep_for=HOUR, capacity_bytes=10)

    assert plan.evicted == (before_the_step,)


def test_erasure_takes_everything_but_what_is_held() -> None:
    old, held, new = segment(2 * HOUR), segment(HOUR), segment(MINUTE)

    plan = plan_erasure([new, old, held], holds=[hold(HOUR, HOUR - MINUTE)])

    assert plan == RemovalPlan(erased=(old, new), held=1)


segments_strategy = st.lists(
    st.builds(
        segment,
        st.timedeltas(min_value=-HOUR, max_value=3 * HOUR),
        size_bytes=st.integers(min_value=0, max_value=100),
        sequence=st.integers(min_value=0, max_value=1000),
    ),
    max_size=12,
    unique_by=lambda each: each.sequence,
)
holds_strategy = st.lists(
    st.builds(
        hold, st.timedeltas(min_value=-HOUR, max_value=3 * HOUR), st.timedeltas(min_value=-HOUR, max_value=3 * HOUR)
    ),
    max_size=3,
)


@given(
    segments=segments_strategy,
    holds=holds_strategy,
    now=st.sampled_from([NOON, None]),
    capacity_bytes=st.integers(min_value=0, max_value=500),
)
def test_every_plan_obeys_policy_holds_and_capacity(
    segments: list[StoredSegment], holds: list[HeldSpan], now: datetime | None, capacity_bytes: int
) -> None:
    plan = plan_removals(segments, now=now, keep_for=HOUR, capacity_bytes=capacity_bytes, holds=holds)

    left = [each for each in segments if each not in plan.removals]
    left_bytes = sum(each.size_bytes for each in left)
    assert not any(is_held(each, holds) for each in plan.removals)
    assert len(set(plan.removals)) == len(plan.removals)
    assert left_bytes - plan.excess_bytes <= capacity_bytes
    if plan.excess_bytes:  # only what is held is in the way
        assert all(is_held(each, holds) for each in left)
    if now is not None:
        assert all(is_held(each, holds) for each in left if now - each.started_at >= HOUR)
    else:
        assert plan.expired == ()
    for part in (plan.expired, plan.evicted):
        assert list(part) == sorted(part, key=lambda each: each.sequence)
    evictable = [each.sequence for each in left if not is_held(each, holds)]
    assert not plan.evicted or not evictable or plan.evicted[-1].sequence < min(evictable)
