"""The six documents under a charter, as they are signed.

A *grant* permits; a *restriction* narrows; a *waiver* widens one named thing for
less than 30 days; a *hold* stops removal; *epoch keys* publish the recipients of
the days to come; a *revocation* pauses, stops or erases a camera. FORMAT.md shows
one of each.

Structure only: what a document may say under one city's law is `clauses`. Parse
what has been verified, and nothing else.
"""

import hashlib
import re
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from agent.core.policy.decision import LiveView, Originals, PeopleMode
from agent.core.policy.refusals import clause_of, first_problem
from agent.core.policy.strict_json import MAX_EXACT_INTEGER, canonical, check
from agent.core.policy.words import (
    MAX_LIST,
    Day,
    Days,
    HeightPx,
    Instant,
    RateHz,
    Sha256,
    Slug,
    Strict,
    Text,
    VersionOne,
)
from agent.core.zones import View, Zone
from agent.errors import ClauseViolationError, DocumentFormatError

MAX_ZONES = 64
MAX_WAIVER = timedelta(days=30)  # SL "Temporary: less than 30 days"; a waiver stays below it

Slugs = Annotated[tuple[Slug, ...], Field(min_length=1, max_length=MAX_LIST)]
AnySlugs = Annotated[tuple[Slug, ...], Field(max_length=MAX_LIST)]
Coordinate = Annotated[float, Field(ge=0.0, le=1.0)]

# --- parts ----------------------------------------------------------------------

WEEKDAYS: tuple["Weekday", ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)
_BECH32 = "02-9ac-hj-np-z"
# 32 bytes are 52 symbols and 6 of checksum (age v1); 1,184 + 32 bytes are 1,946 and 6 (C2SP age, mlkem768x25519).
_X25519 = re.compile(rf"age1[{_BECH32}]{{58}}")
_POST_QUANTUM = re.compile(rf"age1pq1[{_BECH32}]{{1952}}")


def _time_of_day(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError("expected a time such as 07:30, up to 24:00")
    return text


TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]


def _recipient(text: str) -> str:
    if not (_X25519.fullmatch(text) or _POST_QUANTUM.fullmatch(text)):
        raise ValueError("expected an age recipient, age1… or age1pq1…")
    return text


class PrivateZone(Strict):
    """A private area, in the coordinates of `agent.core.zones`."""

    name: Text
    polygon: tuple[tuple[Coordinate, Coordinate], ...]

    @model_validator(mode="after")
    def _simple(self) -> Self:
        self.zone()
        return self

    def zone(self) -> Zone:
        """Return it as the masker takes it."""
        return Zone(name=self.name, polygon=self.polygon)


class DrawnOver(Strict):
    """The picture that zones were drawn over."""

    aspect_width: Annotated[int, Field(ge=1, le=10_000)]
    aspect_height: Annotated[int, Field(ge=1, le=10_000)]
    rotation_degrees: Annotated[int, Field(ge=0, le=270, multiple_of=90)]

    def view(self) -> View:
        """Return it as the masker takes it."""
        return View(self.aspect_width, self.aspect_height, self.rotation_degrees)


class Opening(Strict):
    """Hours of some weekdays, half-open, on the city's wall clock; a night is two of them."""

    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)]
    opens: TimeOfDay
    closes: TimeOfDay

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.closes <= self.opens:
            raise ValueError(f"closes at {self.closes}, which is not after {self.opens}; write a night as two openings")
        return self


ALWAYS = Opening(days=WEEKDAYS, opens="00:00", closes="24:00")
Schedule = Annotated[tuple[Opening, ...], Field(min_length=1, max_length=MAX_LIST)]


class Location(Strict):
    """Where a camera stands, and how exactly the public list says so (RB-5)."""

    latitude: Annotated[float, Field(ge=-90.0, le=90.0)]
    longitude: Annotated[float, Field(ge=-180.0, le=180.0)]
    public_precision_m: Annotated[int, Field(ge=1, le=10_000)]


