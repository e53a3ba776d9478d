"""What a camera does and why, as one value that people and the link read.

The recorder replaces the whole status at least once a second; nobody else writes
it. It carries counters and reasons, never a picture and nothing about a person.

Pure: text in, text out. A status that its reader does not fully understand is
refused, not guessed at.
"""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt

from agent.core.policy.clock import ClockQuality

# The recorder writes every second; five missed writes are a recorder that hangs, not one that is busy.
STALE_AFTER = timedelta(seconds=5)
WARN_OF_KEYS = timedelta(days=14)  # a custodian's holiday: without recipients the camera goes dark


class RecordingState(StrEnum):
    """What the recorder does with pictures right now."""

    RECORDING = "recording"
    DARK = "dark"  # nothing permits recording
    FAILED = "failed"  # recording is permitted and does not happen


class CameraState(StrEnum):
    """How the camera is."""

    CLOSED = "closed"  # nobody asked for pictures
    OPENING = "opening"
    DELIVERING = "delivering"
    STALLED = "stalled"  # no frames, the same frame again and again, or black ones
    GONE = "gone"  # not there, or unplugged


class StorageState(StrEnum):
    """How the disk that footage goes to is."""

    OK = "ok"
    FULL = "full"
    HELD = "held"  # holds alone fill the ring
    FAILED = "failed"  # read-only, missing, or input/output errors


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DecisionStatus(_Part):
    """Which decision is obeyed.

    Attributes:
        reason: Why the camera records or is dark, in words a person understands.
        policy_digest: SHA-256 (hex) over the documents in force; empty before any.
        intended_use: Charter clause recorded for; empty when dark.
        changes_at: When the decision next changes by itself, or None.
        keys_until: Last day up to which recipients are published without a gap, or None. The camera is dark after it.
    """

    reason: str
    policy_digest: str = ""
    intended_use: str = ""
    changes_at: AwareDatetime | None = None
    keys_until: date | None = None


class CameraStatus(_Part):
    """How the camera is, and the last thing that happened to it."""

    state: CameraState = CameraState.CLOSED
    mode: str = ""  # such as "1920x1080 at 15 Hz"; empty until it opened
    last_event: str = ""
    last_event_at: AwareDatetime | None = None
    reopened: NonNegativeInt = 0


class FrameCounts(_Part):
    """Frames since the recorder started.

    Attributes:
        captured: Frames the camera delivered.
        stored: Frames whose bytes were confirmed by the disk.
        failed_closed: Frames filled whole because the masker could not vouch for them.
        dropped: Frames delivered while recording was permitted, and not stored.
        failed_closed_reason: Why the last one was filled.
    """

    captured: NonNegativeInt = 0
    stored: NonNegativeInt = 0
    failed_closed: NonNegativeInt = 0
    dropped: NonNegativeInt = 0
    failed_closed_reason: str = ""


class StorageStatus(_Part):
    """What went to disk, and how full the ring is.

    Attributes:
        fragments: Fragments appended since the recorder started.
        written_bytes: Sealed bytes appended since the recorder started.
        segments: Segments in the ring.
        ring_bytes: What they take.
        capacity_bytes: What they may take; 0 before the ring was opened.
        oldest_at: Start of the oldest footage kept, or None.
        truncated: Segments in the ring that a crash or a power cut ended.
        evicted: Segments that went before their time since the recorder started: the ring is too small for what it is
            to keep.
        last_error: The last storage error, also after it is over.
    """

    state: StorageState = StorageState.OK
    fragments: NonNegativeInt = 0
    written_bytes: NonNegativeInt = 0
    segments: NonNegativeInt = 0
    ring_bytes: NonNegativeInt = 0
    capacity_bytes: NonNegativeInt = 0
    oldest_at: AwareDatetime | None = None
    truncated: NonNegativeInt = 0
    evicted: NonNegativeInt = 0
    last_error: str = ""
    last_error_at: AwareDatetime | None = None


