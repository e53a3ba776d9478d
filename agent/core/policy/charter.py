"""The charter: a city's law as data, every provision with the clause it comes from.

People write it as TOML; what is signed, and what a camera reads, is its one
canonical JSON form (`canonical_charter`). A charter grants nothing. It says who
may permit what under which conditions; `clauses` holds documents against it.

Pure: the caller reads the file.
"""

import json
import tomllib
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from agent.core.policy.civil_time import zone_of
from agent.core.policy.decision import LiveView, Originals, PeopleMode
from agent.core.policy.refusals import first_problem
from agent.core.policy.strict_json import canonical, check
from agent.core.policy.words import Clause, Day, Days, HeightPx, RateHz, Slug, Strict, Text, VersionOne
from agent.errors import ClauseViolationError, DocumentFormatError

TEMPORARY_DAYS = 30  # SL "Temporary: less than 30 days"; no charter can make a waiver longer
MAX_RETENTION_DAYS = 90  # SL-3.11; a charter may say less, a hold (JC-25) is how evidence outlives it

Sources = Annotated[tuple[Clause, ...], Field(min_length=1, max_length=32)]
Offices = Annotated[tuple[Slug, ...], Field(min_length=1, max_length=32)]


class Office(Strict):
    """A public office that signs; the person in it may change, the slug does not."""

    id: Slug
    title: Text
    source: Sources


class Quorum(Strict):
    """Offices of which at least `threshold` must sign."""

    offices: Offices
    threshold: Annotated[int, Field(ge=1, le=32)]
    source: Sources

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        _distinct("offices", self.offices)
        if self.threshold > len(self.offices):
            raise ValueError(f"threshold {self.threshold} of {len(self.offices)} offices cannot be reached")
        return self


