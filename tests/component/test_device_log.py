"""A log that is not what was signed is set aside with its key, and never signed for again."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.adapters.keyring import CREDENTIAL, open_keyring
from agent.adapters.log_files import read_events
from agent.core.log.checkpoint import open_checkpoint
from agent.errors import LogDamagedError, StorageError
from agent.recorder import device_log
from agent.recorder.device_log import open_device_log

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ASIDE = "20261128T120000.000000Z"


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def record(state: Path, count: int) -> str:
    with open_device_log(state, "pole-7", now=NOON) as log:
        for _ in range(count):
            log.append("boot", NOON)
        log.publish()
        return log.key.name


def put_back_an_earlier_card(state: Path) -> None:
    (entries,) = (state / "log").glob("events-*")
    entries.write_bytes(entries.read_bytes().splitlines(keepends=True)[0])


def test_a_log_goes_on_under_its_key(tmp_path: Path) -> None:
    assert record(tmp_path, 3) == record(tmp_path, 3)

    assert [event.kind for event in read_events(tmp_path / "log")] == ["boot"] * 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys", "log"]


def test_a_log_that_was_put_back_is_set_aside_and_another_begins_that_says_so(tmp_path: Path) -> None:
    first = record(tmp_path, 3)
    put_back_an_earlier_card(tmp_path)
    old_key = (tmp_path / "keys" / "log.pem").read_bytes()

    second = record(tmp_path, 1)

    assert first != second
    told = list(read_events(tmp_path / "log"))
    assert [event.kind for event in told] == ["log-set-aside", "boot"]
    assert "has 1 entries, and 3 were signed for" in str(told[0].facts["reason"])
    assert [event.kind for event in read_events(tmp_path / f"log.{ASIDE}")] == ["boot"]
    assert (tmp_path / "keys" / f"log.pem.{ASIDE}").read_bytes() == old_key


def test_a_log_whose_key_is_lost_is_set_aside(tmp_path: Path) -> None:
    first = record(tmp_path, 3)
    (tmp_path / "keys" / "log.pem").unlink()

    assert record(tmp_path, 1) != first
    assert (tmp_path / f"log.{ASIDE}" / "checkpoint").exists()


def test_a_power_cut_between_the_two_renamings_leads_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = record(tmp_path, 3)
    put_back_an_earlier_card(tmp_path)
    calls = []

    def cut(folder: Path) -> None:
        calls.append(folder)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(device_log, "sync_directory", cut)
    with pytest.raises(StorageError, match="set aside"):
        open_device_log(tmp_path, "pole-7", now=NOON)
    monkeypatch.undo()
    assert (tmp_path / "log").exists()  # the key went first

    with open_device_log(tmp_path, "pole-7", now=NOON.replace(hour=13)) as log:
        log.publish()

        assert log.key.name != first
        assert open_checkpoint((tmp_path / "log" / "checkpoint").read_bytes(), log.key).size == 1
    assert calls == [tmp_path / "keys"]


def test_a_key_that_is_a_credential_never_signs_a_second_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_keyring(tmp_path / "credentials" / CREDENTIAL)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    state = tmp_path / "state"
    record(state, 3)
    put_back_an_earlier_card(state)
    open_keyring(state / "keys" / "log.pem")  # from before there was a credential
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}

    with pytest.raises(LogDamagedError, match="3 were signed for"):
        open_device_log(state, "pole-7", now=NOON)

    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_a_camera_that_keeps_its_key_elsewhere_from_now_on_begins_another_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "rpi-otp-private-key"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {'5a' * 32}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    state = tmp_path / "state"
    record(state, 3)
    in_a_file = (state / "keys" / "log.pem").read_bytes()

    with open_device_log(state, "pole-7", kept_in="otp", now=NOON) as log:
        assert (log.key_kind, log.size) == ("otp", 1)
        first = log.key.name
    with open_device_log(state, "pole-7", kept_in="otp", now=NOON) as log:
        assert log.key.name == first

    assert (state / "keys" / "log.pem").read_bytes() == in_a_file  # what it signed stays what it was


def test_a_log_that_cannot_be_set_aside_keeps_its_key_however_often_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, 3)
    put_back_an_earlier_card(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    key = (tmp_path / "keys" / "log.pem").read_bytes()
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path == tmp_path / "log":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    for _ in range(3):
        with pytest.raises(StorageError, match="cannot set aside"):
            open_device_log(tmp_path, "pole-7", now=NOON)

    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "keys" / "log.pem").read_bytes() == key
