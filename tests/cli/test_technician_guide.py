"""The six commands of the technician's guide, copied from the page, lead from nothing to a reported recording."""

import os
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer

from agent.errors import (
    AimingRefusedError,
    CardError,
    ClaimFormatError,
    CommissioningFormatError,
    EnrolmentError,
    EnrolmentUnreachableError,
    KeyFileError,
    LamppostError,
    MessageFormatError,
    StoppedError,
    StorageError,
    TransportError,
    UsageError,
    WrongDiskError,
)
from provisioning.__main__ import COMMANDS, _application
from provisioning.enrolment.steps import CarryError
from provisioning.words import section

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "provisioning" / "TECHNICIAN.md"
PATIENCE_S = 120


def commands() -> list[list[str]]:
    match = re.search(r"<!-- guide -->\n```\n(.*?)```\n<!-- /guide -->", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return [shlex.split(line) for line in match[1].splitlines()]


def program(words: list[str]) -> list[str]:
    assert words[0] == "lamppost"
    return [sys.executable, "-m", "provisioning", *words[1:]]


@contextmanager
def practising(words: list[str], place: Path) -> Iterator[None]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = place / "said"
    with said.open("wb") as log:
        process = subprocess.Popen(program(words), cwd=place, stderr=log, env=environment)
        try:
            pause, waited = threading.Event(), 0.0
            while b"ready" not in said.read_bytes():
                assert process.poll() is None, said.read_text(encoding="utf-8")
                assert waited < PATIENCE_S
                pause.wait(0.1)
                waited += 0.1
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    assert "ended: city, broker, backend" in said.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_six_commands_lead_from_nothing_to_a_recording(tmp_path: Path) -> None:
    first, *others = commands()
    assert len(others) == 5
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}

    def run(words: list[str]) -> str:
        done = subprocess.run(
            program(words), cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    with practising(first, tmp_path):
        said = [run(words) for words in others]
        for _ in range(PATIENCE_S):
            if not re.search(r"^0 segments", said[4], re.MULTILINE):
                break
            said[4] = run(others[4])  # a busy machine may not have written its first second yet: look again

    assert "market-street-1 is provisioned" in said[2]
    assert "1 online" in said[3]
    assert re.search(r"market-street-1 +masked", said[4])
    assert not list(tmp_path.rglob("*.pid")) or not _left_running(tmp_path)


def _left_running(place: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if str(place) in words:
            found.append(words)
    return found


def test_every_command_that_the_guide_names_exists() -> None:
    named = re.findall(r"`lamppost ([a-z][a-z-]+)", GUIDE.read_text(encoding="utf-8"))

    assert len(set(named)) >= 9
    assert set(named) <= COMMANDS.keys()


@pytest.mark.parametrize(
    "error",
    [UsageError, MessageFormatError, ClaimFormatError, CommissioningFormatError, TransportError, CardError,
     EnrolmentUnreachableError, StorageError, CarryError, EnrolmentError, AimingRefusedError, WrongDiskError,
     KeyFileError, StoppedError, LamppostError],
)  # fmt: skip
def test_every_exit_status_is_in_the_guide(error: type[LamppostError]) -> None:
    assert f"\n| {error.exit_status} | " in GUIDE.read_text(encoding="utf-8")


def test_the_guide_says_of_the_lamp_what_the_work_order_says() -> None:
    page = GUIDE.read_text(encoding="utf-8")

    for said in section("lamp").values():
        rhythm = said.partition(":")[0]
        assert rhythm in page or rhythm.split(",")[0] in page, said


PRINTED = [
    line
    for table in tomllib.loads((ROOT / "provisioning/words/en.toml").read_text(encoding="utf-8")).values()
    for said in table.values()
    if isinstance(said, str)
    for line in said.splitlines()[1:]  # what to do, and below it the command that does it
    if line.startswith("lamppost ")
]


@pytest.mark.parametrize("printed", sorted(set(PRINTED)))
def test_a_command_that_is_printed_to_be_copied_has_every_option_that_it_needs(printed: str) -> None:
    _, name, *words = printed.split()
    command = typer.main.get_command(_application(name)).commands[name]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command = getattr(command, "commands", {}).get("open", command)  # `lamppost commission cam-07` opens

    needed = [one for one in command.params if one.required and one.param_type_name == "option"]

    assert [one.name for one in needed if not {*one.opts} & {*words}] == []


def test_commands_are_printed_to_be_copied() -> None:
    assert len(PRINTED) >= 10