class Site(Strict):
    """A place with cameras, and why it has them (RB-2, RB-3, RB-5).

    Attributes:
        status: What is declared true of it while the grant runs, such as "vacant" (SL-T1-5).
    """

    id: Slug
    public_name: Text
    location: Location
    site_kind: Slug
    basis: Slug
    statement: Text
    purchase_reference: Text | None
    status: Slug | None = None


class Order(Strict):
    """An emergency declared by someone entitled to, until it ends (SL-T1-7)."""

    ordered_by: Slug
    reference: Text
    ends_at: Instant


class Retention(Strict):
    """How long footage is kept; beyond the default with basis, area and end (SL-3.11, JC-24)."""

    days: Days
    basis: Slug | None = None
    area: Text | None = None
    ends_at: Instant | None = None
    decided_by: Slug | None = None


class Sharing(Strict):
    """One row of the sharing table that this grant uses, and on which basis."""

    row: Slug
    basis: Slug


class Target(Strict):
    """What one metric is to come to in a year, so that the yearly report can say whether it did (SL-2.5).

    Attributes:
        metric: One of those that the grant reports.
        at_least: The least that serves the purpose; None where `at_most` is told.
        at_most: The most that is accepted.
    """

    metric: Slug
    at_least: Annotated[int, Field(ge=0, le=MAX_EXACT_INTEGER)] | None = None
    at_most: Annotated[int, Field(ge=0, le=MAX_EXACT_INTEGER)] | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"the target of {self.metric} needs either at_least or at_most")
        return self


class ListedModel(Strict):
    """A net that may run, by its file (RB-6)."""

    sha256: Sha256
    name: Text
    outputs: Annotated[tuple[Literal["boxes", "classes"], ...], Field(min_length=1, max_length=2)]


class Span(Strict):
    """A half-open span of time."""

    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _later(self) -> Self:
        _forward(self.starts_at, self.ends_at)
        return self


# --- narrowings and widenings ---------------------------------------------------


class NarrowZones(Strict):
    """Mask these areas too."""

    what: Literal["zones"]
    view: DrawnOver
    zones: Annotated[tuple[PrivateZone, ...], Field(min_length=1, max_length=MAX_ZONES)]


class NarrowSchedule(Strict):
    """Record within these hours only."""

    what: Literal["schedule"]
    schedule: Schedule


class NarrowPeople(Strict):
    """Hide at least this much of people."""

    what: Literal["people"]
    people: PeopleMode


class NarrowRetention(Strict):
    """Keep footage no longer than this."""

    what: Literal["retention"]
    days: Days


class NarrowPicture(Strict):
    """Record no finer than this."""

    what: Literal["picture"]
    max_height_px: HeightPx
    max_rate_hz: RateHz


class SuspendRecipient(Strict):
    """Seal nothing more to a role, or to one holder of a key (JC-28)."""

    what: Literal["recipient"]
    role: Slug | None = None
    holder: Slug | None = None

    @model_validator(mode="after")
    def _names_someone(self) -> Self:
        if self.role is None and self.holder is None:
            raise ValueError("suspends nobody; name a role, a holder or both")
        return self


class SuspendModel(Strict):
    """Do not run this net (RB-6)."""

    what: Literal["model"]
    sha256: Sha256


class NarrowPlainly(Strict):
    """Lock no-biometrics mode on, keep no originals, show nothing live, or go dark."""

    what: Literal["no-biometrics", "no-originals", "no-live", "dark"]


Narrowing: TypeAlias = Annotated[
    NarrowZones
    | NarrowSchedule
    | NarrowPeople
    | NarrowRetention
    | NarrowPicture
    | SuspendRecipient
    | SuspendModel
    | NarrowPlainly,
    Field(discriminator="what"),
]


class WidenUse(Strict):
    """One more permissible use, of any row of the table (SL-5.1)."""

    what: Literal["permissible-use"]
    intended_use: Slug
    permissible_use: Slug


class WidenSchedule(Strict):
    """Record during these hours too."""

    what: Literal["schedule"]
    schedule: Schedule


