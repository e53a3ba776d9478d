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

    Args:
        events: Of its log, in order; also from before the span, or what began before it is not known.
        since: Beginning of the span, aware UTC.
        until: End of it, later than `since`.
    """
    every = tuple(events)
    within = tuple(event for event in every if since <= event.at < until)
    # A segment is logged when it ends; one that began within the span may be logged after it.
    masked = [event for event in every if _is_segment(event, Layer.MASKED) and _covers(event, since, until)]
    kinds = Counter(event.kind for event in within)
    by_day = _by_day(masked, since, until)
    return CameraAccount(
        since=since,
        until=until,
        leaves=len(within),
        last_at=max((event.at for event in within), default=None),
        starts=kinds["started"],
        ran=sum((_clipped(*run, since, until) for run in _runs(every)), _NOTHING),
        recorded=sum(by_day.values(), _NOTHING),
        recorded_by_day=by_day,
        segments=len(_ended(masked, since, until)),
        truncated=sum(event.facts.get("truncated") is True for event in _ended(masked, since, until)),
        frames_stored=_sum(_ended(masked, since, until), "frames_stored"),
        frames_failed_closed=_sum(_ended(masked, since, until), "frames_failed_closed"),
        frames_dropped=_sum(_ended(masked, since, until), "frames_dropped"),
        sealed_segments=sum(_is_segment(event, Layer.SEALED) for event in within),
        removed=_removed(within),
        policies_applied=kinds["policy-applied"],
        policies_refused=kinds["policy-refused"],
        counted=tuple(_counted(within)),
    )


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


def _span_of(event: Event) -> tuple[datetime, datetime]:
    """Return what a segment covers; nothing at all where its leaf does not tell."""
    starts_at, ends_at = instant_of(event.facts.get("starts_at")), instant_of(event.facts.get("ends_at"))
    return (event.at, event.at) if starts_at is None or ends_at is None else (starts_at, ends_at)


def _covers(event: Event, since: datetime, until: datetime) -> bool:
    starts_at, ends_at = _span_of(event)
    return starts_at < until and ends_at > since


def _ended(segments: Iterable[Event], since: datetime, until: datetime) -> list[Event]:
    """Return the segments whose end lies within the span: each counts once, whichever spans it reaches into."""
    return [event for event in segments if since < _span_of(event)[1] <= until]


def _clipped(starts_at: datetime, ends_at: datetime, since: datetime, until: datetime) -> timedelta:
    return max(min(ends_at, until) - max(starts_at, since), _NOTHING)


def _by_day(segments: Iterable[Event], since: datetime, until: datetime) -> dict[date, timedelta]:
    days: dict[date, timedelta] = {}
    for event in segments:
        starts_at, ends_at = (min(max(at, since), until) for at in _span_of(event))
        while starts_at < ends_at:
            day = starts_at.astimezone(UTC).date()
            midnight = datetime.combine(day, time(), UTC) + DAY
            days[day] = days.get(day, _NOTHING) + min(midnight, ends_at) - starts_at
            starts_at = midnight
    return dict(sorted(days.items()))


def _runs(events: Iterable[Event]) -> Iterator[tuple[datetime, datetime]]:
    """Yield from when to when the recorder ran, as far as its log tells."""
    started: datetime | None = None
    last: datetime | None = None
    for event in events:
        if event.kind == "started":
            if started is not None and last is not None:
                yield started, last
            started = event.at
        elif event.kind == "stopped" and started is not None:
            yield started, event.at
            started = None
        last = event.at
    if started is not None and last is not None:
        yield started, last


def _removed(events: Iterable[Event]) -> dict[str, int]:
    removed: Counter[str] = Counter()
    for event in events:
        segments = event.facts.get("segments")
        count = segments if isinstance(segments, int) else 0
        if event.kind == "removal":
            removed[str(event.facts.get("reason"))] += count
        elif event.kind == "erasure-done":
            removed["erased"] += count
    return dict(sorted(removed.items()))


def _counted(events: Iterable[Event]) -> Iterator[CountedDay]:
    cells: dict[tuple[str, str, date], list[Cell]] = {}
    for event in events:
        if event.kind != "counts":
            continue
        day = (instant_of(event.facts.get("interval_at")) or event.at).date()
        for what, count in event.facts.items():
            if what not in _NO_CELLS and (count is None or isinstance(count, int)):
                key = (str(event.facts.get("place")), what, day)
                cells.setdefault(key, []).append(Cell(what=what, count=count))
    for (place, what, day), of_the_day in sorted(cells.items()):
        told = sum(cell.count is not None for cell in of_the_day)
        yield CountedDay(place=place, what=what, day=day, total=total(of_the_day), told=told)


def _sum(events: Iterable[Event], name: str) -> int:
    return sum(fact for event in events if isinstance(fact := event.facts.get(name), int))
