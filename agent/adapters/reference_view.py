"""Where a camera keeps the fingerprint of the view that was approved: one small file, for its owner only."""

from pathlib import Path

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.core.masking.drift import MOST_BYTES, Fingerprint


class ReferenceView:
    """The file of one camera.

    Args:
        folder: The state folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "view" / "reference.bin"

    def read(self) -> Fingerprint | None:
        """Return the fingerprint, or None if none was ever made.

        Raises:
            FingerprintFormatError: There is one, and it is damaged.
            StorageError: It cannot be read.
        """
        try:
            content = read_capped(self.path, max_bytes=MOST_BYTES)
        except FileNotFoundError:
            return None
        return Fingerprint.from_bytes(content)

    def write(self, fingerprint: Fingerprint) -> None:
        """Keep a fingerprint in place of the one before, whole or not at all.

        Raises:
            StorageError: It cannot be kept; the one before is as it was.
        """
        make_folders(self.path.parent)
        write_atomically(self.path, fingerprint.to_bytes())
