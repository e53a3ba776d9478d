"""Decide what one camera may do now, from verified documents and the clock.

    permitted  =  (grant in force, widened by waivers in force), narrowed by restrictions standing

A *grant* is in force inside its window, when the time is known and the city has
been heard of lately; there is one at a time (`verified`). A *waiver* is in force
inside its window, under a grant, and never for 30 days. A *restriction*, *hold* or
*revocation* stands from its start, whatever the clock and however stale the policy
(where the clock lags behind what is proven to be past, from the proven start), until
the grant in force lifts it by name; nothing lifts an erasure. Where anything lacks,
the camera is dark, and the decision says why.

Pure and total: every input has a decision, the same one each time. Widening happens
in one function (`_widen`), narrowing in one (`_narrow`), in that order: this is why
no waiver beats a restriction.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache, reduce
from typing import TypeVar

from agent.core.policy.charter import Charter, canonical_charter
from agent.core.policy.civil_time import zone_of
from agent.core.policy.clauses import check_document
from agent.core.policy.clock import SIGNING_SLACK, ClockQuality, ClockState
from agent.core.policy.decision import (
    ApprovedModel,
    Decision,
    HeldSpan,
    LiveView,
    Originals,
    PeopleMode,
    Revocation,
)
from agent.core.policy.documents import (
    EpochKeys,
    Grant,
    Hold,
    Narrowing,
    NarrowPeople,
    NarrowPicture,
    NarrowPlainly,
    NarrowRetention,
    NarrowSchedule,
    NarrowZones,
    Restriction,
    SuspendModel,
    SuspendRecipient,
    Waiver,
    WidenPeople,
    WidenPicture,
    WidenRetention,
    WidenSchedule,
    WidenUse,
)
from agent.core.policy.documents import Revocation as RevocationOrder
from agent.core.policy.order import STRENGTH, less_shown, more_shown
from agent.core.policy.schedule import is_open, next_flip, week_of
from agent.core.policy.verified import CameraDocuments, VerifiedDocuments
from agent.core.policy.words import write_instant
from agent.core.zones import Zone
from agent.errors import ClauseViolationError

Part = TypeVar("Part")
Forbidding = TypeVar("Forbidding", Restriction, Hold, RevocationOrder)

DAY = timedelta(days=1)
FIRST_YEAR, LAST_YEAR = 1970, 9998  # what a clock can show without the arithmetic below leaving the calendar
# Boundaries without effect that are looked past to find the next change; after as many, the caller is told
# to look again at the last of them, which costs a look and changes nothing.
MAX_LOOKS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """A time, and how far it can be relied on.

    Attributes:
        now: The time.
        known: Whether it can be believed at all.
        fresh_until: When grants lapse for want of news from the city; None if there never was any.
        lag: How far `now` lies behind what is proven to be past; what forbids does not wait for it.
    """

    now: datetime
    known: bool
    fresh_until: datetime | None
    lag: timedelta

    @property
    def fresh(self) -> bool:
        """Whether the city has been heard of lately."""
        return self.fresh_until is not None and self.now < self.fresh_until

    def within(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether a document that permits is inside its window."""
        return self.known and starts_at <= self.now < ends_at

    def begun(self, documents: tuple[Forbidding, ...]) -> tuple[Forbidding, ...]:
        """Return the documents that forbid and have begun; one whose start cannot be known has."""
        return tuple(one for one in documents if one.starts_at <= self.now + self.lag) if self.known else documents


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """The documents that count for one camera at one moment."""

    grant: Grant | None
    why_no_grant: str
    waivers: tuple[Waiver, ...]
    restrictions: tuple[Restriction, ...]
    holds: tuple[Hold, ...]
    revocations: tuple[RevocationOrder, ...]
    masked_keys: EpochKeys | None
    originals_keys: EpochKeys | None

    def documents(self) -> Iterator[Grant | Waiver | Restriction | Hold | RevocationOrder | EpochKeys]:
        """Yield all of them."""
        yield from (one for one in (self.grant, self.masked_keys, self.originals_keys) if one is not None)
        yield from self.waivers
        yield from self.restrictions
        yield from self.holds
        yield from self.revocations

    def sources(self) -> tuple[str, ...]:
        """Return their ids, sorted."""
        return tuple(sorted({document.id for document in self.documents()}))


