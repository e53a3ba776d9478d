"""What the link must not forget: its cursor, its birth sequence, the commands it has seen.

One small JSON file, replaced atomically. The cursor is written rarely: what it lags behind is
sent again, and the backend knows leaves by their index. The birth sequence is reserved a
hundred ahead, so that a camera that tries all day does not wear out its card.
"""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.adapters.log_leaves import Extent, LogLeaves
from agent.core.link_commands import Seen
from agent.core.messages.commands import Command
from agent.errors import StorageError
from agent.ports import Clock

SEQUENCES_AHEAD = 100
CURSOR_AT_LEAST_EVERY = timedelta(seconds=60)
_MAX_BYTES = 256 * 1024


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    log_id: str = ""
    acked: NonNegativeInt = 0
    last_leaf: str = ""  # SHA-256 of leaf acked-1: tells this log from another one of the same length
    sequence: NonNegativeInt = 0
    seen: dict[str, AwareDatetime] = Field(default_factory=dict)


class LinkStore:
    """The link's own state.

    Args:
        folder: Its folder; made if missing.
        clock: For how rarely to write.

    Raises:
        StorageError: The folder cannot be made or read.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        make_folders(folder)
        self._path = folder / "link.json"
        self._clock = clock
        self._kept = self._load()
        self._acked = self._kept.acked
        self._sequence = self._kept.sequence
        self._saved_at_us = clock.monotonic_us()

    @property
    def log_id(self) -> str:
        """Which log the cursor is for; empty before the first leaf."""
        return self._kept.log_id

    @property
    def acked(self) -> int:
        """The backend has everything below."""
        return self._acked

    @property
    def sequence(self) -> int:
        """The birth sequence of the connection begun last."""
        return self._sequence

    @property
    def seen(self) -> Seen:
        """The commands accepted lately."""
        return Seen(ids=MappingProxyType(self._kept.seen))

    def recognise(self, leaves: LogLeaves, extent: Extent) -> None:
        """Make sure that the cursor is for this log: a camera whose card was replaced begins a new one.

        Raises:
            StorageError: The log cannot be read, or the cursor not be written.
        """
        if extent.oldest == extent.following:
            return
        kept = self._kept
        if kept.log_id and kept.acked <= extent.following:
            last = kept.acked - 1
            if last < extent.oldest or kept.last_leaf == _digest(leaves, last):
                return
        # The same log gets the same name again even if only this state was lost.
        log_id = hashlib.sha256(b"%d:" % extent.oldest + b"".join(leaves.read(extent.oldest, most=1, most_bytes=1)))
        self._save(kept.model_copy(update={"log_id": log_id.hexdigest()[:32], "acked": 0, "last_leaf": ""}))
        self._acked = 0

    def move_to(self, acked: int, leaves: LogLeaves, *, at_once: bool = False) -> None:
        """Remember that the backend has everything below `acked`; written if the last time is long ago, or `at_once`.

        Raises:
            StorageError: It cannot be written; it is remembered all the same, until this process ends.
        """
        self._acked = acked
        waited = timedelta(microseconds=self._clock.monotonic_us() - self._saved_at_us)
        if acked != self._kept.acked and (at_once or waited >= CURSOR_AT_LEAST_EVERY):
            self._save(self._kept.model_copy(update={"acked": acked, "last_leaf": _digest(leaves, acked - 1)}))

    def next_sequence(self) -> int:
        """Return a birth sequence higher than any before, over restarts and power cuts.

        Raises:
            StorageError: It cannot be reserved.
        """
        self._sequence += 1
        if self._sequence > self._kept.sequence:
            self._save(self._kept.model_copy(update={"sequence": self._sequence + SEQUENCES_AHEAD}))
        return self._sequence

    def remember(self, command: Command, now: datetime) -> None:
        """Remember a command before it is carried out. Raises StorageError; then it must not be."""
        seen = self.seen.with_command(command, now=now)
        self._save(self._kept.model_copy(update={"seen": dict(seen.ids)}))

    def _save(self, kept: _Kept) -> None:
        write_atomically(self._path, kept.model_dump_json().encode())
        self._kept = kept
        self._saved_at_us = self._clock.monotonic_us()

    def _load(self) -> _Kept:
        try:
            return _Kept.model_validate_json(read_capped(self._path, max_bytes=_MAX_BYTES))
        except FileNotFoundError:
            return _Kept()
        except (ValidationError, StorageError):
            # Lost: leaves go out again, which is harmless, and a sequence from the clock is above any before.
            return _Kept(sequence=int(self._clock.now().timestamp()))


def _digest(leaves: LogLeaves, index: int) -> str:
    read = leaves.read(index, most=1, most_bytes=1) if index >= 0 else ()
    return hashlib.sha256(read[0]).hexdigest() if read else ""
