"""Make the reference view of a camera that was just aimed, or aimed anew.

The recorder must not run meanwhile: one camera, one log. That the view was approved
anew is an act like any other, and is in the log with the reference's digest.
"""

import logging
from contextlib import closing

from agent.adapters.clock import SystemClock
from agent.adapters.reference_view import ReferenceView
from agent.config import Config
from agent.core.masking.drift import Commissioning, Fingerprint
from agent.errors import CameraStalledError, FingerprintFormatError, UsageError
from agent.ports import Camera, Clock, EventLog
from agent.recorder.device_log import open_device_log
from agent.recorder.sources import camera_factory

_log = logging.getLogger(__name__)

FRAMES = 60
EVERY_US = 500_000  # so half a minute in all: who walks past is gone by then


def make_reference(config: Config, *, renew: bool) -> Fingerprint:
    """Make the reference view of the camera that `config` names, keep it and log it.

    Raises:
        UsageError: There is one already, and `renew` does not say to replace it.
        ReferenceViewError: Nothing in the view can be known again; what was kept before is as it was.
        CameraError: The camera cannot be used, or ends too soon.
        StorageError: It cannot be kept or logged; the recorder may be running.
    """
    clock = SystemClock()
    kept = ReferenceView(config.state.folder)
    make_camera, _ = camera_factory(config.camera, clock)
    with open_device_log(config.state.folder, config.camera.id, kept_in=config.state.log_key, now=clock.now()) as log:
        before = digest_in_force(kept, renew=renew)
        _log.info("looking at the view for %d seconds; let nobody stand in it", FRAMES * EVERY_US // 1_000_000)
        made = look_at(make_camera())
        approve(made, before, kept, log, clock)
    return made


def look_at(camera: Camera) -> Fingerprint:
    """Return the fingerprint of what stays before a camera.

    Raises:
        FeaturelessError: Nothing in it can be known again.
        CameraError: The camera cannot be used, or ends too soon.
    """
    commissioning, due_us, taken = Commissioning(), None, 0
    camera.open()
    with closing(camera):
        for frame in camera.frames():
            if frame.analysis is None:
                raise CameraStalledError("the camera gives no analysis plane to make a reference view of")
            if due_us is None or frame.pts_us >= due_us:
                commissioning.add(frame.analysis)
                due_us, taken = frame.pts_us + EVERY_US, taken + 1
            if taken == FRAMES:
                return commissioning.finish()
    raise CameraStalledError(f"the camera gave {taken} frames for a reference view, expected {FRAMES}")


def approve(made: Fingerprint, before: str, kept: ReferenceView, log: EventLog, clock: Clock) -> None:
    """Log, then keep, a reference: one in force that the log does not know would be no evidence of anything.

    Raises:
        StorageError: It cannot be logged or kept; the one before is as it was.
    """
    log.append("view-approved", clock.now(), reference=made.digest, before=before, edges=made.edges, frames=made.frames)
    kept.write(made)


def digest_in_force(kept: ReferenceView, *, renew: bool) -> str:
    """Return the digest of the reference that will be replaced; empty without one.

    Raises:
        UsageError: There is one, and it is not to be replaced.
        StorageError: It cannot be read.
    """
    try:
        before = kept.read()
    except FingerprintFormatError as error:
        if renew:
            return "damaged"
        raise UsageError(str(error), hint="--renew approves the view as it is now") from error
    if before is None:
        return ""
    if not renew:
        raise UsageError(
            f"{kept.path} is there already",
            hint="if the camera was moved on purpose and the zones were looked at, --renew approves its view as it is",
        )
    return before.digest
