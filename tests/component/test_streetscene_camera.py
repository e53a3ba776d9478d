"""The simulated camera keeps its rate, belongs to its caller, and can be closed and opened again."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from agent.adapters.streetscene import StreetSceneCamera
from agent.core.policy.clock import ClockQuality
from agent.core.video import FrameSize, RawFrame
from agent.errors import CameraError, CameraGoneError

SIZE = FrameSize(320, 180)
RATE_HZ = Fraction(10)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class HandClock:
    """A clock that moves when told to; `slow_us` passes each time it is read, as work would."""

    def __init__(self) -> None:
        self.us = 5_000_000
        self.slow_us = 0

    def now(self) -> datetime:
        return NOON + timedelta(microseconds=self.us)

    def monotonic_us(self) -> int:
        self.us += self.slow_us
        return self.us

    def quality(self) -> ClockQuality:
        return ClockQuality.SYNCHRONISED

    def wait(self, duration: timedelta) -> None:
        self.us += int(duration.total_seconds() * 1e6)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def unpaced(clock: HandClock) -> Iterator[StreetSceneCamera]:
    camera = StreetSceneCamera(clock=clock, size=SIZE, rate_hz=RATE_HZ, scenario="standing", paced=False)
    yield camera
    camera.close()


def take(camera: StreetSceneCamera, count: int) -> list[RawFrame]:
    return list(islice(camera.frames(), count))


def test_frames_are_packed_fresh_and_of_the_agreed_size(unpaced: StreetSceneCamera) -> None:
    mode = unpaced.open()

    first, second = take(unpaced, 2)

    assert mode.size == first.pixels.size == SIZE
    assert mode.rate_hz == RATE_HZ
    assert first.pixels.packed is not None
    assert first.pixels.packed.flags.c_contiguous
    assert not np.shares_memory(first.pixels.y, second.pixels.y)
    first.pixels.y[:] = 0  # the frame is the caller's
    assert second.pixels.y.mean() > 20


def test_the_analysis_plane_is_small_and_of_the_same_view(clock: HandClock) -> None:
    camera = StreetSceneCamera(clock=clock, size=FrameSize(640, 360), scenario="empty", paced=False)
    camera.open()

    (frame,) = take(camera, 1)

    assert frame.analysis is not None
    assert frame.analysis.shape == (180, 320)
    assert frame.analysis.mean() == pytest.approx(frame.pixels.y.mean(), abs=1)


def test_unpaced_frames_follow_the_count_and_no_clock(unpaced: StreetSceneCamera) -> None:
    unpaced.open()

    frames = take(unpaced, 3)

    assert [frame.pts_us for frame in frames] == [0, 100_000, 200_000]
    assert [unpaced.scene_time(frame) for frame in frames] == pytest.approx([0, 0.1, 0.2])


def test_unpaced_scene_time_goes_on_after_reopening(unpaced: StreetSceneCamera) -> None:
    unpaced.open()
    take(unpaced, 2)
    unpaced.close()
    unpaced.close()
    unpaced.open()

    (frame,) = take(unpaced, 1)

    assert frame.pts_us == 200_000


def test_a_paced_camera_skips_what_it_is_late_for_and_stays_on_its_grid(clock: HandClock) -> None:
    camera = StreetSceneCamera(clock=clock, size=SIZE, rate_hz=RATE_HZ, scenario="empty")
    camera.open()
    began_us = clock.us
    frames = camera.frames()

    first = next(frames)
    clock.us += 450_000  # the caller is slow
    second = next(frames)
    clock.us += 100_000
    third = next(frames)

    assert [frame.pts_us - began_us for frame in (first, second, third)] == [0, 400_000, 500_000]


def test_paced_scene_time_is_the_clock_so_the_street_moves_on_while_closed(clock: HandClock) -> None:
    camera = StreetSceneCamera(clock=clock, size=SIZE, rate_hz=RATE_HZ, scenario="empty")
    camera.open()
    take(camera, 1)
    camera.close()
    clock.us += 7_000_000
    camera.open()

    (frame,) = take(camera, 1)

    assert camera.scene_time(frame) == pytest.approx(7.0)
    assert frame.pts_us <= clock.us


def test_the_wall_clock_is_told_for_the_instant_of_capture(clock: HandClock) -> None:
    camera = StreetSceneCamera(clock=clock, size=SIZE, rate_hz=RATE_HZ, scenario="empty")
    camera.open()
    frames = camera.frames()
    next(frames)
    clock.us += 130_000

    late = next(frames)

    assert late.captured_at == NOON + timedelta(microseconds=late.pts_us)


def test_closing_from_another_thread_ends_a_waiting_iteration(clock: HandClock) -> None:
    camera = StreetSceneCamera(clock=clock, size=SIZE, rate_hz=Fraction(1, 3600), scenario="empty")
    camera.open()
    frames = camera.frames()
    next(frames)  # the next one is due in an hour
    rest: list[RawFrame] = []
    waiting = threading.Thread(target=lambda: rest.extend(frames), daemon=True)
    waiting.start()

    camera.close()
    waiting.join(timeout=60)

    assert not waiting.is_alive()
    assert rest == []


def test_opening_twice_is_refused(unpaced: StreetSceneCamera) -> None:
    unpaced.open()

    with pytest.raises(CameraError, match="open already"):
        unpaced.open()

    assert len(take(unpaced, 1)) == 1  # the session in hand is unharmed


def test_a_closed_camera_yields_nothing_more(unpaced: StreetSceneCamera) -> None:
    unpaced.open()
    frames = unpaced.frames()
    next(frames)

    unpaced.close()

    assert list(frames) == []


def test_a_rate_of_nothing_is_refused(clock: HandClock) -> None:
    with pytest.raises(ValueError, match="expected more than 0"):
        StreetSceneCamera(clock=clock, rate_hz=Fraction(0))


def test_a_street_that_does_not_exist_cannot_be_opened(clock: HandClock) -> None:
    camera = StreetSceneCamera(clock=clock, scenario="carnival")

    with pytest.raises(CameraGoneError, match="carnival") as refusal:
        camera.open()

    assert refusal.value.hint == "one of busy, cyclists, empty, standing, night, rain"
    assert list(camera.frames()) == []
