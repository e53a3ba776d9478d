"""The two layers, laid over each other, give the original picture; one of them alone does not."""

import threading
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from agent.adapters.libav_encoder import EncoderSettings, LibavEncoder
from agent.adapters.ring import Ring, RingSettings
from agent.core.masking.blocks import FILL_Y, BlockMask, grid_shape
from agent.core.masking.masker import Masker
from agent.core.policy.decision import Decision, Originals
from agent.core.sealing.recipients import X25519Identity
from agent.core.video import I420, FrameSize, Layer, RawFrame, StreamMode
from agent.core.zones import View, Zone
from agent.errors import FootageError, WrongIdentityError
from agent.recorder.segment import SegmentMaker
from agent.recorder.tally import Tally
from tests.fakes.clock import NOON
from tests.fakes.event_log import MemoryLog

SIZE = FrameSize(320, 176)
MODE = StreamMode(size=SIZE, rate_hz=Fraction(10))
CUSTODIAN, QUORUM = X25519Identity(bytes(range(32))), X25519Identity(bytes(range(1, 33)))
ZONE = Zone(name="window", polygon=((0, 0), (0.19, 0), (0.19, 0.99), (0, 0.99)))
KEEPING = Decision(
    recording=True,
    reason="test",
    zones=(ZONE,),
    view=View(320, 176),
    recipients=(str(CUSTODIAN.recipient),),
    originals=Originals.SEALED,
    originals_recipients=(str(QUORUM.recipient),),
    max_height_px=1080,
    max_rate_hz=30,
)
FRAMES = 20
LEAST_PSNR_DB = 35.0  # measured 41


def offset(number: int) -> timedelta:
    """When a frame was captured: as from a camera of 30 a second, of which a third is kept, not evenly."""
    return timedelta(milliseconds=100 * number - (66 if number % 5 == 4 else 0))


def scene(number: int) -> I420:
    """A gradient that moves, so that nothing in it is flat."""
    pixels = I420.blank(SIZE)
    x, y = np.meshgrid(np.arange(SIZE.width_px), np.arange(SIZE.height_px))
    pixels.y[...] = 70 + (x // 2 + y // 2 + 3 * number) % 120
    pixels.u[...] = 110
    pixels.v[...] = 140
    return pixels


def people(number: int) -> BlockMask:
    """A "person" who walks across the picture: three blocks wide."""
    grid = np.zeros(grid_shape(SIZE), bool)
    column = 5 + number // 2
    grid[3:9, column : column + 3] = True
    return BlockMask.from_grid(SIZE, grid)


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Two layers of one segment on disk, made by the recorder's own parts."""
    folder = tmp_path / "footage"
    numbers = iter(range(FRAMES))
    masker = Masker(MODE, [lambda _frame, _decision: people(next(numbers))])
    settings = RingSettings(capacity_bytes=10**8, keep_free_bytes=0, segment_bytes=10**6)
    with Ring(folder, "pole-7", settings) as ring:
        encoders = dict.fromkeys(Layer, LibavEncoder(EncoderSettings()))
        frames = [
            RawFrame(
                pixels=scene(number),
                pts_us=offset(number) // timedelta(microseconds=1),
                captured_at=NOON + offset(number),
            )
            for number in range(FRAMES)
        ]
        maker = SegmentMaker("pole-7", encoders, ring, Tally(MemoryLog()))
        with maker.start(MODE, KEEPING, frames[0]) as segment:
            for frame in frames:
                segment.push(masker.layers(frame, KEEPING))
    return folder


def identity_file(folder: Path, *identities: X25519Identity) -> Path:
    path = folder / f"identities-{len(identities)}-{threading.get_ident()}.txt"
    path.write_text("".join(f"{one.reveal()}\n" for one in identities), encoding="utf-8")
    return path


def luma(movie: Path) -> NDArray[np.int16]:
    with av.open(str(movie), "r") as container:
        return np.stack(
            [frame.to_ndarray(format="yuv420p")[: frame.height].astype(np.int16) for frame in container.decode(video=0)]
        )


def test_both_identities_together_give_the_original_but_for_the_private_zone(footage: Path, tmp_path: Path) -> None:
    from provisioning.commands.footage import compose_  # noqa: PLC0415 - rich and typer, for this test alone

    out = tmp_path / "whole.mp4"

    compose_(footage, [identity_file(tmp_path, CUSTODIAN, QUORUM)], out)

    seen = luma(out)
    original = np.stack([scene(number).y.astype(np.int16) for number in range(FRAMES)])
    assert seen.shape == original.shape
    assert np.abs(seen[:, :, :48] - FILL_Y).max() <= 12
    error = np.mean((seen[:, :, 64:] - original[:, :, 64:]) ** 2)
    assert 10 * np.log10(255**2 / error) >= LEAST_PSNR_DB
    assert (out.stat().st_mode & 0o777) == 0o600


def test_who_can_open_one_layer_only_gets_nothing_and_no_file(footage: Path, tmp_path: Path) -> None:
    from provisioning.commands.footage import compose_  # noqa: PLC0415

    out = tmp_path / "whole.mp4"

    with pytest.raises(WrongIdentityError, match="sealed"):
        compose_(footage, [identity_file(tmp_path, CUSTODIAN)], out)

    assert not out.exists()


def test_without_a_sealed_layer_there_is_nothing_to_compose(footage: Path, tmp_path: Path) -> None:
    from provisioning.commands.footage import compose_  # noqa: PLC0415

    for path in footage.rglob("*.sealed.mp4.age"):
        path.unlink()

    with pytest.raises(FootageError):
        compose_(footage, [identity_file(tmp_path, CUSTODIAN, QUORUM)], tmp_path / "whole.mp4")
