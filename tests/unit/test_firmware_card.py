"""An image's card is what its README says; its data partition takes what the card has; a slot that works is kept."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "firmware-config"
CARD = FOLDER / "image/layer/lamppost-card.d"
PROGRAMS = CARD / "customize.overlay/usr/libexec/lamppost"
# Debian keeps the makers of file systems where only root's PATH looks.
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
MIB = 1024 * 1024


def needs(**packages: str) -> pytest.MarkDecorator:
    """Skip without the programs named, and say which packages bring them."""
    missing = [package for program, package in packages.items() if shutil.which(program, path=PATH) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not here (Debian: apt install {' '.join(missing)})")


def run(*words: str | Path, env: Mapping[str, str] | None = None, given: str | None = None) -> str:
    return subprocess.run(
        words, env={**os.environ, "PATH": PATH, **(env or {})}, input=given,
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip


def lay_ready(tmp_path: Path, layout: str, board: str) -> Path:
    """Run the hook over a root file system with nothing in it; return where genimage finds what it wrote."""
    root, out = tmp_path / "root", tmp_path / "out"
    for folder in ("boot/firmware", "etc"):
        (root / folder).mkdir(parents=True)
    out.mkdir()
    shutil.copy(FOLDER / "etc/fstab", root / "etc")
    # What another layer left there, and ours must replace.
    (root / "boot/firmware/cmdline.txt").write_text("root=/dev/mmcblk0p2\n")
    said = {
        "SRCROOT": str(FOLDER / "image"), "IGconf_device_class": board, "IGconf_card_layout": layout,
        "IGconf_card_boot_size": "40M", "IGconf_card_system_size": "16M", "IGconf_card_data_size": "96M",
        "IGconf_image_name": "card", "IGconf_image_suffix": "img",
    }  # fmt: skip
    run(CARD / "hooks/preimage10-card", root, out, env=said)
    return out


def made(tmp_path: Path, layout: str, board: str) -> Path:
    """Return the image that genimage makes of what the hook laid ready."""
    out = lay_ready(tmp_path, layout, board)
    run(
        "genimage", "--rootpath", tmp_path / "root", "--tmppath", tmp_path / "work", "--inputpath", out,
        "--outputpath", out, "--config", out / "genimage.cfg",
    )  # fmt: skip
    return out / "card.img"


def partitions(image: Path) -> list[dict[str, str]]:
    """Return name (GPT has one), label and file system of each partition, in order."""
    table = json.loads(run("sfdisk", "--json", image))["partitiontable"]["partitions"]
    return [
        {"NAME": each.get("name", "")}
        | dict(
            line.split("=", 1)
            for line in run(
                "blkid", "--probe", "--output", "export", "--offset", str(each["start"] * 512),
                "--size", str(each["size"] * 512), image,
            ).splitlines()
            if line.startswith(("LABEL=", "TYPE=", "BLOCK_SIZE="))
        )
        for each in table
    ]  # fmt: skip


@needs(genimage="genimage", sfdisk="fdisk", blkid="util-linux", mcopy="mtools", mkdosfs="dosfstools")
def test_a_card_with_slots_has_two_of_everything_but_the_data(tmp_path: Path) -> None:
    image = made(tmp_path, "slots", "cm4")

    found = partitions(image)

    assert [(each["NAME"], each["LABEL"], each["TYPE"]) for each in found] == [
        ("config", "BOOT", "vfat"),
        ("boot_a", "SLOT", "vfat"),
        ("boot_b", "SLOT", "vfat"),
        ("system_a", "SYSTEM", "ext4"),
        ("system_b", "SYSTEM", "ext4"),
        ("lamppost-data", "lamppost-data", "ext4"),
    ]
    assert found[-1]["BLOCK_SIZE"] == "1024"
    slot, selector = (str(image.parent / name) for name in ("boot.vfat", "config.vfat"))
    assert run("mtype", "-i", slot, "::cmdline.txt") == (FOLDER / "boot/pi4/cmdline.txt").read_text()
    assert "root=PARTLABEL=system_b " in run("mtype", "-i", slot, "::cmdline_b.txt")
    assert run("mtype", "-i", selector, "::autoboot.txt") == (FOLDER / "boot/pi4/autoboot.txt").read_text()


@needs(genimage="genimage", sfdisk="fdisk", blkid="util-linux", mcopy="mtools", mkdosfs="dosfstools")
def test_a_card_without_slots_has_a_data_partition_all_the_same(tmp_path: Path) -> None:
    image = made(tmp_path, "single", "zero2w")

    assert [(each["LABEL"], each["TYPE"]) for each in partitions(image)] == [
        ("BOOT", "vfat"),
        ("lamppost-root", "ext4"),
        ("lamppost-data", "ext4"),
    ]
    assert "os_prefix=next/" in run("mtype", "-i", str(image.parent / "boot.vfat"), "::tryboot.txt")


def test_an_image_whose_fstab_is_not_ours_is_not_made(tmp_path: Path) -> None:
    out = lay_ready(tmp_path, "slots", "pi5")
    (out / "genimage.cfg").unlink()
    (tmp_path / "root/etc/fstab").write_text("LABEL=ROOT / ext4 rw 0 1\n")

    said = subprocess.run(
        [CARD / "hooks/preimage10-card", tmp_path / "root", out],
        env={**os.environ, "SRCROOT": str(FOLDER / "image"), "IGconf_device_class": "pi5"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert said.returncode == 1
    assert "another fstab" in said.stderr
    assert not (out / "genimage.cfg").exists()


def card(tmp_path: Path, *, label: str, behind_mib: int) -> tuple[Path, dict[str, str]]:
    """Return a card of three partitions with so much space behind, and the environment that says it is there."""
    devices, blocks = tmp_path / "dev", tmp_path / "block"
    image = devices / "mmcblk0"
    (devices / "disk/by-label").mkdir(parents=True)
    image.touch()
    os.truncate(image, 32 * MIB)
    run("sfdisk", "--quiet", image, given=f"label: {label}\n,8M\n,8M\n,\n")
    last = json.loads(run("sfdisk", "--json", image))["partitiontable"]["partitions"][-1]
    os.truncate(image, (32 + behind_mib) * MIB)
    partition = "mmcblk0p3"
    (devices / partition).touch()
    (devices / "disk/by-label/lamppost-data").symlink_to(devices / partition)
    folder = blocks / "mmcblk0" / partition
    folder.mkdir(parents=True)
    for name in ("start", "size"):
        (folder / name).write_text(f"{last[name]}\n")
    (folder / "partition").write_text("3\n")
    (blocks / "mmcblk0/size").write_text(f"{image.stat().st_size // 512}\n")
    (blocks / partition).symlink_to(folder)
    return image, {
        "LAMPPOST_DEVICES": str(devices),
        "LAMPPOST_BLOCKS": str(blocks),
        "PATH": f"{program(tmp_path, 'partx', 'exit 0')}:{PATH}",
    }


def program(tmp_path: Path, name: str, does: str) -> Path:
    """Put a program of that name before the real one; return its folder."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/called\n{does}\n')
    (folder / name).chmod(0o755)
    return folder


