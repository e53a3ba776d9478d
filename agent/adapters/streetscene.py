"""A simulated camera: it looks at `agent.adapters.street` and behaves like a sensor.

Two ways to keep time. *Paced*: pictures come in real time on a fixed grid of
`1 / rate`; one that is late is skipped, never queued, and the grid does not drift.
Scene time is the monotonic clock since the first `open` of this object, so that after a
`close` the street has moved on, as a real one would. *Unpaced*: every `1 / rate`
of scene time is drawn as fast as it goes and nothing depends on the clock but
`captured_at`; scene time goes on where the last session stopped.
"""

import threading
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction

import cv2
import numpy as np

from agent.adapters.street.picture import (
    Box,
    Cutout,
    FigureTruth,
    Street,
    StreetTruth,
    VehicleTruth,
)
from agent.adapters.street.plan import PRIVATE_ZONES
from agent.adapters.street.scenario import PRESET_NAMES, Conditions, Kind, Scenario, preset
from agent.core.video import FrameSize, Plane, RawFrame, StreamMode
from agent.errors import CameraError, CameraGoneError
from agent.ports import Clock

__all__ = [
    "PRESET_NAMES",
    "PRIVATE_ZONES",
    "Box",
    "Conditions",
    "Cutout",
    "FigureTruth",
    "Kind",
    "Scenario",
    "Street",
    "StreetSceneCamera",
    "StreetTruth",
    "VehicleTruth",
    "preset",
]

_US = 1_000_000
_ANALYSIS_MAX = (480, 270)
_DEFAULT_SIZE = FrameSize(1280, 720)
_DEFAULT_RATE_HZ = Fraction(15)


class StreetSceneCamera:
    """A camera that looks at a `Street`.

    Args:
        clock: Where `pts_us` and `captured_at` come from, and the pace.
        size: Of the frames.
        rate_hz: Frames per second.
        scenario: What happens on the street; a preset's name or a scenario.
        seed: Of everything random.
        paced: Real time (True) or as fast as it goes.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        size: FrameSize = _DEFAULT_SIZE,
        rate_hz: Fraction = _DEFAULT_RATE_HZ,
        scenario: Scenario | str = "busy",
        seed: int = 0,
        paced: bool = True,
    ) -> None:
        if rate_hz <= 0:
            raise ValueError(f"the frame rate is {rate_hz}, expected more than 0")
        self._clock = clock
        self._rate_hz = rate_hz
        self._paced = paced
        self._mode = StreamMode(size=size, rate_hz=rate_hz)
        self._scenario = scenario
        self._seed = seed
        self._street: Street | None = None
        self._closed: threading.Event | None = None  # of the running session; None between sessions
        self._began_us: int | None = None
        self._next_frame = 0  # unpaced: frames drawn in all sessions

    @property
    def street(self) -> Street:
        """The street before the lens, for its truth; drawn on first use."""
        if self._street is None:
            scenario = self._scenario
            known = preset(scenario, self._seed) if isinstance(scenario, str) else scenario
            self._street = Street(self._mode.size, known, seed=self._seed)
        return self._street

    def scene_time(self, frame: RawFrame) -> float:
        """Return the scene time, seconds, that a frame of this camera shows."""
        return (frame.pts_us - (self._began_us or 0)) / _US

    def open(self) -> StreamMode:
        """Start a session; the street is built the first time.

        Raises:
            CameraGoneError: There is no scenario of that name.
            CameraError: It is open already.
        """
        if isinstance(self._scenario, str) and self._scenario not in PRESET_NAMES:
            raise CameraGoneError(
                f"there is no simulated street {self._scenario!r}", hint=f"one of {', '.join(PRESET_NAMES)}"
            )
        if self._closed is not None and not self._closed.is_set():
            raise CameraError("the simulated camera is open already, expected it closed")
        _ = self.street
        if self._began_us is None:
            self._began_us = self._clock.monotonic_us() if self._paced else 0
        self._closed = threading.Event()
        return self._mode

    def frames(self) -> Iterator[RawFrame]:
        """Yield pictures until `close`; none while it is not open."""
        closed = self._closed
        if closed is None:
            return iter(())
        return self._paced_frames(closed) if self._paced else self._counted_frames(closed)

    def close(self) -> None:
        """End the session; a running iteration stops before its next picture."""
        closed = self._closed
        if closed is not None:
            closed.set()

    def _counted_frames(self, closed: threading.Event) -> Iterator[RawFrame]:
        while not closed.is_set():
            at_us = self._at_us(self._next_frame)
            self._next_frame += 1
            yield self._frame(at_us)

    def _paced_frames(self, closed: threading.Event) -> Iterator[RawFrame]:
        began_us = self._began_us or 0
        slot = self._slot(self._clock.monotonic_us() - began_us)
        while not closed.is_set():
            due_us = began_us + self._at_us(slot)
            early_us = due_us - self._clock.monotonic_us()
            if early_us > 0 and closed.wait(early_us / _US):
                return
            yield self._frame(due_us)
            # Late: the slots that have gone by are skipped, the newest one due is drawn at once.
            slot = max(slot + 1, self._slot(self._clock.monotonic_us() - began_us))

    def _at_us(self, slot: int) -> int:
        return int(slot * _US / self._rate_hz)

    def _slot(self, since_us: int) -> int:
        return max(int(since_us * self._rate_hz / _US), 0)

    def _frame(self, pts_us: int) -> RawFrame:
        """Return the picture of one instant; the wall clock is read for that same instant."""
        late_us = self._clock.monotonic_us() - pts_us if self._paced else 0
        captured_at = self._clock.now() - timedelta(microseconds=late_us)
        pixels = self.street.draw((pts_us - (self._began_us or 0)) / _US)
        return RawFrame(pixels=pixels, pts_us=pts_us, captured_at=captured_at, analysis=_reduced(pixels.y))


def _reduced(luma: Plane) -> Plane:
    """Return luma for analysis: reduced by a whole factor, so that it costs little and beats no moire."""
    height, width = luma.shape
    factor = max(-(-width // _ANALYSIS_MAX[0]), -(-height // _ANALYSIS_MAX[1]))
    if factor == 1:
        return luma.copy()
    small = cv2.resize(luma, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small, np.uint8)