class ReleaseRule(Quorum):
    """Which offices together open the sealed layer, each with a share of its key, and on which legal bases (JC-8)."""

    bases: Annotated[tuple[Slug, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _several(self) -> Self:
        if self.threshold == 1:
            raise ValueError("threshold 1 would let one office alone open the sealed layer")
        return self


class AccessRule(Strict):
    """How long the written approval of an end user is good for (SL-3.4)."""

    validated_for_days: Days
    source: Sources

    @property
    def validated_for(self) -> timedelta:
        """How long a holder counts after somebody approved them."""
        return timedelta(days=self.validated_for_days)


class Seats(Strict):
    """Offices of which any one may act alone."""

    offices: Offices
    source: Sources

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        _distinct("offices", self.offices)
        return self


class WaiverRule(Seats):
    """Who may deviate from the table of uses for a while, why, in what, how long (SL-5.1).

    Attributes:
        bases: The justifications that count.
        shorter_than_days: A waiver lasts less than this; never more than 30.
        widens: What a waiver may touch.
        people: The least that a waiver may hide of people.
    """

    bases: Annotated[tuple[Slug, ...], Field(min_length=1)]
    shorter_than_days: Annotated[int, Field(ge=1, le=TEMPORARY_DAYS)]
    widens: tuple[Literal["permissible-use", "schedule", "people", "retention", "picture"], ...]
    people: PeopleMode

    @property
    def shorter_than(self) -> timedelta:
        """The bound that a waiver's length stays below."""
        return timedelta(days=self.shorter_than_days)


class RevocationRule(Seats):
    """Which offices, each alone, may order which revocations."""

    actions: Annotated[tuple[Literal["pause", "stop", "erase"], ...], Field(min_length=1)]


class RetentionRule(Strict):
    """How long footage is kept (SL-3.11, JC-24)."""

    default_days: Annotated[Days, Field(le=MAX_RETENTION_DAYS)]
    extended_days: Annotated[Days, Field(le=MAX_RETENTION_DAYS)]
    bases: tuple[Slug, ...]
    decided_by: tuple[Slug, ...]
    source: Sources

    @model_validator(mode="after")
    def _extends(self) -> Self:
        if self.extended_days < self.default_days:
            raise ValueError("extended_days is shorter than default_days")
        if self.extended_days > self.default_days and not (self.bases and self.decided_by):
            raise ValueError("an extended retention needs bases and an office that decides")
        return self


class SiteRule(Strict):
    """What a site's record must show (RB-2, RB-3, RB-5)."""

    bases: Annotated[tuple[Slug, ...], Field(min_length=1)]
    purchase_reference: bool
    source: Sources


class ModelRule(Strict):
    """Which nets may run (RB-6): those a grant lists, with these outputs only."""

    outputs: tuple[Literal["boxes", "classes"], ...]
    reviewed_by: Offices
    source: Sources


class PictureRule(Strict):
    """The finest picture any grant or waiver may ask for."""

    max_height_px: HeightPx
    max_rate_hz: RateHz
    source: Sources


class FreshnessRule(Strict):
    """How long a camera obeys grants without hearing from the city."""

    offline_for_days: Annotated[int, Field(ge=1, le=31)]
    source: Sources


class RecipientRole(Strict):
    """A role that may open footage. Administrators can be none (SL-3.2)."""

    id: Slug
    title: Text
    originals: bool  # whether it may be one of the quorum that opens the sealed layer
    source: Sources


class PermissibleUse(Strict):
    """One thing an intended use may be used for."""

    id: Slug
    title: Text


class IntendedUse(Strict):
    """One row of the table of uses, with the conditions a machine can check.

    Attributes:
        clause: The row's clause id; what `Decision.intended_use` shows.
        needs_case: Every grant names a case (an active investigation).
        case_for: Permissible uses that need a case even where the row does not.
        needs_order_by: Offices of which one must have ordered it, for an emergency with an end.
        needs_status: What must be declared true of the site while the grant runs, such as "vacant".
        max_days: The longest window of one grant.
        people: The least that a grant may hide of people.
        originals: Whether the sealed layer is allowed.
        biometrics: What the clause would allow; version 1 of the grant refuses all but off.
        live: Who may watch live.
        recipients: Roles that may open this use's footage.
        sharing: Rows of the sharing table that a grant for this use may name.
        metrics: What a grant for this use must promise to report (SL-2.5).
    """

    id: Slug
    clause: Clause
    title: Text
    permissible: Annotated[tuple[PermissibleUse, ...], Field(min_length=1, max_length=32)]
    needs_case: bool
    case_for: tuple[Slug, ...] = ()
    needs_order_by: tuple[Slug, ...] = ()
    needs_status: tuple[Slug, ...] = ()
    max_days: Days
    people: PeopleMode
    originals: Originals
    biometrics: Literal["never", "with-case", "in-area"]
    live: LiveView
    recipients: Annotated[tuple[Slug, ...], Field(min_length=1)]
    sharing: tuple[Slug, ...]
    metrics: Annotated[tuple[Slug, ...], Field(min_length=1)]
    source: Sources


class SharingRow(Strict):
    """One row of the table of sharing: with whom, what, on which bases."""

    id: Slug
    clause: Clause
    shared_with: Text
    what: tuple[Literal["live-masked", "recorded-masked", "recorded-originals", "counts"], ...]
    bases: tuple[Slug, ...]
    condition: Text
    source: Sources


class Charter(Strict):
    """A city's law as data.

    Attributes:
        time_zone: The POSIX TZ rule that schedules follow, such as "CST6CDT,M3.2.0,M11.1.0". A rule and not a
            name: it is signed with the charter, so no table on the device can move an opening hour.
        administrators: Roles and offices that administer; none may open footage (SL-3.2).
        release: Who opens the sealed layer; without it, its keys are never made.
        access: How long a holder of daily keys counts without being approved again; None is for ever.
    """

    kind: Literal["charter"]
    version: VersionOne
    id: Slug
    city: Text
    revision: Annotated[int, Field(ge=1, le=1_000_000)]
    adopted_on: Day
    time_zone: Annotated[str, Field(min_length=3, max_length=64)]
    offices: Annotated[tuple[Office, ...], Field(min_length=1, max_length=32)]
    root: Quorum
    approval: Quorum
    restrictions: Seats
    holds: Seats
    epochs: Seats
    devices: Seats
    waivers: WaiverRule
    revocations: Annotated[tuple[RevocationRule, ...], Field(min_length=1)]
    administrators: Annotated[tuple[Slug, ...], Field(min_length=1)]
    freshness: FreshnessRule
    retention: RetentionRule
    picture: PictureRule
    sites: SiteRule
    models: ModelRule
    recipients: Annotated[tuple[RecipientRole, ...], Field(min_length=1)]
    uses: Annotated[tuple[IntendedUse, ...], Field(min_length=1)]
    sharing: tuple[SharingRow, ...]
    release: ReleaseRule | None = None
    access: AccessRule | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        zone_of(self.time_zone)
        offices = _distinct("offices", [office.id for office in self.offices])
        roles = _distinct("recipients", [role.id for role in self.recipients])
        rows = _distinct("sharing", [row.id for row in self.sharing])
        _distinct("uses", [use.id for use in self.uses])
        named: dict[str, tuple[str, ...]] = {
            "root": self.root.offices,
            "approval": self.approval.offices,
            "restrictions": self.restrictions.offices,
            "holds": self.holds.offices,
            "epochs": self.epochs.offices,
            "devices": self.devices.offices,
            "waivers": self.waivers.offices,
            "release": () if self.release is None else self.release.offices,
            "retention.decided_by": self.retention.decided_by,
            "models.reviewed_by": self.models.reviewed_by,
            **{f"revocations.{n}": rule.offices for n, rule in enumerate(self.revocations)},
            **{f"uses.{use.id}.needs_order_by": use.needs_order_by for use in self.uses},
        }
        for where, ids in named.items():
            _known(where, ids, offices, "office")
        if mixed := roles & set(self.administrators):
            raise ClauseViolationError("SL-3.2", f"{_listed(mixed)} administers and may not open footage")
        if self.release is not None and (mixed := set(self.release.offices) & set(self.administrators)):
            raise ClauseViolationError("SL-3.2", f"{_listed(mixed)} administers and may not help to open footage")
        for use in self.uses:
            permissible = _distinct(f"uses.{use.id}.permissible", [one.id for one in use.permissible])
            _known(f"uses.{use.id}.recipients", use.recipients, roles, "recipient role")
            _known(f"uses.{use.id}.sharing", use.sharing, rows, "sharing row")
            _known(f"uses.{use.id}.case_for", use.case_for, permissible, "permissible use")
        return self

    def use(self, use_id: str) -> IntendedUse | None:
        """Return the intended use named `use_id`, if the charter has it."""
        return next((use for use in self.uses if use.id == use_id), None)

    def role(self, role_id: str) -> RecipientRole | None:
        """Return the recipient role named `role_id`, if the charter has it."""
        return next((role for role in self.recipients if role.id == role_id), None)

    def row(self, row_id: str) -> SharingRow | None:
        """Return the sharing row named `row_id`, if the charter has it."""
        return next((row for row in self.sharing if row.id == row_id), None)

    def title_of(self, office_id: str) -> str:
        """Return what people call an office; its slug if the charter does not know it."""
        return next((office.title for office in self.offices if office.id == office_id), office_id)

    @property
    def offline_for(self) -> timedelta:
        """How long grants live without a fresh timestamp."""
        return timedelta(days=self.freshness.offline_for_days)


def parse_charter(raw: bytes) -> Charter:
    """Return the charter that the signed JSON `raw` states.

    Raises:
        DocumentFormatError: It is not strict JSON, or not a charter of version 1.
        ClauseViolationError: It contradicts the law that every charter keeps (SL-3.2).
    """
    check(raw)
    return _charter(raw)


def read_charter_toml(text: str) -> Charter:
    """Return the charter that people wrote as TOML.

    Raises:
        DocumentFormatError: It is not TOML, or not a charter of version 1.
        ClauseViolationError: As in `parse_charter`.
    """
    try:
        stated = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DocumentFormatError(f"charter is not TOML: {error}") from error
    # TOML has dates of its own; JSON spells them the same way.
    raw = json.dumps(stated, default=str, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return parse_charter(raw)


def canonical_charter(charter: Charter) -> bytes:
    """Return the bytes that the root offices sign."""
    return canonical(charter.model_dump(mode="json"))


def _charter(raw: bytes) -> Charter:
    try:
        return Charter.model_validate_json(raw)
    except ValidationError as error:
        raise DocumentFormatError(f"charter: {first_problem(error)}") from error


def _distinct(where: str, ids: "list[str] | tuple[str, ...]") -> set[str]:
    distinct = set(ids)
    if len(distinct) < len(ids):
        raise ValueError(f"{where} names {_listed({one for one in ids if ids.count(one) > 1})} twice")
    return distinct


def _known(where: str, ids: tuple[str, ...], known: set[str], what: str) -> None:
    if unknown := set(ids) - known:
        raise ValueError(f"{where} names {_listed(unknown)}, which is no {what} of this charter")


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
