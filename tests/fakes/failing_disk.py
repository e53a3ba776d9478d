"""A real disk that answers chosen calls with an error, as a full, dying or read-only one does."""

import os
from pathlib import Path

from agent.adapters.disk import Disk


class FailingDisk(Disk):
    """Passes calls on to the file system until told otherwise.

    Attributes:
        calls: Names of the calls made, in order.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._errno: dict[str, int] = {}
        self._root_device: int | None = None
        self._free_bytes: int | None = None

    def fail(self, errno: int, *calls: str) -> None:
        """Answer `calls` with `errno` from now on; all that write if none is named."""
        for call in calls or ("create", "reserve", "release", "write", "sync", "rename", "remove", "sync_directory"):
            self._errno[call] = errno

    def heal(self) -> None:
        """Answer truthfully again."""
        self._errno.clear()
        self._free_bytes = None

    def fill(self, free_bytes: int) -> None:
        """Claim that only so much is free."""
        self._free_bytes = free_bytes

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self._errno:
            raise OSError(self._errno[name], os.strerror(self._errno[name]))

    def create(self, path: Path) -> int:
        self._call("create")
        return super().create(path)

    def reserve(self, descriptor: int, length: int) -> None:
        self._call("reserve")
        super().reserve(descriptor, length)

    def release(self, descriptor: int, length: int) -> None:
        self._call("release")
        super().release(descriptor, length)

    def write(self, descriptor: int, data: bytes) -> None:
        if "write" in self._errno:  # a failing write takes some of it
            os.write(descriptor, data[: len(data) // 2])
        self._call("write")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._call("sync")
        super().sync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._call("rename")
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._call("remove")
        super().remove(path)

    def sync_directory(self, folder: Path) -> None:
        self._call("sync_directory")
        super().sync_directory(folder)

    def free_bytes(self, folder: Path) -> int:
        self._call("free_bytes")
        return super().free_bytes(folder) if self._free_bytes is None else self._free_bytes


class SplitDisk(Disk):
    """A disk on which everything below `mount` is a file system of its own, while it is mounted."""

    def __init__(self, mount: Path) -> None:
        self.mounted = True
        self._mount = mount

    def device(self, path: Path) -> int:
        return 2 if self.mounted and path.is_relative_to(self._mount) else 1
