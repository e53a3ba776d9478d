"""Copy what is on a card that was pulled: every segment, whole or torn, and the log that vouches for it.

A card that was pulled is often a card that fails. Each file is copied on its own, read
back, and told of; what cannot be read is lost and named, and does not stop the rest. The
card is only read. A second run copies what is missing.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from agent.core.log.note import MAX_NOTE_BYTES
from agent.core.messages.wire import printable
from agent.errors import StorageError
from provisioning.authority import files
from provisioning.evidence.camera_log import CHECKPOINT
from provisioning.footage.catalogue import Catalogue, day_folder, find_segments
from provisioning.words import words

PIECE_BYTES = 1024 * 1024
FOOTAGE, LOG = "footage", "log"


class Fate(Enum):
    """What became of a file."""

    COPIED = "copied"
    THERE = "there"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """One file.

    Attributes:
        source: Where it is on the card.
        target: Where its copy is.
        fate: What became of it.
        words: Why, if it is lost.
    """

    source: Path
    target: Path
    fate: Fate
    words: str = ""


def find_footage(card: Path) -> Catalogue:
    """Return the segments on a card. Raises StorageError."""
    return find_segments(card)


def find_log(card: Path) -> Path | None:
    """Return the folder of the camera's log on a card, or None."""
    found = sorted({path.parent for path in card.rglob("events-*.jsonl")}, key=lambda path: (len(path.parts), path))
    return next(iter(found), None)


def strangers(card: Path, out: Path) -> tuple[str, ...]:
    """Return whose footage, or which log, a copy holds that is not this card's; nothing may be copied on top of that.

    By what names and checkpoints say of themselves: what vouches for them is asked once they are copied.

    Raises:
        StorageError: One of the two cannot be read.
    """
    log = find_log(card)
    come, held = None if log is None else _origin(log), _origin(out / LOG)
    cameras = set(find_segments(out / FOOTAGE).cameras()) if (out / FOOTAGE).exists() else set[str]()
    ours = set(find_footage(card).cameras())
    for origin, owners in ((come, ours), (held, cameras)):
        owners.update(origin.split("/")[1:2] if origin is not None else ())
    if cameras - ours:
        return tuple(sorted(cameras - ours))
    # A board that took another's place has the same name and another log.
    return (held,) if held is not None and come is not None and held != come else ()


def _origin(log: Path) -> str | None:
    """Return which log a checkpoint says it is of, or None where that cannot be read."""
    try:
        note = files.read_capped(log / CHECKPOINT, max_bytes=MAX_NOTE_BYTES)
    except StorageError:  # there is none, or the card fails: what is lost is told when it is copied
        return None
    return printable(note.decode("utf-8", "replace").partition("\n")[0])


def plan(card: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Yield what is to be copied, and where to. Raises StorageError."""
    for segment in find_footage(card).segments:
        yield segment.path, out / FOOTAGE / (day_folder(segment.path) or "") / segment.path.name
    log = find_log(card)
    if log is not None:
        for path in sorted(log.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path, out / LOG / path.relative_to(log)


def recover(source: Path, target: Path) -> Recovered:
    """Copy one file and read the copy back.

    Raises:
        StorageError: The copy cannot be written; that is this machine's disk, and the rest would fail, too.
    """
    try:
        expected = _digest(source)
    except OSError as error:
        return Recovered(source=source, target=target, fate=Fate.LOST, words=(error.strerror or str(error)).lower())
    if target.exists() and target.stat().st_size == source.stat().st_size and _digest(target) == expected:
        return Recovered(source=source, target=target, fate=Fate.THERE)
    files.make_folder(target.parent, mode=files.PRIVATE_FOLDER)
    part = target.with_name(f".{target.name}.copying")
    try:
        with source.open("rb") as read:
            content = _Reading(read)
            with part.open("wb") as write:
                os.fchmod(write.fileno(), files.PRIVATE)
                while piece := content.read(PIECE_BYTES):
                    write.write(piece)
                write.flush()
                os.fsync(write.fileno())
        if _digest(part) != expected:
            part.unlink()
            return Recovered(source=source, target=target, fate=Fate.LOST, words=words("recover.differs"))
        part.rename(target)
    except _CardError as error:
        part.unlink(missing_ok=True)
        return Recovered(source=source, target=target, fate=Fate.LOST, words=str(error))
    except OSError as error:
        raise StorageError(f"cannot write {target}: {(error.strerror or str(error)).lower()}") from error
    return Recovered(source=source, target=target, fate=Fate.COPIED)


class _CardError(Exception):
    """The card, not this machine's disk, failed."""


class _Reading:
    """A file on a card whose failures are told from those of the disk that is written to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise _CardError((error.strerror or str(error)).lower()) from error


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
