"""Where it is counted: lines and areas, drawn over the picture when the camera is commissioned.

Coordinates are those of `agent.core.zones`: 0 to 1, x to the right and y down.

Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent.core.masking.sightings import Region
from agent.core.zones import Point, Zone

_SPREAD = 8  # steps from one side of an area to the other when it is asked whether a look covers it
_FINE_SPREAD = 40  # when it is asked whether two areas overlap


class Way(StrEnum):
    """Which way a line was crossed, for one who stands at its start and looks to its end."""

    LEFT_TO_RIGHT = "left-to-right"
    RIGHT_TO_LEFT = "right-to-left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where passages are counted.

    Attributes:
        name: What people call it.
        start: One end, (x, y) in 0..1, y down.
        end: The other end.

    Raises:
        ValueError: An end lies outside the picture, or both are one point.
    """

    name: str
    start: Point
    end: Point

    def __post_init__(self) -> None:
        if not all(0.0 <= each <= 1.0 for each in (*self.start, *self.end)):  # also refuses NaN
            raise ValueError(f"line {self.name!r} leaves the picture, expected both ends within 0 to 1")
        if self.start == self.end:
            raise ValueError(f"line {self.name!r} has no length")

    def crossed(self, before: Point, after: Point) -> Way | None:
        """Return which way a step from `before` to `after` crosses the line, or None."""
        # On the line counts as beyond it, or a foot set down on it would never have crossed.
        left_before, left_after = (_side(self.start, self.end, each) < 0 for each in (before, after))
        if left_before == left_after:
            return None
        if _side(before, after, self.start) * _side(before, after, self.end) > 0:
            return None
        # y runs down, so what is right of the line has the positive sign.
        return Way.LEFT_TO_RIGHT if left_before else Way.RIGHT_TO_LEFT


def contains(area: Zone, point: Point) -> bool:
    """Return whether a point lies in the area: a ray from it to the right crosses its sides an odd number of times."""
    x, y = point
    inside = False
    corners = area.polygon
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
    return inside


def covered(area: Zone, regions: Sequence[Region]) -> bool:
    """Return whether the regions together cover the area, as far as a grid of points over it can tell."""
    across, down = zip(*area.polygon, strict=True)
    return all(
        any(region.left <= x <= region.right and region.top <= y <= region.bottom for region in regions)
        for x in _spread(min(across), max(across), _SPREAD)
        for y in _spread(min(down), max(down), _SPREAD)
    )


def overlap(one: Zone, other: Zone) -> bool:
    """Return whether two areas have more than a sliver in common."""
    (ax, ay), (bx, by) = (zip(*area.polygon, strict=True) for area in (one, other))
    return any(
        contains(one, (x, y)) and contains(other, (x, y))
        for x in _spread(max(min(ax), min(bx)), min(max(ax), max(bx)), _FINE_SPREAD)
        for y in _spread(max(min(ay), min(by)), min(max(ay), max(by)), _FINE_SPREAD)
    )


def _side(start: Point, end: Point, point: Point) -> float:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _spread(low: float, high: float, steps: int) -> list[float]:
    return [low + (high - low) * n / steps for n in range(steps + 1)]
