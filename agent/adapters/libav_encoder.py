"""H.264 into fragmented MP4, through libav; the bytes never leave memory here.

x264 on processors, `h264_v4l2m2m` where the board has a V4L2 encoder (Raspberry Pi 4,
Zero 2 W). A fragment starts at a keyframe that we ask for, frame by frame, by the rule
of `agent.core.cutting`; libav closes a fragment when it is handed the next keyframe, so
each comes out one frame after its last. libav would write a `prft` of its own, but with
the time of the call; ours has the time of the capture.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Literal, NamedTuple

import av
import numpy as np
from av.video.frame import PictureType

from agent.core.cutting import begins_fragment, frames_per_fragment
from agent.core.mp4 import prft_box, whole_boxes
from agent.core.video import I420, Fragment, MaskedFrame, StreamMode
from agent.errors import EncoderError
from agent.ports import SegmentTags

# One tick a microsecond: what `pts_us` says is what the file says, however uneven the frames.
_TIME_BASE = Fraction(1, 1_000_000)
_TRACK_ID = 1  # libav numbers tracks from 1

# empty_moov: the header is complete before the first frame; default_base_moof: a fragment's offsets count
# from its own moof, so boxes may be put between fragments; skip_trailer: the index at the end counts from
# the start of the file, and a file cut short has none anyway.
_MOVFLAGS = "+empty_moov+default_base_moof+frag_keyframe+skip_trailer"

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
        self._cadence = _Cadence(mode.rate_hz)
        self._origin_us: int | None = None  # pts of the segment's first frame
        self._in_codec: deque[_Shot] = deque()
        self._in_fragment: list[_Shot] = []
        self._written = bytearray()  # by libav, since the last fragment
        try:
            self._container = av.open(_Sink(self._written), "w", format="mp4", options=_container_options(settings))
            self._container.metadata.update(_metadata(tags))
            self._stream = self._container.add_stream(
                settings.codec, rate=mode.rate_hz, options=_codec_options(settings, mode)
            )
            _describe(self._stream.codec_context, mode)
            self._container.start_encoding()
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
        if self._origin_us is None:
            self._origin_us = frame.pts_us
        picture = _picture(frame.pixels)
        picture.time_base = _TIME_BASE
        picture.pts = frame.pts_us - self._origin_us
        picture.duration = round(1 / (self._mode.rate_hz * _TIME_BASE))  # counts for a fragment's last frame only
        picture.pict_type = PictureType.I if self._cadence.cuts_before(frame.pts_us) else PictureType.NONE
        self._in_codec.append(_Shot(picture.pts, frame.captured_at))
        try:
            return _join(self._mux(self._stream.encode(picture)))
        except av.FFmpegError as error:
            raise EncoderError(f"the encoder failed {picture.pts} us into the segment: {error}") from error

    def finish(self) -> Fragment | None:
        """Drain the codec and return the last fragment, if any frame is left in it.

        Raises:
            EncoderError: The codec failed; what it still held is lost.
        """
        try:
            fragments = self._mux(self._stream.encode(None))
            self._container.close()
        except av.FFmpegError as error:
            raise EncoderError(f"the encoder failed at the end of the segment: {error}") from error
        if self._in_fragment:
            fragments.append(self._take_fragment())
        return _join(fragments)

    def abandon(self) -> None:
        """Let go of the codec without output. Never raises."""
        with suppress(av.FFmpegError):  # it is the end of a segment that nobody will read
            self._container.close()
        self._written.clear()

    def _mux(self, packets: Sequence["av.Packet[av.VideoStream]"]) -> list[Fragment]:
        """Hand packets to the muxer and return the fragments that it closed."""
        fragments = []
        for packet in packets:
            shot = self._in_codec.popleft()  # without B-frames, packets come in the order of frames
            self._container.mux_one(packet)
            if packet.is_keyframe and self._in_fragment:
                fragments.append(self._take_fragment())
            self._in_fragment.append(shot)
        return fragments

    def _take_fragment(self) -> Fragment:
        """Return what libav wrote as one fragment, with the capture time put in."""
        clear = bytes(self._written)
        self._written.clear()
        shots, self._in_fragment = self._in_fragment, []
        moof = next(box.start for box in whole_boxes(clear) if box.kind == b"moof")
        prft = prft_box(track_id=_TRACK_ID, captured_at=shots[0].captured_at, media_time=shots[0].pts_us)
        return Fragment(
            clear=b"".join((clear[:moof], prft, clear[moof:])),
            frames=len(shots),
            first_captured_at=shots[0].captured_at,
            last_captured_at=shots[-1].captured_at,
        )


class _Shot(NamedTuple):
    """What a fragment must remember of a frame."""

    pts_us: int  # from the segment's first frame
    captured_at: datetime


class _Cadence:
    """Says which frames start a fragment."""

    def __init__(self, rate_hz: Fraction) -> None:
        self._rate_hz = rate_hz
        self._first_pts_us = 0
        self._last_pts_us: int | None = None
        self._frames = 0

    def cuts_before(self, pts_us: int) -> bool:
        """Tell whether the next frame starts a fragment, and count it.

        Raises:
            EncoderError: Its time does not rise.
        """
        if self._last_pts_us is not None and pts_us <= self._last_pts_us:
            raise EncoderError(f"a frame at {pts_us} us, after one at {self._last_pts_us} us")
        cut = begins_fragment(
            frames=self._frames, first_pts_us=self._first_pts_us, pts_us=pts_us, rate_hz=self._rate_hz
        )
        if cut:
            self._first_pts_us, self._frames = pts_us, 0
        self._frames += 1
        self._last_pts_us = pts_us
        return cut


class _Sink:
    """The file that libav believes it writes."""

    def __init__(self, written: bytearray) -> None:
        self._written = written

    def write(self, clear: bytes) -> int:
        self._written += clear
        return len(clear)


def _container_options(settings: EncoderSettings) -> dict[str, str]:
    # A V4L2 encoder tells its parameter sets with the first keyframe only, so the header must wait for that.
    movflags = _MOVFLAGS if settings.codec == "libx264" else f"{_MOVFLAGS}+delay_moov"
    return {"movflags": movflags, "flush_packets": "1"}


def _metadata(tags: SegmentTags) -> dict[str, str]:
    first = tags.first_captured_at.isoformat(timespec="microseconds")
    return {"title": tags.camera_id, "comment": tags.layer.value, "date": first, "creation_time": first}


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
    codec.time_base = _TIME_BASE
    codec.framerate = mode.rate_hz
    code_point = _BT709 if mode.size.height_px >= _HD_LINES else _SMPTE170M
    codec.color_primaries = codec.color_trc = codec.colorspace = code_point
    codec.color_range = _TV_RANGE


def _picture(pixels: I420) -> av.VideoFrame:
    """Return the picture as libav's, sharing memory where it lies as libav would lay it."""
    if pixels.packed is not None:
        return av.VideoFrame.from_numpy_buffer(pixels.packed, "yuv420p")
    picture = av.VideoFrame(pixels.size.width_px, pixels.size.height_px, "yuv420p")
    for plane, target in zip((pixels.y, pixels.u, pixels.v), picture.planes, strict=True):
        rows, width = plane.shape
        np.frombuffer(memoryview(target), np.uint8).reshape(rows, target.line_size)[:, :width] = plane
    return picture


def _join(fragments: Sequence[Fragment]) -> Fragment | None:
    """Return fragments as one; only a codec that holds frames back ever gives several at once."""
    if len(fragments) < 2:  # noqa: PLR2004 - several
        return fragments[0] if fragments else None
    return Fragment(
        clear=b"".join(fragment.clear for fragment in fragments),
        frames=sum(fragment.frames for fragment in fragments),
        first_captured_at=fragments[0].first_captured_at,
        last_captured_at=fragments[-1].last_captured_at,
    )
