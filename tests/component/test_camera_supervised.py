"""Supervision over real cameras and the real clock: nothing is lost, and what fails comes back."""

from itertools import pairwise
from pathlib import Path

from agent.adapters.clock import SystemClock
from agent.adapters.feed import FeedCamera
from agent.adapters.v4l2 import V4l2Camera, V4l2Settings
from agent.adapters.videofile import VideoFileCamera
from agent.recorder.supervision import CameraEvent, CameraEventKind, SupervisedCamera, Vigilance
from tests.fakes.clip import write_clip


def test_an_unpaced_file_loses_no_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=200)
    clock = SystemClock()
    camera = SupervisedCamera(
        lambda: VideoFileCamera(clip, clock, paced=False), clock, lambda _: None, vigilance=Vigilance.of_a_recording()
    )

    frames = [frame for session in camera.sessions() for frame in session.frames()]

    assert len(frames) == 200
    assert [b.pts_us - a.pts_us for a, b in pairwise(frames)] == [100_000] * 199


def test_a_device_that_stops_is_opened_again_until_closed() -> None:
    clock = SystemClock()
    events: list[CameraEvent] = []
    camera = SupervisedCamera(
        lambda: V4l2Camera("testsrc2=size=64x48:rate=20:duration=0.3", clock, V4l2Settings(), input_format="lavfi"),
        clock,
        events.append,
        uniform=lambda: 0.0,
    )
    frames = []

    for session in camera.sessions():
        frames += list(session.frames())
        if session.number == 3:
            camera.close()

    kinds = [event.kind for event in events]
    assert kinds == [CameraEventKind.OPENED, CameraEventKind.GONE] * 3
    assert len(frames) == 18
    assert all(a.pts_us < b.pts_us for a, b in pairwise(frames))


def test_an_absent_feed_is_gone_and_says_where_it_was_looked_for(tmp_path: Path) -> None:
    clock = SystemClock()
    events: list[CameraEvent] = []
    camera = SupervisedCamera(
        lambda: FeedCamera(tmp_path / "feed.sock", clock),
        clock,
        events.append,
        on_wait=lambda: camera.close(),  # noqa: PLW0108 - it is being made
        uniform=lambda: 1.0,
    )

    sessions = list(camera.sessions())

    assert sessions == []
    assert events[-1].kind is CameraEventKind.GONE
    assert "feed.sock" in events[-1].reason
