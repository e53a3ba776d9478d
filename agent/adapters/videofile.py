"""A video file as a camera: at the pace it was filmed, or as fast as it can be read."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from agent.adapters.libav_source import Instant, LibavCamera, Source, open_source
from agent.errors import CameraGoneError
from agent.ports import Clock

# Frame threading holds a picture in each thread; two keep up with 1080p without costing the memory of eight.
_DECODER_THREADS = 2
_LONGEST_WAIT = timedelta(milliseconds=50)  # so that `close` is noticed between two frames that are far apart


class VideoFileCamera(LibavCamera):
    """Plays a file.

    The first frame is captured "now"; every other follows at the distance it has in
    the file, on both clocks. Paced, a frame is yielded when its time has come; unpaced,
    at once, so that `pts_us` runs ahead of the clock.

    Args:
        path: The file; anything libav reads.
        clock: Where "now" comes from, and who waits.
        paced: Whether to wait for each frame's time.
        loop: Whether to begin again at the end, for ever.
        analyse: Whether frames carry an analysis plane.
    """

    def __init__(
        self, path: Path, clock: Clock, *, paced: bool = True, loop: bool = False, analyse: bool = True
    ) -> None:
        self._path = path
        self._clock = clock
        self._paced = paced
        self._loop = loop
        super().__init__(self._open_file, self._stamp_file, endless=loop, analyse=analyse)

    def _open_file(self) -> Source:
        if not self._path.is_file():  # libav would take a name with a colon for an address
            raise CameraGoneError(f"{self._path}: no such file")
        source = self._from_the_start()
        if self._loop:
            source.decoded = self._again_and_again(source, source.decoded)
        return source

    def _from_the_start(self) -> Source:
        return open_source(f"file:{self._path}", decoder_threads=_DECODER_THREADS)

    def _again_and_again(self, source: Source, decoded: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """Yield the file's frames for ever; runs inside `source.advance`, so nobody else touches the container."""
        while True:
            yield from decoded
            # Opened anew and not rewound: not every format can seek, and every one can be opened.
            source.container.close()
            fresh = self._from_the_start()
            source.container, decoded = fresh.container, fresh.decoded

    def _stamp_file(self, source: Source) -> Callable[[VideoFrame], Instant]:
        timeline = _Timeline(source.mode.rate_hz)
        started_us = self._clock.monotonic_us()
        started_at = self._clock.now()

        def stamp(frame: VideoFrame) -> Instant:
            offset_us = timeline.offset_us(frame)
            pts_us = started_us + offset_us
            if not self._paced:
                return Instant(pts_us, started_at + timedelta(microseconds=offset_us))
            while (left_us := pts_us - self._clock.monotonic_us()) > 0 and not source.shutting.is_set():
                self._clock.wait(min(timedelta(microseconds=left_us), _LONGEST_WAIT))
            # The wall clock is read anew for each frame: a step of it shows in captured_at, never in pts_us.
            late = timedelta(microseconds=self._clock.monotonic_us() - pts_us)
            return Instant(pts_us, self._clock.now() - late)

        return stamp


class _Timeline:
    """Where each frame lies, counted from the first, across rewinds and gaps in a file's own times."""

    def __init__(self, rate_hz: Fraction) -> None:
        self._interval_us = max(1, int(1_000_000 / rate_hz))
        self._base_us = 0  # offset of the file's time zero
        self._next_us = 0  # where a frame belongs that has no time, or one before its predecessor's

    def offset_us(self, frame: VideoFrame) -> int:
        file_us = None
        if frame.pts is not None and frame.time_base is not None:
            file_us = int(frame.pts * frame.time_base * 1_000_000)
        if self._next_us == 0:
            self._base_us = -(file_us or 0)
        offset_us = self._next_us if file_us is None else self._base_us + file_us
        if offset_us <= self._next_us - self._interval_us:  # not after the last one: the file was rewound, or is broken
            self._base_us += self._next_us - offset_us
            offset_us = self._next_us
        self._next_us = offset_us + self._interval_us
        return offset_us
