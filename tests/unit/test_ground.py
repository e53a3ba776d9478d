"""Four measured points make a picture's ground metres; what does not say where the ground is, is refused."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.ground import Ground, GroundPoint

HEIGHT_M, FOCAL, TILT = 4.0, 1.2, math.radians(20)  # a camera; its focal length in heights of a square picture


def seen(across_m: float, ahead_m: float) -> tuple[float, float]:
    """Return where a point of the ground is in the picture."""
    along = ahead_m * math.cos(TILT) + HEIGHT_M * math.sin(TILT)
    down = HEIGHT_M * math.cos(TILT) - ahead_m * math.sin(TILT)
    return (0.5 + FOCAL * across_m / along, 0.5 + FOCAL * down / along)


def measured(*metres: tuple[float, float]) -> list[GroundPoint]:
    return [GroundPoint(at=seen(*each), metres=each) for each in metres]


CORNERS = ((-2.0, 6.0), (2.0, 6.0), (-5.0, 18.0), (5.0, 18.0))
STREET = measured(*CORNERS)


@given(st.floats(-1.9, 1.9), st.floats(6.1, 14.0))
def test_a_point_between_the_measured_ones_is_where_it_is(across_m: float, ahead_m: float) -> None:
    metres = Ground(STREET).metres(seen(across_m, ahead_m))

    assert metres == pytest.approx((across_m, ahead_m), abs=1e-6)


@given(st.permutations(STREET), st.floats(0, 6.28), st.sampled_from((-1, 1)))
def test_axes_and_order_are_as_one_likes(points: Sequence[GroundPoint], turn: float, hand: int) -> None:
    def turned(metres: tuple[float, float]) -> tuple[float, float]:
        x, y = metres[0] * hand + 100, metres[1] - 50
        return (x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn))

    ground = Ground([replace(each, metres=turned(each.metres)) for each in points])

    a, b = (ground.metres(seen(*each)) for each in ((0.0, 8.0), (1.0, 11.0)))
    assert a is not None
    assert b is not None
    assert math.dist(a, b) == pytest.approx(math.hypot(1, 3), abs=1e-6)


def test_six_points_that_were_measured_as_well_as_one_can_are_fitted() -> None:
    off = ((0.1, 0.0), (-0.1, 0.1), (0.0, -0.1), (0.1, 0.1), (-0.1, 0.0), (0.0, 0.1))
    points = measured(*CORNERS, (0.0, 10.0), (1.0, 13.0))
    trembling = [
        replace(each, metres=(each.metres[0] + dx, each.metres[1] + dy))
        for each, (dx, dy) in zip(points, off, strict=True)
    ]

    metres = Ground(trembling).metres(seen(0.5, 9.0))

    assert metres == pytest.approx((0.5, 9.0), abs=0.3)


@pytest.mark.parametrize("place", [(-4.0, 7.0), (0.0, 4.0), (0.0, 19.0)])
def test_outside_the_outermost_points_nothing_is_told(place: tuple[float, float]) -> None:
    assert Ground(STREET).metres(seen(*place)) is None


def test_where_a_hair_is_a_car_nothing_is_told() -> None:
    ground = Ground(measured((-2, 6), (2, 6), (-20, 60), (20, 60)))

    assert ground.metres(seen(0.0, 50.0)) is None
    assert ground.metres(seen(0.0, 12.0)) is not None


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([], "0 ground points, expected 4 to 16"),
        (STREET[:3], "3 ground points"),
        (STREET * 5, "20 ground points"),
        ([STREET[0]] * 4, "on one line or next to each other"),
        (measured((0, 6), (0, 9), (0, 12), (0, 15)), "on one line"),
        (measured((0, 6), (0, 9), (0, 12), (2, 12)), "on one line"),
        (measured((0, 6), (0.1, 6), (0, 6.1), (0.1, 6.1)), "next to each other"),
        ([STREET[0], STREET[1], replace(STREET[2], metres=(5, 18)), replace(STREET[3], metres=(-5, 18))], "swapped"),
        ([*STREET, replace(STREET[0], at=(0.5, 0.5))], "the ground points disagree"),
        (measured((-15, 60), (15, 60), (-20, 90), (20, 90)), "too flatly"),
    ],
)
def test_what_is_no_calibration_is_refused(points: Sequence[GroundPoint], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Ground(points)


@pytest.mark.parametrize(
    ("at", "metres"),
    [
        ((1.1, 0), (0, 0)),
        ((math.nan, 0), (0, 0)),
        ((0, 0), (math.nan, 0)),
        ((0, 0), (math.inf, 0)),
        ((0, 0), (0, 1800)),
    ],
)
def test_what_is_no_point_is_refused(at: tuple[float, float], metres: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="the ground point"):
        GroundPoint(at=at, metres=metres)


def pairs(least: float, most: float) -> st.SearchStrategy[tuple[float, float]]:
    return st.tuples(st.floats(least, most), st.floats(least, most))


@given(st.lists(st.builds(GroundPoint, at=pairs(0, 1), metres=pairs(-50, 50)), max_size=8))
def test_any_points_give_a_ground_or_a_reason(points: list[GroundPoint]) -> None:
    try:
        ground = Ground(points)
    except ValueError:
        return
    for each in points:
        metres = ground.metres(each.at)
        assert metres is None or math.dist(metres, each.metres) <= 0.5
