"""What video files, V4L2 devices and network feeds have in common: pictures decoded by libav.

A decoded frame is copied once, plane by plane, from the decoder's padded buffer
into a packed I420 picture that the caller owns. On the way it is turned upright
(the display matrix of phones and some cameras), cropped to even sides, and, if it
is not video-range 4:2:0 already, converted.
"""

import errno
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from agent.adapters.analysis import shrink
from agent.core.video import I420, FrameSize, RawFrame, StreamMode
from agent.errors import CameraChangedError, CameraError, CameraGoneError
from agent.ports import Clock

_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENOTDIR})
_QUARTER_TURN = 90
_HD_LINES = 720  # from here on pictures are taken for BT.709, below for BT.601, as everywhere in this recorder
_RATE_UNKNOWN_HZ = Fraction(25)  # streams that tell no rate are mostly MJPEG over HTTP at about this


def camera_error(name: str, error: av.FFmpegError) -> CameraError:
    """Return our error for libav's, by its errno; without libav's message, which quotes addresses with passwords."""
    kind = CameraGoneError if error.errno in _GONE else CameraError
    return kind(f"{name}: {error.strerror or type(error).__name__}")


def quarter_turns(frame: VideoFrame) -> int:
    """Return by how many quarter turns counter-clockwise the frame must be turned to stand upright.

    Raises:
        CameraError: The stream asks for another angle, at which no zone would fit.
    """
    if frame.rotation % _QUARTER_TURN:
        raise CameraError(f"the stream is to be shown turned by {frame.rotation} degrees, expected a multiple of 90")
    return frame.rotation // _QUARTER_TURN % 4


def upright_size(frame: VideoFrame) -> FrameSize:
    """Return the size of the frame after turning and cropping to even sides."""
    width, height = (frame.width, frame.height) if quarter_turns(frame) % 2 == 0 else (frame.height, frame.width)
    return FrameSize(width & ~1, height & ~1)


def to_i420(frame: VideoFrame) -> I420:
    """Return a packed, upright copy of a decoded frame."""
    turns = quarter_turns(frame)
    picture = I420.blank(upright_size(frame))
    if frame.format.name != "yuv420p" or frame.color_range == ColorRange.JPEG:
        matrix = Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601
        frame = frame.reformat(
            format="yuv420p",
            dst_color_range=ColorRange.MPEG,
            dst_colorspace=matrix if frame.format.is_rgb else None,  # as encoders will label it
        )
    for target, plane in zip((picture.y, picture.u, picture.v), frame.planes, strict=True):
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        height, width = target.shape
        np.copyto(target, np.rot90(lines, turns)[:height, :width])
    return picture


@dataclass(slots=True)
class Source:
    """One opened libav input, which exactly one thread at a time may advance.

    `shut` may come from any thread: it closes the input at once if nobody is
    inside libav, and otherwise leaves that to whoever is.
    """

    name: str
    container: InputContainer
    mode: StreamMode
    decoded: Iterator[VideoFrame]
    lock: threading.Lock
    shutting: threading.Event

    def advance(self) -> VideoFrame | None:
        """Return the next decoded frame; None at the end of the source or after `shut`.

        Raises:
            CameraError: The source failed.
            CameraChangedError: The picture has another size than when it was opened.
        """
        failure: av.FFmpegError | None = None
        frame: VideoFrame | None = None
        with self.lock:
            try:
                frame = None if self.shutting.is_set() else next(self.decoded, None)
            except av.FFmpegError as error:
                failure = error
        if self.shutting.is_set():  # perhaps while this thread was inside libav; then closing fell to it
            self.shut()
            return None
        if failure is not None:
            raise camera_error(self.name, failure) from failure
        if frame is not None and upright_size(frame) != self.mode.size:
            raise CameraChangedError(f"{self.name}: the picture is now {upright_size(frame)}, was {self.mode.size}")
        return frame

    def shut(self) -> None:
        """Close the input as soon as nobody is inside libav."""
        self.shutting.set()
        if self.lock.acquire(blocking=False):
            try:
                self.container.close()
            finally:
                self.lock.release()


