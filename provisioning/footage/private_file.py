"""A file of clear footage: readable by its owner only, and under its name only when it is whole."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from agent.errors import StorageError, UsageError


@contextmanager
def private_file(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Lend a new file that takes the name `path` if the block ends well, and vanishes if it does not.

    Args:
        path: Its name in the end.
        replace: Whether a file of that name may be there already.

    Raises:
        UsageError: Something of that name is there, and is not to be replaced.
        StorageError: The disk refuses.
    """
    _refuse_existing(path, replace=replace)
    # In the same folder, so that no other place ever holds a clear picture and the rename is atomic.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _refuse_existing(path, replace=replace)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error


def _refuse_existing(path: Path, *, replace: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected the name of a file")
    if os.path.lexists(path) and not replace:
        raise UsageError(f"{path} is there already", hint="choose another name, or replace it with --force")
