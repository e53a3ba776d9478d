"""The units are what systemd understands, as closed as they promise, and end in a report instead of a loop."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import load
from agent.core.enrolment.signs import PATTERNS
from agent.errors import ConfigurationError, StorageError, UsageError

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = ROOT / "systemd"
UNITS = sorted((SYSTEMD / "system").iterdir())
BOARDS = sorted((SYSTEMD / "boards").glob("*/*.conf"))
HALVES = ["lamppost-recorder", "lamppost-link"]
MOST_EXPOSED = "12"  # tenths: systemd-analyze counts exposure from 0.0 to 10.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here (Debian: apt install systemd)"
)


def settings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield every setting of a unit file, in order."""
    for line in path.read_text(encoding="utf-8").splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            yield key, value


def values(unit: str, key: str) -> list[str]:
    """Return the values a unit gives to `key`."""
    return [value for name, value in settings(SYSTEMD / "system" / unit) if name == key]


def installed(folder: Path) -> Path:
    """Return a folder with the units as installed, their programs replaced by one that is there."""
    for path in UNITS:
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


@needs_systemd
@pytest.mark.parametrize("board", ["", "zero2w", "pi4", "pi5"])
def test_systemd_has_nothing_to_say_about_the_units_on_any_board(tmp_path: Path, board: str) -> None:
    folder = installed(tmp_path)
    for path in BOARDS:
        if path.parent.name == board:
            (folder / f"{path.stem}.service.d").mkdir()
            shutil.copy(path, folder / f"{path.stem}.service.d" / "50-board.conf")

    names = [path.name.replace("@.", "@lamppost-link.") for path in UNITS]
    # The folder first, then the machine's own: targets and mounts that are named must be there.
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(folder / name) for name in names)],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (said.stdout + said.stderr, said.returncode) == ("", 0)  # it exits 0 on keys it does not know


