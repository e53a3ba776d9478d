"""The city's own log only grows, and shows what it holds."""

from datetime import timedelta
from pathlib import Path

import pytest

from agent.core.log.merkle import leaf_hash, verify_inclusion
from agent.errors import LogDamagedError, StorageError
from provisioning.evidence.city_log import CityLog
from tests.fakes.documents import NOON


def test_every_entry_is_shown_to_be_in_the_log(tmp_path: Path) -> None:
    log = CityLog(tmp_path / "log")

    entries = [log.append("evidence-export-begun", NOON + timedelta(seconds=n), case=f"c-{n}") for n in range(7)]

    assert [entry.index for entry in entries] == list(range(7))
    for entry in entries:
        verify_inclusion(
            index=entry.index, size=entry.size, leaf=leaf_hash(entry.leaf), proof=entry.proof, root=entry.root
        )


def test_what_a_power_cut_tore_is_cut_off(tmp_path: Path) -> None:
    log = CityLog(tmp_path)
    log.append("one", NOON)
    with (tmp_path / "entries.jsonl").open("ab") as file:
        file.write(b'{"at":"2026-11-28T12:00:00.0000')

    entry = log.append("two", NOON)

    assert entry.index == 1
    assert [event.kind for event in log.read()] == ["one", "two"]


@pytest.mark.parametrize(
    ("found", "put"), [(b'"kind":"one"', b'"kind" :"one"'), (b'"n":1', b'"n":7'), (b'"v":1', b'"v":2')]
)
def test_a_log_that_was_changed_takes_no_entry(found: bytes, put: bytes, tmp_path: Path) -> None:
    log = CityLog(tmp_path)
    log.append("one", NOON)
    log.append("two", NOON)
    path = tmp_path / "entries.jsonl"
    path.write_bytes(path.read_bytes().replace(found, put))
    changed = path.read_bytes()

    with pytest.raises(LogDamagedError):
        log.append("three", NOON)

    assert path.read_bytes() == changed


def test_an_entry_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "entries.jsonl").mkdir()

    with pytest.raises(StorageError):
        CityLog(tmp_path).append("one", NOON)


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    CityLog(tmp_path / "log").append("one", NOON)

    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "log/entries.jsonl").stat().st_mode & 0o777 == 0o600
