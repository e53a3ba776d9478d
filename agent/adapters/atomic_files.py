"""Replace a small file so that a power cut leaves the old one or the new one, whole.

Temporary file in the same directory, mode set at birth, `fsync`, `rename`, `fsync`
of the directory: leave one out and some file system has been seen to lose the
old and the new content together. For documents and counters only; footage is
appended to (see `agent.adapters.ring`).
"""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

from agent.errors import StorageError, StorageFullError

_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
TEMPORARY_SUFFIX = ".new"  # a leading dot and this mark what a crash may leave behind


def storage_error(doing: str, path: Path, error: OSError) -> StorageError:
    """Return what the operating system's `error` means to us, saying what was being done and where.

    Args:
        doing: A verb phrase, such as "write" or "make the folder".
        path: What it was done to.
        error: What came of it.
    """
    words = (error.strerror or str(error)).lower()
    if error.errno in _FULL_ERRNOS:
        return StorageFullError(f"cannot {doing} {path}: {words}", hint="free some space; recording resumes by itself")
    return StorageError(f"cannot {doing} {path}: {words}")


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Make `path` hold exactly `data`, or leave it as it was.

    The folder must exist. When this returns, `data` survives a power cut.

    Args:
        path: The file to create or replace; a symbolic link is replaced, not followed.
        data: Its whole new content.
        mode: Its permission bits, whatever the umask: what the link's group must read is not kept from it by accident.

    Raises:
        StorageFullError: No room; the old content is untouched.
        StorageError: The folder is missing, read-only or failing; the old content is untouched.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            try:
                os.fchmod(descriptor, mode)
                write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.rename(path)
        except OSError:
            with contextlib.suppress(OSError):  # the disk may be what fails; the first error is the one to tell
                temporary.unlink()
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise storage_error("write", path, error) from error


def read_capped(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a regular file that others may have written.

    Opens without following a symbolic link and without blocking on a pipe, and never
    takes more than `max_bytes` into memory.

    Raises:
        FileNotFoundError: There is no such file; whether that is an error only the caller knows.
        StorageError: It is not a regular file, is larger than `max_bytes`, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise StorageError(f"cannot read {path}: not a regular file")
            data = b""
            while len(data) <= max_bytes and (more := os.read(descriptor, max_bytes + 1 - len(data))):
                data += more
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error("read", path, error) from error
    if len(data) > max_bytes:
        raise StorageError(f"cannot read {path}: larger than the {max_bytes} bytes allowed")
    return data


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data`; `write(2)` may take less and say so only in its return value.

    Raises:
        OSError: As the operating system said it; some of `data` may have been written.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_directory(folder: Path) -> None:
    """Make creations, renames and removals in `folder` survive a power cut.

    Raises:
        OSError: As the operating system said it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path, *, mode: int = 0o700) -> None:
    """Create `folder` and the missing ones above it, each of them durable before the next.

    Args:
        folder: The folder that must be there.
        mode: Permission bits of those that are made, whatever the umask.

    Raises:
        StorageError: One of them cannot be made.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        if folder.parent == folder:  # a root that is not a folder cannot be; an endless loop must not be
            break
        folder = folder.parent
    for each in reversed(missing):
        try:
            with contextlib.suppress(FileExistsError):  # somebody else was faster
                each.mkdir(mode)
                each.chmod(mode)
            sync_directory(each.parent)
        except OSError as error:
            raise storage_error("make the folder", each, error) from error
