"""One page in plain language: what an official is about to sign.

Every field of a document that can widen or narrow something appears here, so that
nobody signs what they have not read; a test holds this page against the models.
`zones_svg` is the picture that goes with it: the private areas on a neutral outline,
because no picture of the street belongs in a file that travels by mail.

Pure.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from tuf.api.metadata import Root, Targets

from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.decision import LiveView, Originals
from agent.core.policy.documents import (
    ALWAYS,
    DrawnOver,
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
    Opening,
    PrivateZone,
    Restriction,
    Revocation,
    SuspendModel,
    SuspendRecipient,
    Target,
    Waiver,
    WidenPeople,
    WidenPicture,
    WidenRetention,
    WidenSchedule,
    WidenUse,
)
from agent.core.policy.explain import HIDDEN
from agent.core.policy.release import CHARTER_PATH, ROOT, TARGETS
from agent.core.policy.revision import compare
from provisioning.authority.cross_check import AnyDocument, documents_of
from provisioning.authority.draft_signing import CheckedDraft
from provisioning.authority.drafting import cards_of
from provisioning.authority.keys import fingerprint
from provisioning.authority.published import parse_metadata

Line = tuple[str, str]

PLAIN_NARROWINGS: Mapping[str, str] = {
    "no-biometrics": "locks no-biometrics mode on",
    "no-originals": "keeps no originals",
    "no-live": "shows nothing live",
    "dark": "goes dark: nothing is recorded",
}
REVOCATION_WORDS: Mapping[str, str] = {
    "pause": "PAUSE: the camera records nothing until a grant lifts this",
    "stop": "STOP: the camera records nothing and may not enrol again under this identity until a grant lifts this",
    "erase": "ERASE: the camera destroys its keys and all its footage; nothing can undo this",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One document in plain language.

    Attributes:
        title: What it does, in one sentence.
        lines: A label and what it says, in reading order.
    """

    title: str
    lines: tuple[Line, ...]


def pages_of(checked: CheckedDraft) -> tuple[Page, ...]:
    """Return a page for each thing that `checked` proposes."""
    pages = [page_of(document, checked.charter) for document in documents_of(checked.draft.documents).values()]
    if CHARTER_PATH in checked.draft.documents:
        pages.append(_charter_page(checked))
    if checked.draft.withdrawn:
        lines = tuple(("Leaves the city", path) for path in checked.draft.withdrawn)
        pages.append(Page(title="Withdraws documents, which then permit nothing any more", lines=lines))
    if checked.city is not None and not pages:
        renewed = {role: checked.city.delegated[role].signed.targets for role in checked.draft.metadata}
        lines = tuple((role, path) for role, targets in renewed.items() for path in targets)
        pages.append(Page(title="Signs anew what is in force, and changes nothing", lines=lines))
    return tuple(pages)


def page_of(document: AnyDocument, charter: Charter) -> Page:
    """Return `document` in plain language."""
    match document:
        case Grant():
            title, lines = _grant(document, charter)
        case Restriction():
            title = f"Restriction {document.id} narrows what {_cameras(document.cameras)} may do"
            lines = [("Narrows", narrowing_words(one, charter)) for one in document.narrows]
        case Waiver():
            title = f"Waiver {document.id} widens one thing for {_cameras(document.cameras)}"
            lines = [("Widens", widening_words(document, charter)), ("Basis", document.basis)]
        case Hold():
            title = f"Hold {document.id} stops the removal of footage of {_cameras(document.cameras)}"
            lines = [("Case", document.case)]
            lines += [("Keeps", _between(span.starts_at, span.ends_at)) for span in document.spans]
        case EpochKeys():
            title = f"Epochs {document.id} name who can open the {document.layer} layer of {len(document.days)} days"
            lines = _epochs(document, charter)
        case Revocation():
            title = f"Revocation {document.id} is for {_cameras(document.cameras)}"
            lines = [("Orders", REVOCATION_WORDS[document.action])]
    return Page(
        title=title,
        lines=(
            *lines,
            ("In force", _window(document)),
            ("Why", document.reason),
            ("Issued by", f"{charter.title_of(document.issued_by)}, {_at(document.issued_at)}"),
        ),
    )


