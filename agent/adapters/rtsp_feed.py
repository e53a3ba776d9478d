"""The feed: fetches an RTSP camera's packets and hands them to the recorder, undecoded.

It is the process outside the recorder's wall that may reach one address. It listens
on a Unix socket; while the recorder is connected, and only then, it is connected to
the camera. When the camera fails, it tells the recorder why, hangs up, and for the
length of a back-off with full jitter turns the recorder away with the same reason.
`agent.adapters.feed_wire` is what they speak.
"""

import contextlib
import random
import select
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from agent.adapters.atomic_files import storage_error
from agent.adapters.feed_wire import Farewell, FeedPacket, Header, encode
from agent.adapters.libav_source import camera_error
from agent.core.backoff import Backoff
from agent.errors import CameraError, CameraGoneError, UsageError
from agent.ports import Clock

SCHEMES = ("rtsp", "rtsps", "tcp")  # tcp: MPEG-TS from an encoder box, and our tests

_CONNECT_S = 10.0
_SILENCE_S = 5.0  # the recorder calls a camera silent after 3 s; past this the connection itself is dead
_SEND_S = 5.0  # a recorder that does not read for so long is stuck
_GLANCE_S = 0.2
_SOCKET_MODE = 0o600
_STEADY_US = 30_000_000  # a connection that lasted so long was a good one: the back-off starts anew

_ANALYSE_US = 1_000_000  # of stream, to learn its parameters; libav's own 5 s would be 5 s without pictures
_OPTIONS = {"analyzeduration": str(_ANALYSE_US)}
_RTSP_OPTIONS = _OPTIONS | {
    "rtsp_transport": "tcp",  # a lost UDP packet smears one picture over the whole second
    "allowed_media_types": "video",  # audio never enters the building
    "timeout": str(int(_SILENCE_S * 1_000_000)),
}


def without_credentials(url: str) -> str:
    """Return `url` as it may be shown and logged: no user, no password, no query.

    Raises:
        UsageError: It is no address; it is not repeated, for what is malformed may hide a password anywhere.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UsageError("the address is malformed", hint="expected rtsp://user:password@host:port/path") from None
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"


def run_feed(url: str, socket_path: Path, clock: Clock, stop: threading.Event, report: Callable[[str], object]) -> None:
    """Serve the camera at `url` on `socket_path` until `stop`.

    Args:
        url: Its address, of one of `SCHEMES`.
        socket_path: Where to listen; an old socket there is replaced. Its mode is 0600.
        clock: The machine's clocks.
        stop: Ends the feed with the camera's next packet, or after 5 s without one.
        report: Told, in one line each, what happens; never sees a password.

    Raises:
        UsageError: The address has another scheme, or is none.
        StorageError: The socket cannot be made there.
    """
    name = without_credentials(url)
    if urlsplit(url).scheme not in SCHEMES:
        raise UsageError(f"{name}: expected an address that begins with {', '.join(f'{s}://' for s in SCHEMES)}")
    retry = _Retry(clock)
    with _listening(socket_path) as listener:
        report(f"{name}: waiting for the recorder at {socket_path}")
        while not stop.is_set():
            recorder = _accepted(listener)
            if recorder is None:
                continue
            with recorder:
                if retry.refusal is not None:
                    _say_farewell(recorder, retry.refusal)
                    continue
                started_us = clock.monotonic_us()
                try:
                    _forward(url, name, recorder, stop, report)
                except CameraError as error:
                    lasted_us = clock.monotonic_us() - started_us
                    wait = retry.failed(str(error), forgiven=lasted_us >= _STEADY_US)
                    report(f"{error}; trying again in {wait.total_seconds():.1f} s")
                    _say_farewell(recorder, str(error))


class _Retry:
    """When the camera may be tried again, and what to say until then."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._backoff = Backoff()
        self._failures = 0
        self._reason = ""
        self._at_us = 0

    def failed(self, reason: str, *, forgiven: bool) -> timedelta:
        """Note a failure; return how long the camera is left alone."""
        self._failures = 1 if forgiven else self._failures + 1
        wait = self._backoff.delay(self._failures, random.random)
        self._reason = reason
        self._at_us = self._clock.monotonic_us() + wait // timedelta(microseconds=1)
        return wait

    @property
    def refusal(self) -> str | None:
        """Why the camera is not tried now; None if it may be."""
        left_us = self._at_us - self._clock.monotonic_us()
        return f"{self._reason}; trying again in {left_us / 1_000_000:.1f} s" if left_us > 0 else None


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            path.unlink(missing_ok=True)
            # Between bind and chmod the socket has the mode of the umask, but nobody can connect before listen.
            listener.bind(str(path))
            path.chmod(_SOCKET_MODE)
            listener.listen(1)
        except OSError as error:
            raise storage_error("listen at", path, error) from error
        listener.settimeout(_GLANCE_S)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _accepted(listener: socket.socket) -> socket.socket | None:
    try:
        recorder, _ = listener.accept()
    except TimeoutError:
        return None
    recorder.settimeout(_SEND_S)
    return recorder


