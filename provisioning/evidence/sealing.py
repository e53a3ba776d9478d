"""Write clear bytes so that only the receiving party reads them; no clear byte reaches the disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from agent.core.sealing.age_file import Sealer
from agent.core.sealing.recipients import Recipient
from agent.errors import StorageError


class SealedOutput:
    """Takes clear bytes, writes sealed ones; `sha256` is of the clear ones."""

    def __init__(self, file: BinaryIO, recipient: Recipient) -> None:
        self._file = file
        self._sealer = Sealer([recipient])
        self._hashed = sha256()
        file.write(self._sealer.header)

    @property
    def sha256(self) -> str:
        """Digest of what was taken so far, in hex."""
        return self._hashed.hexdigest()

    def write(self, clear: bytes, /) -> int:
        """Take some bytes."""
        self._hashed.update(clear)
        self._file.write(self._sealer.push(clear))
        return len(clear)

    def finish(self) -> None:
        """Write what ends the file."""
        self._file.write(self._sealer.finish())


@contextmanager
def sealed_file(path: Path, recipient: Recipient) -> Iterator[SealedOutput]:
    """Lend an output whose bytes are sealed into a new file at `path`; it is whole when the block ends well.

    Raises:
        StorageError: The disk refuses.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            output = SealedOutput(file, recipient)
            yield output
            output.finish()
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error
