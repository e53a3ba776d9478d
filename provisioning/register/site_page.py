"""One site's page: everything that everyone may know about the cameras at one place.

Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from html import escape

from agent.core.counting import adds_up
from agent.core.policy.documents import Grant
from provisioning.register.claims import Attestation, ClaimedAccount, ClaimedCamera, counted_days
from provisioning.register.drawings import draw_areas, draw_days
from provisioning.register.frame import framed, heads, rows, state_badge, statement
from provisioning.register.history import Difference, Publication
from provisioning.register.made_of import Register
from provisioning.register.sentences import (
    count,
    day,
    day_and_time,
    listed,
    may,
    may_not,
    sentence,
    standing_words,
    state_of,
    words,
)
from provisioning.register.standing import CameraStanding, SiteStanding
from provisioning.register.values import signed_values

UP = "../"
_DAYS = 30
_SHOWN_CHANGES = 40


def site_link(site_id: str) -> str:
    """Return where a site's page lies, from the first page."""
    return f"sites/{site_id}.html"


def site_page(register: Register, site: SiteStanding) -> bytes:
    """Return the page of `site`."""
    body = "".join(_body(register, site))
    described = f"{site.site.public_name}: what the city's cameras there may do, who approved it, and what they did."
    return framed(register, title=site.site.public_name, body=body, up=UP, description=described)


def _body(register: Register, site: SiteStanding) -> Iterator[str]:
    yield f"<h1 data-s>{escape(site.site.public_name)}</h1>"
    kind = words(site.site.site_kind)
    cameras = listed(camera.camera_id for camera in site.cameras)
    place = site.site.location
    yield statement(
        f"{sentence(kind)[:-1]}; {'cameras' if len(site.cameras) > 1 else 'camera'} {cameras}. The place is told to "
        f"within {place.public_precision_m:,} m: {place.latitude:.5f}, {place.longitude:.5f}.",
        kind="soft",
    )
    for camera in site.cameras:
        yield from _camera(register, camera, alone=len(site.cameras) == 1)
    yield _approved(register, site)
    yield _changes(register, site)
    yield f"<h2>Proof</h2>{''.join(_proof(register.cameras.get(one.camera_id), one) for one in site.cameras)}"
    yield from signed_values(register, site)
    yield (
        f'<p>For machines: <a href="{site.site.id}.json">this page as JSON, with the attestation</a>, '
        f'<a href="{site.site.id}.dtpr.json">DTPR data chain</a>.</p>'
    )


def _camera(register: Register, camera: CameraStanding, *, alone: bool) -> Iterator[str]:
    charter, claimed = register.charter, register.cameras.get(camera.camera_id)
    if not alone:
        yield f"<h2>Camera {escape(camera.camera_id)}</h2>"
    yield f'<p data-camera="{camera.camera_id}">{state_badge(state_of(camera))}</p>'
    yield '<div class="cols"><div>'
    yield f"<h2>What it may do</h2>{rows(may(charter, camera), 'yes')}"
    yield f"<h2>What it may not do</h2>{rows(may_not(charter, camera), 'no')}"
    yield f"</div><div><h2>What is never recorded</h2>{_areas(camera)}"
    yield f"<h2>In force beside the permission</h2>{rows(standing_words(charter, camera))}"
    yield "</div></div>"
    yield "".join(_did(register, claimed)) if claimed is not None else ""


def _areas(camera: CameraStanding) -> str:
    zones = camera.permitted.zones or tuple(zone.zone() for zone in camera.grant.zones)
    view = camera.permitted.view or camera.grant.view.view()
    if not zones:
        return statement(f"No private area is in view. {camera.grant.no_zones_statement or ''}", kind="soft")
    told = f"{count(len(zones), 'private area')}, drawn coarsely on an outline, which is no picture of the place"
    return (
        f"<figure>{draw_areas(zones, view, label=told)}<figcaption>{told}. The camera fills the exact shapes before "
        "anything is stored; where they lie exactly is not published.</figcaption></figure>"
    )


# --- what it did ----------------------------------------------------------------


def _did(register: Register, claimed: ClaimedCamera) -> Iterator[str]:
    account = claimed.account
    if account is None:
        yield "<h2>What it did</h2>"
        yield statement("No log of this camera has arrived, so nothing can be said about what it did.")
        return
    yield f'<h2>What it did since {day(account.since)}</h2><ul class="tiles">'
    shared = sum(claimed.exports.values())
    for number, what in (
        (_hours(account.recorded_s), "recorded"),
        (f"{account.uptime_ratio:.1%}", "of the time its recorder ran"),
        (
            f"{account.frames_failed_closed:,}",
            f"of {account.frames_stored:,} pictures were hidden whole, because it could not be sure",
        ),
        (f"{shared:,}", "times footage was handed over, since ever"),
        (f"{claimed.opened:,}", "times the sealed layer was opened, since ever"),
    ):
        yield f"<li data-s><b>{number}</b>{what}</li>"
    yield f'</ul><div class="plots">{_recorded(account)}</div>'
    yield from _counts(account)
    yield _exports(register, claimed)


