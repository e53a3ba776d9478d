"""A store in memory, held to tests/contract/test_store_contract.py like the real ring."""

from collections.abc import Sequence
from datetime import datetime

from agent.core.retention import StoredSegment
from agent.core.sealing.segment import SealedFragment
from agent.core.segment_name import SegmentName
from agent.core.video import Layer
from agent.errors import StorageError, StorageFullError
from agent.ports import RingUse


class MemoryStore:
    """The `Store` that forgets; set `failing` to make every later call raise it.

    Attributes:
        files: Contents by path; running segments under their `.part` name.
        removed: Paths that `remove` took, in order.
        failing: What the "disk" says from now on, or None.
    """

    def __init__(self, *, camera_id: str = "pole-7", capacity_bytes: int = 10**9, segment_bytes: int = 1000) -> None:
        self.files: dict[str, bytearray] = {}
        self.removed: list[str] = []
        self.failing: StorageError | None = None
        self._camera_id = camera_id
        self._capacity_bytes = capacity_bytes
        self._segment_bytes = segment_bytes
        self._stored: dict[str, StoredSegment] = {}
        self._sequence = 0

    def start(self, layer: Layer, started_at: datetime) -> "MemorySegment":
        """Create the next running segment."""
        self.probe()
        self._sequence += 1
        name = SegmentName(
            camera_id=self._camera_id, layer=layer, started_at=started_at, sequence=self._sequence, running=True
        )
        self.files[name.path] = bytearray()
        return MemorySegment(self, name)

    def segments(self) -> Sequence[StoredSegment]:
        """Return all stored segments, oldest first."""
        return sorted(self._stored.values(), key=lambda segment: segment.sequence)

    def remove(self, segments: Sequence[StoredSegment]) -> None:
        """Forget segments."""
        if any(segment.path not in self._stored for segment in segments):
            raise ValueError("not in the store")
        self._check()
        for segment in segments:
            del self._stored[segment.path]
            self.files.pop(segment.path, None)
            self.removed.append(segment.path)

    def use(self) -> RingUse:
        """Return how full it is."""
        segments = self.segments()
        return RingUse(
            segments=len(segments),
            stored_bytes=sum(segment.size_bytes for segment in segments),
            reserved_bytes=2 * self._segment_bytes,
            capacity_bytes=self._capacity_bytes,
            oldest_at=segments[0].started_at if segments else None,
            truncated=sum(segment.truncated for segment in segments),
        )

    def probe(self) -> None:
        """Raise what `failing` says, or that it is full."""
        self._check()
        if self.use().stored_bytes + self._segment_bytes > self._capacity_bytes:
            raise StorageFullError("the store is full")

    def _check(self) -> None:
        if self.failing is not None:
            raise self.failing

    def _rename(self, name: SegmentName, new: SegmentName) -> StoredSegment:
        self.files[new.path] = self.files.pop(name.path)
        stored = new.stored(size_bytes=len(self.files[new.path]))
        self._stored[new.path] = stored
        return stored


class MemorySegment:
    """One segment while it is "written"."""

    def __init__(self, store: MemoryStore, name: SegmentName) -> None:
        self._store = store
        self._name = name
        self._over = False
        self._kept: StoredSegment | None = None

    def append(self, fragment: SealedFragment) -> None:
        """Keep the bytes."""
        if self._over:
            raise StorageError("the segment is over")
        try:
            self._store._check()
        except StorageError:
            self.abandon()
            raise
        self._store.files[self._name.path] += fragment.sealed

    def finish(self, last: SealedFragment | None = None) -> StoredSegment:
        """Keep the last bytes and the segment."""
        if last is None and self._over:
            raise StorageError("the segment is over")
        if last is not None:
            self.append(last)
        self._over = True
        return self._store._rename(self._name, self._name.finished())

    def abandon(self) -> StoredSegment | None:
        """Keep what can be opened, which for age is nothing below one chunk."""
        if self._over:
            return self._kept
        self._over = True
        if len(self._store.files[self._name.path]) > 1 << 16:
            self._kept = self._store._rename(self._name, self._name.cut_short())
        else:
            del self._store.files[self._name.path]
        return self._kept
