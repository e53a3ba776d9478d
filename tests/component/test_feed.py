"""A network camera's pictures reach the recorder through the feed, and its failures reach people."""

import contextlib
import socket
import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice, pairwise
from pathlib import Path

import pytest

from agent.adapters.clock import SystemClock
from agent.adapters.feed import FeedCamera
from agent.adapters.feed_wire import FeedPacket, Header, encode
from agent.adapters.rtsp_feed import run_feed, without_credentials
from agent.core.video import FrameSize
from agent.errors import CameraError, CameraGoneError, CameraStalledError, StorageError, UsageError
from agent.ports import Clock
from tests.fakes.clock import FakeClock
from tests.fakes.network_camera import NetworkCamera
from tests.fakes.rtsp_camera import RtspCamera

WITHIN_S = 60.0  # bounds a hang; measures nothing


class RunningFeed:
    """`run_feed` on a thread, and what it reported."""

    def __init__(self, url: str, path: Path) -> None:
        self.path = path
        self.reports: list[str] = []
        self._reported = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=run_feed, args=(url, path, SystemClock(), self._stop, self._report))
        self._thread.start()
        self.wait_for("waiting for the recorder")

    def _report(self, line: str) -> None:
        with self._reported:
            self.reports.append(line)
            self._reported.notify_all()

    def wait_for(self, part: str) -> None:
        with self._reported:
            assert self._reported.wait_for(lambda: any(part in line for line in self.reports), WITHIN_S), self.reports

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def feeding(url: str, folder: Path) -> Iterator[RunningFeed]:
    feed = RunningFeed(url, folder / "feed.sock")
    try:
        yield feed
    finally:
        feed.stop()


@contextlib.contextmanager
def served(folder: Path, *, hangs_up: bool = False) -> Iterator[NetworkCamera]:
    camera = NetworkCamera(folder, hangs_up=hangs_up)
    try:
        yield camera
    finally:
        camera.close()


def test_pictures_arrive_decoded_and_in_order(tmp_path: Path) -> None:
    with served(tmp_path) as source, feeding(source.url, tmp_path) as feed:
        camera = FeedCamera(feed.path, SystemClock())

        mode = camera.open()
        frames = list(islice(camera.frames(), 20))
        camera.close()

    lumas = [int(frame.pixels.y[-1, -1]) for frame in frames]
    assert mode.size == FrameSize(64, 48)
    assert mode.rate_hz == 10
    assert lumas == pytest.approx([round(16 + (40 + 8 * n) * 219 / 255) for n in range(20)], abs=6)
    assert all(a.pts_us < b.pts_us for a, b in pairwise(frames))


def test_an_rtsp_camera_is_played_with_its_password_and_without_its_sound(tmp_path: Path) -> None:
    with contextlib.closing(RtspCamera(tmp_path)) as source, feeding(source.url, tmp_path) as feed:
        camera = FeedCamera(feed.path, SystemClock())

        mode = camera.open()
        frames = list(islice(camera.frames(), 20))
        camera.close()
        feed.wait_for("the recorder has left")

    assert mode.size == FrameSize(64, 48)
    assert len(frames) == 20
    assert source.tracks == ["video"]
    assert "hunter" not in str(feed.reports)


def test_the_socket_is_the_owners_alone_and_is_taken_away_at_the_end(tmp_path: Path) -> None:
    with feeding("tcp://127.0.0.1:9", tmp_path) as feed:
        mode = feed.path.stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert not feed.path.exists()


def test_the_camera_is_left_alone_while_nobody_records(tmp_path: Path) -> None:
    with served(tmp_path) as source, feeding(source.url, tmp_path) as feed:
        before = source.served
        camera = FeedCamera(feed.path, SystemClock())
        camera.open()
        camera.close()

        assert before == 0
        assert source.served == 1


def test_a_camera_that_hangs_up_is_told_of_and_tried_again_later(tmp_path: Path) -> None:
    with served(tmp_path, hangs_up=True) as source, feeding(source.url, tmp_path) as feed:
        camera = FeedCamera(feed.path, SystemClock())
        camera.open()

        with pytest.raises(CameraGoneError, match="hung up"):
            list(camera.frames())

        feed.wait_for("the camera hung up; trying again in")
        camera.close()


