"""The checkpoint of the recorder's log, and the same as a witness cosigned it.

The recorder replaces `log/checkpoint` whole each time it signs. What comes back from a witness
is the link's to keep, in its own folder: the log belongs to the recorder alone.
"""

from pathlib import Path

from agent.adapters.atomic_files import read_capped, write_atomically

SIGNED_FILE = "checkpoint"
WITNESSED_FILE = "witnessed.checkpoint"
MAX_CHECKPOINT_BYTES = 4 * 1024  # as agent.core.messages.log carries it


class CheckpointFiles:
    """Both files.

    Args:
        log_folder: The recorder's log; it need not exist yet.
        folder: The link's own.
    """

    def __init__(self, log_folder: Path, folder: Path) -> None:
        self._signed = log_folder / SIGNED_FILE
        self._witnessed = folder / WITNESSED_FILE

    def signed(self) -> bytes:
        """Return what the log signed last, or nothing if it has signed nothing yet.

        Raises:
            StorageError: It cannot be read, or is too large for a checkpoint.
        """
        try:
            return read_capped(self._signed, max_bytes=MAX_CHECKPOINT_BYTES)
        except FileNotFoundError:
            return b""

    def keep(self, note: bytes) -> None:
        """Keep what a witness cosigned last.

        Raises:
            StorageError: It cannot be written.
        """
        write_atomically(self._witnessed, note)
