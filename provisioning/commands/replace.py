"""`lamppost replace`: another board for a camera that has a name already.

Run again after anything: a replacement that is still open is not made twice, and what was left undone is done.
"""

from pathlib import Path
from typing import Annotated

import typer

from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.backend.ca import FleetAuthority
from provisioning.backend.installation import BackendFolder, open_folder, revoke_camera
from provisioning.clock import utc_now
from provisioning.commands.site import DEFAULT_DESK, FolderOption
from provisioning.commands.work_order import (
    AgainOption,
    BoardOption,
    CameraArgument,
    DaysOption,
    SecretFileOption,
    draw_claim,
    make_order,
    network_of,
    open_order,
    plan_of,
    show_order,
    write_order,
    write_page,
)
from provisioning.enrolment.desk_folder import DeskFolder, read_work_order
from provisioning.enrolment.journal import Journal, State
from provisioning.enrolment.work_order import WorkOrder
from provisioning.screen import plan_only
from provisioning.words import words

app = typer.Typer()


@app.command(help=words("replace.help"))
def replace(  # noqa: PLR0913 - one option for each thing that may differ from the first work order
    camera: CameraArgument,
    key: desk.KeyOption,
    *,
    site: Annotated[str | None, typer.Option(help=words("replace.options.site"))] = None,
    mounting: Annotated[str | None, typer.Option(help=words("replace.options.mounting"))] = None,
    board: BoardOption = None,
    wifi: Annotated[str | None, typer.Option(help=words("work-order.options.wifi"))] = None,
    wifi_secret_file: SecretFileOption = None,
    days: DaysOption = 30,
    backend: Annotated[Path | None, typer.Option(help=words("replace.options.backend"))] = None,
    again: AgainOption = False,
    passphrase_file: desk.PassphraseOption = None,
    folder: FolderOption = DEFAULT_DESK,
    dry_run: desk.DryRunOption = False,
    as_json: desk.JsonOption = False,
    yes: desk.YesOption = False,
) -> None:
    """Make a work order that lets another board take a camera's place; the old one's certificate ends with that."""
    place = DeskFolder(folder)
    out = place.order_path(camera)
    before = read_work_order(out) if out.exists() else None
    there = open_folder(backend) if backend is not None else None
    waiting = None if again else _waiting(out, there)
    if before is None and site is None:
        raise UsageError(words("work-order.none", camera=camera, folder=folder), hint=words("replace.unknown_hint"))
    where = mounting or (before.mounting if before is not None else words("work-order.usual_mounting"))
    network = network_of(wifi, wifi_secret_file, in_code=False)
    drawn = draw_claim(
        place,
        camera,
        site or (before.site.id if before is not None else ""),
        board=board,
        wifi=network,
        in_code=False,
        days=days,
        replaces=True,
    )
    old = words("replace.later") if there is None else words("replace.at_once")
    plan = [(words("replace.plan_old"), old)]
    if waiting is None:
        plan += plan_of(drawn, where, out)
    if plan_only(words("replace.plan_title", camera=camera), plan, dry_run=dry_run, as_json=as_json):
        return
    desk.confirm(words("ask.go_on"), yes=yes)
    if waiting is not None:
        write_page(out, waiting)
    else:
        waiting = make_order(place, drawn, where, key, passphrase_file=passphrase_file, wifi=network)
        if before is not None:
            _put_aside(out, before)
        write_order(out, waiting)
    if there is not None:
        revoke_camera(there, FleetAuthority(there.authority), camera, now=utc_now())
    changed = waiting.claim != (before.claim if before is not None else b"")
    show_order(out, waiting, changed=changed, as_json=as_json, last=words("replace.next_old", camera=camera))


def _waiting(out: Path, backend: BackendFolder | None) -> WorkOrder | None:
    """Return the replacement that was made before and that nobody has used yet, as far as can be known here."""
    order = open_order(out)
    if order is None or not order.claimed().replaces:
        return None
    if backend is None:
        return order
    used = {record.claim for record in Journal(backend.path / "enrolment").all() if record.state is not State.OPEN}
    return None if order.claim in used else order


def _put_aside(out: Path, before: WorkOrder) -> None:
    old = before if before.done_at is not None else before.done(now=utc_now())
    files.write_whole(
        out.with_name(f"{before.camera_id}-{before.claimed().id}.old"), old.to_bytes(), mode=files.PRIVATE
    )
