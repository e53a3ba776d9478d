"""A card that cannot be written at the start is waited for: nothing is recorded, the status says why, and it begins."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.adapters.status_file import StatusFile
from agent.adapters.systemd_notify import SystemdNotify
from agent.core.status import RecordingState, StorageState
from agent.errors import ConfigurationError, StorageError, StorageFullError
from agent.recorder import beginning
from agent.recorder.beginning import WaitingStatus, begin_patiently
from tests.fakes.clock import FakeClock
from tests.fakes.desk import Desk

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginning, "TRY_EVERY_S", 0.0)


def failing(times: int, error: Exception) -> Callable[[], str]:
    """Return a beginning that fails so often, and then does not."""
    left = [error] * times

    def begin() -> str:
        if left:
            raise left.pop()
        return "begun"

    return begin


@pytest.mark.usefixtures("_at_once")
def test_a_card_that_becomes_writable_is_begun_on() -> None:
    told: list[StorageError] = []

    begun = begin_patiently(failing(3, StorageFullError("the card is full")), told.append, stop=threading.Event())

    assert begun == "begun"
    assert [str(error) for error in told] == ["the card is full"] * 3


@pytest.mark.usefixtures("_at_once")
def test_waiting_ends_when_asked_to_stop() -> None:
    stop = threading.Event()

    begun = begin_patiently(failing(9, StorageError("read-only")), lambda _: stop.set(), stop=stop)

    assert begun is None


def test_waiting_does_not_mend_a_configuration() -> None:
    with pytest.raises(ConfigurationError, match="no root"):
        begin_patiently(failing(1, ConfigurationError("no root")), lambda _: None, stop=threading.Event())


def test_the_status_says_that_it_cannot_begin_and_why(tmp_path: Path) -> None:
    file = StatusFile(tmp_path / "status.json")
    tell = WaitingStatus("pole-7", FakeClock(), file, SystemdNotify({}))

    tell(StorageFullError("the card is full"))

    status = file.read()
    assert status.state is RecordingState.FAILED
    assert status.decision.reason == "the recorder cannot begin: the card is full"
    assert status.storage.state is StorageState.FAILED


def test_a_status_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    tell = WaitingStatus("pole-7", FakeClock(), StatusFile(tmp_path / "gone" / "status.json"), SystemdNotify({}))

    tell(StorageError("read-only"))


def test_a_recorder_whose_card_fails_at_the_start_records_once_it_is_mended(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "pole", source="streetscene")
    state = tmp_path / "pole" / "state"
    state.write_bytes(b"a file where the folder should be")
    desk.camera.start()
    try:
        failing = desk.camera.wait_for("a reason", lambda status: status.state is RecordingState.FAILED)
        state.unlink()
        desk.publish()
        mended = desk.camera.wait_for("recording", lambda status: status.frames.stored > 0)
    finally:
        desk.camera.stop()

    assert "the recorder cannot begin" in failing.decision.reason
    assert "state" in failing.decision.reason
    assert mended.state is RecordingState.RECORDING
