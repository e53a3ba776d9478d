"""What one camera did in a span of time, added up from the leaves of its log.

The numbers of the register and of the annual report are these. *Recorded* is the time that
segments of the masked layer cover; *ran* is the time between a start of the recorder and its
stop, or the last leaf before the next start where nothing said that it stopped. Everything is
clipped to the half-open span that is asked about, so that the days of a year add up to the year.

Counts of people and vehicles were suppressed by the camera where they were small (SL-2.5); sums
are made of what it told, and say how many cells were left out.

Pure: events in, a value out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from agent.core.counting import Cell, Total, total
from agent.core.layer import Layer
from agent.core.log.leaf import Event
from provisioning.backend.counts import row_of

DAY = timedelta(days=1)
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedDay:
    """What passed or stood at one place on one day (UTC), as far as it may be told.

    Attributes:
        place: Name of the line or area.
        what: What is counted, such as "person_left_to_right"; of what does not `adds_up`, the total means nothing
            by itself.
        day: Which day.
        total: Of its quarters of an hour.
        told: How many quarters told their number; of what is no sum, the total divided by it is the mean.
    """

    place: str
    what: str
    day: date
    total: Total
    told: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraAccount:
    """What one camera did within [since, until).

    Attributes:
        since: Beginning of the span, aware UTC.
        until: End of it.
        leaves: Entries of its log that are dated within it.
        last_at: The latest of them, or None.
        starts: How often its recorder started.
        ran: For how long it ran.
        recorded: For how long it recorded.
        recorded_by_day: The same, by day (UTC); days without a recording are not in it.
        segments: Segments of the masked layer that were stored.
        truncated: Those of them that an error or a power cut ended.
        frames_stored: Frames in them.
        frames_failed_closed: Those of them that were filled whole, because the masker could not vouch for them.
        frames_dropped: Frames that were given to the encoder and never reached the disk.
        sealed_segments: Segments of the sealed layer that were stored.
        removed: Segments that were removed, by reason: "expired", "evicted", "erased".
        policies_applied: How often it obeyed other documents than before.
        policies_refused: How often it refused what was published.
        counted: What passed, by place, what and day.
    """

    since: datetime
    until: datetime
    leaves: int = 0
    last_at: datetime | None = None
    starts: int = 0
    ran: timedelta = _NOTHING
    recorded: timedelta = _NOTHING
    recorded_by_day: Mapping[date, timedelta] = field(default_factory=dict)
    segments: int = 0
    truncated: int = 0
    frames_stored: int = 0
    frames_failed_closed: int = 0
    frames_dropped: int = 0
    sealed_segments: int = 0
    removed: Mapping[str, int] = field(default_factory=dict)
    policies_applied: int = 0
    policies_refused: int = 0
    counted: tuple[CountedDay, ...] = ()

    @property
    def uptime_ratio(self) -> float:
        """For which part of the span it ran, 0 to 1."""
        return self.ran / (self.until - self.since)


def account_of(
    events: Iterable[Event], *, since: datetime, until: datetime, running_since: datetime | None = None
) -> CameraAccount:
    """Return what a camera did within [since, until); reads the log once and keeps none of it.

    A segment counts where its end lies, and its time in the days that it covers.

    Args:
        events: Of its log, in order; also from before the span, or what began before it is not known.
        since: Beginning of the span, aware UTC.
        until: End of it, later than `since`.
        running_since: Since when its recorder runs as the events begin; None if it does not, or that is not known.
    """
    sums = _Sums(since=since, until=until, started_at=running_since)
    for event in events:
        sums.add(event)
    return sums.account()


@dataclass(slots=True, kw_only=True)
class _Sums:
    """What was read so far."""

    since: datetime
    until: datetime
    kinds: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    by_day: dict[date, timedelta] = field(default_factory=dict)
    cells: dict[tuple[str, str, date], list[Cell]] = field(default_factory=dict)
    ran: timedelta = _NOTHING
    started_at: datetime | None = None
    before_at: datetime | None = None  # the event before
    last_at: datetime | None = None  # the latest within the span

    def add(self, event: Event) -> None:
        """Take in the next event."""
        self._follow_run(event)
        if event.kind == "segment-stored":  # logged when it ends; one that began within may be logged after
            self._add_segment(event)
        if not self.since <= event.at < self.until:
            return
        self.kinds[event.kind] += 1
        self.last_at = event.at if self.last_at is None else max(self.last_at, event.at)
        match event.kind:
            case "removal":
                self.removed[str(event.facts.get("reason"))] += _number(event, "segments")
            case "erasure-done":
                self.removed["erased"] += _number(event, "segments")
            case "counts":
                self._add_counts(event)

    def account(self) -> CameraAccount:
        """Return the sums."""
        if self.started_at is not None and self.before_at is not None:
            self._ran(self.started_at, self.before_at)
        return CameraAccount(
            since=self.since,
            until=self.until,
            leaves=self.kinds.total(),
            last_at=self.last_at,
            starts=self.kinds["started"],
            ran=self.ran,
            recorded=sum(self.by_day.values(), _NOTHING),
            recorded_by_day=dict(sorted(self.by_day.items())),
            segments=self.frames["segments"],
            truncated=self.frames["truncated"],
            frames_stored=self.frames["frames_stored"],
            frames_failed_closed=self.frames["frames_failed_closed"],
            frames_dropped=self.frames["frames_dropped"],
            sealed_segments=self.frames["sealed"],
            removed=dict(sorted(self.removed.items())),
            policies_applied=self.kinds["policy-applied"],
            policies_refused=self.kinds["policy-refused"],
            counted=tuple(self._counted()),
        )

    def _follow_run(self, event: Event) -> None:
        if event.kind == "started":
            if self.started_at is not None and self.before_at is not None:
                self._ran(self.started_at, self.before_at)
            self.started_at = event.at
        elif event.kind == "stopped" and self.started_at is not None:
            self._ran(self.started_at, event.at)
            self.started_at = None
        self.before_at = event.at

    def _ran(self, starts_at: datetime, ends_at: datetime) -> None:
        self.ran += max(min(ends_at, self.until) - max(starts_at, self.since), _NOTHING)

    def _add_segment(self, event: Event) -> None:
        starts_at, ends_at = span_of(event)
        counts = self.since < ends_at <= self.until
        if event.facts.get("layer") != Layer.MASKED.value:
            self.frames["sealed"] += counts
            return
        if counts:
            self.frames["segments"] += 1
            self.frames["truncated"] += event.facts.get("truncated") is True
            for name in ("frames_stored", "frames_failed_closed", "frames_dropped"):
                self.frames[name] += _number(event, name)
        starts_at, ends_at = max(starts_at, self.since), min(ends_at, self.until)
        while starts_at < ends_at:
            day = starts_at.date()
            midnight = datetime.combine(day, time(), UTC) + DAY
            self.by_day[day] = self.by_day.get(day, _NOTHING) + min(midnight, ends_at) - starts_at
            starts_at = midnight

    def _add_counts(self, event: Event) -> None:
        row = row_of(event)
        if row is None:
            return
        for what, count in row.cells.items():
            key = (row.place, what, row.interval_at.date())
            self.cells.setdefault(key, []).append(Cell(what=what, count=count))

    def _counted(self) -> Iterator[CountedDay]:
        for (place, what, day), of_the_day in sorted(self.cells.items()):
            told = sum(cell.count is not None for cell in of_the_day)
            yield CountedDay(place=place, what=what, day=day, total=total(of_the_day), told=told)


def instant_of(fact: object) -> datetime | None:
    """Return the instant that a fact of a leaf spells, or None."""
    if not isinstance(fact, str):
        return None
    try:
        at = datetime.fromisoformat(fact)
    except ValueError:
        return None
    return None if at.utcoffset() is None else at.astimezone(UTC)


def span_of(event: Event) -> tuple[datetime, datetime]:
    """Return what a segment covers, UTC; nothing at all where its leaf does not tell."""
    starts_at, ends_at = instant_of(event.facts.get("starts_at")), instant_of(event.facts.get("ends_at"))
    return (event.at, event.at) if starts_at is None or ends_at is None else (starts_at, ends_at)


def _number(event: Event, name: str) -> int:
    fact = event.facts.get(name)
    return fact if isinstance(fact, int) else 0
