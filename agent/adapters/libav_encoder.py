"""H.264 into fragmented MP4, through libav; the bytes never leave memory here.

x264 on processors, `h264_v4l2m2m` where the board has a V4L2 encoder (Raspberry Pi 4,
Zero 2 W). A fragment starts at a keyframe that we ask for, frame by frame, by the rule
of `agent.core.cutting`.
"""

from dataclasses import dataclass
from typing import Literal

import av
import numpy as np
from av.video.frame import PictureType

from agent.adapters.movie import TIME_BASE, Cadence, Movie
from agent.core.cutting import frames_per_fragment
from agent.core.video import I420, Fragment, MaskedFrame, StreamMode
from agent.errors import EncoderError
from agent.ports import SegmentTags

_HD_LINES = 720  # from here on BT.709, below SMPTE 170M: what libcamera's and V4L2's defaults deliver
_BT709, _SMPTE170M = 1, 6  # ISO/IEC 23091-2 code points; the same for primaries, transfer and matrix
_TV_RANGE = 1  # AVCOL_RANGE_MPEG


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """How to encode; all segments of all layers share it.

    Attributes:
        codec: libav's name of the encoder.
        bitrate_kbit: Average and, over one second, most bits a second, in thousands.
        preset: x264's speed; no effect on other encoders.
        threads: x264's threads, each a slice of the picture. Two cost 2 MB and a seventh more
            CPU time than one (1080p, ultrafast, x86-64); they pay only where one is too slow.
    """

    codec: Literal["libx264", "h264_v4l2m2m"] = "libx264"
    bitrate_kbit: int = 4000
    preset: Literal["ultrafast", "superfast", "veryfast"] = "ultrafast"
    threads: int = 1


class LibavEncoder:
    """Makes segment encoders that share `settings`."""

    def __init__(self, settings: EncoderSettings) -> None:
        self._settings = settings

    def start(self, mode: StreamMode, tags: SegmentTags) -> "LibavSegmentEncoder":
        """Return an encoder whose first frame is a keyframe.

        Raises:
            EncoderError: The codec is not there or refuses this size or rate.
        """
        return LibavSegmentEncoder(self._settings, mode, tags)


class LibavSegmentEncoder:
    """One running segment of one layer."""

    def __init__(self, settings: EncoderSettings, mode: StreamMode, tags: SegmentTags) -> None:
        self._mode = mode
        self._cadence = Cadence(mode.rate_hz)
        try:
            # A V4L2 encoder tells its parameter sets with the first keyframe only.
            self._movie = Movie(tags, late_header=settings.codec != "libx264")
            self._stream = self._movie.container.add_stream(
                settings.codec, rate=mode.rate_hz, options=_codec_options(settings, mode)
            )
            _describe(self._stream.codec_context, mode)
            self._movie.container.start_encoding()
        except (av.FFmpegError, ValueError, OverflowError) as error:
            raise EncoderError(f"{settings.codec} cannot encode {mode.size} at {mode.rate_hz} Hz: {error}") from error

    def push(self, frame: MaskedFrame) -> Fragment | None:
        """Encode one frame; return the fragment it completed, if any.

        The planes may be written to again when this returns: encoders copy them first thing.

        Raises:
            EncoderError: The frame is not of the agreed size, its time does not rise, or
                the codec refused it; the segment is lost from here on.
        """
        if frame.pixels.size != self._mode.size:
            raise EncoderError(f"a frame of {frame.pixels.size} in a segment of {self._mode.size}")
        picture = _picture(frame.pixels)
        picture.pict_type = PictureType.I if self._cadence.cuts_before(frame.pts_us) else PictureType.NONE
        picture.time_base = TIME_BASE
        picture.pts = self._movie.expect(frame)
        picture.duration = round(1 / (self._mode.rate_hz * TIME_BASE))  # counts for a fragment's last frame only
        try:
            return self._movie.mux(self._stream.encode(picture))
        except av.FFmpegError as error:
            raise EncoderError(f"the encoder failed {picture.pts} us into the segment: {error}") from error

    def finish(self) -> Fragment | None:
        """Drain the codec and return the last fragment, if any frame is left in it.

        Raises:
            EncoderError: The codec failed; what it still held is lost.
        """
        try:
            return self._movie.finish(self._stream.encode(None))
        except av.FFmpegError as error:
            raise EncoderError(f"the encoder failed at the end of the segment: {error}") from error

    def abandon(self) -> None:
        """Let go of the codec without output. Never raises."""
        self._movie.abandon()


def _codec_options(settings: EncoderSettings, mode: StreamMode) -> dict[str, str]:
    options = {
        "b": f"{settings.bitrate_kbit}k",
        "g": str(frames_per_fragment(mode.rate_hz)),  # never reached: we ask for each keyframe
        "bf": "0",
    }
    if settings.codec == "libx264":
        options |= {
            "preset": settings.preset,
            "tune": "zerolatency",  # no lookahead and sliced threads: a frame in, its packet out
            "forced-idr": "1",
            "sc_threshold": "0",
            "threads": str(settings.threads),
            "maxrate": f"{settings.bitrate_kbit}k",
            "bufsize": f"{settings.bitrate_kbit}k",  # one second: about a fragment, so that each is of like size
        }
    return options


def _describe(codec: av.VideoCodecContext, mode: StreamMode) -> None:
    codec.width, codec.height = mode.size.width_px, mode.size.height_px
    codec.pix_fmt = "yuv420p"
    codec.time_base = TIME_BASE
    codec.framerate = mode.rate_hz
    code_point = _BT709 if mode.size.height_px >= _HD_LINES else _SMPTE170M
    codec.color_primaries = codec.color_trc = codec.colorspace = code_point
    codec.color_range = _TV_RANGE


def _picture(pixels: I420) -> av.VideoFrame:
    """Return the picture as libav's, sharing memory where it lies as libav would lay it."""
    # PyAV takes 405 rows for a picture of 268 lines, not 270, and then finds the colours in the wrong place.
    if pixels.packed is not None and pixels.size.height_px % 4 == 0:
        return av.VideoFrame.from_numpy_buffer(pixels.packed, "yuv420p")
    picture = av.VideoFrame(pixels.size.width_px, pixels.size.height_px, "yuv420p")
    for plane, target in zip((pixels.y, pixels.u, pixels.v), picture.planes, strict=True):
        rows, width = plane.shape
        np.frombuffer(memoryview(target), np.uint8).reshape(rows, target.line_size)[:, :width] = plane
    return picture
