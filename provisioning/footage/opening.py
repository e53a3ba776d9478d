"""Open one segment in memory: what authenticates, up to the last whole fragment, within the span asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.core.mp4 import Movie, MovieFragment, read_movie
from agent.core.sealing.age_file import open_stream
from agent.core.sealing.header import VERSION_LINE
from agent.core.sealing.recipients import Identity
from agent.errors import MovieFormatError, PayloadError, SealError, TruncatedError
from provisioning.footage.catalogue import FoundSegment, read_blocks

_US = timedelta(microseconds=1)
_MAC_AND_NONCE_BYTES = 43 + 1 + 16  # what ends an age header, its line feed, and what stands before the first chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSegment:
    """A segment's clear bytes, in memory.

    Attributes:
        clear: The MP4, which may end in a fragment cut short.
        movie: What it says about itself; None if not even its header reached the disk.
        truncated: Whether its last chunk is missing.
    """

    clear: bytes
    movie: Movie | None
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of whole fragments of one segment, playable alone.

    Attributes:
        clear: Header and fragments.
        captured_at: When its first frame was captured.
        duration: From its first frame to the end of its last.
        frames: How many frames it holds.
        truncated: Whether the segment goes on where the disk does not.
    """

    clear: bytes
    captured_at: datetime
    duration: timedelta
    frames: int
    truncated: bool

    @property
    def ends_at(self) -> datetime:
        """The end of its last frame."""
        return self.captured_at + self.duration


def open_segment(segment: FoundSegment, identities: Sequence[Identity]) -> OpenedSegment:
    """Return what opens of a segment.

    A segment that a power cut ended opens as far as it was written, and may hold nothing.

    Raises:
        WrongIdentityError: No identity opens it.
        HeaderError: It is no age file, or its header is malformed or was changed.
        PayloadError: A chunk was altered, in a segment that was finished.
        MovieFormatError: What opens is no segment.
        StorageError: It cannot be read.
    """
    clear = bytearray()
    truncated = False
    try:
        for chunk in open_stream(read_blocks(segment), identities):
            clear += chunk
    except TruncatedError:
        truncated = True
    except SealError as error:
        # ext4 may count blocks that a power cut kept it from writing: they read as zeros, for more than one chunk. What
        # somebody altered there he could as well have cut off; that it is what was recovered, the log's digest says.
        ends_in_nothing = segment.unfinished and isinstance(error, PayloadError)
        if not ends_in_nothing and not _never_began(segment):
            raise type(error)(f"{segment.path}: {error}", hint=error.hint) from error
        truncated = True
    try:
        movie = read_movie(clear)
    except MovieFormatError as error:
        if not truncated or clear:
            raise MovieFormatError(f"{segment.path}: {error}") from error
        movie = None
    return OpenedSegment(clear=bytes(clear), movie=movie, truncated=truncated)


def cut(
    segment: FoundSegment, opened: OpenedSegment, *, start_at: datetime | None = None, end_at: datetime | None = None
) -> Piece | None:
    """Return the whole fragments that hold a moment of the half-open span, or None if there are none."""
    movie = opened.movie
    if movie is None:
        return None
    chosen = [
        (fragment, captured_at)
        for fragment, captured_at in _timed(segment, movie)
        if (end_at is None or captured_at < end_at)
        and (start_at is None or captured_at + _ticks(movie, fragment.duration) > start_at)
    ]
    if not chosen:
        return None
    (first, captured_at), (last, _) = chosen[0], chosen[-1]
    view = memoryview(opened.clear)
    return Piece(
        clear=b"".join((view[: movie.header_end], view[first.start : last.end])),
        captured_at=captured_at,
        duration=_ticks(movie, last.decode_time + last.duration - first.decode_time),
        frames=sum(fragment.frames for fragment, _ in chosen),
        truncated=opened.truncated,
    )


def _never_began(segment: FoundSegment) -> bool:
    """Tell whether a crash ended the segment before all of its header had reached the disk."""
    head = next(read_blocks(segment), b"")
    _, _, rest = head.partition(b"\n--- ")
    begins_like_age = VERSION_LINE.startswith(head[: len(VERSION_LINE)])
    return segment.unfinished and begins_like_age and len(rest) < _MAC_AND_NONCE_BYTES


def _timed(segment: FoundSegment, movie: Movie) -> Iterable[tuple[MovieFragment, datetime]]:
    """Yield each fragment with its capture time; a fragment without one has the segment's start and its own offset."""
    for fragment in movie.fragments:
        yield fragment, fragment.captured_at or segment.name.started_at + _ticks(movie, fragment.decode_time)


def _ticks(movie: Movie, ticks: int) -> timedelta:
    return ticks * 1_000_000 // movie.timescale * _US
