"""The status survives being written and read, and a person understands it at a glance."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from agent.core.policy.clock import ClockQuality
from agent.core.status import (
    STALE_AFTER,
    CameraState,
    CameraStatus,
    DecisionStatus,
    FrameCounts,
    RecorderStatus,
    RecordingState,
    StorageState,
    StorageStatus,
    is_stale,
    summary_lines,
)

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
FRESH = RecorderStatus(
    camera_id="pole-7",
    state=RecordingState.DARK,
    decision=DecisionStatus(reason="no grant names this camera"),
    software_version="0.1.0",
    started_at=NOON,
    updated_at=NOON,
)
BUSY = RecorderStatus(
    camera_id="pole-7",
    state=RecordingState.FAILED,
    decision=DecisionStatus(
        reason="grant g-2026-001",
        policy_digest="ab" * 32,
        intended_use="SL-T1-2",
        changes_at=NOON + timedelta(days=2, hours=3, minutes=4),
        keys_until=NOON.date() + timedelta(days=5),
    ),
    camera=CameraStatus(
        state=CameraState.STALLED,
        mode="1920x1080 at 15 Hz",
        last_event="no frame for 3 s",
        last_event_at=NOON - timedelta(seconds=7),
        reopened=2,
    ),
    frames=FrameCounts(captured=100, stored=90, failed_closed=8, dropped=2, failed_closed_reason="warming up"),
    storage=StorageStatus(
        state=StorageState.FAILED,
        fragments=9,
        written_bytes=4_500_000,
        segments=3,
        ring_bytes=4_500_000,
        capacity_bytes=10_000_000_000,
        oldest_at=NOON - timedelta(days=30),
        truncated=1,
        evicted=2,
        last_error="cannot write footage: input/output error",
        last_error_at=NOON - timedelta(minutes=2),
    ),
    encoder_errors=1,
    encoder_error="out of memory",
    clock_quality=ClockQuality.SYNCHRONISED,
    software_version="0.1.0",
    booted_at=NOON - timedelta(hours=1, minutes=1),
    started_at=NOON - timedelta(hours=1),
    updated_at=NOON,
)


@pytest.mark.parametrize("status", [FRESH, BUSY])
def test_what_was_written_is_what_is_read(status: RecorderStatus) -> None:
    assert RecorderStatus.from_json(status.to_json()) == status


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        FRESH.to_json()[:-2],
        FRESH.to_json().replace('"pole-7"', '"pole-7", "mood": "good"'),
        FRESH.to_json().replace('"dark"', '"bright"'),
        FRESH.to_json().replace("12:00:00Z", "12:00:00"),  # a time without a zone
        FRESH.to_json().replace('"captured": 0', '"captured": -1'),
    ],
)
def test_a_status_that_is_not_fully_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RecorderStatus"):
        RecorderStatus.from_json(text)


def test_a_status_cannot_be_changed_after_it_was_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FRESH.camera_id = "pole-8"  # type: ignore[misc]

    assert FRESH.camera_id == "pole-7"


def test_a_status_is_stale_once_its_writer_missed_several_turns() -> None:
    assert not is_stale(FRESH, now=NOON + STALE_AFTER)
    assert is_stale(FRESH, now=NOON + STALE_AFTER + timedelta(microseconds=1))


def test_a_fresh_camera_says_that_it_is_dark_and_why() -> None:
    assert summary_lines(FRESH, now=NOON) == (
        "pole-7: dark: no grant names this camera",
        "policy: none yet",
        "camera: closed",
        "frames: 0 in, 0 stored, 0 failed closed, 0 dropped",
        "storage: ok, 0 B of 0 B, 0 segments",
        "clock: unknown",
        "software: 0.1.0, running for 0 s",
    )


def test_a_camera_in_trouble_says_what_is_wrong() -> None:
    assert summary_lines(BUSY, now=NOON) == (
        "pole-7: failed: grant g-2026-001",
        "use: SL-T1-2",
        "changes by itself: 2026-11-30 15:04:00 UTC, in 2 d 3 h",
        "KEYS END: recipients are published until 2026-12-03; dark in 5 d 12 h",
        "policy: abababababababab",
        "camera: stalled, 1920x1080 at 15 Hz, reopened 2 times; no frame for 3 s (7 s ago)",
        "frames: 100 in, 90 stored, 8 failed closed, 2 dropped; last failed closed: warming up",
        (
            "storage: failed, 4.5 MB of 10.0 GB (0 %), 3 segments (1 cut short by a crash or power cut), "
            "2 GONE BEFORE THEIR TIME for want of room, oldest 2026-10-29 12:00:00 UTC"
        ),
        "last storage error, 2 min ago: cannot write footage: input/output error",
        "encoder: 1 errors, last: out of memory",
        "clock: synchronised",
        "software: 0.1.0, running for 1 h",
    )


def test_events_without_a_time_are_told_without_one() -> None:
    status = FRESH.model_copy(
        update={"camera": CameraStatus(last_event="unplugged"), "storage": StorageStatus(last_error="read-only")}
    )

    lines = summary_lines(status, now=NOON)

    assert "camera: closed; unplugged" in lines
    assert "last storage error: read-only" in lines


def test_a_silent_recorder_is_the_first_thing_said() -> None:
    assert summary_lines(FRESH, now=NOON + timedelta(minutes=3))[0] == "NOT RUNNING: last heard 3 min ago"


@pytest.mark.parametrize("kind", ["file", "tpm", "otp"])
def test_a_person_is_told_what_keeps_the_key_of_the_log(kind: str) -> None:
    assert f"log signed with a key kept in: {kind}" in summary_lines(
        FRESH.model_copy(update={"log_key": kind}), now=NOON
    )
