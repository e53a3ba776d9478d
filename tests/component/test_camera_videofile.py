"""A video file is played upright, whole, in even sizes, at its pace or without one."""

import struct
import subprocess
from datetime import timedelta
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from agent.adapters.videofile import VideoFileCamera
from agent.core.video import FrameSize, RawFrame
from agent.errors import CameraChangedError, CameraError, CameraGoneError
from tests.fakes.clip import lumas, write_clip
from tests.fakes.clock import NOON, FakeClock

GREYS = [50, 57, 64, 71, 78]  # of the clip's first frames, in video range


def play(path: Path, clock: FakeClock, *, paced: bool = True) -> list[RawFrame]:
    camera = VideoFileCamera(path, clock, paced=paced)
    camera.open()
    frames = list(camera.frames())
    camera.close()
    return frames


def turn(movie: Path, clockwise: int) -> Path:
    """Write into the track header of an MP4 that it is to be shown turned, as phones do."""
    one, minus = 0x10000, 0xFFFF0000
    cosine, sine = {0: (one, 0), 90: (0, one), 180: (minus, 0), 270: (0, minus)}[clockwise]
    matrix = (cosine, sine, 0, -sine & 0xFFFFFFFF, cosine, 0, 0, 0, 0x40000000)
    straight = struct.pack(">9I", one, 0, 0, 0, one, 0, 0, 0, 0x40000000)
    written = movie.read_bytes()
    at = written.index(straight, written.index(b"tkhd"))
    movie.write_bytes(written[:at] + struct.pack(">9I", *matrix) + written[at + len(straight) :])
    return movie


def test_every_frame_comes_once_and_in_order(tmp_path: Path) -> None:
    frames = play(write_clip(tmp_path / "a.mkv"), FakeClock())

    assert lumas(frame.pixels.y for frame in frames) == GREYS
    assert all(frame.pixels.packed is not None for frame in frames)


def test_paced_frames_come_when_their_time_has_come(tmp_path: Path) -> None:
    clock = FakeClock()
    camera = VideoFileCamera(write_clip(tmp_path / "a.mkv"), clock)
    camera.open()

    arrivals = [(clock.monotonic_us() - frame.pts_us, frame.captured_at) for frame in camera.frames()]
    camera.close()

    assert [late_us for late_us, _ in arrivals] == [0] * 5
    assert [at - NOON for _, at in arrivals] == [timedelta(seconds=n / 10) for n in range(5)]


def test_unpaced_frames_wait_for_nothing_and_keep_the_files_time(tmp_path: Path) -> None:
    clock = FakeClock()

    frames = play(write_clip(tmp_path / "a.mkv"), clock, paced=False)

    assert clock.waits == []
    assert [b.pts_us - a.pts_us for a, b in pairwise(frames)] == [100_000] * 4
    assert [frame.captured_at - NOON for frame in frames] == [timedelta(seconds=n / 10) for n in range(5)]


def test_a_step_of_the_clock_shows_in_the_wall_time_only(tmp_path: Path) -> None:
    clock = FakeClock()
    camera = VideoFileCamera(write_clip(tmp_path / "a.mkv"), clock)
    camera.open()

    frames = []
    for frame in camera.frames():
        frames.append(frame)
        clock.step(timedelta(hours=-1))
    camera.close()

    assert [b.pts_us - a.pts_us for a, b in pairwise(frames)] == [100_000] * 4
    assert frames[1].captured_at - frames[0].captured_at == timedelta(hours=-1, milliseconds=100)


def test_a_loop_goes_on_where_the_file_ended(tmp_path: Path) -> None:
    camera = VideoFileCamera(write_clip(tmp_path / "a.mkv"), FakeClock(), loop=True)
    camera.open()

    frames = list(islice(camera.frames(), 12))
    camera.close()

    assert lumas(frame.pixels.y for frame in frames) == [*GREYS, *GREYS, *GREYS[:2]]
    assert [b.pts_us - a.pts_us for a, b in pairwise(frames)] == [100_000] * 11


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuvj420p", "rgb24", "gray8", "yuv420p10le"])
def test_other_pixel_formats_become_video_range_420(tmp_path: Path, pixel_format: str) -> None:
    codec = {"yuvj420p": "mjpeg", "rgb24": "rawvideo", "gray8": "rawvideo"}.get(pixel_format, "ffv1")
    name = "a.avi" if codec == "rawvideo" else "a.mkv"
    stored = {"gray8": "gray"}.get(pixel_format, pixel_format)

    frames = play(write_clip(tmp_path / name, pixel_format=stored, codec=codec), FakeClock())

    assert lumas(frame.pixels.y for frame in frames) == pytest.approx(GREYS, abs=2)
    assert all(abs(int(frame.pixels.u[0, 0]) - 128) <= 1 for frame in frames)


