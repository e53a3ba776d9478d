"""picamera2 and libcamera, as far as `agent.adapters.picamera` uses them, without a camera.

Written against picamera2 0.3.3x and faithful where it matters: lines are padded to a
stride; a request holds its buffer until it is released as often as it was acquired, and
at most `buffer_count` are out; a released one is filled anew; pixels may be touched only
inside a `MappedArray`; what was written reaches the "hardware" when the mapping ends.
`install` puts it where `import picamera2` finds it.
"""

import itertools
import os
import sys
import threading
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType, SimpleNamespace
from typing import Any, Self

import av
import numpy as np
import pytest

from agent.ports import Clock

STRIDE_BYTES = 64  # the Pi's ISP pads lines to this


class FakeBoard:
    """The board: which modules are plugged in, and what happened to them.

    Attributes:
        cameras: How many modules there are.
        movable_lens: Whether they can focus.
        delivering: Cleared, no picture comes any more, as with a loose cable.
        devices: Every device that was opened.
        misuses: Broken rules, in words; empty if all is well.
    """

    def __init__(self, clock: Clock, *, cameras: int = 1, movable_lens: bool = True) -> None:
        self.clock = clock
        self.cameras = cameras
        self.movable_lens = movable_lens
        self.delivering = threading.Event()
        self.delivering.set()
        self.devices: list[FakePicamera2] = []
        self.misuses: list[str] = []
        self.wrong_timestamps = False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make `import picamera2` and `import libcamera` give this board's."""
        picamera2, libcamera = ModuleType("picamera2"), ModuleType("libcamera")
        encoders, outputs = ModuleType("picamera2.encoders"), ModuleType("picamera2.outputs")
        encoders.__dict__.update(H264Encoder=FakeH264Encoder)
        outputs.__dict__.update(Output=FakeOutput)
        monkeypatch.setitem(sys.modules, "picamera2.encoders", encoders)
        monkeypatch.setitem(sys.modules, "picamera2.outputs", outputs)
        picamera2.__dict__.update(Picamera2=self._open, MappedArray=FakeMappedArray)
        libcamera.__dict__.update(Transform=FakeTransform, controls=_ENUMS)
        monkeypatch.setitem(sys.modules, "picamera2", picamera2)
        monkeypatch.setitem(sys.modules, "libcamera", libcamera)

    def _open(self, number: int = 0) -> "FakePicamera2":
        list(range(self.cameras))[number]  # the real one indexes its list of cameras, too
        if any(not device.closed for device in self.devices):
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.devices.append(FakePicamera2(self))
        return self.devices[-1]


_ENUMS = SimpleNamespace(
    AeExposureModeEnum=SimpleNamespace(Normal=0, Short=1, Long=2),
    AfModeEnum=SimpleNamespace(Manual=0, Auto=1, Continuous=2),
)


@dataclass(frozen=True)
class FakeTransform:
    hflip: bool = False
    vflip: bool = False


