"""A street of flat blocks for what looks at edges: shifted, turned, dimmed, blurred, without a picture library."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 180
_MARGIN = 60
NOISE_STEPS = 1.5  # standard deviation of the sensor's

Luma = NDArray[np.uint8]


@cache
def _canvas(seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    canvas = np.full((HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN), 120.0)
    for _ in range(260):
        left, top = rng.integers(0, canvas.shape[1] - 10), rng.integers(0, canvas.shape[0] - 10)
        wide, high = rng.integers(8, 40, 2)
        canvas[top : top + high, left : left + wide] = rng.integers(20, 230)
    return canvas


def view(
    *,
    across: float = 0.0,
    down: float = 0.0,
    degrees: float = 0.0,
    light: float = 1.0,
    blur_px: int = 0,
    street: int = 1,
    grain: int = 0,
) -> Luma:
    """Return the analysis plane of the street, (180, 320) uint8.

    Args:
        across: How far the picture moved to the right, as a share of its width.
        down: How far down, likewise of its width.
        degrees: How far it turned.
        light: Factor on brightness.
        blur_px: Half the side of a box blur, done twice.
        street: Which street.
        grain: Seed of the noise.
    """
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    x, y = x - WIDTH / 2 - across * WIDTH, y - HEIGHT / 2 - down * WIDTH
    turn = np.radians(degrees)
    columns = np.rint(x * np.cos(turn) - y * np.sin(turn) + WIDTH / 2 + _MARGIN).astype(int)
    rows = np.rint(x * np.sin(turn) + y * np.cos(turn) + HEIGHT / 2 + _MARGIN).astype(int)
    picture = _canvas(street)[rows, columns] * light
    for _ in range(2 if blur_px else 0):
        for axis in (0, 1):
            steps = [np.roll(picture, step, axis) for step in range(-blur_px, blur_px + 1)]
            picture = np.mean(steps, axis=0)
    picture = picture + np.random.default_rng(grain).normal(0, NOISE_STEPS, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)