@pytest.mark.parametrize(("width", "height", "size"), [(63, 47, (62, 46)), (64, 47, (64, 46)), (65, 48, (64, 48))])
def test_odd_sides_are_cropped_to_even(tmp_path: Path, width: int, height: int, size: tuple[int, int]) -> None:
    frames = play(write_clip(tmp_path / "a.mkv", width=width, height=height), FakeClock())

    assert {frame.pixels.size for frame in frames} == {FrameSize(*size)}
    assert lumas(frame.pixels.y for frame in frames) == GREYS


@pytest.mark.parametrize(
    ("clockwise", "size", "corner"),
    [(0, (64, 48), (0, 0)), (90, (48, 64), (0, -1)), (180, (64, 48), (-1, -1)), (270, (48, 64), (-1, 0))],
)
def test_a_picture_filmed_askew_is_turned_upright(
    tmp_path: Path, clockwise: int, size: tuple[int, int], corner: tuple[int, int]
) -> None:
    turned = turn(write_clip(tmp_path / "turned.mp4", codec="libx264"), clockwise)
    camera = VideoFileCamera(turned, FakeClock())

    mode = camera.open()
    frame = next(iter(camera.frames()))
    camera.close()

    assert mode.size == frame.pixels.size == FrameSize(*size)
    assert mode.rotation_degrees == clockwise
    assert frame.pixels.y[corner] > 200  # the white block of the clip's top left
    assert np.count_nonzero(frame.pixels.y > 200) == pytest.approx(16 * 12, abs=40)


def test_analysis_is_small_of_the_same_aspect_and_not_the_picture_itself(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", width=1280, height=720, frames=1)

    (frame,) = play(clip, FakeClock())

    assert frame.analysis is not None
    assert frame.analysis.shape == (240, 426)
    assert not np.shares_memory(frame.analysis, frame.pixels.y)


def test_analysis_can_be_left_out(tmp_path: Path) -> None:
    camera = VideoFileCamera(write_clip(tmp_path / "a.mkv"), FakeClock(), analyse=False)
    camera.open()

    frame = next(iter(camera.frames()))
    camera.close()

    assert frame.analysis is None


def test_a_picture_that_changes_size_ends_the_session(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "small.ts", codec="libx264", frames=20)
    large = write_clip(tmp_path / "large.ts", codec="libx264", frames=20, width=96, height=64)
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    camera = VideoFileCamera(both, FakeClock())
    camera.open()

    with pytest.raises(CameraChangedError, match="is now 96x64, was 64x48"):
        list(camera.frames())
    camera.close()


def test_a_file_that_breaks_off_ends(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mkv", frames=20)
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])

    frames = play(broken, FakeClock())

    assert 0 < len(frames) < 20


@pytest.mark.parametrize("written", [b"", b"no video at all, but some text", bytes(100_000)])
def test_a_file_without_video_is_an_error(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "odd.mp4"
    path.write_bytes(written)

    with pytest.raises(CameraError):
        VideoFileCamera(path, FakeClock()).open()


def test_a_sound_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=0.1", str(path)], check=True)

    with pytest.raises(CameraError, match="no video stream"):
        VideoFileCamera(path, FakeClock()).open()


def test_a_name_is_never_taken_for_an_address(tmp_path: Path) -> None:
    with pytest.raises(CameraGoneError, match="no such file"):
        VideoFileCamera(Path("tcp://127.0.0.1:9/x"), FakeClock()).open()
    odd = write_clip(tmp_path / "a.mkv").rename(tmp_path / "http:odd%d.mkv")

    assert len(play(odd, FakeClock())) == 5
