"""Housekeeping removes what policy and space want gone, says so first, and never on a clock it cannot believe."""

from dataclasses import replace
from datetime import timedelta

import pytest

from agent.core.policy.clock import ClockQuality, ClockState
from agent.core.policy.decision import Decision, HeldSpan, Revocation
from agent.core.retention import StoredSegment
from agent.core.video import Layer
from agent.errors import StorageError
from agent.recorder.housekeeping import Housekept, keep_house
from tests.fakes.event_log import MemoryLog
from tests.fakes.sealed import NOON, sealed_fragments
from tests.fakes.store import MemoryStore

DAY = timedelta(days=1)
MONTH = Decision(recording=True, reason="grant g-1", retention=30 * DAY)
SYNCHRONISED = ClockState(now=NOON, quality=ClockQuality.SYNCHRONISED, proven=NOON)
UNKNOWN = ClockState(now=NOON, quality=ClockQuality.UNKNOWN)
SIZE_BYTES = len(sealed_fragments(0)[0].sealed)


def filled(*ages: timedelta, capacity_bytes: int = 10**9) -> tuple[MemoryStore, list[StoredSegment]]:
    """Return a store with one segment of each age."""
    store = MemoryStore(capacity_bytes=capacity_bytes, segment_bytes=SIZE_BYTES)
    for age in ages:
        store.start(Layer.MASKED, NOON - age).finish(sealed_fragments(0)[0])
    return store, list(store.segments())


def test_what_expired_goes_and_the_log_says_what_it_was() -> None:
    store, (old, new) = filled(31 * DAY, DAY)
    log = MemoryLog()

    done = keep_house(store, log, decision=MONTH, clock=SYNCHRONISED)

    assert store.segments() == [new]
    assert done == Housekept(removed=1, removed_bytes=SIZE_BYTES)
    assert log.events == [
        (
            "removal",
            {
                "reason": "expired",
                "segments": 1,
                "bytes": SIZE_BYTES,
                "first_sequence": old.sequence,
                "last_sequence": old.sequence,
                "oldest": old.started_at.isoformat(),
                "newest": old.started_at.isoformat(),
            },
        )
    ]


def test_room_is_made_for_the_segments_to_come() -> None:
    store, (oldest, *others) = filled(3 * DAY, 2 * DAY, DAY, capacity_bytes=4 * SIZE_BYTES)

    keep_house(store, MemoryLog(), decision=MONTH, clock=SYNCHRONISED)

    assert oldest not in store.segments()
    assert store.segments() == others
    assert not store.use().crowded


def test_an_unknown_clock_expires_nothing_and_space_still_evicts() -> None:
    store, segments = filled(3000 * DAY, 2 * DAY)
    crowded, (oldest, newest) = filled(3000 * DAY, 2 * DAY, capacity_bytes=3 * SIZE_BYTES)

    keep_house(store, MemoryLog(), decision=MONTH, clock=UNKNOWN)
    keep_house(crowded, MemoryLog(), decision=MONTH, clock=UNKNOWN)

    assert store.segments() == segments
    assert oldest not in crowded.segments()
    assert crowded.segments() == [newest]


@pytest.mark.parametrize("quality", [ClockQuality.FLOOR, ClockQuality.SYNCHRONISED])
def test_a_clock_ten_years_ahead_expires_nothing_whoever_vouches_for_it(quality: ClockQuality) -> None:
    store, segments = filled(29 * DAY, DAY)
    ahead = ClockState(now=NOON + 3650 * DAY, quality=quality, proven=NOON)

    done = keep_house(store, MemoryLog(), decision=MONTH, clock=ahead)

    assert store.segments() == segments
    assert done == Housekept()


def test_going_dark_destroys_nothing() -> None:
    store, segments = filled(31 * DAY, DAY)

    done = keep_house(store, MemoryLog(), decision=Decision.dark("the grant lapsed"), clock=SYNCHRONISED)

    assert store.segments() == segments
    assert done == Housekept()


def test_holds_that_leave_no_room_are_told() -> None:
    store, segments = filled(2 * DAY, DAY, capacity_bytes=3 * SIZE_BYTES)
    held = replace(MONTH, holds=(HeldSpan("h-1", NOON - 40 * DAY, NOON),))

    done = keep_house(store, MemoryLog(), decision=held, clock=SYNCHRONISED)

    assert store.segments() == segments
    assert done.must_go_dark
    assert done.excess_bytes == SIZE_BYTES
    assert done.held == len(segments)


def test_erasure_takes_all_but_held_footage_even_without_a_clock() -> None:
    store, (gone, kept) = filled(9 * DAY, DAY)
    erase = replace(Decision.dark("revoked"), revocation=Revocation.ERASE, holds=(HeldSpan("h-1", NOON - DAY, NOON),))
    log = MemoryLog()

    done = keep_house(store, log, decision=erase, clock=UNKNOWN)

    assert gone not in store.segments()
    assert store.segments() == [kept]
    assert log.kinds == ["erasure-done"]
    assert (log.events[0][1]["segments"], log.events[0][1]["held"]) == (1, 1)
    assert (done.removed, done.held) == (1, 1)


def test_an_erasure_that_the_disk_refuses_is_not_confirmed() -> None:
    store, segments = filled(DAY)
    store.failing = StorageError("read-only")
    log = MemoryLog()

    with pytest.raises(StorageError, match="read-only"):
        keep_house(
            store, log, decision=replace(Decision.dark("revoked"), revocation=Revocation.ERASE), clock=SYNCHRONISED
        )

    assert store.segments() == segments
    assert log.kinds == []


def test_an_erasure_does_not_wait_for_a_log_that_is_full() -> None:
    store, _ = filled(DAY)
    log = MemoryLog()
    log.failing = StorageError("the log's disk is full")

    with pytest.raises(StorageError, match="full"):
        keep_house(
            store, log, decision=replace(Decision.dark("revoked"), revocation=Revocation.ERASE), clock=SYNCHRONISED
        )

    assert store.segments() == []


def test_what_cannot_be_logged_is_not_removed() -> None:
    store, segments = filled(31 * DAY)
    log = MemoryLog()
    log.failing = StorageError("the log's disk is full")

    with pytest.raises(StorageError, match="full"):
        keep_house(store, log, decision=MONTH, clock=SYNCHRONISED)

    assert store.segments() == segments


def test_a_disk_that_refuses_keeps_everything_and_the_next_round_succeeds() -> None:
    store, segments = filled(31 * DAY)
    store.failing = StorageError("read-only")
    with pytest.raises(StorageError, match="read-only"):
        keep_house(store, MemoryLog(), decision=MONTH, clock=SYNCHRONISED)
    assert store.segments() == segments
    store.failing = None

    keep_house(store, MemoryLog(), decision=MONTH, clock=SYNCHRONISED)

    assert store.segments() == []
