"""The ring of sealed segments on disk.

    footage/2026/11/28/<camera>-20261128T120000.000000Z-00000042.mp4.age
                       …-00000043.sealed.mp4.age          the sealed layer
                       …-00000044.mp4.age.part            being written
                       …-00000044.truncated.mp4.age       ended by a crash or a power cut

What it promises:

1. `append` returns when the bytes are on the disk (`fdatasync`), so a power cut costs
   at most what was not yet appended.
2. A name without `.part` or `.truncated` is a whole segment: contents are durable
   before the rename, the rename before `finish` returns.
3. A sequence number is never given twice, not even across crashes or after the ring
   was emptied. A gap means a segment that never held anything that could be opened.
4. Files that do not carry such a name are never counted, renamed or removed.
5. One process at a time: the folder is locked while the ring is open.

It writes no more than it must. Blocks for the expected length are set aside at the
start, so a second's `fdatasync` journals the inode and nothing else; a new name is made
durable after the first fragment, when the journal has already taken it along; the last
bytes travel with the closing sync. agent/decisions/0004-the-ring-on-disk.md has the numbers.

What to remove is decided elsewhere (`agent.core.retention`); the ring only refuses to
start a segment for which there is no room.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Self

from agent.adapters.atomic_files import read_capped, storage_error, write_atomically
from agent.adapters.disk import Disk
from agent.adapters.folder_lock import lock_folder
from agent.core.retention import StoredSegment
from agent.core.sealing.chunks import CHUNK_BYTES, PAYLOAD_NONCE_BYTES, SEALED_CHUNK_BYTES
from agent.core.sealing.header import SealedBytes, parse_header
from agent.core.sealing.segment import SealedFragment
from agent.core.segment_name import SegmentName, parse_segment_name
from agent.core.video import Layer
from agent.errors import SealError, StorageError, StorageFullError, StorageMissingError
from agent.ports import RingUse

_SEQUENCE = "sequence"  # the last number given, written when no name in the ring would tell it any more
_PROBE = ".probe"
_PROBE_BYTES = 4096  # a whole block, so that a disk without a free one says so
_DAY_LEVELS = 3  # year, month, day
# Sealed segments are for the link's group to read and send, whatever the umask; only the recorder writes them.
_FILE_MODE = 0o640
_FOLDER_MODE = 0o750
_RESERVED_SEGMENTS = 2  # of each layer: the one being written and its successor


@dataclass(frozen=True, slots=True, kw_only=True)
class RingSettings:
    """How large the ring may grow, and where it may lie.

    Attributes:
        capacity_bytes: What footage may take.
        keep_free_bytes: What must stay free on the file system: logs and policy are written there too.
        segment_bytes: Expected length of one segment: bit rate times duration.
        separate_file_system: Whether to refuse the root file system.
    """

    capacity_bytes: int
    keep_free_bytes: int
    segment_bytes: int
    separate_file_system: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What opening the ring found from an earlier run.

    Attributes:
        truncated: Partial segments that were kept and marked.
        discarded: Partial segments that held nothing that could be opened, and were removed.
    """

    truncated: tuple[StoredSegment, ...] = ()
    discarded: int = 0


