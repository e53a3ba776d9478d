"""`lamppost card`: what a camera finds on its card at its first start.

Run again after anything: a card that was pulled out half-way is written again, whole.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from agent.errors import CardError, UsageError, WrongDiskError
from provisioning.authority import desk, files
from provisioning.enrolment.card import (
    FIRST_BOOT_FILES,
    TABLE_BYTES,
    Disk,
    fat_partitions,
    first_boot,
    judge_disk,
    size_words,
)
from provisioning.enrolment.desk_folder import read_work_order
from provisioning.enrolment.fat import FatPartition, describe_disks
from provisioning.enrolment.flashing import flash, settle
from provisioning.enrolment.work_order import WorkOrder
from provisioning.screen import console, plan_only, show_end
from provisioning.words import words

app = typer.Typer(no_args_is_help=True)

# What the firmware reads on a partition that a Raspberry Pi starts from; and, where there are slots, on the one that
# says from which: that one the camera mounts (firmware-config/etc/fstab).
BOOT_MARKS = ("cmdline.txt", "autoboot.txt")
TEMPLATES = Path(__file__).resolve().parents[2] / "firmware-config" / "first-boot"
MAX_TEMPLATE_BYTES = 64 * 1024


@app.callback(help=words("commands.card"))
def card() -> None:
    """Prepare the card of a camera."""


@app.command(help=words("card.prepare"))
def prepare(
    order: Annotated[Path, typer.Option(help=words("card.options.order"))],
    *,
    device: Annotated[Path | None, typer.Option(help=words("card.options.device"))] = None,
    image: Annotated[Path | None, typer.Option(help=words("card.options.image"))] = None,
    templates: Annotated[Path, typer.Option(help=words("card.options.templates"))] = TEMPLATES,
    dry_run: desk.DryRunOption = False,
    as_json: desk.JsonOption = False,
    yes: desk.YesOption = False,
) -> None:
    """Write a camera's work order and first-boot configuration onto its card, and read them back."""
    target = device or image
    if target is None:
        raise UsageError(words("card.which"), hint=words("card.which_hint"))
    work = read_work_order(order)
    work.for_camera()  # one that was carried out is no use, and the card stays as it is
    disk = None if device is None else judge_disk(describe_disks(), str(device))
    flashed = image if disk is not None else None
    if flashed is not None:
        _boot_partitions(flashed)  # an image that no camera starts from is not worth a card
        if disk is not None and flashed.stat().st_size > disk.size_bytes:
            raise WrongDiskError(words("card.smaller", device=device, image=flashed), hint=words("card.smaller_hint"))
    plan = _plan(disk, image, erases=flashed)
    plan.append((words("card.plan_writes"), _parts(flashed or target, work)))
    if plan_only(work.camera_id, plan, dry_run=dry_run, as_json=as_json):
        return
    desk.confirm(words("card.ask_write" if flashed is None else "card.ask_erase", target=target), yes=yes)
    if disk is not None and judge_disk(describe_disks(), disk.path) != disk:  # a question takes a while
        raise WrongDiskError(words("wrong-disk.changed", path=disk.path), hint=words("wrong-disk.system_hint"))
    if flashed is not None:
        _flash(flashed, target, quiet=as_json)
    written = _write(target, work, templates)
    if as_json:
        desk.write_json({"camera_id": work.camera_id, "target": str(target), "written": written})
        return
    rows = [
        (words("card.written"), words("card.written_words", names=", ".join(written))),
        (words("card.keep"), words("card.keep_words")),
    ]
    following = (words("card.next_start"), words("next.commission", camera=work.camera_id, where="--host ADDRESS"))
    show_end(words("card.done", camera=work.camera_id), rows, following=following)


def _flash(image: Path, target: Path, *, quiet: bool) -> None:
    with Progress(console=console(), transient=True, disable=quiet) as shown:
        task = shown.add_task(words("card.copying"), total=2 * image.stat().st_size)
        flash(image, target, lambda done: shown.advance(task, done))


def _write(target: Path, work: WorkOrder, templates: Path) -> list[str]:
    """Write the files of the first start onto every boot partition, and read them back; return their names."""
    names: list[str] = []
    for boot in _boot_partitions(target):
        present = {name: _template(templates, name) for name in FIRST_BOOT_FILES if boot.has(name)}
        contents = first_boot(work.for_camera(), work.camera_id, present)
        for name, content in contents.items():
            boot.write(name, content)
        settle(target)
        for name, content in contents.items():
            if boot.read(name) != content:
                raise CardError(words("card.differs", name=name), hint=words("card.forgets_hint"))
        names += [name for name in contents if name not in names]
    return names


def _boot_partitions(target: Path) -> list[FatPartition]:
    try:
        with target.open("rb") as disk:
            start = disk.read(TABLE_BYTES)
    except OSError as error:
        raise CardError(
            words("card.cannot_read", target=target, why=(error.strerror or "").lower()), hint=words("card.sudo_hint")
        ) from error
    found = [FatPartition(target, partition) for partition in fat_partitions(start)]
    boots = [one for one in found if any(one.has(mark) for mark in BOOT_MARKS)]
    if not boots:
        raise CardError(words("card.no_boot", target=target), hint=words("card.no_boot_hint"))
    return boots


def _plan(disk: Disk | None, image: Path | None, *, erases: Path | None) -> list[tuple[str, str]]:
    plan = []
    if disk is not None:
        said = words("card.plan_card_words", path=disk.path, model=disk.model, size=size_words(disk.size_bytes))
        plan.append((words("card.plan_card"), said))
    if image is not None:
        plan.append((words("card.plan_image"), str(image)))
    if erases is not None:
        plan.append((words("card.plan_erases"), words("card.plan_erases_words")))
    return plan


def _parts(start: Path, work: WorkOrder) -> str:
    """Return what will be written, for people: what the card or image `start` begins with decides."""
    present = {name for boot in _boot_partitions(start) for name in FIRST_BOOT_FILES if boot.has(name)}
    parts = [words("card.plan_order" if present else "card.plan_order_alone")]
    if "user-data" in present:
        parts.append(words("card.plan_host", camera=work.camera_id))
    if "network-config" in present and work.wifi is not None:
        parts.append(words("card.plan_network", ssid=work.wifi.ssid))
    return words("card.plan_writes_words", parts=", ".join(parts))


def _template(folder: Path, name: str) -> str:
    path = folder / name
    if not path.exists():
        raise UsageError(words("card.no_template", path=path), hint=words("card.no_template_hint"))
    return files.read_capped(path, max_bytes=MAX_TEMPLATE_BYTES).decode()