def _recorded(account: ClaimedAccount) -> str:
    values = {one.day: one.recorded_s / 3600 for one in account.days}
    first, last = _span(account)
    label = f"Hours recorded each day from {first:%-d %B} to {last:%-d %B}"
    plot = draw_days(values, first, last, most=24, label=label, unit="hours")
    return f"<figure>{plot}<figcaption>Hours recorded each day (UTC).</figcaption></figure>"


def _counts(account: ClaimedAccount) -> Iterator[str]:
    by_series: dict[tuple[str, str], dict[date, float]] = {}
    hidden: dict[tuple[str, str], int] = {}
    for one in counted_days(account):
        if one.what.endswith("_most"):
            continue  # the most at once in a quarter of an hour: neither its sum nor its mean says anything of a day
        key = (one.place, one.what)
        series = by_series.setdefault(key, {})
        hidden[key] = hidden.get(key, 0) + one.total.suppressed
        if one.told:
            series[one.day] = one.total.at_least if adds_up(one.what) else one.total.at_least / one.told
    if not by_series:
        return
    yield "<h3>What passed</h3>"
    yield statement(
        "The camera counts and tells no person apart. People are told in steps of five, downwards; a quarter hour "
        "with fewer than five is not told, not even whether it was none.",
        kind="soft",
    )
    yield '<div class="plots">'
    first, last = _span(account)
    for (place, what), series in by_series.items():
        named = f"{_what(what)}, {place}"
        untold = hidden[place, what]
        note = f"; {untold:,} times a quarter of an hour had too few to tell" if untold else ""
        if not series:
            yield f"<p>{escape(named)}: always too few to tell.</p>"
            continue
        most = _round_up(max(series.values()))
        unit = "a day" if adds_up(what) else ("km/h" if what.endswith("_kmh") else "on average")
        plot = draw_days(series, first, last, most=most, label=f"{named}, each day", unit=unit)
        yield f"<figure>{plot}<figcaption data-s>{escape(named)}{note}.</figcaption></figure>"
    yield "</div>"


def _exports(register: Register, claimed: ClaimedCamera) -> str:
    if register.claims.city_log is None:
        return statement("How often footage was handed over is not known here.")
    told = []
    for row_id, times in claimed.exports.items():
        row = register.charter.row(row_id)
        told.append((row_id if row is None else f"{row.shared_with} ({row.clause})", times))
    if claimed.exports_refused:
        told.append(("refused, because the law does not allow it", claimed.exports_refused))
    if not told:
        return statement("Footage of this camera was never handed to anybody.")
    body = "".join(
        f'<tr><th scope="row" data-s>{escape(who)}</th>{statement(f"{times:,}", "td")}</tr>' for who, times in told
    )
    return f"<h3>Footage handed over</h3><table>{heads('to', 'times')}<tbody>{body}</tbody></table>"


# --- who approved it, and what changed --------------------------------------------


def _approved(register: Register, site: SiteStanding) -> str:
    charter = register.charter
    record = site.site
    bought = "" if record.purchase_reference is None else f" Bought under {record.purchase_reference} (RB-3)."
    why = statement(f"Why here: {words(record.basis)}. {record.statement}{bought}")
    body = "".join(_grant_row(register, grant) for grant in site.grants)
    approvers = listed(charter.title_of(office) for office in charter.approval.offices)
    clauses = ", ".join(charter.approval.source)
    rule = statement(
        f"A camera is permitted by {approvers} together ({clauses}), each with a key of their own.", kind="soft"
    )
    return (
        f'<h2>Who approved it, and why</h2>{why}<div class="wide"><table class="stack">'
        f"{heads('permission', 'signed by', 'on', 'in force', 'reason')}<tbody>{body}</tbody></table></div>{rule}"
    )


def _grant_row(register: Register, grant: Grant) -> str:
    path = register.path_of(grant)
    titles = [register.charter.title_of(office) for office in register.policy.signed_by.get(path, ())]
    cells = (
        listed(titles),
        day(grant.issued_at),
        f"{day(grant.starts_at)} to {day(grant.ends_at)}",
        grant.reason,
    )
    inner = "".join(statement(cell, "td") for cell in cells)
    return f'<tr><th scope="row" data-s>{escape(grant.id)}</th>{inner}</tr>'


