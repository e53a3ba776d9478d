"""Zones: what must never be visible, as polygons in normalised coordinates.

Coordinates run from 0 to 1, x to the right and y down, over the picture as it is
delivered (after rotation), in the manner of ONVIF. A zone is a simple polygon of
at least three points. `agent.core.masking.blocks` turns zones into the pixels of
one stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

Point = tuple[float, float]

MAX_POINTS = 64  # a drawn private area has a dozen; a bound keeps a signed document from stalling the recorder


@dataclass(frozen=True, slots=True, order=True)
class View:
    """The picture that zones were drawn over; a stream of another shape does not show the same scene.

    Attributes:
        aspect_width: With `aspect_height`, the shape of the delivered picture, such as 16 and 9.
        aspect_height: See `aspect_width`.
        rotation_degrees: Rotation the camera applied: 0, 90, 180 or 270, clockwise.
    """

    aspect_width: int = 16
    aspect_height: int = 9
    rotation_degrees: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One private area.

    Attributes:
        name: What people call it, such as "windows of No. 14".
        polygon: Corners in order, each (x, y) in 0..1; closed implicitly.

    Raises:
        ValueError: Fewer than three corners, a corner outside 0..1, or sides that cross.
    """

    name: str
    polygon: tuple[Point, ...]

    def __post_init__(self) -> None:
        if not 3 <= len(self.polygon) <= MAX_POINTS:  # noqa: PLR2004
            raise ValueError(f"zone {self.name!r} has {len(self.polygon)} corners, expected 3 to {MAX_POINTS}")
        for x, y in self.polygon:
            if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):  # also refuses NaN
                raise ValueError(f"zone {self.name!r} has a corner at ({x}, {y}), expected both within 0 to 1")
        if _crosses_itself(self.polygon):
            raise ValueError(f"the sides of zone {self.name!r} cross each other")


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _crosses_itself(polygon: Sequence[Point]) -> bool:
    sides = list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))
    return any(
        _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0
        for (a, b), (c, d) in combinations(sides, 2)
    )
