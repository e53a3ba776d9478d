"""Find the segments that a camera's log tells of, and copy them: what is checked is the copy that is handed over."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from agent.core.sealing.age_file import read_header
from agent.core.video import Layer
from agent.errors import EvidenceAlteredError, EvidenceError, HeaderError, StorageError
from provisioning.evidence.chain import Run
from provisioning.evidence.stored import Stored
from provisioning.footage.catalogue import FoundSegment, find_segments, read_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What there is of a run.

    Attributes:
        here: Each segment with the copy of its file.
        absent: Each one without, and why.
    """

    here: tuple[tuple[Stored, FoundSegment], ...]
    absent: tuple[tuple[Stored, str], ...]


def collect(place: Path, camera_id: str, run: Run, into: Path) -> Collected:
    """Copy the segments of a run from `place` to the folder `into`.

    Raises:
        EvidenceAlteredError: A file with a segment's number is not the one the log tells of.
        EvidenceError: None of them is there.
        StorageError: Something cannot be read or written.
    """
    by_number: dict[int, list[FoundSegment]] = {}
    for segment in find_segments(place).segments:
        if segment.name.camera_id == camera_id and segment.name.layer is Layer.MASKED and not segment.name.running:
            by_number.setdefault(segment.name.sequence, []).append(segment)
    here: list[tuple[Stored, FoundSegment]] = []
    absent: list[tuple[Stored, str]] = []
    for stored in run.inside:
        candidates = by_number.get(stored.sequence, [])
        copy = _copy_right_one(candidates, stored, into)
        if copy is not None and _opens_at_all(copy):
            here.append((stored, copy))
        elif copy is not None:
            copy.path.unlink()
            absent.append((stored, "a crash ended it before anything of it could be opened"))
        elif candidates:
            raise EvidenceAlteredError(
                f"{candidates[0].path} is not the file that leaf {stored.index} of the camera's log tells of"
            )
        else:
            absent.append((stored, _why_absent(run, stored)))
    if not here:
        raise EvidenceError(
            "none of the segments that the log tells of is here", hint="give the folder that holds them"
        )
    return Collected(here=tuple(here), absent=tuple(absent))


def _why_absent(run: Run, stored: Stored) -> str:
    removal = run.removal_of(stored)
    if removal is None:
        return "the camera logged it; it is not where the segments were taken from"
    reason = removal.facts.get("reason", "erased")
    return f"the camera removed it at {removal.at:%Y-%m-%d %H:%M:%S} UTC: {reason} (leaf {removal.number} of its log)"


def _copy_right_one(candidates: list[FoundSegment], stored: Stored, into: Path) -> FoundSegment | None:
    """Return the copy of the candidate that the log tells of, or None; a card and a copy of it may both be there."""
    for candidate in candidates:
        path = into / candidate.name.file
        if _copy(candidate, stored.size_bytes, path) == stored.sha256:
            return FoundSegment(path=path, name=candidate.name, size_bytes=stored.size_bytes)
        path.unlink()
    return None


def _copy(segment: FoundSegment, size_bytes: int, path: Path) -> str:
    """Copy what the camera vouches for, and return its digest; behind it, a truncated file may hold more."""
    hashed = sha256()
    try:
        with path.open("xb") as file:
            for block in _first(read_blocks(segment), size_bytes):
                hashed.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error
    # A finished file is whole; what was added to it is not what the camera stored.
    return hashed.hexdigest() if segment.name.truncated or segment.size_bytes == size_bytes else ""


def _first(blocks: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    for block in blocks:
        yield block[:size_bytes]
        size_bytes -= min(len(block), size_bytes)


def _opens_at_all(segment: FoundSegment) -> bool:
    """Tell whether the file has a header; one that a crash ended may not."""
    try:
        read_header(read_blocks(segment))
    except HeaderError:
        if not segment.name.truncated:
            raise
        return False
    return True
