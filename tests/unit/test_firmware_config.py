"""What a board boots with is checked: unknown keys, wrong values, missing words and other boards' keys are found."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config import UNENROLLED, load
from agent.core.enrolment.networks import KEYFILE_NAME
from provisioning.firmware.check import check
from provisioning.firmware.tables import read_boards, with_table
from tests.fakes.firmware_folder import FOLDER, copied, findings_after, replaced


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


def test_nothing_is_wrong_with_what_is_here() -> None:
    assert [str(finding) for finding in check(FOLDER)] == []


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("boot/pi4/config.txt", replaced("watchdog=on", "watchdgo=on"), "unknown parameter watchdgo"),
        ("boot/pi4/config.txt", replaced("dtparam=watchdog", "dtparm=watchdog"), "unknown key dtparm"),
        ("boot/pi4/config.txt", replaced("enable_uart=0", "enable_uart=2"), "expected"),
        ("boot/pi4/config.txt", replaced("enable_uart=0", "enable_uart = 0"), "without spaces"),
        ("boot/pi4/config.txt", replaced("dtoverlay=disable-bt", "dtoverlay=disable-bluetooth"), "unknown overlay"),
        ("boot/pi4/config.txt", replaced("[all]", "[al]"), "unknown filter"),
        ("boot/pi4/config.txt", lambda text: text + "\ngpu_mem=96\n", "no reason above it"),
        ("boot/pi4/config.txt", lambda text: text + "# again\ngpu_mem=76\n", "said already"),
        ("boot/pi4/config.txt", lambda text: text + "# " + "x" * 100, "the firmware reads 98"),
        ("boot/pi5/config.txt", lambda text: text + "# memory\ngpu_mem=76\n", "no effect on pi5"),
        ("boot/zero2w/cmdline.txt", replaced(" panic=10", ""), "panic is missing"),
        ("boot/zero2w/cmdline.txt", replaced(" ro ", " rw "), "unknown word rw"),
        ("boot/zero2w/cmdline.txt", lambda text: text + "quiet\n", "2 lines"),
        ("boot/pi4/autoboot.txt", replaced("boot_partition=3", "boot_partition=2"), "another partition"),
        ("boot/pi4/autoboot.txt", lambda text: "# " + "x" * 512 + "\n" + text, "512 bytes"),
        ("boot/pi4/autoboot.txt", replaced("[tryboot]", "[pi4]"), "only [all] and [tryboot]"),
        ("image/layer/lamppost.yaml", replaced("Layer-Name: lamppost", "Layer-Name: lampost"), "expected lamppost"),
        ("image/layer/lamppost.yaml", replaced("# METAEND\n", ""), "METAEND"),
        ("etc/sysctl.d/60-lamppost.conf", lambda text: re.sub(r"^#.*\n", "", text, flags=re.MULTILINE), "reasons"),
        ("boards.toml", replaced("rate_hz", "rate"), "boards.toml"),
        ("boards.toml", replaced('rate_hz = "10"', 'rate_hz = "60"'), "the table of boards"),
        ("keys.toml", replaced("why =", "reason ="), "keys.toml"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_where_it_is(folder: Path, file: str, change: Callable[[str], str], said: str) -> None:
    findings = findings_after(change, folder / file, folder)

    assert any(said in finding for finding in findings), findings


def test_a_folder_for_a_board_that_is_not_in_the_table_is_found(folder: Path) -> None:
    (folder / "boot/pi6").mkdir()

    assert "no such board" in " ".join(map(str, check(folder)))


def test_the_table_says_for_every_board_that_nothing_was_measured_until_it_was() -> None:
    boards = read_boards(FOLDER)

    table = with_table("<!-- boards -->\n<!-- /boards -->", boards)

    assert all(board.name in table and board.estimate for board in boards.values())
    assert table.count("| no |\n") == sum(not board.measured for board in boards.values())


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not here (Debian: apt install nftables)")
def test_the_firewall_is_what_nft_understands(tmp_path: Path) -> None:
    text = (FOLDER / "etc/nftables.conf").read_text(encoding="utf-8")
    # Users of the camera that this machine does not have; nft looks each of them up.
    for number, user in enumerate(("lamppost-link", "_chrony"), start=64_000):
        text = text.replace(f'"{user}"', str(number))
    (tmp_path / "rules.nft").write_text(text, encoding="utf-8")

    said = subprocess.run(
        ["nft", "--check", "--file", str(tmp_path / "rules.nft")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "Operation not permitted" in said.stderr:
        pytest.skip("nft checks against the kernel's own tables, as root only")

    assert (said.stderr, said.returncode) == ("", 0)


@pytest.mark.skipif(shutil.which("chronyd") is None, reason="chronyd is not here (Debian: apt install chrony)")
def test_the_clock_is_what_chronyd_understands() -> None:
    said = subprocess.run(
        ["chronyd", "-p", "-f", str(FOLDER / "etc/chrony/chrony.conf")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert said.returncode == 0, said.stderr


def test_what_an_image_says_to_every_camera_names_none_and_enrols_where_the_units_let_it() -> None:
    config = load(FOLDER / "etc/lamppost/lamppost.toml")
    unit = (FOLDER.parent / "systemd/system/lamppost-network.path").read_text(encoding="utf-8")
    boot = next(line for line in (FOLDER / "etc/fstab").read_text().splitlines() if line.startswith("LABEL=BOOT"))

    assert config.camera.id == UNENROLLED
    assert config.link.host is None
    assert config.link.authority.parent == config.link.folder  # where the link may write, on the data partition
    assert f"PathChanged={config.enrolment.networks}/{KEYFILE_NAME}\n" in unit
    assert config.enrolment.card.parent == Path(boot.split()[1])
    assert "gid=lamppost,umask=0027" in boot  # or the link's user could not read its order


def test_the_firewall_names_no_user_that_an_image_may_lack() -> None:
    text = (FOLDER / "etc/nftables.conf").read_text(encoding="utf-8")
    layer = (FOLDER / "image/layer/lamppost.yaml").read_text(encoding="utf-8")

    users = set(re.findall(r'"([\w-]+)"', " ".join(re.findall(r"meta skuid (\{.+?\}|\S+)", text))))

    assert users == {"root", "lamppost-link", "_chrony"}  # nft loads nothing at all for one that is not there
    assert "    - chrony\n" in layer


@pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemctl is not here (Debian: apt install systemd)")
def test_what_starts_by_itself_is_the_firewall_and_the_clock_and_no_way_in(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "etc", tmp_path / "etc")
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    wanted, refused = ("nftables", "chrony"), ("ssh", "bluetooth", "avahi-daemon")
    for name in (*wanted, *refused):
        (units / f"{name}.service").write_text(
            "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
        )

    subprocess.run(["systemctl", f"--root={tmp_path}", "preset-all"], check=True, capture_output=True, timeout=60)

    started = {path.stem for path in (tmp_path / "etc/systemd/system/multi-user.target.wants").iterdir()}
    assert started == set(wanted)


def test_what_the_card_is_bound_elsewhere_from_is_made_before() -> None:
    unit = (FOLDER / "etc/systemd/system/lamppost-card.service").read_text(encoding="utf-8")
    mounts = [
        line.split() for line in (FOLDER / "etc/fstab").read_text(encoding="utf-8").splitlines() if "bind," in line
    ]

    made = re.findall(r"^ExecStart=-?/usr/bin/install .* (\S+)$", unit, re.MULTILINE)

    assert made == [source for source, *_ in mounts]
    assert all("x-systemd.requires=lamppost-card.service" in options for _, _, _, options, *_ in mounts)
    for _, place, *_ in mounts:
        assert f"{place.strip('/').replace('/', '-')}.mount" in unit
