"""Count what a detector sees, and put a row into the log for each place and quarter of an hour.

While something is recorded, the detector is the one that hides people, and its looks are counted as they
pass. Where only counts are permitted there is no mask, no encoder and no file: a detector
of the decision's list gets the frames, and nothing of them is kept. In every other case
nothing is counted: a camera that is dark because nothing permits it to look does not look.

A place without an approved detector has no rows; rows of an interval that nobody watched to
its end say for how long it was watched.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import combinations

from agent.config import CountingSection
from agent.core.counting import INTERVAL, LEAST_PUBLISHED, Counter, Row, outside
from agent.core.ground import Ground, GroundPoint
from agent.core.masking.sightings import Look
from agent.core.places import Line, overlap
from agent.core.policy.decision import ApprovedModel, Decision, PeopleMode
from agent.core.video import RawFrame
from agent.core.zones import Zone
from agent.errors import ConfigurationError, ModelRefusedError
from agent.ports import Detector, EventLog, Fact

_log = logging.getLogger(__name__)

Models = tuple[ApprovedModel, ...]
RETRY_EVERY_US = timedelta(seconds=60) // timedelta(microseconds=1)


def counting_places(section: CountingSection) -> Counter:
    """Return a counter for the places of the configuration.

    Raises:
        ConfigurationError: One of them is none, two have one name, two areas overlap, or the ground is not calibrated
            by what says so.
    """
    names = [*(line.name for line in section.lines), *(area.name for area in section.areas)]
    if len(names) != len(set(names)):
        raise ConfigurationError("two places of [counting] have the same name")
    try:
        lines = [Line(name=line.name, start=line.start, end=line.end) for line in section.lines]
        areas = [Zone(name=area.name, polygon=area.polygon) for area in section.areas]
        points = [GroundPoint(at=point.at, metres=point.metres) for point in section.ground]
        ground = Ground(points) if points else None
    except ValueError as error:
        raise ConfigurationError(f"[counting]: {error}") from error
    for one, other in combinations(areas, 2):
        if overlap(one, other):
            raise ConfigurationError(
                f"[counting]: areas {one.name!r} and {other.name!r} overlap: by subtraction they would tell of few",
                hint="draw them apart",
            )
    return Counter(lines, areas, ground)


class CountingWatch:
    """Follows the looks of whatever detector the decision permits.

    Args:
        counter: What is counted where.
        open_detector: Starts a detector that is on a list; raises ModelRefusedError.
        log: Where the rows go; one that cannot be written stops nothing.
    """

    def __init__(self, counter: Counter, open_detector: Callable[[Models], Detector], log: EventLog) -> None:
        self._counter = counter
        self._open = open_detector
        self._log = log
        self._at: datetime | None = None  # of the latest frame
        self._zones: Sequence[Zone] = ()
        self._own: Detector | None = None
        self._own_models: Models = ()
        self._retry_at_us = 0
        self._refused: Models | None = None

    def tapped(self, approved: Models) -> Detector:
        """Start a detector for the people mask whose looks are counted as they pass.

        Raises:
            ModelRefusedError: None of the list can be started.
        """
        return _Tapped(self._open(approved), self._see)

    def glance(self, frame: RawFrame, decision: Decision) -> None:
        """Take note of a frame's time; where only counts are permitted, have it looked at."""
        self._at, self._zones = frame.captured_at, decision.zones
        self._publish(self._counter.until(frame.captured_at))
        if not self._counter.places or not counts_only(decision):
            self._close_own()
            return
        self._follow(frame, decision.models)
        if self._own is not None:
            self._own.offer(frame)
            for look in self._own.looks():
                self._see(look)

    def close(self) -> None:
        """Publish what was counted so far, and stop looking."""
        self._publish(self._counter.finish())
        self._close_own()

    def _follow(self, frame: RawFrame, models: Models) -> None:
        """Have the detector that the decision lists."""
        if models != self._own_models:
            self._close_own()
            self._own_models, self._retry_at_us = models, frame.pts_us
        if self._own is not None or frame.pts_us < self._retry_at_us:
            return
        self._retry_at_us = frame.pts_us + RETRY_EVERY_US
        try:
            self._own = self._open(models)
        except ModelRefusedError as error:
            if self._refused != models:
                _log.error("counting: %s", error)
                self._log.append("model-refused", frame.captured_at, reason=str(error))
            self._refused = models

    def _close_own(self) -> None:
        if self._own is not None:
            self._own.close()
        self._own, self._own_models = None, ()

    def _see(self, look: Look) -> None:
        if self._at is not None:
            self._publish(self._counter.see(outside(look, self._zones), self._at))

    def _publish(self, rows: Sequence[Row]) -> None:
        for row in rows:
            at = self._at or row.interval_at
            self._log.append("counts", at, **facts_of(row))


class _Tapped:
    """A detector whose looks somebody else sees too."""

    def __init__(self, detector: Detector, see: Callable[[Look], None]) -> None:
        self._detector = detector
        self._see = see

    def offer(self, frame: RawFrame) -> None:
        """Look at a frame soon, or not."""
        self._detector.offer(frame)

    def looks(self) -> Sequence[Look]:
        """Return the looks that ended since the last call, oldest first."""
        looks = self._detector.looks()
        for look in looks:
            self._see(look)
        return looks

    def close(self) -> None:
        """Stop looking."""
        self._detector.close()


def counts_only(decision: Decision) -> bool:
    """Return whether frames may be looked at by an approved net, and none of them kept."""
    return not decision.recording and decision.people is PeopleMode.COUNTS_ONLY and bool(decision.models)


def facts_of(row: Row) -> dict[str, Fact]:
    """Return a row as the facts of one event; a suppressed cell is None. Counts are in steps of `suppressed_below`."""
    cells: dict[str, Fact] = {cell.what.replace(" ", "_").replace("-", "_"): cell.count for cell in row.cells}
    return {
        "place": row.place,
        "interval_at": row.interval_at.isoformat(),
        "interval_s": INTERVAL // timedelta(seconds=1),
        "watched_s": row.watched_s,
        "suppressed_below": LEAST_PUBLISHED,
        **cells,
    }
