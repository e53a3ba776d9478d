"""Counts are right where they are told, too small ones are not told, and no sum leads back to them."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.counting import (
    INTERVAL,
    LEAST_PUBLISHED,
    Cell,
    Counter,
    Row,
    adds_up,
    interval_of,
    outside,
    told,
    total,
)
from agent.core.masking.sightings import Kind, Look, Region, Sighting
from agent.core.places import Line, Way
from agent.core.zones import Zone

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
WHOLE = (Region(0, 0, 1, 1),)
KERB = Line(name="kerb", start=(0.5, 1.0), end=(0.5, 0.0))  # who looks up the picture has the left to their left
PLAZA = Zone(name="plaza", polygon=((0.2, 0.2), (0.8, 0.2), (0.8, 0.9), (0.2, 0.9)))
STEP_US = 500_000


def somebody(x: float, y: float = 0.6, *, kind: Kind = Kind.PERSON, score: float = 0.9) -> Sighting:
    """Return a box whose foot is at (x, y)."""
    return Sighting(where=Region(x - 0.03, y - 0.2, x + 0.03, y), kind=kind, score=score)


class Street:
    """Shows a counter one look after the other."""

    def __init__(self, *places: Line | Zone) -> None:
        self.counter = Counter(
            [place for place in places if isinstance(place, Line)],
            [place for place in places if isinstance(place, Zone)],
        )
        self.pts_us = 0
        self.at = NOON

    def look(self, *seen: Sighting, regions: tuple[Region, ...] = WHOLE, step_us: int = STEP_US) -> tuple[Row, ...]:
        self.pts_us += step_us
        self.at += timedelta(microseconds=step_us)
        return self.counter.see(Look(pts_us=self.pts_us, regions=regions, sightings=seen), self.at)

    def walk(self, *xs: float, **how: object) -> None:
        """Let somebody walk through these places, then nobody for long enough to be forgotten."""
        for x in xs:
            self.look(somebody(x, **how))  # type: ignore[arg-type]
        for _ in range(6):
            self.look()

    def told(self) -> dict[str, int | None]:
        """Return the cells of the running interval, by place and what."""
        return {f"{row.place} {cell.what}": cell.count for row in self.counter.finish() for cell in row.cells}


ACROSS = (0.42, 0.46, 0.49, 0.53, 0.57)


def test_who_crosses_a_line_is_counted_by_way_and_kind() -> None:
    street = Street(KERB)
    for _ in range(7):
        street.walk(*ACROSS)
    for _ in range(5):
        street.walk(*reversed(ACROSS))
    for _ in range(6):
        street.walk(*ACROSS, kind=Kind.VEHICLE)

    assert street.told() == {
        "kerb person left-to-right": 5,
        "kerb person right-to-left": 5,
        "kerb vehicle left-to-right": 5,
        "kerb vehicle right-to-left": None,
    }


def test_a_foot_set_down_on_the_line_crosses_it_once() -> None:
    street = Street(KERB)
    for _ in range(5):
        street.walk(0.42, 0.46, 0.5, 0.54)

    assert street.told()["kerb person left-to-right"] == 5


def test_two_side_by_side_are_two() -> None:
    street = Street(KERB)
    for _ in range(5):
        for x in ACROSS:
            street.look(somebody(x, 0.6), somebody(x, 0.85))
        street.walk()

    assert street.told()["kerb person left-to-right"] == 10


def test_who_walks_behind_somebody_is_counted_too() -> None:
    street = Street(KERB)
    for _ in range(5):
        for x in ACROSS:
            far = Sighting(where=Region(x - 0.015, 0.42, x + 0.015, 0.55), kind=Kind.PERSON, score=0.7)
            street.look(somebody(x), far)
        street.walk()

    assert street.told()["kerb person left-to-right"] == 10


def test_one_seen_in_two_tiles_is_one_and_a_doubtful_one_none() -> None:
    street = Street(KERB)
    for _ in range(5):
        for x in ACROSS:
            street.look(somebody(x), somebody(x + 0.005, score=0.8), somebody(x, 0.9, score=0.4))
        street.walk()

    assert street.told()["kerb person left-to-right"] == 5


def test_pacing_up_and_down_is_no_crowd() -> None:
    street = Street(KERB)
    for _ in range(20):
        for x in (*ACROSS, *reversed(ACROSS)):
            street.look(somebody(x))

    assert set(street.told().values()) == {None}


def test_who_walks_past_the_end_of_a_line_does_not_cross_it() -> None:
    street = Street(Line(name="short", start=(0.5, 0.3), end=(0.5, 0.0)))
    for _ in range(9):
        street.walk(*ACROSS)

    assert set(street.told().values()) == {None}


def test_a_leap_is_not_a_step() -> None:
    street = Street(KERB)
    for _ in range(9):
        street.walk(0.2, 0.8)

    assert set(street.told().values()) == {None}


@pytest.mark.parametrize("step_us", [5_000_000, -4_000_000])
def test_over_a_gap_nobody_is_followed(step_us: int) -> None:
    street = Street(KERB)
    for _ in range(9):
        street.look(somebody(0.48))
        street.look(somebody(0.52), step_us=step_us)

    assert street.told()["kerb person left-to-right"] is None


def test_a_row_says_its_interval_and_for_how_long_it_was_watched() -> None:
    street = Street(KERB)
    rows: list[Row] = []
    while not rows:
        rows += street.look()

    assert [(row.place, row.interval_at) for row in rows] == [("kerb", NOON)]
    assert rows[0].watched_s == pytest.approx(INTERVAL.total_seconds(), abs=2)


def test_nothing_watched_is_nothing_told() -> None:
    assert Counter([KERB]).finish() == ()


@pytest.mark.parametrize(("minute", "begins"), [(0, 0), (14, 0), (15, 15), (59, 45)])
def test_intervals_are_quarters_of_the_hour(minute: int, begins: int) -> None:
    assert interval_of(NOON.replace(minute=minute, second=59)) == NOON.replace(minute=begins)


def crowd(count: int) -> Iterator[Sighting]:
    for n in range(count):
        yield somebody(0.22 + 0.05 * n)


def test_how_many_are_present_is_a_mean_over_the_looks_and_a_most() -> None:
    street = Street(PLAZA)
    for n in range(40):
        street.look(*crowd(11 if n % 2 else 4), somebody(0.5, 0.1))

    assert street.told() == {
        "plaza person present-mean": 5,  # 7.5
        "plaza person present-most": 10,
        "plaza vehicle present-mean": None,
        "plaza vehicle present-most": None,
    }


def test_a_mean_of_few_is_not_told_because_there_were_many_for_a_moment() -> None:
    street = Street(PLAZA)
    for n in range(40):
        street.look(*crowd(7 if n == 0 else 1))

    cells = street.told()
    assert (cells["plaza person present-mean"], cells["plaza person present-most"]) == (None, 5)


def test_who_looks_out_of_a_bus_does_not_walk() -> None:
    street = Street(KERB)
    for _ in range(6):
        for x in ACROSS:
            bus = Sighting(where=Region(x - 0.2, 0.2, x + 0.2, 0.7), kind=Kind.VEHICLE, score=0.9)
            street.look(bus, *(somebody(x + n / 10, 0.55) for n in (-1, 0, 1)))
        street.walk()

    cells = street.told()
    assert (cells["kerb person left-to-right"], cells["kerb vehicle left-to-right"]) == (None, 5)


def test_fewer_at_once_than_may_be_told_are_not_told_however_long_they_stay() -> None:
    street = Street(PLAZA)
    for _ in range(200):
        street.look(*crowd(LEAST_PUBLISHED - 1))

    assert set(street.told().values()) == {None}


def test_a_mean_of_a_few_looks_is_none() -> None:
    street = Street(PLAZA)
    for _ in range(10):
        street.look(*crowd(7))

    assert set(street.told().values()) == {None}


def test_who_is_in_a_private_area_is_not_counted() -> None:
    window = Zone(name="window", polygon=((0.4, 0.4), (0.6, 0.4), (0.6, 0.7), (0.4, 0.7)))
    look = Look(pts_us=1, regions=WHOLE, sightings=(somebody(0.5), somebody(0.8)))

    assert outside(look, [window]) == Look(pts_us=1, regions=WHOLE, sightings=(somebody(0.8),))


def test_a_look_at_a_part_says_nothing_about_an_area_beyond_it() -> None:
    street = Street(PLAZA)
    for _ in range(40):
        street.look(*crowd(7))
        street.look(regions=(Region(0, 0, 0.5, 0.5),))

    assert street.told()["plaza person present-mean"] == 5


def test_squares_that_cover_an_area_together_cover_it() -> None:
    street = Street(PLAZA)
    for _ in range(40):
        street.look(*crowd(7), regions=(Region(0, 0, 0.56, 1), Region(0.44, 0, 1, 1)))

    assert street.told()["plaza person present-mean"] == 5


@given(st.integers(0, 10_000))
def test_a_count_below_five_is_never_told_and_what_is_told_stands_for_five(count: int) -> None:
    same = [other for other in range(count - 5, count + 6) if other >= 0 and told(other) == told(count)]

    assert (told(count) is None) == (count < 5)
    assert len(same) == 5


@given(st.integers(0, 200), st.integers(0, 200))
def test_by_subtraction_nobody_learns_of_few(all_of_them: int, some_of_them: int) -> None:
    """Two places that share people: what the difference may be is never one to four and nothing else."""
    both = [told(all_of_them + some_of_them), told(some_of_them)]

    possible = {
        more
        for more in range(all_of_them + 10)
        for some in range(some_of_them + 5)
        if [told(more + some), told(some)] == both
    }

    assert len(possible) >= LEAST_PUBLISHED
    assert not possible <= set(range(1, LEAST_PUBLISHED))


@given(st.lists(st.integers(0, 30), max_size=12), st.data())
def test_a_total_tells_nothing_that_its_published_cells_do_not(counts: list[int], data: st.DataObject) -> None:
    """Any other numbers that are told alike give the same cells and the same total."""
    others = [count - count % 5 + data.draw(st.integers(0, 4)) for count in counts]

    cells, as_well = ([Cell(what="n", count=told(count)) for count in each] for each in (counts, others))

    assert cells == as_well
    assert total(cells) == total(as_well)
    assert total(cells).at_least <= sum(counts) <= total(cells).at_least + 4 * len(counts)
    assert total(cells).suppressed == sum(count < LEAST_PUBLISHED for count in counts)


def test_means_and_peaks_do_not_add_up() -> None:
    rows = _rows()
    sums = {cell.what for row in rows for cell in row.cells if adds_up(cell.what)}

    assert sums == {f"{kind} {way}" for kind, way in product(Kind, Way)}
    assert not adds_up("person_left_to_right_kmh")


def test_a_row_has_no_place_for_a_person() -> None:
    assert {each.name for each in fields(Row)} == {"place", "interval_at", "watched_s", "cells"}
    assert {each.name for each in fields(Cell)} == {"what", "count"}
    assert {cell.what for row in _rows() for cell in row.cells} == {
        *(f"{kind} {way}" for kind, way in product(Kind, Way)),
        *(f"{kind} present-{what}" for kind, what in product(Kind, ("mean", "most"))),
    }


def _rows() -> tuple[Row, ...]:
    street = Street(KERB, PLAZA)
    street.walk(*ACROSS)
    return street.counter.finish()
