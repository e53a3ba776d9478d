"""Whoever reads the status file sees a whole status or is told why not."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.adapters import status_file
from agent.adapters.status_file import StatusFile
from agent.core.status import DecisionStatus, RecorderStatus, RecordingState
from agent.errors import StorageError, StorageFullError

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
STATUS = RecorderStatus(
    camera_id="pole-7",
    state=RecordingState.DARK,
    decision=DecisionStatus(reason="no grant"),
    software_version="0.1.0",
    started_at=NOON,
    updated_at=NOON,
)


def test_the_last_status_written_is_read(tmp_path: Path) -> None:
    file = StatusFile(tmp_path / "status.json")
    later = STATUS.model_copy(update={"state": RecordingState.RECORDING})

    file.write(STATUS)
    file.write(later)

    assert file.read() == later
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_the_links_group_may_read_it_and_nobody_else(tmp_path: Path) -> None:
    StatusFile(tmp_path / "status.json").write(STATUS)

    assert (tmp_path / "status.json").stat().st_mode & 0o777 == 0o640


def test_no_status_is_told_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no status") as refusal:
        StatusFile(tmp_path / "status.json").read()

    assert refusal.value.hint is not None


@pytest.mark.parametrize("content", [b"", b"{", b'{"camera_id": "pole-7"}', bytes(status_file.MAX_BYTES + 1)])
def test_what_is_not_a_status_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "status.json").write_bytes(content)

    with pytest.raises(StorageError):
        StatusFile(tmp_path / "status.json").read()


def test_a_full_disk_leaves_the_old_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StatusFile(tmp_path / "status.json")
    file.write(STATUS)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(status_file, "write_all", refuse)
    with pytest.raises(StorageFullError):
        file.write(STATUS.model_copy(update={"camera_id": "pole-8"}))

    assert file.read() == STATUS
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