def zones_svg(zones: Sequence[PrivateZone], view: DrawnOver, *, title: str) -> str:
    """Return a picture of `zones` on a neutral outline of the view, as SVG 1.1."""
    width, height = 960, round(960 * view.aspect_height / view.aspect_width)
    shapes = []
    for zone in zones:
        corners = " ".join(f"{x * width:.1f},{y * height:.1f}" for x, y in zone.polygon)
        left = sum(x for x, _ in zone.polygon) / len(zone.polygon) * width
        top = sum(y for _, y in zone.polygon) / len(zone.polygon) * height
        shapes.append(
            f'  <polygon points="{corners}" fill="#303030" fill-opacity="0.85" stroke="#000"/>\n'
            f'  <text x="{left:.1f}" y="{top:.1f}" fill="#fff" text-anchor="middle">{escape(zone.name)}</text>'
        )
    thirds = "".join(
        f'  <path d="M{width * n / 3:.1f} 0V{height}M0 {height * n / 3:.1f}H{width}" stroke="#ccc"/>\n' for n in (1, 2)
    )
    areas = "1 private area" if len(zones) == 1 else f"{len(zones)} private areas"
    foot = (
        f"{areas}; the camera fills what is drawn, aligned outward to 16 pixels. "
        f"View {view.aspect_width}:{view.aspect_height}, rotated {view.rotation_degrees} degrees."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-20 -60 {width + 40} {height + 110}"'
        ' font-family="sans-serif" font-size="18">\n'
        f"  <title>{escape(title)}</title>\n"
        f'  <text x="0" y="-24" font-size="22">{escape(title)}</text>\n'
        f'  <rect width="{width}" height="{height}" fill="#f4f4f0" stroke="#888"/>\n{thirds}'
        + "\n".join(shapes)
        + f'\n  <text x="0" y="{height + 32}" fill="#555">{foot}</text>\n</svg>\n'
    )


def drawn_zones(document: AnyDocument) -> tuple[DrawnOver, tuple[PrivateZone, ...]] | None:
    """Return the zones that `document` draws and what they are drawn over, if it draws any."""
    if isinstance(document, Grant):
        return document.view, document.zones
    if isinstance(document, Restriction):
        for narrowing in document.narrows:
            if isinstance(narrowing, NarrowZones):
                return narrowing.view, narrowing.zones
    return None


def hours_words(schedule: Sequence[Opening]) -> str:
    """Return weekly hours in words."""
    if tuple(schedule) == (ALWAYS,):
        return "day and night"
    return "; ".join(f"{' '.join(opening.days)} {opening.opens} to {opening.closes}" for opening in schedule)


def _reported(grant: Grant) -> str:
    aims = {target.metric: target_words(target) for target in grant.targets}
    return ", ".join(f"{each} ({aims[each]})" if each in aims else each for each in grant.metrics) or "nothing"


def target_words(target: Target) -> str:
    """Return what a metric is to come to, in words."""
    if target.at_least is not None:
        return f"at least {target.at_least:,} a year"
    return f"at most {target.at_most:,} a year"


def _grant(grant: Grant, charter: Charter) -> tuple[str, list[Line]]:
    use = charter.use(grant.intended_use)
    title = f"Grant {grant.id} lets {_cameras(grant.cameras)} record at {grant.site.public_name}"
    uses = {} if use is None else {one.id: one.title for one in use.permissible}
    lines: list[Line] = [
        (
            "For",
            f"{grant.intended_use if use is None else f'{use.title} ({use.clause})'}: "
            + ", ".join(uses.get(one, one) for one in grant.permissible_uses),
        ),
        ("Hours", f"{hours_words(grant.schedule)}, by the city's clock"),
        ("Picture", f"at most {grant.max_height_px} lines, {grant.max_rate_hz} pictures a second; no sound"),
        ("People", HIDDEN[grant.people]),
        ("Biometrics", grant.biometrics),
        ("Private areas", _areas(grant)),
        ("Originals", _originals(grant, charter)),
        ("Kept for", _kept(grant, charter)),
        ("Who may open it", _roles(grant.recipients, charter)),
        ("Shared", _shared(grant, charter)),
        ("Live view", "nobody" if grant.live is LiveView.NONE else "the public"),
        ("Models", ", ".join(f"{m.name} ({m.sha256[:12]}…, {' '.join(m.outputs)})" for m in grant.models) or "none"),
        ("Reports", _reported(grant)),
        ("Site", _site(grant)),
    ]
    if grant.case is not None:
        lines.append(("Case", grant.case))
    if grant.order is not None:
        order = grant.order
        lines.append(
            (
                "Emergency",
                f"ordered by {charter.title_of(order.ordered_by)}, {order.reference}, until {_at(order.ends_at)}",
            )
        )
    if grant.lifts:
        lines.append(("Lifts", ", ".join(grant.lifts)))
    return title, lines


