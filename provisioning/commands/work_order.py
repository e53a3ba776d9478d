"""`lamppost work-order`: all that a technician needs for one camera, in one file and one page.

Run again while an order is open, it makes none: it writes the page and the code again, should they be missing.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from agent.core.enrolment.claim import LONGEST_LIFE, Claim, Wifi
from agent.core.enrolment.exchange import Place
from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.authority.city import CityFolder
from provisioning.authority.keys import open_key
from provisioning.clock import utc_now
from provisioning.commands.site import DEFAULT_DESK, FolderOption
from provisioning.enrolment.desk import pin_of
from provisioning.enrolment.desk_folder import DeskFolder, read_work_order
from provisioning.enrolment.granted import granted_cameras, granted_sites
from provisioning.enrolment.page import code_png, page_html
from provisioning.enrolment.work_order import WorkOrder, new_order_key, sign_claim
from provisioning.screen import plan_only, show_end
from provisioning.words import words

app = typer.Typer(no_args_is_help=True)

MAX_SECRET_BYTES = 256


def complete_camera(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the cameras that the desk's work orders name, for a shell to choose from."""
    folder = DeskFolder(ctx.params.get("folder") or DEFAULT_DESK)
    return [order.camera_id for _, order in folder.orders() if order.camera_id.startswith(incomplete)]


CameraArgument = Annotated[str, typer.Argument(help=words("options.camera"), autocompletion=complete_camera)]
BoardOption = Annotated[str | None, typer.Option(help=words("work-order.options.board"))]
SecretFileOption = Annotated[Path | None, typer.Option(help=words("work-order.options.wifi_secret_file"))]
DaysOption = Annotated[
    int, typer.Option(metavar="N", help=words("work-order.options.days"), min=1, max=LONGEST_LIFE.days)
]
AgainOption = Annotated[bool, typer.Option("--again", help=words("work-order.options.again"))]


@app.command(help=words("work-order.create"))
def create(  # noqa: PLR0913 - one option for each word of a work order
    camera: Annotated[str, typer.Argument(help=words("options.camera"))],
    site: Annotated[str, typer.Option(help=words("work-order.options.site"))],
    key: desk.KeyOption,
    *,
    mounting: Annotated[str, typer.Option(help=words("work-order.options.mounting"))] = words(
        "work-order.usual_mounting"
    ),
    board: BoardOption = None,
    wifi: Annotated[str | None, typer.Option(help=words("work-order.options.wifi"))] = None,
    wifi_secret_file: SecretFileOption = None,
    wifi_secret_in_code: Annotated[
        bool, typer.Option("--wifi-secret-in-code", help=words("work-order.options.wifi_secret_in_code"))
    ] = False,
    days: DaysOption = 30,
    replaces: Annotated[bool, typer.Option("--replaces", help=words("work-order.options.replaces"))] = False,
    again: AgainOption = False,
    city: Annotated[Path | None, typer.Option(help=words("work-order.options.city"))] = None,
    passphrase_file: desk.PassphraseOption = None,
    folder: FolderOption = DEFAULT_DESK,
    dry_run: desk.DryRunOption = False,
    as_json: desk.JsonOption = False,
) -> None:
    """Make a work order: one file for card and cable, one page with a code to show."""
    place = DeskFolder(folder)
    out = place.order_path(camera)
    if not again and (open_one := open_order(out)) is not None:
        if not dry_run:
            write_page(out, open_one)
        warning = _not_granted(place, city, camera, open_one.claimed().site)
        show_order(out, open_one, changed=False, as_json=as_json, warning=warning)
        return
    if not replaces:
        _refuse_enrolled(out)
    network = network_of(wifi, wifi_secret_file, in_code=wifi_secret_in_code)
    drawn = draw_claim(
        place,
        camera,
        site,
        board=board,
        wifi=network,
        in_code=wifi_secret_in_code,
        days=days,
        replaces=replaces,
    )
    plan = plan_of(drawn, mounting, out)
    if warning := _not_granted(place, city, camera, site):
        plan.append((words("work-order.exposed"), warning))
    if plan_only(camera, plan, dry_run=dry_run, as_json=as_json):
        return
    order = make_order(place, drawn, mounting, key, passphrase_file=passphrase_file, wifi=network)
    write_order(out, order)
    show_order(out, order, changed=True, as_json=as_json, warning=warning)


