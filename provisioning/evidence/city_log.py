"""The city's own log: what its people did with keys, written before they do it.

    LOG/entries.jsonl   one leaf a line, in the camera log's canonical form; only ever added to
    LOG/.lock           one writer at a time

The entries are the leaves of the Merkle tree that cameras use for theirs. There is no
checkpoint here: whoever acts signs the root that holds their entry (an export's statement
does), so every signed act fixes the whole log up to it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.core.log.leaf import Event, Fact, encode_leaf, parse_leaf
from agent.core.log.merkle import inclusion_proof, leaf_hash, root, whole_root
from agent.errors import LeafFormatError, LogDamagedError, LogGapError, StorageError
from provisioning.authority import files

ENTRIES = "entries.jsonl"
MAX_LOG_BYTES = 256 * 1024 * 1024  # half a million acts; a city has some dozens a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry that is durable, and what shows that it is in the log.

    Attributes:
        leaf: Its bytes.
        index: Of it.
        size: Leaves of the log with it.
        root: Of the same.
        proof: From the leaf upwards.
    """

    leaf: bytes
    index: int
    size: int
    root: bytes
    proof: tuple[bytes, ...]


class CityLog:
    """The log in one folder, which is made if missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, kind: str, at: datetime, **facts: Fact) -> Entry:
        """Make one act durable and return its entry.

        Args:
            kind: What is done: lower case words joined by hyphens.
            at: When, aware UTC.
            facts: Who, why, for which case.

        Raises:
            ValueError: It is not an event as leaves spell it.
            LogDamagedError: The log here is not one, or was changed.
            StorageError: The disk refuses; nothing is in the log.
        """
        files.make_folder(self._folder, mode=files.PRIVATE_FOLDER)
        with files.locked(self._folder / ".lock"):
            hashes = self._hashes()
            leaf = encode_leaf(Event(number=len(hashes), at=at, kind=kind, facts=facts))
            self._write(leaf)
            return _entry(leaf, len(hashes), [*hashes, leaf_hash(leaf)])

    def entry(self, index: int) -> Entry:
        """Return an entry that was made before, with what shows it to be in the log as it is now.

        Raises:
            LogGapError: There is none of that number.
            LogDamagedError: The log here is not one, or was changed.
        """
        lines = self._lines()
        if not 0 <= index < len(lines):
            raise LogGapError(f"the city's log has {len(lines)} entries and none of number {index}")
        return _entry(lines[index], index, self._hashes())

    def read(self) -> tuple[Event, ...]:
        """Return all entries.

        Raises:
            LogDamagedError: One is no entry, or out of place.
        """
        return tuple(self._event(number, line) for number, line in enumerate(self._lines()))

    def _hashes(self) -> list[bytes]:
        hashes = []
        for number, line in enumerate(self._lines()):
            self._event(number, line)
            hashes.append(leaf_hash(line))
        return hashes

    def _event(self, number: int, line: bytes) -> Event:
        try:
            event = parse_leaf(line)
        except LeafFormatError as error:
            raise LogDamagedError(f"entry {number} of {self._folder} is none: {error}") from error
        if event.number != number:
            raise LogDamagedError(f"entry {number} of {self._folder} says it is {event.number}")
        return event

    def _lines(self) -> list[bytes]:
        path = self._folder / ENTRIES
        if not path.exists():
            return []
        # What follows the last line feed is an entry that a power cut tore: nothing was done on its strength.
        return files.read_capped(path, max_bytes=MAX_LOG_BYTES).split(b"\n")[:-1]

    def _write(self, leaf: bytes) -> None:
        path = self._folder / ENTRIES
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, files.PRIVATE)
            try:
                whole = sum(len(line) + 1 for line in self._lines())
                os.ftruncate(descriptor, whole)
                os.lseek(descriptor, whole, os.SEEK_SET)
                with os.fdopen(os.dup(descriptor), "wb") as file:
                    file.write(leaf + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error


def _entry(leaf: bytes, index: int, hashes: Sequence[bytes]) -> Entry:
    tree, size = WholeTree(hashes), len(hashes)
    return Entry(leaf=leaf, index=index, size=size, root=root(tree, size), proof=inclusion_proof(tree, index, size))


class WholeTree:
    """The tree over hashes that are all in memory."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self._all = hashes

    def subtree(self, height: int, index: int) -> bytes:
        """Return the hash of a whole subtree; see `agent.core.log.merkle.Subtrees`."""
        return whole_root(self._all[index << height : (index + 1) << height])
