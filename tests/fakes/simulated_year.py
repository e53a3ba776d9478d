"""A year of ten cameras of St. Louis, as their cards, the city's folder and its log would hold it at the end.

Nothing is recorded; what a recorder logs about it is written by the recorder's own log, signed and in tiles, but
coarsely: a segment is half a day. Documents are drafted, signed and published by the city's own means. Every
trouble that a report must tell has happened to somebody: the table below says to whom.

`scale` makes it finer: so many segments a day, and quarters counted on so many days of a month.
"""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from agent.adapters.disk import Disk
from agent.adapters.tile_log import TileLog
from agent.core.counting import LEAST_PUBLISHED, told
from agent.core.log.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from agent.core.policy.charter import Charter, canonical_charter, parse_charter, read_charter_toml
from agent.core.policy.decision import LiveView, Originals
from agent.core.policy.documents import (
    ALWAYS,
    Grant,
    Hold,
    Location,
    NarrowPlainly,
    NarrowSchedule,
    Opening,
    PrivateZone,
    Restriction,
    Revocation,
    Sharing,
    Site,
    Span,
    Target,
    Waiver,
    WidenSchedule,
    canonical_document,
)
from provisioning.authority.city import CityFolder, prepare_city, publish, read_city, refresh
from provisioning.authority.cross_check import path_of
from provisioning.authority.draft import Draft
from provisioning.authority.drafting import draft_documents, draft_succession
from provisioning.evidence.city_log import CityLog
from tests.fakes.documents import CHARTERS, WIDE, grant, hold, restriction, revocation, waiver
from tests.fakes.exhibits import WITNESS, WITNESS_KEY, MemoryKeyring
from tests.fakes.officials import cards, signed_by

YEAR = 2025
SINCE, UNTIL = datetime(YEAR, 1, 1, tzinfo=UTC), datetime(YEAR + 1, 1, 1, tzinfo=UTC)
FOUNDED_AT = datetime(YEAR - 1, 12, 16, 9, tzinfo=UTC)
DAY, HOUR, QUARTER = timedelta(days=1), timedelta(hours=1), timedelta(minutes=15)
RATE_HZ = 15
OFFICES = (
    "mayor",
    "director-public-safety",
    "director-operations",
    "it-director",
    "police-chief",
    "director-health",
    "director-human-services",
    "custodian",
)
APPROVING = ("mayor", "it-director", "police-chief")
WEEKDAYS = Opening(days=("mon", "tue", "wed", "thu", "fri"), opens="06:00", closes="20:00")


