"""A network camera as the recorder sees it: packets from a Unix socket, decoded here.

The recorder has no network. `agent.adapters.rtsp_feed`, another process, talks to the
camera and hands over its packets; `agent.adapters.feed_wire` is the format, and says
why nothing in it is trusted. What a hostile camera can reach here is one libav decoder
on a short list, with a bound on the picture's size.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from agent.adapters.analysis import shrink
from agent.adapters.feed_wire import Farewell, FeedPacket, Header, Message, WireReader
from agent.adapters.libav_source import camera_error, instant_of, to_i420, upright_size
from agent.core.video import RawFrame, StreamMode
from agent.errors import CameraChangedError, CameraError, CameraGoneError, CameraStalledError
from agent.ports import Clock

_READ_BYTES = 256 * 1024
_GLANCE_S = 0.1  # how soon `close` is noticed while nothing comes
_FIRST_PICTURE_US = 15_000_000  # the feed itself gives a camera 10 s to answer
_RATE_UNTOLD_HZ = Fraction(25)
_MAX_PIXELS = 4096 * 2304  # the largest that any grant could ask for; libav refuses more before it takes memory
_MAX_BROKEN_IN_A_ROW = 100  # four seconds in which no packet can be decoded: the stream is not what it says
_MICROSECOND = Fraction(1, 1_000_000)


class FeedCamera:
    """Decodes what a feed hands over.

    Args:
        socket_path: Where the feed listens.
        clock: The machine's clocks; a frame's capture time is its arrival here, smoothed.
        analyse: Whether frames carry an analysis plane.
    """

    def __init__(self, socket_path: Path, clock: Clock, *, analyse: bool = True) -> None:
        self._path = socket_path
        self._clock = clock
        self._analyse = analyse
        self._session: _Session | None = None

    def open(self) -> StreamMode:
        """Connect and decode as far as the first picture; see `ports.Camera`.

        Raises:
            CameraStalledError: The feed holds the connection and sends no picture.
        """
        self.close()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self._path))
        except OSError as error:
            connection.close()
            raise CameraGoneError(f"no feed at {self._path}: {error.strerror}") from error
        connection.settimeout(_GLANCE_S)
        session = self._session = _Session(connection, self._clock)
        try:
            return session.begin()
        except CameraError:
            session.shut()
            raise

    def frames(self) -> Iterator[RawFrame]:
        """Yield the pictures; see `ports.Camera`."""
        session = self._session
        if session is None or session.mode is None:
            return
        mode, last_us = session.mode, -1
        for decoded in session.pictures:
            if upright_size(decoded) != mode.size:
                raise CameraChangedError(f"the picture is now {upright_size(decoded)}, was {mode.size}")
            instant = instant_of(self._clock, session.captured_us(decoded))
            pixels = to_i420(decoded)
            last_us = max(instant.pts_us, last_us + 1)
            analysis = shrink(pixels.y) if self._analyse else None
            yield RawFrame(pixels=pixels, pts_us=last_us, captured_at=instant.at, analysis=analysis)

    def close(self) -> None:
        """Hang up; see `ports.Camera`."""
        session, self._session = self._session, None
        if session is not None:
            session.shut()


@dataclass(slots=True)
class _Session:
    """One connection. `_reading` keeps `shut` from closing the socket under another thread's read."""

    connection: socket.socket
    clock: Clock
    mode: StreamMode | None = None
    pictures: Iterator[VideoFrame] = field(default_factory=lambda: iter(()))
    _shutting: threading.Event = field(default_factory=threading.Event)
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _offset_us: int | None = None

    def begin(self) -> StreamMode:
        """Read the header and the first picture."""
        messages = self._messages()
        header = next(messages, None)
        if not isinstance(header, Header):
            raise CameraGoneError("the feed hung up before it sent anything")
        decoded = self._decode(header, messages)
        first = next(decoded, None)
        if first is None:
            raise CameraGoneError("the feed was closed before the first picture")
        self.pictures = _prepend(first, decoded)
        self.mode = StreamMode(size=upright_size(first), rate_hz=header.rate_hz or _RATE_UNTOLD_HZ)
        return self.mode

    def shut(self) -> None:
        """End reading. From any thread, any number of times."""
        self._shutting.set()
        with contextlib.suppress(OSError):  # the feed may have hung up first
            self.connection.shutdown(socket.SHUT_RDWR)  # wakes a read
        with self._reading:
            self.connection.close()

    def captured_us(self, frame: VideoFrame) -> int:
        """Return when the frame was captured, on our clock, by the source's clock.

        The distance between the two clocks is followed slowly (a sixty-fourth of the
        deviation each frame), which evens out the network's jitter and follows the drift
        of the camera's crystal; a jump of more than a second is a new beginning.
        """
        now_us = self.clock.monotonic_us()
        if frame.pts is None:
            return now_us
        deviation_us = 0 if self._offset_us is None else now_us - frame.pts - self._offset_us
        if self._offset_us is None or abs(deviation_us) > 1_000_000:  # noqa: PLR2004 - a second
            self._offset_us = now_us - frame.pts
        else:
            self._offset_us += deviation_us // 64
        return min(frame.pts + self._offset_us, now_us)  # nothing is captured after it has arrived

    def _decode(self, header: Header, messages: Iterator[Message]) -> Iterator[VideoFrame]:
        decoder = _decoder(header)
        broken = 0
        for message in messages:
            if not isinstance(message, FeedPacket):
                raise CameraError("the feed sends a second header in one session")
            packet = av.Packet(message.payload)
            packet.pts = packet.dts = message.pts_us
            packet.time_base = _MICROSECOND
            try:
                decoded = decoder.decode(packet)
            except av.InvalidDataError as error:  # a damaged packet costs a picture, not the session
                broken += 1
                if broken > _MAX_BROKEN_IN_A_ROW:
                    raise camera_error("the feed's stream cannot be decoded", error) from error
                continue
            except av.FFmpegError as error:
                raise camera_error("the decoder failed", error) from error
            broken = 0
            yield from decoded

    def _messages(self) -> Iterator[Message]:
        """Yield what the feed sends until `shut`.

        Raises:
            CameraGoneError: The feed hung up; with its reason where it gave one.
        """
        reader = WireReader()
        started_us = self.clock.monotonic_us()
        while (received := self._receive()) is not None:
            for message in reader.push(received):
                if isinstance(message, Farewell):
                    raise CameraGoneError(message.reason)
                yield message
            if self.mode is None and self.clock.monotonic_us() - started_us > _FIRST_PICTURE_US:
                raise CameraStalledError(f"no picture from the feed in {_FIRST_PICTURE_US // 1_000_000} s")

    def _receive(self) -> bytes | None:
        """Return what has come, perhaps nothing yet; None after `shut`."""
        with self._reading:
            if self._shutting.is_set():
                return None
            try:
                received = self.connection.recv(_READ_BYTES)
            except TimeoutError:
                return b""
            except OSError as error:
                raise CameraGoneError(f"the feed's socket failed: {error.strerror}") from error
        if not received and not self._shutting.is_set():
            raise CameraGoneError("the feed hung up")
        return received or None


def _decoder(header: Header) -> VideoCodecContext:
    decoder = CodecContext.create(header.codec, "r")
    if not isinstance(decoder, VideoCodecContext):
        raise CameraError(f"{header.codec} is not a video codec")
    decoder.options = {"max_pixels": str(_MAX_PIXELS)}
    decoder.thread_count = 1  # a thread costs a picture of delay; a live stream needs no more than one
    if header.extradata:
        decoder.extradata = header.extradata
    return decoder


def _prepend(first: VideoFrame, rest: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    yield first
    yield from rest
