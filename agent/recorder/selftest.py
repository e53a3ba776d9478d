"""Can this camera do its work? Each part is tried for real, and says what it found.

Nothing is recorded: the frames that the camera delivers are counted and dropped, what
the encoder makes of a grey picture is thrown away, and the disk is tried with zeroes.
"""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from fractions import Fraction
from itertools import islice
from pathlib import Path

from agent.adapters.clock import SystemClock
from agent.config import Config
from agent.core.masking.blocks import fill_whole
from agent.core.masking.masker import Masker
from agent.core.policy.clock import ClockQuality
from agent.core.policy.decision import Decision
from agent.core.sealing.recipients import parse_recipients
from agent.core.video import I420, FrameSize, Layer, RawFrame, StreamMode
from agent.errors import CameraStalledError, EncoderError, LamppostError, StorageError
from agent.ports import Clock, Fact, SegmentTags
from agent.recorder.app import make_encoder, open_policy, open_ring
from agent.recorder.sources import camera_factory

CAMERA_FRAMES = 10
ENCODER_FRAMES = 30
DISK_PROBE_BYTES = 4 * 1024 * 1024
# The ring syncs once a second: a disk busy for more than a tenth of the time will not keep up when it ages.
DISK_MARGIN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What trying one part showed."""

    part: str
    passed: bool
    found: str
    hint: str | None = None

    def as_json(self) -> dict[str, str | bool | None]:
        """Return it for `json.dumps`."""
        return asdict(self)


def examine(config: Config) -> list[Finding]:
    """Try every part, in the order in which a frame meets them; none is skipped because another failed."""
    clock = SystemClock()
    return [
        _try("camera", lambda: _camera(config, clock)),
        _try("masks and encoder", lambda: _encoder(config, clock)),
        _try("disk", lambda: _disk(config, clock)),
        _try("policy", lambda: _policy(config, clock)),
        _try("clock", lambda: _clock(clock)),
    ]


def table(findings: list[Finding]) -> str:
    """Return the findings for people, one a line, with what to do about those that failed."""
    width = max(len(finding.part) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{'ok  ' if finding.passed else 'FAIL'}  {finding.part:{width}}  {finding.found}")
        if finding.hint and not finding.passed:
            lines.append(f"      {'':{width}}  hint: {finding.hint}")
    return "\n".join(lines) + "\n"


class _Deaf:
    """A log for a look at policy that changes nothing."""

    def append(self, kind: str, at: datetime, **facts: Fact) -> None:
        """Keep nothing."""


def _try(part: str, work: Callable[[], str]) -> Finding:
    try:
        return Finding(part=part, passed=True, found=work())
    except LamppostError as error:
        return Finding(part=part, passed=False, found=str(error), hint=error.hint)


def _camera(config: Config, clock: Clock) -> str:
    factory, _ = camera_factory(config.camera, clock)
    with closing(factory()) as camera:
        mode = camera.open()
        began_us = clock.monotonic_us()
        delivered = sum(1 for _ in islice(camera.frames(), CAMERA_FRAMES))
        took_us = clock.monotonic_us() - began_us
    if delivered < 1:
        raise CameraStalledError("the camera opens and delivers nothing")
    return f"{mode.size} at {float(mode.rate_hz):g} Hz; {delivered} frames in {took_us / 1e6:.2f} s"


def _encoder(config: Config, clock: Clock) -> str:
    """Fill, encode and drop grey pictures; a picture that is filled whole needs no policy to be safe."""
    mode = StreamMode(
        size=FrameSize(config.camera.width_px, config.camera.height_px), rate_hz=Fraction(config.camera.rate_hz)
    )
    tags = SegmentTags(camera_id=config.camera.id, layer=Layer.MASKED, first_captured_at=clock.now())
    masker, dark = Masker(mode), Decision.dark("selftest")  # without a view nothing fits: every frame is hidden
    encoder = make_encoder(config).start(mode, tags)
    began_us = clock.monotonic_us()
    encoded_bytes = 0
    for number in range(ENCODER_FRAMES):
        pixels = I420.blank(mode.size)
        fill_whole(pixels)
        frame = RawFrame(pixels=pixels, pts_us=number * 1_000_000 // config.camera.rate_hz, captured_at=clock.now())
        fragment = encoder.push(masker.mask(frame, dark))
        encoded_bytes += len(fragment.clear) if fragment else 0
    last = encoder.finish()
    encoded_bytes += len(last.clear) if last else 0
    rate_hz = ENCODER_FRAMES * 1e6 / max(1, clock.monotonic_us() - began_us)
    if not encoded_bytes:
        raise EncoderError("the encoder took frames and returned nothing")
    if rate_hz < config.camera.rate_hz:
        raise EncoderError(
            f"{config.encoder.codec} manages {rate_hz:.0f} frames a second of {mode.size}, the camera delivers"
            f" {config.camera.rate_hz}",
            hint="lower camera.rate_hz or the size, or choose encoder.preset ultrafast",
        )
    return f"{config.encoder.codec}: {rate_hz:.0f} frames a second of {mode.size}"


def _disk(config: Config, clock: Clock) -> str:
    with closing(open_ring(config)) as ring:
        ring.probe()
        room = ring.use()
    rate = _sync_rate(config.storage.footage, clock)
    needed = config.encoder.bitrate_kbit * 1000 / 8 * DISK_MARGIN
    if rate < needed:
        raise StorageError(
            f"{config.storage.footage} takes {rate / 1e6:.1f} MB/s, expected {needed / 1e6:.1f} ({DISK_MARGIN} times"
            " the bit rate)",
            hint="use a faster card, or lower encoder.bitrate_kbit",
        )
    return (
        f"{rate / 1e6:.0f} MB/s; {room.segments} segments, {room.stored_bytes >> 20} of {room.capacity_bytes >> 20} MiB"
    )


def _sync_rate(folder: Path, clock: Clock) -> float:
    probe = folder / ".selftest"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            began_us = clock.monotonic_us()
            os.write(descriptor, bytes(DISK_PROBE_BYTES))
            os.fdatasync(descriptor)
            return DISK_PROBE_BYTES * 1e6 / max(1, clock.monotonic_us() - began_us)
        finally:
            os.close(descriptor)
            probe.unlink()
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}") from error


def _policy(config: Config, clock: Clock) -> str:
    decision = open_policy(config, clock, _Deaf()).decision_now()
    if decision.recording:
        parse_recipients(decision.recipients)
    return f"{'recording' if decision.recording else 'dark'}: {decision.reason}"


def _clock(clock: Clock) -> str:
    quality = clock.quality()
    told = f"{clock.now():%Y-%m-%d %H:%M:%S} UTC, {quality.value}"
    if quality is ClockQuality.UNKNOWN:
        return f"{told}: believed only as far as signed policy supports it"
    return told
