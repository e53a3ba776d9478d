"""The boxes of a fragmented MP4: build the few that libav does not, and read back what a segment says.

ISO/IEC 14496-12 throughout. A *box* is a 32-bit size, a four-letter kind, and a body;
a *fragment* is one `moof` with its `mdat`, here preceded by a `prft` that tells when its
first frame was captured. A segment is `ftyp moov (prft moof mdat free?)*`.

Pure, and written for hostile bytes: whatever the input, a function returns or raises
`MovieFormatError`, reads no byte outside its bounds, and takes time linear in the input.
A segment that a power cut shortened is not hostile: `read_movie` says where its last
whole fragment ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import TypeAlias

from agent.errors import MovieFormatError

Bytes: TypeAlias = bytes | bytearray | memoryview  # `type` statements need Python 3.12

_U32 = Struct(">I")
_U64 = Struct(">Q")
_HEADER = Struct(">I4s")
_PRFT = Struct(">I4sIIQQ")

_HEADER_BYTES = _HEADER.size
_LARGE_SIZE = 1  # the real size follows the kind, in 64 bits
_TO_THE_END = 0  # legal for the last box of a file; no segment has one, for it could not be told from a cut
_LARGEST_SMALL = 2**32 - 1

_PRFT_VERSION_1_CAPTURED = 0x01_000018  # 8.16.5: 64-bit media time; flags 24, the time is that of the capture
_NTP_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)
_NTP_ERA_S = 2**32  # RFC 4330 section 3: a clear top bit means the era that starts in 2036
_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Box:
    """Where one box lies in the bytes it was found in.

    Attributes:
        kind: Its four letters.
        start: Offset of its header.
        body: Offset of what follows the header.
        end: Offset of the first byte after it.
    """

    kind: bytes
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieFragment:
    """One whole fragment of a segment.

    Attributes:
        start: Offset of its `prft` (of its `moof`, where there is none).
        end: Offset of the first byte after its `mdat`.
        captured_at: When its first frame was captured, aware UTC; None without a `prft`.
        decode_time: Its first frame's time, in ticks of the movie's timescale.
        duration: How long its frames last together, in ticks.
        frames: How many there are.
    """

    start: int
    end: int
    captured_at: datetime | None
    decode_time: int
    duration: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Movie:
    """What a segment says about itself.

    Attributes:
        header_end: Offset of the first byte after `moov`.
        track_id: Id of its one track.
        timescale: Ticks a second.
        tags: The text of its `ilst`, by four-letter kind.
        fragments: The whole fragments, in order.
        whole_bytes: Offset of the first byte after the last whole fragment (and the
            padding that follows it); what comes later is a fragment cut short.
    """

    header_end: int
    track_id: int
    timescale: int
    tags: dict[str, str]
    fragments: tuple[MovieFragment, ...]
    whole_bytes: int

    @property
    def frames(self) -> int:
        """How many frames the whole fragments hold."""
        return sum(fragment.frames for fragment in self.fragments)

    @property
    def duration(self) -> timedelta:
        """From the first frame to the end of the last whole fragment."""
        if not self.fragments:
            return timedelta(0)
        first, last = self.fragments[0], self.fragments[-1]
        ticks = last.decode_time + last.duration - first.decode_time
        return ticks * 1_000_000 // self.timescale * _US


# --- building -----------------------------------------------------------------


def free_box(size_bytes: int) -> bytes:
    """Return a `free` box of exactly `size_bytes`, zeros inside; players skip it.

    Raises:
        ValueError: Fewer than the 8 bytes of a header, or more than 32 bits can tell.
    """
    if not _HEADER_BYTES <= size_bytes <= _LARGEST_SMALL:
        raise ValueError(f"a free box of {size_bytes} bytes, expected {_HEADER_BYTES} to {_LARGEST_SMALL}")
    return _HEADER.pack(size_bytes, b"free") + bytes(size_bytes - _HEADER_BYTES)


def prft_box(*, track_id: int, captured_at: datetime, media_time: int) -> bytes:
    """Return the `prft` box that ties a fragment's first frame to the wall clock.

    Args:
        track_id: Track the fragment belongs to.
        captured_at: When that frame was captured, aware.
        media_time: The same instant in ticks of the track.
    """
    return _PRFT.pack(
        _PRFT.size, b"prft", _PRFT_VERSION_1_CAPTURED, track_id, _ntp_from_datetime(captured_at), media_time
    )


def _ntp_from_datetime(at: datetime) -> int:
    seconds, us = divmod((at - _NTP_EPOCH) // _US, 1_000_000)
    # Rounded up: the reader rounds down, and gets the same microsecond back.
    return (seconds % _NTP_ERA_S) << 32 | -(-(us << 32) // 1_000_000)


def _datetime_from_ntp(ntp: int) -> datetime:
    seconds, fraction = divmod(ntp, 2**32)
    if seconds < _NTP_ERA_S // 2:
        seconds += _NTP_ERA_S
    return _NTP_EPOCH + timedelta(seconds=seconds, microseconds=fraction * 1_000_000 >> 32)


# --- walking ------------------------------------------------------------------


def walk(data: Bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Yield the boxes that fill `data[start:end]`, not those inside them.

    Raises:
        MovieFormatError: A box is smaller than its header or runs past the end.
    """
    stop = len(data) if end is None else end
    at = start
    while at < stop:
        box = _box_at(data, at, stop)
        if box is None:
            raise MovieFormatError(f"the box at byte {at} runs past byte {stop}, where what holds it ends")
        yield box
        at = box.end


