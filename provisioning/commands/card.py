"""`lamppost card`: what a camera finds on its card at its first start."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from agent.errors import CardError, UsageError
from provisioning.authority import desk, files
from provisioning.enrolment.card import (
    FIRST_BOOT_FILES,
    TABLE_BYTES,
    Disk,
    fat_partitions,
    first_boot,
    judge_disk,
)
from provisioning.enrolment.desk_folder import read_work_order
from provisioning.enrolment.fat import FatPartition, describe_disks
from provisioning.enrolment.flashing import flash, settle

app = typer.Typer(no_args_is_help=True)

BOOT_MARK = "cmdline.txt"  # what the firmware reads on every partition that a Raspberry Pi starts from
TEMPLATES = Path(__file__).resolve().parents[2] / "firmware-config" / "first-boot"
MAX_TEMPLATE_BYTES = 64 * 1024


@app.callback()
def card() -> None:
    """Prepare the card of a camera."""


@app.command()
def prepare(
    order: Annotated[Path, typer.Option(help="The camera's work order.")],
    *,
    device: Annotated[Path | None, typer.Option(help="The card, such as /dev/sdX.")] = None,
    image: Annotated[
        Path | None, typer.Option(help="The image: flashed onto --device first, or prepared itself.")
    ] = None,
    templates: Annotated[Path, typer.Option(help="firmware-config/first-boot.")] = TEMPLATES,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and touch nothing.")] = False,
    yes: desk.YesOption = False,
) -> None:
    """Write a camera's work order and first-boot configuration onto its card, and read them back."""
    if device is None and image is None:
        raise UsageError("which card?", hint="--device /dev/sdX, --image FILE, or both")
    work = read_work_order(order)
    carried = work.for_camera()
    disk = None if device is None else judge_disk(describe_disks(), str(device))
    flashing = disk is not None and image is not None
    _show_plan(work.camera_id, disk, image, flashing=flashing)
    if dry_run:
        return
    target = device or image or Path()
    if flashing:
        desk.confirm(f"Erase {target}, all of it?", yes=yes)
        with Progress(console=Console(stderr=True), transient=True) as shown:
            size = 2 * (image or target).stat().st_size
            task = shown.add_task("copying, then reading back", total=size)
            flash(image or target, target, lambda done: shown.advance(task, done))
    else:
        desk.confirm(f"Write to {target}?", yes=yes)
    boots = _boot_partitions(target)
    for boot in boots:
        present = {name: _template(templates, name) for name in FIRST_BOOT_FILES if boot.has(name)}
        written = first_boot(carried, work.camera_id, present)
        for name, content in written.items():
            boot.write(name, content)
        settle(target)
        for name, content in written.items():
            if boot.read(name) != content:
                raise CardError(f"{name} is not what was written", hint="another card; this one forgets")
        desk.say(f"written and read back: {', '.join(written)}")
    desk.say(f"{work.camera_id}: put the card in and give it power; it enrols by itself")
    desk.say("whoever finds this card can enrol this one camera: keep it with you until it is in")


def _boot_partitions(target: Path) -> list[FatPartition]:
    try:
        with target.open("rb") as disk:
            start = disk.read(TABLE_BYTES)
    except OSError as error:
        raise CardError(f"cannot read {target}: {(error.strerror or '').lower()}", hint="sudo, for a device") from error
    found = [FatPartition(target, partition) for partition in fat_partitions(start)]
    boots = [one for one in found if one.has(BOOT_MARK)]
    if not boots:
        raise CardError(f"{target} has no partition that a camera starts from", hint="is it the right image?")
    return boots


def _show_plan(camera_id: str, disk: Disk | None, image: Path | None, *, flashing: bool) -> None:
    rows = []
    if disk is not None:
        rows.append(("card", f"{disk.path}: {disk.model}, {disk.size_bytes / 1e9:.1f} GB"))
    if image is not None:
        rows.append(("image", str(image)))
    if flashing:
        rows.append(("erases", "everything on the card"))
    rows.append(("writes", "the order, the network, the host name; then reads them back"))
    desk.show_table(camera_id, ("", ""), rows)


def _template(folder: Path, name: str) -> str:
    path = folder / name
    if not path.exists():
        raise UsageError(f"there is no {path}", hint="--templates firmware-config/first-boot")
    return files.read_capped(path, max_bytes=MAX_TEMPLATE_BYTES).decode()
