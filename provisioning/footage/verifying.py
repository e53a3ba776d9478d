"""Check footage from end to end: without a key as far as that goes, with one to the last byte.

Without: each file is named and filed right, its header is well formed, and its length
is one that age can give. With: every chunk authenticates, what opens is a whole MP4,
and what that says about itself is what the name says.

A *fault* is what must not be. A *remark* is what a person should know and what may be
right: footage missing between two segments, a crash, a clock put back.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from agent.core.mp4 import Movie
from agent.core.sealing.recipients import Identity, Profile
from agent.core.video import Layer
from agent.errors import (
    FootageError,
    ForeignFileError,
    HeaderError,
    LamppostError,
    MovieFormatError,
    SealError,
    TruncatedError,
    WrongIdentityError,
)
from provisioning.footage.catalogue import (
    Catalogue,
    FoundSegment,
    day_folder,
    read_envelope,
)
from provisioning.footage.opening import OpenedSegment, open_segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found wrong, and what is worth knowing.

    Attributes:
        segments: How many segments were checked.
        frames: How many frames opened; None without a key.
        faults: What must not be.
        remarks: What may be right.
    """

    segments: int
    frames: int | None
    faults: tuple[LamppostError, ...]
    remarks: tuple[str, ...]


def verify(
    catalogue: Catalogue, identities: Sequence[Identity], *, seen: Callable[[FoundSegment], None] = lambda _: None
) -> Report:
    """Check every file and return what was found.

    Args:
        catalogue: What to check.
        identities: Keys to open it with; without any, only what needs none is checked.
        seen: Told of each segment once it is checked.

    Raises:
        StorageError: A file cannot be read.
    """
    faults = list(_faults_of_the_folder(catalogue))
    remarks = list(_remarks_on_order(catalogue))
    locked: list[WrongIdentityError] = []
    frames = 0
    for segment in catalogue.segments:
        try:
            _check_place(segment)
            frames += _check_content(segment, identities, remarks)
        except WrongIdentityError as error:
            # Only several officials together open the sealed layer; whoever opens the rest need not be one.
            (locked if segment.name.layer is Layer.SEALED else faults).append(error)
        except (SealError, FootageError) as error:
            faults.append(error)
        seen(segment)
    if frames:
        remarks += [f"not opened, for it is sealed to others: {error}" for error in locked]
    else:
        faults += locked
    return Report(
        segments=len(catalogue.segments),
        frames=frames if identities else None,
        faults=tuple(faults),
        remarks=tuple(remarks),
    )


def verdict(report: Report) -> LamppostError | None:
    """Return the error that sums up the faults, with their exit status if they share one; None without faults."""
    if not report.faults:
        return None
    first, others = report.faults[0], len(report.faults) - 1
    summary = FootageError(
        f"{len(report.faults)} faults; the first: {first}" if others else str(first), hint=first.hint
    )
    statuses = {fault.exit_status for fault in report.faults}
    summary.exit_status = first.exit_status if len(statuses) == 1 else FootageError.exit_status
    return summary


def _faults_of_the_folder(catalogue: Catalogue) -> Iterator[LamppostError]:
    for path in catalogue.foreign:
        yield ForeignFileError(f"{path} stands among the footage and is no segment")
    for run in catalogue.runs():
        for one, following in pairwise(run):
            if one.name.sequence == following.name.sequence:
                yield FootageError(f"{following.path} has the number of {one.path}")


def _remarks_on_order(catalogue: Catalogue) -> Iterator[str]:
    for run in catalogue.runs():
        for one, following in pairwise(run):
            missing = following.name.sequence - one.name.sequence - 1
            if missing > 0:
                yield f"{missing} segments are not here between {one.path.name} and {following.path.name}"
            if following.name.started_at < one.name.started_at:
                yield f"the camera's clock was put back before {following.path.name}"


def _check_place(segment: FoundSegment) -> None:
    day = day_folder(segment.path)
    if day is not None and not segment.name.path.startswith(f"{day}/"):
        raise FootageError(f"{segment.path} is in the folder of another day, expected {segment.name.path}")


def _check_content(segment: FoundSegment, identities: Sequence[Identity], remarks: list[str]) -> int:
    """Check header, chunks and MP4 as far as the identities allow; return the frames that opened."""
    if segment.unfinished:
        remarks.append(f"{segment.path.name} ends where a crash or a power cut ended it")
    try:
        envelope = read_envelope(segment)
    except HeaderError:
        opened = open_segment(segment, identities)  # tells a header that a crash cut short from a malformed one
        return _check_movie(segment, opened)
    if envelope.profile not in set(Profile):
        raise HeaderError(f"{segment.path} is sealed to {envelope.profile} recipients, expected one native type")
    if not segment.unfinished and envelope.cut_short:
        raise TruncatedError(f"{segment.path} is cut short: its length is not that of a whole file")
    return _check_movie(segment, open_segment(segment, identities)) if identities else 0


def _check_movie(segment: FoundSegment, opened: OpenedSegment) -> int:
    if not segment.unfinished:
        if opened.truncated:
            raise TruncatedError(f"{segment.path} is cut short: its last chunk is missing")
        if opened.movie is not None and opened.movie.whole_bytes != len(opened.clear):
            raise MovieFormatError(f"{segment.path} ends within a fragment")
    if opened.movie is None:
        return 0
    _check_tags(segment, opened.movie)
    return opened.movie.frames


def _check_tags(segment: FoundSegment, movie: Movie) -> None:
    """Refuse a segment that was renamed: what it says inside is authenticated, its name is not."""
    said = (movie.tags.get("\xa9nam"), movie.tags.get("\xa9cmt"), _time(movie.tags.get("\xa9day", "")))
    named = (segment.name.camera_id, segment.name.layer.value, segment.name.started_at)
    for what, inside, outside in zip(("camera", "layer", "start"), said, named, strict=True):
        if inside != outside:
            raise FootageError(f"{segment.path} says inside that its {what} is {inside}, and in its name {outside}")


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
