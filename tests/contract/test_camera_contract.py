"""Every camera keeps the promises of `ports.Camera`, the fake one included."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import pytest

from agent.adapters.clock import SystemClock
from agent.adapters.feed import FeedCamera
from agent.adapters.picamera import PiCamera, PiCameraSettings
from agent.adapters.rtsp_feed import run_feed
from agent.adapters.streetscene import StreetSceneCamera
from agent.adapters.v4l2 import V4l2Camera, V4l2Settings
from agent.adapters.videofile import VideoFileCamera
from agent.core.video import FrameSize
from agent.errors import CameraError, CameraGoneError
from agent.ports import Camera
from tests.fakes.camera import FakeCamera, Hang, Show
from tests.fakes.clip import write_clip
from tests.fakes.clock import FakeClock
from tests.fakes.libcamera import FakeBoard
from tests.fakes.network_camera import NetworkCamera

ENDS_WITHIN_S = 60.0  # generous: it bounds a hang, it measures nothing


@dataclass(frozen=True, slots=True)
class Rig:
    """One implementation and what to run it against."""

    present: Callable[[], Camera]
    absent: Callable[[], Camera]


def _file(tmp_path: Path, _: ExitStack) -> Rig:
    clip = write_clip(tmp_path / "clip.mkv")
    return Rig(
        present=lambda: VideoFileCamera(clip, FakeClock(), loop=True),
        absent=lambda: VideoFileCamera(tmp_path / "none.mkv", FakeClock()),
    )


def _file_unpaced(tmp_path: Path, _: ExitStack) -> Rig:
    clip = write_clip(tmp_path / "clip.mkv", width=65, height=47, pixel_format="yuv444p")
    return Rig(
        present=lambda: VideoFileCamera(clip, FakeClock(), paced=False, loop=True),
        absent=lambda: VideoFileCamera(tmp_path / "none.mkv", FakeClock(), paced=False),
    )


def _v4l2(tmp_path: Path, _: ExitStack) -> Rig:
    # lavfi stands for the device: the same input layer of libav, the same code of ours, no hardware.
    return Rig(
        present=lambda: V4l2Camera("testsrc2=size=64x48:rate=30", SystemClock(), V4l2Settings(), input_format="lavfi"),
        absent=lambda: V4l2Camera(str(tmp_path / "video9"), SystemClock(), V4l2Settings()),
    )


def _feed(tmp_path: Path, stack: ExitStack) -> Rig:
    source = NetworkCamera(tmp_path)
    stop = threading.Event()
    path = tmp_path / "feed.sock"
    listening = threading.Event()
    feed = threading.Thread(target=run_feed, args=(source.url, path, SystemClock(), stop, lambda _: listening.set()))
    feed.start()
    stack.callback(feed.join, ENDS_WITHIN_S)
    stack.callback(source.close)
    stack.callback(stop.set)
    assert listening.wait(ENDS_WITHIN_S)
    return Rig(
        present=lambda: FeedCamera(path, SystemClock()),
        absent=lambda: FeedCamera(tmp_path / "none.sock", SystemClock()),
    )


def _picamera(_: Path, stack: ExitStack) -> Rig:
    patch = pytest.MonkeyPatch()
    stack.callback(patch.undo)
    FakeBoard(SystemClock()).install(patch)
    return Rig(
        present=lambda: PiCamera(SystemClock(), PiCameraSettings(size=FrameSize(600, 400))),
        absent=lambda: PiCamera(SystemClock(), PiCameraSettings(number=9)),
    )


def _streetscene(_: Path, __: ExitStack) -> Rig:
    return Rig(
        present=lambda: StreetSceneCamera(
            size=FrameSize(192, 108), rate_hz=Fraction(10), clock=FakeClock(), paced=False
        ),
        absent=lambda: StreetSceneCamera(clock=FakeClock(), scenario="no such street"),
    )


def _fake(_: Path, __: ExitStack) -> Rig:
    return Rig(
        present=lambda: FakeCamera(FakeClock(), [Show(frames=50), Hang()]),
        absent=lambda: FakeCamera(FakeClock(), present=lambda: False),
    )


RIGS: dict[str, Callable[[Path, ExitStack], Rig]] = {
    "video file": _file,
    "video file, unpaced, odd sides, 4:4:4": _file_unpaced,
    "v4l2": _v4l2,
    "feed": _feed,
    "picamera2, on a fake board": _picamera,
    "street scene": _streetscene,
    "fake": _fake,
}


@pytest.fixture(params=RIGS.values(), ids=RIGS.keys())
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield request.param(tmp_path, stack)


@pytest.fixture
def camera(rig: Rig) -> Iterator[Camera]:
    camera = rig.present()
    yield camera
    camera.close()


def test_frames_match_the_mode_that_open_told(camera: Camera) -> None:
    mode = camera.open()

    frames = list(islice(camera.frames(), 8))

    assert len(frames) == 8
    assert mode.rate_hz > 0
    for frame in frames:
        half = (mode.size.height_px // 2, mode.size.width_px // 2)
        assert frame.pixels.size == mode.size
        assert frame.pixels.u.shape == frame.pixels.v.shape == half
        assert frame.captured_at.tzinfo is UTC
        assert frame.analysis is None or frame.analysis.ndim == 2


def test_time_only_rises(camera: Camera) -> None:
    camera.open()

    frames = list(islice(camera.frames(), 12))

    assert all(a.pts_us < b.pts_us for a, b in pairwise(frames))


def test_what_is_written_into_a_frame_stays_in_that_frame(camera: Camera) -> None:
    camera.open()

    for frame in islice(camera.frames(), 6):
        fresh = bool((frame.pixels.y != 7).any())
        for plane in (frame.pixels.y, frame.pixels.u, frame.pixels.v):
            plane[:] = 7
        assert fresh
        assert frame.analysis is None or bool((frame.analysis != 7).any())


def test_the_packed_array_where_there_is_one_is_the_planes(camera: Camera) -> None:
    camera.open()

    frame = next(iter(camera.frames()))
    frame.pixels.y[:], frame.pixels.u[:], frame.pixels.v[:] = 1, 2, 3

    if frame.pixels.packed is not None:
        assert frame.pixels.packed.sum() == frame.pixels.y.sum() + frame.pixels.u.sum() + frame.pixels.v.sum()


def test_closing_from_another_thread_ends_the_frames(camera: Camera) -> None:
    camera.open()
    seen: list[int] = []
    some = threading.Event()

    def watch() -> None:
        for frame in camera.frames():
            seen.append(frame.pts_us)
            some.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert some.wait(ENDS_WITHIN_S)
    camera.close()
    watcher.join(ENDS_WITHIN_S)

    assert not watcher.is_alive()
    assert seen


def test_closing_twice_is_closing_once(camera: Camera) -> None:
    camera.open()
    next(iter(camera.frames()))

    camera.close()
    camera.close()


def test_closing_before_opening_does_nothing(camera: Camera) -> None:
    camera.close()

    assert camera.open().size.width_px > 0


def test_a_closed_camera_has_no_frames(camera: Camera) -> None:
    camera.open()
    camera.close()

    assert list(camera.frames()) == []


def test_a_closed_camera_opens_again(camera: Camera) -> None:
    before = camera.open()
    first = list(islice(camera.frames(), 3))
    camera.close()

    after = camera.open()
    second = list(islice(camera.frames(), 3))

    assert before == after
    assert len(first) == len(second) == 3


def test_an_absent_camera_is_gone(rig: Rig) -> None:
    camera = rig.absent()

    with pytest.raises(CameraGoneError) as refusal:
        camera.open()

    assert isinstance(refusal.value, CameraError)
    camera.close()