def decide(
    charter: Charter,
    documents: VerifiedDocuments,
    clock: ClockState,
    *,
    camera_id: str,
    fresh_until: datetime | None,
) -> Decision:
    """Return what `camera_id` may do at `clock.now`.

    Args:
        charter: The city's law.
        documents: What was verified under it.
        clock: The time and its quality.
        camera_id: Whose decision it is.
        fresh_until: When the newest news from the city is too old for grants and waivers
            (its signed time + `charter.offline_for`); None if there never was any.
    """
    known = clock.quality is not ClockQuality.UNKNOWN and FIRST_YEAR <= clock.now.year <= LAST_YEAR
    lag = min(max(clock.proven - clock.now, timedelta(0)), SIGNING_SLACK) if clock.proven else timedelta(0)
    moment = _Moment(now=clock.now, known=known, fresh_until=fresh_until, lag=lag)
    mine = _lawful(charter, documents.about(camera_id))
    standing = _stand(charter, mine, moment)
    decision = _at(charter, mine, standing, moment)
    return replace(
        decision,
        changes_at=_next_change(charter, mine, standing, moment, decision),
        keys_until=_keys_until(mine, moment) if standing.grant else None,
    )


def _at(charter: Charter, mine: CameraDocuments, standing: _Standing, moment: _Moment) -> Decision:
    """Return the decision of one moment, without when it changes."""
    decision = _permit(charter, standing, moment)
    if decision is None:
        decision = replace(Decision.dark(standing.why_no_grant), retention=_kept_when_dark(charter, mine))
    decision = _narrow(decision, standing.restrictions)
    decision = _within_hours(charter, standing, decision, moment)
    decision = _seal_to(charter, standing, decision, moment)
    decision = _count_only(decision)
    strongest = max(standing.revocations, key=lambda one: (STRENGTH[Revocation(one.action)], one.id), default=None)
    if strongest is not None:
        reason = f"{strongest.action} ordered by {charter.title_of(strongest.issued_by)}: {strongest.reason}"
        decision = replace(
            _dark(decision, ""), reason=f"{reason} ({strongest.id})", revocation=Revocation(strongest.action)
        )
    return replace(
        decision,
        waivers=tuple(sorted(waiver.id for waiver in standing.waivers)),
        holds=_held(standing.holds),
        sources=standing.sources(),
        policy_digest=_digest(charter, (document.sha256 for document in standing.documents())),
    )


# --- which documents count ------------------------------------------------------


def _stand(charter: Charter, mine: CameraDocuments, moment: _Moment) -> _Standing:
    grant, why_not = _grant_in_force(charter, mine, moment)
    lifted = frozenset(grant.lifts) if grant else frozenset()
    return _Standing(
        grant=grant,
        why_no_grant=why_not,
        waivers=tuple(
            waiver for waiver in mine.waivers if grant and moment.within(waiver.starts_at, mine.end_of(waiver))
        ),
        restrictions=tuple(one for one in moment.begun(mine.restrictions) if one.id not in lifted),
        holds=tuple(one for one in moment.begun(mine.holds) if one.id not in lifted),
        # An erased camera is a new camera under a new name, or none: no grant brings this one back.
        revocations=tuple(
            one for one in moment.begun(mine.revocations) if one.action == "erase" or one.id not in lifted
        ),
        masked_keys=_keys_of_day(charter, mine, grant, "masked", moment) if grant else None,
        originals_keys=(
            _keys_of_day(charter, mine, grant, "originals", moment)
            if grant and grant.originals is Originals.SEALED
            else None
        ),
    )