class FakePicamera2:
    """One opened module."""

    def __init__(self, board: FakeBoard) -> None:
        self.board = board
        self.configuration: dict[str, Any] = {}
        self.controls: dict[str, Any] = {}
        self.started = self.closed = False
        self.free = threading.Semaphore(0)
        self.out = 0
        self._numbers = itertools.count(1)
        self.jobs: list[FakeJob] = []

    @property
    def camera_controls(self) -> dict[str, tuple[float, float, float]]:
        controls = {"FrameDurationLimits": (100.0, 1e8, 33333.0), "ExposureValue": (-8.0, 8.0, 0.0)}
        return controls | ({"AfMode": (0, 2, 0), "LensPosition": (0, 32, 1)} if self.board.movable_lens else {})

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
        return wanted

    def configure(self, wanted: dict[str, Any]) -> None:
        if wanted["main"]["size"][0] > 4608:
            raise ValueError("Size too large")
        self.configuration = dict(wanted)
        for stream in ("main", "lores"):
            width, height = wanted[stream]["size"]
            stride = -(-width // STRIDE_BYTES) * STRIDE_BYTES
            self.configuration[stream] = wanted[stream] | {"stride": stride, "framesize": stride * height * 3 // 2}
        self.free = threading.Semaphore(wanted["buffer_count"])

    def stream_configuration(self, name: str = "main") -> dict[str, Any]:
        return self.configuration[name]

    def set_controls(self, controls: dict[str, Any]) -> None:
        unknown = set(controls) - set(self.camera_controls) - {"AeEnable", "AeExposureMode"}
        if unknown:
            raise RuntimeError(f"Control {unknown} is not advertised by libcamera")
        self.controls |= controls

    def start(self) -> None:
        self.started = True

    def capture_request(self, *, wait: bool) -> "FakeJob":
        assert wait is False
        job = FakeJob(self)
        self.jobs.append(job)
        return job

    def cancel_all_and_flush(self) -> None:
        self.jobs.clear()

    def stop(self) -> None:
        self.started = False

    def close(self) -> None:
        if self.out:
            self.board.misuses.append("closed while a request was out")
        self.closed = True

    def make_request(self) -> "FakeRequest":
        return FakeRequest(self, next(self._numbers))


class FakeJob:
    def __init__(self, device: FakePicamera2) -> None:
        self._device = device

    def get_result(self, timeout: float) -> "FakeRequest":
        if not self._device.board.delivering.is_set():
            threading.Event().wait(0.001)
            raise TimeoutError
        if not self._device.free.acquire(timeout=timeout):
            raise TimeoutError
        self._device.jobs.remove(self)
        return self._device.make_request()


class FakeRequest:
    """A completed request with freshly filled buffers."""

    def __init__(self, device: FakePicamera2, number: int) -> None:
        self.device = device
        self.number = number
        self.uses = 1
        self.mapped = 0
        self.config = device.configuration
        device.out += 1
        # What the hardware sees; a mapping works on a copy of its own, like a cache that is not written back yet.
        self.memory = {stream: _fill(device.configuration[stream], number) for stream in ("main", "lores")}

    def get_metadata(self) -> dict[str, int]:
        if self.device.board.wrong_timestamps:
            return {"SensorTimestamp": 5}
        return {"SensorTimestamp": self.device.board.clock.monotonic_us() * 1000 - 10_000_000}

    def acquire(self) -> None:
        self.uses += 1

    def release(self) -> None:
        self.uses -= 1
        if self.mapped:
            self.device.board.misuses.append("released while mapped")
        if self.uses < 0:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")
        if self.uses == 0:
            self.device.out -= 1
            self.device.free.release()


class FakeMappedArray:
    def __init__(self, request: FakeRequest, stream: str, reshape: bool = True, write: bool = True) -> None:
        assert not reshape, "the real one leaves the padding in"
        self._request, self._stream, self._write = request, stream, write
        self.array = np.empty(0, np.uint8)

    def __enter__(self) -> Self:
        self._request.mapped += 1
        self.array = self._request.memory[self._stream].copy()
        return self

    def __exit__(self, *_: object) -> None:
        self._request.mapped -= 1
        if self._write:
            self._request.memory[self._stream][:] = self.array


class FakeOutput:
    def start(self) -> None: ...

    def stop(self) -> None: ...


class FakeH264Encoder:
    """Encodes what the "hardware" sees, two frames late, on no thread; libx264 stands for the silicon.

    Class attributes: `stuck` makes the codec return nothing any more.
    """

    stuck = False

    def __init__(self, *, bitrate: int, repeat: bool, iperiod: int, framerate: float) -> None:
        assert repeat
        self.bitrate, self.iperiod, self.framerate = bitrate, iperiod, framerate
        self.running = False
        self.vd = os.memfd_create("video11")  # knows no V4L2 control
        self.waiting: list[FakeRequest] = []

    def start(self) -> None:
        if self.running:
            raise RuntimeError("Encoder already running")
        self.running = True
        self._codec = av.CodecContext.create("libx264", "w")
        assert isinstance(self._codec, av.VideoCodecContext)
        self._codec.width, self._codec.height = self.width, self.height
        self._codec.pix_fmt = "yuv420p"
        self._codec.time_base = Fraction(1, 1000)
        self._codec.options = {"g": str(self.iperiod), "bf": "0", "tune": "zerolatency", "preset": "ultrafast"}
        self._number = 0

    def encode(self, stream: str, request: "FakeRequest") -> None:
        if request.mapped:
            request.device.board.misuses.append("the hardware read while the processor wrote")
        request.acquire()
        self.waiting.append(request)
        if len(self.waiting) > 2 and not self.stuck:
            self._encode_first()

    def stop(self) -> None:
        if not self.running:
            raise RuntimeError("Encoder already stopped")
        self.running = False
        while self.waiting:
            if self.stuck:
                self.waiting.pop(0).release()
            else:
                self._encode_first()
        os.close(self.vd)

    def _encode_first(self) -> None:
        request = self.waiting.pop(0)
        rows = request.memory["main"].reshape(-1)
        luma = rows[: self.stride * self.height].reshape(self.height, self.stride)[:, : self.width]
        chroma = rows[self.stride * self.height :].reshape(-1, self.stride // 2)[:, : self.width // 2]
        packed = np.concatenate([luma.reshape(-1), chroma.reshape(-1)]).reshape(-1, self.width)
        frame = av.VideoFrame.from_ndarray(packed, "yuv420p")
        frame.pts, frame.time_base = self._number * 40, Fraction(1, 1000)
        self._number += 1
        for packet in self._codec.encode(frame):
            self.output.outputframe(bytes(packet), packet.is_keyframe, 0)
        request.release()


def _fill(agreed: dict[str, Any], number: int) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
    """A grey picture that changes with each request; padding bytes are 0xEE."""
    (width, height), stride = agreed["size"], agreed["stride"]
    buffer = np.full(agreed["framesize"], 0xEE, np.uint8)
    buffer[: stride * height].reshape(height, stride)[:, :width] = 130 + number % 100
    buffer[stride * height :].reshape(height, stride // 2)[:, : width // 2] = 128
    return buffer
