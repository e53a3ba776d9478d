"""The system calls by which footage reaches a disk; tests put a failing one in its place."""

import ctypes
import errno
import os
from pathlib import Path

from agent.adapters.atomic_files import make_folders, sync_directory, write_all

_FALLOC_FL_KEEP_SIZE = 0x01  # linux/falloc.h; os.posix_fallocate cannot say it
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Disk:
    """A POSIX file system. Every method raises OSError as the operating system said it."""

    def create(self, path: Path) -> int:
        """Create a private file that must not exist, and return its descriptor for appending."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def reopen(self, path: Path) -> int:
        """Return the descriptor of a file that is there, for appending."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)

    def reserve(self, descriptor: int, length: int) -> None:
        """Set blocks aside for `length` bytes without changing the file's size, where the file system can."""
        if _libc.fallocate(descriptor, _FALLOC_FL_KEEP_SIZE, 0, length):
            code = ctypes.get_errno()
            if code not in {errno.EOPNOTSUPP, errno.ENOSYS}:
                raise OSError(code, os.strerror(code))

    def release(self, descriptor: int, length: int) -> None:
        """Give blocks set aside beyond `length`, the file's size, back."""
        os.ftruncate(descriptor, length)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of `data`."""
        write_all(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make the bytes written and the file's size survive a power cut."""
        os.fdatasync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Rename within a folder."""
        old.rename(new)

    def remove(self, path: Path) -> None:
        """Unlink a file."""
        path.unlink()

    def make_folders(self, folder: Path, mode: int = 0o700) -> None:
        """Create `folder` and the missing ones above it, durably. Raises StorageError, not OSError."""
        make_folders(folder, mode=mode)

    def sync_directory(self, folder: Path) -> None:
        """Make the names in `folder` survive a power cut."""
        sync_directory(folder)

    def free_bytes(self, folder: Path) -> int:
        """Return what an ordinary user may still write."""
        room = os.statvfs(folder)
        return room.f_bavail * room.f_frsize

    def total_bytes(self, folder: Path) -> int:
        """Return what an ordinary user could write if the file system were empty."""
        room = os.statvfs(folder)
        return (room.f_blocks - room.f_bfree + room.f_bavail) * room.f_frsize

    def device(self, path: Path) -> int:
        """Return the number of the file system that `path`, or the nearest folder above it, lies on."""
        while not path.exists():
            path = path.parent
        return path.stat().st_dev
