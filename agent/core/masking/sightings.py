"""What a detector saw, and for how long it is believed.

A *look* is one run of the detector over parts of one frame. A *sighting* is a box
in it. A sighting is believed where it was seen, grown, for `HOLD_US` after its
frame, whatever later looks say: detectors blink. Where the picture differs from the
scene it is believed for `MOVING_HOLD_US` only: there motion hides who it is, as long as they
are there, and a box that stays behind hides nobody.

A sighting is a place and a kind. It has no identity: nothing in here says that a
person seen now is one seen before.

Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from agent.core.masking.cells import CellGrid, Raster

HOLD_US = 2_000_000
MOVING_HOLD_US = 1_000_000  # two looks
MOVING_RATIO = 0.25  # of the box's cells; a person fills about half of theirs
GROW_ACROSS, GROW_DOWN = 0.25, 0.12  # of the box's width and height, on each side
MOST_SIGHTINGS = 200  # more in one look and the net has lost its mind; the look is refused


class Kind(StrEnum):
    """What may be seen."""

    PERSON = "person"
    VEHICLE = "vehicle"


class NonsenseError(Exception):
    """A net said what no net that works can say; the look does not count, and silence hides the frame."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the frame, 0-1 coordinates, half-open."""

    left: float
    top: float
    right: float
    bottom: float

    def grown(self, across: float, down: float) -> "Region":
        """Return the rectangle grown on each side by these shares of its width and height; negative shrinks."""
        dx, dy = (self.right - self.left) * across, (self.bottom - self.top) * down
        return Region(self.left - dx, self.top - dy, self.right + dx, self.bottom + dy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One box.

    Attributes:
        where: The box, not grown, within the frame.
        kind: What it is around.
        score: How sure the net is, 0 to 1.
    """

    where: Region
    kind: Kind
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One run of the detector.

    Attributes:
        pts_us: Of the frame that was looked at.
        regions: Which parts of it.
        sightings: What was in them.
    """

    pts_us: int
    regions: tuple[Region, ...]
    sightings: tuple[Sighting, ...]


class Sightings:
    """The sightings that are believed, on one raster."""

    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self._believed: list[tuple[int, Sighting]] = []  # until when, which
        self._drawn: dict[float, CellGrid] = {}  # by least score, of what is believed now

    def add(self, look: Look, moving: CellGrid) -> None:
        """Believe a look from now on.

        Args:
            look: What was seen.
            moving: Cells that are hidden because the picture differs from the scene there.
        """
        self._drawn.clear()
        for sighting in look.sightings:
            where = sighting.where
            cells = moving[self._raster.rectangle(where.left, where.top, where.right, where.bottom)]
            carried = cells.size > 0 and float(cells.mean()) >= MOVING_RATIO
            self._believed.append((look.pts_us + (MOVING_HOLD_US if carried else HOLD_US), sighting))

    def cells(self, now_us: int, *, least_score: float) -> CellGrid:
        """Return the cells that believed sightings of at least `least_score` touch, grown; not to be written into."""
        if any(now_us > until_us for until_us, _ in self._believed):
            self._believed = [one for one in self._believed if now_us <= one[0]]
            self._drawn.clear()
        if least_score not in self._drawn:
            believed = tuple(sighting for _, sighting in self._believed)
            self._drawn[least_score] = touched(
                self._raster, believed, least_score=least_score, across=GROW_ACROSS, down=GROW_DOWN
            )
        return self._drawn[least_score]


def touched(
    raster: Raster, sightings: tuple[Sighting, ...], *, least_score: float, across: float, down: float
) -> CellGrid:
    """Return the cells that sightings touch after growing them by these shares."""
    grid = np.zeros(raster.shape, np.bool_)
    for sighting in sightings:
        if sighting.score >= least_score:
            where = sighting.where.grown(across, down)
            grid[raster.rectangle(where.left, where.top, where.right, where.bottom)] = True
    return grid


def covered(raster: Raster, regions: tuple[Region, ...]) -> CellGrid:
    """Return the cells that lie in any of the regions."""
    grid = np.zeros(raster.shape, np.bool_)
    for region in regions:
        grid[raster.rectangle(region.left, region.top, region.right, region.bottom)] = True
    return grid
