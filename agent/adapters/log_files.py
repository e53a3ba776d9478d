"""The entries of the log: one leaf a line, each on the disk before the act goes on.

    {"at":"2026-11-28T12:00:00.000000Z","digest":"ab12…","kind":"policy-applied","n":17,"v":1}

Files `events-<number of the first event, 12 digits>.jsonl`. Numbers rise by one across
files and restarts, so a reader keeps a cursor by number and notices a gap. A file
that reached its cap is closed and the next one begun; `trim` drops the oldest. A line
that a power cut tore is cut off when the log is opened: it was never acknowledged.

What is found when the log is opened is made durable before anything is built on it: a
process that died may have left whole lines that only the memory of the machine holds.
"""

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Self

from agent.adapters.atomic_files import make_folders, storage_error
from agent.adapters.disk import Disk
from agent.adapters.folder_lock import lock_folder
from agent.core.log.leaf import MAX_LEAF_BYTES, Event, Fact, encode_leaf, parse_leaf
from agent.errors import LeafFormatError, StorageError

_FILE = re.compile(r"events-([0-9]{12})\.jsonl")
MAX_LINE_BYTES = MAX_LEAF_BYTES + 1


class LogFiles:
    """The entries on disk, for one writer. Use as a context manager, or `close` it.

    Attributes:
        repaired_bytes: How much of a torn last line was cut off when the log was opened.

    Args:
        folder: Where the files lie; made if missing.
        max_file_bytes: Length at which the next file is begun.
        keep_files: How many files `trim` leaves, the one being written included.
        disk: How files are written.

    Raises:
        StorageError: The folder or its newest file cannot be read or written, or another process writes there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_file_bytes: int = 4 * 1024 * 1024,
        keep_files: int = 16,
        disk: Disk | None = None,
    ) -> None:
        if keep_files < 1 or max_file_bytes < MAX_LINE_BYTES:
            raise ValueError(f"cannot keep {keep_files} files of {max_file_bytes} bytes")
        self._folder = folder
        self._max_file_bytes = max_file_bytes
        self._keep_files = keep_files
        self._disk = disk or Disk()
        self._descriptor = -1
        self._size_bytes = 0
        self._next = 0
        self._torn = False
        self._named = False  # whether the name of the newest file would survive a power cut
        self._appending = threading.Lock()  # the pipeline and the policy watch both write
        self.repaired_bytes = 0
        make_folders(folder, mode=0o750)  # the link's group reads the log
        self._lock = lock_folder(folder)
        try:
            self._open_newest()
        except OSError as error:
            self.close()
            raise storage_error("open the log in", folder, error) from error
        except BaseException:  # whatever it is goes on, without the lock
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and the folder."""
        self._close_file()
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    @property
    def following(self) -> int:
        """The number that the next event gets."""
        return self._next

    def append(self, kind: str, at: datetime, **facts: Fact) -> bytes:
        """Make one event durable, and return its leaf.

        Args:
            kind: What happened: lower case words joined by hyphens, such as "policy-applied".
            at: When, aware UTC.
            facts: What else is worth keeping; never a picture, never a person.

        Raises:
            ValueError: `kind` or a fact's name is not one, or the event is longer than a leaf may be.
            StorageError: It could not be kept; nothing of it is in the log.
        """
        with self._appending:
            leaf = encode_leaf(Event(number=self._next, at=at, kind=kind, facts=facts))
            line = leaf + b"\n"
            try:
                if self._size_bytes and self._size_bytes + len(line) > self._max_file_bytes:
                    self._begin()
                if self._torn:
                    self._disk.release(self._descriptor, self._size_bytes)
                if not self._named:
                    self._disk.sync_directory(self._folder)
                    self._named = True
                self._torn = True  # until all of the line is there: half a line in the middle ends the log for readers
                self._disk.write(self._descriptor, line)
                self._disk.sync(self._descriptor)
                self._torn = False
            except OSError as error:
                with contextlib.suppress(OSError):  # or else before the next line
                    self._disk.release(self._descriptor, self._size_bytes)
                raise storage_error("append to the log in", self._folder, error) from error
            self._size_bytes += len(line)
            self._next += 1
            return leaf

    def trim(self, before: int) -> None:
        """Drop the oldest files beyond what is kept, as far as they hold nothing from event `before` on.

        Raises:
            StorageError: One cannot be removed; those before it were.
        """
        files = _files(self._folder)
        for old, following in pairwise(files[: 1 - self._keep_files or None]):
            if _first_number(following) > before:
                break
            try:
                self._disk.remove(old)
            except OSError as error:
                raise storage_error("remove", old, error) from error

    def _open_newest(self) -> None:
        files = _files(self._folder)
        if not files:
            self._begin()
            return
        newest = files[-1]
        self._descriptor = self._disk.reopen(newest)
        written = newest.read_bytes()
        whole = written.rfind(b"\n") + 1
        last = written.rfind(b"\n", 0, max(whole - 1, 0)) + 1
        if b"\0" in written[last:whole]:  # its end reached the disk and its beginning did not; a leaf has no such byte
            whole = last
        self.repaired_bytes = len(written) - whole
        if self.repaired_bytes:
            self._disk.release(self._descriptor, whole)
        self._disk.sync(self._descriptor)
        self._disk.sync_directory(self._folder)
        self._named = True
        self._size_bytes = whole
        self._next = _first_number(newest) + written.count(b"\n", 0, whole)

    def _close_file(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _begin(self) -> None:
        """Start the next file."""
        path = self._folder / f"events-{self._next:012d}.jsonl"
        descriptor = self._disk.create(path)
        self._close_file()
        self._descriptor = descriptor
        self._size_bytes = 0
        self._torn = self._named = False
        os.fchmod(descriptor, 0o640)  # whatever the umask: the link's group reads the log


def read_leaves(folder: Path, *, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield number and leaf of the entries from number `start` on, oldest first; a torn last line is left out.

    Raises:
        StorageError: A file cannot be read, or one is missing between two others.
    """
    files = _files(folder)
    for path, following in zip(files, [*files[1:], None], strict=True):
        if following is not None and _first_number(following) <= start:
            continue
        try:
            lines = path.read_bytes().split(b"\n")[:-1]
        except OSError as error:
            raise storage_error("read", path, error) from error
        first = _first_number(path)
        if following is not None and first + len(lines) != _first_number(following):
            raise StorageError(f"{path} ends before event {first + len(lines)}, expected {_first_number(following)}")
        for number, line in enumerate(lines, start=first):
            if number >= start:
                yield number, line


def read_events(folder: Path, *, start: int = 0) -> Iterator[Event]:
    """Yield the whole events of a log from number `start` on, oldest first; a torn last line is left out.

    Raises:
        StorageError: A file cannot be read, or holds something else than events.
    """
    for number, leaf in read_leaves(folder, start=start):
        try:
            event = parse_leaf(leaf)
        except LeafFormatError as error:
            raise StorageError(f"{folder}: event {number} is damaged: {error}") from error
        if event.number != number:
            raise StorageError(f"{folder}: found event {event.number}, expected {number}")
        yield event


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))


def _first_number(path: Path) -> int:
    return int(path.stem.removeprefix("events-"))
