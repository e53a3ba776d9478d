"""`lamppost diagnose`: one file about one camera, for whoever mends it; no secrets, no pictures."""

from pathlib import Path
from typing import Annotated

import typer

from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.clock import precise_now
from provisioning.enrolment.bundle import collect
from provisioning.enrolment.transport import FolderTransport, SshTransport, Transport
from provisioning.screen import show_end
from provisioning.ssh import Remembered
from provisioning.words import words

app = typer.Typer()

HostOption = Annotated[str | None, typer.Option(help=words("options.host"))]
VirtualOption = Annotated[Path | None, typer.Option("--dir", help=words("options.virtual"))]


@app.command(help=words("diagnose.help"))
def diagnose(
    out: Annotated[Path, typer.Option(help=words("diagnose.options.out"))],
    *,
    host: HostOption = None,
    folder: VirtualOption = None,
    as_json: desk.JsonOption = False,
) -> None:
    """Ask a camera over the cable what whoever mends it must know, and write it into one ZIP file."""
    if out.exists():
        raise UsageError(words("disk.exists", path=out), hint=words("disk.exists_hint"))
    bundle = collect(transport_to(host, folder, Remembered.of_nobody()), now=precise_now())
    files.write_new(out, bundle, mode=files.PRIVATE)
    if as_json:
        desk.write_json({"file": str(out), "bytes": len(bundle)})
        return
    size = (words("diagnose.size"), words("diagnose.size_words", count=f"{len(bundle):,}"))
    show_end(words("diagnose.done", path=out), [size], following=[words("diagnose.next_send")])


def transport_to(host: str | None, folder: Path | None, remembered: Remembered) -> Transport:
    """Return the way to the camera that a person named. Raises UsageError."""
    if (host is None) == (folder is None):
        raise UsageError(words("cable.which"), hint=words("cable.which_hint"))
    if host is not None:
        return SshTransport(host, remembered)
    place = folder or Path()
    if not (place / "lamppost.toml").exists():
        raise UsageError(words("cable.plays_nothing", folder=place), hint=words("cable.plays_nothing_hint"))
    return FolderTransport(place, place)
