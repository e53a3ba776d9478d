"""Pictures of a phone or a sheet of paper that shows a claim, as a camera on a pole sees them.

The code is drawn, set on a phone before a street, and then spoilt the way optics and
hands spoil it: perspective, blur, a glare of the sky, sensor noise, another exposure in
each frame. Luma only, because that is all the reader gets.
"""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import segno
from numpy.typing import NDArray

Luma: TypeAlias = NDArray[np.uint8]

_QUIET_MODULES = 4  # ISO/IEC 18004 6.3.8
_MODULE_PX = 8
_MOST_TURN_DEGREES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoiling:
    """How a code is spoilt.

    Attributes:
        height_ratio: The code's side, quiet zone included, over the frame's height.
        tilt_degrees: Away from the picture's plane, about a random axis.
        blur_px: Standard deviation of a Gaussian, in pixels of a frame 480 high: focus and shaking hands.
        glare: Brightest added light, 0 to 255, in one soft spot on the code.
        noise: Standard deviation, in grey levels.
    """

    height_ratio: float = 0.5
    tilt_degrees: float = 20.0
    blur_px: float = 0.7
    glare: float = 70.0
    noise: float = 6.0


MODERATE = Spoiling()


def draw_code(sealed: bytes, error: str = "L") -> Luma:
    """Return the code alone, (side, side) uint8, black on white, with its quiet zone."""
    made = segno.make(sealed, error=error, mode="byte", boost_error=False, micro=False)
    modules = np.array([[bool(cell) for cell in row] for row in made.matrix], dtype=bool)
    bordered = np.pad(np.where(modules, 0, 255).astype(np.uint8), _QUIET_MODULES, constant_values=255)
    return np.kron(bordered, np.ones((_MODULE_PX, _MODULE_PX), np.uint8))


def spoil(code: Luma, width_px: int, height_px: int, how: Spoiling, chance: np.random.Generator) -> Luma:
    """Return one frame, (height_px, width_px) uint8, with `code` somewhere in it."""
    frame = _street(width_px, height_px, chance)
    side_px = how.height_ratio * height_px
    corners = _corners(side_px, how.tilt_degrees, chance)
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = np.array([width_px, height_px]) - (high - low)
    corners += chance.uniform(0.05, 0.95, 2) * np.maximum(room, 0) - low
    phone = _phone(code)
    scale = code.shape[0]
    margin = (phone.shape[1] - scale) / 2
    source = np.array([[0, 0], [scale, 0], [scale, scale], [0, scale]], np.float32) + np.float32(margin)
    onto = cv2.getPerspectiveTransform(source, corners.astype(np.float32))
    size = (width_px, height_px)
    seen = cv2.warpPerspective(phone, onto, size, flags=cv2.INTER_AREA)
    covered = cv2.warpPerspective(np.full_like(phone, 255), onto, size, flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    picture = frame * (1 - covered) + seen * covered
    picture = cv2.GaussianBlur(picture, (0, 0), max(how.blur_px * height_px / 480, 0.1))
    picture += _glare(corners, size, how.glare, chance)
    grain = chance.standard_normal(picture.shape, np.float32) * np.float32(how.noise)
    picture = picture * np.float32(chance.uniform(0.75, 1.1)) + grain
    return np.clip(picture, 0, 255).astype(np.uint8)


def _corners(side_px: float, tilt_degrees: float, chance: np.random.Generator) -> NDArray[np.float64]:
    """Return where the code's corners fall, (4, 2), for a card held `tilt_degrees` off and turned a little."""
    half = side_px / 2
    flat = np.array([[-half, -half, 0], [half, -half, 0], [half, half, 0], [-half, half, 0]])
    direction = chance.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(direction), np.sin(direction), 0.0])
    turn = np.radians(chance.uniform(-_MOST_TURN_DEGREES, _MOST_TURN_DEGREES))
    rotation, _ = cv2.Rodrigues(axis * np.radians(tilt_degrees))
    roll, _ = cv2.Rodrigues(np.array([0.0, 0.0, turn]))
    moved = flat @ np.asarray(rotation).T @ np.asarray(roll).T
    distance = 3.0 * side_px  # a phone at arm's length
    points: NDArray[np.float64] = moved[:, :2] * distance / (distance + moved[:, 2:3])
    return points


def _phone(code: Luma) -> Luma:
    """Return the code on a bright screen with a dark rim."""
    rim = code.shape[0] // 8
    screen = np.pad(code, rim // 2, constant_values=235)
    return np.pad(screen, rim - rim // 2, constant_values=30)


def _street(width_px: int, height_px: int, chance: np.random.Generator) -> NDArray[np.float32]:
    """Return something with edges in it: a code is looked for among many."""
    coarse = chance.uniform(40, 190, (9, 16)).astype(np.float32)
    street = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.GaussianBlur(street, (0, 0), 2), np.float32)


def _glare(
    corners: NDArray[np.float64], size: tuple[int, int], brightest: float, chance: np.random.Generator
) -> NDArray[np.float32]:
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y = low + chance.uniform(0.1, 0.9, 2) * (high - low)
    radius = max(float((high - low).max()) * chance.uniform(0.15, 0.3), 1.0)
    # A Gaussian of two dimensions is the product of two of one.
    across = np.exp(-((np.arange(size[0], dtype=np.float32) - np.float32(x)) ** 2) / np.float32(2 * radius**2))
    down = np.exp(-((np.arange(size[1], dtype=np.float32) - np.float32(y)) ** 2) / np.float32(2 * radius**2))
    return np.float32(brightest) * np.outer(down, across)
