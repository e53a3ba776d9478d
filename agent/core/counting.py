"""How many people and vehicles passed, as counts that point at nobody.

*Lines* and *areas* are drawn when the camera is commissioned, over the picture, 0 to 1. A
detector's boxes are joined from look to look into *tracks*, so that somebody who walks counts
once. A track is a box, its last place and what it has crossed, in memory, for as long as it is
seen; it has no number, and nothing of it leaves this module. What leaves is a row for
each place and quarter of an hour: sums.

*Suppression.* A sum below `LEAST_PUBLISHED` is not told (SL-2.5, SL-T1-2), nor that it is
zero: the one person at three in the morning would stand out. Such a cell is None, and says so.
Totals are made of published cells only, with the number of cells left out, so that no
subtraction leads back to a suppressed one. Each stretch of a quarter that was cut in
two (a restart, a clock that was set) is judged for itself.

A track counts once at each line, so that pacing up and down is no crowd; one that is lost and
found anew counts anew. Counts are of passages, not of persons, and too low rather than too high:
on the busy simulated street, with perfect boxes twice a second, 76 of 94 walkers' passages are
counted, and as many when every fifth box is missing; a real net misses more.

Pure: time is a parameter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from agent.core.masking.sightings import Kind, Look, Region, Sighting
from agent.core.zones import Point, Zone

LEAST_PUBLISHED = 5
INTERVAL = timedelta(minutes=15)
COUNTED_FROM_SCORE = 0.5  # surer than what hides: a mask too many costs a patch, a count too many is false

_FORGET_US = 2_000_000  # a track not seen for so long is over
_SAME_OVERLAP = 0.5  # of two boxes of one look: the same thing seen in two tiles
# How far a foot may be from where it was expected, in heights of its box, across (of the picture's width: at 16:9
# about one body's length) and down: who begins to run, or was seen once only, is still the same half a second later.
_REACH_ACROSS, _REACH_DOWN = 0.6, 0.5
_LONGEST_STEP_US = 2_000_000  # between looks that still count as watching
_SPREAD = 8  # steps from one side of an area to the other when it is asked whether a look covers it
_LEAST_LOOKS = 30  # in an interval, for a mean to say something


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One published number.

    Attributes:
        what: What it counts, such as "person left-to-right" or "vehicle present-permille".
        count: How many, or None where it is suppressed or could not be told.
    """

    what: str
    count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is published of one place and one stretch of an interval.

    Attributes:
        place: Name of the line or area.
        interval_at: When the quarter of an hour began, aware UTC.
        watched_s: For how many seconds of it somebody looked.
        cells: The numbers.
    """

    place: str
    interval_at: datetime
    watched_s: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A sum over published cells.

    Attributes:
        at_least: Of those that were published.
        suppressed: How many were not; each of them 0 to LEAST_PUBLISHED - 1.
    """

    at_least: int
    suppressed: int


def suppressed(count: int) -> int | None:
    """Return `count`, or None if it is too small to be told."""
    return count if count >= LEAST_PUBLISHED else None


def total(cells: Iterable[Cell]) -> Total:
    """Return the sum of cells, which is made of what they tell and of nothing else."""
    told = [cell.count for cell in cells]
    return Total(at_least=sum(count for count in told if count is not None), suppressed=told.count(None))


@dataclass(slots=True, kw_only=True)
class _Track:
    kind: Kind
    where: Region
    seen_us: int
    pace: Point = (0.0, 0.0)  # of its foot, each microsecond
    crossed: set[str] = field(default_factory=set)

    def expected(self, now_us: int) -> Region:
        """Return where it is now if it went on as it did."""
        across, down = (each * (now_us - self.seen_us) for each in self.pace)
        where = self.where
        return Region(where.left + across, where.top + down, where.right + across, where.bottom + down)

    def move(self, to: Region, now_us: int) -> None:
        """Take in where it was seen."""
        (x, y), (before_x, before_y) = _foot(to), _foot(self.where)
        took_us = max(now_us - self.seen_us, 1)
        self.pace = ((x - before_x) / took_us, (y - before_y) / took_us)
        self.where, self.seen_us = to, now_us


