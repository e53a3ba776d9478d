"""Join pieces of footage into one MP4 without encoding anything again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from io import BytesIO
from typing import Protocol

import av

from agent.errors import FootageError, MovieFormatError
from provisioning.footage.opening import Piece

_US = timedelta(microseconds=1)
_ISO = "%Y-%m-%dT%H:%M:%S.%fZ"
_STREAMED = {"movflags": "+empty_moov+default_base_moof+frag_keyframe+skip_trailer", "flush_packets": "1"}

GAP = timedelta(seconds=1)  # a segment's end is known to a frame; a second is more than any frame lasts above 1 Hz


class Output(Protocol):
    """Where the MP4 goes: a file, or a pipe."""

    def write(self, clear: bytes, /) -> int:
        """Take some bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch of time that no footage covers.

    Attributes:
        starts_at: Where the footage before it ends.
        length: How long it is; negative where the camera's clock was put back.
    """

    starts_at: datetime
    length: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What was joined.

    Attributes:
        starts_at: Capture time of the first frame.
        ends_at: The end of the last.
        duration: How long the MP4 plays.
        frames: How many frames it holds.
        pieces: From how many segments.
        truncated: How many of those were cut short.
        gaps: What is missing in between.
    """

    starts_at: datetime
    ends_at: datetime
    duration: timedelta
    frames: int
    pieces: int
    truncated: int
    gaps: tuple[Gap, ...]


class Joiner:
    """Writes pieces one after the other, as they come; `close` ends the MP4.

    Args:
        output: Where the MP4 goes.
        title: What the MP4 calls itself.
        seekable: Whether `output` can seek. If so it gets an ordinary MP4, otherwise a
            fragmented one, which plays while it arrives.
        keep_gaps: Whether time without footage stays in the timeline, as a frozen picture.
    """

    def __init__(self, output: Output, *, title: str, seekable: bool, keep_gaps: bool) -> None:
        options = {} if seekable else _STREAMED
        self._output = av.open(output, "w", format="mp4", options=options)
        self._title = title
        self._keep_gaps = keep_gaps
        self._stream: av.VideoStream | None = None
        self._kind: tuple[int, int, bytes] | None = None
        self._pieces: list[Piece] = []
        self._offset = timedelta(0)
        self._gaps: list[Gap] = []

    def add(self, piece: Piece) -> None:
        """Append one piece.

        Raises:
            FootageError: Its picture has another size or coding than those before it.
        """
        try:
            with av.open(BytesIO(piece.clear), "r", format="mp4") as source:
                self._copy(source, piece)
        except (av.FFmpegError, IndexError) as error:  # IndexError: no video in it
            raise MovieFormatError(f"the segment of {piece.captured_at:{_ISO}} cannot be joined: {error}") from error
        self._pieces.append(piece)

    def _copy(self, source: av.container.InputContainer, piece: Piece) -> None:
        stream = source.streams.video[0]
        output = self._begin(stream, piece)
        self._place(piece)
        for packet in _packets(source, stream, self._offset):
            packet.stream = output
            self._output.mux_one(packet)

    def close(self) -> Joined | None:
        """Write what ends the MP4, and return what it holds; None if nothing was added."""
        self._output.close()
        if not self._pieces:
            return None
        first, last = self._pieces[0], self._pieces[-1]
        return Joined(
            starts_at=first.captured_at,
            ends_at=last.ends_at,
            duration=self._offset + last.duration,
            frames=sum(piece.frames for piece in self._pieces),
            pieces=len(self._pieces),
            truncated=sum(piece.truncated for piece in self._pieces),
            gaps=tuple(self._gaps),
        )

    def _begin(self, stream: av.VideoStream, piece: Piece) -> av.VideoStream:
        """Return the output's stream, made like the first piece's, if this piece's fits in it."""
        codec = stream.codec_context
        kind = (codec.width, codec.height, bytes(codec.extradata or b""))
        if self._stream is None:
            self._output.metadata.update({"title": self._title, "creation_time": piece.captured_at.isoformat()})
            self._stream = self._output.add_stream_from_template(stream, opaque=True)
            self._kind = kind
        if kind != self._kind:
            raise FootageError(
                f"from {piece.captured_at:{_ISO}} on, the picture is coded differently"
                f" ({codec.width}x{codec.height}), and one MP4 cannot hold both",
                hint=f"open the two parts with --to and --from {piece.captured_at:{_ISO}}",
            )
        return self._stream

    def _place(self, piece: Piece) -> None:
        """Set where in the timeline the piece starts, and note a gap before it."""
        if not self._pieces:
            return
        before = self._pieces[-1]
        gap = piece.captured_at - before.ends_at
        self._offset += before.duration
        if self._keep_gaps and gap > timedelta(0):
            self._offset += gap
        if abs(gap) >= GAP:
            self._gaps.append(Gap(starts_at=before.ends_at, length=gap))


def _packets(
    source: av.container.InputContainer, stream: av.VideoStream, offset: timedelta
) -> Iterator["av.Packet[av.VideoStream]"]:
    """Yield a piece's packets, the first of them at `offset`."""
    origin: int | None = None
    for packet in source.demux(stream):
        if packet.dts is None or packet.pts is None:  # the empty packet that ends a stream
            continue
        if origin is None:
            origin = packet.dts
        shift = round(Fraction(offset // _US, 1_000_000) / packet.time_base) - origin
        packet.dts += shift
        packet.pts += shift
        yield packet