def whole_boxes(data: Bytes) -> Iterator[Box]:
    """Yield the boxes at the top of `data`, up to the first that is not wholly there.

    Raises:
        MovieFormatError: A box is smaller than its header.
    """
    at = 0
    while box := _box_at(data, at, len(data)):
        yield box
        at = box.end


def _box_at(data: Bytes, at: int, stop: int) -> Box | None:
    """Return the box at `at`, or None if it does not end by `stop`."""
    if stop - at < _HEADER_BYTES:
        return None
    size, kind = _HEADER.unpack_from(data, at)
    body = at + _HEADER_BYTES
    if size == _LARGE_SIZE:
        if stop - body < _U64.size:
            return None
        (size,) = _U64.unpack_from(data, body)
        body += _U64.size
    if size < body - at:
        claim = "to the end of the file" if size == _TO_THE_END else f"of {size} bytes"
        raise MovieFormatError(f"a box {claim} at byte {at}, expected at least its header")
    return Box(kind, at, body, at + size) if size <= stop - at else None


def _child(data: Bytes, parent: Box, *path: bytes) -> Box:
    """Return the first box at `path` inside `parent`."""
    for kind in path:
        found = next((box for box in walk(data, parent.body, parent.end) if box.kind == kind), None)
        if found is None:
            raise MovieFormatError(f"no {_name(kind)} box in the {_name(parent.kind)} box at byte {parent.start}")
        parent = found
    return parent


def _name(kind: bytes) -> str:
    return kind.decode("latin-1").encode("unicode_escape").decode()


class _Fields:
    """The body of one full box, read front to back and never past its end."""

    def __init__(self, data: Bytes, box: Box) -> None:
        self._data, self._box, self._at = data, box, box.body
        version_and_flags = self.u32()
        self.version, self.flags = version_and_flags >> 24, version_and_flags & 0xFFFFFF

    def u32(self) -> int:
        return self._take(_U32)

    def u64(self) -> int:
        return self._take(_U64)

    def word(self) -> int:
        """Return 64 bits from version 1 on, 32 before; the usual shape of a time."""
        return self.u64() if self.version else self.u32()

    def optional(self, flag: int) -> int | None:
        return self.u32() if self.flags & flag else None

    def skip(self, size_bytes: int) -> None:
        self._at += size_bytes

    def require(self, size_bytes: int) -> None:
        if self._box.end - self._at < size_bytes:
            raise MovieFormatError(f"the {_name(self._box.kind)} box at byte {self._box.start} is cut short")

    def _take(self, number: Struct) -> int:
        self.require(number.size)
        value: int = number.unpack_from(self._data, self._at)[0]
        self._at += number.size
        return value


# --- reading ------------------------------------------------------------------


