"""Payloads of the MQTT contract as an honest camera sends them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from agent.core.messages.log import LogBatch
from agent.core.messages.presence import Birth, LinkStatus, NetworkStatus, QueueStatus, Status
from agent.core.policy.clock import ClockQuality
from agent.core.status import CameraState, CameraStatus, DecisionStatus, RecorderStatus, RecordingState

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def birth(camera_id: str = "cam-1", *, sequence: int = 1, online: bool = True, at: datetime = NOON) -> Birth:
    return Birth(
        camera_id=camera_id,
        online=online,
        sequence=sequence,
        at=at,
        clock_quality=ClockQuality.SYNCHRONISED,
        reason="" if online else "lost",
        software_version="0.1.0",
        booted_at=at - timedelta(hours=1),
    )


def recorder(camera_id: str = "cam-1", *, at: datetime = NOON, **changes: object) -> RecorderStatus:
    good = RecorderStatus(
        camera_id=camera_id,
        state=RecordingState.RECORDING,
        decision=DecisionStatus(reason="grant g-2026-001 permits it", policy_digest="ab" * 32, intended_use="EX-1"),
        camera=CameraStatus(state=CameraState.DELIVERING, mode="1920x1080 at 15 Hz"),
        clock_quality=ClockQuality.SYNCHRONISED,
        software_version="0.1.0",
        started_at=at - timedelta(hours=1),
        updated_at=at,
    )
    return good.model_copy(update=changes)


def status(
    camera_id: str = "cam-1",
    *,
    at: datetime = NOON,
    certificate_expires_at: datetime | None = None,
    acked: int = 0,
    following: int = 0,
    recording: RecorderStatus | None = None,
) -> Status:
    return Status(
        camera_id=camera_id,
        at=at,
        recorder=recording or recorder(camera_id, at=at),
        link=LinkStatus(
            software_version="0.1.0",
            started_at=at - timedelta(hours=1),
            certificate_expires_at=certificate_expires_at,
            network=NetworkStatus(connected_at=at - timedelta(minutes=5), connections=1),
            queue=QueueStatus(oldest=0, next=following, acked=acked),
        ),
    )


def batch(
    leaves: Sequence[bytes],
    *,
    camera_id: str = "cam-1",
    log_id: str = "log-a",
    first: int = 0,
    oldest: int = 0,
    at: datetime = NOON,
) -> LogBatch:
    return LogBatch(
        camera_id=camera_id,
        log_id=log_id,
        at=at,
        first=first,
        leaves=tuple(leaves),
        oldest=oldest,
        next=first + len(leaves),
    )