def test_an_absent_camera_is_told_of_by_both_processes(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
    with feeding(url, tmp_path) as feed:
        camera = FeedCamera(feed.path, SystemClock())

        with pytest.raises(CameraGoneError, match="refused"):
            camera.open()

        feed.wait_for("refused; trying again in")


def test_a_recorder_that_comes_back_is_served_again(tmp_path: Path) -> None:
    with served(tmp_path) as source, feeding(source.url, tmp_path) as feed:
        for _ in range(2):
            camera = FeedCamera(feed.path, SystemClock())
            camera.open()
            assert len(list(islice(camera.frames(), 3))) == 3
            camera.close()

        assert source.served == 2


def test_other_addresses_are_refused(tmp_path: Path) -> None:
    for url in ("file:///etc/passwd", "http://camera/", "/dev/video0", "concat:a|b"):
        with pytest.raises(UsageError, match="expected an address"):
            run_feed(url, tmp_path / "feed.sock", FakeClock(), threading.Event(), print)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["rtsp://u:hunter2@camera:99999/x", "rtsp://u:hunter2@[camera/x", "rtsp://u@h:hunter2/"]
)
def test_a_malformed_address_is_refused_without_being_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="malformed") as refused:
        run_feed(url, tmp_path / "feed.sock", FakeClock(), threading.Event(), print)

    assert "hunter2" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot listen at"):
        run_feed("rtsp://camera/x", tmp_path / "absent" / "feed.sock", FakeClock(), threading.Event(), print)


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    url = "rtsp://admin:hunter2@127.0.0.1:9/stream?token=hunter3"
    with feeding(url, tmp_path) as feed:
        with pytest.raises(CameraError) as refusal:
            FeedCamera(feed.path, SystemClock()).open()
        feed.wait_for("trying again")

    assert without_credentials(url) == "rtsp://127.0.0.1:9/stream"
    assert "hunter" not in f"{feed.reports} {refusal.value}"


@contextlib.contextmanager
def hostile(folder: Path, *sent: bytes, clock: Clock | None = None) -> Iterator[FeedCamera]:
    """A camera whose feed sends these bytes and waits."""
    path = folder / "hostile.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"".join(sent))
                connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        camera = FeedCamera(path, clock or SystemClock())
        try:
            yield camera
        finally:
            camera.close()
            thread.join(WITHIN_S)


H264 = encode(Header(codec="h264", rate_hz=None, extradata=b""))
NOISE = encode(FeedPacket(pts_us=0, keyframe=True, payload=b"\x00\x00\x00\x01\x65" + b"\xa5" * 500))


@pytest.mark.parametrize(
    "sent",
    [
        [b"GET / HTTP/1.1\r\n\r\n" * 100],
        [NOISE],
        [H264, H264],
        [H264, *[NOISE] * 200],
        [encode(Header(codec="h264", rate_hz=None, extradata=b"\x01\x64" * 3000)), *[NOISE] * 200],
        [encode(Header(codec="mjpeg", rate_hz=None, extradata=b"")), *[NOISE] * 200],
        [H264, b"\xff\xff\xff\xff"],
    ],
    ids=["not the format", "no header", "two headers", "noise", "noise as extradata", "not jpeg", "endless message"],
)
def test_a_hostile_feed_is_a_camera_error_and_nothing_else(tmp_path: Path, sent: list[bytes]) -> None:
    with hostile(tmp_path, *sent) as camera:
        with pytest.raises(CameraError):
            camera.open()

        assert list(camera.frames()) == []


def test_a_feed_that_sends_nothing_is_given_up(tmp_path: Path) -> None:
    class Impatient(FakeClock):
        def monotonic_us(self) -> int:
            self.advance(timedelta(seconds=6))
            return super().monotonic_us()

    with (
        hostile(tmp_path, H264, clock=Impatient()) as camera,
        pytest.raises(CameraStalledError, match="no picture from the feed in 15 s"),
    ):
        camera.open()
