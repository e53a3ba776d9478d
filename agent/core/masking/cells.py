"""Cells: the small squares of the analysis plane for which it is decided what is scene.

A cell is 4x4 analysis pixels whatever the stream: 16 pixels of a 1080p picture. The
grid is at most 120x68, so that what is decided per cell costs nothing and what
costs something is done per pixel, in numpy.

Pure: numpy in, numpy out.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from agent.core.masking.blocks import BlockGrid, grid_shape
from agent.core.video import I420, MACROBLOCK_PX, FrameSize, Plane

CELL_PX = 4  # analysis pixels; a person 60 m away is about one cell wide

CellGrid = NDArray[np.bool_]
Luma = NDArray[np.float32]
Tints = NDArray[np.float32]
Halves = NDArray[np.uint32]

_EVERY_OTHER_BYTE, _LOW_HALF = np.uint32(0x00FF00FF), np.uint32(0xFFFF)


class AnalysisMismatchError(Exception):
    """The analysis plane cannot be of this frame; the whole frame must be filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raster:
    """How the cells of an analysis plane lie over the frame.

    Attributes:
        size: Of the frame.
        factor: Frame pixels per analysis pixel, each way.
        rows: Rows of cells.
        columns: Columns of cells.
    """

    size: FrameSize
    factor: int
    rows: int
    columns: int

    @classmethod
    def of(cls, size: FrameSize, analysis: Plane) -> Self:
        """Return the raster of an (h, w) plane that was reduced from frames of `size` by one whole factor.

        Raises:
            AnalysisMismatchError: No whole factor fits.
        """
        if analysis.ndim != 2 or min(analysis.shape) < CELL_PX:  # noqa: PLR2004 - rows and columns
            raise AnalysisMismatchError(f"an analysis plane of shape {analysis.shape}")
        height, width = analysis.shape
        factor = size.width_px // width
        # What a whole factor leaves over is less than one analysis pixel.
        if factor < 1 or size.width_px // factor != width or size.height_px // factor != height:
            raise AnalysisMismatchError(f"an analysis plane of {width}x{height} does not fit frames of {size}")
        return cls(size=size, factor=factor, rows=-(-height // CELL_PX), columns=-(-width // CELL_PX))

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of cells."""
        return self.rows, self.columns

    @property
    def plane_shape(self) -> tuple[int, int]:
        """(height, width) of the analysis plane."""
        return self.size.height_px // self.factor, self.size.width_px // self.factor

    @property
    def padded_shape(self) -> tuple[int, int]:
        """(height, width) of the analysis plane filled up to whole cells."""
        return self.rows * CELL_PX, self.columns * CELL_PX

    def pad(self, analysis: Plane, into: Plane) -> None:
        """Write the plane into one of `padded_shape`, its last row and column repeated to whole cells."""
        height, width = analysis.shape
        into[:height, :width] = analysis
        into[:height, width:] = analysis[:, -1:]
        into[height:] = into[height - 1]

    def blocks(self, cells: CellGrid) -> BlockGrid:
        """Return the macroblocks that any of `cells` touches."""
        rows, columns = grid_shape(self.size)
        cell_px = CELL_PX * self.factor
        grid = _any_of(cells, rows, cell_px)
        return np.ascontiguousarray(_any_of(np.ascontiguousarray(grid.T), columns, cell_px).T)

    def rectangle(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        """Return the cells that a rectangle in 0-1 coordinates touches; what lies outside the frame is left out."""
        across = self.size.width_px / (CELL_PX * self.factor)
        down = self.size.height_px / (CELL_PX * self.factor)
        return (
            slice(_clip(np.floor(top * down), self.rows), _clip(np.ceil(bottom * down), self.rows)),
            slice(_clip(np.floor(left * across), self.columns), _clip(np.ceil(right * across), self.columns)),
        )


def _clip(position: float, most: int) -> int:
    return int(min(max(position, 0), most))


def _any_of(cells: CellGrid, count: int, cell_px: int) -> CellGrid:
    """Return, for each of `count` rows of macroblocks, the union of the rows of cells it touches."""
    start = np.arange(count) * MACROBLOCK_PX
    last = cells.shape[0] - 1
    first_cell = np.minimum(start // cell_px, last)
    last_cell = np.minimum((start + MACROBLOCK_PX - 1) // cell_px, last)
    union: CellGrid = cells[first_cell]
    for step in range(1, int((last_cell - first_cell).max(initial=0)) + 1):
        union |= cells[np.minimum(first_cell + step, last_cell)]
    return union


def count_in_cells(pixels: NDArray[np.bool_] | NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the sum over the pixels of each cell, (rows, columns); each pixel is at most 15.

    Args:
        pixels: Contiguous, of whole cells.
    """
    # The four bytes of a line of a cell are one number; no sum of four lines carries into the next byte.
    quads = pixels.view(np.uint32)
    sums: NDArray[np.uint32] = quads[0::CELL_PX] + quads[1::CELL_PX]
    sums += quads[2::CELL_PX]
    sums += quads[3::CELL_PX]
    sums *= np.uint32(0x01010101)  # the sum of all four bytes, in the highest
    sums >>= np.uint32(24)
    return sums


def halves_of_lines(luma: Plane) -> Halves:
    """Return for each of the four lines of each cell the sums of its two halves, one in the low 16 bits, one above.

    Args:
        luma: Contiguous, of whole cells.
    """
    quads = luma.view(np.uint32)
    halves = quads >> np.uint32(8)
    halves &= _EVERY_OTHER_BYTE
    halves += quads & _EVERY_OTHER_BYTE
    return halves.reshape(-1, CELL_PX, halves.shape[1])


def mean_of_cells(halves: Halves) -> Luma:
    """Return the mean of each cell, (rows, columns)."""
    upper, lower = halves[:, 0] + halves[:, 1], halves[:, 2] + halves[:, 3]
    sums = upper + lower
    sums = (sums & _LOW_HALF) + (sums >> np.uint32(16))
    means: Luma = sums.astype(np.float32)
    means *= np.float32(1 / (CELL_PX * CELL_PX))
    return means


def slopes_of_cells(halves: Halves) -> NDArray[np.float32]:
    """Return the mean of each cell, and by how much its halves differ across and down, (3, rows, columns)."""
    upper, lower = halves[:, 0] + halves[:, 1], halves[:, 2] + halves[:, 3]
    one, other = ((part & _LOW_HALF).astype(np.float32) for part in (upper, lower))
    two, fourth = ((part >> np.uint32(16)).astype(np.float32) for part in (upper, lower))
    of_half = np.float32(1 / (CELL_PX * CELL_PX // 2))
    slopes: NDArray[np.float32] = np.stack(
        (
            (one + two + other + fourth) * (of_half / 2),
            (two + fourth - one - other) * of_half,
            (other + fourth - one - two) * of_half,
        )
    )
    return slopes


def tints_of_cells(pixels: I420, raster: Raster) -> Tints:
    """Return the mean blue and red difference of each cell, (2, rows, columns), from two lines in each.

    Colour has no edges worth seeing on a line between; what a coat covers it covers on both.
    """
    return np.stack([_mean_in_cells(plane, raster) for plane in (pixels.u, pixels.v)])


def _mean_in_cells(plane: Plane, raster: Raster) -> Luma:
    side = CELL_PX * raster.factor // 2  # chroma has half the lines and columns
    last = plane.shape[0] - 1
    tops = np.arange(raster.rows) * side
    lines = [plane.take(np.minimum(tops + side * part // 4, last), axis=0) for part in (1, 3)]
    width = raster.columns * side
    sums = np.empty((raster.rows, width), np.uint16)
    reach = min(width, plane.shape[1])
    np.add(lines[0][:, :reach], lines[1][:, :reach], out=sums[:, :reach], dtype=np.uint16)
    sums[:, reach:] = sums[:, reach - 1 : reach]
    # Column after column: numpy sums over a short axis an element at a time.
    total = sums[:, 0::side].astype(np.uint32)
    for offset in range(1, side):
        total += sums[:, offset::side]
    means: Luma = total.astype(np.float32)
    means *= np.float32(1 / (len(lines) * side))
    return means


def over_pixels(cells: NDArray[Any]) -> NDArray[Any]:
    """Return what is true of the cells for each pixel of the padded analysis plane."""
    return np.repeat(np.repeat(cells, CELL_PX, axis=1), CELL_PX, axis=0)


def grow(cells: CellGrid, *, up: int = 0, down: int = 0, sideways: int = 0) -> CellGrid:
    """Return the cells and their neighbours, so many cells in each direction."""
    grown = cells.copy()
    for _ in range(up):
        grown[:-1] |= grown[1:].copy()
    for _ in range(down):
        grown[1:] |= grown[:-1].copy()
    for _ in range(sideways):
        before = grown.copy()
        grown[:, :-1] |= before[:, 1:]
        grown[:, 1:] |= before[:, :-1]
    return grown


def close_gaps(cells: CellGrid, *, rows: int, columns: int) -> CellGrid:
    """Return the cells and the gaps between them of at most twice `rows` and `columns`."""
    wide = np.zeros((cells.shape[0] + 2 * rows, cells.shape[1] + 2 * columns), np.bool_)
    wide[rows:-rows, columns:-columns] = cells
    grown = grow(wide, up=rows, down=rows, sideways=columns)
    kept = ~grow(~grown, up=rows, down=rows, sideways=columns)
    return cells | kept[rows : kept.shape[0] - rows, columns : kept.shape[1] - columns]