def _lawful(charter: Charter, mine: CameraDocuments) -> CameraDocuments:
    """Return `mine` without the waivers that the charter does not allow (any more)."""
    return replace(mine, waivers=tuple(waiver for waiver in mine.waivers if not _violation(charter, waiver)))


def _grant_in_force(charter: Charter, mine: CameraDocuments, moment: _Moment) -> tuple[Grant | None, str]:
    """Return the grant that counts, or None and why there is none, in words."""
    if why_not := _why_none_counts(mine.grants, moment):
        return None, why_not
    inside = (one for one in mine.grants if moment.within(one.starts_at, mine.end_of(one)))
    grant = next(inside, None)  # at most one: `verified`
    if grant is None:
        return None, _why_outside(mine, moment.now)
    if violation := _violation(charter, grant):
        return None, f"grant {grant.id} is against the charter: {violation}"
    return grant, ""


def _why_none_counts(grants: tuple[Grant, ...], moment: _Moment) -> str:
    """Return why no grant can count, whatever its window, or nothing."""
    if not grants:
        return "no grant covers this camera (RB-1)"
    if not moment.known:
        return "the time is unknown, and a grant counts only inside its window"
    if moment.fresh_until is None:
        return "the city has not been heard of yet"
    if not moment.fresh:
        return f"the city has not been heard of; grants lapsed at {write_instant(moment.fresh_until)}"
    return ""


def _why_outside(mine: CameraDocuments, now: datetime) -> str:
    to_come = [grant for grant in mine.grants if grant.starts_at > now]
    if to_come:
        first = min(to_come, key=lambda grant: grant.starts_at)
        return f"grant {first.id} begins at {write_instant(first.starts_at)}"
    last = max(mine.grants, key=mine.end_of)
    return f"grant {last.id} ended at {write_instant(mine.end_of(last))}"


def _violation(charter: Charter, document: Grant | Waiver) -> str:
    """Return what the charter has against a document that permits, or nothing."""
    try:
        check_document(charter, document)
    except ClauseViolationError as error:
        return str(error)
    return ""


def _keys_of_day(
    charter: Charter, mine: CameraDocuments, grant: Grant, layer: str, moment: _Moment
) -> EpochKeys | None:
    """Return the document whose recipients count today: the latest issued that has today.

    Footage that is kept longer has keys of its own, where they are published; those of all other footage
    die earlier, so to be sealed to them is the narrower of the two.
    """
    today = moment.now.astimezone(UTC).date()
    extended = _retention_days(charter, grant, moment.now) > charter.retention.default_days
    candidates = (
        keys
        for keys in mine.epochs
        if keys.layer == layer
        and (extended or keys.keeps == "default")
        and moment.within(keys.starts_at, mine.end_of(keys))
        and any(day.day == today for day in keys.days)
    )
    return max(candidates, key=lambda one: (one.keeps == "extended", one.issued_at, one.id, one.sha256), default=None)


# --- what they permit -----------------------------------------------------------


def _permit(charter: Charter, standing: _Standing, moment: _Moment) -> Decision | None:
    """Return what grant and waivers permit together, before any restriction; None without a grant."""
    grant = standing.grant
    use = charter.use(grant.intended_use) if grant else None
    if grant is None or use is None:
        return None
    until = write_instant(grant.ends_at)
    decision = Decision(
        recording=True,
        reason=f"records for {use.title} under grant {grant.id} until {until} ({use.clause})",
        intended_use=use.clause,
        permissible_uses=tuple(sorted(f"{use.id}/{one}" for one in set(grant.permissible_uses))),
        zones=tuple(zone.zone() for zone in grant.zones),
        view=grant.view.view(),
        people=grant.people,
        originals=grant.originals,
        retention=timedelta(days=_retention_days(charter, grant, moment.now)),
        max_height_px=grant.max_height_px,
        max_rate_hz=grant.max_rate_hz,
        live=grant.live,
        models=tuple(sorted({ApprovedModel(model.sha256, tuple(sorted(model.outputs))) for model in grant.models})),
    )
    return _widen(decision, standing.waivers)


