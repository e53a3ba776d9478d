"""A USB or other V4L2 camera, through libav's v4l2 input."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from av.video.frame import VideoFrame

from agent.adapters.libav_source import Instant, LibavCamera, Source, instant_of, open_source
from agent.core.video import FrameSize
from agent.errors import CameraGoneError
from agent.ports import Clock

# A driver's own timestamp (CLOCK_MONOTONIC, when the frame's first line arrived) is believed if it lies this close
# before now; other drivers stamp with other clocks, or not at all.
_BELIEVED_WITHIN_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class V4l2Settings:
    """What to ask the device for; it answers with the nearest it has.

    Attributes:
        size: Wanted picture size; None leaves it to the device.
        rate_hz: Wanted frames a second; None leaves it to the device.
        input_format: Wanted wire format ("yuyv422", "mjpeg" …); None leaves it to libav,
            which prefers uncompressed. Most USB cameras reach 1080p at 30 Hz in MJPEG only.
    """

    size: FrameSize | None = None
    rate_hz: int | None = None
    input_format: str | None = None

    def options(self) -> Mapping[str, str]:
        """Return them as libav's v4l2 input spells them."""
        wanted = {
            "video_size": None if self.size is None else str(self.size),
            "framerate": None if self.rate_hz is None else str(self.rate_hz),
            "input_format": self.input_format,
        }
        return {name: value for name, value in wanted.items() if value is not None}


class V4l2Camera(LibavCamera):
    """One `/dev/videoN`.

    A read from a driver that hangs cannot be interrupted: `close` then returns at
    once, and the device is given back when the read returns.

    Args:
        device: The device node.
        clock: The machine's clocks.
        settings: What to ask it for.
        input_format: libav's name of the input; tests use "lavfi", which needs no device.
        analyse: Whether frames carry an analysis plane.
    """

    def __init__(
        self,
        device: str,
        clock: Clock,
        settings: V4l2Settings,
        *,
        input_format: str = "v4l2",
        analyse: bool = True,
    ) -> None:
        self._device = device
        self._clock = clock
        self._settings = settings
        self._input_format = input_format
        super().__init__(self._open_device, self._stamp_device, endless=True, analyse=analyse)

    def _open_device(self) -> Source:
        if self._input_format == "v4l2" and not Path(self._device).exists():
            raise CameraGoneError(f"{self._device}: no such device")
        return open_source(self._device, input_format=self._input_format, options=self._settings.options())

    def _stamp_device(self, _: Source) -> Callable[[VideoFrame], Instant]:
        return lambda frame: instant_of(self._clock, self._captured_us(frame))

    def _captured_us(self, frame: VideoFrame) -> int:
        now_us = self._clock.monotonic_us()
        if frame.pts is not None and frame.time_base is not None:
            sensor_us = int(frame.pts * frame.time_base * 1_000_000)
            if 0 <= now_us - sensor_us <= _BELIEVED_WITHIN_US:
                return sensor_us
        return now_us
