"""Which parts of a frame a net with a small square input looks at, and in which order.

A net of 300x300 sees nobody in a whole 1080p picture. So each look takes the *wide* squares, of
the picture's full height, for people who are near, and two of the *detail* squares in turn, for
those who are far. Neighbours overlap, so that who stands on a seam is whole in one.

Pure.
"""

import math
from dataclasses import dataclass
from typing import Self

from agent.core.masking.sightings import Region
from agent.core.video import FrameSize

DETAIL_RATIO = 0.64  # of the height: someone of an eighth of the picture's height fills a fifth of the square
OVERLAP_RATIO = 0.1
DETAILS_PER_LOOK = 2


@dataclass(frozen=True, slots=True)
class Square:
    """A square of a frame in whole, even pixels."""

    left_px: int
    top_px: int
    side_px: int

    def region(self, size: FrameSize) -> Region:
        """Return it in 0-1 coordinates."""
        right, bottom = self.left_px + self.side_px, self.top_px + self.side_px
        return Region(
            self.left_px / size.width_px,
            self.top_px / size.height_px,
            right / size.width_px,
            bottom / size.height_px,
        )


@dataclass(frozen=True, slots=True)
class TilePlan:
    """The squares of one size of frame."""

    wide: tuple[Square, ...]
    detail: tuple[Square, ...]

    @classmethod
    def of(cls, size: FrameSize) -> Self:
        """Return the plan that covers all of a frame, both ways."""
        short = min(size.width_px, size.height_px)
        return cls(wide=_squares(size, short), detail=_squares(size, short * DETAIL_RATIO))

    def look(self, number: int) -> tuple[Square, ...]:
        """Return the squares of the n-th look."""
        start = number * DETAILS_PER_LOOK
        turn = [self.detail[(start + n) % len(self.detail)] for n in range(DETAILS_PER_LOOK)]
        return (*self.wide, *turn)


def _squares(size: FrameSize, side: float) -> tuple[Square, ...]:
    side_px = int(side) // 2 * 2
    return tuple(
        Square(left, top, side_px)
        for top in _starts(size.height_px, side_px)
        for left in _starts(size.width_px, side_px)
    )


def _starts(length_px: int, side_px: int) -> list[int]:
    overlap = side_px * OVERLAP_RATIO
    count = max(1, math.ceil((length_px - overlap) / (side_px - overlap)))
    if count == 1:
        return [0]
    return [round(n * (length_px - side_px) / (count - 1)) // 2 * 2 for n in range(count)]
