"""`lamppost label`: what is stuck on a camera, as PDF and PNG."""

from pathlib import Path
from typing import Annotated

import typer

from agent.core.enrolment.exchange import fingerprint
from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.backend.installation import BackendFolder
from provisioning.commands.site import DEFAULT_DESK, FolderOption
from provisioning.enrolment.desk_folder import DeskFolder, read_work_order
from provisioning.enrolment.journal import Journal, State
from provisioning.enrolment.label import draw_label, label_file

app = typer.Typer()


@app.command()
def label(
    camera: Annotated[str, typer.Argument(help="The camera's id.")],
    url: Annotated[str, typer.Option(help="The public page of its site, or the city's page with {site} in it.")],
    *,
    backend: Annotated[Path | None, typer.Option(help="The backend's folder, which knows the camera's key.")] = None,
    key: Annotated[str | None, typer.Option(help="The key's fingerprint, as provisioning told it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the two files.")] = Path(),
    folder: FolderOption = DEFAULT_DESK,
) -> None:
    """Draw a camera's label: its site's public page as a code, its name, the key it was enrolled with."""
    order = read_work_order(DeskFolder(folder).order_path(camera))
    if not url.startswith("https://"):
        raise UsageError(f"{url} is no page for the public", hint="https://cameras.city.example/sites/{site}")
    if (key is None) == (backend is None):
        raise UsageError("the label shows the camera's key", hint="either --backend FOLDER or --key 'abcd …'")
    shown = key if key is not None else _enrolled_key(BackendFolder(path=backend or Path()), camera)
    drawn = draw_label(
        camera_id=camera,
        site_name=order.site.public_name,
        url=url.replace("{site}", order.site.id),
        fingerprint=shown,
    )
    files.make_folder(out)
    for kind in ("pdf", "png"):
        path = out / f"{camera}-label.{kind}"
        files.write_whole(path, label_file(drawn, kind))
        desk.say(str(path))


def _enrolled_key(folder: BackendFolder, camera: str) -> str:
    done = [
        record
        for record in Journal(folder.path / "enrolment").all()
        if record.camera_id == camera and record.state is State.ISSUED and record.issued_at is not None
    ]
    if not done:
        raise UsageError(f"{camera} was not enrolled here", hint="lamppost enrol pending")
    newest = max(done, key=lambda record: record.issued_at or record.asks[0].asked_at)
    return fingerprint(bytes.fromhex(newest.digest or ""))
