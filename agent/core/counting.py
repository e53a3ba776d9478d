"""How many people, cyclists and vehicles passed, and how fast, as sums that point at nobody.

*Lines* and *areas* (`agent.core.places`) are drawn when the camera is commissioned. A detector's boxes are joined into
*tracks* (`agent.core.tracks`), so that somebody who walks counts once. What leaves is a row for
each place and quarter of an hour: sums. COUNTING.md says in plain words what they promise and what they do not.

*Suppression.* What counts people is told in steps of `LEAST_PUBLISHED`, downwards, and not at all below it
(SL-2.5, SL-T1-2), nor that it is zero: the one person at three in the morning would stand out. Such a cell is None,
and says so. Each number told thus stands for five; the difference of two is known to four either way, so that
nobody learns by subtraction that one person crossed this line and not that one.
Totals are made of published cells only, with the number of cells left out. Each stretch of a quarter that was
cut in two (a restart, a clock that was set) is judged for itself.

*Speeds* need calibrated ground (`agent.core.ground`). A mean, in whole kilometres an hour, is told where at least
`LEAST_PUBLISHED` passages of one kind, one way, were measured. A *cyclist* is who the net takes for a person and who
goes at least `CYCLIST_FROM_KMH` in the median. Without calibration there is neither, rather than a zero.

A track counts once at each line, so that pacing up and down is no crowd; one that is lost and
found anew counts anew. Counts are of passages, not of persons, and too low rather than too high.

Pure: time is a parameter.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from statistics import fmean

from agent.core.ground import Ground
from agent.core.masking.sightings import Kind, Look, Sighting
from agent.core.places import Line, Way, contains, covered
from agent.core.tracks import ABOUT_US, LONGEST_STEP_US, Passage, Track, Tracks, distinct, foot
from agent.core.zones import Zone

LEAST_PUBLISHED = 5
INTERVAL = timedelta(minutes=15)
CYCLIST_FROM_KMH = 12.0  # a kilometre in five minutes: most who run are slower, most who ride are faster

_LEAST_LOOKS = 30  # in an interval, for a mean to say something
_NO_SUM = ("-mean", "-most", "-kmh", "-permille")  # the last: a mean, as cameras told it before


class Mode(StrEnum):
    """How somebody passes."""

    PERSON = "person"
    CYCLIST = "cyclist"
    VEHICLE = "vehicle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One published number.

    Attributes:
        what: What it says, such as "person left-to-right", "vehicle present-mean" or "cyclist left-to-right-kmh".
        count: How many, or how fast; None where it is suppressed or could not be told.
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


def told(count: int) -> int | None:
    """Return `count` down to a whole step of `LEAST_PUBLISHED`, or None if it is too small to be told."""
    return count - count % LEAST_PUBLISHED if count >= LEAST_PUBLISHED else None


def adds_up(what: str) -> bool:
    """Return whether cells of this name may be added, spelled as in a cell or as a fact of the log."""
    return not what.replace("_", "-").endswith(_NO_SUM)


def total(cells: Iterable[Cell]) -> Total:
    """Return the sum of cells, which is made of what they tell and of nothing else."""
    counts = [cell.count for cell in cells]
    return Total(at_least=sum(count for count in counts if count is not None), suppressed=counts.count(None))


@dataclass(slots=True, kw_only=True)
class _Sums:
    """Of one stretch of one interval."""

    interval_at: datetime
    watched_us: int = 0
    passages: dict[tuple[str, Mode, Way], int] = field(default_factory=dict)
    speeds_kmh: dict[tuple[str, Mode, Way], list[float]] = field(default_factory=dict)
    present: dict[tuple[str, Kind], int] = field(default_factory=dict)
    at_once: dict[tuple[str, Kind], int] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)

    def count_present(self, area: Zone, boxes: Sequence[Sighting]) -> None:
        """Take in who stands in an area at one look."""
        self.looks[area.name] = self.looks.get(area.name, 0) + 1
        for kind in Kind:
            inside = sum(box.kind is kind and contains(area, foot(box.where)) for box in boxes)
            key = (area.name, kind)
            self.present[key] = self.present.get(key, 0) + inside
            self.at_once[key] = max(self.at_once.get(key, 0), inside)


class Counter:
    """Counts at the lines and in the areas of one camera.

    Args:
        lines: Where passages are counted.
        areas: Where it is counted how many are present.
        ground: Where speeds can be told, or None.
    """

    def __init__(self, lines: Sequence[Line] = (), areas: Sequence[Zone] = (), ground: Ground | None = None) -> None:
        self._lines = tuple(lines)
        self._areas = tuple(areas)
        self._calibrated = frozenset(line.name for line in lines if ground is not None and _lies_on(ground, line))
        self._tracks = Tracks(ground)
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
        watching = 0 <= step_us <= LONGEST_STEP_US
        self._last_us = look.pts_us
        self._sums.watched_us += step_us if watching else 0
        for track in self._tracks.forget(look.pts_us) if watching else self._tracks.drop():
            self._count_passages(track, self._sums)
        for track in self._tracks.live:
            self._count_passages(track, self._sums, look.pts_us - ABOUT_US)
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
        for track in self._tracks.live:
            self._count_passages(track, sums)
        watched_s = sums.watched_us // 1_000_000
        return tuple(
            Row(place=place, interval_at=sums.interval_at, watched_s=watched_s, cells=tuple(cells))
            for place, cells in (
                *((line.name, self._line_cells(line, sums)) for line in self._lines),
                *((area.name, _area_cells(area, sums)) for area in self._areas),
            )
        )

    def _follow(self, look: Look, sums: _Sums) -> None:
        boxes = distinct(look)
        for track, before, after in self._tracks.follow(boxes, look.pts_us):
            for line in self._lines:
                way = line.crossed(before, after)
                if way is not None and line.name not in track.crossed:
                    track.crossed.add(line.name)
                    track.uncounted.append(Passage(place=line.name, way=way, at_us=look.pts_us))
        for area in self._areas:
            if covered(area, look.regions):
                sums.count_present(area, boxes)

    def _count_passages(self, track: Track, sums: _Sums, until_us: int | None = None) -> None:
        """Take over what a track crossed, up to an instant or all of it, unless the track is doubted."""
        if track.doubted:
            return
        for passage in [each for each in track.uncounted if until_us is None or each.at_us <= until_us]:
            track.uncounted.remove(passage)
            speed_kmh = track.speed_kmh(passage.at_us)
            mode = _mode_of(track.kind, speed_kmh if passage.place in self._calibrated else None)
            key = (passage.place, mode, passage.way)
            sums.passages[key] = sums.passages.get(key, 0) + 1
            if speed_kmh is not None:
                sums.speeds_kmh.setdefault(key, []).append(speed_kmh)

    def _line_cells(self, line: Line, sums: _Sums) -> Iterator[Cell]:
        calibrated = line.name in self._calibrated
        for mode in Mode:
            if mode is Mode.CYCLIST and not calibrated:
                continue
            for way in Way:
                key = (line.name, mode, way)
                yield Cell(what=f"{mode} {way}", count=told(sums.passages.get(key, 0)))
                if calibrated:
                    yield Cell(what=f"{mode} {way}-kmh", count=_mean_kmh(sums.speeds_kmh.get(key, ())))


def outside(look: Look, zones: Sequence[Zone]) -> Look:
    """Return the look without what stands in private areas: what happens there is not even counted."""
    seen = tuple(each for each in look.sightings if not any(contains(zone, foot(each.where)) for zone in zones))
    return Look(pts_us=look.pts_us, regions=look.regions, sightings=seen)


def interval_of(at: datetime) -> datetime:
    """Return when the quarter of an hour began that `at` lies in, aware UTC."""
    moment = at.astimezone(UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (moment - midnight) // INTERVAL * INTERVAL


def _mode_of(kind: Kind, speed_kmh: float | None) -> Mode:
    if kind is Kind.VEHICLE:
        return Mode.VEHICLE
    return Mode.CYCLIST if speed_kmh is not None and speed_kmh >= CYCLIST_FROM_KMH else Mode.PERSON


def _lies_on(ground: Ground, line: Line) -> bool:
    """Return whether speeds can be told all along a line: calibrated ground has no bays, so its ends say it."""
    return all(ground.metres(each) is not None for each in (line.start, line.end))


def _mean_kmh(speeds: Sequence[float]) -> int | None:
    return round(fmean(speeds)) if told(len(speeds)) is not None else None


def _area_cells(area: Zone, sums: _Sums) -> Iterator[Cell]:
    """Yield how many were present in the mean and at most.

    The mean is of the looks, whoever they saw: one person whom the net loses and finds again is one all the same.
    """
    looks = sums.looks.get(area.name, 0)
    for kind in Kind:
        key = (area.name, kind)
        enough = looks >= _LEAST_LOOKS
        yield Cell(what=f"{kind} present-mean", count=told(sums.present[key] // looks) if enough else None)
        yield Cell(what=f"{kind} present-most", count=told(sums.at_once[key]) if enough else None)
