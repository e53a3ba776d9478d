"""What is wrong comes first, and a camera that is dark by law is well."""

from datetime import timedelta
from typing import Any

import pytest

from agent.core.messages.policy import BundleReceipt, Reported
from agent.core.messages.presence import BoardStatus, QueueStatus
from agent.core.policy.clock import ClockQuality
from agent.core.status import (
    CameraState,
    CameraStatus,
    DecisionStatus,
    FrameCounts,
    RecordingState,
    StorageState,
    StorageStatus,
)
from provisioning.backend.health import Severity, assess, worst
from provisioning.backend.records import CameraRecord
from tests.fakes.payloads import NOON, birth, recorder, status

DIGEST = "cd" * 32


def camera(**changes: Any) -> CameraRecord:
    """Return a camera that is well, changed."""
    fields: dict[str, Any] = {
        "camera_id": "cam-1",
        "first_seen_at": NOON - timedelta(days=1),
        "birth": birth(),
        "birth_received_at": NOON - timedelta(hours=1),
        "status": status(certificate_expires_at=NOON + timedelta(days=29)),
        "status_received_at": NOON - timedelta(seconds=5),
        "reported": Reported(
            camera_id="cam-1",
            at=NOON,
            desired=BundleReceipt(digest=DIGEST, size_bytes=9, received_at=NOON),
            verdict={"verdict": "accepted"},
        ),
        "desired_digest": DIGEST,
        "desired_at": NOON - timedelta(hours=1),
        "log_id": "log-a",
    }
    return CameraRecord(**{**fields, **changes})


def recording(**changes: Any) -> CameraRecord:
    return camera(status=status(recording=recorder(**changes)))


def board(**changes: Any) -> CameraRecord:
    return camera(status=status().model_copy(update={"board": BoardStatus(**changes)}))


def test_a_camera_that_records_as_it_may_is_well() -> None:
    assert assess(camera(), now=NOON) == ()
    assert worst(()) is Severity.WELL


def test_a_camera_that_is_dark_by_law_is_well() -> None:
    assert assess(recording(state=RecordingState.DARK), now=NOON) == ()


def test_keys_for_a_fortnight_are_enough() -> None:
    enough = DecisionStatus(reason="g", keys_until=(NOON + timedelta(days=14)).date())

    assert assess(recording(decision=enough), now=NOON) == ()


CASES: list[tuple[CameraRecord, str, Severity]] = [
    (camera(birth=birth(online=False)), "offline", Severity.CRITICAL),
    (camera(birth=birth(online=False).model_copy(update={"reason": "stopped"})), "stopped", Severity.WARNING),
    (camera(status_received_at=NOON - timedelta(minutes=10)), "silent", Severity.CRITICAL),
    (camera(birth=None, birth_received_at=None, status=None), "never seen", Severity.NOTICE),
    (recording(state=RecordingState.FAILED), "not recording", Severity.CRITICAL),
    (recording(camera=CameraStatus(state=CameraState.GONE)), "camera gone", Severity.CRITICAL),
    (recording(storage=StorageStatus(state=StorageState.FULL)), "storage full", Severity.CRITICAL),
    (recording(storage=StorageStatus(state=StorageState.HELD)), "held full", Severity.WARNING),
    (recording(storage=StorageStatus(evicted=3)), "evicting", Severity.CRITICAL),
    (
        recording(decision=DecisionStatus(reason="g", keys_until=(NOON + timedelta(days=13)).date())),
        "keys end",
        Severity.WARNING,
    ),
    (recording(clock_quality=ClockQuality.UNKNOWN), "clock", Severity.NOTICE),
    (camera(status=status().model_copy(update={"recorder_problem": "stale"})), "recorder silent", Severity.CRITICAL),
    (board(disk_read_only=True), "disk read-only", Severity.CRITICAL),
    (board(under_voltage=True), "under-voltage", Severity.WARNING),
    (board(under_voltage_since_boot=True), "under-voltage", Severity.NOTICE),
    (board(temperature_celsius=85.0), "hot", Severity.WARNING),
    (camera(desired_digest="ef" * 32), "policy old", Severity.WARNING),
    (camera(log_lost=3), "leaves lost", Severity.WARNING),
    (camera(status=status(certificate_expires_at=NOON + timedelta(days=6))), "certificate", Severity.WARNING),
    (camera(status=status(certificate_expires_at=NOON + timedelta(days=19))), "certificate", Severity.NOTICE),
    (camera(status=status(following=5_000)), "catching up", Severity.NOTICE),
]


@pytest.mark.parametrize(("record", "what", "severity"), CASES)
def test_each_trouble_has_its_name_and_its_weight(record: CameraRecord, what: str, severity: Severity) -> None:
    assert [(one.what, one.severity) for one in assess(record, now=NOON)] == [(what, severity)]


def test_what_is_hidden_while_the_scene_is_learned_is_no_trouble_yet() -> None:
    hidden = FrameCounts(captured=100, stored=60, failed_closed=40, failed_closed_reason="learning")

    just_started = recording(frames=hidden, started_at=NOON - timedelta(minutes=2))
    (learning,) = assess(just_started, now=NOON)
    assert (learning.what, learning.severity) == ("learning", Severity.NOTICE)
    (finding,) = assess(recording(frames=hidden), now=NOON)
    assert (finding.what, finding.severity) == ("failed closed", Severity.WARNING)


def test_a_retired_camera_is_no_trouble_whatever_it_told_last() -> None:
    told = status(recording=recorder(storage=StorageStatus(state=StorageState.FULL)))

    findings = assess(camera(birth=birth(online=False), status=told, revoked=True), now=NOON)

    assert [(one.what, one.severity) for one in findings] == [("retired", Severity.WELL)]


def test_that_it_is_away_comes_before_what_it_told_last() -> None:
    away = birth(online=False).model_copy(update={"reason": "stopped"})
    told = status(recording=recorder(storage=StorageStatus(state=StorageState.HELD)))

    findings = assess(camera(birth=away, status=told), now=NOON)

    assert [one.what for one in findings] == ["stopped", "held full"]


def test_a_refused_bundle_says_why() -> None:
    refused = camera().reported
    assert refused is not None
    refused = refused.model_copy(update={"verdict": {"verdict": "refused", "reason": "it is older"}})

    (finding,) = assess(camera(reported=refused), now=NOON)

    assert finding.severity is Severity.CRITICAL
    assert "it is older" in finding.words


def test_the_worst_comes_first() -> None:
    queue = QueueStatus(set_aside=2)
    bad = status(recording=recorder(clock_quality=ClockQuality.UNKNOWN, state=RecordingState.FAILED))
    bad = bad.model_copy(update={"link": bad.link.model_copy(update={"queue": queue})})

    findings = assess(camera(status=bad), now=NOON)

    assert [one.what for one in findings] == ["not recording", "set aside", "clock"]
