"""A real street goes through the whole recorder and comes out masked in exactly the zones."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from agent.core.masking.blocks import FILL_Y, BlockMask
from agent.core.policy.documents import DrawnOver, PrivateZone
from agent.core.video import MACROBLOCK_PX, FrameSize
from provisioning.footage.catalogue import find_segments
from provisioning.footage.opening import open_segment
from tests.fakes.desk import Desk

CLIP = Path(__file__).resolve().parents[3] / "shared" / "data" / "vtest.avi"
FRAMES = 795
SIZE = FrameSize(768, 576)
ZONES = (
    PrivateZone(name="parked cars", polygon=((0.62, 0.05), (0.98, 0.12), (0.95, 0.33), (0.6, 0.22))),
    PrivateZone(name="lawn", polygon=((0.0, 0.55), (0.25, 0.6), (0.2, 0.95), (0.0, 0.98))),
)
CODEC_TOLERANCE = 4  # of 255, at 8 Mbit/s; measured 1
LEAST_PSNR_DB = 45.0  # outside the zones; measured 59


def luma_of(video: Path | BytesIO) -> Iterator[NDArray[np.int16]]:
    """Decode a video into its luma planes."""
    with av.open(video, "r") as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="yuv420p")[: frame.height].astype(np.int16)


def recorded_luma(desk: Desk) -> Iterator[NDArray[np.int16]]:
    """Open everything that was recorded, segment by segment."""
    for segment in find_segments(desk.camera.footage).segments:
        yield from luma_of(BytesIO(open_segment(segment, [desk.identity]).clear))


@pytest.mark.slow
@pytest.mark.skipif(not CLIP.exists(), reason="the labelled clips are not beside this checkout")
def test_a_real_street_is_masked_in_exactly_the_zones_in_every_frame(tmp_path: Path) -> None:
    desk = Desk(
        tmp_path / "card",
        source=f"file:{CLIP}",
        settings={"LAMPPOST_CAMERA__PACED": "false", "LAMPPOST_ENCODER__BITRATE_KBIT": "8000"},
        view=DrawnOver(aspect_width=4, aspect_height=3, rotation_degrees=0),
        zones=ZONES,
    )
    desk.publish()

    desk.camera.record()

    hidden = np.kron(
        BlockMask.from_zones(SIZE, [zone.zone() for zone in ZONES]).grid, np.ones((MACROBLOCK_PX, MACROBLOCK_PX), bool)
    )
    worst, errors, frames = 0, [], 0
    for recorded, original in zip(recorded_luma(desk), luma_of(CLIP), strict=True):
        worst = max(worst, int(np.abs(recorded[hidden] - FILL_Y).max()))
        errors.append(float(np.mean((recorded[~hidden] - original[~hidden]) ** 2)))
        frames += 1

    psnr_db = 10 * np.log10(255**2 / np.mean(errors))
    print(f"\n{frames} frames; inside the zones at most {worst} off; outside {psnr_db:.1f} dB")  # noqa: T201 - the result
    assert frames == FRAMES
    assert worst <= CODEC_TOLERANCE
    assert psnr_db >= LEAST_PSNR_DB