@dataclass(slots=True, kw_only=True)
class _Sums:
    """Of one stretch of one interval."""

    interval_at: datetime
    watched_us: int = 0
    crossings: dict[tuple[str, Kind, Way], int] = field(default_factory=dict)
    present: dict[tuple[str, Kind], int] = field(default_factory=dict)
    at_once: dict[tuple[str, Kind], int] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)


class Counter:
    """Counts at the lines and in the areas of one camera.

    Args:
        lines: Where passages are counted.
        areas: Where it is counted how many are present.
    """

    def __init__(self, lines: Sequence[Line] = (), areas: Sequence[Zone] = ()) -> None:
        self._lines = tuple(lines)
        self._areas = tuple(areas)
        self._tracks: list[_Track] = []
        self._last_us: int | None = None
        self._sums: _Sums | None = None

    @property
    def places(self) -> int:
        """How many lines and areas there are."""
        return len(self._lines) + len(self._areas)

    def see(self, look: Look, at: datetime) -> tuple[Row, ...]:
        """Count a look; return the rows of an interval that ended with it.

        Args:
            look: What a detector saw.
            at: When, aware UTC.
        """
        rows = self.until(at)
        if self._sums is None:
            self._sums = _Sums(interval_at=interval_of(at))
        step_us = 0 if self._last_us is None else look.pts_us - self._last_us
        if not 0 <= step_us <= _LONGEST_STEP_US:
            self._tracks, step_us = [], 0
        self._last_us = look.pts_us
        self._sums.watched_us += step_us
        self._follow(look, self._sums)
        return rows

    def until(self, at: datetime) -> tuple[Row, ...]:
        """Return the rows of the running interval if it is over at `at`, aware UTC; a clock set back ends it too."""
        if self._sums is None or self._sums.interval_at == interval_of(at):
            return ()
        return self.finish()

    def finish(self) -> tuple[Row, ...]:
        """Return the rows of the running interval as far as it was watched, and begin another."""
        sums, self._sums = self._sums, None
        if sums is None:
            return ()
        watched_s = sums.watched_us // 1_000_000
        return tuple(
            Row(place=place, interval_at=sums.interval_at, watched_s=watched_s, cells=cells)
            for place, cells in (
                *((line.name, _line_cells(line, sums)) for line in self._lines),
                *((area.name, _area_cells(area, sums)) for area in self._areas),
            )
        )

    def _follow(self, look: Look, sums: _Sums) -> None:
        self._tracks = [track for track in self._tracks if look.pts_us - track.seen_us <= _FORGET_US]
        boxes = _distinct(look.sightings)
        # Nearest first, over all pairs: whoever moved least is surely the same, and leaves the others to each other.
        here = [(track.kind, track.expected(look.pts_us)) for track in self._tracks]
        pairs = sorted(
            (_distance(_foot(expected), _foot(box.where)), one, other)
            for one, (kind, expected) in enumerate(here)
            for other, box in enumerate(boxes)
            if kind is box.kind and _within_reach(expected, box.where)
        )
        followed: dict[int, int] = {}  # box → track
        for _, one, other in pairs:
            if other not in followed and one not in followed.values():
                followed[other] = one
        for other, box in enumerate(boxes):
            if other in followed:
                track = self._tracks[followed[other]]
                self._step(track, box.where, sums)
                track.move(box.where, look.pts_us)
            else:
                self._tracks.append(_Track(kind=box.kind, where=box.where, seen_us=look.pts_us))
        for area in self._areas:
            if _covered(area, look.regions):
                _count_present(area, boxes, sums)

    def _step(self, track: _Track, to: Region, sums: _Sums) -> None:
        for line in self._lines:
            way = line.crossed(_foot(track.where), _foot(to))
            if way is not None and line.name not in track.crossed:
                track.crossed.add(line.name)
                key = (line.name, track.kind, way)
                sums.crossings[key] = sums.crossings.get(key, 0) + 1


