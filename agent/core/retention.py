"""Decide which sealed segments the ring must give up.

Three reasons remove a segment: *expiry* (it is older than policy allows),
*eviction* (the ring is full) and *erasure* (a signed revocation asks for it). A
*hold* beats all three. Expiry beats a full disk: an expired segment goes even when
there is room for it.

Oldest means recorded first, which the sequence number tells and a start time does
not: after a clock step, a later segment can carry an earlier time. Age, on the
other hand, is counted from the start time, and only when the clock can be believed.
Otherwise nothing expires: a clock that jumps ten years ahead must not cost a city
its evidence, and what space needs is still evicted.

Pure: the caller supplies the time and the ring's contents and carries out the
plan. When holds alone exceed the capacity, no plan can make the ring fit; the
caller must then go dark and report it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the link knows segments by name; what a decision needs would bring it pixels
    from collections.abc import Iterable, Sequence

    from agent.core.layer import Layer
    from agent.core.policy.decision import HeldSpan

# A segment's name tells its start only. Configuration allows 60 s at most, cuts fall on
# keyframes (under a second); counting every segment as this long holds too much, never too little.
LONGEST_SEGMENT = timedelta(seconds=62)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSegment:
    """One finished or truncated segment in the ring.

    Attributes:
        path: Where it lies, relative to the footage folder, with forward slashes.
        camera_id: The camera that recorded it.
        layer: Which of the take's layers it is.
        started_at: Capture time of its first frame, aware UTC.
        sequence: Rises by one with each segment of the camera, across restarts.
        size_bytes: Length of the file.
        truncated: Whether a crash or a power cut ended it.
    """

    path: str
    camera_id: str
    layer: Layer
    started_at: datetime
    sequence: int
    size_bytes: int
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalPlan:
    """Segments to remove, oldest first, by reason.

    Attributes:
        expired: Older than policy allows.
        evicted: Not expired, but in the way of newer ones.
        erased: What a revocation asks to erase.
        held: How many segments stay although a reason would remove them.
        excess_bytes: By how much the ring exceeds its capacity even after this plan; more
            than zero means that holds alone fill it, and that recording must stop.
    """

    expired: tuple[StoredSegment, ...] = ()
    evicted: tuple[StoredSegment, ...] = ()
    erased: tuple[StoredSegment, ...] = ()
    held: int = 0
    excess_bytes: int = 0

    @property
    def removals(self) -> tuple[StoredSegment, ...]:
        """All segments to remove, those that law wants gone before those that space wants gone."""
        return self.erased + self.expired + self.evicted


def plan_removals(
    segments: Iterable[StoredSegment],
    *,
    now: datetime | None,
    keep_for: timedelta,
    capacity_bytes: int,
    holds: Sequence[HeldSpan] = (),
) -> RemovalPlan:
    """Return the segments to remove so that the ring obeys policy and fits.

    Args:
        segments: The ring's contents, in any order.
        now: Current UTC time, or None while no clock can be believed: nothing then expires.
        keep_for: Retention period of the policy in force. A segment exactly this old has expired.
        capacity_bytes: Space the ring may use.
        holds: Half-open spans of footage that must stay.
    """
    oldest_first = sorted(segments, key=attrgetter("sequence"))
    keep_from = None if now is None else now - keep_for
    excess_bytes = sum(segment.size_bytes for segment in oldest_first) - capacity_bytes
    expired: list[StoredSegment] = []
    kept: list[StoredSegment] = []
    held = 0
    for segment in oldest_first:
        if keep_from is None or segment.started_at > keep_from:
            kept.append(segment)
        elif is_held(segment, holds):
            held += 1
        else:
            expired.append(segment)
            excess_bytes -= segment.size_bytes
    evicted: list[StoredSegment] = []
    for segment in kept:
        if excess_bytes <= 0:
            break
        if is_held(segment, holds):
            held += 1
        else:
            evicted.append(segment)
            excess_bytes -= segment.size_bytes
    return RemovalPlan(expired=tuple(expired), evicted=tuple(evicted), held=held, excess_bytes=max(0, excess_bytes))


def plan_erasure(segments: Iterable[StoredSegment], *, holds: Sequence[HeldSpan] = ()) -> RemovalPlan:
    """Return the removal of everything but what a hold keeps, whatever the clock says.

    Args:
        segments: The ring's contents, in any order.
        holds: Half-open spans of footage that must stay: one official alone cannot destroy evidence.
    """
    oldest_first = sorted(segments, key=attrgetter("sequence"))
    erased = tuple(segment for segment in oldest_first if not is_held(segment, holds))
    return RemovalPlan(erased=erased, held=len(oldest_first) - len(erased))


def is_held(segment: StoredSegment, holds: Sequence[HeldSpan]) -> bool:
    """Return whether any part of `segment` may lie in one of the half-open spans `holds`."""
    return any(
        segment.started_at < hold.end_at and hold.start_at < segment.started_at + LONGEST_SEGMENT for hold in holds
    )
