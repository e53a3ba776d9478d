"""`lamppost retire`: a camera that is taken down for good. Run again after anything, it does what is left."""

from pathlib import Path
from typing import Annotated

import typer

from agent.errors import TransportError, UsageError
from provisioning.authority import desk
from provisioning.backend.ca import FleetAuthority
from provisioning.backend.installation import BackendFolder, open_folder, revoke_camera
from provisioning.clock import utc_now
from provisioning.commands.diagnose import HostOption, VirtualOption, transport_to
from provisioning.commands.work_order import CameraArgument
from provisioning.enrolment.transport import Half, Transport
from provisioning.screen import plan_only, show_end
from provisioning.ssh import Remembered
from provisioning.words import words

app = typer.Typer()


@app.command(help=words("retire.help"))
def retire(
    camera: CameraArgument,
    *,
    backend: Annotated[Path | None, typer.Option(help=words("retire.options.backend"))] = None,
    host: HostOption = None,
    folder: VirtualOption = None,
    dry_run: desk.DryRunOption = False,
    as_json: desk.JsonOption = False,
    yes: desk.YesOption = False,
) -> None:
    """End a camera: its certificate at the backend, its name and key on the board. Its footage and log stay."""
    cabled = host is not None or folder is not None
    if backend is None and not cabled:
        raise UsageError(words("retire.where"), hint=words("retire.where_hint"))
    place = None if backend is None else open_folder(backend)
    plan = []
    if cabled:
        plan.append((words("retire.plan_board"), words("retire.plan_board_words")))
    if backend is not None:
        plan.append((words("retire.plan_backend"), words("retire.plan_backend_words")))
    plan.append((words("retire.plan_stays"), words("retire.plan_stays_words")))
    if plan_only(words("retire.plan_title", camera=camera), plan, dry_run=dry_run, as_json=as_json):
        return
    desk.confirm(words("ask.go_on"), yes=yes)
    if cabled:
        forget_board(transport_to(host, folder, Remembered.of_camera(camera)), camera)
    before = None if place is None else _revoke(place, camera)
    if as_json:
        desk.write_json({"camera_id": camera, "board": cabled, "revoked": backend is not None, "was_revoked": before})
        return
    done, following = [], [words("retire.next_revoke", camera=camera)]
    if cabled:
        done.append((words("retire.plan_board"), words("retire.is_nobody")))
    else:
        following.insert(0, words("retire.next_board", camera=camera))
    if backend is not None:
        said = words("retire.was_revoked") if before else words("retire.is_revoked")
        done.append((words("retire.plan_backend"), said))
    else:
        following.insert(0, words("retire.next_backend", camera=camera))
    show_end(words("retire.done", camera=camera), done, following=following)


def forget_board(transport: Transport, camera: str) -> None:
    """Have the board at the end of a cable forget its name and its key.

    Raises:
        UsageError: It is another camera.
        TransportError: It cannot be reached, or does not do it; what is done is done, the rest goes on from there.
    """
    told = transport.agent(Half.RECORDER, ["diagnose"]).json()
    named = told["status"].get("camera_id") if isinstance(told.get("status"), dict) else None
    if named not in {camera, None}:
        raise UsageError(words("retire.other", place=transport.name, name=named, camera=camera))
    for half in (Half.LINK, Half.RECORDER):  # its key first
        transport.stop(half)
        done = transport.agent(half, ["retire", "--half", half.value])
        if done.status:
            raise TransportError(
                words("retire.failed", place=transport.name, said=done.said.strip()[-200:]),
                hint=words("retire.failed_hint"),
            )


def _revoke(place: BackendFolder, camera: str) -> bool:
    """End a camera's certificate; return whether that was done before.

    All of it is done again in any case: what ended half-way last time was on the list, and the broker did not know.
    """
    authority = FleetAuthority(place.authority)
    before = camera in authority.barred()
    revoke_camera(place, authority, camera, now=utc_now())
    return before
