"""Lines and areas are where they were drawn, and what is none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.masking.sightings import Region
from agent.core.places import Line, Way, contains, covered, overlap
from agent.core.zones import Zone

KERB = Line(name="kerb", start=(0.5, 1.0), end=(0.5, 0.0))


def square(left: float, top: float, right: float, bottom: float) -> Zone:
    return Zone(name="square", polygon=((left, top), (right, top), (right, bottom), (left, bottom)))


@pytest.mark.parametrize(
    ("start", "end"), [((0.1, 0.1), (0.1, 0.1)), ((-0.1, 0), (1, 1)), ((0, 0), (1, 1.1)), ((float("nan"), 0), (1, 1))]
)
def test_a_line_that_is_none_is_refused(start: tuple[float, float], end: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="line 'x'"):
        Line(name="x", start=start, end=end)


@given(st.floats(0, 0.49), st.floats(0.51, 1), st.floats(0, 1))
def test_there_and_back_are_the_two_ways(left: float, right: float, y: float) -> None:
    assert KERB.crossed((left, y), (right, y)) is Way.LEFT_TO_RIGHT
    assert KERB.crossed((right, y), (left, y)) is Way.RIGHT_TO_LEFT


def test_an_area_with_a_bay_does_not_contain_the_bay() -> None:
    bay = Zone(name="u", polygon=((0, 0), (1, 0), (1, 1), (0.6, 1), (0.6, 0.4), (0.4, 0.4), (0.4, 1), (0, 1)))

    assert contains(bay, (0.2, 0.8))
    assert not contains(bay, (0.5, 0.8))


def test_regions_cover_an_area_together_or_not() -> None:
    halves = (Region(0, 0, 0.5, 1), Region(0.5, 0, 1, 1))

    assert covered(square(0.2, 0.2, 0.8, 0.8), halves)
    assert not covered(square(0.2, 0.2, 0.8, 0.8), halves[:1])


@pytest.mark.parametrize(
    ("other", "overlaps"),
    [
        (square(0.1, 0.1, 0.3, 0.3), True),  # within
        (square(0.4, 0.4, 0.9, 0.9), True),
        (square(0.5, 0.0, 0.9, 0.5), False),  # side by side
        (square(0.6, 0.6, 0.9, 0.9), False),
    ],
)
def test_areas_that_share_more_than_a_side_overlap(other: Zone, *, overlaps: bool) -> None:
    assert overlap(square(0, 0, 0.5, 0.5), other) is overlaps
    assert overlap(other, square(0, 0, 0.5, 0.5)) is overlaps
