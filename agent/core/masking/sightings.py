"""What a detector saw, and for how long it is believed.

A *look* is one run of the detector over parts of one frame. A *sighting* is a box
in it. A sighting is believed where it was seen, grown, for `HOLD_US` after its
frame, whatever later looks say: detectors blink. One that moves is carried along
by its last step.

A sighting is a place and a kind. It has no identity: nothing in here says that a
person seen now is one seen before.

Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from agent.core.masking.cells import CellGrid, Raster

HOLD_US = 2_000_000
GROW_ACROSS, GROW_DOWN = 0.25, 0.12  # of the box's width and height, on each side
MOST_SIGHTINGS = 200  # more in one look and the net has lost its mind; the look is refused
MOST_LOOKS = 16


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
    """The sightings of the last two seconds, on one raster."""

    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self._looks: list[Look] = []

    def add(self, look: Look) -> None:
        """Believe a look from now on."""
        self._looks.append(look)
        del self._looks[:-MOST_LOOKS]

    def cells(self, now_us: int, *, least_score: float) -> CellGrid:
        """Return the cells that believed sightings of at least `least_score` touch, grown."""
        self._looks = [look for look in self._looks if now_us - look.pts_us <= HOLD_US]
        grid = np.zeros(self._raster.shape, np.bool_)
        for look in self._looks:
            grid |= touched(self._raster, look.sightings, least_score=least_score, across=GROW_ACROSS, down=GROW_DOWN)
        return grid


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
