"""Find the segments in a folder or on a card, and say all that can be said without a key.

A card is not to be trusted: links are not followed, nothing but regular files is opened,
and a file that stands where segments stand without being one is *foreign* and is named.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path

from agent.core.retention import LONGEST_SEGMENT
from agent.core.sealing.age_file import read_header
from agent.core.sealing.chunks import clear_size_bytes
from agent.core.sealing.header import Header, SealedBytes, parse_header
from agent.core.sealing.recipients import Profile
from agent.core.segment_name import SegmentName, parse_segment_name
from agent.core.video import Layer
from agent.errors import FootageError, ForeignFileError, HeaderError, StorageError, TruncatedError

BLOCK_BYTES = 1024 * 1024
HEADER_SUFFIX = ".header"  # as in a folder of evidence: the same header, its file key wrapped for somebody else
# A minute, the longest segment, at 50 Mbit/s is 375 MB; what is larger would only fill our memory.
MAX_SEGMENT_BYTES = 512 * 1024 * 1024

_DAY_FOLDER = re.compile(r"(?:^|/)(\d{4}/\d{2}/\d{2})$", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSegment:
    """One file that is named like a segment.

    Attributes:
        path: Where it is.
        name: What its name says.
        size_bytes: How long it is.
        header: A file with another header for it, sealed to somebody else: what a hold keeps.
    """

    path: Path
    name: SegmentName
    size_bytes: int
    header: Path | None = None

    @property
    def unfinished(self) -> bool:
        """Whether its name says that its end is missing: it is being written, or a crash ended it."""
        return self.name.truncated or self.name.running


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What a folder holds.

    Attributes:
        segments: By camera, layer and sequence: the order they were recorded in.
        foreign: Files among them that are not named like segments.
    """

    segments: tuple[FoundSegment, ...]
    foreign: tuple[Path, ...]

    def cameras(self) -> tuple[str, ...]:
        """Whose footage it is, sorted."""
        return tuple(sorted({segment.name.camera_id for segment in self.segments}))

    def tracks(self) -> Iterator[tuple[FoundSegment, ...]]:
        """Yield the segments of each camera and layer."""
        for _, track in groupby(self.segments, key=lambda segment: (segment.name.camera_id, segment.name.layer)):
            yield tuple(track)

    def runs(self) -> Iterator[tuple[FoundSegment, ...]]:
        """Yield the segments of each camera in the order of their numbers, which both layers share."""
        for _, both in groupby(self.segments, key=lambda segment: segment.name.camera_id):
            yield tuple(sorted(both, key=lambda one: (one.name.sequence, one.path)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a segment's file says without a key.

    Attributes:
        profile: The recipients' type: post-quantum, X25519, or what else stands there.
        recipients: How many may open it.
        cut_short: Whether its length alone proves that its end is missing. A file cut
            exactly between two chunks cannot be told from a whole one without a key.
    """

    profile: str
    recipients: int
    cut_short: bool


def find_segments(place: Path, *, headers: Path | None = None) -> Catalogue:
    """Return what `place` holds: a folder, at any depth, or one file.

    Args:
        place: Where to look.
        headers: A folder with headers, named like their segments; segments without one there are left out.

    Raises:
        StorageError: It is not there or cannot be read.
        ForeignFileError: It is one file, and no segment by its name.
    """
    try:
        if place.is_file():
            found, foreign = _sort([place])
            if not found:
                raise ForeignFileError(f"{place} is not named like a segment", hint="segments end in .mp4.age")
        elif place.is_dir():
            found, foreign = _sort(_regular_files(place))
        else:
            raise StorageError(f"there is no folder or file {place}")
    except OSError as error:
        raise StorageError(
            f"cannot read {error.filename or place}: {(error.strerror or str(error)).lower()}"
        ) from error
    if headers is not None:
        wrapped = ((one, headers / f"{one.name.file}{HEADER_SUFFIX}") for one in found)
        found = [replace(one, header=header) for one, header in wrapped if header.is_file()]
    found.sort(key=lambda one: (one.name.camera_id, one.name.layer, one.name.sequence, one.path))
    return Catalogue(segments=tuple(found), foreign=tuple(sorted(foreign)))


def _regular_files(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error  # os.walk would silently leave out a folder that the card cannot read

    for root, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(root, name) for name in names)


def _sort(paths: Iterable[Path]) -> tuple[list[FoundSegment], list[Path]]:
    found: list[FoundSegment] = []
    foreign: list[Path] = []
    for path in paths:
        status = path.lstat()
        name = parse_segment_name(path.name)
        if name is not None and stat.S_ISREG(status.st_mode):
            found.append(FoundSegment(path=path, name=name, size_bytes=status.st_size))
        elif name is not None or _stands_among_segments(path):
            foreign.append(path)
    return found, foreign


def _stands_among_segments(path: Path) -> bool:
    return day_folder(path) is not None or path.name.endswith(".age")


def day_folder(path: Path) -> str | None:
    """Return the day, as `2026/03/01`, that a file's folder is named for, or None."""
    match = _DAY_FOLDER.search(path.parent.as_posix())
    return match[1] if match else None


def read_blocks(segment: FoundSegment) -> Iterator[bytes]:
    """Yield the sealed bytes of a segment, behind its other header if it has one.

    Raises:
        HeaderError: Its own header, which another one is to replace, is malformed.
        FootageError: It is too large to be a segment.
        StorageError: It cannot be read.
    """
    if segment.size_bytes > MAX_SEGMENT_BYTES:
        raise FootageError(f"{segment.path} has {segment.size_bytes} bytes, expected at most {MAX_SEGMENT_BYTES}")
    if segment.header is None:
        yield from _blocks(segment.path)
        return
    own = SealedBytes(_blocks(segment.path))
    parse_header(own)
    yield from _blocks(segment.header)
    yield from own.rest()


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise StorageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error


def read_envelope(segment: FoundSegment) -> Envelope:
    """Return what a segment's file says without a key.

    Raises:
        HeaderError: It is no age file, or its header is malformed.
        StorageError: It cannot be read.
    """
    try:
        header = read_header(_blocks(segment.path))
    except HeaderError as error:
        raise type(error)(f"{segment.path}: {error}", hint=error.hint) from error
    try:
        clear_size_bytes(segment.size_bytes - len(bytes(header)))
        cut_short = False
    except TruncatedError:
        cut_short = True
    return Envelope(profile=_profile(header), recipients=len(header.stanzas), cut_short=cut_short)


def _profile(header: Header) -> str:
    kinds = {stanza.kind for stanza in header.stanzas}
    if len(kinds) > 1:
        return "mixed"
    (kind,) = kinds
    return kind if kind in set(Profile) else "foreign"


def lengths_at_most(catalogue: Catalogue) -> dict[Path, timedelta]:
    """Return how long segments can be at most, for those whose successor is there and starts soon enough."""
    lengths: dict[Path, timedelta] = {}
    here = {(segment.name.camera_id, segment.name.sequence) for segment in catalogue.segments}
    for track in catalogue.tracks():
        for one, following in pairwise(track):
            length = following.name.started_at - one.name.started_at
            # What stands between them is the other layer: the numbers are the camera's.
            between = range(one.name.sequence + 1, following.name.sequence)
            whole = following.name.sequence > one.name.sequence and all(
                (one.name.camera_id, number) in here for number in between
            )
            if whole and timedelta(0) < length <= LONGEST_SEGMENT:
                lengths[one.path] = length
    return lengths


def select(
    catalogue: Catalogue,
    *,
    camera_id: str | None,
    layer: Layer,
    start_at: datetime | None,
    end_at: datetime | None,
) -> tuple[FoundSegment, ...]:
    """Return the segments of one camera and layer that may hold a moment of the half-open span.

    Raises:
        FootageError: Nothing fits, or several cameras do.
    """
    fitting = [segment for segment in catalogue.segments if segment.name.layer is layer]
    cameras = sorted(
        {segment.name.camera_id for segment in fitting} & ({camera_id} if camera_id else set(catalogue.cameras()))
    )
    if len(cameras) > 1:
        raise FootageError(
            f"footage of {len(cameras)} cameras is here: {', '.join(cameras)}", hint="choose one with --camera"
        )
    chosen = tuple(
        segment
        for segment in fitting
        if segment.name.camera_id in cameras
        and (end_at is None or segment.name.started_at < end_at)
        and (start_at is None or segment.name.started_at + LONGEST_SEGMENT > start_at)
    )
    if not chosen:
        raise FootageError(
            "no segment here fits what was asked for", hint="`lamppost footage list` shows what is there; times are UTC"
        )
    return chosen