def _retention_days(charter: Charter, grant: Grant, now: datetime) -> int:
    """Return the granted days; after the end of an extension, the default (JC-24)."""
    extended = grant.retention.ends_at is None or now < grant.retention.ends_at
    return grant.retention.days if extended else min(grant.retention.days, charter.retention.default_days)


def _kept_when_dark(charter: Charter, mine: CameraDocuments) -> timedelta:
    """Return how long stored footage stays while nothing is recorded: a gap in policy destroys no evidence (JC-25)."""
    return timedelta(days=max((grant.retention.days for grant in mine.grants), default=charter.retention.default_days))


def _widen(decision: Decision, waivers: Iterable[Waiver]) -> Decision:
    """Return `decision` with what `waivers` widen; each field is a maximum, so their order does not matter."""
    widenings = tuple(waiver.widens for waiver in waivers)
    pictures = _only(WidenPicture, widenings)
    uses = {f"{one.intended_use}/{one.permissible_use}" for one in _only(WidenUse, widenings)}
    # Hours are the one thing widened elsewhere: `_hours`.
    return replace(
        decision,
        permissible_uses=tuple(sorted(uses.union(decision.permissible_uses))),
        people=reduce(more_shown, (one.people for one in _only(WidenPeople, widenings)), decision.people),
        retention=max([decision.retention, *(timedelta(days=one.days) for one in _only(WidenRetention, widenings))]),
        max_height_px=max([decision.max_height_px, *(one.max_height_px for one in pictures)]),
        max_rate_hz=max([decision.max_rate_hz, *(one.max_rate_hz for one in pictures)]),
    )


def _narrow(decision: Decision, restrictions: tuple[Restriction, ...]) -> Decision:
    """Return `decision` with what `restrictions` narrow; each field is a minimum, so their order does not matter."""
    narrowings = list(_narrowings(restrictions))
    plain = {one.what for one in _only(NarrowPlainly, narrowings)}
    pictures = _only(NarrowPicture, narrowings)
    suspended = {one.sha256 for one in _only(SuspendModel, narrowings)}
    # Hours and recipients are the two things narrowed elsewhere: `_hours`, `_recipients`.
    narrowed = replace(
        decision,
        zones=_zones(decision, narrowings),
        people=reduce(less_shown, (one.people for one in _only(NarrowPeople, narrowings)), decision.people),
        originals=Originals.NONE if "no-originals" in plain else decision.originals,
        retention=min([decision.retention, *(timedelta(days=one.days) for one in _only(NarrowRetention, narrowings))]),
        max_height_px=min([decision.max_height_px, *(one.max_height_px for one in pictures)]),
        max_rate_hz=min([decision.max_rate_hz, *(one.max_rate_hz for one in pictures)]),
        live=LiveView.NONE if "no-live" in plain else decision.live,
        biometrics_locked="no-biometrics" in plain,
        models=tuple(model for model in decision.models if model.sha256 not in suspended),
    )
    for restriction in restrictions:
        if why_dark := next(filter(None, (_why_dark(restriction, one, decision) for one in restriction.narrows)), ""):
            return _dark(narrowed, why_dark)
    return narrowed


def _why_dark(restriction: Restriction, narrowing: Narrowing, decision: Decision) -> str:
    """Return why `narrowing` lets nothing be recorded, or nothing."""
    if isinstance(narrowing, NarrowPlainly) and narrowing.what == "dark":
        return f"dark by restriction {restriction.id}: {restriction.reason}"
    if isinstance(narrowing, NarrowZones) and narrowing.view.view() != decision.view:
        return f"restriction {restriction.id} masks areas drawn over another view"
    return ""


