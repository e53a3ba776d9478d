"""What helps to aim a camera and says nothing about anybody: sharpness, lean, and the outline of what stays.

* *Sharpness* is how much of its rise over eight pixels an edge makes within one, for the strongest
  edges. It is 1 for an edge within one pixel and falls with blur; contrast and light do not count. It
  is one number a frame.
* *Lean* is the angle of what is nearly upright: poles, corners of houses, frames of windows.
* The *outline* is made as the reference of the drift guard is (`agent.core.masking.drift`), over a
  few seconds instead of half a minute: for each of 160 cells across, whether an edge stayed and in which
  of eight directions it runs. Who walks by leaves nothing; who stands leaves strokes, two cells for a
  face at ten metres. It has no brightness and no colour, and cannot be made into a picture again.

Pure: numpy in, values out.
"""

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from agent.core.masking.blocks import grid_shape
from agent.core.masking.drift import COLUMNS, Commissioning
from agent.core.video import MACROBLOCK_PX, FrameSize, Plane
from agent.errors import FeaturelessError

LONGEST = timedelta(minutes=30)  # of a commissioning window: a ladder, a lens, a dozen areas, and no more
EVERY_US = 500_000  # between two updates: twice a second is enough for a hand on a lens

_LOOKS = 5  # in an outline; a look comes with every update, so it is made anew every two and a half seconds
_REACH_PX = 8  # what sharpness compares one pixel with
_EVERY_LINE = 8
_SHARPEST_SHARE = 0.01
_LEAST_CONTRAST = 48  # luma steps over `_REACH_PX`: the noise of a sensor at full gain stays below
_LEAST_EDGES = 50  # pixels
_MOST_LEAN_DEGREES = 10.0
_SMOOTH_PX = 7
_LEAST_UPRIGHT = 400  # pixels of the analysis plane
_SEVERAL_STEPS = 10.0  # luma, of a gradient whose direction is believed


def sharpness(luma: Plane) -> float | None:
    """Return how sharp the sharpest edges of a picture are, 0 to 1; None if it has no edges.

    Args:
        luma: (h, w) uint8, at full size: a lens that is out of focus by two pixels is sharp at a quarter of the size.
    """
    found = [
        each for lines in (luma[::_EVERY_LINE], luma[:, ::_EVERY_LINE].T) if (each := _along(lines.astype(np.int16)))
    ]
    return max(found) if found else None


def _along(lines: NDArray[np.int16]) -> float | None:
    """Return how much of its rise over `_REACH_PX` an edge makes within one pixel, for the sharpest of the lines."""
    if lines.shape[1] <= _REACH_PX:
        return None
    coarse = np.abs(lines[:, _REACH_PX:] - lines[:, :-_REACH_PX])
    least = max(_LEAST_CONTRAST, int(np.quantile(coarse, 1 - _SHARPEST_SHARE)))
    row, column = np.nonzero(coarse >= least)
    if row.size < _LEAST_EDGES:
        return None
    steps = np.abs(np.diff(lines, axis=1))
    fine = steps[row[:, None], column[:, None] + np.arange(_REACH_PX)].max(axis=1)
    # Of the steepest the better half: a scene has soft edges too, and a lens makes none sharper than it is.
    return float(min(np.quantile(fine / coarse[row, column], 0.75), 1.0))


def lean_degrees(analysis: Plane) -> float | None:
    """Return how far upright edges lean to the right, in degrees; None if there are too few.

    Args:
        analysis: A small luma plane, (h, w) uint8.
    """
    luma = _smooth(analysis.astype(np.float32))  # or the stairs of a slanted edge would all be upright
    across = luma[1:-1, 2:] - luma[1:-1, :-2]
    down = luma[2:, 1:-1] - luma[:-2, 1:-1]
    strong = np.hypot(across, down) >= _SEVERAL_STEPS
    # The gradient of an upright edge runs across; one that leans to the right by some degrees runs down as much.
    lean = np.degrees(np.arctan(down[strong] / np.where(across[strong] == 0, np.float32(1e-3), across[strong])))
    upright = lean[np.abs(lean) <= _MOST_LEAN_DEGREES]
    return float(np.median(upright)) if upright.size >= _LEAST_UPRIGHT else None


def _smooth(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over squares of `_SMOOTH_PX`, smaller by that less one."""
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(luma, _SMOOTH_PX, axis=axis)
        luma = windows.mean(axis=-1, dtype=np.float32)
    return luma


class Outline:
    """Where edges stay, made of the looks of the last seconds.

    Attributes:
        columns: Cells across.
        rows: Cells down; 0 before there is one.
        codes: For each cell 0, or 1 + the direction of its edge, as in `Fingerprint`.
    """

    def __init__(self) -> None:
        self._making, self._taken = Commissioning(), 0
        self.columns, self.rows, self.codes = COLUMNS, 0, b""

    def add(self, analysis: Plane) -> None:
        """Take in a look; every few of them the outline is a new one."""
        self._making.add(analysis)
        self._taken += 1
        if self._taken < _LOOKS:
            return
        making, self._making, self._taken = self._making, Commissioning(), 0
        try:
            made = making.finish()
        except FeaturelessError:
            self.rows, self.codes = 0, b""
        else:
            self.rows, self.codes = made.rows, made.codes


def strokes(outline: Outline, grid: bytes, size: FrameSize) -> bytes:
    """Return an outline as `AimingUpdate.outline`, without the cells that hidden macroblocks reach.

    Args:
        outline: Of a stream.
        grid: One bit a macroblock of it, as `AimingUpdate.zones_grid`; empty hides nothing.
        size: The stream's.
    """
    if not outline.codes:
        return b""
    cells = np.frombuffer(outline.codes, np.uint8).reshape(outline.rows, outline.columns).copy()
    if grid:
        rows, columns = grid_shape(size)
        hidden = np.unpackbits(np.frombuffer(grid, np.uint8), count=rows * columns).reshape(rows, columns)
        for row, column in np.argwhere(hidden):
            top, bottom = _cells(row, outline.rows, size.height_px)
            left, right = _cells(column, outline.columns, size.width_px)
            cells[top:bottom, left:right] = 0
    pairs = cells.reshape(-1)
    packed: bytes = (pairs[0::2] << 4 | pairs[1::2]).astype(np.uint8).tobytes()
    return packed


def _cells(block: int, count: int, length_px: int) -> tuple[int, int]:
    """Return which of `count` cells along a side a macroblock reaches, half-open."""
    first = block * MACROBLOCK_PX * count // length_px
    last = -(-min((block + 1) * MACROBLOCK_PX, length_px) * count // length_px)
    return int(first), int(last)
