"""A ring that may not be there yet, or not be well: the recorder waits for it instead of dying.

A card that is not mounted at start, or that failed in the middle of a segment, is a
reason not to record, not a reason to crash and be restarted. Each new segment asks
again; the back-off between two questions is the pipeline's.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from agent.adapters.ring import Ring
from agent.core.retention import StoredSegment
from agent.core.video import Layer
from agent.errors import StorageError
from agent.ports import RingUse, RunningSegment

NOTHING = RingUse(segments=0, stored_bytes=0, reserved_bytes=0, capacity_bytes=0, oldest_at=None, truncated=0)


class PatientStore:
    """Implements `ports.Store` over a ring that it opens when it can.

    Args:
        open_ring: Opens the ring, or raises StorageError.
        on_open: Told of each ring that was opened, with what recovery found.
    """

    def __init__(self, open_ring: Callable[[], Ring], on_open: Callable[[Ring], None]) -> None:
        self._open_ring = open_ring
        self._on_open = on_open
        self._ring: Ring | None = None

    def start(self, layer: Layer, started_at: datetime) -> RunningSegment:
        """Create the next running segment, after settling what a failure left of an earlier one."""
        ring = self._opened()
        if ring.unsettled:
            ring.probe()
        return ring.start(layer, started_at)

    def segments(self) -> Sequence[StoredSegment]:
        """Return all stored segments, oldest first; none while there is no ring."""
        return () if self._ring is None else self._ring.segments()

    def remove(self, segments: Sequence[StoredSegment]) -> None:
        """Unlink segments and make that durable."""
        self._opened().remove(segments)

    def use(self) -> RingUse:
        """Return how full the ring is."""
        return NOTHING if self._ring is None else self._ring.use()

    def probe(self) -> None:
        """Make sure that the disk can be written, opening the ring if need be. Raises StorageError."""
        self._opened().probe()

    def settle(self) -> None:
        """Bring partial segments that a failure left into the ring, where they can be removed. Raises StorageError."""
        if self._ring is not None and self._ring.unsettled:
            self._ring.probe()

    def close(self) -> None:
        """Let another process have the folder."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def try_to_open(self) -> StorageError | None:
        """Open the ring if it is there; return why not."""
        try:
            self._opened()
        except StorageError as error:
            return error
        return None

    def _opened(self) -> Ring:
        if self._ring is None:
            self._ring = self._open_ring()
            self._on_open(self._ring)
        return self._ring
