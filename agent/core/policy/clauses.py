"""Hold a document against the charter; every refusal cites the city's own clause.

Run when officials draft and sign, and again on the camera for every document new
to it. What a camera has once accepted as a restriction, hold or revocation is not
held against a later charter: only a grant lifts it.

The rules read as the charter does: one function a provision.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import NoReturn, assert_never

from agent.core.policy.charter import Charter, IntendedUse, Sources
from agent.core.policy.decision import LiveView, Originals
from agent.core.policy.documents import (
    Document,
    EpochKeys,
    Grant,
    Hold,
    Restriction,
    Revocation,
    Site,
    SuspendRecipient,
    Waiver,
    WidenPeople,
    WidenPicture,
    WidenRetention,
    WidenUse,
)
from agent.core.policy.order import ORIGINALS, SHOWN, WATCHED
from agent.core.policy.verified import refuse_overlapping
from agent.errors import ClauseViolationError, SignatureError

Signed = Grant | Restriction | Waiver | Hold | EpochKeys | Revocation


def check_document(charter: Charter, document: Signed) -> None:
    """Check everything that the charter says about one document.

    Raises:
        ClauseViolationError: It asks for what the charter does not allow.
    """
    match document:
        case Grant():
            _check_grant(charter, document)
        case Restriction():
            _check_restriction(charter, document)
        case Waiver():
            _check_waiver(charter, document)
        case Hold():
            _check_seat(charter.holds.offices, document, charter.holds.source)
        case EpochKeys():
            _check_epochs(charter, document)
        case Revocation():
            _check_revocation(charter, document)
        case _:
            assert_never(document)


def check_signers(charter: Charter, document: Signed, signed_by: Iterable[str]) -> None:
    """Check that the offices whose signatures were verified are those the charter asks for.

    Raises:
        SignatureError: Someone is missing, or signed who may not.
    """
    signers = set(signed_by)
    if isinstance(document, Grant):
        entitled = signers & set(charter.approval.offices)
        if len(entitled) < charter.approval.threshold:
            missing = sorted(set(charter.approval.offices) - entitled)
            raise SignatureError(
                f"grant {document.id} is signed by {len(entitled)} of the {charter.approval.threshold} offices needed; "
                f"missing {', '.join(missing)} ({charter.approval.source[0]})"
            )
    elif document.issued_by not in signers:
        raise SignatureError(
            f"{document.kind} {document.id} says it is by {document.issued_by}, who did not sign it (JC-19)"
        )


def check_together(grants: Iterable[Grant], waivers: Iterable[Waiver]) -> None:
    """Check what only shows in several documents at once.

    Raises:
        ClauseViolationError: Two grants overlap, or waivers follow one another for 30 days or more (SL-5.1).
    """
    refuse_overlapping(grants)
    _refuse_chained(waivers)


# --- grants ---------------------------------------------------------------------


def _check_grant(charter: Charter, grant: Grant) -> None:
    _check_seat(charter.approval.offices, grant, charter.approval.source)
    use = charter.use(grant.intended_use)
    if use is None:
        _refuse("SL-2.2", f"{charter.city} has no intended use {grant.intended_use}")
    _check_use(grant, use)
    _check_pictures(charter, grant, use)
    _check_people(charter, grant, use)
    _check_recipients(charter, grant, use)
    _check_sharing(charter, grant, use)
    _check_retention(charter, grant)
    check_site(charter, grant.site)
    _check_models(charter, grant)


def _check_use(grant: Grant, use: IntendedUse) -> None:
    permissible = {one.id for one in use.permissible}
    if unknown := set(grant.permissible_uses) - permissible:
        _refuse(use.clause, f"{_listed(unknown)} is no permissible use of {use.title}")
    if grant.case is None and (use.needs_case or set(grant.permissible_uses) & set(use.case_for)):
        _refuse(use.clause, f"{use.title} for {_listed(grant.permissible_uses)} needs a case, and none is named")
    if use.needs_order_by:
        if grant.order is None or grant.order.ordered_by not in use.needs_order_by:
            _refuse(use.clause, f"{use.title} needs an emergency order by {_listed(use.needs_order_by)}")
        if grant.ends_at > grant.order.ends_at:
            _refuse(use.clause, "the grant outlasts the emergency it was ordered for")
    if use.needs_status and grant.site.status not in use.needs_status:
        _refuse(use.clause, f"the site is not declared {_listed(use.needs_status)}")
    if grant.ends_at - grant.starts_at > timedelta(days=use.max_days):
        _refuse(use.clause, f"the grant lasts longer than {use.max_days} days")
    if missing := set(use.metrics) - set(grant.metrics):
        _refuse("SL-2.5", f"the metrics {_listed(missing)} are not promised")


def _check_pictures(charter: Charter, grant: Grant, use: IntendedUse) -> None:
    if grant.max_height_px > charter.picture.max_height_px or grant.max_rate_hz > charter.picture.max_rate_hz:
        _refuse(
            charter.picture.source,
            f"{grant.max_height_px} lines at {grant.max_rate_hz} a second are asked for, "
            f"expected at most {charter.picture.max_height_px} at {charter.picture.max_rate_hz}",
        )
    if WATCHED[grant.live] > WATCHED[use.live]:
        _refuse("SL-T2-5", f"live view {grant.live} is not for {use.title}")


def _check_people(charter: Charter, grant: Grant, use: IntendedUse) -> None:
    if SHOWN[grant.people] > SHOWN[use.people]:
        _refuse("JC-11", f"people mode {grant.people} hides less than {use.people}, the least for {use.title}")
    if ORIGINALS[grant.originals] > ORIGINALS[use.originals]:
        _refuse(use.clause, f"{use.title} keeps no originals")
    for role_id in grant.originals_recipients:
        role = charter.role(role_id)
        if role is None or not role.originals:
            _refuse(use.clause, f"{role_id} may not be among those who open originals")
    if grant.originals is Originals.SEALED and grant.live is not LiveView.NONE:
        _refuse("SL-T2-5", "a camera the public watches keeps no originals")


def _check_recipients(charter: Charter, grant: Grant, use: IntendedUse) -> None:
    named = (*grant.recipients, *grant.originals_recipients)
    if mixed := set(named) & set(charter.administrators):
        _refuse("SL-3.2", f"{_listed(mixed)} administers and may not open footage")
    if unknown := set(grant.recipients) - set(use.recipients):
        _refuse(use.clause, f"{_listed(unknown)} may not open footage of {use.title}")


def _check_sharing(charter: Charter, grant: Grant, use: IntendedUse) -> None:
    for sharing in grant.sharing:
        row = charter.row(sharing.row)
        if row is None or sharing.row not in use.sharing:
            _refuse(use.clause, f"footage of {use.title} is not shared under {sharing.row}")
        if sharing.basis not in row.bases:
            _refuse(row.clause, f"{sharing.basis} is no basis for sharing with {row.shared_with}")


def _check_retention(charter: Charter, grant: Grant) -> None:
    rule, asked = charter.retention, grant.retention
    if asked.days <= rule.default_days:
        return
    if asked.days > rule.extended_days:
        _refuse(rule.source, f"retention of {asked.days} days is asked for, expected at most {rule.extended_days}")
    if asked.basis not in rule.bases or asked.decided_by not in rule.decided_by:
        _refuse(
            rule.source,
            f"retention of {asked.days} days needs one of {_listed(rule.bases)}, decided by {_listed(rule.decided_by)}",
        )
    if asked.area is None or asked.ends_at is None:
        _refuse("JC-24", "an extended retention names its area and its end")


def check_site(charter: Charter, site: Site) -> None:
    """Pass if a site's record shows what the charter wants to see (RB-2, RB-3).

    Raises:
        ClauseViolationError: It does not, and by which clause.
    """
    rule = charter.sites
    if site.basis not in rule.bases:
        _refuse(rule.source, f"site basis {site.basis} is asked for, expected one of {_listed(rule.bases)}")
    if rule.purchase_reference and site.purchase_reference is None:
        _refuse("RB-3", f"site {site.id} has no purchase reference")


def _check_models(charter: Charter, grant: Grant) -> None:
    for model in grant.models:
        if other := set(model.outputs) - set(charter.models.outputs):
            _refuse(charter.models.source, f"model {model.name} outputs {_listed(other)}")


# --- the others -----------------------------------------------------------------


def _check_restriction(charter: Charter, restriction: Restriction) -> None:
    _check_seat(charter.restrictions.offices, restriction, charter.restrictions.source)
    for narrowing in restriction.narrows:
        # A typing error would suspend nobody, silently.
        if isinstance(narrowing, SuspendRecipient) and narrowing.role and charter.role(narrowing.role) is None:
            _refuse("JC-28", f"{narrowing.role} is no recipient role of {charter.city}")


def _check_waiver(charter: Charter, waiver: Waiver) -> None:
    rule = charter.waivers
    _check_seat(rule.offices, waiver, rule.source)
    if waiver.basis not in rule.bases:
        _refuse(rule.source, f"waiver basis {waiver.basis} is given, expected one of {_listed(rule.bases)}")
    if waiver.ends_at - waiver.starts_at >= rule.shorter_than:
        _refuse(rule.source, f"waiver lasts {rule.shorter_than_days} days or more, expected less")
    if waiver.widens.what not in rule.widens:
        _refuse(rule.source, f"a waiver may not widen {waiver.widens.what}")
    match waiver.widens:
        case WidenUse(intended_use=use_id, permissible_use=permissible):
            use = charter.use(use_id)
            if use is None or permissible not in {one.id for one in use.permissible}:
                _refuse("SL-2.2", f"{charter.city} has no permissible use {use_id}/{permissible}")
        case WidenPeople(people=people) if SHOWN[people] > SHOWN[rule.people]:
            _refuse(rule.source, f"a waiver hides at least {rule.people}, not {people}")
        case WidenRetention(days=days) if days > charter.retention.extended_days:
            _refuse(charter.retention.source, f"retention of {days} days is beyond {charter.retention.extended_days}")
        case WidenPicture(max_height_px=height, max_rate_hz=rate) if (
            height > charter.picture.max_height_px or rate > charter.picture.max_rate_hz
        ):
            _refuse(charter.picture.source, f"{height} lines at {rate} a second are finer than the city allows")
        case _:
            pass


def _check_epochs(charter: Charter, epochs: EpochKeys) -> None:
    _check_seat(charter.epochs.offices, epochs, charter.epochs.source)
    for role_id in sorted({one.role for day in epochs.days for one in day.recipients}):
        if role_id in charter.administrators:
            _refuse("SL-3.2", f"{role_id} administers and may not open footage")
        role = charter.role(role_id)
        if role is None:
            _refuse(charter.epochs.source, f"{role_id} is no recipient role of {charter.city}")
        if epochs.layer == "originals" and not role.originals:
            _refuse(role.source, f"{role_id} may not be among those who open originals")


def _check_revocation(charter: Charter, revocation: Revocation) -> None:
    rules = [rule for rule in charter.revocations if revocation.issued_by in rule.offices]
    if not any(revocation.action in rule.actions for rule in rules):
        _refuse(charter.revocations[0].source, f"{revocation.issued_by} may not order {revocation.action}")


def _refuse_chained(waivers: Iterable[Waiver]) -> None:
    """Refuse waivers of one thing that follow one another into 30 days: together they are what SL-5.1 forbids."""
    every = [(camera, waiver.widens.what, waiver) for waiver in waivers for camera in set(waiver.cameras)]
    every.sort(key=lambda entry: (entry[0], entry[1], entry[2].starts_at, entry[2].id))
    for (camera, what), entries in groupby(every, key=lambda entry: entry[:2]):
        begun: datetime | None = None
        until: datetime | None = None
        for _, _, waiver in entries:
            if begun is None or until is None or waiver.starts_at > until:
                begun, until = waiver.starts_at, waiver.ends_at
            until = max(until, waiver.ends_at)
            if until - begun >= timedelta(days=30):
                _refuse("SL-5.1", f"waivers up to {waiver.id} widen {what} of {camera} for 30 days or more in a row")


def _check_seat(offices: Iterable[str], document: Document, source: Sources) -> None:
    if document.issued_by not in offices:
        _refuse(source, f"{document.id} is by {document.issued_by}, expected one of {_listed(offices)}")


def _refuse(source: Sources | str, message: str) -> NoReturn:
    """Raise with the first clause of `source`."""
    raise ClauseViolationError(source if isinstance(source, str) else source[0], message)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
