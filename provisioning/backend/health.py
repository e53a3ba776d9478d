"""What is wrong with a camera, the worst first: what an operator sees before anything else.

A camera that is dark because nothing permits it to record is well: that is the law at
work. A camera that may record and does not is not.

Pure: what is known goes in, findings come out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from agent.core.messages.presence import BoardStatus, LinkStatus, Status
from agent.core.policy.clock import ClockQuality
from agent.core.status import CameraState, RecorderStatus, RecordingState, StorageState, keys_end_in
from provisioning.backend.ca import renewal_due
from provisioning.backend.records import CameraRecord

STATUS_EVERY = timedelta(minutes=1)
SILENT_AFTER = 3 * STATUS_EVERY
# A bundle of 2 MiB over 256 kbit/s takes a minute; the recorder answers within a second of having it.
POLICY_TAKEN_WITHIN = timedelta(minutes=5)
RENEWAL_TROUBLE_AT = timedelta(days=7)  # of the 20 in which renewing was tried every ten minutes
WARM_CELSIUS = 80  # a Raspberry Pi slows itself down from here (BCM2711's soft limit)
LEARNS_WITHIN = timedelta(minutes=10)  # of a start, what the scene looks like; until then all is hidden
ALARM_FOR = timedelta(days=7)  # it stays in `fleet show`; whoever looks at the table sees it until then
LAG_LEAVES = 1_000  # at one leaf every ten seconds, three hours
BUSY_RATIO = 2.0
RETIRED = "its certificate is revoked; `lamppost replace` lets another board take its place"


class Severity(IntEnum):
    """How bad; a higher number comes first."""

    WELL = 0
    NOTICE = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        severity: How bad.
        what: A word or two, always the same for the same thing; for programs and for sorting.
        words: What was found, for people.
    """

    severity: Severity
    what: str
    words: str


def assess(camera: CameraRecord, *, now: datetime) -> tuple[Finding, ...]:
    """Return what is wrong with one camera, the worst first; nothing if all is well.

    Args:
        camera: What the backend knows.
        now: Current UTC time.
    """
    if camera.revoked:
        # Well: somebody ended it, and what it told last is nobody's trouble any more. What its log was stays.
        return (*_alarms(camera, now=now), Finding(severity=Severity.WELL, what="retired", words=RETIRED))
    findings = [*_presence(camera, now=now), *_policy(camera, now=now)]
    if camera.status is not None:
        findings += _recorder(camera.status)
        findings += _board(camera.status.board)
        findings += _link(camera.status.link, camera, now=now)
    findings += _alarms(camera, now=now)
    if camera.log_lost:
        findings.append(
            Finding(severity=Severity.WARNING, what="leaves lost", words=f"{camera.log_lost} leaves never arrived")
        )
    return tuple(sorted(findings, key=lambda one: -one.severity))  # of two that are as bad, presence tells more


def worst(findings: tuple[Finding, ...]) -> Severity:
    """Return how bad it is altogether."""
    return max((one.severity for one in findings), default=Severity.WELL)


def span(duration: timedelta) -> str:
    """Return a duration in its largest unit, for a table."""
    seconds = max(0, int(duration.total_seconds()))
    for unit_s, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds // unit_s} {name}"
    return f"{seconds} s"


def _critical(what: str, words: str) -> Finding:
    return Finding(severity=Severity.CRITICAL, what=what, words=words)


def _warning(what: str, words: str) -> Finding:
    return Finding(severity=Severity.WARNING, what=what, words=words)


def _notice(what: str, words: str) -> Finding:
    return Finding(severity=Severity.NOTICE, what=what, words=words)


def _presence(camera: CameraRecord, *, now: datetime) -> Iterator[Finding]:
    if camera.birth is None or camera.birth_received_at is None:
        yield _notice("never seen", "enrolled, and has not connected yet")
        return
    if not camera.birth.online:
        since = span(now - camera.birth_received_at)
        if camera.birth.reason == "stopped":
            yield _warning("stopped", f"its link was stopped {since} ago")
        else:
            yield _critical("offline", f"its connection was lost {since} ago")
        return
    heard_at = max(filter(None, (camera.status_received_at, camera.birth_received_at)))
    if now - heard_at > SILENT_AFTER:
        yield _critical("silent", f"connected, but no status for {span(now - heard_at)}")


def _alarms(camera: CameraRecord, *, now: datetime) -> Iterator[Finding]:
    for one in camera.alarms:
        if now - one.last_at < ALARM_FOR:
            yield _critical(one.kind.replace("-", " "), one.words)


