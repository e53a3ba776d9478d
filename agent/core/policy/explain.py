"""Say in plain language what a charter allows and what a decision means.

For people who sign, and for the public: every sentence ends with the clauses it
comes from. Pure; where the sentences go is the caller's business.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.core.policy.charter import Charter, IntendedUse, Quorum, SharingRow
from agent.core.policy.decision import Decision, LiveView, Originals, PeopleMode, Revocation
from agent.core.policy.words import write_instant

HIDDEN = {
    PeopleMode.COUNTS_ONLY: "no picture is stored at all, only counts",
    PeopleMode.SCENE: "everything is hidden but what is proved to be background",
    PeopleMode.PEOPLE: "people and vehicles are hidden",
    PeopleMode.HEADS: "heads are hidden",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and the sentences under it."""

    heading: str
    sentences: tuple[str, ...]


def explain_charter(charter: Charter) -> tuple[Section, ...]:
    """Return what `charter` says, section by section."""
    return (
        Section(heading="Who signs", sentences=tuple(_signing(charter))),
        Section(heading="Limits", sentences=tuple(_limits(charter))),
        *(Section(heading=f"{use.title} ({use.clause})", sentences=tuple(_use(charter, use))) for use in charter.uses),
        Section(heading="Sharing", sentences=(*(_row(row) for row in charter.sharing), "Nothing else is shared.")),
    )


def explain_decision(decision: Decision) -> tuple[str, ...]:
    """Return what a camera may do under `decision`, and why, one sentence each."""
    return tuple(_decision(decision))


def _signing(charter: Charter) -> Iterator[str]:
    yield f"This charter is changed by {_quorum(charter, charter.root)}."
    yield f"A grant is signed by {_quorum(charter, charter.approval)}."
    alone = _titles(charter, charter.restrictions.offices, "or")
    yield f"Any one of {alone} narrows alone{_by(charter.restrictions.source)}."
    yield f"A hold is placed by {_titles(charter, charter.holds.offices, 'or')}{_by(charter.holds.source)}."
    yield f"Daily keys are published by {_titles(charter, charter.epochs.offices, 'or')}{_by(charter.epochs.source)}."
    yield f"Cameras are listed by {_titles(charter, charter.devices.offices, 'or')}{_by(charter.devices.source)}."
    if charter.release is not None:
        yield (
            f"What is hidden is opened, for a case, by {_quorum(charter, charter.release)}, "
            f"on {_listed(charter.release.bases, 'or')}."
        )
    for rule in charter.revocations:
        actions = _listed(rule.actions, "or")
        yield f"{_titles(charter, rule.offices, 'or')} may order a camera to {actions}{_by(rule.source)}."
    if charter.access is not None:
        yield (
            f"Who opens footage is approved again within {charter.access.validated_for_days} days, or nothing more is "
            f"sealed to them{_by(charter.access.source)}."
        )
    yield f"{_listed(charter.administrators)} administer and may not open footage (SL-3.2)."


def _limits(charter: Charter) -> Iterator[str]:
    retention, waivers = charter.retention, charter.waivers
    yield f"Footage is kept for {retention.default_days} days{_by(retention.source)}."
    if retention.extended_days > retention.default_days:
        yield (
            f"{_titles(charter, retention.decided_by, 'or')} may extend that to {retention.extended_days} days for "
            f"{_listed(retention.bases, 'or')}, in a named area, until a named day{_by(retention.source)}."
        )
    yield (
        f"{_titles(charter, waivers.offices, 'or')} may widen one of {_listed(waivers.widens, 'or')} for less than "
        f"{waivers.shorter_than_days} days, for {_listed(waivers.bases, 'or')}; "
        f"even then {HIDDEN[waivers.people]}{_by(waivers.source)}."
    )
    yield (
        f"Pictures have at most {charter.picture.max_height_px} lines, {charter.picture.max_rate_hz} a second"
        f"{_by(charter.picture.source)}."
    )
    purchase = " and its purchase" if charter.sites.purchase_reference else ""
    yield f"A site is justified by {_listed(charter.sites.bases, 'or')}{purchase}{_by(charter.sites.source)}."
    yield (
        f"A model outputs {_listed(charter.models.outputs) or 'nothing'} and is reviewed by "
        f"{_titles(charter, charter.models.reviewed_by, 'or')}{_by(charter.models.source)}."
    )
    yield (
        f"A camera that has not heard of the city for {charter.freshness.offline_for_days} days goes dark"
        f"{_by(charter.freshness.source)}."
    )