def open_source(
    url: str,
    *,
    input_format: str | None = None,
    options: Mapping[str, str] | None = None,
    decoder_threads: int = 1,
    timeout_s: float | None = None,
) -> Source:
    """Open `url` with libav and decode as far as its first picture.

    Args:
        url: A path, device or address.
        input_format: libav's name of the demuxer; None lets it guess.
        options: Options of the demuxer.
        decoder_threads: More than one buys speed with a picture of delay and memory each.
        timeout_s: Longest wait for the network, where there is one.

    Raises:
        CameraGoneError: There is nothing at `url`.
        CameraError: It holds no video that can be decoded.
    """
    try:
        container = av.open(url, format=input_format, options=dict(options or {}), timeout=timeout_s)
    except av.FFmpegError as error:
        raise camera_error(url, error) from error
    try:
        return _first_picture(url, container, decoder_threads)
    except av.FFmpegError as error:
        container.close()
        raise camera_error(url, error) from error
    except CameraError:
        container.close()
        raise


def _first_picture(url: str, container: InputContainer, decoder_threads: int) -> Source:
    if not container.streams.video:
        raise CameraError(f"{url}: holds no video stream")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = decoder_threads
    decoded = container.decode(stream)
    first = next(decoded, None)
    if first is None:
        raise CameraError(f"{url}: holds no picture")
    # An average is missing from live streams, and a file's may be of no use (0/1 in some GIFs).
    rate_hz = stream.average_rate or stream.guessed_rate or _RATE_UNKNOWN_HZ
    return Source(
        name=url,
        container=container,
        mode=StreamMode(
            size=upright_size(first),
            rate_hz=Fraction(rate_hz),
            rotation_degrees=-quarter_turns(first) * _QUARTER_TURN % 360,
        ),
        decoded=_prepend(first, decoded),
        lock=threading.Lock(),
        shutting=threading.Event(),
    )


def _prepend(first: VideoFrame, rest: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    yield first
    yield from rest


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks."""

    pts_us: int
    at: datetime


def instant_of(clock: Clock, pts_us: int) -> Instant:
    """Return the moment `pts_us` of the monotonic clock on both, by what the wall clock says now."""
    return Instant(pts_us, clock.now() - timedelta(microseconds=clock.monotonic_us() - pts_us))


class LibavCamera:
    """A `Camera` over one libav source; what differs between sources comes in as two functions.

    Args:
        opener: Opens the source.
        stamp: Returns a function that gives each decoded frame of one session its instant.
        endless: Whether the source ending is a failure (a device) or just its end (a file).
        analyse: Whether frames carry an analysis plane; it costs a tenth of an encode.
    """

    def __init__(
        self,
        opener: Callable[[], Source],
        stamp: Callable[[Source], Callable[[VideoFrame], Instant]],
        *,
        endless: bool,
        analyse: bool,
    ) -> None:
        self._opener = opener
        self._stamp = stamp
        self._endless = endless
        self._analyse = analyse
        self._source: Source | None = None

    def open(self) -> StreamMode:
        """Open the source and return its mode; see `ports.Camera`."""
        self.close()
        self._source = self._opener()
        return self._source.mode

    def frames(self) -> Iterator[RawFrame]:
        """Yield its pictures; see `ports.Camera`."""
        source = self._source
        if source is None:
            return
        stamp = self._stamp(source)
        last_us = -1
        while (decoded := source.advance()) is not None:
            instant = stamp(decoded)
            if source.shutting.is_set():  # closed while the stamp waited for the frame's time to come
                return
            pixels = to_i420(decoded)
            last_us = max(instant.pts_us, last_us + 1)
            analysis = shrink(pixels.y) if self._analyse else None
            yield RawFrame(pixels=pixels, pts_us=last_us, captured_at=instant.at, analysis=analysis)
        if self._endless and not source.shutting.is_set():
            raise CameraGoneError(f"{source.name}: stopped delivering")

    def close(self) -> None:
        """Give the source back; see `ports.Camera`."""
        source, self._source = self._source, None
        if source is not None:
            source.shut()
