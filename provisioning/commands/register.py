"""`lamppost register`: publish what every camera may do and did; verify what a city published."""

import importlib.metadata
from pathlib import Path
from typing import Annotated

import typer

from agent.core.policy.release import TIMESTAMP
from agent.core.policy.words import write_instant
from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.authority.city import CityFolder, online_signer, read_city
from provisioning.authority.extract import Precision
from provisioning.backend.installation import BackendFolder
from provisioning.clock import utc_now
from provisioning.enrolment.journal import Journal
from provisioning.evidence.city_log import CityLog
from provisioning.register.building import build_register
from provisioning.register.drawings import MAX_OUTLINE_BYTES, read_outline
from provisioning.register.gathering import Sources, Wanted
from provisioning.register.placing import read_register
from provisioning.register.verifying import verify as verify_files

app = typer.Typer(no_args_is_help=True)


@app.command()
def build(
    out: Annotated[Path, typer.Argument(help="Folder for the site; a register that is there is replaced.")],
    city: Annotated[Path, typer.Option(help="The city's folder, with its history and the backend's own keys.")],
    *,
    backend: Annotated[Path | None, typer.Option(help="The backend's folder: what cameras did and attested.")] = None,
    log: Annotated[Path | None, typer.Option(help="The city's own log; CITY/log if it is there.")] = None,
    outline: Annotated[Path | None, typer.Option(help="The city's outline, GeoJSON, for a map.")] = None,
    precision: Annotated[
        Precision, typer.Option(help="How exactly places are told; never more exactly than a grant allows.")
    ] = Precision.EXACT,
    address: Annotated[str | None, typer.Option(help="Where it will be published, https://….")] = None,
) -> None:
    """Make the public register: pages, their data for machines, and all it takes to verify both."""
    folder = CityFolder(path=city)
    own_log = log if log is not None else city / "log"
    sources = Sources(
        city=folder,
        backend=None if backend is None else BackendFolder(path=backend),
        city_log=CityLog(own_log) if log is not None or own_log.is_dir() else None,
        label_keys={} if backend is None else Journal(backend / "enrolment").enrolled_keys(),
    )
    drawn = None if outline is None else files.read_capped(outline, max_bytes=MAX_OUTLINE_BYTES)
    if drawn is not None:
        read_outline(drawn)
    if address is not None and not address.startswith("https://"):
        raise UsageError(f"{address} is no page for the public", hint="https://cameras.city.example/")
    wanted = Wanted(
        precision=precision,
        now=utc_now(),
        software=_software(),
        address=None if address is None else f"{address.removesuffix('/')}/",
        outline=drawn,
    )
    names = build_register(out, sources, wanted, online_signer(folder, TIMESTAMP))
    pages = sum(name.endswith(".html") for name in names)
    desk.say(f"{out}/index.html: {pages} pages, {len(names)} files; verify with: lamppost register verify {out}")


@app.command()
def verify(
    place: Annotated[str, typer.Argument(help="The register's folder, or its address.")],
    *,
    root: Annotated[str | None, typer.Option(help="Fingerprint that the city's first root must have.")] = None,
    city: Annotated[
        Path | None, typer.Option(help="The city's folder or policy.bundle: compares extracts with the documents.")
    ] = None,
    as_json: desk.JsonOption = False,
) -> None:
    """Verify that a register says what officials signed and cameras attested, every page to the byte."""
    known = None if city is None else read_city(CityFolder(path=city))
    found = verify_files(read_register(place), software=_software(), now=utc_now(), root=root, city=known)
    if as_json:
        desk.write_json(
            {
                "city": found.claims.city,
                "root": found.root,
                "made_at": write_instant(found.claims.made_at),
                "holds": found.holds,
                "remarks": found.remarks,
            }
        )
        return
    desk.say(f"{place} says what was signed")
    for one in found.holds:
        desk.say(f"  {one}")
    for one in found.remarks:
        desk.say(f"  but {one}")
    desk.say(f"whose it is: the first root has fingerprint {found.root}{'' if root or city else '; compare it'}")


def _software() -> str:
    return importlib.metadata.version("lamppost")