class RecorderStatus(_Part):
    """All that the recorder says about itself.

    Attributes:
        encoder_errors: Segments that the encoder lost since the recorder started.
        log_key: What keeps the log's key from whoever has the card: "file" (nothing does), "tpm", "otp"; empty before
            the log is open.
        booted_at: When the machine started, as far as its clock knew, or None.
        started_at: When the recorder started.
        updated_at: When this status was written.
    """

    camera_id: str
    state: RecordingState
    decision: DecisionStatus
    camera: CameraStatus = CameraStatus()
    frames: FrameCounts = FrameCounts()
    storage: StorageStatus = StorageStatus()
    encoder_errors: NonNegativeInt = 0
    encoder_error: str = ""
    clock_quality: ClockQuality = ClockQuality.UNKNOWN
    log_key: str = ""
    software_version: str
    booted_at: AwareDatetime | None = None
    started_at: AwareDatetime
    updated_at: AwareDatetime

    def to_json(self) -> str:
        """Return the status as one JSON object, indented, with RFC 3339 times."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> "RecorderStatus":
        """Return the status that `to_json` wrote.

        Raises:
            ValueError: It is not JSON, lacks a field, or has one this version does not know.
        """
        return cls.model_validate_json(text)


def keys_end_in(keys_until: date | None, now: datetime) -> timedelta | None:
    """Return how long recipients last, if that is soon enough for somebody to be told; else None."""
    if keys_until is None:
        return None
    left = datetime.combine(keys_until, time(), UTC) + timedelta(days=1) - now
    return left if left < WARN_OF_KEYS else None


def is_stale(status: RecorderStatus, *, now: datetime) -> bool:
    """Return whether `status` is too old to say anything about now."""
    return now - status.updated_at > STALE_AFTER


def summary_lines(status: RecorderStatus, *, now: datetime) -> tuple[str, ...]:
    """Return the status in plain language, one fact a line, the most important first.

    Args:
        status: What the recorder wrote last.
        now: Current UTC time, on the clock the recorder uses.
    """
    return (
        *((f"NOT RUNNING: last heard {_span(now - status.updated_at)} ago",) if is_stale(status, now=now) else ()),
        f"{status.camera_id}: {status.state.value}: {status.decision.reason}",
        *_decision_lines(status.decision, now=now),
        _camera_line(status.camera, now=now),
        _frames_line(status.frames),
        *_storage_lines(status.storage, now=now),
        *((f"encoder: {status.encoder_errors} errors, last: {status.encoder_error}",) if status.encoder_errors else ()),
        f"clock: {status.clock_quality.value}",
        *((f"log signed with a key kept in: {status.log_key}",) if status.log_key else ()),
        f"software: {status.software_version}, running for {_span(now - status.started_at)}",
    )


def _decision_lines(decision: DecisionStatus, *, now: datetime) -> tuple[str, ...]:
    lines = []
    if decision.intended_use:
        lines.append(f"use: {decision.intended_use}")
    if decision.changes_at is not None:
        lines.append(f"changes by itself: {_at(decision.changes_at)}, in {_span(decision.changes_at - now)}")
    if (left := keys_end_in(decision.keys_until, now)) is not None:
        lines.append(f"KEYS END: recipients are published until {decision.keys_until}; dark in {_span(left)}")
    lines.append(f"policy: {decision.policy_digest[:16] or 'none yet'}")
    return tuple(lines)


def _camera_line(camera: CameraStatus, *, now: datetime) -> str:
    line = f"camera: {camera.state.value}"
    if camera.mode:
        line += f", {camera.mode}"
    if camera.reopened:
        line += f", reopened {camera.reopened} times"
    if camera.last_event:
        when = "" if camera.last_event_at is None else f" ({_span(now - camera.last_event_at)} ago)"
        line += f"; {camera.last_event}{when}"
    return line


def _frames_line(frames: FrameCounts) -> str:
    line = (
        f"frames: {frames.captured} in, {frames.stored} stored, "
        f"{frames.failed_closed} failed closed, {frames.dropped} dropped"
    )
    return f"{line}; last failed closed: {frames.failed_closed_reason}" if frames.failed_closed_reason else line


def _storage_lines(storage: StorageStatus, *, now: datetime) -> tuple[str, ...]:
    use = f"{_size(storage.ring_bytes)} of {_size(storage.capacity_bytes)}"
    if storage.capacity_bytes:
        use += f" ({100 * storage.ring_bytes // storage.capacity_bytes} %)"
    line = f"storage: {storage.state.value}, {use}, {storage.segments} segments"
    if storage.truncated:
        line += f" ({storage.truncated} cut short by a crash or power cut)"
    if storage.evicted:
        line += f", {storage.evicted} GONE BEFORE THEIR TIME for want of room"
    if storage.oldest_at is not None:
        line += f", oldest {_at(storage.oldest_at)}"
    if not storage.last_error:
        return (line,)
    when = "" if storage.last_error_at is None else f", {_span(now - storage.last_error_at)} ago"
    return (line, f"last storage error{when}: {storage.last_error}")


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _span(duration: timedelta) -> str:
    """Return a duration with its two largest units; a negative one (a stepped clock) as zero."""
    seconds = max(0, int(duration.total_seconds()))
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    words = []
    for unit_s, name in units:
        count, seconds = divmod(seconds, unit_s)
        if count:
            words.append(f"{count} {name}")
    return " ".join(words[:2]) or "0 s"


def _size(length_bytes: int) -> str:
    for unit_bytes, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if length_bytes >= unit_bytes:
            return f"{length_bytes / unit_bytes:.1f} {name}"
    return f"{length_bytes} B"
