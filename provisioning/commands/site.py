"""`lamppost site`: the places where cameras hang, and why there (RB-2, RB-3, RB-5)."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from agent.core.enrolment.claim import Address
from agent.core.policy.charter import parse_charter
from agent.core.policy.clauses import check_site
from agent.core.policy.documents import Location, Site
from agent.errors import ClaimFormatError, UsageError
from provisioning.authority import desk, files
from provisioning.authority.city import CityFolder, read_city
from provisioning.backend.ca import MAX_PEM_BYTES
from provisioning.enrolment.desk_folder import DeskFolder, Fleet
from provisioning.enrolment.service import ENROL_PORT

app = typer.Typer(no_args_is_help=True)

DEFAULT_DESK = Path("desk")
FolderOption = Annotated[
    Path, typer.Option("--desk", envvar="LAMPPOST_DESK", help="The provisioning desk's folder: sites, work orders.")
]
SiteArgument = Annotated[str, typer.Argument(help="The site's id, such as main-and-5th.")]


@app.command()
def fleet(
    root: Annotated[Path, typer.Option(help="The fleet's root certificate: BACKEND/authority/root.pem.")],
    broker: Annotated[str, typer.Option(help="Where cameras report, HOST:PORT.")],
    *,
    enrol: Annotated[
        str | None, typer.Option(help=f"Where they ask for a certificate, HOST:PORT; the broker's host, {ENROL_PORT}.")
    ] = None,
    folder: FolderOption = DEFAULT_DESK,
) -> None:
    """Tell this desk, once, what every claim says of the fleet; from then on it works offline."""
    try:
        reports = Address.parse(broker)
        asks = Address(host=reports.host, port=ENROL_PORT) if enrol is None else Address.parse(enrol)
    except ClaimFormatError as error:
        raise UsageError(str(error)) from error
    pem = files.read_capped(root, max_bytes=MAX_PEM_BYTES).decode("ascii", "replace")
    facts = Fleet(root=pem, broker=str(reports), enrol=str(asks))
    try:
        named = facts.city
    except ValueError as error:
        raise UsageError(f"{root} is no certificate") from error
    changed = DeskFolder(folder).keep_fleet(facts)
    desk.say(f"{named}: {reports}, enrolment at {asks}{'' if changed else '; nothing new'}")


@app.command()
def add(  # noqa: PLR0913 - one option for each word of a site's record
    site: SiteArgument,
    name: Annotated[str, typer.Option(help="What the public calls it.")],
    at: Annotated[str, typer.Option(help="LATITUDE,LONGITUDE in degrees.")],
    kind: Annotated[str, typer.Option(help="As the charter calls such places, such as intersection.")],
    basis: Annotated[str, typer.Option(help="As the charter lists them, such as sustained-criminal-activity.")],
    statement: Annotated[str, typer.Option(help="The documented reason (RB-2); it is published.")],
    *,
    purchase: Annotated[str | None, typer.Option(help="Purchase reference (RB-3).")] = None,
    precision_m: Annotated[int, typer.Option(help="How exactly the public list says where it is, in metres.")] = 50,
    status: Annotated[str | None, typer.Option(help="What is declared true of it, such as vacant (SL-T1-5).")] = None,
    city: Annotated[Path | None, typer.Option(help="Hold the record against this city's charter at once.")] = None,
    folder: FolderOption = DEFAULT_DESK,
) -> None:
    """Record a site, or change its record; `site show` prints it as a grant's file wants it."""
    latitude, _, longitude = at.partition(",")
    try:
        record = Site(
            id=site,
            public_name=name,
            location=Location(latitude=float(latitude), longitude=float(longitude), public_precision_m=precision_m),
            site_kind=kind,
            basis=basis,
            statement=statement,
            purchase_reference=purchase,
            status=status,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"site {where}: {first['msg'].lower()}") from error
    except ValueError as error:  # a number that is none; pydantic's error is a ValueError, too, and was told above
        raise UsageError(f"--at {at!r} is no LATITUDE,LONGITUDE") from error
    if city is not None:
        check_site(parse_charter(read_city(CityFolder(path=city)).charter), record)
    changed = DeskFolder(folder).keep_site(record)
    desk.say(f"{site}: {name}{'' if changed else '; nothing new'}")


@app.command("list")
def list_sites(*, folder: FolderOption = DEFAULT_DESK, as_json: desk.JsonOption = False) -> None:
    """List the sites."""
    sites = DeskFolder(folder).sites()
    if as_json:
        desk.write_json([site.model_dump(mode="json") for site in sites])
        return
    rows = ((one.id, one.public_name, one.site_kind, one.basis, one.purchase_reference or "—") for one in sites)
    desk.show_table(
        f"{len(sites)} {'site' if len(sites) == 1 else 'sites'}", ("site", "name", "kind", "basis", "purchase"), rows
    )


@app.command()
def show(site: SiteArgument, *, folder: FolderOption = DEFAULT_DESK, as_json: desk.JsonOption = False) -> None:
    """Print a site's record as the [site] table of a grant's file."""
    record = DeskFolder(folder).site(site)
    if as_json:
        desk.write_json(record.model_dump(mode="json"))
        return
    sys.stdout.write(site_toml(record))


def site_toml(site: Site) -> str:
    """Return a site as TOML, as `lamppost grant draft` reads it."""
    place = site.location
    lines = ["[site]", f"id = {_quoted(site.id)}", f"public_name = {_quoted(site.public_name)}"]
    lines.append(
        f"location = {{ latitude = {place.latitude}, longitude = {place.longitude}, "
        f"public_precision_m = {place.public_precision_m} }}"
    )
    named = {"site_kind": site.site_kind, "basis": site.basis, "statement": site.statement}
    optional = {"purchase_reference": site.purchase_reference, "status": site.status}
    lines += [f"{key} = {_quoted(value)}" for key, value in named.items()]
    lines += [f"{key} = {_quoted(value)}" for key, value in optional.items() if value is not None]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # TOML basic strings escape what JSON does (TOML 1.0, String); texts of a site hold no control characters.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
