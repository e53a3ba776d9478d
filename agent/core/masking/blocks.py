"""Zones as whole macroblocks of one stream, and how to fill them.

H.264 predicts and transforms 16x16 luma macroblocks. A mask whose edge runs
through one would bleed: the encoder would spend bits on, and smear, pixels that
must be gone. So a zone is grown outward to every block it touches, however
little; what is shown is made of whole blocks no zone reaches.

Pure: numpy in, numpy out. A `BlockMask` is compiled once per decision and size
and then costs one fill per frame.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agent.core.video import I420, MACROBLOCK_PX, FrameSize
from agent.core.zones import Point, Zone

BlockGrid = NDArray[np.bool_]

# BT.601 limited range: a neutral dark grey. Not black, so that a masked area and a dead sensor look different.
FILL_Y, FILL_U, FILL_V = 60, 128, 128

_TOUCH_BLOCKS = 1e-6  # an edge this near to a block counts as touching it: rounding must never uncover


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Whole blocks, half-open, in block units."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockMask:
    """Which macroblocks of a stream are hidden.

    Attributes:
        size: The stream the mask fits, and no other.
        grid: (rows, columns) bool, True = hidden.
        rectangles: The same blocks as few rectangles.
    """

    size: FrameSize
    grid: BlockGrid
    rectangles: tuple[Rectangle, ...]

    @classmethod
    def from_grid(cls, size: FrameSize, grid: BlockGrid) -> Self:
        """Return the mask of a (rows, columns) bool grid; refuses a grid of another size with ValueError."""
        if grid.shape != grid_shape(size):
            raise ValueError(f"a {size} stream has {grid_shape(size)} blocks, not {grid.shape}")
        return cls(size=size, grid=grid, rectangles=tuple(_rectangles(grid)))

    @classmethod
    def from_zones(cls, size: FrameSize, zones: Iterable[Zone]) -> Self:
        """Return the mask that hides every block any of `zones` touches."""
        grid = np.zeros(grid_shape(size), np.bool_)
        for zone in zones:
            grid |= _touched(zone.polygon, size)
        return cls.from_grid(size, grid)

    @property
    def hidden_ratio(self) -> float:
        """The share of blocks that is hidden, 0 to 1."""
        return float(self.grid.mean())

    def fill(self, pixels: I420) -> None:
        """Overwrite the hidden blocks of `pixels`, all three planes, in place.

        Raises:
            ValueError: `pixels` is of another size, or may not be written.
        """
        if pixels.size != self.size:
            raise ValueError(f"a mask for {self.size} does not fit a frame of {pixels.size}")
        full, half = MACROBLOCK_PX, MACROBLOCK_PX // 2
        for r in self.rectangles:
            pixels.y[r.top * full : r.bottom * full, r.left * full : r.right * full] = FILL_Y
            pixels.u[r.top * half : r.bottom * half, r.left * half : r.right * half] = FILL_U
            pixels.v[r.top * half : r.bottom * half, r.left * half : r.right * half] = FILL_V

    # A copy is the reverse of a fill, on the same rectangles: it serves the sealed layer.
    def copy(self, source: I420, target: I420) -> None:
        """Copy the hidden blocks of `source` to the same place in `target`, all three planes.

        Raises:
            ValueError: One of them is of another size.
        """
        if source.size != self.size or target.size != self.size:
            raise ValueError(f"a mask for {self.size} does not fit frames of {source.size} and {target.size}")
        full, half = MACROBLOCK_PX, MACROBLOCK_PX // 2
        for r in self.rectangles:
            for plane, into, side in (
                (source.y, target.y, full),
                (source.u, target.u, half),
                (source.v, target.v, half),
            ):
                area = (slice(r.top * side, r.bottom * side), slice(r.left * side, r.right * side))
                into[area] = plane[area]


def fill_whole(pixels: I420) -> None:
    """Overwrite every pixel in place: what a frame looks like that failed closed."""
    pixels.y[...] = FILL_Y
    pixels.u[...] = FILL_U
    pixels.v[...] = FILL_V


def grid_shape(size: FrameSize) -> tuple[int, int]:
    """Return (rows, columns) of macroblocks that cover a frame; the last ones may stick out."""
    return -(-size.height_px // MACROBLOCK_PX), -(-size.width_px // MACROBLOCK_PX)


def _touched(polygon: tuple[Point, ...], size: FrameSize) -> BlockGrid:
    """Return the blocks a polygon touches: those an edge runs through, and those wholly inside.

    A block that no edge enters is inside exactly if its centre is (even-odd rule).
    """
    rows, columns = grid_shape(size)
    # Rounded, so that no slope below divides by a denormal; far finer than _TOUCH_BLOCKS.
    corners = [
        (round(x * size.width_px / MACROBLOCK_PX, 9), round(y * size.height_px / MACROBLOCK_PX, 9)) for x, y in polygon
    ]
    edges = list(zip(corners, [*corners[1:], corners[0]], strict=True))

    centre_x, centre_y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    grid: BlockGrid = np.zeros((rows, columns), np.bool_)
    for (ax, ay), (bx, by) in edges:
        if ay != by:
            crosses = (ay > centre_y) != (by > centre_y)
            grid ^= crosses & (centre_x < ax + (centre_y - ay) * (bx - ax) / (by - ay))

    for (ax, ay), (bx, by) in edges:
        low_y, high_y = min(ay, by), max(ay, by)
        for row in range(_block(low_y - _TOUCH_BLOCKS, rows), _block(high_y + _TOUCH_BLOCKS, rows) + 1):
            if ay == by:
                xs = (ax, bx)
            else:  # the stretch of the edge within this row
                clipped = (min(max(y, low_y), high_y) for y in (row, row + 1))
                xs = tuple(ax + (y - ay) * (bx - ax) / (by - ay) for y in clipped)  # type: ignore[assignment]
            left = _block(min(xs) - _TOUCH_BLOCKS, columns)
            right = _block(max(xs) + _TOUCH_BLOCKS, columns)
            grid[row, left : right + 1] = True
    return grid


def _block(position: float, count: int) -> int:
    return min(max(math.floor(position), 0), count - 1)


def _rectangles(grid: BlockGrid) -> Iterator[Rectangle]:
    """Yield runs of hidden blocks, merged downward while the same run continues."""
    edged = np.zeros((grid.shape[0], grid.shape[1] + 2), np.bool_)
    edged[:, 1:-1] = grid
    at_rows, at = np.nonzero(edged[:, 1:] != edged[:, :-1])  # in each row a start and an end in turn
    growing: dict[tuple[int, int], tuple[int, int]] = {}  # (left, right) → (top, bottom)
    for row, left, right in zip(at_rows[::2].tolist(), at[::2].tolist(), at[1::2].tolist(), strict=True):
        top, bottom = growing.get((left, right), (row, row))
        if bottom != row:
            yield Rectangle(top, bottom, left, right)
            top = row
        growing[left, right] = (top, row + 1)
    for (left, right), (top, bottom) in growing.items():
        yield Rectangle(top, bottom, left, right)