class WidenPeople(Strict):
    """Hide less of people."""

    what: Literal["people"]
    people: PeopleMode


class WidenRetention(Strict):
    """Keep footage longer."""

    what: Literal["retention"]
    days: Days


class WidenPicture(Strict):
    """Record finer."""

    what: Literal["picture"]
    max_height_px: HeightPx
    max_rate_hz: RateHz


Widening: TypeAlias = Annotated[
    WidenUse | WidenSchedule | WidenPeople | WidenRetention | WidenPicture, Field(discriminator="what")
]

# --- documents ------------------------------------------------------------------

Cameras: TypeAlias = Literal["all"] | Slugs


class Document(Strict):
    """What every document carries (JC-12, JC-19).

    Attributes:
        id: Unique among all documents of the city, for ever; ties are broken by it.
        issued_by: Office that signs, or, for a grant, that drafted it.
        reason: Why, in writing.
        starts_at: First instant of its effect.
        ends_at: First instant after it; None where only a grant can end it.
    """

    version: VersionOne
    id: Slug
    issued_by: Slug
    issued_at: Instant
    reason: Text
    starts_at: Instant

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the canonical bytes, in hex; the document's name as a TUF target, and its line in the log."""
        return hashlib.sha256(canonical_document(self)).hexdigest()


def _is_empty(targets: tuple[Target, ...]) -> bool:
    return not targets


class Grant(Document):
    """Permission to record, by all approving offices together (RB-1).

    Attributes:
        targets: What the metrics are to come to. Not spelled where there are none: grants that were signed before
            there were targets keep their bytes.
    """

    kind: Literal["grant"]
    ends_at: Instant
    site: Site
    cameras: Slugs
    intended_use: Slug
    permissible_uses: Slugs
    case: Text | None
    order: Order | None
    schedule: Schedule
    max_height_px: HeightPx
    max_rate_hz: RateHz
    audio: bool
    view: DrawnOver
    zones: Annotated[tuple[PrivateZone, ...], Field(max_length=MAX_ZONES)]
    no_zones_statement: Text | None
    people: PeopleMode
    originals: Originals
    originals_recipients: AnySlugs
    biometrics: Literal["off", "with-case", "in-area"]
    retention: Retention
    recipients: Slugs
    sharing: Annotated[tuple[Sharing, ...], Field(max_length=MAX_LIST)]
    live: LiveView
    metrics: AnySlugs
    targets: Annotated[tuple[Target, ...], Field(max_length=MAX_LIST, exclude_if=_is_empty)] = ()
    models: Annotated[tuple[ListedModel, ...], Field(max_length=MAX_LIST)]
    lifts: AnySlugs

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _forward(self.starts_at, self.ends_at)
        if self.audio:
            raise ClauseViolationError("JC-11", "audio is asked for, and version 1 records none")
        if self.biometrics != "off":
            raise ClauseViolationError(
                "JC-8", f"biometrics {self.biometrics} is asked for, and version 1 knows only off"
            )
        if not self.zones and self.no_zones_statement is None:
            raise ClauseViolationError("JC-12", "no private area is drawn, and no_zones_statement does not say why")
        if self.zones and self.no_zones_statement is not None:
            raise ClauseViolationError("JC-12", "no_zones_statement contradicts the private areas that are drawn")
        if (self.originals is Originals.SEALED) != bool(self.originals_recipients):
            raise ClauseViolationError("JC-11", "sealed originals and originals_recipients go together")
        aimed_at = [target.metric for target in self.targets]
        if len(set(aimed_at)) < len(aimed_at) or not set(aimed_at) <= set(self.metrics):
            raise ClauseViolationError("SL-2.5", "a target is for a metric that is not reported, or given twice")
        return self


class Restriction(Document):
    """Less of something, by one office alone, until a grant lifts it by name."""

    kind: Literal["restriction"]
    ends_at: None
    cameras: Cameras
    narrows: Annotated[tuple[Narrowing, ...], Field(min_length=1, max_length=MAX_LIST)]


