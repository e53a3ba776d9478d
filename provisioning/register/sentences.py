"""What a camera may do and may not, in sentences that anybody understands, each under a label.

One sentence says one thing, so that a change of policy changes exactly the sentences that it is about; the
history of a site is the difference of these lists. Clauses are named, because they can be looked up in
the city's law, which the register shows beside it.

Pure.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from agent.core.policy.charter import Charter, IntendedUse
from agent.core.policy.decision import Decision, LiveView, Originals, PeopleMode
from agent.core.policy.documents import Grant, ListedModel, Restriction
from agent.core.policy.explain import HIDDEN
from provisioning.authority.extract import WITHHELD
from provisioning.authority.summary import hours_words
from provisioning.register.standing import CameraStanding

MAY_RECORD = "may record"

Said = tuple[str, str]  # a label, and a sentence under it

BASIS_WORDS = {"high-crime-area": "a high rate of crime in the area"}
_DIGITS = 12  # of a digest, where the whole of it stands elsewhere
_SHOWN_IN_WORDS = {
    "live-masked": "the masked picture, live",
    "recorded-masked": "recorded footage in which people stay hidden",
    "recorded-originals": "recorded footage with what was hidden",
    "counts": "counts",
}


def may(charter: Charter, camera: CameraStanding) -> tuple[Said, ...]:
    """Return what a camera may do, label and sentence; labels are unique."""
    return tuple(_may(charter, camera))


def may_not(charter: Charter, camera: CameraStanding) -> tuple[Said, ...]:
    """Return what it may not do."""
    return tuple(_may_not(charter, camera))


def state_of(camera: CameraStanding) -> str:
    """Return in a word or two what a camera does: "may record", "counts only", "dark"."""
    if camera.decision.recording:
        return MAY_RECORD
    return "counts only" if _counts_only(camera.decision) else "dark"


def _may(charter: Charter, camera: CameraStanding) -> Iterator[Said]:
    permitted, grant = camera.permitted, camera.grant
    use = charter.use(grant.intended_use)
    yield "Now", _now(camera, use)
    if use is not None:
        granted = [one.title for one in use.permissible if one.id in grant.permissible_uses]
        yield "Purpose", f"{use.title}: {listed(map(_lower, granted), 'or')} ({use.clause})."
    more = sorted(set(permitted.permissible_uses) - {f"{grant.intended_use}/{one}" for one in grant.permissible_uses})
    if more:
        yield "More, for a while", f"A waiver adds: {listed(_use_title(charter, one) for one in more)}."
    yield "Hours", f"It may record {_hours(camera)}."
    yield "People", _people(permitted, camera)
    yield "Private areas", _areas(camera)
    yield "What is hidden", _originals(charter, camera)
    yield "Picture", _picture(permitted, grant)
    yield "Kept for", _kept(charter, camera)
    yield "Who may open it", f"Footage is sealed. It can be opened by: {_roles(charter, grant.recipients)}."
    yield from _shared(charter, grant)
    if permitted.live is LiveView.PUBLIC:
        yield "Live view", "Everybody may watch the masked picture live (SL-T2-5)."
    yield "Models", _models(camera)
    yield "Reports", f"It must report {listed(map(words, grant.metrics))} (SL-2.5)."
    yield "Ends", f"This permission ends by itself on {day_and_time(grant.ends_at)}."


def _may_not(charter: Charter, camera: CameraStanding) -> Iterator[Said]:
    grant = camera.grant
    use = charter.use(grant.intended_use)
    refused = [] if use is None else [one.title for one in use.permissible if one.id not in grant.permissible_uses]
    if refused:
        yield "Other uses", f"Not for {listed(map(_lower, refused), 'or')}, although the law knows such uses."
    yield "Anything else", "It may not be used for anything that is not said above."
    yield "Targeting", "It may not look for, follow or identify a person or a group (SL-2.2)."
    yield "Biometrics", biometrics(charter, camera)
    yield "Sound", "It may not record sound."
    if camera.permitted.live is LiveView.NONE:
        yield "Live viewing", "Nobody may watch it live."
    yield "Administrators", "Those who run the system may not open footage (SL-3.2)."


def biometrics(charter: Charter, camera: CameraStanding) -> str:
    """Return the state of no-biometrics mode and whether it is locked on."""
    state = "It may not recognise faces or compute anything that identifies a person: no-biometrics mode is on"
    if not camera.permitted.biometrics_locked:
        return f"{state}."
    offices = listed(charter.title_of(office) for office in charter.approval.offices)
    return f"{state}, and an official has locked it on. Only {offices} together can lift the lock."


def standing_words(charter: Charter, camera: CameraStanding) -> tuple[Said, ...]:
    """Return what narrows or widens a camera beside its grant, and how many holds there are."""
    return tuple(_standing(charter, camera))


def _standing(charter: Charter, camera: CameraStanding) -> Iterator[Said]:
    if not camera.waivers:
        yield "Waivers", "No waiver is in force."
    for waiver in camera.waivers:
        by = f"by the {charter.title_of(waiver.issued_by)}, for {words(waiver.basis)}"
        until = day_and_time(waiver.ends_at)
        yield f"Waiver {waiver.id}", f"Until {until}, {_WIDENED[waiver.widens.what]}, {by}: {sentence(waiver.reason)}"
    if not camera.restrictions:
        yield "Restrictions", "No restriction is in force."
    for restriction in camera.restrictions:
        yield f"Restriction {restriction.id}", _restriction(charter, restriction)
    for order in camera.revocations:
        by = f"by the {charter.title_of(order.issued_by)}, since {day(order.starts_at)}"
        yield f"Revocation {order.id}", f"It is ordered to {order.action}, {by}: {sentence(order.reason)}"
    held = len(camera.holds)
    if held:
        keep = "hold keeps" if held == 1 else "holds keep"
        yield "Holds", f"{held} {keep} footage from being removed. For which case is not published."
    else:
        yield "Holds", "No hold keeps footage from being removed."


def _restriction(charter: Charter, one: Restriction) -> str:
    what = listed(_NARROWED[part.what] for part in one.narrows)
    by = f"by the {charter.title_of(one.issued_by)}, since {day(one.starts_at)}"
    return sentence(f"{what}, {by}{'' if one.reason == WITHHELD else f': {one.reason}'}")


_NARROWED = {
    "zones": "more private areas",
    "schedule": "fewer hours",
    "people": "more of people is hidden",
    "retention": "footage is kept for less time",
    "picture": "a coarser picture",
    "recipient": "access to footage is suspended for somebody",
    "model": "a model may not run",
    "no-biometrics": "no-biometrics mode is locked on",
    "no-originals": "nothing that is hidden is kept",
    "no-live": "nothing is shown live",
    "dark": "nothing is recorded",
}
_WIDENED = {
    "permissible-use": "one more use",
    "schedule": "more hours",
    "people": "less of people is hidden",
    "retention": "footage is kept longer",
    "picture": "a finer picture",
}


def _now(camera: CameraStanding, use: IntendedUse | None) -> str:
    if camera.decision.recording:
        return f"It may record, for {_lower(use.title if use else camera.grant.intended_use)}."
    if _counts_only(camera.decision):
        return "It counts what passes, and stores no picture at all."
    return f"It is dark and records nothing: {sentence(camera.decision.reason.replace(f': {WITHHELD}', ''))}"


def _counts_only(decision: Decision) -> bool:
    return decision.people is PeopleMode.COUNTS_ONLY and bool(decision.models)


def _hours(camera: CameraStanding) -> str:
    hours = hours_words(camera.grant.schedule)
    less = [
        hours_words(part.schedule) for one in camera.restrictions for part in one.narrows if part.what == "schedule"
    ]
    more = [hours_words(one.widens.schedule) for one in camera.waivers if one.widens.what == "schedule"]
    also = f", and by waiver {'; '.join(more)}" if more else ""
    only = f", but only {'; '.join(less)}" if less else ""
    return f"{hours}{also}{only}, by the city's clock" if hours != "day and night" or also or only else hours


def _people(permitted: Decision, camera: CameraStanding) -> str:
    mode = permitted.people if permitted.recording or _counts_only(permitted) else camera.grant.people
    return f"Before anything is stored, {HIDDEN[mode]}."


def _areas(camera: CameraStanding) -> str:
    areas = len(camera.permitted.zones) or len(camera.grant.zones)
    if not areas:
        return f"No private area is in view: {camera.grant.no_zones_statement}"
    filled = "is filled" if areas == 1 else "are filled"
    return f"{count(areas, 'private area')} {filled} with one colour before anything is stored, in every copy (JC-12)."


def _originals(charter: Charter, camera: CameraStanding) -> str:
    kept = camera.grant.originals
    if camera.permitted.recording:
        kept = camera.permitted.originals
    if kept is Originals.NONE:
        return "What is hidden is not kept: nobody can bring it back."
    if charter.release is None:
        return "What is hidden of people is kept apart, sealed."
    rule = charter.release
    offices = [charter.title_of(office) for office in rule.offices]
    together = f"{rule.threshold} of {listed(offices)}" if rule.threshold < len(offices) else listed(offices)
    return (
        f"What is hidden of people is kept apart, sealed. Only {together} together can open it, for one case, "
        f"on {listed(map(words, rule.bases), 'or')} (JC-8)."
    )


def _picture(permitted: Decision, grant: Grant) -> str:
    if _counts_only(permitted):
        return "No picture is stored."
    finest = permitted if permitted.recording else grant
    return f"At most {finest.max_height_px} lines and {finest.max_rate_hz} pictures a second."


def _kept(charter: Charter, camera: CameraStanding) -> str:
    days = camera.permitted.retention.days
    said = f"Footage is kept for {count(days, 'day')}, then its keys are destroyed and no copy opens any more"
    asked = camera.grant.retention
    if asked.basis is None or asked.ends_at is None or days <= charter.retention.default_days:
        return f"{said}."
    decided = "" if asked.decided_by is None else f", decided by the {charter.title_of(asked.decided_by)}"
    usual = f"More than the usual {charter.retention.default_days} days"
    return f"{said}. {usual}: {words(asked.basis)} in {asked.area}, until {day(asked.ends_at)}{decided}."


def _models(camera: CameraStanding) -> str:
    suspended = {part.sha256 for one in camera.restrictions for part in one.narrows if part.what == "model"}
    models = [one for one in camera.grant.models if one.sha256 not in suspended]
    if not models:
        return "No model may run on it."
    return f"{count(len(models), 'model')} may run on it, to find people and vehicles: {listed(map(_model, models))}."


def _model(model: ListedModel) -> str:
    return f"{model.name} ({' and '.join(model.outputs)}; SHA-256 {model.sha256[:_DIGITS]}…)"


def _use_title(charter: Charter, both: str) -> str:
    use_id, _, permissible = both.partition("/")
    use = charter.use(use_id)
    titles = {} if use is None else {one.id: one.title for one in use.permissible}
    return titles.get(permissible, permissible)


def _shared(charter: Charter, grant: Grant) -> Iterator[Said]:
    if not grant.sharing:
        yield "Shared", "Footage is shared with nobody outside."
    for row in charter.sharing:
        bases = [words(one.basis) for one in grant.sharing if one.row == row.id]
        if bases:
            what = listed(_SHOWN_IN_WORDS[one] for one in row.what)
            said = f"With {row.shared_with}: {what}, on the basis of {listed(bases, 'or')}; {row.condition}"
            yield f"Shared, {row.clause}", f"{said}."


def _roles(charter: Charter, roles: Iterable[str]) -> str:
    titles = []
    for role_id in roles:
        role = charter.role(role_id)
        titles.append(role_id if role is None else role.title)
    return listed(titles)


# --- words ----------------------------------------------------------------------


def words(slug: str) -> str:
    """Return a slug as people would write it."""
    return BASIS_WORDS.get(slug, slug.replace("-", " "))


def sentence(text: str) -> str:
    """Return `text` with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def listed(parts: Iterable[str], last: str = "and") -> str:
    """Return parts as a list in words."""
    *others, final = [*parts] or ["nothing"]
    return f"{', '.join(others)} {last} {final}" if others else final


def count(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def day(at: datetime) -> str:
    """Return a day as people write it, UTC."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%B %Y}"


def day_and_time(at: datetime) -> str:
    """Return a moment as people write it, UTC."""
    return f"{day(at)}, {at.astimezone(UTC):%H:%M} UTC"


def _lower(text: str) -> str:
    """Return a title within a sentence; one whose second letter is large, too, is an abbreviation."""
    return text if text[1:2].isupper() else f"{text[:1].lower()}{text[1:]}"
