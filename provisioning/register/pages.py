"""The pages that are not one site's: the list with its map, every change, the law, how to check.

Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources

from agent.core.policy.explain import explain_charter
from provisioning.authority.keys import fingerprint
from provisioning.register.drawings import Pin, draw_map, read_outline
from provisioning.register.frame import framed, heads, state_badge, statement
from provisioning.register.made_of import Register
from provisioning.register.sentences import MAY_RECORD, count, day, day_and_time, listed, sentence, state_of
from provisioning.register.site_page import change_entry, site_link
from provisioning.register.standing import SiteStanding

_PROOF = resources.files("provisioning.web").joinpath("register/proof.html").read_text(encoding="utf-8")
SITES_ON_A_PAGE = 120  # with as many pins on a map, and what checks it, 100 KB
_LATEST = 4


def list_pages(register: Register, outline: bytes | None) -> Mapping[str, bytes]:
    """Return the first page, and further ones where a city has many sites, by path."""
    sites = register.city.sites
    parts = [sites[at : at + SITES_ON_A_PAGE] for at in range(0, len(sites), SITES_ON_A_PAGE)] or [()]
    names = ["index.html", *(f"sites-{number}.html" for number in range(2, len(parts) + 1))]
    pages = {}
    for number, (name, part) in enumerate(zip(names, parts, strict=True)):
        first = "".join(_first(register, outline)) if number == 0 else "<h1>More sites</h1>"
        links = "".join(
            f'<li><a href="{other}">Sites {at * SITES_ON_A_PAGE + 1} and on</a></li>'
            for at, other in enumerate(names)
            if other != name
        )
        more = f'<nav aria-label="More sites"><ul>{links}</ul></nav>' if links else ""
        last = _last() if number == 0 else ""
        pages[name] = framed(register, title="Cameras", body=f"{first}{_table(part)}{more}{last}")
    return pages


def changes_page(register: Register) -> bytes:
    """Return every publication and what it changed, the latest first (SL-2.4)."""
    charter = register.charter
    entries = []
    for one in reversed(register.publications):
        law = "".join(
            f"<dt>{escape(change.where)}</dt><dd>"
            f"{f'<del data-s>{escape(change.was)}</del>' if change.was else ''}"
            f"{f'<ins data-s>{escape(change.becomes)}</ins>' if change.becomes else ''}</dd>"
            for change in one.charter_changes
        )
        entry = change_entry(one, one.changed, "")
        entries.append(
            f'<div id="p{one.policy.snapshot}">{entry}{f"<h4>The law</h4><dl>{law}</dl>" if law else ""}</div>'
        )
    body = (
        "<h1>What changed</h1>"
        + statement(
            f"Every publication of {charter.city}'s policy since it began to sign what the public may see, the latest "
            "first. What permits is signed by several offices; what narrows, by one.",
            kind="lead",
        )
        + '<p><a href="changes.atom">As a feed</a></p><h2>Publications</h2>'
        + "".join(entries)
    )
    return framed(register, title="What changed", body=body)


def law_page(register: Register) -> bytes:
    """Return the charter in plain words."""
    charter = register.charter
    sections = "".join(
        f"<h2>{escape(section.heading)}</h2><ul>{''.join(statement(one, 'li') for one in section.sentences)}</ul>"
        for section in explain_charter(charter)
    )
    body = (
        f"<h1>The law of {escape(charter.city)}</h1>"
        + statement(
            f"Revision {charter.revision}, adopted on {charter.adopted_on.day} {charter.adopted_on:%B %Y}. Every "
            "camera holds each document against this; in brackets is the clause that says so.",
            kind="lead",
        )
        + sections
    )
    return framed(register, title="The law", body=body)


def proof_page(register: Register) -> bytes:
    """Return how to check the register, and what a check proves."""
    body = _PROOF.format(
        address=escape(register.claims.address or "ADDRESS"),
        fingerprint=fingerprint(register.claims.root),
        vouched_at=day_and_time(register.vouched_at),
        fresh_until=day_and_time(register.fresh_until),
    )
    return framed(register, title="How to check", body=body)


# --- the first page -----------------------------------------------------------------


def _first(register: Register, outline: bytes | None) -> Iterator[str]:
    sites = register.city.sites
    cameras = [camera for site in sites for camera in site.cameras]
    recording = sum(state_of(camera) == MAY_RECORD for camera in cameras)
    yield f"<h1>Cameras of {escape(register.claims.city)}</h1>"
    yield statement(
        f"{count(len(cameras), 'camera')} at {count(len(sites), 'site')}; {recording:,} may record now. Every camera "
        "that the city has permitted is listed here, with what it may do, who approved it, and what it did.",
        kind="lead",
    )
    drawn = ""
    if outline is not None and sites:
        pins = [_pin(site) for site in sites[:SITES_ON_A_PAGE]]
        places = [site.site.location for site in sites[SITES_ON_A_PAGE:]]
        more = [(place.longitude, place.latitude) for place in places]
        label = f"Map of {register.claims.city} with {count(len(sites), 'site')}"
        map_of_sites = draw_map(read_outline(outline), pins, more, label=label)
        drawn = f"<figure>{map_of_sites}<figcaption>{_told(register)} The list says the same.</figcaption></figure>"
    yield f'<div class="cols"><div>{drawn}</div><div><h2>Latest changes</h2>{"".join(_latest(register))}</div></div>'
    yield "<h2>Sites</h2>"


def _latest(register: Register) -> Iterator[str]:
    for one in [change for change in reversed(register.publications) if change.changed][:_LATEST]:
        names = listed(sorted(one.changed))
        told = sentence(f"for {names}, {_kinds(one.added, one.withdrawn)}")
        yield f'<p><a href="changes.html#p{one.policy.snapshot}">{day(one.policy.at)}</a><br>{escape(told)}</p>'
    yield '<p><a href="changes.html">Every change, and who signed it</a></p>'


def _last() -> str:
    return (
        '<h2>For machines</h2><p><a href="register.geojson">GeoJSON</a>, <a href="register.csv">CSV</a>, '
        '<a href="changes.atom">changes as a feed</a>, <a href="schemas/site.schema.json">schemas</a>; '
        "beside each site's page, JSON with its attestation and a DTPR data chain.</p>"
    )


def _kinds(added: Sequence[str], withdrawn: Sequence[object]) -> str:
    kinds = dict.fromkeys(path.partition("/")[0].removesuffix("s") for path in added)
    told = [f"a new {kind}" for kind in kinds if kind != "epoch"]
    return listed([*told, *(["a document withdrawn"] if withdrawn else [])]) if told or withdrawn else "new keys"


def _told(register: Register) -> str:
    return {
        "exact": "Places are told as exactly as each permission allows.",
        "block": "Places are told to the block.",
        "district": "Places are told to the district.",
    }[register.claims.precision.value]


def _pin(site: SiteStanding) -> Pin:
    states = [state_of(camera) for camera in site.cameras]
    place = site.site.location
    return Pin(
        name=site.site.public_name,
        link=site_link(site.site.id),
        state=MAY_RECORD if MAY_RECORD in states else (states[0] if states else "dark"),
        latitude=place.latitude,
        longitude=place.longitude,
        precision_m=place.public_precision_m,
    )


def _table(sites: Sequence[SiteStanding]) -> str:
    if not sites:
        return "<p>No camera is permitted anywhere.</p>"
    body = "".join(_row(site) for site in sites)
    head = heads("site", "cameras", "now", "for", "until")
    return f'<div class="wide"><table class="stack">{head}<tbody>{body}</tbody></table></div>'


def _row(site: SiteStanding) -> str:
    grant = site.cameras[0].grant if site.cameras else site.grants[0]
    states = dict.fromkeys(state_of(camera) for camera in site.cameras)
    badges = " ".join(map(state_badge, states))
    return (
        f'<tr><th scope="row"><a href="{site_link(site.site.id)}" data-s>{escape(site.site.public_name)}</a></th>'
        f"{statement(listed(one.camera_id for one in site.cameras), 'td')}<td>{badges}</td>"
        f"{statement(grant.intended_use.replace('-', ' '), 'td')}{statement(day(grant.ends_at), 'td')}</tr>"
    )