@needs(sfdisk="fdisk")
@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_the_last_partition_is_stretched_to_the_end_of_a_larger_card(tmp_path: Path, label: str) -> None:
    image, said = card(tmp_path, label=label, behind_mib=100)
    before = json.loads(run("sfdisk", "--json", image))["partitiontable"]["partitions"]

    run(PROGRAMS / "grow-card", env=said)

    *others, last = json.loads(run("sfdisk", "--json", image))["partitiontable"]["partitions"]
    assert others == before[:-1]
    assert last["start"] == before[-1]["start"]
    assert 0 <= image.stat().st_size // 512 - last["start"] - last["size"] <= 2048  # GPT's second table, and rounding
    assert f"partx --update --nr 3 {image}\n" in (tmp_path / "called").read_text()


@needs(sfdisk="fdisk")
def test_a_card_that_is_stretched_is_not_written_again(tmp_path: Path) -> None:
    image, said = card(tmp_path, label="gpt", behind_mib=50)
    before = image.read_bytes()

    run(PROGRAMS / "grow-card", env=said)

    assert image.read_bytes() == before
    assert not (tmp_path / "called").exists()


def test_a_machine_is_its_board(tmp_path: Path) -> None:
    script = CARD / "device/initramfs-tools/scripts/init-bottom/lamppost-machine"
    (tmp_path / "etc").mkdir()
    machine = tmp_path / "etc/machine-id"
    ids = []

    for serial in ("10000000a1b2c3d4\0", "10000000a1b2c3d5\0", "10000000a1b2c3d4\0", ""):
        (tmp_path / "serial").write_text(serial)
        machine.write_text("")
        run(script, env={"rootmnt": str(tmp_path), "LAMPPOST_SERIAL": str(tmp_path / "serial")})
        ids.append(machine.read_text())

    assert re.fullmatch(r"[0-9a-f]{32}\n", ids[0])  # machine-id(5)
    assert ids[0] == ids[2] != ids[1]
    assert ids[3] == ""  # systemd then takes one for this start


