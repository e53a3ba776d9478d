"""`lamppost label`: what is stuck on a camera, as PDF and PNG."""

from pathlib import Path
from typing import Annotated

import typer

from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.backend.installation import BackendFolder
from provisioning.commands.site import DEFAULT_DESK, FolderOption
from provisioning.commands.work_order import CameraArgument
from provisioning.enrolment.desk_folder import DeskFolder
from provisioning.enrolment.journal import Journal
from provisioning.enrolment.label import draw_label, label_file
from provisioning.screen import show_end
from provisioning.words import words

app = typer.Typer()


@app.command(help=words("label.help"))
def label(
    camera: CameraArgument,
    url: Annotated[str, typer.Option(help=words("label.options.url"))],
    *,
    backend: Annotated[Path | None, typer.Option(help=words("label.options.backend"))] = None,
    key: Annotated[str | None, typer.Option(help=words("label.options.key"))] = None,
    out: Annotated[Path, typer.Option(help=words("label.options.out"))] = Path(),
    folder: FolderOption = DEFAULT_DESK,
    as_json: desk.JsonOption = False,
) -> None:
    """Draw a camera's label: its site's public page as a code, its name, the key it was enrolled with."""
    order = DeskFolder(folder).order(camera)
    if not url.startswith("https://"):
        raise UsageError(words("label.no_page", url=url), hint=words("label.no_page_hint"))
    if (key is None) == (backend is None):
        raise UsageError(words("label.which_key"), hint=words("label.which_key_hint"))
    shown = key if key is not None else _enrolled_key(BackendFolder(path=backend or Path()), camera)
    drawn = draw_label(
        camera_id=camera,
        site_name=order.site.public_name,
        url=url.replace("{site}", order.site.id),
        fingerprint=shown,
    )
    files.make_folder(out)
    made = {kind: out / f"{camera}-label.{kind}" for kind in ("pdf", "png")}
    for kind, path in made.items():
        files.write_whole(path, label_file(drawn, kind))
    if as_json:
        desk.write_json({"camera_id": camera, "key": shown, **{kind: str(path) for kind, path in made.items()}})
        return
    done = (words("label.files"), ", ".join(map(str, made.values())))
    show_end(words("label.done", camera=camera), [done], following=[words("label.next_print")])


def _enrolled_key(folder: BackendFolder, camera: str) -> str:
    key = Journal(folder.path / "enrolment").enrolled_keys().get(camera)
    if key is None:
        raise UsageError(words("label.not_enrolled", camera=camera), hint=words("label.not_enrolled_hint"))
    return key