def _changes(register: Register, site: SiteStanding) -> str:
    mine = {camera.camera_id for camera in site.cameras}
    shown = register.history_of(site)
    every = "".join(change_entry(one, mine, UP) for one in shown[:_SHOWN_CHANGES])
    rest = len(shown) - _SHOWN_CHANGES
    more = f'<p><a href="{UP}changes.html">{count(rest, "earlier change")}</a></p>' if rest > 0 else ""
    return f"<h2>What changed, and who signed it</h2>{every}{more}"


def change_entry(change: Publication, cameras: Iterable[str], up: str) -> str:
    """Return one publication's effect on some cameras, as a readable difference."""
    charter = change.policy.charter
    signed = []
    for path in change.added:
        document = change.policy.documents[path]
        offices = listed(charter.title_of(office) for office in change.policy.signed_by[path])
        signed.append(f"{document.kind} {document.id}, signed by {offices}")
    gone = [f"{document.kind} {document.id} withdrawn" for document in change.withdrawn]
    law = [f"the law is now revision {charter.revision}"] if change.charter_changes else []
    told = statement(f"{sentence('; '.join([*signed, *gone, *law]) or 'signed anew, and nothing else')}", kind="soft")
    parts = []
    for camera in sorted(cameras):
        differences = change.changed.get(camera, ())
        if differences:
            parts.append(f"<p><b>{escape(camera)}</b></p>{_differences(differences)}")
    return (
        f'<article class="change"><h3><a href="{up}changes.html#p{change.policy.snapshot}">'
        f"{day_and_time(change.policy.at)}</a></h3>{told}{''.join(parts)}</article>"
    )


def _differences(differences: tuple[Difference, ...]) -> str:
    if all(not one.before for one in differences):
        sentences = "".join(f"<li><ins data-s>{escape(one.after)}</ins></li>" for one in differences)
        return (
            "<p data-s>It was permitted for the first time.</p><details><summary>What that said</summary>"
            f"<ul>{sentences}</ul></details>"
        )
    told = []
    for one in differences:
        before = f"<del data-s>{escape(one.before)}</del>" if one.before else ""
        after = f"<ins data-s>{escape(one.after)}</ins>" if one.after else ""
        told.append(f"<dt>{escape(one.label)}</dt><dd>{before}{after}</dd>")
    return f"<dl>{''.join(told)}</dl>"


# --- proof ----------------------------------------------------------------------


def _proof(claimed: ClaimedCamera | None, camera: CameraStanding) -> str:
    said = []
    attested = None if claimed is None else claimed.attestation
    if attested is None:
        said.append(
            (f"{camera.camera_id}: log", "No log of this camera can be shown whole, so it attests nothing here.")
        )
    else:
        said.extend(_attested(camera.camera_id, attested))
    if claimed is not None and claimed.label_key is not None:
        shown = f"The label on the camera shows this key: {claimed.label_key}."
        said.append((f"{camera.camera_id}: label", f"{shown} A label with another is of another camera."))
    return rows(said)


def _attested(camera_id: str, attested: Attestation) -> Iterator[tuple[str, str]]:
    size = int(attested.checkpoint.split("\n")[1])
    when = day_and_time(attested.last_at)
    yield (
        f"{camera_id}: last attestation",
        f"{when}. It signed its log with {size:,} entries; this was the last of them.",
    )
    yield f"{camera_id}: witnessed by", f"{listed(one.partition('+')[0] for one in attested.witnesses)}."


# --- numbers --------------------------------------------------------------------


def _span(account: ClaimedAccount) -> tuple[date, date]:
    last = (account.until - timedelta(seconds=1)).date()
    return max(account.since.date(), last - timedelta(days=_DAYS)), last


def _hours(seconds: int) -> str:
    if seconds < 3600:  # noqa: PLR2004 - an hour
        return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"  # noqa: PLR2004 - a minute
    return f"{seconds / 3600:,.1f} h"


def _what(what: str) -> str:
    """Return what is counted in words: "person_left_to_right" is "Persons, left to right"."""
    kind, _, rest = what.partition("_")
    if rest.startswith("present"):
        return f"{kind.capitalize()}s present"
    speed = ", speed" if rest.endswith("_kmh") else ""
    return f"{kind.capitalize()}s, {rest.removesuffix('_kmh').replace('_', ' ')}{speed}"


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, … that is not below `value`."""
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if value <= step * factor:
                return step * factor
        step *= 10


def by_site(register: Register) -> Mapping[str, bytes]:
    """Return every site's page, by its path."""
    return {site_link(site.site.id): site_page(register, site) for site in register.city.sites}