def _policy(camera: CameraRecord, *, now: datetime) -> Iterator[Finding]:
    reported = camera.reported
    if not camera.desired_digest or camera.desired_at is None or reported is None:
        return
    if reported.desired is not None and reported.desired.refused:
        yield _critical("policy refused", f"the link refused the bundle: {reported.desired.refused}")
    taken = reported.desired is not None and reported.desired.digest == camera.desired_digest
    if not taken and now - camera.desired_at > POLICY_TAKEN_WITHIN:
        yield _warning("policy old", f"has not taken what was published {span(now - camera.desired_at)} ago")
    verdict = reported.verdict or {}
    if verdict.get("verdict") == "refused":
        yield _critical("policy refused", f"the recorder refused the bundle: {verdict.get('reason') or 'no reason'}")


def _recorder(status: Status) -> Iterator[Finding]:
    recorder = status.recorder
    if status.recorder_problem:
        yield _critical("recorder silent", status.recorder_problem)
    if recorder is None:
        return
    if recorder.state is RecordingState.FAILED:
        yield _critical("not recording", f"may record and does not: {recorder.decision.reason}")
    if recorder.camera.state in {CameraState.GONE, CameraState.STALLED}:
        yield _critical(f"camera {recorder.camera.state.value}", recorder.camera.last_event or "no pictures")
    yield from _keys(recorder)
    yield from _storage(recorder)
    yield from _failed_closed(recorder)
    if recorder.frames.dropped:
        yield _notice("frames dropped", f"{recorder.frames.dropped} since the recorder started")
    if recorder.encoder_errors:
        yield _notice("encoder errors", f"{recorder.encoder_errors}, last: {recorder.encoder_error}")
    if recorder.clock_quality is ClockQuality.UNKNOWN:
        yield _notice("clock", "nothing disciplines its clock")


def _failed_closed(recorder: RecorderStatus) -> Iterator[Finding]:
    ratio = recorder.frames.failed_closed / recorder.frames.captured if recorder.frames.captured else 0.0
    if ratio <= 0.01:  # noqa: PLR2004 - one frame in a hundred; a warm-up alone is far below on any day
        return
    words = f"{ratio:.0%} of frames hidden: {recorder.frames.failed_closed_reason}"
    if recorder.updated_at - recorder.started_at < LEARNS_WITHIN:  # a table may cut all but the first words
        yield _notice("learning", f"hides all until it knows the scene ({words})")
    else:
        yield _warning("failed closed", words)


def _keys(recorder: RecorderStatus) -> Iterator[Finding]:
    until = recorder.decision.keys_until
    if keys_end_in(until, recorder.updated_at) is not None:
        yield _warning("keys end", f"recipients are published until {until}; then it is dark")


def _storage(recorder: RecorderStatus) -> Iterator[Finding]:
    if recorder.storage.evicted:
        lost = f"{recorder.storage.evicted} segments went before their time: its storage is too small"
        yield _critical("evicting", lost)
    match recorder.storage.state:
        case StorageState.FAILED:
            yield _critical("storage failed", recorder.storage.last_error or "no reason given")
        case StorageState.FULL:
            yield _critical("storage full", recorder.storage.last_error or "no room is left")
        case StorageState.HELD:
            yield _warning("held full", "held footage alone fills the ring")
        case StorageState.OK:
            pass


def _board(board: BoardStatus) -> Iterator[Finding]:
    if board.disk_read_only:
        yield _critical("disk read-only", "its file system went read-only: the card has failed, most often")
    if board.disk_error:
        yield _warning("disk errors", board.disk_error)
    if board.disk_life_used_ratio is not None and board.disk_life_used_ratio >= 0.9:  # noqa: PLR2004 - eMMC's own "urgent"
        yield _warning("disk worn", f"{board.disk_life_used_ratio:.0%} of its life is used")
    if board.under_voltage:
        yield _warning("under-voltage", "its supply is too weak right now")
    elif board.under_voltage_since_boot:
        yield _notice("under-voltage", "its supply was too weak since it booted")
    if board.throttled:
        yield _warning("throttled", "slowed down by heat or power right now")
    if board.temperature_celsius is not None and board.temperature_celsius >= WARM_CELSIUS:
        yield _warning("hot", f"{board.temperature_celsius:.0f} °C")
    if board.load_ratio is not None and board.load_ratio >= BUSY_RATIO:
        yield _notice("busy", f"load is {board.load_ratio:.1f} times its processors")


def _link(link: LinkStatus, camera: CameraRecord, *, now: datetime) -> Iterator[Finding]:
    ends_at = link.certificate_expires_at
    if ends_at is not None and ends_at - now <= RENEWAL_TROUBLE_AT:
        yield _warning("certificate", f"ends in {span(ends_at - now)}, and was not renewed")
    elif ends_at is not None and renewal_due(ends_at, now=now):
        yield _notice("certificate", f"being renewed, ends in {span(ends_at - now)}")
    if link.queue.set_aside:
        yield _warning("set aside", f"{link.queue.set_aside} messages the broker does not take")
    lag = link.queue.next - camera.log_next if camera.log_id is not None else 0
    if lag > LAG_LEAVES:
        yield _notice("catching up", f"{lag} leaves to come")
