"""Which camera a configuration names, and how closely it must be watched."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from agent.config import CameraSection
from agent.core.video import FrameSize
from agent.errors import ConfigurationError
from agent.ports import Camera, Clock
from agent.recorder.supervision import Vigilance

# Adapters are imported where they are chosen: importing picamera2 touches /dev/video*, cv2 costs 40 MB.


def camera_factory(section: CameraSection, clock: Clock) -> tuple[Callable[[], Camera], Vigilance]:
    """Return what makes an unopened camera, and the vigilance it deserves.

    Raises:
        ConfigurationError: The source cannot do what is asked of it.
    """
    kind, _, where = section.source.partition(":")
    size = FrameSize(section.width_px, section.height_px)
    if kind != "picamera" and section.rotation_degrees:
        raise ConfigurationError(
            f"camera.rotation_degrees is {section.rotation_degrees}, and a {kind} source cannot turn its pictures",
            hint="draw the zones over the picture as it is delivered, with rotation_degrees = 0",
        )
    match kind:
        case "picamera":
            from agent.adapters.picamera import PiCamera, PiCameraSettings  # noqa: PLC0415 - see the top

            settings = PiCameraSettings(
                size=size,
                rate_hz=section.rate_hz,
                rotation_degrees=section.rotation_degrees,
                max_exposure_us=None if section.max_exposure_ms is None else section.max_exposure_ms * 1000,
                exposure=section.exposure,
                brightness_ev=section.brightness_ev,
                focus_dioptres=section.focus_dioptres,
            )
            return lambda: PiCamera(clock, settings), Vigilance()
        case "v4l2":
            from agent.adapters.v4l2 import V4l2Camera, V4l2Settings  # noqa: PLC0415 - see the top

            asked = V4l2Settings(size=size, rate_hz=section.rate_hz)
            return lambda: V4l2Camera(where, clock, asked), Vigilance()
        case "feed":
            from agent.adapters.feed import FeedCamera  # noqa: PLC0415 - see the top

            return lambda: FeedCamera(Path(where), clock), Vigilance()
        case "file":
            from agent.adapters.videofile import VideoFileCamera  # noqa: PLC0415 - see the top

            return (
                lambda: VideoFileCamera(Path(where), clock, paced=section.paced),
                Vigilance.of_a_recording(),
            )
        case _:
            from agent.adapters.streetscene import StreetSceneCamera  # noqa: PLC0415 - see the top

            return (
                lambda: StreetSceneCamera(
                    size=size,
                    rate_hz=Fraction(section.rate_hz),
                    scenario=where or "busy",
                    clock=clock,
                    paced=section.paced,
                ),
                Vigilance(),
            )
