"""What the backend keeps of a camera, a log, a command and what went wrong, as values.

Pure.
"""

from dataclasses import dataclass
from datetime import datetime

from agent.core.messages.commands import Reply
from agent.core.messages.policy import Reported
from agent.core.messages.presence import Birth, Status

# Incidents that say that a log cannot be what the camera first wrote, or not all of it.
ALARMS = ("log-forked", "log-rewound", "log-gap", "log-rewritten")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRecord:
    """What is known about one camera.

    Attributes:
        camera_id: Who it is.
        first_seen_at: When the backend first heard of it.
        birth: Its last birth or will, and when that came.
        status: Its last status, and when that came.
        reported: What it made of its policy, and when that came.
        desired_digest: SHA-256 of the bundle that was published for it last; empty for none.
        desired_at: When that was.
        log_id: The log it writes now, or None before its first batch.
        log_next: The cursor of that log.
        log_camera_next: What the camera last said its next leaf would be.
        log_lost: Leaves of that log that are known to be lost.
        alarms: What is wrong with a log of it as evidence; see `ALARMS`.
        revoked: Whether its newest certificate is revoked. The authority knows, not the store.
    """

    camera_id: str
    first_seen_at: datetime
    birth: Birth | None = None
    birth_received_at: datetime | None = None
    status: Status | None = None
    status_received_at: datetime | None = None
    reported: Reported | None = None
    reported_received_at: datetime | None = None
    desired_digest: str = ""
    desired_at: datetime | None = None
    log_id: str | None = None
    log_next: int = 0
    log_camera_next: int = 0
    log_lost: int = 0
    alarms: "tuple[Incident, ...]" = ()
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What of a camera is asked for with every message it sends.

    Attributes:
        birth_sequence: Of its last birth, or None before any.
        log_id: The log it writes now, or None.
        log_next: The cursor of that log.
    """

    birth_sequence: int | None
    log_id: str | None
    log_next: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """How far one log has got."""

    camera_id: str
    log_id: str
    next: int
    camera_next: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something a camera, or somebody in its name, did that is no part of the contract."""

    camera_id: str
    kind: str
    count: int
    first_at: datetime
    last_at: datetime
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """One command and what became of it.

    Attributes:
        payload: The command as it goes out.
        asked_by: Who wanted it.
        sent_at: When it went out, or None.
        reply: The last reply, or None.
        settled: Whether nothing more is expected: it was answered for good, or expired.
    """

    id: str
    camera_id: str
    name: str
    payload: bytes
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    sent_at: datetime | None = None
    reply: Reply | None = None
    replied_at: datetime | None = None
    settled: bool = False
