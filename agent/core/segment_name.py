"""What the name of a stored segment says: whose it is, when it starts, and how it ended.

    2026/03/01/pole-17-20260301T120000.123457Z-00000042.mp4.age            finished
    2026/03/01/pole-17-20260301T120000.123457Z-00000042.sealed.mp4.age     the sealed layer
    2026/03/01/pole-17-20260301T120000.123457Z-00000042.truncated.mp4.age  ended by a crash
    2026/03/01/pole-17-20260301T120000.123457Z-00000042.mp4.age.part       still being written

Names are how a folder is read without a key, so a name that is spelled in any other
way is not a segment's.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from agent.core.video import Layer
from agent.errors import FootageError

SUFFIX = ".mp4.age"
_START = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(
    r"(?P<camera>[a-z0-9][a-z0-9-]{0,62})-(?P<start>\d{8}T\d{6}\.\d{6}Z)-(?P<sequence>\d{8,})"
    r"(?P<sealed>\.sealed)?(?P<truncated>\.truncated)?\.mp4\.age(?P<part>\.part)?",
    re.ASCII,  # \d would take any script's digits
)


class Ending(StrEnum):
    """How a segment's file ended, as far as its name tells."""

    FINISHED = "finished"
    TRUNCATED = "truncated"
    RUNNING = "running"  # or left so by a crash, until the recorder next starts


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentName:
    """The name of one stored segment.

    Attributes:
        camera_id: The camera that recorded it.
        started_at: Capture time of its first frame, aware UTC.
        sequence: Rises by one with each segment of the camera, across restarts.
        layer: Which of the take's layers it is.
        ending: How it ended.
    """

    camera_id: str
    started_at: datetime
    sequence: int
    layer: Layer = Layer.MASKED
    ending: Ending = Ending.FINISHED

    @classmethod
    def parse(cls, file_name: str) -> Self:
        """Return what the last part of a path says.

        Raises:
            FootageError: It is not spelled as `file_name` spells it.
        """
        match = _NAME.fullmatch(file_name)
        if match is None or (match["truncated"] and match["part"]):
            raise FootageError(f"{file_name!r} is not the name of a segment")
        try:
            started_at = datetime.strptime(match["start"], _START).replace(tzinfo=UTC)
        except ValueError as error:
            raise FootageError(f"{file_name!r} starts at a time that does not exist") from error
        name = cls(
            camera_id=match["camera"],
            started_at=started_at,
            sequence=int(match["sequence"]),
            layer=Layer.SEALED if match["sealed"] else Layer.MASKED,
            ending=Ending.RUNNING if match["part"] else Ending.TRUNCATED if match["truncated"] else Ending.FINISHED,
        )
        if name.file_name != file_name:  # a sequence with more zeros than it needs
            raise FootageError(f"{file_name!r} is not the name of a segment, expected {name.file_name!r}")
        return name

    @property
    def folder(self) -> str:
        """The day's folder, relative to the footage folder, with forward slashes."""
        return f"{self.started_at:%Y/%m/%d}"

    @property
    def file_name(self) -> str:
        """The last part of the path."""
        layer = ".sealed" if self.layer is Layer.SEALED else ""
        truncated = ".truncated" if self.ending is Ending.TRUNCATED else ""
        part = ".part" if self.ending is Ending.RUNNING else ""
        return f"{self.camera_id}-{self.started_at:{_START}}-{self.sequence:08d}{layer}{truncated}{SUFFIX}{part}"

    @property
    def path(self) -> str:
        """Where the segment lies, relative to the footage folder, with forward slashes."""
        return f"{self.folder}/{self.file_name}"
