"""What one camera did in a year, and which leaves of which of its logs say so.

The sums are those of the public register (`provisioning.register.account`); here is what the yearly
report asks besides: under which document it recorded, why frames were hidden whole, where the log
has holes or falls silent.

Pure: events in, a value out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from agent.core.layer import Layer
from agent.core.log.leaf import Event
from provisioning.footage.accounting import Hole
from provisioning.register.account import CameraAccount, account_of, span_of

MONTHS = 12
# A camera that hears from its city, which vouches daily for its policy, logs something every day, dark or not.
SILENT_AFTER = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """A calendar year in UTC, as far as it has gone.

    Attributes:
        number: Such as 2027.
        as_of: When the report is made; what is later is not known yet.
    """

    number: int
    as_of: datetime

    @property
    def since(self) -> datetime:
        """Its first instant."""
        return datetime(self.number, 1, 1, tzinfo=UTC)

    @property
    def ends_at(self) -> datetime:
        """The first instant of the next."""
        return datetime(self.number + 1, 1, 1, tzinfo=UTC)

    @property
    def until(self) -> datetime:
        """The first instant that is not told of."""
        return min(self.ends_at, self.as_of)

    @property
    def is_over(self) -> bool:
        """Whether all of it is told of."""
        return self.as_of >= self.ends_at

    def has(self, at: datetime) -> bool:
        """Whether `at` is in it."""
        return self.since <= at < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOrigin:
    """One log of a camera, before it is read.

    Attributes:
        camera: Whose.
        name: As its checkpoints call it.
        size: How many leaves the camera signed for.
        key_known: Whether its key is known from elsewhere than the log itself.
        witnessed: Up to how many leaves a witness vouches for it; 0 if none does.
        faults: What a witness, or whoever collected it, holds against it.
    """

    camera: str
    name: str
    size: int
    key_known: bool
    witnessed: int = 0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """What of one log is of the year.

    Attributes:
        origin: Which log.
        first: Index of its first leaf that is dated in the year, or None.
        last: Index of the last.
        begins_at: Date of its oldest leaf that is still there, whichever year; None if there is none.
        ends_at: Date of its newest.
        holes: Leaves of the year, as far as one can tell, of which only the hashes are left.
    """

    origin: LogOrigin
    first: int | None
    last: int | None
    begins_at: datetime | None
    ends_at: datetime | None
    holes: tuple[Hole, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraYear:
    """What one camera did.

    Attributes:
        camera: Its id.
        parts: Its logs, the oldest first.
        account: The sums.
        recorded_under: For how long it recorded under each document, by id.
        failed_closed: Frames that the masker hid whole, by its reason; also those of which nothing was stored.
        removed_bytes: Of footage, by reason.
        refused: How often it refused what was published, by the kind of error.
        kinds: Leaves by their kind.
        silent: Stretches without any leaf, longer than `SILENT_AFTER`.
    """

    camera: str
    parts: tuple[LogPart, ...]
    account: CameraAccount
    recorded_under: Mapping[str, timedelta] = field(default_factory=dict)
    failed_closed: Mapping[str, int] = field(default_factory=dict)
    removed_bytes: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict)
    silent: tuple[tuple[datetime, datetime], ...] = ()

    @property
    def recorded_by_month(self) -> tuple[timedelta, ...]:
        """For how long it recorded in each month."""
        months = [timedelta(0)] * MONTHS
        for day, recorded in self.account.recorded_by_day.items():
            months[day.month - 1] += recorded
        return tuple(months)

    def count(self, kind: str) -> int:
        """Return how many leaves of the year are of this kind."""
        return self.kinds.get(kind, 0)


def camera_year(camera: str, logs: Iterable[tuple[LogOrigin, Iterable[Event | Hole]]], year: Year) -> CameraYear:
    """Return what one camera did in a year.

    Args:
        camera: Its id.
        logs: Its logs and what they hold, the oldest first; each is read once, to its end.
        year: Which year.
    """
    watch = _Watch(year)
    account = account_of(watch.events(logs), since=year.since, until=year.until)
    return CameraYear(
        camera=camera,
        parts=tuple(watch.parts),
        account=account,
        recorded_under=dict(sorted(watch.under.items())),
        failed_closed=_most_first(watch.failed_closed),
        removed_bytes=dict(sorted(watch.removed_bytes.items())),
        refused=_most_first(watch.refused),
        kinds=dict(sorted(watch.kinds.items())),
        silent=tuple(watch.silent),
    )


class _Watch:
    """Notes what the account does not, while events pass on their way to it."""

    def __init__(self, year: Year) -> None:
        self._year = year
        self._before: datetime | None = None  # date of the leaf before, across logs
        self.parts: list[LogPart] = []
        self.under: dict[str, timedelta] = {}
        self.failed_closed: Counter[str] = Counter()
        self.removed_bytes: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.silent: list[tuple[datetime, datetime]] = []

    def events(self, logs: Iterable[tuple[LogOrigin, Iterable[Event | Hole]]]) -> Iterator[Event]:
        """Pass the events on, and note where they come from."""
        for origin, leaves in logs:
            part = _Part(origin, self._year)
            for each in leaves:
                part.see(each)
                if isinstance(each, Hole):
                    self._before = None  # what was lost may have spoken
                    continue
                self._see(each)
                yield each
            self.parts.append(part.done())

    def _see(self, event: Event) -> None:
        self._listen(event.at)
        if event.kind == "segment-stored" and event.facts.get("layer") == Layer.MASKED.value:
            self._see_segment(event)
        if not self._year.has(event.at):
            return
        self.kinds[event.kind] += 1
        match event.kind, event.facts:
            case "mask-recovered", {"reason": str(reason), "frames": int(frames)}:
                self.failed_closed[_plain(reason)] += frames
            case "removal", {"reason": str(reason), "bytes": int(size_bytes)}:
                self.removed_bytes[reason] += size_bytes
            case "erasure-done", {"bytes": int(size_bytes)}:
                self.removed_bytes["erased"] += size_bytes
            case "policy-refused", {"error": str(error)}:
                self.refused[error] += 1

    def _listen(self, at: datetime) -> None:
        before, self._before = self._before, at
        if before is None or at - before <= SILENT_AFTER:
            return
        begins, ends = max(before, self._year.since), min(at, self._year.until)
        if ends - begins > SILENT_AFTER:
            self.silent.append((begins, ends))

    def _see_segment(self, event: Event) -> None:
        starts_at, ends_at = span_of(event)
        recorded = min(ends_at, self._year.until) - max(starts_at, self._year.since)
        documents = event.facts.get("documents")
        if recorded > timedelta(0) and isinstance(documents, list):
            for document in documents:
                self.under[document] = self.under.get(document, timedelta(0)) + recorded


class _Part:
    """Notes which leaves of one log are of the year."""

    def __init__(self, origin: LogOrigin, year: Year) -> None:
        self._origin, self._year = origin, year
        self._first: int | None = None
        self._last: int | None = None
        self._begins_at: datetime | None = None
        self._ends_at: datetime | None = None
        self._holes: list[Hole] = []
        self._open: list[Hole] = []  # seen after the latest event: whether they are of the year, the next one tells

    def see(self, each: Event | Hole) -> None:
        """Take the next event, or the lack of one, into account."""
        if isinstance(each, Hole):
            self._open.append(each)
            return
        if each.at >= self._year.since:
            self._close()
        self._open.clear()
        self._begins_at = each.at if self._begins_at is None else self._begins_at
        self._ends_at = each.at
        if self._year.has(each.at):
            self._first = each.number if self._first is None else self._first
            self._last = each.number

    def done(self) -> LogPart:
        """Return what of the log is of the year."""
        self._close()
        return LogPart(
            origin=self._origin,
            first=self._first,
            last=self._last,
            begins_at=self._begins_at,
            ends_at=self._ends_at,
            holes=tuple(self._holes),
        )

    def _close(self) -> None:
        """Keep the holes that lie before the end of the year, as what follows them lies after its beginning."""
        if self._ends_at is None or self._ends_at < self._year.until:
            self._holes += self._open


def _plain(reason: str) -> str:
    """Return the reason without the name of the error that carried it."""
    name, colon, words = reason.partition(": ")
    return words if colon and name.isidentifier() and words else reason


def _most_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
