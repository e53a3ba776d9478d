"""Cells lie over the frame so that no macroblock which a cell touches is forgotten."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.masking.cells import AnalysisMismatchError, Raster, close_gaps, count_in_cells, grow
from agent.core.masking.tiles import TilePlan
from agent.core.video import FrameSize

SIZES = ((1920, 1080), (1280, 720), (768, 576), (640, 360), (320, 240), (1366, 768), (64, 48))


def raster_of(width: int, height: int) -> Raster:
    factor = max(-(-width // 480), -(-height // 270))
    return Raster.of(FrameSize(width, height), np.zeros((height // factor, width // factor), np.uint8))


@pytest.mark.parametrize(("width", "height"), SIZES)
@given(data=st.data())
def test_every_pixel_of_a_hidden_cell_lies_in_a_hidden_block(width: int, height: int, data: st.DataObject) -> None:
    raster = raster_of(width, height)
    row = data.draw(st.integers(0, raster.rows - 1))
    column = data.draw(st.integers(0, raster.columns - 1))
    cells = np.zeros(raster.shape, np.bool_)
    cells[row, column] = True

    hidden = np.kron(raster.blocks(cells), np.ones((16, 16), np.bool_))[:height, :width]

    side = 4 * raster.factor
    bottom = height if row == raster.rows - 1 else (row + 1) * side
    right = width if column == raster.columns - 1 else (column + 1) * side
    assert hidden[row * side : bottom, column * side : right].all()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_hidden_hides_nothing_and_everything_everything(width: int, height: int) -> None:
    raster = raster_of(width, height)

    assert not raster.blocks(np.zeros(raster.shape, np.bool_)).any()
    assert raster.blocks(np.ones(raster.shape, np.bool_)).all()


@pytest.mark.parametrize("plane", [(269, 480), (270, 479), (271, 480), (135, 480), (3, 3), (270,)])
def test_a_plane_that_is_no_reduction_of_the_frame_is_refused(plane: tuple[int, ...]) -> None:
    with pytest.raises(AnalysisMismatchError):
        Raster.of(FrameSize(1920, 1080), np.zeros(plane, np.uint8))


def test_counting_counts_each_cell_apart() -> None:
    pixels = np.zeros((8, 12), np.bool_)
    pixels[:4, :4] = True
    pixels[7, 11] = True

    assert count_in_cells(pixels).tolist() == [[16, 0, 0], [0, 0, 1]]


def test_growing_and_closing_never_uncover() -> None:
    dice = np.random.default_rng(3)
    for _ in range(50):
        cells = dice.random((12, 17)) < 0.15

        assert (grow(cells, up=2, down=1, sideways=1) >= cells).all()
        assert (close_gaps(cells, rows=3, columns=2) >= cells).all()


def test_a_gap_is_closed_and_what_is_far_apart_stays_apart() -> None:
    cells = np.zeros((20, 9), np.bool_)
    cells[2, 4] = cells[7, 4] = cells[19, 4] = True

    closed = close_gaps(cells, rows=3, columns=2)

    assert closed[2:8, 4].all()
    assert not closed[10:16].any()
    assert not closed[:, :3].any()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_detectors_squares_cover_the_frame_in_every_look_and_in_detail_in_turn(width: int, height: int) -> None:
    size = FrameSize(width, height)
    plan = TilePlan.of(size)
    wide, detail = np.zeros((height, width), np.bool_), np.zeros((height, width), np.bool_)

    for square in plan.wide:
        wide[square.top_px : square.top_px + square.side_px, square.left_px : square.left_px + square.side_px] = True
    for number in range(-(-len(plan.detail) // 2)):
        for square in set(plan.look(number)) - set(plan.wide):
            rows = slice(square.top_px, square.top_px + square.side_px)
            detail[rows, square.left_px : square.left_px + square.side_px] = True

    assert wide.all()
    assert detail[: height // 2 * 2 - 2, : width // 2 * 2 - 2].all()
