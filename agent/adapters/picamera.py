"""A Raspberry Pi camera module, through libcamera's picamera2.

The ISP writes two streams into memory that it shares with us: *main*, the picture in
YUV 4:2:0, and *lores*, a small one whose luma is for analysis. A frame's planes are
views of the main buffer: masks are written where the ISP wrote, nothing is copied, and
an encoder in hardware reads the same memory (see `LentPicture.settle`). The buffer goes
back to the ISP when the consumer asks for the next frame.

The loop is ours. picamera2 would call back on its own thread, where an exception is
printed and forgotten; we ask it for one request after another instead.

Not run on a board by the tests: they drive this module with a fake libcamera that keeps
picamera2's rules about requests, mappings and strides (tests/fakes/libcamera.py).
"""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from agent.adapters.analysis import ANALYSIS_MOST
from agent.adapters.libav_source import Instant, instant_of
from agent.core.video import I420, FrameSize, Plane, RawFrame, StreamMode
from agent.errors import CameraError, CameraGoneError, ConfigurationError
from agent.ports import Clock

# Buffers of the main stream. One is being filled, one lent to us, up to three wait in a hardware encoder, one is spare;
# picamera2's own default for video, and 19 MB of the contiguous memory at 1080p.
_BUFFERS = 6
_GLANCE_S = 0.2  # how soon `close` is noticed while the sensor delivers nothing
# libcamera stamps with CLOCK_BOOTTIME, the Pi's drivers with CLOCK_MONOTONIC; they agree on a board that never
# suspends. A stamp that is not within the last second is neither, and is not believed.
_BELIEVED_WITHIN_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PiCameraSettings:
    """What the sensor and ISP are asked for.

    Attributes:
        number: Which camera of the board, in picamera2's order.
        size: Wanted picture size; the ISP may align it.
        rate_hz: Frames a second in good light.
        max_exposure_us: Longest exposure at night. Longer than a frame's time, it lets
            the rate fall to what it needs; None never does.
        exposure: libcamera's metering profile: "short" keeps walkers sharp and is noisier.
        brightness_ev: Exposure compensation, in stops.
        focus_dioptres: Fixed focus at 1 / distance in metres, 0 = infinity; None focuses
            by itself. Ignored by modules with a fixed lens.
        rotation_degrees: 0, or 180 for a module mounted upside down; the ISP cannot turn
            by 90.
    """

    number: int = 0
    size: FrameSize = FrameSize(1920, 1080)  # noqa: RUF009 - frozen
    rate_hz: int = 15
    max_exposure_us: int | None = None
    exposure: Literal["normal", "short", "long"] = "normal"
    brightness_ev: float = 0.0
    focus_dioptres: float | None = None
    rotation_degrees: int = 0

    def __post_init__(self) -> None:
        if self.rate_hz < 1 or (self.max_exposure_us is not None and self.max_exposure_us < 1):
            raise ConfigurationError(
                f"{self.rate_hz} Hz and exposures of up to {self.max_exposure_us} us, expected both above 0"
            )
        if self.rotation_degrees not in {0, 180}:
            raise ConfigurationError(
                f"a camera module turned by {self.rotation_degrees} degrees, expected 0 or 180",
                hint="the image processor of a Raspberry Pi cannot turn by 90; mount the module upright",
            )


class LentPicture:
    """One request of the camera: a picture in memory that the ISP shares with us."""

    def __init__(self, request: Any, mapping: Any) -> None:  # noqa: ANN401 - picamera2 ships no types
        self.request = request
        self._mapping: Any | None = mapping

    def settle(self) -> Any:  # noqa: ANN401 - picamera2 ships no types
        """End our access to the pixels and return the request for an encoder in hardware.

        What we wrote may still be in the processor's cache, where no hardware looks: an
        encoder that read now could see people the masks have covered. Ending the access
        writes the cache back. The planes must not be touched afterwards.
        """
        mapping, self._mapping = self._mapping, None
        if mapping is not None:
            mapping.__exit__(None, None, None)
        return self.request

    def give_back(self) -> None:
        """Let the ISP have the buffer again, once every encoder is done with it as well."""
        self.settle().release()