def _areas(grant: Grant) -> str:
    if grant.no_zones_statement is not None:
        return f"none, because: {grant.no_zones_statement}"
    return f"{len(grant.zones)} drawn over {_view(grant.view)}: {_zones(grant.zones)}"


def _view(view: DrawnOver) -> str:
    return f"a picture of {view.aspect_width}:{view.aspect_height}, rotated {view.rotation_degrees} degrees"


def _zones(zones: Iterable[PrivateZone]) -> str:
    return ", ".join(f"{zone.name} ({_area(zone):.1%} of it)" for zone in zones)


def _area(zone: PrivateZone) -> float:
    """Return the part of the picture that `zone` covers, 0 to 1, by the shoelace formula."""
    sides = zip(zone.polygon, (*zone.polygon[1:], zone.polygon[0]), strict=True)
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in sides)) / 2


def _originals(grant: Grant, charter: Charter) -> str:
    if grant.originals is Originals.NONE:
        return "what masks hide is not kept"
    return f"what masks hide is kept, sealed; opened only by {_roles(grant.originals_recipients, charter)} together"


def _kept(grant: Grant, charter: Charter) -> str:
    asked = grant.retention
    if asked.basis is None or asked.ends_at is None:
        return f"{asked.days} days"
    decided = "nobody" if asked.decided_by is None else charter.title_of(asked.decided_by)
    return f"{asked.days} days until {_at(asked.ends_at)}: {asked.basis} in {asked.area}, decided by {decided}"


def _shared(grant: Grant, charter: Charter) -> str:
    shared = []
    for sharing in grant.sharing:
        row = charter.row(sharing.row)
        shared.append(
            f"{sharing.row}: {sharing.basis}" if row is None else f"{row.shared_with}: {sharing.basis} ({row.clause})"
        )
    return "; ".join(shared) or "with nobody"


def _site(grant: Grant) -> str:
    site = grant.site
    bought = "" if site.purchase_reference is None else f"; purchase {site.purchase_reference}"
    status = "" if site.status is None else f"; declared {site.status}"
    return (
        f"{site.id}, {site.site_kind}, {site.location.latitude:.5f} {site.location.longitude:.5f} "
        f"(published to {site.location.public_precision_m} m); {site.basis}: {site.statement}{bought}{status}"
    )


def narrowing_words(narrowing: Narrowing, charter: Charter) -> str:  # noqa: PLR0911 - one line a kind
    """Return what a restriction takes away."""
    match narrowing:
        case NarrowZones():
            return f"masks these areas too, drawn over {_view(narrowing.view)}: {_zones(narrowing.zones)}"
        case NarrowSchedule():
            return f"records within these hours only: {hours_words(narrowing.schedule)}"
        case NarrowPeople():
            return f"of people, at least this: {HIDDEN[narrowing.people]}"
        case NarrowRetention():
            return f"keeps footage no longer than {narrowing.days} days"
        case NarrowPicture():
            return f"records at most {narrowing.max_height_px} lines, {narrowing.max_rate_hz} pictures a second"
        case SuspendRecipient():
            who = "everyone" if narrowing.holder is None else narrowing.holder
            role = "any role" if narrowing.role is None else _roles((narrowing.role,), charter)
            return f"seals nothing more to {who} as {role}"
        case SuspendModel():
            return f"does not run model {narrowing.sha256[:12]}…"
        case NarrowPlainly():
            return PLAIN_NARROWINGS[narrowing.what]


