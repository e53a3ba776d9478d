"""What a report shows of the footage, and what two MP4s have in common: their coded pictures."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from io import BytesIO

import av
import cv2
import numpy as np

from agent.errors import EvidenceError, MovieFormatError
from provisioning.demo.sheet import Picture
from provisioning.footage.opening import Piece

_WIDTH_PX = 480
_JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """One picture of the footage.

    Attributes:
        captured_at: When it was captured.
        jpeg: Its bytes.
    """

    captured_at: datetime
    jpeg: bytes

    @property
    def link(self) -> str:
        """The picture as a `data:` link."""
        return f"data:image/jpeg;base64,{b64encode(self.jpeg).decode()}"


def first_still(piece: Piece) -> Still:
    """Return the first picture of a piece.

    Raises:
        MovieFormatError: It does not decode.
    """
    try:
        with av.open(BytesIO(piece.clear), "r", format="mp4") as container:
            frame = next(container.decode(video=0))
            picture: Picture = frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
    except (av.FFmpegError, IndexError, StopIteration) as error:
        raise MovieFormatError(f"the segment of {piece.captured_at:%H:%M:%S} does not decode: {error}") from error
    height, width = picture.shape[:2]
    if width > _WIDTH_PX:
        small = (_WIDTH_PX, height * _WIDTH_PX // width)
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise EvidenceError("a picture could not be written as JPEG")
    offset = timedelta(seconds=float(frame.time or 0.0))
    return Still(captured_at=piece.captured_at + offset, jpeg=jpeg.tobytes())


def coded_pictures(clear: bytes) -> Iterator[bytes]:
    """Yield the digest of each coded picture of an MP4, in their order; joining does not change them.

    Raises:
        MovieFormatError: It is no MP4.
    """
    try:
        with av.open(BytesIO(clear), "r", format="mp4") as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    yield sha256(bytes(packet)).digest()
    except (av.FFmpegError, IndexError) as error:
        raise MovieFormatError(f"this is no MP4 with pictures: {error}") from error
