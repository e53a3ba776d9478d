"""Cells: the small squares of the analysis plane for which it is decided what is scene.

A cell is 4x4 analysis pixels whatever the stream: 16 pixels of a 1080p picture. The
grid is at most 120x68, so that what is decided per cell costs nothing and what
costs something is done per pixel, in numpy.

Pure: numpy in, numpy out.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agent.core.masking.blocks import BlockGrid, grid_shape
from agent.core.video import I420, MACROBLOCK_PX, FrameSize, Plane

CELL_PX = 4  # analysis pixels; a person 60 m away is about one cell wide

CellGrid = NDArray[np.bool_]
Luma = NDArray[np.float32]
Tints = NDArray[np.float32]


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

    def pixels(self, analysis: Plane) -> Luma:
        """Return the plane as float32, its last row and column repeated to whole cells."""
        height, width = analysis.shape
        below, right = self.rows * CELL_PX - height, self.columns * CELL_PX - width
        if below or right:
            analysis = np.pad(analysis, ((0, below), (0, right)), mode="edge")
        return analysis.astype(np.float32)

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


def count_in_cells(pixels: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return how many of the pixels of each cell are True, (rows, columns) of 0 to 16."""
    ones = pixels.view(np.uint8)
    lines = ones[0::CELL_PX] + ones[1::CELL_PX] + ones[2::CELL_PX] + ones[3::CELL_PX]
    counts: NDArray[np.uint8] = (
        lines[:, 0::CELL_PX] + lines[:, 1::CELL_PX] + lines[:, 2::CELL_PX] + lines[:, 3::CELL_PX]
    )
    return counts


def mean_of_cells(pixels: Luma) -> NDArray[np.float32]:
    """Return the mean of each cell, (rows, columns)."""
    lines = pixels[0::CELL_PX] + pixels[1::CELL_PX] + pixels[2::CELL_PX] + pixels[3::CELL_PX]
    sums = lines[:, 0::CELL_PX] + lines[:, 1::CELL_PX] + lines[:, 2::CELL_PX] + lines[:, 3::CELL_PX]
    means: NDArray[np.float32] = sums / np.float32(CELL_PX * CELL_PX)
    return means


def tints_of_cells(pixels: I420, raster: Raster) -> Tints:
    """Return the mean blue and red difference of each cell, (2, rows, columns)."""
    return np.stack([_mean_in_cells(plane, raster) for plane in (pixels.u, pixels.v)])


def _mean_in_cells(plane: Plane, raster: Raster) -> Luma:
    side = CELL_PX * raster.factor // 2  # chroma has half the lines and columns
    below = max(raster.rows * side - plane.shape[0], 0)
    right = max(raster.columns * side - plane.shape[1], 0)
    if below or right:
        plane = np.pad(plane, ((0, below), (0, right)), mode="edge")
    plane = plane[: raster.rows * side, : raster.columns * side]
    lines = np.zeros((raster.rows, plane.shape[1]), np.uint16)
    for offset in range(side):
        lines += plane[offset::side]
    sums = np.zeros(raster.shape, np.float32)
    for offset in range(side):
        sums += lines[:, offset::side]
    return sums / np.float32(side * side)


def over_pixels(cells: CellGrid) -> NDArray[np.bool_]:
    """Return the cells as pixels of the padded analysis plane."""
    return np.repeat(np.repeat(cells, CELL_PX, axis=0), CELL_PX, axis=1)


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
    wide = np.pad(cells, ((rows, rows), (columns, columns)))
    grown = grow(wide, up=rows, down=rows, sideways=columns)
    kept = ~grow(~grown, up=rows, down=rows, sideways=columns)
    return cells | kept[rows : kept.shape[0] - rows, columns : kept.shape[1] - columns]