def _zones(decision: Decision, narrowings: Iterable[Narrowing]) -> tuple[Zone, ...]:
    """Return the granted zones, then the added ones, each once."""
    added = (zone.zone() for one in _only(NarrowZones, narrowings) for zone in one.zones)
    return tuple(dict.fromkeys((*decision.zones, *added)))


def _only(kind: type[Part], parts: Iterable[object]) -> list[Part]:
    return [part for part in parts if isinstance(part, kind)]


def _within_hours(charter: Charter, standing: _Standing, decision: Decision, moment: _Moment) -> Decision:
    """Return `decision`, dark if the city's wall clock is outside the hours."""
    if not decision.recording or is_open(_hours(standing), moment.now, zone_of(charter.time_zone)):
        return decision
    return _dark(decision, "outside the hours of the schedule")


def _hours(standing: _Standing) -> int:
    """Return the minutes of a week in which grant or a waiver records and no restriction forbids it."""
    week = week_of(standing.grant.schedule) if standing.grant else 0
    for waiver in standing.waivers:
        if isinstance(waiver.widens, WidenSchedule):
            week |= week_of(waiver.widens.schedule)
    for narrowing in _narrowings(standing.restrictions):
        if isinstance(narrowing, NarrowSchedule):
            week &= week_of(narrowing.schedule)
    return week


def _keys_until(mine: CameraDocuments, moment: _Moment) -> date | None:
    """Return the last day up to which there are keys without a gap; None if there are none today."""
    published = {
        day.day
        for keys in mine.epochs
        if keys.layer == "masked"
        for day in keys.days
        if keys.starts_at <= moment.now and datetime.combine(day.day, time(), UTC) < mine.end_of(keys)
    }
    day = moment.now.astimezone(UTC).date()
    if day not in published:
        return None
    while day + DAY in published:
        day += DAY
    return day


def _seal_to(charter: Charter, standing: _Standing, decision: Decision, moment: _Moment) -> Decision:
    """Return `decision` with today's recipients; dark if there are none, as nobody could open what it makes."""
    grant = standing.grant
    if grant is None or not decision.recording:
        return decision
    if standing.masked_keys is None:
        return _dark(decision, f"no epoch keys are published for {moment.now.astimezone(UTC).date().isoformat()}")
    lapsed = _lapsed(charter, standing.masked_keys, moment)
    recipients = _recipients(standing, standing.masked_keys, grant.recipients, moment, without=lapsed)
    if not recipients:
        if _recipients(standing, standing.masked_keys, grant.recipients, moment):
            return _dark(decision, "no recipient was approved in writing for too long (SL-3.4)")
        return _dark(decision, "no recipient that the grant names has a key today, or all are suspended (JC-28)")
    decision = replace(decision, recipients=recipients)
    quorum: tuple[str, ...] = ()
    if decision.originals is Originals.SEALED and standing.originals_keys is not None:
        quorum = _recipients(standing, standing.originals_keys, grant.originals_recipients, moment)
    originals = Originals.SEALED if quorum else Originals.NONE
    return replace(decision, originals=originals, originals_recipients=quorum)


def _lapsed(charter: Charter, keys: EpochKeys, moment: _Moment) -> frozenset[str]:
    """Return the recipients whose holders nobody has approved for longer than the charter allows (SL-3.4)."""
    if charter.access is None:
        return frozenset()
    since = moment.now.astimezone(UTC).date() - charter.access.validated_for
    return frozenset(
        one.recipient
        for day in keys.days
        for one in day.recipients
        if one.validated_on is None or one.validated_on <= since
    )


