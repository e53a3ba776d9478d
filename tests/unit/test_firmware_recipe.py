"""The image recipe and the first boot are checked: what does not parse, and what names something that is not there."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning.firmware.check import check
from tests.fakes.firmware_folder import copied, findings_after, replaced

CARD = "image/layer/lamppost-card.d"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("image/config/lamppost-pi4.yaml", replaced("  hostname", " hostname"), "no YAML"),
        ("image/config/lamppost-pi4.yaml", lambda _: "- list\n", "expected names and values"),
        ("image/config/lamppost-pi4.yaml", replaced("layer: rpi4", "layer: rpi44"), "unknown layer rpi44"),
        ("image/config/lamppost-pi4.yaml", replaced("app: lamppost", "app: lampost"), "unknown layer lampost"),
        ("image/config/lamppost-pi4.yaml", replaced("layout: slots", "layuot: slots"), "unknown setting card.layuot"),
        ("image/layer/lamppost.yaml", replaced("Requires: lamppost-card", "Requires: lamppost-crad"), "lamppost-crad"),
        ("image/layer/lamppost.yaml", replaced("../etc/. $1", "../ect/. $1"), "../ect/. is not there"),
        ("image/layer/lamppost.yaml", replaced("0644 files/root.json", "0644 files/rot.json"), "who brings it"),
        ("image/layer/lamppost.yaml", replaced("    - chrony\n", "    - chrony: yes\n"), "mmdebstrap.packages"),
        ("image/layer/lamppost.yaml", replaced("packages:", "packages: ]"), "no YAML"),
        (f"{CARD}/filesystems.cfg", replaced("<DATA_SIZE>", "<DATASIZE>"), "no hook fills <DATASIZE>"),
        (f"{CARD}/customize.overlay/etc/systemd/system/lamppost-grow.service", replaced("grow-card", "growcard"),
         "/usr/libexec/lamppost/growcard is not in"),
        (f"{CARD}/customize.overlay/etc/systemd/system/lamppost-grow.service",
         lambda text: re.sub(r"^#.*\n", "", text, flags=re.MULTILINE), "lines of reasons"),
        ("boot/zero2w/tryboot.txt", replaced("os_prefix=next/", "os_prefx=next/"), "unknown key os_prefx"),
        ("boot/zero2w/tryboot.txt", replaced("include config.txt\n", ""), "expected include config.txt"),
        ("boot/zero2w/config.txt", lambda text: text + "# Itself\ninclude config.txt\n", "expected key=value"),
        ("boot/pi4/config.txt", replaced("cmdline=cmdline_b.txt", "cmdline=cmdline.b.txt"), "expected cmdline_b"),
        ("boot/pi4/config.txt", replaced("[boot_partition=3]", "[boot_partion=3]"), "unknown filter"),
        ("first-boot/user-data", replaced("#cloud-config", "# cloud-config"), "expected #cloud-config"),
        ("first-boot/user-data", replaced("runcmd:", "runcmd"), "no YAML"),
        ("first-boot/user-data", replaced("ssh_pwauth:", "ssh_pw_auth:"), "unknown key ssh_pw_auth"),
        ("first-boot/user-data", replaced("- [systemctl, preset-all]", "- systemctl: preset-all"), "runcmd"),
        ("first-boot/network-config", replaced("version: 2", "version: 1"), "expected version: 2"),
        ("first-boot/meta-data", replaced("instance-id", "instance"), "expected instance-id"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_where_it_is(folder: Path, file: str, change: Callable[[str], str], said: str) -> None:
    findings = findings_after(change, folder / file, folder)

    assert any(said in finding and file in finding for finding in findings), findings


def test_a_hook_that_would_never_run_is_found(folder: Path) -> None:
    hooks = folder / CARD / "hooks"
    (hooks / "preimage10-card").chmod(0o644)
    shutil.copy(hooks / "preimage10-card", hooks / "pre-image10-card")

    found = " ".join(map(str, check(folder)))

    assert "preimage10-card:0: is not executable" in found
    assert "pre-image10-card:0: begins with no phase" in found


def test_a_board_on_which_no_update_could_be_tried_is_found(folder: Path) -> None:
    (folder / "boot/zero2w/tryboot.txt").unlink()

    assert "no update could be tried" in " ".join(map(str, check(folder)))
