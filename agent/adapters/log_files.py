"""The event log: one JSON object a line, each on the disk before the act goes on.

    {"n":17,"at":"2026-11-28T12:00:00.000000Z","kind":"policy-applied","digest":"ab12…"}

Files `events-<number of the first event, 12 digits>.jsonl`. Numbers rise by one across
files and restarts, so a reader keeps a cursor by number and notices a gap. A file
that reached its cap is closed and the next one begun; the oldest beyond `keep_files`
goes. A line that a power cut tore is cut off when the log is opened: it was never
acknowledged.
"""

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from agent.adapters.atomic_files import make_folders, storage_error, sync_directory, write_all
from agent.adapters.folder_lock import lock_folder
from agent.errors import StorageError
from agent.ports import Fact

_FILE = re.compile(r"events-([0-9]{12})\.jsonl")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,47}")
_OWN_FACTS = frozenset({"n", "at", "kind"})
MAX_LINE_BYTES = 16 * 1024  # an event is a sentence, not a document


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the log."""

    number: int
    at: datetime
    kind: str
    facts: dict[str, Fact]


class LogFiles:
    """The `EventLog` on disk, for one writer. Use as a context manager, or `close` it.

    Attributes:
        repaired_bytes: How much of a torn last line was cut off when the log was opened.

    Args:
        folder: Where the files lie; made if missing.
        max_file_bytes: Length at which the next file is begun.
        keep_files: How many files to keep, the one being written included.

    Raises:
        StorageError: The folder or its newest file cannot be read or written, or another process writes there.
    """

    def __init__(self, folder: Path, *, max_file_bytes: int = 4 * 1024 * 1024, keep_files: int = 16) -> None:
        if keep_files < 1 or max_file_bytes < MAX_LINE_BYTES:
            raise ValueError(f"cannot keep {keep_files} files of {max_file_bytes} bytes")
        self._folder = folder
        self._max_file_bytes = max_file_bytes
        self._keep_files = keep_files
        self._descriptor = -1
        self._size_bytes = 0
        self._next = 0
        self._torn = False
        self._appending = threading.Lock()  # the pipeline and the policy watch both write
        self.repaired_bytes = 0
        make_folders(folder)
        self._lock = lock_folder(folder)
        try:
            self._open_newest()
        except OSError as error:
            self.close()
            raise storage_error("open the log in", folder, error) from error

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

    def append(self, kind: str, at: datetime, **facts: Fact) -> None:
        """Make one event durable.

        Args:
            kind: What happened: lower case words joined by hyphens, such as "policy-applied".
            at: When, aware UTC.
            facts: What else is worth keeping; never a picture, never a person.

        Raises:
            ValueError: `kind` or a fact's name is not one, or the event is longer than a line may be.
            StorageError: It could not be kept; nothing of it is in the log.
        """
        with self._appending:
            line = _line(self._next, kind, at, facts)
            try:
                if self._size_bytes and self._size_bytes + len(line) > self._max_file_bytes:
                    self._begin()
                if self._torn:
                    os.ftruncate(self._descriptor, self._size_bytes)
                self._torn = True  # until all of the line is there: half a line in the middle ends the log for readers
                write_all(self._descriptor, line)
                os.fdatasync(self._descriptor)
                self._torn = False
            except OSError as error:
                with contextlib.suppress(OSError):  # or else before the next line
                    os.ftruncate(self._descriptor, self._size_bytes)
                raise storage_error("append to the log in", self._folder, error) from error
            self._size_bytes += len(line)
            self._next += 1

    def _open_newest(self) -> None:
        files = _files(self._folder)
        if not files:
            self._begin()
            return
        newest = files[-1]
        self._descriptor = os.open(newest, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        written = newest.read_bytes()
        whole = written.rfind(b"\n") + 1
        if torn := len(written) - whole:
            os.ftruncate(self._descriptor, whole)
            os.fsync(self._descriptor)
            self.repaired_bytes = torn
        self._size_bytes = whole
        self._next = _first_number(newest) + written.count(b"\n", 0, whole)

    def _close_file(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _begin(self) -> None:
        """Start the next file, and drop the oldest beyond what is kept."""
        path = self._folder / f"events-{self._next:012d}.jsonl"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        self._close_file()
        self._descriptor = descriptor
        self._size_bytes = 0
        os.fchmod(descriptor, 0o640)  # whatever the umask: the link's group reads the log
        for old in _files(self._folder)[: -self._keep_files]:
            old.unlink()
        sync_directory(self._folder)


def read_events(folder: Path, *, start: int = 0) -> Iterator[Event]:
    """Yield the whole events of a log from number `start` on, oldest first; a torn last line is left out.

    Raises:
        StorageError: A file cannot be read, or holds something else than events.
    """
    files = _files(folder)
    for path, following in zip(files, [*files[1:], None], strict=True):
        if following is not None and _first_number(following) <= start:
            continue
        try:
            lines = path.read_bytes().split(b"\n")[:-1]
        except OSError as error:
            raise storage_error("read", path, error) from error
        for number, line in enumerate(lines, start=_first_number(path)):
            if number >= start:
                yield _event(path, number, line)


def _line(number: int, kind: str, at: datetime, facts: dict[str, Fact]) -> bytes:
    if not _KIND.fullmatch(kind):
        raise ValueError(f"not a kind of event: {kind!r}")
    if taken := _OWN_FACTS & facts.keys():
        raise ValueError(f"an event has its own {', '.join(sorted(taken))}")
    if at.utcoffset() is None:
        raise ValueError("an event needs an aware time")
    event = {"n": number, "at": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z", "kind": kind, **facts}
    line = json.dumps(event, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"a {kind} event of {len(line)} bytes, expected at most {MAX_LINE_BYTES}")
    return line


def _event(path: Path, number: int, line: bytes) -> Event:
    try:
        fields = json.loads(line)
        event = Event(
            number=fields.pop("n"), at=datetime.fromisoformat(fields.pop("at")), kind=fields.pop("kind"), facts=fields
        )
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise StorageError(f"{path}: event {number} is damaged") from error
    if event.number != number:
        raise StorageError(f"{path}: found event {event.number}, expected {number}")
    return event


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))


def _first_number(path: Path) -> int:
    return int(path.stem.removeprefix("events-"))
