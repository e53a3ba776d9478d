"""On the simulated street, whose truth is known, cyclists, people on foot and vehicles are told apart and timed.

The boxes are what a net would draw around each figure, with a lower edge that trembles and one in five missing.
"""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from agent.adapters.street.scenario import Body, Kind, Person, Vehicle, preset
from agent.adapters.street.view import View
from agent.core.counting import Cell, Counter, Mode
from agent.core.ground import Ground, GroundPoint
from agent.core.masking.sightings import Kind as Seen
from agent.core.masking.sightings import Look, Region, Sighting
from agent.core.places import Line
from agent.core.video import FrameSize

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTES, LOOKS_HZ = 4, 2
LINE_Z_M, LEFT_M, RIGHT_M = 12.0, -8.6, 3.5
MISSED, TREMBLING = 0.2, 0.04
SIZES_M = {Body.CAR: (4.3, 1.8, 1.5), Body.VAN: (5.2, 2.0, 2.2), Body.BUS: (11.0, 2.5, 3.0)}
Truth = tuple[Mapping[Mode, int], Mapping[Mode, float]]
VIEW = View.of(FrameSize(1280, 720))


def seen(x_m: float, z_m: float, up_m: float = 0.0) -> tuple[float, float]:
    x, y = VIEW.pixel(x_m, up_m, z_m)
    return (x / VIEW.width_px, y / VIEW.height_px)


def measured() -> Ground:
    """Return the ground as somebody measured it who found six points."""
    places = ((-5.4, 5.7), (2.5, 7.4), (-10.0, 10.5), (4.8, 13.4), (-17.0, 17.8), (8.2, 22.6))
    return Ground([GroundPoint(at=seen(*each), metres=each) for each in places])


STREET = preset("cyclists")


def boxes(at_s: float, rng: Random) -> Iterator[Sighting]:
    for person in STREET.people:
        placed = person.path.at(at_s)
        if placed is not None:
            (x, foot), (_, head) = seen(placed.x_m, placed.z_m), seen(placed.x_m, placed.z_m, 1.7)
            half = (foot - head) * 0.1
            foot += (foot - head) * rng.uniform(-TREMBLING, TREMBLING)
            yield from framed(x - half, head, x + half, foot, Seen.PERSON)
    for vehicle in STREET.vehicles:
        placed = vehicle.path.at(at_s)
        if placed is not None:
            long, wide, high = SIZES_M[vehicle.body]
            corners = [
                seen(placed.x_m + side * wide / 2, placed.z_m + end * long / 2, up)
                for side in (-1, 1)
                for end in (-1, 1)
                for up in (0.0, high)
            ]
            across, down = zip(*corners, strict=True)
            yield from framed(min(across), min(down), max(across), max(down), Seen.VEHICLE)


def framed(left: float, top: float, right: float, bottom: float, kind: Seen) -> Iterator[Sighting]:
    """Yield the box as far as it is in the picture, if most of it is."""
    where = Region(max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0))
    if where.right - where.left > (right - left) / 2 and where.bottom - where.top > (bottom - top) / 2:
        yield Sighting(where=where, kind=kind, score=0.9)


def mode_of(one: Person | Vehicle) -> Mode:
    if isinstance(one, Vehicle):
        return Mode.VEHICLE
    return Mode.CYCLIST if one.kind is Kind.CYCLIST else Mode.PERSON


@pytest.fixture(scope="module")
def truth() -> Truth:
    """Return how many crossed the line, and how fast in the mean."""
    counts: Tally[Mode] = Tally()
    speeds: dict[Mode, float] = dict.fromkeys(Mode, 0.0)
    everybody: list[Person | Vehicle] = [*STREET.people, *STREET.vehicles]
    for one in everybody:
        before = None
        for n in range(MINUTES * 60 * LOOKS_HZ):
            placed = one.path.at(n / LOOKS_HZ)
            z_m = None if placed is None or not LEFT_M < placed.x_m < RIGHT_M else placed.z_m
            if placed is not None and z_m and before and (before < LINE_Z_M) != (z_m < LINE_Z_M):
                counts[mode_of(one)] += 1
                speeds[mode_of(one)] += placed.speed_m_s * 3.6
            before = z_m
    return counts, {mode: speeds[mode] / counts[mode] for mode in counts}


@pytest.fixture(scope="module")
def cells() -> dict[str, Cell]:
    rng = Random(5)
    counter = Counter([Line(name="line", start=seen(LEFT_M, LINE_Z_M), end=seen(RIGHT_M, LINE_Z_M))], ground=measured())
    for n in range(MINUTES * 60 * LOOKS_HZ):
        found = tuple(box for box in boxes(n / LOOKS_HZ, rng) if rng.random() >= MISSED)
        look = Look(pts_us=n * 1_000_000 // LOOKS_HZ, regions=(Region(0, 0, 1, 1),), sightings=found)
        assert counter.see(look, NOON + timedelta(seconds=n / LOOKS_HZ)) == ()
    (row,) = counter.finish()
    return {cell.what: cell for cell in row.cells}


def counted(cells: Mapping[str, Cell], mode: Mode) -> int:
    return sum(cells[f"{mode} {way}"].count or 0 for way in ("left-to-right", "right-to-left"))


@pytest.mark.parametrize(("mode", "least"), [(Mode.PERSON, 0.75), (Mode.CYCLIST, 0.75), (Mode.VEHICLE, 0.7)])
def test_most_are_counted_and_nobody_is_invented(
    cells: Mapping[str, Cell], truth: Truth, mode: Mode, least: float
) -> None:
    passed, _ = truth

    assert least * passed[mode] - 2 * 4 <= counted(cells, mode) <= 1.1 * passed[mode]  # each way is told in fives


@pytest.mark.parametrize(("mode", "off_kmh"), [(Mode.PERSON, 1.5), (Mode.CYCLIST, 2), (Mode.VEHICLE, 3)])
def test_mean_speeds_are_those_of_the_street(
    cells: Mapping[str, Cell], truth: Truth, mode: Mode, off_kmh: float
) -> None:
    _, mean_kmh = truth

    assert cells[f"{mode} left-to-right-kmh"].count == pytest.approx(mean_kmh[mode], abs=off_kmh)