def _use(charter: Charter, use: IntendedUse) -> Iterator[str]:
    yield f"Permits: {_listed([one.title for one in use.permissible], 'or')}."
    if use.needs_case:
        yield "Every grant names a case."
    elif use.case_for:
        yield f"A grant names a case for {_listed([one.title for one in use.permissible if one.id in use.case_for])}."
    if use.needs_order_by:
        yield f"Only in an emergency ordered by {_titles(charter, use.needs_order_by, 'or')}, and while it lasts."
    if use.needs_status:
        yield f"Only while the site is declared {_listed(use.needs_status, 'or')}."
    yield f"One grant lasts at most {use.max_days} days."
    kept = "is not kept" if use.originals is Originals.NONE else "may be kept, sealed to several officials"
    yield f"In the picture, {HIDDEN[use.people]}; what is hidden {kept}."
    if use.biometrics != "never":
        yield f"The clause would allow biometrics {use.biometrics}; this software does none."
    if use.live is LiveView.PUBLIC:
        yield "The public may watch the masked picture live (SL-T2-5)."
    yield f"Footage is opened by {_listed([_role(charter, role) for role in use.recipients], 'or')}."
    yield f"Shared under: {_listed(use.sharing) or 'nothing'}."
    yield f"Reports {_listed(use.metrics)} (SL-2.5)."


def _row(row: SharingRow) -> str:
    what = _listed(row.what)
    return f"With {row.shared_with}: {what}, on {_listed(row.bases, 'or')}; {row.condition} ({row.clause})."


def _decision(decision: Decision) -> Iterator[str]:
    yield f"{'Recording' if decision.recording else 'Dark'}: {decision.reason}."
    if decision.recording:
        yield from _pictures(decision)
    elif decision.people is PeopleMode.COUNTS_ONLY and decision.models:
        yield "It counts with its approved models and stores no picture."
    yield f"Stored footage is kept for {decision.retention.days} days."
    if decision.biometrics_locked:
        yield "An official has locked no-biometrics mode on."
    if decision.waivers:
        yield f"Widened by {_listed(decision.waivers)}."
    for held in decision.holds:
        yield f"Hold {held.hold_id} keeps {write_instant(held.start_at)} to {write_instant(held.end_at)}."
    if decision.revocation is not Revocation.NONE:
        yield f"Revoked: {decision.revocation}."
    yield f"This follows from {_listed(decision.sources) or 'no document'}."
    if decision.changes_at is not None:
        yield f"It next changes by itself at {write_instant(decision.changes_at)}."


def _pictures(decision: Decision) -> Iterator[str]:
    yield f"It may be used for {_listed(decision.permissible_uses, 'or')} ({decision.intended_use})."
    yield f"{_count(len(decision.zones), 'private area')} masked; {HIDDEN[decision.people]}."
    yield f"At most {decision.max_height_px} lines, {decision.max_rate_hz} pictures a second."
    yield f"Sealed to {_count(len(decision.recipients), 'recipient')} of today."
    if decision.originals is Originals.SEALED:
        quorum = _count(len(decision.originals_recipients), "recipient")
        yield f"What is hidden is kept in a second layer, sealed to {quorum}."
    if decision.live is LiveView.PUBLIC:
        yield "The public may watch the masked picture live."
    if decision.models:
        yield f"{_count(len(decision.models), 'approved model')} may run."


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _quorum(charter: Charter, quorum: Quorum) -> str:
    who = _titles(charter, quorum.offices)
    if quorum.threshold == len(quorum.offices):
        together = " together" if quorum.threshold > 1 else ""
        return f"{who}{together}{_by(quorum.source)}"
    return f"{quorum.threshold} of {who}{_by(quorum.source)}"


def _titles(charter: Charter, offices: Iterable[str], last: str = "and") -> str:
    return _listed([charter.title_of(office) for office in offices], last)


def _role(charter: Charter, role_id: str) -> str:
    role = charter.role(role_id)
    return role.title if role else role_id


def _by(source: Iterable[str]) -> str:
    return f" ({', '.join(source)})"


def _listed(words: Iterable[str], last: str = "and") -> str:
    every = [str(word) for word in words]
    if len(every) < 2:  # noqa: PLR2004 - one or none
        return "".join(every)
    return f"{', '.join(every[:-1])} {last} {every[-1]}"
