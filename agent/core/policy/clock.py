"""What the recorder believes about the time, as a value.

Most boards have no battery-backed clock: after a power cut the wall clock may
show 1970, or whatever a thief typed. Every use of time in a policy decision goes
through a `ClockState`, so that "what time is it" and "how do we know" are never
apart.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ClockQuality(StrEnum):
    """How far a time can be believed."""

    UNKNOWN = "unknown"  # nothing supports it: no grants, no waivers
    FLOOR = "floor"  # it is not earlier than something signed or saved
    SYNCHRONISED = "synchronised"  # a time source disciplines the wall clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """A time and its quality."""

    now: datetime
    quality: ClockQuality