def _recipients(
    standing: _Standing,
    keys: EpochKeys,
    roles: tuple[str, ...],
    moment: _Moment,
    without: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    today = moment.now.astimezone(UTC).date()
    suspensions = [one for one in _narrowings(standing.restrictions) if isinstance(one, SuspendRecipient)]
    return tuple(
        sorted(
            {
                one.recipient
                for day in keys.days
                if day.day == today
                for one in day.recipients
                if one.role in roles
                and one.recipient not in without
                and not any(
                    suspended.role in {None, one.role} and suspended.holder in {None, one.holder}
                    for suspended in suspensions
                )
            }
        )
    )


def _count_only(decision: Decision) -> Decision:
    """Return `decision`, dark but with its models if no picture may be stored at all."""
    if not decision.recording or decision.people is not PeopleMode.COUNTS_ONLY:
        return decision
    dark = _dark(decision, "counts only; no picture is stored")
    return replace(dark, models=decision.models, zones=decision.zones, view=decision.view)


def _dark(decision: Decision, reason: str) -> Decision:
    """Return the dark decision that keeps what binds footage already stored; the first reason stays."""
    return Decision(
        recording=False,
        reason=reason if decision.recording else decision.reason,
        people=decision.people,
        retention=decision.retention,
        biometrics_locked=decision.biometrics_locked,
    )


def _narrowings(restrictions: Iterable[Restriction]) -> Iterator[Narrowing]:
    return (narrowing for restriction in restrictions for narrowing in restriction.narrows)


def _held(holds: Iterable[Hold]) -> tuple[HeldSpan, ...]:
    spans = {(hold.id, span.starts_at, span.ends_at) for hold in holds for span in hold.spans}
    return tuple(HeldSpan(*span) for span in sorted(spans))


@lru_cache(maxsize=4)
def _charter_sha256(charter: Charter) -> str:
    return hashlib.sha256(canonical_charter(charter)).hexdigest()


def _digest(charter: Charter, digests: Iterable[str]) -> str:
    """Return the SHA-256 over the charter's and the sorted documents' SHA-256, one a line; FORMAT.md."""
    lines = [_charter_sha256(charter), *sorted(digests)]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("ascii")).hexdigest()


# --- when it changes ------------------------------------------------------------


def _next_change(
    charter: Charter, mine: CameraDocuments, standing: _Standing, moment: _Moment, decision: Decision
) -> datetime | None:
    """Return the first instant at which `decision` becomes another by itself."""
    if not moment.known:
        return None  # nothing changes with a time that nobody believes
    for _ in range(MAX_LOOKS):
        boundary = _next_boundary(charter, mine, standing, moment)
        if boundary is None or boundary.year > LAST_YEAR:
            return None
        moment = replace(moment, now=boundary)
        standing = _stand(charter, mine, moment)
        # The cheaper question first: with other documents it is another decision.
        if standing.sources() != decision.sources or _at(charter, mine, standing, moment) != decision:
            break
    return moment.now


def _next_boundary(charter: Charter, mine: CameraDocuments, standing: _Standing, moment: _Moment) -> datetime | None:
    """Return the first instant after now at which any document begins, ends, or changes its hours or keys."""
    forbidding = (*mine.restrictions, *mine.holds, *mine.revocations)
    boundaries: list[datetime | None] = [
        one.starts_at - moment.lag for one in forbidding if one.starts_at > moment.now + moment.lag
    ]
    if mine.grants and moment.fresh:
        boundaries.append(moment.fresh_until)
        boundaries += [end for grant in mine.grants for end in (grant.starts_at, mine.end_of(grant))]
    if standing.grant is not None:
        boundaries += [end for waiver in mine.waivers for end in (waiver.starts_at, mine.end_of(waiver))]
        boundaries += [end for keys in mine.epochs for end in (keys.starts_at, mine.end_of(keys))]
        boundaries.append(standing.grant.retention.ends_at)
        boundaries.append(next_flip(_hours(standing), moment.now, zone_of(charter.time_zone)))
        boundaries.append(datetime.combine(moment.now.astimezone(UTC).date(), time(), UTC) + DAY)
    return min((one for one in boundaries if one is not None and one > moment.now), default=None)
