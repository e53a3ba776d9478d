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
from provisioning.words import words

app = typer.Typer(no_args_is_help=True)

DEFAULT_DESK = Path("desk")
FolderOption = Annotated[Path, typer.Option("--desk", envvar="LAMPPOST_DESK", help=words("options.desk"))]
SiteArgument = Annotated[str, typer.Argument(help=words("site.options.id"))]


@app.command(help=words("site.fleet"))
def fleet(
    root: Annotated[Path, typer.Option(help=words("site.options.root"))],
    broker: Annotated[str, typer.Option(help=words("site.options.broker"))],
    *,
    enrol: Annotated[str | None, typer.Option(help=words("site.options.enrol"))] = None,
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
        raise UsageError(words("site.no_certificate", path=root)) from error
    changed = DeskFolder(folder).keep_fleet(facts)
    desk.say(words("site.fleet_kept" if changed else "site.fleet_known", city=named, broker=reports, enrol=asks))


@app.command(help=words("site.add"))
def add(  # noqa: PLR0913 - one option for each word of a site's record
    site: SiteArgument,
    name: Annotated[str, typer.Option(help=words("site.options.name"))],
    at: Annotated[str, typer.Option(help=words("site.options.at"))],
    kind: Annotated[str, typer.Option(help=words("site.options.kind"))],
    basis: Annotated[str, typer.Option(help=words("site.options.basis"))],
    statement: Annotated[str, typer.Option(help=words("site.options.statement"))],
    *,
    purchase: Annotated[str | None, typer.Option(help=words("site.options.purchase"))] = None,
    precision_m: Annotated[int, typer.Option(help=words("site.options.precision_m"))] = 50,
    status: Annotated[str | None, typer.Option(help=words("site.options.status"))] = None,
    city: Annotated[Path | None, typer.Option(help=words("site.options.city"))] = None,
    folder: FolderOption = DEFAULT_DESK,
    dry_run: desk.DryRunOption = False,
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
        raise UsageError(words("site.no_record", where=where, why=first["msg"].lower())) from error
    except ValueError as error:  # a number that is none; pydantic's error is a ValueError, too, and was told above
        raise UsageError(words("site.no_place", at=repr(at))) from error
    if city is not None:
        check_site(parse_charter(read_city(CityFolder(path=city)).charter), record)
    if dry_run:
        desk.say(words("site.would_keep", site=site, name=name))
        return
    desk.say(words("site.kept" if DeskFolder(folder).keep_site(record) else "site.known", site=site, name=name))


@app.command("list", help=words("site.list"))
def list_sites(*, folder: FolderOption = DEFAULT_DESK, as_json: desk.JsonOption = False) -> None:
    """List the sites."""
    sites = DeskFolder(folder).sites()
    if as_json:
        desk.write_json([site.model_dump(mode="json") for site in sites])
        return
    rows = ((one.id, one.public_name, one.site_kind, one.basis, one.purchase_reference or "—") for one in sites)
    columns = [words(f"site.columns.{name}") for name in ("id", "name", "kind", "basis", "purchase")]
    desk.show_table(words("site.count", count=len(sites)), columns, rows)


@app.command(help=words("site.show"))
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
