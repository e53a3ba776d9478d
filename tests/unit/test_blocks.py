"""A zone hides every macroblock it touches, and nothing it does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.masking.blocks import FILL_U, FILL_V, FILL_Y, BlockMask, fill_whole, grid_shape
from agent.core.video import I420, MACROBLOCK_PX, FrameSize
from agent.core.zones import Zone

HD = FrameSize(1280, 720)
coordinates = st.floats(0, 1, allow_nan=False)
triangles = st.tuples(*(st.tuples(coordinates, coordinates) for _ in range(3)))


def rectangle(left: float, top: float, right: float, bottom: float) -> Zone:
    return Zone(name="r", polygon=((left, top), (right, top), (right, bottom), (left, bottom)))


def picture(size: FrameSize, value: int = 200) -> I420:
    pixels = I420.blank(size)
    for plane in (pixels.y, pixels.u, pixels.v):
        plane[...] = value
    return pixels


def test_a_zone_is_grown_outward_to_whole_blocks() -> None:
    zone = rectangle(17 / 1280, 17 / 720, 33 / 1280, 31 / 720)

    mask = BlockMask.from_zones(HD, [zone])

    expected = np.zeros(grid_shape(HD), bool)
    expected[1:2, 1:3] = True
    assert (mask.grid == expected).all()


def test_a_zone_that_ends_on_a_block_edge_hides_the_block_beyond_rather_than_risk_a_rounding() -> None:
    mask = BlockMask.from_zones(HD, [rectangle(0, 0, 32 / 1280, 32 / 720)])

    assert mask.grid[:2, :2].all()
    assert mask.grid.sum() <= 9


def test_filling_changes_hidden_blocks_in_all_planes_and_nothing_else() -> None:
    mask = BlockMask.from_zones(HD, [rectangle(0.25, 0.25, 0.5, 0.5), rectangle(0.4, 0.4, 0.9, 0.6)])
    pixels = picture(HD)

    mask.fill(pixels)

    hidden = np.kron(mask.grid, np.ones((MACROBLOCK_PX, MACROBLOCK_PX), bool))[:720, :1280]
    assert (pixels.y[hidden] == FILL_Y).all()
    assert (pixels.y[~hidden] == 200).all()
    half = hidden[::2, ::2]
    for plane, value in ((pixels.u, FILL_U), (pixels.v, FILL_V)):
        assert (plane[half] == value).all()
        assert (plane[~half] == 200).all()


def test_a_size_that_is_no_multiple_of_a_block_is_covered_to_its_last_pixel() -> None:
    size = FrameSize(482, 270)
    pixels = picture(size)

    BlockMask.from_zones(size, [rectangle(0, 0, 1, 1)]).fill(pixels)

    assert (pixels.y == FILL_Y).all()
    assert (pixels.u == FILL_U).all()


def test_a_mask_refuses_a_frame_of_another_size_and_leaves_it_alone() -> None:
    pixels = picture(FrameSize(640, 360))

    with pytest.raises(ValueError, match="does not fit"):
        BlockMask.from_zones(HD, [rectangle(0, 0, 1, 1)]).fill(pixels)

    assert (pixels.y == 200).all()


def test_a_grid_of_another_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="blocks"):
        BlockMask.from_grid(HD, np.zeros((3, 3), bool))


def test_the_hidden_ratio_is_a_share_of_blocks() -> None:
    assert BlockMask.from_zones(HD, []).hidden_ratio == 0
    assert BlockMask.from_zones(HD, [rectangle(0, 0, 1, 1)]).hidden_ratio == 1


def test_filling_the_whole_frame_leaves_nothing() -> None:
    pixels = picture(HD)

    fill_whole(pixels)

    assert pixels.packed is not None
    assert set(np.unique(pixels.packed)) == {FILL_Y, FILL_U}


@given(triangles)
def test_no_point_of_a_zone_is_ever_visible(corners: tuple[tuple[float, float], ...]) -> None:
    zone = Zone(name="t", polygon=corners)

    grid = BlockMask.from_zones(HD, [zone]).grid

    rows, columns = grid.shape
    for a in np.linspace(0, 1, 15):
        for b in np.linspace(0, 1 - a, 15):
            weights = (a, b, 1 - a - b)
            x = sum(w * c[0] for w, c in zip(weights, corners, strict=True)) * HD.width_px / MACROBLOCK_PX
            y = sum(w * c[1] for w, c in zip(weights, corners, strict=True)) * HD.height_px / MACROBLOCK_PX
            assert grid[min(int(y), rows - 1), min(int(x), columns - 1)]


@given(triangles)
def test_a_zone_hides_no_more_than_its_bounding_box_and_one_block_around(
    corners: tuple[tuple[float, float], ...],
) -> None:
    grid = BlockMask.from_zones(HD, [Zone(name="t", polygon=corners)]).grid

    rows, columns = np.nonzero(grid)
    for axis, blocks, side in ((0, columns, HD.width_px), (1, rows, HD.height_px)):
        low = min(c[axis] for c in corners) * side / MACROBLOCK_PX
        high = max(c[axis] for c in corners) * side / MACROBLOCK_PX
        assert blocks.min() >= low - 2
        assert blocks.max() <= high + 1


@given(st.integers(0, 2**32 - 1))
def test_the_rectangles_cover_exactly_the_grid(seed: int) -> None:
    grid = np.random.default_rng(seed).random(grid_shape(FrameSize(320, 240))) < 0.4

    mask = BlockMask.from_grid(FrameSize(320, 240), grid)

    again = np.zeros_like(grid, dtype=int)
    for r in mask.rectangles:
        again[r.top : r.bottom, r.left : r.right] += 1
    assert (again == grid).all()