class PiCamera:
    """One camera module.

    Args:
        clock: The machine's clocks.
        settings: What to ask it for.
    """

    def __init__(self, clock: Clock, settings: PiCameraSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._session: _Session | None = None

    def open(self) -> StreamMode:
        """Configure and start the sensor; see `ports.Camera`."""
        self.close()
        # Imported here: the import alone opens every /dev/video* and /dev/media* of the board.
        try:
            import libcamera  # noqa: PLC0415
            import picamera2  # noqa: PLC0415
        except ImportError as error:
            raise CameraError(
                "picamera2 is not installed", hint="apt-get install python3-picamera2, on Raspberry Pi OS"
            ) from error
        try:
            device = picamera2.Picamera2(self._settings.number)
        except IndexError as error:
            raise CameraGoneError(f"no camera module number {self._settings.number}") from error
        except RuntimeError as error:  # what picamera2 raises for everything, "in use by another process" included
            raise CameraError(f"camera module {self._settings.number} does not open: {error}") from error
        session = _Session(device=device, mapped=picamera2.MappedArray)
        try:
            session.start(
                _configuration(device, self._settings, libcamera), _controls(device, self._settings, libcamera)
            )
        except (RuntimeError, ValueError) as error:
            session.shut()
            raise CameraError(f"camera module {self._settings.number} cannot do this: {error}") from error
        self._session = session
        return StreamMode(
            size=session.main.size,
            rate_hz=Fraction(self._settings.rate_hz),
            rotation_degrees=self._settings.rotation_degrees,
        )

    def frames(self) -> Iterator[RawFrame]:
        """Yield its pictures; see `ports.Camera`. Each is lent until the next is asked for."""
        session = self._session
        if session is None:
            return
        last_us = -1
        with session.in_use():
            while (request := session.next_request()) is not None:
                with contextlib.closing(_Lending(request, session)) as lending:
                    instant = self._captured(request)
                    last_us = max(instant.pts_us, last_us + 1)
                    yield RawFrame(
                        pixels=lending.pixels,
                        pts_us=last_us,
                        captured_at=instant.at,
                        analysis=lending.analysis,
                        native=lending.picture,
                    )

    def close(self) -> None:
        """Stop the sensor; see `ports.Camera`. A frame that is out is waited for, not torn away."""
        session, self._session = self._session, None
        if session is not None:
            session.shut()

    def _captured(self, request: Any) -> Instant:  # noqa: ANN401 - picamera2 ships no types
        now_us = self._clock.monotonic_us()
        sensor_us = request.get_metadata().get("SensorTimestamp", 0) // 1000
        believed = 0 <= now_us - sensor_us <= _BELIEVED_WITHIN_US
        return instant_of(self._clock, sensor_us if believed else now_us)


class _Lending:
    """A request while it is out: its planes as views, its small luma as a copy."""

    def __init__(self, request: Any, session: "_Session") -> None:  # noqa: ANN401 - picamera2 ships no types
        with session.mapped(request, "lores", reshape=False, write=False) as small:
            # A copy, of a thirtieth of the picture: analysis may remember it after the buffer has gone back.
            self.analysis = session.lores.luma(small.array).copy()
        mapping = session.mapped(request, "main", reshape=False)
        mapping.__enter__()  # left by `LentPicture.settle`, at a time that the encoder chooses
        self.picture = LentPicture(request, mapping)
        self.pixels = session.main.planes(mapping.array)

    def close(self) -> None:
        # Our views go first: memory that is still looked at cannot be unmapped. Where the consumer kept a frame
        # against the rules, the mapping lives as long as the frame does.
        del self.pixels
        with contextlib.suppress(BufferError):
            self.picture.give_back()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How a YUV420 stream lies in its buffer: three planes, one after the other, lines padded to the stride."""

    size: FrameSize
    stride: int

    @classmethod
    def of(cls, device: Any, stream: str) -> "_Layout":  # noqa: ANN401 - picamera2 ships no types
        agreed = device.stream_configuration(stream)
        if agreed["format"] != "YUV420":
            raise ValueError(f"the {stream} stream is {agreed['format']}, expected YUV420")
        return cls(size=FrameSize(*agreed["size"]), stride=agreed["stride"])

    def luma(self, buffer: Plane) -> Plane:
        """Return the luma as a view."""
        rows = self.size.height_px
        return buffer[: rows * self.stride].reshape(rows, self.stride)[:, : self.size.width_px]

    def planes(self, buffer: Plane) -> I420:
        """Return the planes as views; packed where no line is padded."""
        rows, width = self.size.height_px, self.size.width_px
        whole = buffer[: rows * self.stride * 3 // 2]
        if self.stride == width:
            return I420.from_packed(whole.reshape(rows * 3 // 2, width))
        chroma = whole[rows * self.stride :].reshape(2, rows // 2, self.stride // 2)[:, :, : width // 2]
        return I420(y=self.luma(whole), u=chroma[0], v=chroma[1])


@dataclass(slots=True)
class _Session:
    """One opened device. Whoever is inside `in_use` when `shut` is asked for gives it back on leaving."""

    device: Any
    mapped: Any
    main: _Layout = field(init=False)
    lores: _Layout = field(init=False)
    _using: threading.Lock = field(default_factory=threading.Lock)
    _shutting: threading.Event = field(default_factory=threading.Event)
    _shut: bool = False

    def start(self, configuration: Any, controls: dict[str, Any]) -> None:  # noqa: ANN401 - picamera2 ships no types
        self.device.configure(configuration)
        self.main = _Layout.of(self.device, "main")
        self.lores = _Layout.of(self.device, "lores")
        self.device.set_controls(controls)
        self.device.start()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        with self._using:
            yield
        if self._shutting.is_set():
            self.shut()

    def next_request(self) -> Any | None:  # noqa: ANN401 - picamera2 ships no types
        """Wait for the next picture; None when shutting.

        Raises:
            CameraError: libcamera failed.
        """
        if self._shutting.is_set():
            return None
        # Asked for once and waited for in small steps: a request that arrives for a wait that was given up is lost.
        job = self.device.capture_request(wait=False)
        while not self._shutting.is_set():
            try:
                return job.get_result(timeout=_GLANCE_S)
            except TimeoutError:
                continue
            except (CancelledError, RuntimeError) as error:
                raise CameraError(f"libcamera failed: {error}") from error
        self.device.cancel_all_and_flush()
        return None

    def shut(self) -> None:
        """Stop and close the device as soon as no picture is out."""
        self._shutting.set()
        if not self._using.acquire(blocking=False):
            return
        try:
            if not self._shut:
                self._shut = True
                # What fails while closing has no remedy, and the next opening will tell.
                with contextlib.suppress(RuntimeError, BufferError, OSError):
                    self.device.stop()
                with contextlib.suppress(RuntimeError, BufferError, OSError):
                    self.device.close()
        finally:
            self._using.release()


def _configuration(device: Any, settings: PiCameraSettings, libcamera: Any) -> Any:  # noqa: ANN401 - no types
    flipped = settings.rotation_degrees != 0
    return device.create_video_configuration(
        main={"size": (settings.size.width_px, settings.size.height_px), "format": "YUV420"},
        lores={"size": _analysis_size(settings.size), "format": "YUV420"},
        transform=libcamera.Transform(hflip=flipped, vflip=flipped),
        buffer_count=_BUFFERS,
        queue=True,  # a picture that came while we were busy is taken at once and not missed
        display=None,
        encode="main",
    )


def _analysis_size(size: FrameSize) -> tuple[int, int]:
    ratio = max(size.width_px / ANALYSIS_MOST.width_px, size.height_px / ANALYSIS_MOST.height_px, 1)
    return int(size.width_px / ratio) & ~1, int(size.height_px / ratio) & ~1


def _controls(device: Any, settings: PiCameraSettings, libcamera: Any) -> dict[str, Any]:  # noqa: ANN401 - no types
    controls = libcamera.controls
    profile = controls.AeExposureModeEnum
    frame_us = 1_000_000 // settings.rate_hz
    wanted = {
        "FrameDurationLimits": (frame_us, max(frame_us, settings.max_exposure_us or 0)),
        "AeEnable": True,
        "AeExposureMode": {"normal": profile.Normal, "short": profile.Short, "long": profile.Long}[settings.exposure],
        "ExposureValue": settings.brightness_ev,
    }
    if "AfMode" in device.camera_controls:  # only modules with a movable lens list it
        if settings.focus_dioptres is None:
            wanted["AfMode"] = controls.AfModeEnum.Continuous
        else:
            wanted |= {"AfMode": controls.AfModeEnum.Manual, "LensPosition": settings.focus_dioptres}
    return wanted
