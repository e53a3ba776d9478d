"""Tell a camera that shows the street from one that shows nothing.

Two pictures are *the same* when their luma samples have equal checksums. A live
sensor never repeats a picture exactly, because of its noise; a hung driver or a
replaying box does. A picture is *black* when no part of it is lighter than
`BLACK_MAX_LUMA`. Night is not black: a lamp, a lit window or the noise of a
sensor at full gain lifts parts of the picture above that; a covered lens does not.

Pure: the caller supplies pictures and their times.
"""

import zlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import numpy as np

from agent.core.video import Plane, RawFrame

# In video range black is 16; the sensor noise of a covered lens, averaged down to the analysis size, stays below 40.
BLACK_MAX_LUMA = 48
BLACK_MEAN_LUMA = 24

# Where a camera gives no analysis plane, every fourth pixel of every fourth line stands for it.
SAMPLE_STEP_PX = 4

LOOK_EVERY_US = 500_000  # a checksum twice a second decides as well as one for each frame, at a fifteenth of the cost


class Look(StrEnum):
    """What one look at the picture says."""

    LIVE = "live"
    FROZEN = "frozen"
    BLACK = "black"


@dataclass(frozen=True, slots=True)
class Sample:
    """What is kept of a picture to compare it with the next: no pixel."""

    checksum: int
    black: bool


def sample(frame: RawFrame) -> Sample:
    """Return the sample of a frame, from its analysis plane where it has one."""
    luma: Plane = frame.pixels.y[::SAMPLE_STEP_PX, ::SAMPLE_STEP_PX] if frame.analysis is None else frame.analysis
    packed = np.ascontiguousarray(luma)
    return Sample(
        checksum=zlib.crc32(packed.data),
        black=int(packed.max()) <= BLACK_MAX_LUMA and float(packed.mean()) <= BLACK_MEAN_LUMA,
    )


class Liveness:
    """Judges the frames of one camera session, in order.

    Args:
        frozen_after: How long the same picture may repeat; None never calls it frozen
            (a drawn or recorded scene may stand still without being broken).
        black_after: How long the picture may be black; None never calls it black.
    """

    def __init__(self, *, frozen_after: timedelta | None, black_after: timedelta | None) -> None:
        self._frozen_after_us = _microseconds(frozen_after)
        self._black_after_us = _microseconds(black_after)
        self._next_look_us = 0
        self._last: Sample | None = None
        self._same_since_us = 0
        self._black_since_us: int | None = None
        self._verdict = Look.LIVE

    def look(self, frame: RawFrame) -> Look:
        """Return what the frames up to and with this one show.

        A frame that is both frozen and black is black: the nearer cause is the lens.
        """
        if self._last is not None and frame.pts_us < self._next_look_us:
            return self._verdict
        self._next_look_us = frame.pts_us + LOOK_EVERY_US
        seen = sample(frame)
        if self._last is None or seen.checksum != self._last.checksum:
            self._same_since_us = frame.pts_us
        if not seen.black:
            self._black_since_us = None
        elif self._black_since_us is None:
            self._black_since_us = frame.pts_us
        self._last = seen
        self._verdict = self._judge(frame.pts_us)
        return self._verdict

    def _judge(self, now_us: int) -> Look:
        if (
            self._black_after_us is not None
            and self._black_since_us is not None
            and now_us - self._black_since_us >= self._black_after_us
        ):
            return Look.BLACK
        if self._frozen_after_us is not None and now_us - self._same_since_us >= self._frozen_after_us:
            return Look.FROZEN
        return Look.LIVE


def _microseconds(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // timedelta(microseconds=1)