class Ring:
    """The `Store` on disk. Use it as a context manager, or `close` it.

    Attributes:
        recovery: What was found from an earlier run.

    Raises:
        StorageMissingError: The separate file system is not mounted.
        StorageError: The folder cannot be read or written, or another process uses it.
    """

    def __init__(self, folder: Path, camera_id: str, settings: RingSettings, *, disk: Disk | None = None) -> None:
        self._folder = folder
        self._camera_id = camera_id
        self._settings = settings
        self._disk = disk or Disk()
        self._segments: dict[str, StoredSegment] = {}
        self._stored_bytes = 0
        self._truncated = 0
        self._last_sequence = 0
        self._segment_bytes = settings.segment_bytes
        self._parts: dict[Path, SegmentName] = {}  # being written, or waiting to be settled
        self._running: set[RingSegment] = set()
        self._check_mounted()
        self._disk.make_folders(folder, mode=_FOLDER_MODE)
        self._lock = lock_folder(folder)
        try:
            self.recovery = self._recover()
            self._capacity_bytes = self._attainable_bytes()
        except OSError as error:
            self.close()
            raise storage_error("recover footage in", folder, error) from error
        except StorageError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Abandon what is still being written and let another process have the folder."""
        for segment in tuple(self._running):
            segment.abandon()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def start(self, layer: Layer, started_at: datetime) -> "RingSegment":
        """Create the next running segment.

        Args:
            layer: Which of the take's layers it will hold.
            started_at: Capture time of its first frame, aware UTC; it names file and folder.

        Raises:
            StorageFullError: The ring is at its capacity, or the disk at what must stay free.
            StorageMissingError: The separate file system went away.
            StorageError: Read-only, failing, or gone.
        """
        self._check_mounted()
        self._check_room()
        name = SegmentName(
            camera_id=self._camera_id,
            layer=layer,
            started_at=started_at.astimezone(UTC),
            sequence=self._last_sequence + 1,
            running=True,
        )
        part = self._folder / name.path
        self._disk.make_folders(part.parent, mode=_FOLDER_MODE)
        try:
            descriptor = self._disk.create(part)
            os.fchmod(descriptor, _FILE_MODE)
        except OSError as error:
            raise storage_error("create", part, error) from error
        self._last_sequence = name.sequence
        self._parts[part] = name
        segment = RingSegment(self, self._disk, part, descriptor)
        self._running.add(segment)
        try:
            self._disk.reserve(descriptor, self._segment_bytes)
        except OSError as error:
            segment.abandon()
            raise storage_error("make room for", part, error) from error
        return segment

    def segments(self) -> Sequence[StoredSegment]:
        """Return all stored segments, oldest first."""
        return sorted(self._segments.values(), key=attrgetter("sequence"))

    def remove(self, segments: Sequence[StoredSegment]) -> None:
        """Unlink segments and make that durable; a file that is already gone is as good as removed.

        Raises:
            ValueError: One of them is not in the ring; nothing was removed.
            StorageMissingError: The separate file system is not mounted, and what lies on it is not gone.
            StorageError: One of them could not be removed; those before it were.
        """
        self._check_mounted()
        if strangers := [segment.path for segment in segments if segment.path not in self._segments]:
            raise ValueError(f"not in the ring: {', '.join(strangers)}")
        touched: dict[Path, None] = {}
        path = self._folder
        in_order = sorted(segments, key=attrgetter("sequence"))
        try:
            for segment in in_order:
                if segment is in_order[-1]:  # on a card without a free block, the others have made room for it by now
                    self._remember_sequence(without={segment.path})
                path = self._folder / segment.path
                with contextlib.suppress(FileNotFoundError):
                    self._disk.remove(path)
                del self._segments[segment.path]
                self._stored_bytes -= segment.size_bytes
                self._truncated -= segment.truncated
                touched[path.parent] = None
            for path in touched:
                if path.is_dir():
                    self._disk.sync_directory(path)
                    self._prune(path)
        except OSError as error:
            raise storage_error("remove footage from", path, error) from error

    def digest(self, segment: StoredSegment) -> str:
        """Return the SHA-256, in hex, of a segment's file: of one that a crash ended, nobody counted along.

        Raises:
            StorageError: It cannot be read.
        """
        path = self._folder / segment.path
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise storage_error("read", path, error) from error

    def use(self) -> RingUse:
        """Return how full the ring is; cheap."""
        oldest = next(iter(self._segments.values()), None)  # they are kept in order of sequence, but for late repairs
        return RingUse(
            segments=len(self._segments),
            stored_bytes=self._stored_bytes,
            reserved_bytes=_RESERVED_SEGMENTS * max(1, len(self._running)) * self._segment_bytes,
            capacity_bytes=self._capacity_bytes,
            oldest_at=None if oldest is None else oldest.started_at,
            truncated=self._truncated,
        )

    @property
    def unsettled(self) -> bool:
        """Whether a failure left partial segments that `probe` must settle."""
        return any(part not in {segment.part for segment in self._running} for part in self._parts)

    def probe(self) -> None:
        """Settle what an earlier failure left, and write, sync and remove a small file.

        Raises:
            StorageFullError: There is no room to record.
            StorageMissingError: The separate file system is not mounted.
            StorageError: It still cannot be written.
        """
        self._check_mounted()
        self._disk.make_folders(self._folder, mode=_FOLDER_MODE)
        running = {segment.part for segment in self._running}
        probe = self._folder / _PROBE
        try:
            for part in [part for part in self._parts if part not in running]:
                self._settle(part)
            with contextlib.suppress(FileNotFoundError):
                self._disk.remove(probe)
            descriptor = self._disk.create(probe)
            try:
                self._disk.write(descriptor, bytes(_PROBE_BYTES))
                self._disk.sync(descriptor)
            finally:
                os.close(descriptor)
                self._disk.remove(probe)
            self._disk.sync_directory(self._folder)
        except OSError as error:
            raise storage_error("write to", self._folder, error) from error
        self._check_room()

    def over(self, segment: "RingSegment") -> StoredSegment | None:
        """Take a running segment back, whole or not; called by the segment itself, once.

        Raises:
            OSError: It could not be settled now; `probe` or the next start of the ring will.
        """
        self._running.discard(segment)
        stored = self._settle(segment.part)
        if stored is not None:  # a busy scene exceeds the average rate: set more aside next time
            self._segment_bytes = max(self._segment_bytes, stored.size_bytes)
        return stored

    # --- what is on the disk, and what a crash left there --------------------------------

    def _recover(self) -> Recovery:
        """Read the ring from its names and settle partial segments."""
        self._last_sequence = self._read_sequence()
        found = []
        for entry in _files(self._folder, levels=_DAY_LEVELS):
            name = parse_segment_name(entry.name)
            if name is None:
                continue
            self._last_sequence = max(self._last_sequence, name.sequence)
            if name.running:
                self._parts[Path(entry.path)] = name
            else:
                size_bytes = entry.stat(follow_symlinks=False).st_size
                found.append(name.stored(path=_below(entry.path), size_bytes=size_bytes))
        for segment in sorted(found, key=attrgetter("sequence")):
            self._add(segment)
        settled = [self._settle(part) for part in tuple(self._parts)]
        truncated = tuple(segment for segment in settled if segment is not None)
        return Recovery(truncated=truncated, discarded=len(settled) - len(truncated))

    def _settle(self, part: Path) -> StoredSegment | None:
        """Give a segment that is no longer written its last name, or remove it if none of it can be opened.

        Raises:
            OSError: As the operating system said it; the segment is left for a later try.
            StorageError: Likewise.
        """
        name = self._parts[part]
        whole = part.with_name(name.finished().file)
        marked = part.with_name(name.cut_short().file)
        stored = None
        if whole.exists():  # it was finished and renamed; only the directory may be behind
            stored = self._stored(whole, name.finished())
        elif marked.exists():  # likewise, by an earlier try
            stored = self._stored(marked, name.cut_short())
        elif not part.exists():
            pass  # somebody removed it
        elif _opens(part):
            self._trim(part)
            self._disk.rename(part, marked)
            stored = self._stored(marked, name.cut_short())
        else:
            self._remember_sequence(without={_below(str(part))})
            self._disk.remove(part)
        if part.parent.is_dir():
            self._disk.sync_directory(part.parent)
        del self._parts[part]
        if stored is not None:
            self._add(stored)
        return stored

    def _stored(self, path: Path, name: SegmentName) -> StoredSegment:
        return name.stored(path=_below(str(path)), size_bytes=path.stat().st_size)

    def _trim(self, part: Path) -> None:
        """Give back the blocks set aside beyond what was written."""
        descriptor = os.open(part, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self._disk.release(descriptor, os.fstat(descriptor).st_size)
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)

    def _remember_sequence(self, *, without: AbstractSet[str]) -> None:
        """Write the last number down if, `without` these files, no name would tell it any more."""
        told = [segment.sequence for path, segment in self._segments.items() if path not in without]
        told += [name.sequence for part, name in self._parts.items() if _below(str(part)) not in without]
        if max(told, default=0) < self._last_sequence:
            write_atomically(self._folder / _SEQUENCE, b"%d\n" % self._last_sequence)

    def _read_sequence(self) -> int:
        try:
            text = read_capped(self._folder / _SEQUENCE, max_bytes=32)
        except FileNotFoundError:
            return 0
        if not text.strip().isdigit():
            raise StorageError(
                f"{self._folder / _SEQUENCE} does not hold a number",
                hint="if the folder holds footage, remove it: the names tell the number, too",
            )
        return int(text)

    def _add(self, segment: StoredSegment) -> None:
        self._segments[segment.path] = segment
        self._stored_bytes += segment.size_bytes
        self._truncated += segment.truncated

    def _prune(self, day: Path) -> None:
        """Remove a day's folder, and the ones above it, once they are empty."""
        for folder in (day, *day.parents[:2]):
            try:
                folder.rmdir()
            except OSError:  # not empty: the usual case
                return

    # --- room -----------------------------------------------------------------------------

    def _attainable_bytes(self) -> int:
        """Return the capacity, or what the disk has room for if that is less.

        Measured once, when the ring is opened: a ring larger than its disk must wrap
        around, but what fills the disk later, from outside, must not cost footage.
        """
        room_bytes = self._disk.free_bytes(self._folder) - self._settings.keep_free_bytes
        return min(self._settings.capacity_bytes, self._stored_bytes + max(0, room_bytes))

    def _check_room(self) -> None:
        running_bytes = len(self._running) * self._segment_bytes
        if self._stored_bytes + running_bytes + self._segment_bytes > self._capacity_bytes:
            raise StorageFullError(
                f"the ring holds {self._stored_bytes} of {self._capacity_bytes} bytes, "
                f"expected room for {self._segment_bytes} more",
                hint="if holds fill it, have a custodian export what they hold and release it",
            )
        try:
            free_bytes = self._disk.free_bytes(self._folder)
        except OSError as error:
            raise storage_error("measure", self._folder, error) from error
        if free_bytes < self._settings.keep_free_bytes + self._segment_bytes:
            raise StorageFullError(
                f"{self._folder} has {free_bytes} bytes free, "
                f"expected {self._settings.keep_free_bytes + self._segment_bytes}",
                hint="something else fills this disk; recording resumes by itself once there is room",
            )

    def _check_mounted(self) -> None:
        if not self._settings.separate_file_system:
            return
        try:
            misplaced = self._disk.device(self._folder) == self._disk.device(Path("/"))
        except OSError as error:
            raise storage_error("find", self._folder, error) from error
        if misplaced:
            raise StorageMissingError(
                f"{self._folder} lies on the root file system, expected a separate one to be mounted",
                hint="mount the footage disk, or set storage.separate_file_system = false",
            )