def _say_farewell(recorder: socket.socket, reason: str) -> None:
    with contextlib.suppress(OSError):  # it may have left already, and then needs no reason
        recorder.sendall(encode(Farewell(reason=reason)))


def _forward(
    url: str, name: str, recorder: socket.socket, stop: threading.Event, report: Callable[[str], object]
) -> None:
    """Connect to the camera and pass its packets on until the recorder leaves or `stop`.

    Raises:
        CameraError: The camera failed.
    """
    rtsp = url.startswith("rtsp")
    options = _RTSP_OPTIONS if rtsp else _OPTIONS
    form = "rtsp" if rtsp else "mpegts"  # told and not guessed: a hostile camera does not choose the demuxer
    try:
        with av.open(url, format=form, options=dict(options), timeout=(_CONNECT_S, _SILENCE_S)) as camera:
            if not camera.streams.video:
                raise CameraError(f"{name}: sends no video")
            stream = camera.streams.video[0]
            report(f"{name}: connected, {stream.codec_context.name} {stream.width}x{stream.height}")
            if _send_all(recorder, _messages(camera, stream, stop)):
                report(f"{name}: the recorder has left")
                return
    except av.FFmpegError as error:
        if _has_left(recorder):  # whom nobody missed while the camera was silent
            report(f"{name}: the recorder has left")
            return
        raise camera_error(name, error) from error
    if not stop.is_set():
        raise CameraGoneError(f"{name}: the camera hung up")


def _messages(camera: InputContainer, stream: VideoStream, stop: threading.Event) -> Iterator[bytes]:
    """Yield the header and then every packet from the first keyframe on."""
    context = stream.codec_context
    rate_hz = stream.average_rate or stream.guessed_rate
    yield encode(Header(codec=context.name, rate_hz=rate_hz or None, extradata=context.extradata or b""))
    begun = False
    for packet in camera.demux(stream):
        if stop.is_set():
            return
        begun = begun or packet.is_keyframe
        time = packet.pts if packet.pts is not None else packet.dts
        if begun and packet.size and time is not None:
            pts_us = int(time * packet.time_base * 1_000_000)
            yield encode(FeedPacket(pts_us=pts_us, keyframe=packet.is_keyframe, payload=bytes(packet)))


def _has_left(recorder: socket.socket) -> bool:
    """Return whether the recorder has hung up. It never sends anything, so that is all its socket can have to tell."""
    readable, _, _ = select.select([recorder], [], [], 0)
    return bool(readable)


def _send_all(recorder: socket.socket, messages: Iterator[bytes]) -> bool:
    """Send them; return whether the recorder left before the camera did."""
    for message in messages:
        try:
            recorder.sendall(message)
        except OSError:  # closed, or has not read for `_SEND_S`: either way this session is over
            return True
    return False