@app.command("list", help=words("work-order.list"))
def list_orders(*, folder: FolderOption = DEFAULT_DESK, as_json: desk.JsonOption = False) -> None:
    """List the work orders."""
    found = [(path, order, order.claimed()) for path, order in DeskFolder(folder).orders()]
    if as_json:
        desk.write_json([_as_json(order, claim) for _, order, claim in found])
        return
    rows = ((order.camera_id, claim.site, f"{claim.expires_at:%Y-%m-%d}", _state(order)) for _, order, claim in found)
    columns = [words(f"work-order.columns.{name}") for name in ("camera", "site", "until", "state")]
    desk.show_table(words("work-order.count", count=len(found)), columns, rows)


@app.command(help=words("work-order.show"))
def show(camera: CameraArgument, *, folder: FolderOption = DEFAULT_DESK, as_json: desk.JsonOption = False) -> None:
    """Show a work order without its secrets."""
    order = DeskFolder(folder).order(camera)
    claim = order.claimed()
    said = _as_json(order, claim)
    if as_json:
        desk.write_json(said)
    else:
        desk.show_table(
            camera, ("", ""), ((name, "—" if value is None else str(value)) for name, value in said.items())
        )


def draw_claim(  # noqa: PLR0913 - one parameter for each word of a claim
    place: DeskFolder,
    camera: str,
    site: str,
    *,
    board: str | None,
    wifi: Wifi | None,
    in_code: bool,
    days: int,
    replaces: bool,
) -> tuple[Claim, bytes]:
    """Return a new claim that nobody has signed, and the private half of its order's key.

    Raises:
        UsageError: Site or fleet are not known.
    """
    record, fleet, now = place.site(site), place.fleet(), utc_now()
    broker, enrol = fleet.addresses()
    private, public = new_order_key()
    claim = Claim(
        camera_id=camera,
        site=record.id,
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
    return claim, private


def plan_of(drawn: tuple[Claim, bytes], mounting: str, out: Path) -> list[tuple[str, str]]:
    """Return what a work order will say, for people."""
    claim, _ = drawn
    network = words("network.cable") if claim.wifi is None else words("network.joined", ssid=claim.wifi.ssid)
    return [
        (words("work-order.plan_site"), claim.site),
        (words("work-order.plan_mounting"), mounting),
        (words("work-order.plan_board"), claim.board or words("work-order.any_board")),
        (words("work-order.plan_network"), network),
        (words("work-order.plan_until"), f"{claim.expires_at:%Y-%m-%d %H:%M} UTC"),
        (words("work-order.plan_writes"), words("work-order.plan_writes_words", path=out)),
    ]


def make_order(
    place: DeskFolder,
    drawn: tuple[Claim, bytes],
    mounting: str,
    key: Path,
    *,
    passphrase_file: Path | None,
    wifi: Wifi | None,
) -> WorkOrder:
    """Return a new work order, its claim signed with the office's key in `key`.

    Raises:
        ClaimFormatError: The claim would be too large for a code.
    """
    claim, private = drawn
    sealed, office = sign_claim(claim, open_key(key, desk.passphrase_from(passphrase_file)))
    inside = claim.wifi is not None and claim.wifi.secret is not None
    apart = None if wifi is None or inside or wifi.secret is None else Place(ssid=wifi.ssid, secret=wifi.secret)
    return WorkOrder(
        camera_id=claim.camera_id,
        site=place.site(claim.site),
        mounting=mounting,
        claim=sealed,
        office=office,
        key=private,
        wifi=apart,
        root=place.fleet().root,
        made_at=claim.issued_at,
    )


def write_order(out: Path, order: WorkOrder) -> None:
    """Write a work order, its page and its code."""
    files.make_folder(out.parent, mode=files.PRIVATE_FOLDER)
    files.write_whole(out, order.to_bytes(), mode=files.PRIVATE)
    write_page(out, order)


def write_page(out: Path, order: WorkOrder) -> None:
    """Write an order's page and code, where they are missing or another order's."""
    page, code = page_html(order, order.claimed()).encode(), code_png(order.claim)
    for path, content in ((out.with_suffix(".html"), page), (out.with_suffix(".png"), code)):
        if not path.exists() or path.read_bytes() != content:
            files.write_whole(path, content, mode=files.PRIVATE)


def show_order(
    out: Path, order: WorkOrder, *, changed: bool, as_json: bool, warning: str | None = None, last: str | None = None
) -> None:
    """Show the end of what made a work order, or found one.

    Args:
        out: Where it lies.
        order: What lies there.
        changed: Whether it was made now.
        as_json: For programs.
        warning: What a person should look at before going on.
        last: What is to be done when all else is.
    """
    claim, page = order.claimed(), out.with_suffix(".html")
    if as_json:
        paths = {"order": str(out), "page": str(page), "code": str(out.with_suffix(".png"))}
        desk.write_json({**_as_json(order, claim), **paths, "changed": changed, "warning": warning})
        return
    end = f"{claim.expires_at:%Y-%m-%d %H:%M}"
    rows = [
        (words("work-order.file"), words("work-order.file_words", path=out)),
        (words("work-order.page"), words("work-order.page_words", path=page)),
    ]
    if claim.wifi is not None and claim.wifi.secret is not None:
        rows.append((words("work-order.exposed"), words("work-order.exposed_words", ssid=claim.wifi.ssid)))
    if warning is not None:
        rows.append((words("work-order.exposed"), warning))
    following = [
        words("work-order.next_card", path=out),
        words("work-order.next_code"),
        words("work-order.next_cable", path=out),
    ]
    if last is not None:
        following.append(last)
    title = (
        words("work-order.done", camera=order.camera_id)
        if changed
        else words("work-order.already", camera=order.camera_id, end=end)
    )
    show_end(title, rows, following=following, beware=warning is not None)


def _refuse_enrolled(out: Path) -> None:
    """Refuse a camera whose work order was carried out: the city would refuse its claim, on the ladder."""
    before = read_work_order(out) if out.exists() else None
    if before is not None and before.done_at is not None:
        raise UsageError(
            words("work-order.enrolled", camera=before.camera_id, at=f"{before.done_at:%Y-%m-%d %H:%M}"),
            hint=words("work-order.enrolled_hint", camera=before.camera_id),
        )


def _not_granted(place: DeskFolder, city: Path | None, camera: str, site: str) -> str | None:
    """Return a warning if no grant of the city covers a camera; None if one does, or if the desk cannot know."""
    known = CityFolder(path=place.path if city is None else city)
    if city is None and not known.bundle_path.exists():
        return None
    if granted_sites(known, camera):
        return None
    if others := granted_cameras(known, site):
        return words("work-order.granted", camera=camera, others=", ".join(sorted(others)))
    return words("work-order.not_granted", camera=camera)


def open_order(path: Path) -> WorkOrder | None:
    """Return the work order in a file, if there is one that can still be used."""
    if not path.exists():
        return None
    order = read_work_order(path)
    return order if order.key is not None and order.claimed().expires_at > utc_now() else None


def network_of(ssid: str | None, secret_file: Path | None, *, in_code: bool) -> Wifi | None:
    """Return the network that a person named, with its passphrase. Raises UsageError."""
    if ssid is None:
        if secret_file is not None or in_code:
            raise UsageError(words("work-order.no_network"), hint=words("work-order.no_network_hint"))
        return None
    if secret_file is None:
        if in_code:
            raise UsageError(words("work-order.no_passphrase"), hint=words("work-order.no_passphrase_hint"))
        return Wifi(ssid=ssid)
    lines = files.read_capped(secret_file, max_bytes=MAX_SECRET_BYTES).decode("utf-8", "replace").splitlines()
    return Wifi(ssid=ssid, secret=lines[0] if lines else "")


def _state(order: WorkOrder) -> str:
    if order.done_at is not None:
        return words("work-order.state_done", at=f"{order.done_at:%Y-%m-%d %H:%M}")
    still = order.claimed().expires_at > utc_now()
    return words("work-order.state_open") if still else words("work-order.state_expired")


def _as_json(order: WorkOrder, claim: Claim) -> dict[str, str | None]:
    done = "done" if order.done_at is not None else None
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
        "state": done or ("open" if claim.expires_at > utc_now() else "expired"),
    }
