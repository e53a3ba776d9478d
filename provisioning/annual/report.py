"""The report as one value: all that its pages say, and nothing that they may not say.

Pure: what was read is put together, held against each other, and judged for what is missing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.core.log.leaf import Event
from agent.core.policy.documents import Grant
from agent.errors import NotesFormatError, UsageError
from provisioning.annual.camera_year import SILENT_AFTER, CameraYear, LogOrigin, LogPart, Year, camera_year
from provisioning.annual.city_year import CityYear, city_year
from provisioning.annual.effect import COMPUTED, Effect, effects
from provisioning.annual.law_year import InForce, LawYear, law_year
from provisioning.annual.notes import Notes
from provisioning.authority.history import Publication
from provisioning.footage.accounting import Hole

Logs = Mapping[str, Sequence[tuple[LogOrigin, Iterable[Event | Hole]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something of the year that the logs do not tell, or tell in two ways; the first page says it.

    Attributes:
        camera: Whose log.
        words: What is missing, as a sentence without its full stop.
        counts_less: Whether sums of this camera may be too low by it. A silent camera recorded nothing, either.
    """

    camera: str
    words: str
    counts_less: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnualReport:
    """One year of one city.

    Attributes:
        year: Which.
        law: What was signed.
        cameras: What each camera did, by id; also those that were granted something and whose log is not here.
        city: What people did.
        effects: What each promised metric came to.
        notes: What people entered, or None.
        missing: What of the year is not known, by camera.
        documents: How many documents the law was read from.
    """

    year: Year
    law: LawYear
    cameras: tuple[CameraYear, ...]
    city: CityYear
    effects: tuple[Effect, ...]
    notes: Notes | None
    missing: tuple[Missing, ...]
    documents: int

    @property
    def recorded(self) -> timedelta:
        """For how long all cameras together recorded."""
        return sum((one.account.recorded for one in self.cameras), timedelta(0))

    def total(self, name: str) -> int:
        """Return the sum of a number of the cameras' accounts, such as "frames_stored"."""
        return sum(int(getattr(one.account, name)) for one in self.cameras)

    @property
    def blanks(self) -> tuple[str, ...]:
        """What people have still to enter."""
        notes = self.notes
        fields = ("complaints", "breaches", "violations", "audits", "records_requests", "recipients", "cost", "outlook")
        absent = [name.replace("_", " ") for name in fields if notes is None or getattr(notes, name) is None]
        if notes is not None and notes.cost is not None and notes.cost.total is None:
            absent.append("parts of the cost")
        unknown = sum(one.value is None and one.metric not in COMPUTED for one in self.effects)
        return (*absent, *((f"{unknown} metrics",) if unknown else ()))

    def clause_of_row(self, row: str) -> str:
        """Return the clause of a row of the table of sharing; empty if the law has it no more."""
        found = self.law.charter.row(row)
        return "" if found is None else found.clause

    def failed_closed(self) -> dict[str, int]:
        """Return the frames that were hidden whole, of all cameras, by reason, the most frequent first."""
        sums: dict[str, int] = {}
        for one in self.cameras:
            for reason, frames in one.failed_closed.items():
                sums[reason] = sums.get(reason, 0) + frames
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def draft(
    history: Sequence[Publication], logs: Logs, city_log: Sequence[Event], notes: Notes | None, year: Year
) -> AnnualReport:
    """Return the report of a year.

    Args:
        history: Every document the city ever published.
        logs: The logs of each camera, the oldest first; each is read once.
        city_log: The whole log of the city.
        notes: What people entered, or None.
        year: Which year.

    Raises:
        UsageError: There is nothing to report of that year.
        NotesFormatError: What was entered is of another year, or of no metric that waits for it.
        LogError: A log is not what was signed.
        StorageError: A log cannot be read, or contradicts itself.
    """
    if year.since >= year.as_of:
        raise UsageError(f"{year.number} has not begun")
    law = law_year(history, year)
    if notes is not None:
        _check_notes(notes, law, year)
    cameras = tuple(camera_year(camera, logs.get(camera, ()), year) for camera in sorted({*law.cameras, *logs}))
    _refuse_nothing(cameras, year)
    told = tuple(one for one in cameras if one.account.leaves or one.camera in law.cameras)
    city = city_year(city_log, year)
    missing = tuple(each for one in told for each in _missing(one, tuple(law.granted_to(one.camera)), year))
    incomplete = {one.camera for one in missing if one.counts_less}
    return AnnualReport(
        year=year,
        law=law,
        cameras=told,
        city=city,
        effects=tuple(effects(law, told, city, notes, year, incomplete=incomplete)),
        notes=notes,
        missing=missing,
        documents=len(history),
    )


