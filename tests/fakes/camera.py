"""A camera that does what a test's script says, frame by frame."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

import numpy as np

from agent.core.video import I420, FrameSize, RawFrame, StreamMode
from agent.errors import CameraGoneError
from agent.ports import Clock
from tests.fakes.clock import FakeClock

SMALL = FrameSize(64, 48)


def picture(luma: int, *, size: FrameSize = SMALL, noise: int = 0) -> I420:
    """Return a grey picture; pictures of different `noise` differ."""
    pixels = I420.blank(size)
    pixels.y[:] = luma
    pixels.u[:] = pixels.v[:] = 128
    pixels.y[:4, :4] = luma + noise % 16
    pixels.y[:4, 4:8] = luma + noise // 16 % 16
    return pixels


@dataclass(frozen=True, slots=True)
class Show:
    """Deliver pictures, one interval of the clock apart."""

    frames: int = 1
    luma: int = 120
    noisy: bool = True
    size: FrameSize = SMALL


@dataclass(frozen=True, slots=True)
class Hang:
    """Deliver nothing, while time passes, until closed."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise."""

    error: BaseException


Step = Show | Hang | Fail


class FakeCamera:
    """Implements `ports.Camera` over a script; ends when the script does.

    Time passes only while it delivers or hangs, so that nothing depends on how fast
    the machine is.

    Attributes:
        opened: How often it was opened.
        closed: How often it was closed.
    """

    def __init__(
        self,
        clock: FakeClock,
        script: Sequence[Step] = (Show(),),
        *,
        rate_hz: int = 10,
        present: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._script = tuple(script)
        self._interval = timedelta(seconds=1) / rate_hz
        self._mode = StreamMode(size=SMALL, rate_hz=Fraction(rate_hz))
        self._present = present
        self._closed = threading.Event()
        self._closed.set()
        self.opened = 0
        self.closed = 0

    def open(self) -> StreamMode:
        if not self._present():
            raise CameraGoneError("the fake camera is absent")
        self._closed = threading.Event()
        self.opened += 1
        return self._mode

    def frames(self) -> Iterator[RawFrame]:
        closed = self._closed
        number = 0
        if closed.is_set():
            return
        for step in self._script:
            match step:
                case Fail():
                    raise step.error
                case Hang():
                    while not closed.wait(0.001):  # lets the other threads run; no real time is measured
                        self._clock.advance(timedelta(milliseconds=100))
                    return
                case Show():
                    for _ in range(step.frames):
                        if closed.is_set():
                            return
                        self._clock.advance(self._interval)
                        number += 1
                        yield raw_frame(self._clock, picture(step.luma, size=step.size, noise=number * step.noisy))

    def close(self) -> None:
        self.closed += 1
        self._closed.set()


def raw_frame(clock: Clock, pixels: I420) -> RawFrame:
    """Return `pixels` as captured now."""
    return RawFrame(
        pixels=pixels, pts_us=clock.monotonic_us(), captured_at=clock.now(), analysis=np.array(pixels.y, copy=True)
    )
