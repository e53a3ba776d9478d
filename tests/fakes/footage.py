"""Footage of a few seconds, recorded as a camera records it: encoded, sealed, filed by day."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

from agent.adapters.libav_encoder import EncoderSettings, LibavEncoder
from agent.core.sealing.recipients import Recipient
from agent.core.sealing.segment import SegmentSealer
from agent.core.segment_name import SegmentName
from agent.core.video import I420, Fragment, FrameSize, Layer, MaskedFrame, StreamMode
from agent.ports import SegmentTags

RATE_HZ = 10
STEP = timedelta(seconds=1) / RATE_HZ
SMALL = FrameSize(64, 48)


def encode_segment(name: SegmentName, *, frames: int, first_luma: int = 40, size: FrameSize = SMALL) -> list[Fragment]:
    """Return fragments whose frame n is grey of luma `first_luma` + 2 n."""
    mode = StreamMode(size=size, rate_hz=Fraction(RATE_HZ))
    tags = SegmentTags(camera_id=name.camera_id, layer=name.layer, first_captured_at=name.started_at)
    encoder = LibavEncoder(EncoderSettings()).start(mode, tags)
    fragments = []
    for number in range(frames):
        pixels = I420.blank(size)
        pixels.y[:], pixels.u[:], pixels.v[:] = first_luma + 2 * number, 128, 128
        at = number * STEP
        frame = MaskedFrame(pixels=pixels, pts_us=at // timedelta(microseconds=1), captured_at=name.started_at + at)
        fragments.append(encoder.push(frame))
    fragments.append(encoder.finish())
    return [fragment for fragment in fragments if fragment]


def seal_segment(fragments: Sequence[Fragment], recipients: Sequence[Recipient]) -> list[bytes]:
    """Return what reaches the disk with each fragment; the last piece closes the file."""
    sealer = SegmentSealer(recipients)
    return [*(sealer.push(fragment).sealed for fragment in fragments), sealer.finish().sealed]


def file_segment(  # noqa: PLR0913 - a segment has that many sides
    folder: Path,
    recipients: Sequence[Recipient],
    *,
    started_at: datetime,
    sequence: int,
    camera_id: str = "pole-17",
    layer: Layer = Layer.MASKED,
    frames: int = 20,
    first_luma: int = 40,
    size: FrameSize = SMALL,
    lost_writes: int = 0,
) -> Path:
    """Write one segment below `folder` and return its path; the last `lost_writes` never reach the disk."""
    name = SegmentName(
        camera_id=camera_id,
        layer=layer,
        started_at=started_at,
        sequence=sequence,
        truncated=lost_writes > 0,
    )
    writes = seal_segment(encode_segment(name, frames=frames, first_luma=first_luma, size=size), recipients)
    path = folder / name.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(writes[: len(writes) - lost_writes]))
    return path
