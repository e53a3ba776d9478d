"""The H.264 encoder in the silicon of Raspberry Pi 4 and Zero 2 W, on the camera's own buffers.

It reads the buffer that the ISP wrote and the masks were written into; no pixel passes
through Python. It takes no other frame than `agent.adapters.picamera` lends. Raspberry
Pi 5 has no such encoder; libav's is for it, and for every other source of frames.

picamera2's encoder works on a thread of its own and calls back with each packet. The
callback only queues the packet; muxing, and all that can fail, happens in `push`.

Not run on a board by the tests: they drive this module with a fake picamera2 whose
encoder reads the fake hardware's memory (tests/fakes/libcamera.py).
"""

import contextlib
import fcntl
import queue
import struct
from collections.abc import Iterator
from typing import Any

import av

from agent.adapters.movie import TIME_BASE, Cadence, Movie
from agent.adapters.picamera import LentPicture
from agent.core.cutting import frames_per_fragment
from agent.core.video import Fragment, MaskedFrame, StreamMode
from agent.errors import EncoderError
from agent.ports import SegmentTags

# linux/videodev2.h and v4l2-controls.h; picamera2 offers no way to ask for a keyframe.
_VIDIOC_S_CTRL = 0xC008561C
_FORCE_KEY_FRAME = 0x009909E5
_CONTROL = struct.Struct("=Ii")

# The codec has 16 buffers and picamera2 waits for one without limit; a codec that keeps so many has stopped.
_MOST_IN_CODEC = 12


class PiHardwareEncoder:
    """Makes segment encoders that share one configuration.

    Args:
        bitrate_kbit: Average bits a second, in thousands.
    """

    def __init__(self, *, bitrate_kbit: int) -> None:
        self._bitrate_kbit = bitrate_kbit

    def start(self, mode: StreamMode, tags: SegmentTags) -> "PiSegmentEncoder":
        """Return an encoder whose first frame is a keyframe, because its codec is started for it.

        Raises:
            EncoderError: picamera2 is not installed, or this board has no such encoder.
        """
        try:
            from picamera2.encoders import H264Encoder  # noqa: PLC0415 - the import opens every /dev/video* of the board
            from picamera2.outputs import Output  # noqa: PLC0415
        except ImportError as error:
            raise EncoderError("picamera2 is not installed") from error
        codec = H264Encoder(
            bitrate=self._bitrate_kbit * 1000,
            repeat=True,  # parameter sets with each keyframe: the MP4's header is made from the first
            iperiod=frames_per_fragment(mode.rate_hz),
            framerate=float(mode.rate_hz),
        )
        arrived: queue.SimpleQueue[_Arrived] = queue.SimpleQueue()
        codec.output = _output_into(arrived, Output)
        return PiSegmentEncoder(codec, arrived, mode, tags)


_Arrived = tuple[bytes, bool]  # a packet's bytes, and whether it is a keyframe


def _output_into(arrived: "queue.SimpleQueue[_Arrived]", output: Any) -> Any:  # noqa: ANN401 - picamera2 ships no types
    """Return a picamera2 output that queues what it is given."""

    class Queue(output):  # type: ignore[misc] # the base is known at run time only
        def outputframe(self, frame: bytes, keyframe: bool = True, *_: object) -> None:
            arrived.put((bytes(frame), keyframe))

    return Queue()


class PiSegmentEncoder:
    """One running segment of one layer."""

    def __init__(
        self,
        codec: Any,  # noqa: ANN401 - picamera2 ships no types
        arrived: "queue.SimpleQueue[_Arrived]",
        mode: StreamMode,
        tags: SegmentTags,
    ) -> None:
        self._codec = codec
        self._arrived = arrived
        self._mode = mode
        self._cadence = Cadence(mode.rate_hz)
        self._times_us: list[int] = []  # of the frames in the codec, as the MP4 counts them
        self._movie = Movie(tags, late_header=False)
        self._stream = self._movie.container.add_mux_stream(
            "h264", width=mode.size.width_px, height=mode.size.height_px, time_base=TIME_BASE
        )

    def push(self, frame: MaskedFrame) -> Fragment | None:
        """Hand one frame's buffer to the codec; return the fragment that came out meanwhile, if any.

        The planes must not be touched afterwards: the hardware reads them.

        Raises:
            EncoderError: The frame is not lent by the camera or not of the agreed size,
                its time does not rise, or the codec has stopped.
        """
        if not isinstance(frame.native, LentPicture):
            raise EncoderError("the Pi's encoder takes frames of the Pi's camera only")
        if frame.pixels.size != self._mode.size:
            raise EncoderError(f"a frame of {frame.pixels.size} in a segment of {self._mode.size}")
        if self._movie.in_codec >= _MOST_IN_CODEC:
            raise EncoderError(f"the Pi's encoder keeps {self._movie.in_codec} frames and returns none")
        keyframe = self._cadence.cuts_before(frame.pts_us)
        request = frame.native.settle()  # before the codec may read: see there
        try:
            if not self._codec.running:
                self._begin(request)
            elif keyframe:
                self._force_keyframe()
            self._times_us.append(self._movie.expect(frame))
            self._codec.encode("main", request)
            return self._movie.mux(self._packets())
        except (RuntimeError, OSError, av.FFmpegError) as error:
            raise EncoderError(f"the Pi's encoder failed: {error}") from error

    def finish(self) -> Fragment | None:
        """Wait for the codec's last packets and return the last fragment, if any frame is left for one."""
        try:
            if self._codec.running:
                self._codec.stop()  # returns when the codec has given everything back
            return self._movie.finish(self._packets())
        except (RuntimeError, OSError, av.FFmpegError) as error:
            raise EncoderError(f"the Pi's encoder failed at the end of the segment: {error}") from error

    def abandon(self) -> None:
        """Let go of the codec without output. Never raises."""
        with contextlib.suppress(RuntimeError, OSError):  # nobody will read this segment
            if self._codec.running:
                self._codec.stop()
        self._movie.abandon()

    def _begin(self, request: Any) -> None:  # noqa: ANN401 - picamera2 ships no types
        """Start the codec for buffers like this one; only a request knows how its lines are padded."""
        stream = request.config["main"]
        self._codec.name = "main"
        self._codec.width, self._codec.height = stream["size"]
        self._codec.format = stream["format"]
        self._codec.stride = stream["stride"]
        self._codec.start()

    def _force_keyframe(self) -> None:
        # A codec that does not know the control keeps its own period, which is ours at the nominal rate.
        with contextlib.suppress(OSError):  # see above: longer fragments, never a clear picture
            fcntl.ioctl(self._codec.vd, _VIDIOC_S_CTRL, _CONTROL.pack(_FORCE_KEY_FRAME, 0))

    def _packets(self) -> Iterator["av.Packet[av.VideoStream]"]:
        """Yield what the codec has given back so far."""
        while True:
            try:
                compressed, keyframe = self._arrived.get_nowait()
            except queue.Empty:
                return
            packet: av.Packet[Any] = av.Packet(compressed)
            packet.stream = self._stream
            packet.time_base = TIME_BASE
            packet.pts = packet.dts = self._times_us.pop(0)
            packet.duration = round(1 / (self._mode.rate_hz * TIME_BASE))
            packet.is_keyframe = keyframe
            yield packet
