"""What the recorder believes about the time, as a value.

Most boards have no battery-backed clock: after a power cut the wall clock may
show 1970, or whatever a thief typed. Every use of time in a policy decision goes
through a `ClockState`, so that "what time is it" and "how do we know" are never
apart.

The *floor* is the newest time that is proven to be past: signed in a timestamp
that was accepted, or saved while a time source disciplined the clock, and carried
on by the monotonic clock since (`agent.core.policy.floors`). A wall clock below it
is wrong, whoever vouches for it. A wall clock above it that nobody vouches for is
taken at its word, because a later time takes grants and waivers away. What it
could open is a grant that has not begun; that reaches no further than the end of
the accepted timestamp, at most `offline_for` after the floor.

Two questions are not answered by the believed time but by the floor, because for
them a late clock is not the safe one: whether what forbids has begun (`decide`), and
how old footage is (`agent.recorder.housekeeping`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# The signing machine and a time server may differ; without room for it a timestamp signed a second
# "in the future" would make a good clock look wrong. Kerberos has lived with five minutes since 1993.
SIGNING_SLACK = timedelta(minutes=5)


class ClockQuality(StrEnum):
    """How far a time can be believed."""

    UNKNOWN = "unknown"  # nothing supports it: no grants, no waivers
    FLOOR = "floor"  # it is not earlier than something signed or saved
    SYNCHRONISED = "synchronised"  # a time source disciplines the wall clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """A time and its quality.

    Attributes:
        now: The time to decide with.
        proven: The floor; None on a device that was never told a time. `now` may lie up to the slack before it.
    """

    now: datetime
    quality: ClockQuality
    proven: datetime | None = None


def believe(
    wall: datetime,
    quality: ClockQuality,
    floor: datetime | None,
    slack: timedelta = SIGNING_SLACK,
) -> ClockState:
    """Return the time to decide with.

    Args:
        wall: What the wall clock shows, UTC.
        quality: SYNCHRONISED if a time source disciplines it; any other value counts as UNKNOWN.
        floor: The newest time proven to be past, or None on a device that was never told one.
        slack: How far below `floor` a right clock may be.
    """
    synchronised = quality is ClockQuality.SYNCHRONISED
    if floor is None:
        return ClockState(now=wall, quality=quality if synchronised else ClockQuality.UNKNOWN)
    lowest = floor - slack
    if wall < lowest:  # 1970, or a forged time source: both are behind what was signed
        return ClockState(now=lowest, quality=ClockQuality.FLOOR, proven=floor)
    return ClockState(now=wall, quality=quality if synchronised else ClockQuality.FLOOR, proven=floor)
