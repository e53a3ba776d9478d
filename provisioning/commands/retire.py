"""`lamppost retire`: a camera that is taken down for good."""

from pathlib import Path
from typing import Annotated

import typer

from agent.errors import TransportError, UsageError
from provisioning.authority import desk
from provisioning.backend.ca import FleetAuthority
from provisioning.backend.installation import BackendFolder, revoke_camera
from provisioning.clock import utc_now
from provisioning.commands.diagnose import HostOption, VirtualOption, transport_to
from provisioning.enrolment.transport import Half, Transport
from provisioning.ssh import Remembered
from provisioning.words import words

app = typer.Typer()


@app.command()
def retire(
    camera: Annotated[str, typer.Argument(help="The camera's id.")],
    *,
    backend: Annotated[Path | None, typer.Option(help="At the backend: end its certificate at once.")] = None,
    host: HostOption = None,
    folder: VirtualOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and touch nothing.")] = False,
    yes: desk.YesOption = False,
) -> None:
    """End a camera: its certificate at the backend, its name and key on the board. Its footage and log stay."""
    cabled = host is not None or folder is not None
    if backend is None and not cabled:
        raise UsageError("where?", hint="--backend FOLDER at the backend, --host USER@HOST over the cable, or both")
    desk.say(words("retire.plan", camera=camera))
    if backend is not None:
        desk.say(words("retire.backend"))
    if cabled:
        desk.say(words("retire.camera"))
    desk.say(words("retire.footage"))
    if dry_run:
        return
    desk.confirm("Go on?", yes=yes)
    if cabled:
        _forget(transport_to(host, folder, Remembered.of_camera(camera)), camera)
    if backend is not None:
        place = BackendFolder(path=backend)
        authority = FleetAuthority(place.authority)
        if camera in authority.barred():
            desk.say(words("retire.already", camera=camera))
        else:
            revoke_camera(place, authority, camera, now=utc_now())
    desk.say(words("retire.done", camera=camera))


def _forget(transport: Transport, camera: str) -> None:
    told = transport.agent(Half.RECORDER, ["diagnose"]).json()
    named = told["status"].get("camera_id") if isinstance(told.get("status"), dict) else None
    if named not in {camera, None}:
        raise UsageError(f"the camera at {transport.name} is {named}, not {camera}")
    for half in (Half.LINK, Half.RECORDER):  # its key first
        transport.stop(half)
        done = transport.agent(half, ["retire", "--half", half.value])
        if done.status:
            raise TransportError(f"{transport.name}: {done.said.strip()[-200:]}", hint="run it again; it goes on")