def widening_words(waiver: Waiver, charter: Charter) -> str:
    """Return what a waiver adds."""
    match waiver.widens:
        case WidenUse(intended_use=use_id, permissible_use=permissible):
            use = charter.use(use_id)
            return f"may also be used for {use_id if use is None else use.title}: {permissible}"
        case WidenSchedule(schedule=schedule):
            return f"records during these hours too: {hours_words(schedule)}"
        case WidenPeople(people=people):
            return f"of people: {HIDDEN[people]}"
        case WidenRetention(days=days):
            return f"keeps footage for {days} days"
        case WidenPicture(max_height_px=height, max_rate_hz=rate):
            return f"records up to {height} lines, {rate} pictures a second"


def _epochs(epochs: EpochKeys, charter: Charter) -> list[Line]:
    days = sorted(day.day for day in epochs.days)
    holders = sorted(
        {(one.role, one.holder, str(one.validated_on or "")) for day in epochs.days for one in day.recipients}
    )
    profiles = {recipient.startswith("age1pq1") for recipient in _recipients(epochs)}
    retention = charter.retention
    kept = retention.default_days if epochs.keeps == "default" else retention.extended_days
    return [
        ("Days", f"{days[0]} to {days[-1]}"),
        ("For footage kept", f"{'up to ' if epochs.keeps == 'extended' else ''}{kept} days"),
        ("Holders", "; ".join(_holding(*one, charter) for one in holders)),
        ("Keys", fingerprint(hashlib.sha256("".join(sorted(_recipients(epochs))).encode()).hexdigest())),
        ("Kind of keys", "post-quantum" if profiles == {True} else "X25519, which a quantum computer will open"),
    ]


def _holding(role: str, holder: str, validated_on: str, charter: Charter) -> str:
    approved = f", approved on {validated_on}" if validated_on else ""
    return f"{holder} as {_roles((role,), charter)}{approved}"


def _recipients(epochs: EpochKeys) -> list[str]:
    return [f"{one.recipient} {day.day}" for day in epochs.days for one in day.recipients]


def _charter_page(checked: CheckedDraft) -> Page:
    charter, draft = checked.charter, checked.draft
    lines: list[Line] = [
        ("Charter", f"{charter.city}, revision {charter.revision}, adopted on {charter.adopted_on}"),
        ("Root", f"{charter.root.threshold} of {', '.join(map(charter.title_of, charter.root.offices))}"),
        (
            "A grant needs",
            f"{charter.approval.threshold} of {', '.join(map(charter.title_of, charter.approval.offices))}",
        ),
    ]
    root = parse_metadata(draft.metadata[ROOT], Root, ROOT).signed
    targets = parse_metadata(draft.metadata[TARGETS], Targets, TARGETS).signed
    cards = sorted(cards_of(root, targets), key=lambda card: card.office)
    lines += [(charter.title_of(card.office), f"{card.name}, key {card.fingerprint}") for card in cards]
    if checked.city is not None:
        changes = compare(parse_charter(checked.city.charter), charter).changes
        lines += [(f"Charter {one.effect}", f"{one.where}: {one.was or '-'} → {one.becomes or '-'}") for one in changes]
    if checked.city is None:
        return Page(title=f"Founds {charter.city} under its charter", lines=tuple(lines))
    anew = [role for role in draft.metadata if role not in {ROOT, TARGETS}]
    if anew:
        lines.append(("Signed anew", f"everything in force under {', '.join(anew)}"))
    return Page(title=f"Changes who speaks for {charter.city}, its charter, or both", lines=tuple(lines))


def _cameras(cameras: str | Sequence[str]) -> str:
    return "all cameras" if isinstance(cameras, str) else ", ".join(cameras)


def _roles(roles: Iterable[str], charter: Charter) -> str:
    known = {role.id: role.title for role in charter.recipients}
    return ", ".join(known.get(role, role) for role in roles)


def _window(document: AnyDocument) -> str:
    if document.ends_at is None:
        return f"from {_at(document.starts_at)} until a grant lifts it by name"
    return _between(document.starts_at, document.ends_at)


def _between(starts_at: datetime, ends_at: datetime) -> str:
    return f"from {_at(starts_at)} until {_at(ends_at)}"


def _at(instant: datetime) -> str:
    return f"{instant:%d %b %Y %H:%M} UTC"