def on(month: int, day: int, hour: int = 0) -> datetime:
    """Return a moment of the year."""
    return datetime(YEAR, month, day, hour, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Pole:
    """One camera of the year, and what befell it.

    Attributes:
        camera: Its id.
        site: Slug and public name.
        use: Intended use, of the charter.
        starts_at: When its grant begins.
        stops_at: Until when its log goes on.
        hours: Hours it records each day, from eight in the morning.
        silent: A stretch in which it is dead, and logs nothing.
        new_card_at: When its card was replaced, and another log begun.
        counts: Whether it counts what passes.
        lost: Whether a piece of its log's text is gone.
        forked: Whether a witness saw another log.
        evicts: Whether its ring was full for a while.
    """

    camera: str
    site: tuple[str, str]
    use: str = "public-safety"
    starts_at: datetime = SINCE
    stops_at: datetime = UNTIL
    hours: int = 24
    silent: tuple[datetime, datetime] | None = None
    new_card_at: datetime | None = None
    counts: bool = False
    lost: bool = False
    forked: bool = False
    evicts: bool = False


MARKET = ("market-square", "Market Square")
POLES = (
    Pole(camera="cam-01", site=MARKET),
    Pole(camera="cam-02", site=MARKET, evicts=True),
    Pole(camera="cam-03", site=("main-and-5th", "Main Street at 5th"), silent=(on(5, 12, 3), on(5, 17, 15))),
    Pole(camera="cam-04", site=("union-station", "Union Station, east entrance"), lost=True),
    Pole(camera="cam-05", site=("riverfront", "Riverfront Park, boat ramp"), use="public-lands", starts_at=on(3, 1)),
    Pole(camera="cam-06", site=("central-library", "Central Library"), use="public-buildings", hours=14),
    Pole(camera="cam-07", site=("harbor-street", "Harbor Street garage"), new_card_at=on(9, 9, 14)),
    Pole(camera="cam-08", site=("north-bridge", "North Bridge"), use="traffic-management", counts=True),
    Pole(
        camera="cam-09",
        site=("south-bridge", "South Bridge"),
        use="traffic-management",
        counts=True,
        stops_at=on(10, 20, 4),
    ),
    Pole(
        camera="cam-10",
        site=("ring-road", "Ring Road at Exit 12"),
        use="traffic-management",
        counts=True,
        forked=True,
    ),
)
BLIND = "NotSafeError: the picture is blank: the lens is covered or blinded"
SUDDEN = "NotSafeError: most of the picture changed at once"
SILENT_NET = "NotSafeError: the detector has been silent for two seconds"
MOVED = "DriftedError: the view is not the one the zones were drawn over"


class HastyDisk(Disk):
    """A disk that is never waited for: no power will be cut here."""

    def sync(self, descriptor: int) -> None:
        """Wait for nothing."""

    def sync_directory(self, folder: Path) -> None:
        """Wait for nothing."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How fine the year is."""

    segments_a_day: int = 2
    counted_days: tuple[int, ...] = (12,)  # of each month


FULL = Scale(segments_a_day=96, counted_days=tuple(range(1, 29)))


def scale_asked_for() -> Scale:
    """Return the coarse scale, or the fine one where `LAMPPOST_YEAR=full` asks for it."""
    return FULL if os.environ.get("LAMPPOST_YEAR") == "full" else Scale()


@dataclass(frozen=True, kw_only=True)
class SimulatedYear:
    """Where it all lies.

    Attributes:
        city: The city's folder; its log is below it.
        logs: A folder with one folder for each log.
        keys: The logs' keys, as they are printed.
    """

    city: CityFolder
    logs: Path
    keys: tuple[str, ...]


def make_year(place: Path, scale: Scale | None = None) -> SimulatedYear:
    """Let the year pass, and return what it left in `place`."""
    scale = scale or scale_asked_for()
    city = CityFolder(path=place / "city")
    _sign_the_year(city)
    _keep_the_city_log(CityLog(place / "city" / "log"))
    keys = tuple(key for pole in POLES for key in _live(pole, place / "logs", scale))
    return SimulatedYear(city=city, logs=place / "logs", keys=keys)


# --- what cameras logged ------------------------------------------------------


def _live(pole: Pole, place: Path, scale: Scale) -> Iterator[str]:
    """Let a camera live its year, and yield the key of each of its logs."""
    turn = pole.new_card_at or UNTIL + DAY
    spans = [(pole.starts_at - 2 * HOUR, min(turn, pole.stops_at))]
    if pole.new_card_at is not None:
        spans.append((turn + 3 * HOUR, pole.stops_at))
    for number, (since, until) in enumerate(spans, start=1):
        folder = place / (pole.camera if number == 1 else f"{pole.camera}-card-{number}")
        keyring = MemoryKeyring(sha256(f"{pole.camera} card {number}".encode()).digest())
        with TileLog(
            folder, pole.camera, keyring, max_file_bytes=64 * 1024, keep_files=10_000, disk=HastyDisk()
        ) as log:
            for at, kind, facts in sorted(_acts(pole, since, until, scale, str(log.key)), key=_when):
                log.append(kind, at, **facts)
            log.publish()
            yield str(log.key)
        note = (folder / "checkpoint").read_bytes()
        if pole.forked:
            other = Checkpoint(origin=log.key.name, size=100, root=sha256(b"another log").digest())
            note = sign_checkpoint(other, log.key, keyring.sign).to_bytes()
        (folder / "witnessed.checkpoint").write_bytes(cosign_checkpoint(note, WITNESS_KEY, WITNESS.sign, now=UNTIL))
        if pole.lost:
            _lose_text(folder)


_Act = tuple[datetime, str, dict[str, Any]]


def _when(act: _Act) -> datetime:
    return act[0]


def _acts(pole: Pole, since: datetime, until: datetime, scale: Scale, key: str) -> Iterator[_Act]:
    chance = random.Random(f"{pole.camera} {since}")
    comes_back = () if pole.silent is None else (pole.silent[1],)
    boots = [since, *sorted(at for at in (on(4, 2, 4), on(8, 20, 4), on(11, 5, 4), *comes_back) if since < at < until)]
    for number, at in enumerate(boots, start=1):
        if number > 1 and at not in comes_back and chance.random() < 0.6:
            yield at - timedelta(minutes=1), "stopped", {}
        yield at, "started", {"start": number, "software": "0.5.0", "camera": pole.camera, "log_key": key}
    window = {"window": f"w-{pole.camera}", "who": "Contractor", "seconds": 1800}
    yield since + timedelta(minutes=10), "commissioning-opened", window
    day = since.replace(hour=0, minute=0, second=0)
    sequence = 0
    while day < until:
        if not _dead(pole, day + 12 * HOUR):
            for at, kind, facts in _day(pole, day, scale, chance, sequence):
                if since < at <= until and not _dead(pole, at):
                    yield at, kind, facts
        sequence += scale.segments_a_day
        day += DAY


def _dead(pole: Pole, at: datetime) -> bool:
    return pole.silent is not None and pole.silent[0] <= at < pole.silent[1]


def _day(pole: Pole, day: datetime, scale: Scale, chance: random.Random, sequence: int) -> Iterator[_Act]:
    applied = {"bundle": sha256(str(day).encode()).hexdigest(), "timestamp": day.toordinal(), "suspended": ""}
    yield day + 5 * HOUR, "policy-applied", applied
    length = timedelta(hours=pole.hours) / scale.segments_a_day
    begins = day + (8 * HOUR if pole.hours < 24 else timedelta(0))
    for number in range(scale.segments_a_day):
        starts_at = begins + number * length
        if starts_at >= pole.starts_at and (chance.random() > 0.02):
            yield from _segment(pole, starts_at, length, chance, sequence + number)
    if day.weekday() == 0 and day > pole.starts_at + 30 * DAY:
        yield day + 3 * HOUR, "removal", _removal("expired", 7 * scale.segments_a_day, day - 30 * DAY)
    if pole.evicts and day.month == 7 and day.day % 3 == 0:
        yield day + 4 * HOUR, "removal", _removal("evicted", scale.segments_a_day, day - 24 * DAY)
    if chance.random() < 0.01:
        refused = {"bundle": "0" * 64, "error": "SignatureError", "reason": "grants is not signed as it must be"}
        yield day + 6 * HOUR, "policy-refused", refused
    if pole.camera == "cam-04" and day in {on(2, 9), on(10, 30)}:
        yield day + 11 * HOUR, "view-drifted", {"agreement_permille": 412}
    if pole.counts and day.day in scale.counted_days and day >= pole.starts_at:
        yield from _counts(day, chance)


def _segment(
    pole: Pole, starts_at: datetime, length: timedelta, chance: random.Random, sequence: int
) -> Iterator[_Act]:
    ends_at = starts_at + length - timedelta(seconds=chance.randrange(0, 20))
    frames = int((ends_at - starts_at).total_seconds()) * RATE_HZ
    closed = 0
    if chance.random() < 0.06:
        reason = chance.choice((BLIND, SUDDEN, SUDDEN, SILENT_NET, MOVED))
        closed = chance.randrange(20, 4000)
        begins = starts_at + length / 3
        yield begins, "mask-failed-closed", {"reason": reason}
        spans = {"reason": reason, "frames": closed, "hidden_since": begins.isoformat()}
        yield begins + timedelta(seconds=closed / RATE_HZ), "mask-recovered", spans
    dropped = chance.choice((0, 0, 0, 7))
    digest = sha256(f"{pole.camera}{sequence}".encode()).hexdigest()
    facts: dict[str, Any] = {
        "file": f"{pole.camera}-{starts_at:%Y%m%dT%H%M%S.%fZ}-{sequence:08}.mp4.age",
        "sha256": digest,
        "size_bytes": frames * 900,
        "layer": "masked",
        "sequence": sequence,
        "starts_at": starts_at.isoformat(),
        "ends_at": ends_at.isoformat(),
        "frames_in": frames,
        "frames_stored": frames - dropped,
        "frames_dropped": dropped,
        "frames_failed_closed": closed,
        "documents": _documents_of(pole, starts_at),
        "truncated": chance.random() < 0.01,
    }
    yield ends_at, "segment-stored", facts
    if pole.use in {"public-safety", "public-buildings"} and sequence % 2 == 0:
        name = facts["file"].replace(".mp4", ".sealed.mp4")
        yield ends_at, "segment-stored", {**facts, "layer": "sealed", "file": name}


def _documents_of(pole: Pole, at: datetime) -> list[str]:
    ids = [one.id for one in grants() if pole.camera in one.cameras and one.starts_at <= at < one.ends_at]
    return ids[-1:] + [one.id for one in waivers() if pole.camera in one.cameras and one.starts_at <= at < one.ends_at]


def _removal(reason: str, segments: int, at: datetime) -> dict[str, Any]:
    span = {"oldest": at.isoformat(), "newest": (at + DAY).isoformat(), "first_sequence": 0, "last_sequence": segments}
    return {"reason": reason, "segments": segments, "bytes": segments * 310_000_000, **span}


def _counts(day: datetime, chance: random.Random) -> Iterator[_Act]:
    for quarter in range(96):
        at = day + quarter * QUARTER
        busy = max(0.02, 1 - abs(quarter - 56) / 48)
        passed = {
            "vehicle_left_to_right": int(chance.uniform(0, 160) * busy),
            "vehicle_right_to_left": int(chance.uniform(0, 150) * busy),
            "cyclist_left_to_right": int(chance.uniform(0, 30) * busy),
            "person_left_to_right": int(chance.uniform(0, 40) * busy),
        }
        cells = {what: told(count) for what, count in passed.items()}
        fast = {"vehicle_left_to_right_kmh": 46, "cyclist_left_to_right_kmh": 17}
        for what, kmh in fast.items():
            cells[what] = None if cells[what.removesuffix("_kmh")] is None else kmh + chance.randrange(-6, 7)
        cells["vehicle_present_mean"] = int(4 * busy)
        facts = {"place": "stop line", "interval_at": at.isoformat(), "interval_s": 900, "watched_s": 900}
        yield at + QUARTER, "counts", {**facts, "suppressed_below": LEAST_PUBLISHED, **cells}


def _lose_text(folder: Path) -> None:
    """Lose a file of leaves from the middle of a log; their hashes stay in the tiles."""
    entries = sorted(folder.glob("events-*.jsonl"))
    entries[len(entries) // 2].unlink()


# --- what was signed ----------------------------------------------------------


@lru_cache
def charter() -> Charter:
    """Return the law of the city at the beginning of the year."""
    return read_charter_toml((CHARTERS / "st-louis.toml").read_text(encoding="utf-8"))


USES: dict[str, dict[str, Any]] = {
    "public-safety": {
        "permissible_uses": ("detect-crime", "deter-crime"),
        "recipients": ("custodian", "investigator"),
        "originals": Originals.SEALED,
        "originals_recipients": ("quorum",),
        "metrics": ("incidents-supported", "hours-recorded", "originals-opened"),
        "targets": (
            Target(metric="incidents-supported", at_least=4),
            Target(metric="hours-recorded", at_least=8_300),
            Target(metric="originals-opened", at_most=6),
        ),
        "sharing": tuple(
            Sharing(row=row, basis=basis)
            for row, basis in (
                ("law-enforcement", "active-criminal-investigation"),
                ("law-enforcement", "prosecution"),
                ("law-enforcement", "court-order"),
                ("civil-case", "subpoena"),
            )
        ),
    },
    "public-lands": {
        "permissible_uses": ("damage", "unsafe-conditions"),
        "recipients": ("custodian", "parks-officer"),
        "metrics": ("damage-found", "hours-recorded"),
        "targets": (Target(metric="damage-found", at_least=12),),
        "sharing": (Sharing(row="civil-case", basis="subpoena"),),
    },
    "public-buildings": {
        "permissible_uses": ("safety",),
        "recipients": ("custodian", "building-security"),
        "originals": Originals.SEALED,
        "originals_recipients": ("quorum",),
        "metrics": ("incidents-supported",),
        "targets": (Target(metric="incidents-supported", at_least=2),),
        "sharing": (Sharing(row="law-enforcement", basis="active-criminal-investigation"),),
        "schedule": (Opening(days=ALWAYS.days, opens="08:00", closes="22:00"),),
    },
    "traffic-management": {
        "permissible_uses": ("presence-speed-volume", "collision-detection"),
        "recipients": ("custodian", "traffic-engineer"),
        "metrics": ("vehicles-counted", "collisions-detected"),
        "targets": (
            Target(metric="vehicles-counted", at_least=60_000),
            Target(metric="collisions-detected", at_least=10),
        ),
        "live": LiveView.PUBLIC,
        "sharing": (Sharing(row="public-live", basis="city-discretion"),),
    },
}
WHY = {
    "public-safety": ("sustained-criminal-activity", "Robberies and thefts from cars over three years."),
    "public-lands": ("public-land", "Dumping and fires at the ramp, eleven in a year."),
    "public-buildings": ("high-value-assets", "The building and those who use it."),
    "traffic-management": ("traffic-study", "A study of the bridges and the ring."),
}
SECOND_GRANT_AT = on(7, 1)


@lru_cache
def grants() -> tuple[Grant, ...]:
    """Return every grant that was signed, in the order of their ids; the last replaces that of the library."""
    by_site: dict[tuple[str, str], list[Pole]] = {}
    for pole in POLES:
        by_site.setdefault(pole.site, []).append(pole)
    made = [_grant(number, poles) for number, poles in enumerate(by_site.values(), start=1)]
    library = next(one for one in made if one.site.id == "central-library")
    fields: dict[str, Any] = {name: getattr(library, name) for name in Grant.model_fields}
    fields |= {
        "id": f"g-{YEAR}-{len(made) + 1:03}",
        "issued_at": SECOND_GRANT_AT,
        "starts_at": SECOND_GRANT_AT,
        "reason": "The reading room only, at half the rate.",
        "max_rate_hz": 8,
    }
    return (*made, grant(**fields))


def _grant(number: int, poles: Sequence[Pole]) -> Grant:
    first = poles[0]
    basis, statement = WHY[first.use]
    slug, name = first.site
    site = Site(
        id=slug,
        public_name=name,
        location=Location(latitude=38.62 + number / 500, longitude=-90.19, public_precision_m=50),
        site_kind="street",
        basis=basis,
        statement=statement,
        purchase_reference=f"PO-{YEAR}-{number:04}",
    )
    return grant(
        id=f"g-{YEAR}-{number:03}",
        issued_at=max(FOUNDED_AT + DAY, first.starts_at - 10 * DAY),
        starts_at=first.starts_at,
        ends_at=UNTIL,
        reason=statement,
        site=site,
        cameras=tuple(pole.camera for pole in poles),
        intended_use=first.use,
        view=WIDE,
        zones=(PrivateZone(name="windows opposite", polygon=((0.1, 0.1), (0.3, 0.1), (0.3, 0.4), (0.1, 0.4))),),
        **USES[first.use],
    )


@lru_cache
def waivers() -> tuple[Waiver, ...]:
    """Return the waivers of the year."""
    night = WidenSchedule(what="schedule", schedule=(ALWAYS,))
    return (
        waiver(
            id=f"w-{YEAR}-001",
            issued_by="director-public-safety",
            issued_at=on(6, 20),
            starts_at=on(6, 20),
            ends_at=on(7, 8),
            cameras=("cam-06",),
            basis="asset-protection",
            widens=night,
            reason="Thefts at night while the roof is open.",
        ),
        waiver(
            id=f"w-{YEAR}-002",
            issued_by="director-operations",
            issued_at=on(12, 22),
            starts_at=on(12, 22),
            ends_at=on(12, 22) + 20 * DAY,
            cameras=("cam-05",),
            basis="safety",
            widens=WidenSchedule(what="schedule", schedule=(ALWAYS,)),
            reason="Ice at the ramp.",
        ),
    )


@lru_cache
def narrowings() -> tuple[tuple[Restriction | Hold | Revocation, str], ...]:
    """Return what narrowed or held in the year, and the office of each."""
    return (
        (
            restriction(
                id=f"r-police-chief-{YEAR}-001",
                issued_at=on(2, 3),
                starts_at=on(2, 3),
                cameras=("cam-05",),
                narrows=(NarrowPlainly(what="no-live"),),
                reason="A complaint about the ramp.",
            ),
            "police-chief",
        ),
        (
            restriction(
                id=f"r-mayor-{YEAR}-001",
                issued_by="mayor",
                issued_at=on(4, 14),
                starts_at=on(4, 14),
                cameras=("cam-08",),
                narrows=(NarrowSchedule(what="schedule", schedule=(WEEKDAYS,)),),
                reason="Week-ends tell the study nothing.",
            ),
            "mayor",
        ),
        *(
            (
                hold(
                    id=f"h-custodian-{YEAR}-{number:03}",
                    issued_at=at,
                    starts_at=at,
                    cameras=("cam-01",),
                    case=f"OVS-{YEAR}-{number}",
                    spans=(Span(starts_at=at - DAY, ends_at=at - DAY + HOUR),),
                ),
                "custodian",
            )
            for number, at in enumerate((on(3, 3), on(7, 21), on(11, 2)), start=1)
        ),
        (
            revocation(
                id=f"v-it-director-{YEAR}-001",
                issued_at=on(10, 21),
                starts_at=on(10, 21),
                cameras=("cam-09",),
                reason="It was stolen from its bridge.",
            ),
            "it-director",
        ),
    )


def _sign_the_year(folder: CityFolder) -> None:
    draft = prepare_city(folder, charter(), cards(OFFICES), now=FOUNDED_AT)
    publish(folder, signed_by(draft, *OFFICES, root=None, now=FOUNDED_AT), now=FOUNDED_AT)
    *made, again = grants()
    library = next(one for one in made if one.site.id == again.site.id)
    early = [one for one in made if one.starts_at == SINCE]
    acts: list[tuple[datetime, list[Any], tuple[str, ...], tuple[str, ...]]] = [
        (FOUNDED_AT + 2 * DAY, early, APPROVING, ()),
        *((one.issued_at, [one], APPROVING, ()) for one in made if one not in early),
        (again.issued_at, [again], APPROVING, (path_of(library),)),
        *((one.issued_at, [one], (one.issued_by,), ()) for one in waivers()),
        *((one.issued_at, [one], (office,), ()) for one, office in narrowings()),
    ]
    revised_at = on(8, 15, 9)
    for at, documents, offices, withdrawn in sorted(acts, key=lambda act: act[0]):
        if at > revised_at and parse_revision(folder) == 1:
            _revise(folder, revised_at)
        content = {path_of(one): canonical_document(one) for one in documents}
        _publish(folder, draft_documents(read_city(folder), content, withdrawn, now=at), offices, at)
    refresh(folder, now=UNTIL - HOUR)


def parse_revision(folder: CityFolder) -> int:
    """Return the revision of the charter in force."""
    return parse_charter(read_city(folder).charter).revision


def _revise(folder: CityFolder, at: datetime) -> None:
    """Let the mayor shorten what may be kept longer, and say so in the charter."""
    retention = charter().retention.model_copy(update={"extended_days": 60})
    revised = charter().model_copy(update={"revision": 2, "retention": retention})
    _publish(
        folder, draft_succession(read_city(folder), (), canonical_charter(revised), now=at), charter().root.offices, at
    )


def _publish(folder: CityFolder, draft: Draft, offices: Sequence[str], at: datetime) -> None:
    publish(folder, signed_by(draft, *offices, root=read_city(folder).first_root, now=at), now=at)


# --- what people did ----------------------------------------------------------

_INVESTIGATION, _TRIAL, _COURT = "active-criminal-investigation", "prosecution", "court-order"
# When, whose footage, under which row, on which basis, for which case; and what became of it, if not an export.
EXPORTS: tuple[tuple[datetime, str, str, str, str, str], ...] = (
    (on(1, 9, 10), "cam-01", "law-enforcement", _INVESTIGATION, "C-11", ""),
    (on(1, 30, 15), "cam-02", "law-enforcement", _INVESTIGATION, "C-11", ""),
    (on(2, 6, 9), "cam-03", "law-enforcement", _TRIAL, "C-07", ""),
    (on(2, 21, 11), "cam-01", "civil-case", "subpoena", "V-201", ""),
    (on(3, 4, 9), "cam-04", "law-enforcement", _INVESTIGATION, "C-31", ""),
    (on(3, 18, 14), "cam-04", "law-enforcement", "curiosity", "C-32", "SL-T2-1"),
    (on(4, 2, 10), "cam-01", "law-enforcement", _INVESTIGATION, "C-40", ""),
    (on(4, 9, 10), "cam-02", "law-enforcement", _TRIAL, "C-11", ""),
    (on(5, 5, 16), "cam-05", "civil-case", "subpoena", "V-207", ""),
    (on(5, 28, 9), "cam-07", "law-enforcement", _INVESTIGATION, "C-52", "given up"),
    (on(5, 28, 13), "cam-07", "law-enforcement", _INVESTIGATION, "C-52", ""),
    (on(6, 11, 10), "cam-06", "law-enforcement", _INVESTIGATION, "C-55", ""),
    (on(6, 30, 12), "cam-03", "law-enforcement", _COURT, "C-60", ""),
    (on(7, 15, 9), "cam-08", "civil-case", "subpoena", "V-212", "SL-T2-3"),
    (on(8, 1, 15), "cam-01", "law-enforcement", _INVESTIGATION, "C-71", ""),
    (on(8, 12, 11), "cam-04", "law-enforcement", _TRIAL, "C-31", ""),
    (on(9, 3, 9), "cam-06", "law-enforcement", _INVESTIGATION, "C-77", ""),
    (on(9, 24, 10), "cam-02", "law-enforcement", _INVESTIGATION, "C-80", ""),
    (on(10, 8, 14), "cam-07", "law-enforcement", _TRIAL, "C-52", ""),
    (on(10, 17, 9), "cam-03", "civil-case", "subpoena", "V-219", ""),
    (on(11, 6, 16), "cam-01", "law-enforcement", _INVESTIGATION, "C-90", ""),
    (on(11, 20, 10), "cam-07", "law-enforcement", _INVESTIGATION, "C-93", "given up"),
    (on(12, 4, 9), "cam-04", "law-enforcement", _COURT, "C-31", ""),
    (on(12, 31, 22), "cam-02", "law-enforcement", _INVESTIGATION, "C-99", ""),  # finished in the new year
)
# When, whose, for which case, and how it went on.
RELEASES: tuple[tuple[datetime, str, str, str], ...] = (
    (on(2, 12, 9), "cam-01", "C-11", "opened"),
    (on(4, 22, 9), "cam-03", "C-07", "refused"),
    (on(6, 2, 9), "cam-07", "C-52", "opened"),
    (on(8, 5, 9), "cam-01", "C-71", "opened"),
    (on(9, 1, 9), "cam-04", "C-31", "against"),
    (on(12, 9, 9), "cam-04", "C-31", "asked"),
)


def _keep_the_city_log(log: CityLog) -> None:
    log.append("evidence-exported", FOUNDED_AT, begun=0, case="C-01", statement_sha256="0" * 64)  # of an older year
    pending: list[tuple[datetime, str, dict[str, Any]]] = []
    acts: list[tuple[datetime, str, tuple[Any, ...]]] = [(one[0], "export", one) for one in EXPORTS]
    acts += [(one[0], "release", one) for one in RELEASES]
    acts += [(on(month, 2, 3), "destroyed", ()) for month in range(2, 13)]
    for at, kind, one in sorted(acts, key=lambda act: act[0]):
        if kind == "export":
            pending += _export(log, one)
        elif kind == "release":
            _release(log, one)
        else:
            early = "A court ordered it." if at.month == 6 else None
            log.append("epochs-destroyed", at, epochs=30, early=early, office="custodian")
    for at, kind, facts in pending:
        log.append(kind, at, **facts)


def _export(log: CityLog, one: tuple[Any, ...]) -> list[tuple[datetime, str, dict[str, Any]]]:
    at, camera, row, basis, case, outcome = one
    facts = {"basis": basis, "camera": camera, "case": case, "row": row, "party": "Jo Vega", "office": "custodian"}
    if outcome.startswith("SL"):
        log.append("evidence-export-refused", at, clause=outcome, **facts)
        return []
    entry = log.append("evidence-export-begun", at, **facts)
    finished = {"begun": entry.index, "case": case, "statement_sha256": "0" * 64}
    if outcome:
        return []
    if at.month == 12 and at.day == 31:
        return [(UNTIL + 2 * HOUR, "evidence-exported", finished)]
    log.append("evidence-exported", at + timedelta(minutes=4), **finished)
    return []


def _release(log: CityLog, one: tuple[Any, ...]) -> None:
    at, camera, case, outcome = one
    facts = {"basis": "warrant", "camera": camera, "case": case, "investigator": "Jo Vega as investigator"}
    if outcome == "against":
        log.append("release-against-law", at, clause="SL-3.4", **facts)
        return
    request = f"q-{log.append('release-requested', at, segments=6, **facts).index}"
    said = "refused" if outcome == "refused" else "approved"
    for number, office in enumerate(("police-chief", "director-public-safety", "custodian")):
        answer = said if number == 0 else "approved"
        log.append(f"release-{answer}", at + number * HOUR, office=office, request=request, name="A. Holder")
    if outcome == "opened":
        log.append("release-opened", at + DAY, request=request, segments=6, office="custodian")
        log.append("release-handed-over", at + DAY, request=request)
