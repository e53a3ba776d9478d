"""The folder that is handed over: what lies where, read and written with care.

A folder that comes back from outside is not to be trusted: links are not followed, sizes are
bounded, and a name that the statement does not list is seen.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from agent.errors import EvidenceAlteredError, EvidenceCutError, StorageError

STATEMENT = "statement.json"
SIGNATURE = "statement.sig"
REPORT = "report.html"
SEALED_REPORT = "report.html.age"
PAPER = "report.pdf"
SEALED_PAPER = "report.pdf.age"
FOOTAGE = "footage.mp4.age"
SEGMENTS = "segments"
HEADER_SUFFIX = ".header"
CHECKPOINT = "log/checkpoint"
WITNESSED = "log/witnessed"
LEAVES = "log/leaves.json"
BUNDLE = "city/policy.bundle"

_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file is."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One folder of evidence."""

    folder: Path

    def names(self) -> frozenset[str]:
        """Return the paths of all files below, with forward slashes; a link or a device is one too.

        Raises:
            StorageError: The folder cannot be read.
        """

        def refuse(error: OSError) -> None:
            raise error

        try:
            return frozenset(
                Path(root, name).relative_to(self.folder).as_posix()
                for root, folders, files in os.walk(self.folder, onerror=refuse)
                for name in (*files, *(each for each in folders if Path(root, each).is_symlink()))
            )
        except OSError as error:
            raise StorageError(f"cannot read {self.folder}: {(error.strerror or str(error)).lower()}") from error

    def blocks(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file.

        Raises:
            EvidenceCutError: It is not there.
            EvidenceAlteredError: Something else than a file is there.
            StorageError: It cannot be read.
        """
        whole = self.folder / path
        try:
            descriptor = os.open(whole, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise EvidenceAlteredError(f"{path} is no file")
                while block := file.read(_BLOCK_BYTES):
                    yield block
        except FileNotFoundError as error:
            raise EvidenceCutError(f"{path} is missing") from error
        except OSError as error:
            if whole.is_symlink() or whole.is_dir():
                raise EvidenceAlteredError(f"{path} is no file") from error
            raise StorageError(f"cannot read {whole}: {(error.strerror or str(error)).lower()}") from error

    def read(self, path: str, *, max_bytes: int) -> bytes:
        """Return the content of a file.

        Raises:
            EvidenceAlteredError: It is longer than it may be; otherwise as `blocks`.
        """
        content = bytearray()
        for block in self.blocks(path):
            content += block
            if len(content) > max_bytes:
                raise EvidenceAlteredError(f"{path} has more than {max_bytes} bytes")
        return bytes(content)

    def digest(self, path: str) -> Digest:
        """Return what a file is. Raises as `blocks`."""
        hashed, size = sha256(), 0
        for block in self.blocks(path):
            hashed.update(block)
            size += len(block)
        return Digest(size, hashed.hexdigest())
