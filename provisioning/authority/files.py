"""Write files whole: private from birth where they are secret, never half there.

The agent's own adapter does the same for the camera's state folder; this one is
the desk's, because provisioning does not reach into the agent's adapters.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from agent.errors import StorageError, UsageError

PUBLIC = 0o644
PRIVATE = 0o600
PRIVATE_FOLDER = 0o700


def write_new(path: Path, content: bytes, *, mode: int = PUBLIC) -> None:
    """Create `path` with `content` and permission bits `mode` from its first moment.

    Raises:
        UsageError: Something is there already.
        StorageError: The disk refuses.
    """
    if path.exists():
        raise UsageError(f"{path} exists already", hint="choose another name, or move the old one away first")
    write_whole(path, content, mode=mode)


def write_whole(path: Path, content: bytes, *, mode: int = PUBLIC) -> None:
    """Make `path` hold exactly `content`, durably, or leave it as it was.

    Raises:
        StorageError: The disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                temporary.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {_words(error)}") from error


def read_capped(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of `path`, having read no more than `max_bytes`.

    Raises:
        StorageError: It is not there or cannot be read.
        UsageError: It is larger than it may be.
    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {_words(error)}") from error
    if len(content) > max_bytes:
        raise UsageError(f"{path} holds more than {max_bytes} bytes")
    return content


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """Make `path` and its parents where they are missing.

    Raises:
        StorageError: The disk refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
    except OSError as error:
        raise StorageError(f"cannot make the folder {path}: {_words(error)}") from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` exclusively; whoever comes second waits.

    Raises:
        StorageError: The lock file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise StorageError(f"cannot lock {path}: {_words(error)}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make what was created in or removed from `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
