"""Bundles to the recorder: one file in its inbox, whole or not at all.

The recorder takes the file away within a twentieth of a second; while it does not
run, the file lies. Two topics share the one place. A revocation must not be written
over by what the broker had retained on the other topic before the recorder has seen
it; which of two bundles is newer only the recorder can tell.
"""

from pathlib import Path

from agent.adapters.atomic_files import read_capped, write_atomically

BUNDLE_FILE = "policy.bundle"
VERDICT_FILE = "policy-verdict.json"
MAX_VERDICT_BYTES = 16 * 1024


class PolicyInbox:
    """The place, and what waits for it: at most one bundle of each kind.

    Args:
        folder: The recorder's inbox.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / BUNDLE_FILE
        self._revoke: bytes | None = None
        self._desired: bytes | None = None
        self._lying: bytes | None = None  # what was written last, if it may be replaced by a revocation

    def bring(self, bundle: bytes, *, revoking: bool) -> None:
        """Take a bundle over; `settle` writes it."""
        if revoking:
            self._revoke = bundle
        else:
            self._desired = bundle

    def settle(self) -> None:
        """Write what can be written now.

        Raises:
            StorageError: It cannot; it waits for the next time.
        """
        if self._revoke is None and self._desired is None:
            return
        taken = not self._file.exists()
        if taken:
            self._lying = None
        if self._revoke is not None:
            put_back = self._lying if self._desired is None else self._desired
            self._write(self._revoke)
            self._revoke, self._desired, self._lying = None, put_back, None
        elif self._desired is not None and (taken or self._lying is not None):
            self._write(self._desired)
            self._lying, self._desired = self._desired, None

    def _write(self, bundle: bytes) -> None:
        write_atomically(self._file, bundle, mode=0o640)  # the recorder's group may read it


def read_verdict(outbox: Path) -> bytes:
    """Return what the recorder last said about a bundle, or nothing.

    Raises:
        StorageError: What lies there is no file of a verdict's size.
    """
    try:
        return read_capped(outbox / VERDICT_FILE, max_bytes=MAX_VERDICT_BYTES)
    except FileNotFoundError:
        return b""
