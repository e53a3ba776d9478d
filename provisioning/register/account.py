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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from agent.core.counting import Cell, Total, total
from agent.core.layer import Layer
from agent.core.log.leaf import Event

DAY = timedelta(days=1)
_NOTHING = timedelta(0)
# What a `counts` leaf says beside its cells; agent/recorder/counting_watch.py.
_NO_CELLS = frozenset({"place", "interval_at", "interval_s", "watched_s", "suppressed_below"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedDay:
    """What passed or stood at one place on one day (UTC), as far as it may be told.

    Attributes:
        place: Name of the line or area.
        what: What is counted, such as "person_left_to_right"; a name that ends in "_permille" is a mean and no sum.
        day: Which day.
        total: Of its quarters of an hour.
        told: How many quarters told their number; of a mean, the total divided by it is the mean.
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


def account_of(events: Iterable[Event], *, since: datetime, until: datetime) -> CameraAccount:
    """Return what a camera did within [since, until).

    Each event is looked at once and let go: a year of one camera is three million of them.

    Args:
        events: Of its log, in order; also from before the span, or what began before it is not known, and from
            after it, because a segment is logged when it ends.
        since: Beginning of the span, aware UTC.
        until: End of it, later than `since`.
    """
    tally = _Tally(since, until)
    for event in events:
        tally.see(event)
    return tally.account()


def instant_of(fact: object) -> datetime | None:
    """Return the instant that a fact of a leaf spells, or None."""
    if not isinstance(fact, str):
        return None
    try:
        at = datetime.fromisoformat(fact)
    except ValueError:
        return None
    return None if at.utcoffset() is None else at.astimezone(UTC)


def _is_segment(event: Event, layer: Layer) -> bool:
    return event.kind == "segment-stored" and event.facts.get("layer") == layer.value


def span_of(event: Event) -> tuple[datetime, datetime]:
    """Return what a segment covers, by its leaf; nothing at all where the leaf does not tell."""
    starts_at, ends_at = instant_of(event.facts.get("starts_at")), instant_of(event.facts.get("ends_at"))
    return (event.at, event.at) if starts_at is None or ends_at is None else (starts_at, ends_at)


def _clipped(starts_at: datetime, ends_at: datetime, since: datetime, until: datetime) -> timedelta:
    return max(min(ends_at, until) - max(starts_at, since), _NOTHING)


class _Tally:
    """The numbers of one span, while its events pass."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self._since, self._until = since, until
        self._kinds: Counter[str] = Counter()
        self._numbers: Counter[str] = Counter()
        self._removed: Counter[str] = Counter()
        self._by_day: dict[date, timedelta] = {}
        self._cells: dict[tuple[str, str, date], list[Cell]] = {}
        self._ran = _NOTHING
        self._started_at: datetime | None = None
        self._last_at: datetime | None = None  # of any event
        self._last_within: datetime | None = None

    def see(self, event: Event) -> None:
        """Take the next event into account."""
        if _is_segment(event, Layer.MASKED):
            self._see_segment(event)
        self._see_run(event)
        if not self._since <= event.at < self._until:
            return
        self._last_within = event.at if self._last_within is None else max(event.at, self._last_within)
        self._kinds[event.kind] += 1
        self._numbers["sealed_segments"] += _is_segment(event, Layer.SEALED)
        if event.kind == "removal":
            self._removed[str(event.facts.get("reason"))] += _number(event, "segments")
        elif event.kind == "erasure-done":
            self._removed["erased"] += _number(event, "segments")
        elif event.kind == "counts":
            self._see_counts(event)

    def account(self) -> CameraAccount:
        """Return what the events that were seen come to."""
        if self._started_at is not None and self._last_at is not None:
            self._run(self._started_at, self._last_at)
            self._started_at = None
        return CameraAccount(
            since=self._since,
            until=self._until,
            leaves=self._kinds.total(),
            last_at=self._last_within,
            starts=self._kinds["started"],
            ran=self._ran,
            recorded=sum(self._by_day.values(), _NOTHING),
            recorded_by_day=dict(sorted(self._by_day.items())),
            segments=self._numbers["segments"],
            truncated=self._numbers["truncated"],
            frames_stored=self._numbers["frames_stored"],
            frames_failed_closed=self._numbers["frames_failed_closed"],
            frames_dropped=self._numbers["frames_dropped"],
            sealed_segments=self._numbers["sealed_segments"],
            removed=dict(sorted(self._removed.items())),
            policies_applied=self._kinds["policy-applied"],
            policies_refused=self._kinds["policy-refused"],
            counted=tuple(
                CountedDay(
                    place=place,
                    what=what,
                    day=day,
                    total=total(cells),
                    told=sum(cell.count is not None for cell in cells),
                )
                for (place, what, day), cells in sorted(self._cells.items())
            ),
        )

    def _see_segment(self, event: Event) -> None:
        starts_at, ends_at = span_of(event)
        if self._since < ends_at <= self._until:  # each counts once, whichever spans it reaches into
            self._numbers["segments"] += 1
            self._numbers["truncated"] += event.facts.get("truncated") is True
            for name in ("frames_stored", "frames_failed_closed", "frames_dropped"):
                self._numbers[name] += _number(event, name)
        starts_at, ends_at = max(starts_at, self._since), min(ends_at, self._until)
        while starts_at < ends_at:
            day = starts_at.astimezone(UTC).date()
            midnight = datetime.combine(day, time(), UTC) + DAY
            self._by_day[day] = self._by_day.get(day, _NOTHING) + min(midnight, ends_at) - starts_at
            starts_at = midnight

    def _see_run(self, event: Event) -> None:
        """Follow from when to when the recorder ran, as far as its log tells."""
        if event.kind == "started":
            if self._started_at is not None and self._last_at is not None:
                self._run(self._started_at, self._last_at)
            self._started_at = event.at
        elif event.kind == "stopped" and self._started_at is not None:
            self._run(self._started_at, event.at)
            self._started_at = None
        self._last_at = event.at

    def _run(self, starts_at: datetime, ends_at: datetime) -> None:
        self._ran += _clipped(starts_at, ends_at, self._since, self._until)

    def _see_counts(self, event: Event) -> None:
        day = (instant_of(event.facts.get("interval_at")) or event.at).date()
        for what, count in event.facts.items():
            if what not in _NO_CELLS and (count is None or isinstance(count, int)):
                key = (str(event.facts.get("place")), what, day)
                self._cells.setdefault(key, []).append(Cell(what=what, count=count))


def _number(event: Event, name: str) -> int:
    fact = event.facts.get(name)
    return fact if isinstance(fact, int) else 0
