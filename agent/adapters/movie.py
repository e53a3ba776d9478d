"""Fragmented MP4 in memory: packets in, fragments out. What every H.264 encoder here ends in.

libav closes a fragment when it is handed the next keyframe, so each comes out one frame
after its last. libav would write a `prft` of its own, but with the time of the call; ours
has the time of the capture.
"""

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

import av

from agent.core.cutting import begins_fragment
from agent.core.mp4 import prft_box, whole_boxes
from agent.core.video import Fragment, MaskedFrame
from agent.errors import EncoderError
from agent.ports import SegmentTags

# One tick a microsecond: what `pts_us` says is what the file says, however uneven the frames.
TIME_BASE = Fraction(1, 1_000_000)
_TRACK_ID = 1  # libav numbers tracks from 1

# empty_moov: the header is complete before the first frame; default_base_moof: a fragment's offsets count
# from its own moof, so boxes may be put between fragments; skip_trailer: the index at the end counts from
# the start of the file, and a file cut short has none anyway.
_MOVFLAGS = "+empty_moov+default_base_moof+frag_keyframe+skip_trailer"


class Movie:
    """One segment's MP4.

    Attributes:
        container: libav's; whoever makes the movie adds its one video stream.

    Args:
        tags: What the MP4 says about itself.
        late_header: The stream's parameter sets come with its first packet, so the header
            must wait for that.
    """

    def __init__(self, tags: SegmentTags, *, late_header: bool) -> None:
        self._in_codec: deque[_Shot] = deque()
        self._in_fragment: list[_Shot] = []
        self._written = bytearray()  # by libav, since the last fragment
        self._origin_us: int | None = None  # pts of the segment's first frame
        options = {"movflags": f"{_MOVFLAGS}+delay_moov" if late_header else _MOVFLAGS, "flush_packets": "1"}
        self.container = av.open(_Sink(self._written), "w", format="mp4", options=options)
        self.container.metadata.update(_metadata(tags))

    def expect(self, frame: MaskedFrame) -> int:
        """Note that `frame` goes into the codec; return its time from the segment's first frame, in microseconds."""
        if self._origin_us is None:
            self._origin_us = frame.pts_us
        pts_us = frame.pts_us - self._origin_us
        self._in_codec.append(_Shot(pts_us, frame.captured_at))
        return pts_us

    @property
    def in_codec(self) -> int:
        """How many frames went into the codec and have not come out."""
        return len(self._in_codec)

    def mux(self, packets: Iterable["av.Packet[av.VideoStream]"]) -> Fragment | None:
        """Take what the codec gave, in its order; return the fragment that it closed, if any."""
        fragments = []
        for packet in packets:
            shot = self._in_codec.popleft()  # without B-frames, packets come in the order of frames
            self.container.mux_one(packet)
            if packet.is_keyframe and self._in_fragment:
                fragments.append(self._take_fragment())
            self._in_fragment.append(shot)
        return _join(fragments)

    def finish(self, packets: Iterable["av.Packet[av.VideoStream]"]) -> Fragment | None:
        """Take the codec's last packets and return the last fragment, if any frame is left for one."""
        before = self.mux(packets)
        self.container.close()
        last = self._take_fragment() if self._in_fragment else None
        return _join([fragment for fragment in (before, last) if fragment is not None])

    def abandon(self) -> None:
        """Let go of everything. Never raises."""
        with suppress(av.FFmpegError):  # it is the end of a segment that nobody will read
            self.container.close()
        self._written.clear()

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


class Cadence:
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


class _Shot(NamedTuple):
    """What a fragment must remember of a frame."""

    pts_us: int  # from the segment's first frame
    captured_at: datetime


class _Sink:
    """The file that libav believes it writes."""

    def __init__(self, written: bytearray) -> None:
        self._written = written

    def write(self, clear: bytes) -> int:
        self._written += clear
        return len(clear)


def _metadata(tags: SegmentTags) -> dict[str, str]:
    first = tags.first_captured_at.isoformat(timespec="microseconds")
    return {"title": tags.camera_id, "comment": tags.layer.value, "date": first, "creation_time": first}


def _join(fragments: list[Fragment]) -> Fragment | None:
    """Return fragments as one; only a codec that holds frames back ever gives several at once."""
    if len(fragments) < 2:  # noqa: PLR2004 - several
        return fragments[0] if fragments else None
    return Fragment(
        clear=b"".join(fragment.clear for fragment in fragments),
        frames=sum(fragment.frames for fragment in fragments),
        first_captured_at=fragments[0].first_captured_at,
        last_captured_at=fragments[-1].last_captured_at,
    )
