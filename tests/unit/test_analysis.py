"""The analysis plane is small, a true average, and its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.analysis import shrink


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (480, 270, (480, 270)),
        (482, 270, (241, 135)),
        (640, 480, (320, 240)),
        (1280, 720, (426, 240)),
        (1920, 1080, (480, 270)),
        (1080, 1920, (135, 240)),
        (4096, 2304, (455, 256)),
        (7680, 4320, (480, 270)),
    ],
)
def test_the_least_whole_factor_that_fits_is_taken(width: int, height: int, size: tuple[int, int]) -> None:
    small = shrink(np.full((height, width), 255, np.uint8))

    assert small.shape == size[::-1]
    assert set(small.flat) == {255}


@given(seed=st.integers(0, 2**32 - 1), factor=st.integers(2, 5))
def test_each_pixel_is_the_average_of_its_square(seed: int, factor: int) -> None:
    width, height = 480 * factor - factor + 2, 6 * factor
    y = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)

    small = shrink(y)

    rows, columns = small.shape
    squares = y[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    assert np.array_equal(small, squares.mean(axis=(1, 3)).astype(np.uint8))


def test_a_small_picture_is_copied() -> None:
    y = np.zeros((100, 100), np.uint8)

    small = shrink(y)

    assert not np.shares_memory(small, y)
