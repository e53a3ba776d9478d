"""Sealed segments as the link sees them: names, lengths, and ciphertext to read. It writes nothing here."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import FileIO
from pathlib import Path

from agent.adapters.atomic_files import storage_error
from agent.core.segment_name import SegmentName, parse_segment_name
from agent.errors import ForeignFileError

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFile:
    """One finished segment."""

    name: SegmentName
    size_bytes: int


class FootageFiles:
    """The ring's folder, read only.

    Args:
        folder: The folder of the ring.
        camera_id: Whose segments to show.
    """

    def __init__(self, folder: Path, camera_id: str) -> None:
        self._folder = folder
        self._camera_id = camera_id

    def between(self, start: datetime, end: datetime) -> Iterator[SealedFile]:
        """Yield the finished segments that began in the half-open span, oldest first.

        Raises:
            StorageError: The folder cannot be read.
        """
        for day in sorted(self._folder.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]")):
            text = "-".join(day.parts[-3:])
            # A segment lies in the folder of its start; names are compared, so that no date need be made of them.
            if f"{start - _DAY:%Y-%m-%d}" <= text <= f"{end + _DAY:%Y-%m-%d}":
                yield from self._of_day(day, start, end)

    def open(self, file: str) -> tuple[FileIO, int]:
        """Open a finished segment for reading, and return it with its length in bytes.

        Raises:
            ForeignFileError: There is no such segment of this camera.
            StorageError: It cannot be read.
        """
        name = parse_segment_name(file)
        if name is None or name.running or name.camera_id != self._camera_id:
            raise ForeignFileError(f"{file} is no finished segment of {self._camera_id}")
        path = self._folder / name.path
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise ForeignFileError(f"there is no {file}; it may have expired") from error
        except OSError as error:
            raise storage_error("read", path, error) from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise ForeignFileError(f"{file} is no file")
        return FileIO(descriptor, "rb"), found.st_size

    def _of_day(self, day: Path, start: datetime, end: datetime) -> Iterator[SealedFile]:
        found = []
        try:
            for entry in os.scandir(day):
                name = parse_segment_name(entry.name)
                if name is None or name.running or name.camera_id != self._camera_id:
                    continue
                if start <= name.started_at < end:
                    found.append((name.started_at, name.sequence, entry))
        except OSError as error:
            raise storage_error("list", day, error) from error
        for _, _, entry in sorted(found, key=lambda each: each[:2]):
            name = parse_segment_name(entry.name)
            try:
                size_bytes = entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:  # removed by the recorder meanwhile
                continue
            if name is not None:
                yield SealedFile(name=name, size_bytes=size_bytes)