def _refuse_nothing(cameras: Sequence[CameraYear], year: Year) -> None:
    if any(one.account.leaves for one in cameras):
        return
    dates = [part.begins_at for one in cameras for part in one.parts if part.begins_at is not None]
    if not dates:
        raise UsageError("no camera's log says anything", hint="give their logs: --backend BACKEND or --logs FOLDER")
    raise UsageError(f"no log has a leaf of {year.number}; the oldest is of {min(dates):%Y-%m-%d}")


def _check_notes(notes: Notes, law: LawYear, year: Year) -> None:
    if notes.year != year.number:
        raise NotesFormatError(f"the notes are of {notes.year}, and the report of {year.number}")
    promised = {one.document.id: one.document.metrics for one in law.grants}
    for one in notes.metrics:
        if one.grant not in promised:
            raise NotesFormatError(f"the notes tell a metric of {one.grant}, which was not in force in {year.number}")
        if one.metric not in promised[one.grant]:
            raise NotesFormatError(
                f"the notes tell {one.metric} of {one.grant}, which promised {', '.join(promised[one.grant])}"
            )
        if one.metric in COMPUTED:
            raise NotesFormatError(
                f"the notes tell {one.metric} of {one.grant}, which the {COMPUTED[one.metric][0]} knows",
                hint="leave it out: what a log knows is never typed",
            )


# --- what is missing ----------------------------------------------------------


def _missing(camera: CameraYear, grants: Sequence[InForce[Grant]], year: Year) -> Iterator[Missing]:
    spans = [(one.since, one.until) for one in grants]
    for words in (
        *_ends(camera.parts, spans, year),
        *(fault for part in camera.parts for fault in part.origin.faults),
        *(_hole_words(hole, part) for part in camera.parts for hole in part.holes),
        *_set_aside(camera),
    ):
        yield Missing(camera=camera.camera, words=words)
    for words in _silence(camera.silent, spans):
        yield Missing(camera=camera.camera, words=words, counts_less=False)


def _ends(parts: Sequence[LogPart], spans: Sequence[tuple[datetime, datetime]], year: Year) -> Iterator[str]:
    """Yield what of the granted time lies before the first leaf, or after the last."""
    begins = [part.begins_at for part in parts if part.begins_at is not None]
    ends = [part.ends_at for part in parts if part.ends_at is not None]
    if not spans:
        return
    granted_from, granted_to = min(since for since, _ in spans), max(until for _, until in spans)
    if not begins or not ends:
        yield f"its log is not here, and it was granted from {granted_from:%-d %B} to {_last_day(granted_to):%-d %B}"
        return
    if min(begins) - granted_from > SILENT_AFTER:
        yield f"its log begins on {min(begins):%-d %B}, and it was granted from {granted_from:%-d %B}"
    if min(granted_to, year.until) - max(ends) > SILENT_AFTER:
        yield f"its log ends on {max(ends):%-d %B}, and it was granted until {_last_day(granted_to):%-d %B}"


def _silence(silent: Sequence[tuple[datetime, datetime]], spans: Sequence[tuple[datetime, datetime]]) -> Iterator[str]:
    for begins, ends in silent:
        if any(since < ends and until > begins for since, until in spans):
            yield f"it logged nothing from {begins:%-d %B} to {ends:%-d %B}"


def _set_aside(camera: CameraYear) -> Iterator[str]:
    if times := camera.count("log-set-aside"):
        yield f"it found its log damaged and began another, {times} {'time' if times == 1 else 'times'}"


def _hole_words(hole: Hole, part: LogPart) -> str:
    which = f"leaf {hole.first:,}" if hole.end - hole.first == 1 else f"leaves {hole.first:,} to {hole.end - 1:,}"
    return f"{which} of its log {part.origin.name.rpartition('/')[2]} are lost; what they said is in no number here"


def _last_day(until: datetime) -> datetime:
    """Return a moment within the last day of a half-open span."""
    return until - timedelta(microseconds=1)