class RingSegment:
    """One segment while it is written."""

    def __init__(self, ring: Ring, disk: Disk, part: Path, descriptor: int) -> None:
        self.part = part
        self._ring = ring
        self._disk = disk
        self._descriptor = descriptor
        self._size_bytes = 0
        self._over = False
        self._kept: StoredSegment | None = None

    def append(self, fragment: SealedFragment) -> None:
        """Write and `fdatasync`.

        Raises:
            StorageError: It could not be made durable; the segment is over, and what is on the disk is kept.
        """
        with self._abandoning("append to"):
            self._write(fragment)

    def finish(self, last: SealedFragment | None = None) -> StoredSegment:
        """Write `last`, sync, rename to the final name, `fsync` the directory.

        Args:
            last: The closing bytes; given here they need no sync of their own.

        Raises:
            StorageError: It could not be made durable; the segment is over, and what is on the disk is kept.
        """
        with self._abandoning("finish"):
            if last is not None:
                self._disk.write(self._descriptor, last.sealed)
                self._size_bytes += len(last.sealed)
            self._disk.release(self._descriptor, self._size_bytes)
            self._disk.sync(self._descriptor)
            self._close()
            self._disk.rename(self.part, self.part.with_name(self.part.name.removesuffix(".part")))
            stored = self._ring.over(self)
        if stored is None:
            raise StorageError(f"cannot finish {self.part}: it was removed while it was written")
        self._over = True
        return stored

    def abandon(self) -> StoredSegment | None:
        """Close as it is; what can be opened of it is kept, marked truncated, and returned. Never raises."""
        if self._over:
            return self._kept
        self._over = True
        with contextlib.suppress(OSError):  # a failing disk says so once more
            self._close()
        with contextlib.suppress(OSError, StorageError):  # `probe`, or the next start of the ring, tries again
            self._kept = self._ring.over(self)
        return self._kept

    def _write(self, fragment: SealedFragment) -> None:
        if not fragment.sealed:
            return
        first = self._size_bytes == 0
        self._disk.write(self._descriptor, fragment.sealed)
        self._size_bytes += len(fragment.sealed)
        self._disk.sync(self._descriptor)
        if first:
            self._disk.sync_directory(self.part.parent)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @contextlib.contextmanager
    def _abandoning(self, doing: str) -> Iterator[None]:
        """Turn what the operating system says into a StorageError, and end the segment with it."""
        if self._over:
            raise StorageError(f"cannot {doing} {self.part}: the segment is over")
        try:
            yield
        except StorageError:
            self.abandon()
            raise
        except OSError as error:
            self.abandon()
            raise storage_error(doing, self.part, error) from error


def _opens(part: Path) -> bool:
    """Return whether a partial file holds its header and a whole chunk, without which no key opens a byte of it."""
    with part.open("rb") as file:
        source = SealedBytes(iter(lambda: file.read(CHUNK_BYTES), b""))
        try:
            parse_header(source)
        except SealError:
            return False
        wanted_bytes = PAYLOAD_NONCE_BYTES + SEALED_CHUNK_BYTES
        return len(source.take(wanted_bytes)) == wanted_bytes


def _files(folder: Path | str, *, levels: int) -> Iterator[os.DirEntry[str]]:
    """Yield the regular files that lie `levels` folders deep, of year, month and day; links are not followed.

    Other folders are none of ours: a disk of its own has a lost+found that only root may enter.
    A full card holds tens of thousands: the directory entries tell what they are, no file is asked.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if levels and entry.name.isdecimal() and entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, levels=levels - 1)
            elif not levels and entry.is_file(follow_symlinks=False):
                yield entry


def _below(path: str) -> str:
    """Return the part of a segment's path that lies below the footage folder."""
    return "/".join(path.split("/")[-_DAY_LEVELS - 1 :])
