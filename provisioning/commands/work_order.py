"""`lamppost work-order`: all that a technician needs for one camera, in one file and one page."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from agent.core.enrolment.claim import LONGEST_LIFE, Claim, Wifi
from agent.core.enrolment.exchange import Place
from agent.core.topics import CAMERA_ID
from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.authority.keys import open_key
from provisioning.clock import utc_now
from provisioning.commands.site import DEFAULT_DESK, FolderOption
from provisioning.enrolment.desk import pin_of
from provisioning.enrolment.desk_folder import DeskFolder, read_work_order
from provisioning.enrolment.page import code_png, page_html
from provisioning.enrolment.work_order import WorkOrder, new_order_key, sign_claim
from provisioning.words import words

app = typer.Typer(no_args_is_help=True)

MAX_SECRET_BYTES = 256
CameraArgument = Annotated[str, typer.Argument(help="The camera's id.")]


@app.command()
def create(  # noqa: PLR0913 - one option for each word of a work order
    camera: CameraArgument,
    site: Annotated[str, typer.Option(help="Where it goes; lamppost site list.")],
    key: desk.KeyOption,
    *,
    mounting: Annotated[str, typer.Option(help="Where exactly, for whoever climbs.")] = "as the site's plan says",
    board: Annotated[str | None, typer.Option(help="Serial number of the one board that may use it.")] = None,
    wifi: Annotated[str | None, typer.Option(help="The wireless network to join; a cable if not given.")] = None,
    wifi_secret_file: Annotated[Path | None, typer.Option(help="Its passphrase, from this file's first line.")] = None,
    wifi_secret_in_code: Annotated[
        bool, typer.Option(help="Put the passphrase into the code: who photographs it has it.")
    ] = False,
    days: Annotated[int, typer.Option(help="For how long it can be used.", min=1, max=LONGEST_LIFE.days)] = 30,
    replaces: Annotated[bool, typer.Option(help="It takes the place of a camera of this name.")] = False,
    again: Annotated[bool, typer.Option(help="Make another one, though there is one that is still open.")] = False,
    passphrase_file: desk.PassphraseOption = None,
    folder: FolderOption = DEFAULT_DESK,
) -> None:
    """Make a work order: one file for card and cable, one page with a code to show."""
    place = DeskFolder(folder)
    out = place.order_path(camera)
    if not again and (open_one := _open_order(out)) is not None:
        desk.say(f"{out}: open until {open_one.claimed().expires_at:%Y-%m-%d %H:%M} UTC already; --again makes another")
        return
    network = _network(wifi, wifi_secret_file, in_code=wifi_secret_in_code)
    order = make_order(
        place,
        camera,
        site,
        key,
        passphrase_file=passphrase_file,
        mounting=mounting,
        board=board,
        wifi=network,
        in_code=wifi_secret_in_code,
        days=days,
        replaces=replaces,
    )
    write_order(out, order)
    desk.say(words("order.made", path=out))
    desk.say(words("order.page", path=out.with_suffix(".html")))
    if wifi_secret_in_code:
        desk.say(words("order.exposed", ssid=wifi))


@app.command("list")
def list_orders(*, folder: FolderOption = DEFAULT_DESK, as_json: desk.JsonOption = False) -> None:
    """List the work orders."""
    found = [(path, order, order.claimed()) for path, order in DeskFolder(folder).orders()]
    if as_json:
        desk.write_json([_as_json(order, claim) for _, order, claim in found])
        return
    rows = ((order.camera_id, claim.site, f"{claim.expires_at:%Y-%m-%d}", _state(order)) for _, order, claim in found)
    desk.show_table(
        f"{len(found)} work {'order' if len(found) == 1 else 'orders'}", ("camera", "site", "until", "state"), rows
    )


@app.command()
def show(camera: CameraArgument, *, folder: FolderOption = DEFAULT_DESK, as_json: desk.JsonOption = False) -> None:
    """Show a work order without its secrets."""
    order = read_work_order(DeskFolder(folder).order_path(camera))
    claim = order.claimed()
    said = _as_json(order, claim)
    if as_json:
        desk.write_json(said)
    else:
        desk.show_table(
            camera, ("", ""), ((name, "—" if value is None else str(value)) for name, value in said.items())
        )


def make_order(  # noqa: PLR0913 - as above
    place: DeskFolder,
    camera: str,
    site: str,
    key: Path,
    *,
    passphrase_file: Path | None,
    mounting: str,
    board: str | None,
    wifi: Wifi | None,
    in_code: bool,
    days: int,
    replaces: bool,
) -> WorkOrder:
    """Return a new work order, signed with the office's key in `key`.

    Raises:
        UsageError: Site or fleet are not known, or the camera's name is none.
        ClaimFormatError: The claim would be too large for a code.
    """
    if not CAMERA_ID.fullmatch(camera):
        raise UsageError(f"{camera!r} is not a camera id, expected small letters, digits and hyphens")
    record, fleet, now = place.site(site), place.fleet(), utc_now()
    broker, enrol = fleet.addresses()
    private, public = new_order_key()
    claim = Claim(
        camera_id=camera,
        site=site,
        city=fleet.city,
        board=board,
        issued_at=now,
        expires_at=now + timedelta(days=days),
        order_key=public,
        authority_pin=pin_of(fleet.root.encode()),
        broker=broker,
        enrol=enrol,
        wifi=Wifi(ssid=wifi.ssid) if wifi is not None and not in_code else wifi,
        replaces=replaces,
    )
    sealed, office = sign_claim(claim, open_key(key, desk.passphrase_from(passphrase_file)))
    apart = None if wifi is None or in_code or wifi.secret is None else Place(ssid=wifi.ssid, secret=wifi.secret)
    return WorkOrder(
        camera_id=camera,
        site=record,
        mounting=mounting,
        claim=sealed,
        office=office,
        key=private,
        wifi=apart,
        root=fleet.root,
        made_at=now,
    )


def write_order(out: Path, order: WorkOrder) -> None:
    """Write a work order, its page and its code."""
    claim = order.claimed()
    files.make_folder(out.parent, mode=files.PRIVATE_FOLDER)
    files.write_whole(out, order.to_bytes(), mode=files.PRIVATE)
    files.write_whole(out.with_suffix(".html"), page_html(order, claim).encode(), mode=files.PRIVATE)
    files.write_whole(out.with_suffix(".png"), code_png(order.claim), mode=files.PRIVATE)


def _open_order(path: Path) -> WorkOrder | None:
    if not path.exists():
        return None
    order = read_work_order(path)
    return order if order.key is not None and order.claimed().expires_at > utc_now() else None


def _network(ssid: str | None, secret_file: Path | None, *, in_code: bool) -> Wifi | None:
    if ssid is None:
        if secret_file is not None or in_code:
            raise UsageError("a passphrase without a network", hint="--wifi NAME")
        return None
    if secret_file is None:
        if in_code:
            raise UsageError("there is no passphrase to put into the code", hint="--wifi-secret-file FILE")
        return Wifi(ssid=ssid)
    lines = files.read_capped(secret_file, max_bytes=MAX_SECRET_BYTES).decode("utf-8", "replace").splitlines()
    return Wifi(ssid=ssid, secret=lines[0] if lines else "")


def _state(order: WorkOrder) -> str:
    if order.done_at is not None:
        return f"done {order.done_at:%Y-%m-%d %H:%M}"
    return "open" if order.claimed().expires_at > utc_now() else "expired"


def _as_json(order: WorkOrder, claim: Claim) -> dict[str, str | None]:
    return {
        "camera_id": order.camera_id,
        "claim": claim.id,
        "site": claim.site,
        "name": order.site.public_name,
        "mounting": order.mounting,
        "board": claim.board,
        "network": "cable" if claim.wifi is None else claim.wifi.ssid,
        "broker": str(claim.broker),
        "enrol": str(claim.enrol),
        "replaces": "yes" if claim.replaces else "no",
        "made_at": order.made_at.isoformat(),
        "expires_at": claim.expires_at.isoformat(),
        "state": re.sub(r" .*", "", _state(order)),
    }