@needs_systemd
@pytest.mark.parametrize("unit", HALVES)
def test_a_half_is_exposed_no_more_than_promised(unit: str) -> None:
    said = subprocess.run(
        [
            "systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager",
            str(SYSTEMD / "system" / f"{unit}.service"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )  # fmt: skip

    assert said.returncode == 0, said.stdout[-400:] + said.stderr


@pytest.mark.parametrize(
    "path", [*UNITS, *BOARDS, SYSTEMD / "journald.conf"], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_every_line_has_its_reason(path: Path) -> None:
    explained = set(settings(SYSTEMD / "system/lamppost-recorder.service"))
    said_of_itself = {"Description", "Documentation"}
    reasoned = False
    bare = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            reasoned = True
        elif not line or line.startswith("["):
            reasoned = False
        else:
            key, _, value = line.partition("=")
            elsewhere = path.name != "lamppost-recorder.service" and (key, value) in explained
            if not (reasoned or elsewhere or key in said_of_itself):
                bare.append(line)

    usual = {"WantedBy=lamppost.target", "WantedBy=multi-user.target", "Type=oneshot", "PartOf=lamppost.target"}
    assert set(bare) - usual == set()


@pytest.mark.parametrize("unit", HALVES)
def test_what_another_start_cannot_mend_is_not_started_again(unit: str) -> None:
    (prevented,) = values(f"{unit}.service", "RestartPreventExitStatus")

    assert {int(word) for word in prevented.split()} == {ConfigurationError.exit_status, UsageError.exit_status}
    assert values(f"{unit}.service", "Restart") == ["always"]
    assert str(StorageError.exit_status) not in prevented.split()  # a card may come back


@pytest.mark.parametrize("unit", HALVES)
def test_giving_up_is_reported_and_no_unit_ever_reboots_the_machine(unit: str) -> None:
    assert values(f"{unit}.service", "OnFailure") == ["lamppost-failed@%N.service"]
    assert int(values(f"{unit}.service", "StartLimitBurst")[0]) > 1
    for path in [*UNITS, *BOARDS]:
        for key, value in settings(path):
            assert not key.endswith("Action"), path
            assert "reboot" not in value, path


def test_the_target_starts_what_asks_for_it_and_what_was_disabled_stays_so() -> None:
    asks = {path.name for path in UNITS if values(path.name, "WantedBy") == ["lamppost.target"]}

    assert not {key for key, _ in settings(SYSTEMD / "system/lamppost.target")} & {"Wants", "Requires"}
    for script in ("postinst", "postrm"):
        named = (ROOT / "debian/scripts" / script).read_text(encoding="utf-8")
        assert {unit for unit in asks if unit not in named} == set()


def test_an_hour_later_the_start_limit_is_over() -> None:
    (interval_s,) = {values(f"{unit}.service", "StartLimitIntervalSec")[0] for unit in HALVES}

    assert values("lamppost-again.timer", "OnUnitActiveSec") == ["1h"]
    assert int(interval_s) < 3600


def test_whatever_can_give_up_is_tried_again() -> None:
    gives_up = {path.name for path in UNITS if values(path.name, "OnFailure")}

    (command,) = values("lamppost-again.service", "ExecStart")

    assert gives_up == set(command.partition(" start ")[2].split())


def test_the_folders_of_units_tmpfiles_and_configuration_are_the_same() -> None:
    config = load(ROOT / "lamppost.toml")
    written = " ".join(values("lamppost-recorder.service", "ReadWritePaths")).split()
    made = {
        line.split()[1] for line in (SYSTEMD / "lamppost.tmpfiles").read_text().splitlines() if line.startswith("d ")
    }
    shared = {config.storage.footage, config.state.folder, config.policy.inbox, config.policy.outbox}
    asked = config.commissioning.folder

    assert {Path(word) for word in written} == {*shared, asked}
    assert f"-{asked}" in values("lamppost-link.service", "InaccessiblePaths")
    assert str(asked) in made
    assert {str(folder) for folder in (*shared, config.link.folder, config.state.folder / "keys")} <= made
    assert values("lamppost-link.service", "ReadWritePaths") == [f"{config.link.folder} {config.policy.inbox}"]
    assert values("lamppost-link.service", "ConditionPathExists") == [str(config.link.credential)]
    assert values("lamppost-recorder.service", "RuntimeDirectory") == [config.state.runtime.name]


def test_the_recorder_has_no_network_and_the_link_has_no_device() -> None:
    recorder, link = (dict(settings(SYSTEMD / "system" / f"{unit}.service")) for unit in HALVES)

    assert (recorder["PrivateNetwork"], recorder["RestrictAddressFamilies"]) == ("yes", "AF_UNIX")
    assert link["PrivateDevices"] == "yes"
    assert "DeviceAllow" not in link
    assert "SupplementaryGroups" not in link
    assert recorder["User"] != link["User"]


@pytest.mark.parametrize(
    ("status", "mark", "trigger"),
    [
        ("recording", False, "default-on"),
        ("dark", False, "timer 100 2900"),
        ("failed", True, "timer 500 500"),  # it runs again: what it says now counts
        (None, True, "timer 100 100"),
        (None, False, "heartbeat"),
    ],
)
def test_the_led_says_what_the_recorder_says(tmp_path: Path, status: str | None, mark: bool, trigger: str) -> None:
    led = tmp_path / "leds" / "lamppost"
    led.mkdir(parents=True)
    for name in ("trigger", "delay_on", "delay_off"):
        (led / name).touch()
    if status is not None:
        (tmp_path / "status.json").write_text(
            f'{{\n  "camera": {{\n    "state": "lost"\n  }},\n  "state": "{status}"\n}}\n'
        )
    if mark:
        (tmp_path / "lamppost-recorder").touch()

    subprocess.run(
        [SYSTEMD / "libexec/led"],
        env={
            "PATH": os.environ["PATH"],
            "LAMPPOST_ONCE": "yes",
            "LAMPPOST_LEDS": str(tmp_path / "leds"),
            "LAMPPOST_STATUS": str(tmp_path / "status.json"),
            "LAMPPOST_FAILED": str(tmp_path),
        },
        check=True,
        timeout=60,
    )

    shown = [(led / name).read_text().strip() for name in ("trigger", "delay_on", "delay_off")]
    assert " ".join(shown).strip() == trigger


def test_nobody_takes_what_the_lamp_says_of_enrolment_for_what_it_says_of_the_recorder() -> None:
    timers = re.findall(r"show timer (\d+) \d+", (SYSTEMD / "libexec/led").read_text())
    alone = [pattern.flashes[0][0] for pattern in PATTERNS.values() if len(pattern.flashes) == 1]

    assert len(timers) == 3
    assert 2 * max(map(int, timers)) <= min(alone)  # milliseconds: short ones are the recorder's, long ones enrolment's


@pytest.mark.parametrize(
    ("model", "board"),
    [
        ("Raspberry Pi Zero 2 W Rev 1.0\0", "zero2w"),
        ("Raspberry Pi 4 Model B Rev 1.5\0", "pi4"),
        ("Raspberry Pi 5 Model B Rev 1.0\0", "pi5"),
        ("Raspberry Pi Zero W Rev 1.1\0", None),
        ("A board that nobody knows\0", None),
        (None, None),
    ],
)
def test_a_board_gets_its_own_limits_and_an_unknown_one_the_usual(
    tmp_path: Path, model: str | None, board: str | None
) -> None:
    told = tmp_path / "model"
    if model is not None:
        told.write_text(model)
    folder = tmp_path / "normal"

    subprocess.run(
        [SYSTEMD / "libexec/board-generator", folder, tmp_path / "early", tmp_path / "late"],
        env={"PATH": os.environ["PATH"], "LAMPPOST_MODEL": str(told), "LAMPPOST_BOARDS": str(SYSTEMD / "boards")},
        check=True,
        timeout=60,
    )

    placed = sorted(folder.glob("*/50-board.conf"))
    assert {path.resolve().parent.name for path in placed} == ({board} if board else set())
    assert [path.resolve() for path in placed] == [path for path in BOARDS if path.parent.name == board]
