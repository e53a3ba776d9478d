"""Find the frame that the sealed footage shows of one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import av
import numpy as np

from agent.core.sealing.recipients import Identity
from provisioning.demo.sheet import Picture
from provisioning.footage.catalogue import FoundSegment, find_segments
from provisioning.footage.opening import cut, open_segment


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFrame:
    """One decoded frame of sealed footage: BGR, and when it was captured."""

    picture: Picture
    captured_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSegment:
    """What one segment holds.

    Attributes:
        segment: The file.
        starts_at: Capture time of its first frame.
        ends_at: End of its last.
        frames: How many frames opened.
    """

    segment: FoundSegment
    starts_at: datetime
    ends_at: datetime
    frames: int


def open_all(footage: Path, identities: Sequence[Identity]) -> list[KeptSegment]:
    """Open every segment below `footage`, in the order of recording, and say what each holds."""
    kept = []
    for segment in find_segments(footage).segments:
        piece = cut(segment, open_segment(segment, identities))
        if piece is not None:
            kept.append(
                KeptSegment(segment=segment, starts_at=piece.captured_at, ends_at=piece.ends_at, frames=piece.frames)
            )
    return kept


def frame_at(kept: Sequence[KeptSegment], at: datetime, identities: Sequence[Identity]) -> KeptFrame | None:
    """Return the first frame captured at or after `at` in the segment that spans `at`; None where nothing was kept."""
    segment = next((one for one in kept if one.starts_at <= at < one.ends_at), None)
    if segment is None:
        return None
    frames = decode(segment, identities)
    return next((frame for frame in frames if frame.captured_at >= at), frames[-1])


def decode(kept: KeptSegment, identities: Sequence[Identity]) -> list[KeptFrame]:
    """Decode one segment in memory."""
    piece = cut(kept.segment, open_segment(kept.segment, identities))
    if piece is None:
        return []
    with av.open(BytesIO(piece.clear), "r") as container:
        return [
            KeptFrame(
                picture=frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False),
                captured_at=piece.captured_at + timedelta(seconds=frame.time or 0.0),
            )
            for frame in container.decode(video=0)
        ]
