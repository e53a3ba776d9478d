"""The status as a file that is replaced whole: whoever reads it never sees half of one.

It belongs on a file system in memory (`/run`): it is written every second, and a card
would not live long under that.
"""

import contextlib
import os
import secrets
from pathlib import Path

from agent.adapters.atomic_files import read_capped, storage_error, write_all
from agent.core.status import RecorderStatus
from agent.errors import StorageError

MAX_BYTES = 64 * 1024  # a status is about 2 KiB


class StatusFile:
    """Where one recorder's status lies.

    Args:
        path: The file; its folder must exist.
        mode: Its permission bits: the link's group may read it.
    """

    def __init__(self, path: Path, *, mode: int = 0o640) -> None:
        self._path = path
        self._mode = mode

    def write(self, status: RecorderStatus) -> None:
        """Replace the status.

        Not synced: after a power cut there is nothing to say, and should the folder
        lie on a card after all, a sync a second would wear it out.

        Raises:
            StorageError: It cannot be written; the old one is untouched.
        """
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.new")
        try:
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, self._mode
            )
            try:
                os.fchmod(descriptor, self._mode)  # whatever the umask: the link must be able to read it
                write_all(descriptor, status.to_json().encode())
            finally:
                os.close(descriptor)
            temporary.rename(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                temporary.unlink()
            raise storage_error("write", self._path, error) from error

    def read(self) -> RecorderStatus:
        """Return the status written last.

        Raises:
            StorageError: There is none, it cannot be read, or it is not a status this version understands.
        """
        try:
            text = read_capped(self._path, max_bytes=MAX_BYTES)
        except FileNotFoundError as error:
            raise StorageError(
                f"there is no status at {self._path}", hint="is the recorder running, and with this configuration?"
            ) from error
        try:
            return RecorderStatus.from_json(text)
        except ValueError as error:
            raise StorageError(
                f"{self._path} is not a status this version understands",
                hint="the recorder that wrote it may be of another version",
            ) from error
