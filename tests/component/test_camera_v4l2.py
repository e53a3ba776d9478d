"""A V4L2 camera tells what it agreed to and when its sensor saw each picture; lavfi stands for the device."""

from itertools import islice, pairwise

import pytest

from agent.adapters.v4l2 import V4l2Camera, V4l2Settings
from agent.core.video import FrameSize
from agent.errors import CameraGoneError
from tests.fakes.clock import NOON, FakeClock

DEVICE = "testsrc2=size=160x120:rate=20"


def camera(clock: FakeClock, device: str = DEVICE) -> V4l2Camera:
    return V4l2Camera(device, clock, V4l2Settings(), input_format="lavfi")


def test_what_the_device_agreed_to_is_told() -> None:
    device = camera(FakeClock())

    mode = device.open()
    device.close()

    assert mode.size == FrameSize(160, 120)
    assert mode.rate_hz == 20


def test_the_sensors_own_time_is_believed_when_it_is_near() -> None:
    clock = FakeClock(monotonic_us=600_000)  # lavfi stamps from zero, as if its pictures were 0.6 s old and less
    device = camera(clock)
    device.open()

    frames = list(islice(device.frames(), 4))
    device.close()

    assert [frame.pts_us for frame in frames] == [0, 50_000, 100_000, 150_000]
    assert (NOON - frames[0].captured_at).total_seconds() == pytest.approx(0.6)


def test_another_clocks_time_is_not_believed() -> None:
    clock = FakeClock(monotonic_us=3_600_000_000)
    device = camera(clock)
    device.open()

    frames = list(islice(device.frames(), 3))
    device.close()

    assert [frame.pts_us - 3_600_000_000 for frame in frames] == [0, 1, 2]  # the clock stands; time still rises
    assert all(a.pts_us < b.pts_us for a, b in pairwise(frames))


def test_a_device_that_stops_is_gone() -> None:
    device = camera(FakeClock(), "testsrc2=size=160x120:rate=20:duration=0.2")
    device.open()

    with pytest.raises(CameraGoneError, match="stopped delivering"):
        list(device.frames())
    device.close()


def test_only_what_was_wished_is_asked_for() -> None:
    wishes = V4l2Settings(size=FrameSize(1280, 720), rate_hz=15, input_format="mjpeg")

    assert wishes.options() == {"video_size": "1280x720", "framerate": "15", "input_format": "mjpeg"}
    assert V4l2Settings().options() == {}
