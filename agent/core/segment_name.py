"""The name of a segment's file: which camera, which layer, when, and the how-manieth.

    2026/11/28/pole-7-20261128T120000.000000Z-00000042.mp4.age
               pole-7-20261128T120000.000000Z-00000043.sealed.mp4.age       the sealed layer
               pole-7-20261128T120010.000000Z-00000044.truncated.mp4.age    a crash ended it
               pole-7-20261128T120020.000000Z-00000045.mp4.age.part         being written

Pure. A file whose name is not exactly of this form is somebody else's.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime

from agent.core.layer import Layer
from agent.core.retention import StoredSegment

_FORM = re.compile(
    r"(?P<camera_id>[a-z0-9][a-z0-9-]{0,62})-(?P<started_at>[0-9]{8}T[0-9]{6}\.[0-9]{6}Z)-(?P<sequence>[0-9]{8,12})"
    r"(?P<sealed>\.sealed)?(?P<truncated>\.truncated)?\.mp4\.age(?P<part>\.part)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentName:
    """What a segment's file name tells.

    Attributes:
        camera_id: Lower case letters, digits and hyphens, at most 63.
        layer: Which of the take's layers it is.
        started_at: Capture time of its first frame, UTC.
        sequence: Rises by one with each segment of the camera, across restarts.
        truncated: Whether a crash or a power cut ended it.
        running: Whether it is still being written, or was when the power went.
    """

    camera_id: str
    layer: Layer
    started_at: datetime
    sequence: int
    truncated: bool = False
    running: bool = False

    @property
    def file(self) -> str:
        """The file's name."""
        started_at = self.started_at
        # Not strftime: glibc's %Y does not pad, and a board without a clock may be anywhere.
        start = f"{started_at.year:04d}{started_at:%m%dT%H%M%S}.{started_at.microsecond:06d}Z"
        return (
            f"{self.camera_id}-{start}-{self.sequence:08d}"
            f"{'.sealed' if self.layer is Layer.SEALED else ''}{'.truncated' if self.truncated else ''}"
            f".mp4.age{'.part' if self.running else ''}"
        )

    @property
    def path(self) -> str:
        """The file below the footage folder, with forward slashes."""
        return f"{self.started_at.year:04d}/{self.started_at:%m/%d}/{self.file}"

    def finished(self) -> "SegmentName":
        """Return the name it takes when it is whole."""
        return replace(self, running=False)

    def cut_short(self) -> "SegmentName":
        """Return the name it takes when it will never be whole."""
        return replace(self, running=False, truncated=True)

    def stored(self, *, size_bytes: int, path: str | None = None) -> StoredSegment:
        """Return the stored segment of this name; `path` if it does not lie where its start time says."""
        return StoredSegment(
            path=path or self.path,
            camera_id=self.camera_id,
            layer=self.layer,
            started_at=self.started_at,
            sequence=self.sequence,
            size_bytes=size_bytes,
            truncated=self.truncated,
        )


def parse_segment_name(file: str) -> SegmentName | None:
    """Return what a file's name tells, or None if it is not the name of a segment."""
    match = _FORM.fullmatch(file)
    if not match:
        return None
    try:
        started_at = datetime.fromisoformat(match["started_at"])  # ten times as fast as strptime; a card has thousands
    except ValueError:  # such as a 30th of February
        return None
    return SegmentName(
        camera_id=match["camera_id"],
        layer=Layer.SEALED if match["sealed"] else Layer.MASKED,
        started_at=started_at,
        sequence=int(match["sequence"]),
        truncated=bool(match["truncated"]),
        running=bool(match["part"]),
    )
