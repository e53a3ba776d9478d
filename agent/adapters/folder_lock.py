"""Keep a second process out of a folder that has one writer."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.adapters.atomic_files import storage_error
from agent.errors import StorageError


def lock_folder(folder: Path) -> int:
    """Return a descriptor of `folder` that locks it until it is closed, which the kernel does for the dead, too.

    Raises:
        StorageError: Another process has it, or it cannot be opened.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise storage_error("open", folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StorageError(f"another process writes to {folder}", hint="two recorders need two folders") from error
    return descriptor


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold `folder` for a moment, against others who ask the same way; whoever comes second waits.

    Raises:
        StorageError: It cannot be opened.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise storage_error("open", folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