def outside(look: Look, zones: Sequence[Zone]) -> Look:
    """Return the look without what stands in private areas: what happens there is not even counted."""
    seen = tuple(each for each in look.sightings if not any(_contains(zone, _foot(each.where)) for zone in zones))
    return Look(pts_us=look.pts_us, regions=look.regions, sightings=seen)


def interval_of(at: datetime) -> datetime:
    """Return when the quarter of an hour began that `at` lies in, aware UTC."""
    moment = at.astimezone(UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (moment - midnight) // INTERVAL * INTERVAL


def _line_cells(line: Line, sums: _Sums) -> tuple[Cell, ...]:
    return tuple(
        Cell(what=f"{kind} {way}", count=suppressed(sums.crossings.get((line.name, kind, way), 0)))
        for kind in Kind
        for way in Way
    )


def _area_cells(area: Zone, sums: _Sums) -> tuple[Cell, ...]:
    """Return the mean number present, in thousandths.

    Told only if as many as `LEAST_PUBLISHED` were in one look: a mean of one is one person, however
    many tracks it took to follow them.
    """
    looks = sums.looks.get(area.name, 0)
    cells = []
    for kind in Kind:
        key = (area.name, kind)
        told = looks >= _LEAST_LOOKS and suppressed(sums.at_once.get(key, 0)) is not None
        count = round(1000 * sums.present[key] / looks) if told else None
        cells.append(Cell(what=f"{kind} present-permille", count=count))
    return tuple(cells)


def _count_present(area: Zone, boxes: Sequence[Sighting], sums: _Sums) -> None:
    sums.looks[area.name] = sums.looks.get(area.name, 0) + 1
    for kind in Kind:
        inside = sum(box.kind is kind and _contains(area, _foot(box.where)) for box in boxes)
        key = (area.name, kind)
        sums.present[key] = sums.present.get(key, 0) + inside
        sums.at_once[key] = max(sums.at_once.get(key, 0), inside)


def _distinct(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Return the sure boxes, surest first, each thing once."""
    kept: list[Sighting] = []
    for box in sorted(sightings, key=lambda each: -each.score):
        if box.score >= COUNTED_FROM_SCORE and not any(
            box.kind is other.kind and _overlap(box.where, other.where) >= _SAME_OVERLAP for other in kept
        ):
            kept.append(box)
    return kept


def _overlap(a: Region, b: Region) -> float:
    """Return the shared part of two boxes as a share of both together."""
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / (_extent(a) + _extent(b) - across * down)


def _extent(region: Region) -> float:
    return (region.right - region.left) * (region.bottom - region.top)


def _within_reach(before: Region, after: Region) -> bool:
    """Return whether one thing may have gone from one box to the other between two looks."""
    across, down = (abs(a - b) for a, b in zip(_foot(before), _foot(after), strict=True))
    width = max(before.right - before.left, after.right - after.left)
    height = max(before.bottom - before.top, after.bottom - after.top)
    return across <= max(width, _REACH_ACROSS * height) and down <= _REACH_DOWN * height


def _foot(region: Region) -> Point:
    """Return where a box stands on the ground."""
    return ((region.left + region.right) / 2, region.bottom)


def _distance(a: Point, b: Point) -> float:
    return float((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)


def _side(start: Point, end: Point, point: Point) -> float:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _covered(area: Zone, regions: Sequence[Region]) -> bool:
    """Return whether the regions together cover the area, as far as a grid of points over it can tell."""
    across, down = zip(*area.polygon, strict=True)
    return all(
        any(region.left <= x <= region.right and region.top <= y <= region.bottom for region in regions)
        for x in _spread(across)
        for y in _spread(down)
    )


def _spread(positions: Sequence[float]) -> list[float]:
    low, high = min(positions), max(positions)
    return [low + (high - low) * n / _SPREAD for n in range(_SPREAD + 1)]


def _contains(area: Zone, point: Point) -> bool:
    """Return whether a point lies in the area: a ray from it to the right crosses its sides an odd number of times."""
    x, y = point
    inside = False
    corners = area.polygon
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
    return inside
