"""`lamppost diagnose`: one file about one camera, for whoever mends it; no secrets, no pictures."""

from pathlib import Path
from typing import Annotated

import typer

from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.clock import precise_now
from provisioning.enrolment.bundle import collect
from provisioning.enrolment.transport import FolderTransport, SshTransport, Transport
from provisioning.ssh import Remembered

app = typer.Typer()

HostOption = Annotated[str | None, typer.Option(help="The camera, as ssh takes it.")]
VirtualOption = Annotated[Path | None, typer.Option("--dir", help="A folder that plays a camera instead.")]


@app.command()
def diagnose(
    out: Annotated[Path, typer.Option(help="The file to write; must not exist yet.")],
    *,
    host: HostOption = None,
    folder: VirtualOption = None,
) -> None:
    """Ask a camera over the cable what whoever mends it must know, and write it into one ZIP file."""
    if out.exists():
        raise UsageError(f"{out} exists already", hint="choose another name, or move the old one away first")
    bundle = collect(transport_to(host, folder, Remembered.of_nobody()), now=precise_now())
    files.write_new(out, bundle, mode=files.PRIVATE)
    desk.say(f"{out}: {len(bundle):,} bytes; no secret and no picture is in it")


def transport_to(host: str | None, folder: Path | None, remembered: Remembered) -> Transport:
    """Return the way to the camera that a person named. Raises UsageError."""
    if (host is None) == (folder is None):
        raise UsageError("which camera?", hint="either --host USER@HOST or --dir FOLDER")
    if host is not None:
        return SshTransport(host, remembered)
    place = folder or Path()
    if not (place / "lamppost.toml").exists():
        raise UsageError(f"{place} plays no camera", hint="lamppost provision --dir makes one")
    return FolderTransport(place, place)
