"""Decide where a stream is cut: into fragments, which reach the disk, and segments, which are files.

A *fragment* is what a power cut can cost; two of them and the encoder's delay must
stay under the two seconds that the product promises, so each is at most 0.9 s long,
by count and by clock: a camera that slows down in the dark gets shorter fragments,
not longer ones. A *segment* ends when it is long enough, and at once when the
decision or the camera's mode is no longer the one it started under: no file mixes two.

Pure: all layers of a take are cut by the same answers, and therefore at the same frames.
"""

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from math import floor

from agent.core.policy.decision import Decision
from agent.core.video import StreamMode

FRAGMENT = timedelta(milliseconds=900)
SHORTEST_SEGMENT = timedelta(seconds=2)  # shorter ones cost more in headers and renames than they save
LONGEST_SEGMENT = timedelta(seconds=60)  # a lost header costs a whole segment
SEGMENT = timedelta(seconds=10)

_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a running segment has taken so far.

    Attributes:
        decision: The decision all of it was recorded under.
        mode: The camera's mode all of it was recorded in.
        first_pts_us: Capture instant of its first frame.
        last_pts_us: Capture instant of its latest frame.
    """

    decision: Decision
    mode: StreamMode
    first_pts_us: int
    last_pts_us: int


def frames_per_fragment(rate_hz: Fraction) -> int:
    """Return how many frames a fragment holds at most, at least one.

    Args:
        rate_hz: The camera's nominal rate.
    """
    return max(1, floor(rate_hz * (FRAGMENT // _US) / 1_000_000))


def begins_fragment(*, frames: int, first_pts_us: int, pts_us: int, rate_hz: Fraction) -> bool:
    """Tell whether the frame at `pts_us` starts a new fragment.

    Args:
        frames: How many frames the running fragment holds.
        first_pts_us: Capture instant of the first of them; any value when there is none.
        pts_us: Capture instant of the frame in question.
        rate_hz: The camera's nominal rate.
    """
    return frames == 0 or frames >= frames_per_fragment(rate_hz) or (pts_us - first_pts_us) * _US >= FRAGMENT


def begins_segment(
    running: Span | None,
    *,
    decision: Decision,
    mode: StreamMode,
    pts_us: int,
    length: timedelta = SEGMENT,
) -> bool:
    """Tell whether a frame starts a new segment.

    Args:
        running: The running segment, or None before the first.
        decision: The decision in force at the frame.
        mode: The camera's mode at the frame.
        pts_us: The frame's capture instant; one that does not rise means that the
            camera was reopened, and a new segment.
        length: How long a segment may become.

    Raises:
        ValueError: `length` is not within 2 to 60 s.
    """
    if not SHORTEST_SEGMENT <= length <= LONGEST_SEGMENT:
        raise ValueError(f"a segment of {length.total_seconds():g} s, expected 2 to 60 s")
    return (
        running is None
        or pts_us <= running.last_pts_us
        or (pts_us - running.first_pts_us) * _US >= length
        or mode != running.mode
        or decision != running.decision
    )
