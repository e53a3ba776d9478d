"""A real street goes through the recorder: zones are filled in every frame, people besides, nothing else is lost."""

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
LEAST_PSNR_DB = 50.0  # where something is shown; measured 60
LEAST_SHOWN_RATIO = 0.5  # of what no zone hides; measured 0.71, the rest are people and where they just were


def luma_of(video: Path | BytesIO) -> Iterator[NDArray[np.int16]]:
    """Decode a video into its luma planes."""
    with av.open(video, "r") as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="yuv420p")[: frame.height].astype(np.int16)


def pixels_of(grid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.kron(grid, np.ones((MACROBLOCK_PX, MACROBLOCK_PX), bool))


def filled(luma: NDArray[np.int16]) -> NDArray[np.bool_]:
    """The macroblocks that hold nothing but the fill."""
    rows, columns = SIZE.height_px // MACROBLOCK_PX, SIZE.width_px // MACROBLOCK_PX
    blocks = np.abs(luma - FILL_Y).reshape(rows, MACROBLOCK_PX, columns, MACROBLOCK_PX)
    return blocks.max(axis=(1, 3)) <= CODEC_TOLERANCE


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

    hidden = pixels_of(BlockMask.from_zones(SIZE, [zone.zone() for zone in ZONES]).grid)
    worst, errors, shown = 0, [], []
    for recorded, original in zip(recorded_luma(desk), luma_of(CLIP), strict=True):
        worst = max(worst, int(np.abs(recorded[hidden] - FILL_Y).max()))
        visible = ~hidden & ~pixels_of(filled(recorded))
        shown.append(float(visible.sum() / (~hidden).sum()))
        if visible.any():
            errors.append(float(np.mean((recorded[visible] - original[visible]) ** 2)))

    psnr_db = 10 * np.log10(255**2 / np.mean(errors))
    second_half = float(np.mean(shown[FRAMES // 2 :]))
    print(  # noqa: T201 - the result
        f"\n{len(shown)} frames; inside the zones at most {worst} off; outside, {second_half:.0%} is shown in the"
        f" second half, {psnr_db:.1f} dB from the original"
    )
    assert len(shown) == FRAMES
    assert worst <= CODEC_TOLERANCE
    assert psnr_db >= LEAST_PSNR_DB
    assert shown[0] == 0  # nothing is proved to be scene yet
    assert second_half >= LEAST_SHOWN_RATIO