def trial(
    tmp_path: Path, *, tryboot: int = 1, partition: int = 3, state: str = "recording", link: str = "connected"
) -> dict[str, str]:
    """Return the environment of a slot's first start, as firmware, recorder and systemd tell it; no time passes.

    Three looks in a row are enough, of eight. `link` has a word for each look, the last one for all that follow.
    """
    bootloader, boot = tmp_path / "bootloader", tmp_path / "boot"
    bootloader.mkdir()
    boot.mkdir()
    (bootloader / "tryboot").write_bytes(tryboot.to_bytes(4, "big"))
    (bootloader / "partition").write_bytes(partition.to_bytes(4, "big"))
    shutil.copy(FOLDER / "boot/pi4/autoboot.txt", boot)
    (tmp_path / "status.json").write_text(f'{{\n  "state": "{state}"\n}}\n')
    program(tmp_path, "sleep", f"touch {tmp_path}/status.json")
    program(tmp_path, "mount", "exit 0")
    (tmp_path / "link").write_text("\n".join(link.split()) + "\n")
    says = f"""[ "$1" = reboot ] && exit
head --lines=1 {tmp_path}/link
[ "$(wc --lines <{tmp_path}/link)" = 1 ] || sed --in-place 1d {tmp_path}/link"""
    folder = program(tmp_path, "systemctl", says)
    return {
        "LAMPPOST_BOOTLOADER": str(bootloader),
        "LAMPPOST_BOOT": str(boot),
        "LAMPPOST_STATUS": str(tmp_path / "status.json"),
        "LAMPPOST_ENOUGH": "3",
        "LAMPPOST_PATIENCE": "8",
        "PATH": f"{folder}:{PATH}",
    }


def calls(tmp_path: Path, name: str) -> list[str]:
    path = tmp_path / "called"
    return [line for line in path.read_text().splitlines() if line.startswith(name)] if path.exists() else []


@pytest.mark.parametrize(
    ("state", "link", "looks"),
    [
        ("recording", "connected", 3),
        ("dark", "connected", 3),
        ("recording", "connecting connected connected connecting connected", 7),
    ],
)
def test_a_slot_that_works_without_a_gap_is_the_usual_one_from_then_on(
    tmp_path: Path, state: str, link: str, looks: int
) -> None:
    said = trial(tmp_path, state=state, link=link)
    autoboot = tmp_path / "boot/autoboot.txt"
    before = autoboot.read_text()

    run(PROGRAMS / "keep-slot", env=said)

    settings = [line for line in autoboot.read_text().splitlines() if not line.startswith("#")]
    assert settings == ["[all]", "tryboot_a_b=1", "boot_partition=3", "[tryboot]", "boot_partition=2"]
    assert len(autoboot.read_text()) == len(before)  # written over itself, in one sector
    assert calls(tmp_path, "sleep") == ["sleep 10"] * looks
    assert [line.split()[2] for line in calls(tmp_path, "mount")] == ["remount,rw", "remount,ro"]
    assert "systemctl reboot" not in calls(tmp_path, "systemctl")


@pytest.mark.parametrize(
    ("state", "link"),
    [
        ("failed", "connected"),
        ("recording", "connecting"),
        ("recording", "connected connecting connected connecting connected connecting"),
    ],
)
def test_a_slot_that_does_not_work_in_time_goes_back(tmp_path: Path, state: str, link: str) -> None:
    said = trial(tmp_path, state=state, link=link)
    before = (tmp_path / "boot/autoboot.txt").read_bytes()

    run(PROGRAMS / "keep-slot", env=said)

    assert calls(tmp_path, "sleep") == ["sleep 10"] * 8
    assert calls(tmp_path, "systemctl")[-1] == "systemctl reboot"
    assert calls(tmp_path, "mount") == []
    assert (tmp_path / "boot/autoboot.txt").read_bytes() == before


@pytest.mark.parametrize(("tryboot", "partition"), [(0, 2), (0, 3), (1, 2)])
def test_a_usual_start_decides_nothing(tmp_path: Path, tryboot: int, partition: int) -> None:
    said = trial(tmp_path, tryboot=tryboot, partition=partition)
    before = (tmp_path / "boot/autoboot.txt").read_bytes()

    run(PROGRAMS / "keep-slot", env=said)

    assert not (tmp_path / "called").exists()
    assert (tmp_path / "boot/autoboot.txt").read_bytes() == before