class Waiver(Document):
    """More of one thing for less than 30 days (SL-5.1)."""

    kind: Literal["waiver"]
    ends_at: Instant
    cameras: Slugs
    basis: Slug
    widens: Widening

    @model_validator(mode="after")
    def _temporary(self) -> Self:
        _forward(self.starts_at, self.ends_at)
        if self.ends_at - self.starts_at >= MAX_WAIVER:
            days = (self.ends_at - self.starts_at).days
            raise ClauseViolationError("SL-5.1", f"waiver lasts {days} days, expected less than {MAX_WAIVER.days}")
        return self


class Hold(Document):
    """Footage that must not be removed, by a custodian of records (JC-25)."""

    kind: Literal["hold"]
    ends_at: None
    cameras: Cameras
    case: Text
    spans: Annotated[tuple[Span, ...], Field(min_length=1, max_length=MAX_LIST)]


class EpochRecipient(Strict):
    """A key to seal a day's footage to, who holds it, and in which role (JC-19).

    Attributes:
        validated_on: When its holder was last approved in writing; where the charter asks for it (SL-3.4).
    """

    role: Slug
    holder: Slug
    recipient: Annotated[str, AfterValidator(_recipient)]
    validated_on: Day | None = None


class EpochDay(Strict):
    """The recipients of one day, from 00:00 UTC to 24:00 UTC."""

    day: Day
    recipients: Annotated[tuple[EpochRecipient, ...], Field(min_length=1, max_length=MAX_LIST)]


class EpochKeys(Document):
    """The recipients of days to come, by the custodian.

    Attributes:
        keeps: For which footage: "extended" is for cameras whose footage is kept longer than usual, so that the keys
            of all others can be destroyed in time.
    """

    kind: Literal["epochs"]
    ends_at: Instant
    layer: Literal["masked", "originals"]
    keeps: Literal["default", "extended"]
    days: Annotated[tuple[EpochDay, ...], Field(min_length=1, max_length=MAX_LIST)]

    @model_validator(mode="after")
    def _one_profile(self) -> Self:
        _forward(self.starts_at, self.ends_at)
        if len({day.day for day in self.days}) < len(self.days):
            raise ValueError("a day appears twice")
        if len({one.recipient.startswith("age1pq1") for day in self.days for one in day.recipients}) > 1:
            # age v1 forbids it: the weaker stanza would undo the stronger.
            raise ValueError("post-quantum and X25519 recipients are mixed")
        return self


class Revocation(Document):
    """An order to pause, stop or erase, by one office that the charter names."""

    kind: Literal["revocation"]
    ends_at: None
    cameras: Cameras
    action: Literal["pause", "stop", "erase"]


AnyDocument: TypeAlias = Annotated[
    Grant | Restriction | Waiver | Hold | EpochKeys | Revocation, Field(discriminator="kind")
]
_ADAPTER: TypeAdapter[Grant | Restriction | Waiver | Hold | EpochKeys | Revocation] = TypeAdapter(AnyDocument)


def parse_document(raw: bytes) -> Grant | Restriction | Waiver | Hold | EpochKeys | Revocation:
    """Return the document that the verified bytes `raw` state.

    Raises:
        DocumentFormatError: Not strict JSON, or not a document of a known kind and version.
        ClauseViolationError: It lacks or garbles what a clause requires, whatever the charter.
    """
    check(raw)
    try:
        return _ADAPTER.validate_json(raw)
    except ValidationError as error:
        if clause := clause_of(error):
            raise ClauseViolationError(clause, first_problem(error)) from error
        raise DocumentFormatError(f"document: {first_problem(error)}") from error


def canonical_document(document: Document) -> bytes:
    """Return the bytes that are signed."""
    return canonical(document.model_dump(mode="json"))


def _forward(starts_at: datetime, ends_at: datetime) -> None:
    if ends_at <= starts_at:
        raise ValueError("ends_at is not after starts_at")
