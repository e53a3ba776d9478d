"""Where on the ground a point of the picture lies, in metres.

Somebody measures points on a flat street, on any two axes at right angles, and finds them in the picture:
that is a *calibration*. From four such points on, one projective map takes the picture to the ground
(Hartley and Zisserman, Multiple View Geometry, 4.1: the direct linear transformation, normalised).

Such a map says something of every point, also where it says nonsense. So it is asked only between the outermost
points that were measured, and only where a hundredth of the picture's height is at most a metre: near the
horizon a box that is off by a hair is off by a car. What is no calibration is refused when it is made.

Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from agent.core.zones import Point

LEAST_POINTS = 4
MOST_POINTS = 16  # a person measures six
FARTHEST_M = 1000.0  # from where the axes meet; beyond it somebody wrote centimetres
_OFF_M = 0.5  # what a tape measure and a finger on a picture may differ by
_LEAST_TRIANGLE = 0.002  # of the picture: a tenth of its width and a twenty-fifth of its height
_LEAST_TRIANGLE_M2 = 1.0
_STEP = 0.01  # of the picture's height, at which it is asked how finely the ground is seen
_COARSEST_M = 1.0

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundPoint:
    """One point, twice.

    Attributes:
        at: In the picture, (x, y) in 0..1, y down.
        metres: On the ground.

    Raises:
        ValueError: One of the two is no such point.
    """

    at: Point
    metres: Point

    def __post_init__(self) -> None:
        if not all(0.0 <= each <= 1.0 for each in self.at):  # also refuses NaN
            raise ValueError(f"the ground point at {self.at} leaves the picture, expected both within 0 to 1")
        if not all(-FARTHEST_M <= each <= FARTHEST_M for each in self.metres):
            raise ValueError(f"the ground point {self.metres} m is farther than {FARTHEST_M:.0f} m")


class Ground:
    """A calibrated piece of ground.

    Args:
        points: At least four, no three of these four on one line.

    Raises:
        ValueError: The points do not say where the ground is.
    """

    def __init__(self, points: Sequence[GroundPoint]) -> None:
        if not LEAST_POINTS <= len(points) <= MOST_POINTS:
            raise ValueError(f"{len(points)} ground points, expected {LEAST_POINTS} to {MOST_POINTS}")
        at, metres = ([getattr(each, name) for each in points] for name in ("at", "metres"))
        if not _span_an_area(at, metres):
            raise ValueError("the ground points lie on one line or next to each other, expected four that span an area")
        fitted = _fit(np.array(at), np.array(metres))
        self._to_ground, self._to_picture = fitted.tolist(), np.linalg.inv(fitted).tolist()
        depths = [sum(a * b for a, b in zip(self._to_ground[2], (*each, 1.0), strict=True)) for each in at]
        if min(depths) * max(depths) <= 0:
            raise ValueError(
                "the horizon would lie between the ground points; two of them are swapped, or one is wrong"
            )
        off = [math.dist(self._project(each), where) for each, where in zip(at, metres, strict=True)]
        if max(off) > _OFF_M:
            worst = points[off.index(max(off))]
            raise ValueError(
                f"the ground points disagree: {worst.metres} m would lie {max(off):.1f} m from there,"
                f" expected at most {_OFF_M} m"
            )
        self._outline = _hull(at)
        if not any(self._is_fine(each) for each in at):
            raise ValueError(
                "the ground is seen too flatly: a hundredth of the picture is more than a metre everywhere"
            )

    def metres(self, at: Point) -> Point | None:
        """Return where on the ground a point of the picture lies, or None where that is not known well enough."""
        sides = zip(self._outline, (*self._outline[1:], self._outline[0]), strict=True)
        if any(_turn(a, b, at) < 0 for a, b in sides) or not self._is_fine(at):
            return None
        return self._project(at)

    def at(self, metres: Point) -> Point:
        """Return where in the picture a point of the ground lies; may be outside."""
        return _mapped(self._to_picture, metres)

    def _project(self, at: Point) -> Point:
        return _mapped(self._to_ground, at)

    def _is_fine(self, at: Point) -> bool:
        return math.dist(self._project(at), self._project((at[0], at[1] + _STEP))) <= _COARSEST_M


def _mapped(rows: Sequence[Sequence[float]], point: Point) -> Point:
    """Return where a projective map takes a point; plain numbers, for it is asked for each box of each look."""
    x, y, depth = (row[0] * point[0] + row[1] * point[1] + row[2] for row in rows)
    depth = depth or 1e-12  # the horizon itself: far away, and no error
    return (x / depth, y / depth)


def _span_an_area(at: Sequence[Point], metres: Sequence[Point]) -> bool:
    """Return whether there are four points of which no three lie on one line, in the picture or on the ground."""
    return any(
        all(
            abs(_turn(*(at[n] for n in three))) / 2 >= _LEAST_TRIANGLE
            and abs(_turn(*(metres[n] for n in three))) / 2 >= _LEAST_TRIANGLE_M2
            for three in combinations(four, 3)
        )
        for four in combinations(range(len(at)), LEAST_POINTS)
    )


def _fit(at: Matrix, metres: Matrix) -> Matrix:
    """Return the map from picture to ground, (3, 3), that fits (n, 2) points best."""
    from_at, from_metres = _to_unit(at), _to_unit(metres)
    rows = []
    for one, other in zip(at, metres, strict=True):
        x, y, _ = from_at @ (*one, 1.0)
        u, v, _ = from_metres @ (*other, 1.0)
        rows += [(-x, -y, -1, 0, 0, 0, u * x, u * y, u), (0, 0, 0, -x, -y, -1, v * x, v * y, v)]
    *_, directions = np.linalg.svd(np.array(rows), full_matrices=True)
    fitted: Matrix = np.linalg.inv(from_metres) @ directions[-1].reshape(3, 3) @ from_at
    return fitted


def _to_unit(points: Matrix) -> Matrix:
    """Return the map that moves points about the origin and makes their mean distance from it the root of two."""
    middle = points.mean(axis=0)
    scale = math.sqrt(2) / float(np.linalg.norm(points - middle, axis=1).mean())
    return np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])


def _hull(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the outermost points in the order in which `_turn` from one to the next is positive (monotone chain)."""

    def half(ordered: Sequence[Point]) -> list[Point]:
        chain: list[Point] = []
        for each in ordered:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], each) <= 0:
                chain.pop()
            chain.append(each)
        return chain[:-1]

    ordered = sorted(points)
    return (*half(ordered), *half(ordered[::-1]))


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
