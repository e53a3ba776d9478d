"""An event that was appended is in the log after any crash, once, in order, and the log stays bounded."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from agent.adapters.log_files import MAX_LINE_BYTES, Event, LogFiles, read_events
from agent.errors import StorageError, StorageFullError
from tests.fakes.failing_disk import FailingDisk

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def kinds(folder: Path, *, start: int = 0) -> list[str]:
    return [event.kind for event in read_events(folder, start=start)]


def test_events_are_read_as_they_were_appended(tmp_path: Path) -> None:
    with LogFiles(tmp_path) as log:
        log.append("boot", NOON)
        log.append("policy-refused", NOON, reason="rolled back: 3 < 4", version=3, roles=["grants", "waivers"])

    assert list(read_events(tmp_path)) == [
        Event(number=0, at=NOON, kind="boot", facts={}),
        Event(
            number=1,
            at=NOON,
            kind="policy-refused",
            facts={"reason": "rolled back: 3 < 4", "version": 3, "roles": ["grants", "waivers"]},
        ),
    ]


def test_a_line_says_utc_whatever_zone_it_was_given_in(tmp_path: Path) -> None:
    with LogFiles(tmp_path) as log:
        log.append("boot", NOON.astimezone(timezone(timedelta(hours=-6))))

    assert (tmp_path / "events-000000000000.jsonl").read_bytes() == (
        b'{"at":"2026-11-28T12:00:00.000000Z","kind":"boot","n":0,"v":1}\n'
    )


def test_numbers_go_on_after_a_restart_and_a_reader_starts_where_it_left_off(tmp_path: Path) -> None:
    for kind in ("boot", "camera-lost", "boot"):
        with LogFiles(tmp_path) as log:
            log.append(kind, NOON)

    assert [event.number for event in read_events(tmp_path)] == [0, 1, 2]
    assert kinds(tmp_path, start=1) == ["camera-lost", "boot"]


@pytest.mark.parametrize("torn", [b"{", b'{"at":"2026-11-28T12:00:00.000000Z","kind":"boot","n":1,"v":1}', b"\0\0\0"])
def test_a_torn_last_line_is_left_out_and_cut_off_at_the_next_start(tmp_path: Path, torn: bytes) -> None:
    with LogFiles(tmp_path) as log:
        log.append("boot", NOON)
    with (tmp_path / "events-000000000000.jsonl").open("ab") as file:
        file.write(torn)
    assert kinds(tmp_path) == ["boot"]

    with LogFiles(tmp_path) as log:
        repaired_bytes = log.repaired_bytes
        log.append("power-cut", NOON)

    assert repaired_bytes == len(torn)
    assert kinds(tmp_path) == ["boot", "power-cut"]


def test_a_last_line_of_which_only_the_end_reached_the_disk_is_cut_off_at_the_next_start(tmp_path: Path) -> None:
    with LogFiles(tmp_path) as log:
        log.append("boot", NOON)
    with (tmp_path / "events-000000000000.jsonl").open("ab") as file:
        file.write(b'\0\0\0\0,"v":1}\n')

    with LogFiles(tmp_path) as log:
        repaired_bytes = log.repaired_bytes

    assert repaired_bytes == 12
    assert kinds(tmp_path) == ["boot"]


def test_the_log_stays_within_its_files_and_keeps_the_newest(tmp_path: Path) -> None:
    with LogFiles(tmp_path, max_file_bytes=MAX_LINE_BYTES, keep_files=2) as log:
        for number in range(10):
            log.append("clock-step", NOON, number=number, padding="x" * (MAX_LINE_BYTES // 2))
            log.trim(number)

    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["events-000000000008.jsonl", "events-000000000009.jsonl"]
    assert [event.facts["number"] for event in read_events(tmp_path)] == [8, 9]
    assert all(path.stat().st_size <= MAX_LINE_BYTES for path in files)


def test_what_is_still_needed_is_not_dropped(tmp_path: Path) -> None:
    with LogFiles(tmp_path, max_file_bytes=MAX_LINE_BYTES, keep_files=1) as log:
        for number in range(5):
            log.append("clock-step", NOON, number=number, padding="x" * (MAX_LINE_BYTES // 2))
        log.trim(2)

        assert [event.facts["number"] for event in read_events(tmp_path)] == [2, 3, 4]


def test_a_full_disk_leaves_the_log_as_it_was_and_later_events_fit(tmp_path: Path) -> None:
    disk = FailingDisk()
    with LogFiles(tmp_path, disk=disk) as log:
        log.append("boot", NOON)
        before = (tmp_path / "events-000000000000.jsonl").read_bytes()

        disk.fail(28, "write")
        with pytest.raises(StorageFullError):
            log.append("removal", NOON)
        disk.heal()
        assert (tmp_path / "events-000000000000.jsonl").read_bytes() == before
        log.append("storage-recovered", NOON)

    assert [(event.number, event.kind) for event in read_events(tmp_path)] == [(0, "boot"), (1, "storage-recovered")]


def test_a_file_that_cannot_be_dropped_is_told_and_stays(tmp_path: Path) -> None:
    disk = FailingDisk()
    with LogFiles(tmp_path, max_file_bytes=MAX_LINE_BYTES, keep_files=1, disk=disk) as log:
        for _ in range(2):
            log.append("boot", NOON, padding="x" * (MAX_LINE_BYTES // 2))
        disk.fail(30, "remove")

        with pytest.raises(StorageError, match="read-only"):
            log.trim(1)

    assert kinds(tmp_path) == ["boot", "boot"]


def test_nothing_is_written_to_a_file_whose_name_could_be_lost(tmp_path: Path) -> None:
    disk = FailingDisk()
    with LogFiles(tmp_path, disk=disk) as log:
        disk.fail(5, "sync_directory")
        for _ in range(2):
            with pytest.raises(StorageError, match="input/output"):
                log.append("boot", NOON)
        assert kinds(tmp_path) == []

        disk.heal()
        log.append("boot", NOON)

    assert kinds(tmp_path) == ["boot"]


def test_a_missing_file_in_the_middle_is_told_and_not_skipped(tmp_path: Path) -> None:
    with LogFiles(tmp_path, max_file_bytes=MAX_LINE_BYTES) as log:
        for _ in range(3):
            log.append("boot", NOON, padding="x" * (MAX_LINE_BYTES // 2))
    (tmp_path / "events-000000000001.jsonl").unlink()

    with pytest.raises(StorageError, match="ends before event 1"):
        list(read_events(tmp_path))


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("Boot", {}),
        ("", {}),
        ("boot\n", {}),
        ("boot", {"n": 1}),
        ("boot", {"text": "x" * MAX_LINE_BYTES}),
        ("boot", {"ratio": float("nan")}),
    ],
)
def test_what_is_not_an_event_is_refused(tmp_path: Path, kind: str, facts: dict[str, str]) -> None:
    with LogFiles(tmp_path) as log:
        with pytest.raises(ValueError, match=r"."):
            log.append(kind, NOON, **facts)
        with pytest.raises(ValueError, match="aware"):
            log.append("boot", NOON.replace(tzinfo=None))

    assert kinds(tmp_path) == []


def test_an_event_cannot_be_larger_than_a_file() -> None:
    with pytest.raises(ValueError, match="cannot keep"):
        LogFiles(Path("/nonexistent"), max_file_bytes=MAX_LINE_BYTES - 1)


@pytest.mark.parametrize(
    "damage", [b"not json\n", b'{"at":"2026-11-28T12:00:00.000000Z","kind":"boot","n":5,"v":1}\n', b"[]\n"]
)
def test_damage_in_the_middle_is_told_and_not_skipped(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "events-000000000000.jsonl").write_bytes(damage)

    with pytest.raises(StorageError, match=r"event"):
        list(read_events(tmp_path))


def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with LogFiles(tmp_path) as log:
        with pytest.raises(StorageError, match="another process"):
            LogFiles(tmp_path)

        log.append("boot", NOON)

    assert kinds(tmp_path) == ["boot"]


def test_a_torn_line_that_could_not_be_cut_off_at_once_is_cut_off_before_the_next(tmp_path: Path) -> None:
    disk = FailingDisk()
    with LogFiles(tmp_path, disk=disk) as log:
        log.append("boot", NOON)

        disk.fail(5, "write", "release")
        for _ in range(2):
            with pytest.raises(StorageError, match="input/output"):
                log.append("removal", NOON)
        disk.heal()
        log.append("storage-recovered", NOON)

    assert kinds(tmp_path) == ["boot", "storage-recovered"]


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with LogFiles(tmp_path, max_file_bytes=MAX_LINE_BYTES, keep_files=1) as log:
        for _ in range(3):
            log.append("boot", NOON, padding="x" * (MAX_LINE_BYTES // 2))
        log.trim(3)

    assert (tmp_path / "notes.txt").read_text() == "mine"
