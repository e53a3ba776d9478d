"""On a street of known truth, speeds are right, who rides is told from who walks, and of few neither is told."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.counting import INTERVAL, Counter, Row
from agent.core.ground import Ground, GroundPoint
from agent.core.masking.sightings import Kind, Look, Region, Sighting
from agent.core.places import Line

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
WHOLE = (Region(0, 0, 1, 1),)
LOOK_S = 0.5
HEIGHT_M, FOCAL, TILT, SHAPE = 4.5, 1.3, math.radians(20), 16 / 9  # of the camera; focal length in picture heights
TALL_M, WIDE_M = {Kind.PERSON: 1.7, Kind.VEHICLE: 1.5}, {Kind.PERSON: 0.6, Kind.VEHICLE: 1.8}

Where = Callable[[float], tuple[float, float]]  # seconds → metres across and ahead


def seen(across_m: float, ahead_m: float, up_m: float = 0.0) -> tuple[float, float]:
    """Return where a point is in the picture."""
    drop = HEIGHT_M - up_m
    along = ahead_m * math.cos(TILT) + drop * math.sin(TILT)
    down = drop * math.cos(TILT) - ahead_m * math.sin(TILT)
    return (0.5 + FOCAL / SHAPE * across_m / along, 0.5 + FOCAL * down / along)


CORNERS = ((-4.0, 7.0), (4.0, 7.0), (-9.0, 20.0), (9.0, 20.0))
GROUND = Ground([GroundPoint(at=seen(*each), metres=each) for each in CORNERS])
LANE = Line(name="lane", start=seen(0.0, 8.0), end=seen(0.0, 18.0))  # along the view: crossed from side to side
KERB = Line(name="kerb", start=seen(-4.0, 12.0), end=seen(4.0, 12.0))  # across the view: crossed towards the camera


def box(where: tuple[float, float], kind: Kind, rng: Random, trembling: float) -> Sighting | None:
    """Return what a net sees of somebody; its lower edge is off by up to so much of its height."""
    (x, foot), (_, head) = seen(*where), seen(*where, TALL_M[kind])
    half = (foot - head) / TALL_M[kind] * WIDE_M[kind] / SHAPE / 2
    foot += (foot - head) * rng.uniform(-trembling, trembling)
    if min(x - half, head) < 0 or max(x + half, foot) > 1:
        return None
    return Sighting(where=Region(x - half, head, x + half, foot), kind=kind, score=0.9)


def across(speed_kmh: float, ahead_m: float = 12.0) -> Where:
    return lambda at_s: (-7.0 + speed_kmh / 3.6 * at_s, ahead_m)


def towards(speed_kmh: float, across_m: float = 0.0) -> Where:
    return lambda at_s: (across_m, 24.0 - speed_kmh / 3.6 * at_s)


class Street:
    """Plays one after the other before a counter, at two looks a second."""

    def __init__(self, *lines: Line, ground: Ground | None = GROUND, trembling: float = 0.0, seed: int = 0) -> None:
        self.counter = Counter(lines, ground=ground)
        self.trembling = trembling
        self.rng = Random(seed)
        self.pts_us = 0
        self.at = NOON
        self.rows: list[Row] = []

    def look(self, *people: tuple[Where, Kind], at_s: float) -> None:
        self.pts_us += int(LOOK_S * 1_000_000)
        self.at += timedelta(seconds=LOOK_S)
        boxes = (box(where(at_s), kind, self.rng, self.trembling) for where, kind in people)
        seen_now = tuple(each for each in boxes if each is not None)
        self.rows += self.counter.see(Look(pts_us=self.pts_us, regions=WHOLE, sightings=seen_now), self.at)

    def play(self, *people: tuple[Where, Kind], seconds: float = 30.0) -> None:
        begins_s = self.rng.uniform(0, LOOK_S)
        for n in range(int(seconds / LOOK_S)):
            self.look(*people, at_s=begins_s + n * LOOK_S)

    def pass_by(self, where: Where, times: int, kind: Kind = Kind.PERSON) -> None:
        """Let them come and go one after the other: until they are out of the picture, and forgotten."""
        for _ in range(times):
            gone_s = next(n * LOOK_S for n in range(100) if where(n * LOOK_S)[0] > 7 or where(n * LOOK_S)[1] < 5)
            self.play((where, kind), seconds=gone_s + 3)

    def told(self) -> Mapping[str, int | None]:
        return {f"{row.place} {cell.what}": cell.count for row in self.counter.finish() for cell in row.cells}


@settings(max_examples=20)
@given(st.floats(3, 8), st.floats(8.5, 14), st.integers(0, 1000), st.sampled_from((0.0, 0.04)))
def test_who_walks_is_a_person_at_the_speed_they_have(speed: float, ahead: float, seed: int, trembling: float) -> None:
    street = Street(LANE, trembling=trembling, seed=seed)
    street.pass_by(across(speed, ahead), 5)

    cells = street.told()
    assert cells["lane person left-to-right"] == 5
    assert cells["lane person left-to-right-kmh"] == pytest.approx(speed, abs=1.5)
    assert cells["lane cyclist left-to-right"] is None


@settings(max_examples=20)
@given(st.floats(14, 30), st.floats(10, 14), st.integers(0, 1000), st.sampled_from((0.0, 0.04)))
def test_who_rides_is_a_cyclist_at_the_speed_they_have(speed: float, ahead: float, seed: int, trembling: float) -> None:
    street = Street(LANE, trembling=trembling, seed=seed)
    street.pass_by(across(speed, ahead), 6)

    cells = street.told()
    assert cells["lane cyclist left-to-right"] == 5
    assert cells["lane cyclist left-to-right-kmh"] == pytest.approx(speed, abs=2)
    assert cells["lane person left-to-right"] is None


@settings(max_examples=10)
@given(st.floats(15, 30), st.floats(-2, 2), st.integers(0, 1000))
def test_a_vehicle_has_its_speed_and_is_no_cyclist(speed: float, lane: float, seed: int) -> None:
    street = Street(KERB, seed=seed)
    street.pass_by(towards(speed, lane), 5, Kind.VEHICLE)

    cells = {what: count for what, count in street.told().items() if count is not None}
    assert cells == {
        "kerb vehicle left-to-right": 5,
        "kerb vehicle left-to-right-kmh": pytest.approx(speed, abs=2),
    }


@given(st.integers(1, 12), st.integers(0, 12))
@settings(max_examples=10)
def test_of_few_neither_number_nor_speed_is_told(walkers: int, riders: int) -> None:
    street = Street(LANE)
    street.pass_by(across(5), walkers)
    street.pass_by(across(18), riders)

    cells = street.told()
    for mode, passed, speed in (("person", walkers, 5), ("cyclist", riders, 18)):
        assert cells[f"lane {mode} left-to-right"] == (passed // 5 * 5 or None)
        assert cells[f"lane {mode} left-to-right-kmh"] == (speed if passed >= 5 else None)


def test_without_calibration_there_is_no_speed_and_no_cyclist_rather_than_none_of_them() -> None:
    street = Street(LANE, ground=None)
    street.pass_by(across(5), 5)

    assert street.told() == {
        "lane person left-to-right": 5,
        "lane person right-to-left": None,
        "lane vehicle left-to-right": None,
        "lane vehicle right-to-left": None,
    }


def test_a_line_beyond_the_measured_points_has_none_either_and_loses_nobody() -> None:
    beyond = Line(name="beyond", start=seen(-4.0, 21.0), end=seen(4.0, 21.0))
    street = Street(KERB, beyond)
    street.pass_by(towards(13), 5)

    cells = street.told()
    assert cells["kerb cyclist left-to-right"] == 5
    assert cells["beyond person left-to-right"] == 5
    assert [what for what in cells if what.startswith("beyond") and ("kmh" in what or "cyclist" in what)] == []


def test_whose_speed_was_not_measured_is_a_person() -> None:
    near = Line(name="near", start=seen(-4.0, 7.1), end=seen(4.0, 7.1))
    street = Street(near)
    for _ in range(5):
        for ahead in (7.3, 6.9, 6.5):  # on measured ground once only
            street.look((lambda _, ahead=ahead: (0.0, ahead), Kind.PERSON), at_s=0)  # type: ignore[misc]
        street.play(seconds=4)

    cells = street.told()
    assert cells["near person left-to-right"] == 5
    assert cells["near person left-to-right-kmh"] is None


def test_one_who_leaves_and_another_who_comes_are_no_cyclist() -> None:
    street = Street(LANE)
    for _ in range(10):  # seen once at the left, once at the right half a second later, then gone
        street.look((lambda _: (-2.0, 12.0), Kind.PERSON), at_s=0)
        street.look((lambda _: (2.0, 12.0), Kind.PERSON), at_s=0)
        street.play(seconds=4)

    assert set(street.told().values()) == {None}


def test_who_trembles_on_the_spot_has_no_speed_of_a_cyclist() -> None:
    street = Street(LANE, trembling=0.08)
    for _ in range(6):
        street.play((lambda at_s: (-0.3 + at_s / 40, 14.0), Kind.PERSON), seconds=24)
        street.play(seconds=3)

    cells = street.told()
    assert cells["lane person left-to-right"] == 5
    assert cells["lane cyclist left-to-right"] is None


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_is_set_changes_no_speed_and_moves_no_passage(jump: timedelta) -> None:
    street = Street(LANE)
    street.pass_by(across(5), 5)
    street.at += jump
    street.pass_by(across(18), 4)

    before, after = ({cell.what: cell.count for cell in row.cells} for row in (*street.rows, *street.counter.finish()))
    assert (before["person left-to-right"], before["person left-to-right-kmh"]) == (5, 5)
    assert set(after.values()) == {None}


@pytest.mark.parametrize("step_us", [-3_000_000, 5_000_000])
def test_a_monotonic_clock_that_leaps_ends_every_track_and_keeps_what_passed(step_us: int) -> None:
    street = Street(LANE)
    for _ in range(5):
        street.play((across(5), Kind.PERSON), seconds=8)  # past the line
        street.pts_us += step_us

    cells = street.told()
    assert cells["lane person left-to-right"] == 5
    assert cells["lane person left-to-right-kmh"] == 5


def test_a_passage_belongs_to_the_quarter_in_which_it_happened() -> None:
    street = Street(LANE)
    street.at = NOON + INTERVAL - timedelta(seconds=60)
    for _ in range(5):
        street.play((across(5), Kind.PERSON), seconds=8)
    street.play((across(5), Kind.PERSON), seconds=22)

    (row,) = street.rows
    assert row.interval_at == NOON
    assert {cell.what: cell.count for cell in row.cells}["person left-to-right"] == 5


share = st.floats(0, 1)
boxes_of_a_net = st.builds(
    Sighting,
    where=st.builds(Region, share, share, share, share),  # empty ones and ones inside out among them
    kind=st.sampled_from(Kind),
    score=st.floats(0.4, 1),
)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.lists(boxes_of_a_net, max_size=12), st.integers(-1_000_000, 3_000_000)), max_size=20))
def test_whatever_a_net_says_is_told_in_fives_or_not_at_all(looks: list[tuple[list[Sighting], int]]) -> None:
    street = Street(LANE, KERB)
    for seen_now, step_us in looks:
        street.pts_us += step_us
        look = Look(pts_us=street.pts_us, regions=WHOLE, sightings=tuple(seen_now))
        street.rows += street.counter.see(look, street.at)

    for what, count in street.told().items():
        assert count is None or (0 <= count <= 200 if what.endswith("-kmh") else count >= 5 and count % 5 == 0)
