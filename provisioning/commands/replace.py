"""`lamppost replace`: another board for a camera that has a name already."""

from pathlib import Path
from typing import Annotated

import typer

from agent.core.enrolment.claim import LONGEST_LIFE, Wifi
from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.backend.ca import FleetAuthority
from provisioning.backend.installation import BackendFolder, revoke_camera
from provisioning.clock import utc_now
from provisioning.commands.site import DEFAULT_DESK, FolderOption
from provisioning.commands.work_order import make_order, write_order
from provisioning.enrolment.desk_folder import DeskFolder, read_work_order
from provisioning.words import words

app = typer.Typer()


@app.command()
def replace(  # noqa: PLR0913 - one option for each thing that may differ from the first work order
    camera: Annotated[str, typer.Argument(help="The camera's id.")],
    key: desk.KeyOption,
    *,
    site: Annotated[str | None, typer.Option(help="Where it goes; where it was, if not given.")] = None,
    mounting: Annotated[str | None, typer.Option(help="Where exactly; as it was, if not given.")] = None,
    board: Annotated[str | None, typer.Option(help="Serial number of the new board.")] = None,
    wifi: Annotated[str | None, typer.Option(help="The wireless network; a cable if not given.")] = None,
    wifi_secret_file: Annotated[Path | None, typer.Option(help="Its passphrase, from this file's first line.")] = None,
    days: Annotated[int, typer.Option(help="For how long it can be used.", min=1, max=LONGEST_LIFE.days)] = 30,
    backend: Annotated[
        Path | None, typer.Option(help="The old one was stolen: end its certificate now, not when the new one enrols.")
    ] = None,
    passphrase_file: desk.PassphraseOption = None,
    yes: desk.YesOption = False,
    folder: FolderOption = DEFAULT_DESK,
) -> None:
    """Make a work order that lets another board take a camera's place; the old one's certificate ends with that."""
    place = DeskFolder(folder)
    out = place.order_path(camera)
    before = read_work_order(out) if out.exists() else None
    if before is None and site is None:
        raise UsageError(f"there is no work order of {camera} here", hint="--site says where it goes")
    desk.say(words("replace.plan", camera=camera))
    desk.say(words("replace.at_once" if backend is not None else "replace.later"))
    desk.confirm("Go on?", yes=yes)
    order = make_order(
        place,
        camera,
        site or (before.site.id if before is not None else ""),
        key,
        passphrase_file=passphrase_file,
        mounting=mounting or (before.mounting if before is not None else "as the site's plan says"),
        board=board,
        wifi=_network(wifi, wifi_secret_file),
        in_code=False,
        days=days,
        replaces=True,
    )
    if before is not None:
        old = before if before.done_at is not None else before.done(now=utc_now())
        files.write_whole(out.with_name(f"{camera}-{before.claimed().id}.old"), old.to_bytes(), mode=files.PRIVATE)
    write_order(out, order)
    if backend is not None:
        place_of_backend = BackendFolder(path=backend)
        revoke_camera(place_of_backend, FleetAuthority(place_of_backend.authority), camera, now=utc_now())
    desk.say(words("order.made", path=out))
    desk.say(words("order.page", path=out.with_suffix(".html")))


def _network(ssid: str | None, secret_file: Path | None) -> Wifi | None:
    if ssid is None:
        return None
    lines = [] if secret_file is None else files.read_capped(secret_file, max_bytes=256).decode().splitlines()
    return Wifi(ssid=ssid, secret=lines[0] if lines else None)
