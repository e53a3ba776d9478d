"""Decide which sealed segments the ring must give up."""

from dataclasses import dataclass
from datetime import datetime

from agent.core.video import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSegment:
    """One finished or truncated segment in the ring.

    Attributes:
        path: Where it lies, relative to the footage folder, with forward slashes.
        started_at: Capture time of its first frame, aware UTC.
        sequence: Rises by one with each segment of the camera, across restarts.
    """

    path: str
    camera_id: str
    layer: Layer
    started_at: datetime
    sequence: int
    size_bytes: int
    truncated: bool = False