def read_movie(data: Bytes) -> Movie:
    """Return what the segment in `data` says; it may end in a fragment cut short.

    Raises:
        MovieFormatError: It does not start with a whole `ftyp` and `moov`, or a whole
            box of it is malformed.
    """
    boxes = whole_boxes(data)
    if (first := next(boxes, None)) is None or first.kind != b"ftyp":
        raise MovieFormatError("no MP4: it does not start with a whole ftyp box")
    if (moov := next(boxes, None)) is None or moov.kind != b"moov":
        raise MovieFormatError("no MP4 header: the ftyp box is not followed by a whole moov box")

    track_id, timescale = _track(data, moov)
    default_duration = _default_duration(data, moov)
    fragments: list[MovieFragment] = []
    whole = moov.end
    prft: Box | None = None
    moof: Box | None = None
    for box in boxes:
        if box.kind == b"prft":
            prft = box
        elif box.kind == b"moof":
            moof = box
        elif box.kind == b"mdat":
            if moof is None:
                raise MovieFormatError(f"the mdat box at byte {box.start} has no moof box before it")
            fragments.append(_fragment(data, prft, moof, box, default_duration))
            prft = moof = None
        if prft is None and moof is None:
            whole = box.end
    return Movie(
        header_end=moov.end,
        track_id=track_id,
        timescale=timescale,
        tags=_tags(data, moov),
        fragments=tuple(fragments),
        whole_bytes=whole,
    )


def _track(data: Bytes, moov: Box) -> tuple[int, int]:
    """Return the id and the timescale of the first track (8.3.2, 8.4.2)."""
    trak = _child(data, moov, b"trak")
    tkhd = _Fields(data, _child(data, trak, b"tkhd"))
    tkhd.word(), tkhd.word()  # creation, modification
    track_id = tkhd.u32()
    mdhd = _Fields(data, _child(data, trak, b"mdia", b"mdhd"))
    mdhd.word(), mdhd.word()
    if not (timescale := mdhd.u32()):
        raise MovieFormatError("a timescale of 0 ticks a second")
    return track_id, timescale


def _default_duration(data: Bytes, moov: Box) -> int:
    trex = _Fields(data, _child(data, moov, b"mvex", b"trex"))
    trex.u32(), trex.u32()  # track id, sample description
    return trex.u32()


def _fragment(data: Bytes, prft: Box | None, moof: Box, mdat: Box, default_duration: int) -> MovieFragment:
    traf = _child(data, moof, b"traf")
    tfhd = _Fields(data, _child(data, traf, b"tfhd"))
    tfhd.u32()  # track id
    if tfhd.flags & 0x1:  # base data offset
        tfhd.u64()
    tfhd.optional(0x2)  # sample description
    duration_each = tfhd.optional(0x8)
    frames, duration = _samples(data, traf, default_duration if duration_each is None else duration_each)
    return MovieFragment(
        start=moof.start if prft is None else prft.start,
        end=mdat.end,
        captured_at=None if prft is None else _captured_at(data, prft),
        decode_time=_Fields(data, _child(data, traf, b"tfdt")).word(),
        duration=duration,
        frames=frames,
    )


def _captured_at(data: Bytes, prft: Box) -> datetime:
    fields = _Fields(data, prft)
    fields.u32()  # track id
    return _datetime_from_ntp(fields.u64())


def _samples(data: Bytes, traf: Box, duration_each: int) -> tuple[int, int]:
    """Return how many samples the `trun` boxes list and how long they last together (8.8.8)."""
    frames = duration = 0
    for box in walk(data, traf.body, traf.end):
        if box.kind != b"trun":
            continue
        trun = _Fields(data, box)
        count = trun.u32()
        trun.optional(0x1)  # data offset
        trun.optional(0x4)  # flags of the first sample
        row_bytes = 4 * (trun.flags >> 8 & 0xF).bit_count()  # duration, size, flags, composition offset
        trun.require(count * row_bytes)  # so that a count of 2**32 does not keep us here
        frames += count
        if trun.flags & 0x100:
            for _ in range(count):
                duration += trun.u32()
                trun.skip(row_bytes - 4)
        else:
            duration += count * duration_each
    return frames, duration


def _tags(data: Bytes, moov: Box) -> dict[str, str]:
    """Return the text items of `udta/meta/ilst`, the form that iTunes gave to MP4 and all players read."""
    udta = next((box for box in walk(data, moov.body, moov.end) if box.kind == b"udta"), None)
    if udta is None:
        return {}
    meta = _child(data, udta, b"meta")
    _Fields(data, meta)  # a full box: its version and flags come before what it holds
    ilst = _child(data, Box(meta.kind, meta.start, meta.body + 4, meta.end), b"ilst")
    tags: dict[str, str] = {}
    for item in walk(data, ilst.body, ilst.end):
        value = _child(data, item, b"data")
        if _Fields(data, value).flags == 1:  # UTF-8 text
            text = bytes(data[value.body + 8 : value.end])  # after the type, four bytes of locale
            tags[item.kind.decode("latin-1")] = text.decode("utf-8", "replace")
    return tags
