"""Whether what stands in the picture has the texture of the view that was commissioned.

The reference view (`agent.core.masking.drift`) knows where edges stay and which way they
run. Somebody who stands where there was none before brings edges of their own: an outline
against the ground, a sleeve, a shoe. Where several such edges lie together, all that is about
as large as a body around them *disagrees* with the reference, flat coats included.

It is a reason to doubt, not a proof: somebody in front of a door frame has the door's edges, and a
lamp that was off when the view was commissioned draws shadows that are nobody. So what
agrees may be released soon, and what disagrees later, or never; see `agent.core.masking.release`.

Pure.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.core.masking.cells import CellGrid, Raster, close_gaps, grow
from agent.core.masking.drift import Field, Fingerprint, edges_of, field_of, reduced
from agent.core.video import Plane

_LEAST_LENGTH: Final = 0.5  # of 1: how sure an edge must be to count
_SAME_WAY = 0.3  # cosine of twice the angle between two edges; within some 36 degrees they are one
_FEW = 4  # edges that lie together; fewer are a leaf or noise
_NEAR_ROWS, _NEAR_COLUMNS = 3, 2  # how near together
_BODY_ROWS, _BODY_COLUMNS = 9, 3  # half the height and width of a gap between edges that is filled: coats have none


def edges_in(picture: Plane) -> Field:
    """Return the edges of an analysis plane, (h, w) uint8: directions, no picture."""
    return field_of(reduced(picture))


class Texture:
    """Compares pictures with one reference view."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        reference = edges_of(fingerprint)
        rows, columns = reference.shape[1:]
        wide = np.pad(reference, ((0, 0), (1, 1), (1, 1)))
        # An edge may lie a cell aside: the reference is a mean over half a minute of wind.
        self._near: list[Field] = [
            wide[:, down : down + rows, right : right + columns] for down in range(3) for right in range(3)
        ]
        self._shape = (rows, columns)

    def disagreeing(self, edges: Sequence[Field], raster: Raster) -> CellGrid:
        """Return the cells of `raster` whose surroundings have lasting edges that the reference has not.

        Args:
            edges: Of pictures of the last seconds, as `edges_in` gives them; those of who walks past do not last.
            raster: Whose cells; one of another shape than the reference disagrees everywhere.
        """
        if any(field.shape[1:] != self._shape for field in edges):
            return np.ones(raster.shape, np.bool_)
        lasting: Field = np.mean(edges, axis=0)
        return _on(raster.shape, _bodies(self._strange(lasting)))

    def _strange(self, field: Field) -> CellGrid:
        """Return where there is an edge, and none of the reference near that runs the same way."""
        length = np.hypot(field[0], field[1])
        known = np.zeros(self._shape, np.bool_)
        for near in self._near:
            known |= (near * field).sum(axis=0) >= _SAME_WAY * length
            # Where the reference has no edge the product is 0, which is less than any part of a length.
        strange: CellGrid = (length >= _LEAST_LENGTH) & ~known
        return strange


def _bodies(strange: CellGrid) -> CellGrid:
    """Return what may be a body around strange edges that lie together."""
    together = strange & (_sums_around(strange, _NEAR_ROWS, _NEAR_COLUMNS) >= _FEW)
    if not together.any():
        return together
    around = grow(together, up=_NEAR_ROWS, down=_NEAR_ROWS, sideways=_NEAR_COLUMNS)
    return close_gaps(around, rows=_BODY_ROWS, columns=_BODY_COLUMNS)


def _sums_around(cells: CellGrid, rows: int, columns: int) -> NDArray[np.int64]:
    """Return for each cell how many are True within so many rows and columns of it."""
    wide = np.pad(cells.astype(np.int64), ((rows + 1, rows), (columns + 1, columns))).cumsum(axis=0).cumsum(axis=1)
    high, across = 2 * rows + 1, 2 * columns + 1
    sums: NDArray[np.int64] = (
        wide[high:, across:] - wide[:-high, across:] - wide[high:, :-across] + wide[:-high, :-across]
    )
    return sums


def _on(shape: tuple[int, int], cells: CellGrid) -> CellGrid:
    """Return the cells of another grid over the same picture that any of `cells` touches."""
    touched = cells
    for axis in (0, 1):
        count, there = shape[axis], cells.shape[axis]
        first = np.arange(count) * there // count
        last = np.minimum(((np.arange(count) + 1) * there - 1) // count, there - 1)
        union = np.take(touched, first, axis=axis)
        for step in range(1, int((last - first).max(initial=0)) + 1):
            union |= np.take(touched, np.minimum(first + step, last), axis=axis)
        touched = union
    return touched
