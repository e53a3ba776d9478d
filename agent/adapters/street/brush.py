"""Sprites: small premultiplied BGRA pictures, drawn antialiased and laid over a frame.

OpenCV's antialiased fills blend every channel alike, so drawing (b, g, r, 255) onto
zeros yields premultiplied colour and its exact coverage at once. That coverage is
where the truth comes from: picture and mask are the same drawing.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Bgr = tuple[float, float, float]
Outline = NDArray[np.float64] | Sequence[Sequence[float]]

_SUBPIXEL_BITS = 4
_SUBPIXEL = 1 << _SUBPIXEL_BITS
OPAQUE = 255
_ROUND_FROM_PX = 4.0  # the ends of a thinner limb need no rounding
_FINE_FROM_PX = 20.0  # and a thick one wants a finer arc

# Half a circle ahead of a limb's end, as (along, across) of its radius; and its stand-in where none can be seen.
_ARC = tuple((math.cos(a), math.sin(a)) for a in np.linspace(-math.pi / 2, math.pi / 2, 9).tolist())
_COARSE_ARC = _ARC[::2]
_FLAT_END = ((0.0, -1.0), (0.0, 1.0))


def as_pixels(picture: NDArray[Any]) -> Pixels:
    """Return what OpenCV returned, which is uint8 and says so nowhere, without a copy."""
    return np.asarray(picture, np.uint8)


def shade(colour: Bgr, factor: float) -> Bgr:
    """Return `colour` made lighter or darker."""
    return (min(colour[0] * factor, 255.0), min(colour[1] * factor, 255.0), min(colour[2] * factor, 255.0))


def lit(colour: Bgr, light: Bgr) -> Bgr:
    """Return `colour` under `light`, where 1.0 is full daylight in each channel."""
    return (min(colour[0] * light[0], 255.0), min(colour[1] * light[1], 255.0), min(colour[2] * light[2], 255.0))


@dataclass(slots=True)
class Brush:
    """Draws into one canvas whose top-left corner lies at `origin` of the frame, under one light."""

    canvas: Pixels
    origin: tuple[float, float] = (0.0, 0.0)
    light: Bgr = (1.0, 1.0, 1.0)

    def polygon(self, points: Outline, colour: Bgr) -> None:
        """Fill a polygon given in frame pixels, (n, 2)."""
        ox, oy = self.origin
        # Most outlines have four corners: plain numbers beat small arrays by far.
        corners: Iterable[Sequence[float]] = points.tolist() if isinstance(points, np.ndarray) else points
        local = [(round((x - ox) * _SUBPIXEL), round((y - oy) * _SUBPIXEL)) for x, y in corners]
        tone = (*lit(colour, self.light), OPAQUE)
        cv2.fillPoly(self.canvas, [np.array(local, np.int32)], tone, cv2.LINE_AA, _SUBPIXEL_BITS)

    def ellipse(self, centre: Sequence[float], radii: Sequence[float], colour: Bgr, turn_deg: float = 0.0) -> None:
        """Fill an ellipse given in frame pixels."""
        if min(radii) < 0.2:  # noqa: PLR2004 - a fifth of a pixel shows nothing
            return
        x, y = centre[0] - self.origin[0], centre[1] - self.origin[1]
        cv2.ellipse(
            self.canvas,
            (round(x * _SUBPIXEL), round(y * _SUBPIXEL)),
            (round(radii[0] * _SUBPIXEL), round(radii[1] * _SUBPIXEL)),
            turn_deg,
            0,
            360,
            (*lit(colour, self.light), OPAQUE),
            -1,
            cv2.LINE_AA,
            _SUBPIXEL_BITS,
        )

    def limb(self, a: Sequence[float], b: Sequence[float], widths: tuple[float, float], colour: Bgr) -> None:
        """Fill a tapered limb from `a` to `b`, round at both ends."""
        dx, dy = b[0] - a[0], b[1] - a[1]
        length = max((dx * dx + dy * dy) ** 0.5, 1e-6)
        cx, cy = dx / length, dy / length
        ra, rb = widths[0] / 2, widths[1] / 2
        arc = _ARC if ra + rb > _FINE_FROM_PX else _COARSE_ARC
        if ra + rb < _ROUND_FROM_PX:
            arc = _FLAT_END
        outline = [(b[0] + rb * (c * cx - s * cy), b[1] + rb * (c * cy + s * cx)) for c, s in arc]
        outline += [(a[0] - ra * (c * cx - s * cy), a[1] - ra * (c * cy + s * cx)) for c, s in arc]
        self.polygon(outline, colour)


@dataclass(frozen=True, slots=True)
class Sprite:
    """One drawn thing, clipped to the frame.

    Attributes:
        left: Column of its canvas in the frame.
        top: Row of its canvas in the frame.
        bgra: Premultiplied pixels, (h, w, 4) uint8.
    """

    left: int
    top: int
    bgra: Pixels

    @classmethod
    def of_coverage(cls, left: int, top: int, coverage: NDArray[Any]) -> "Sprite":
        """Return a black sprite of the given coverage, (h, w) uint8: a shadow."""
        none = np.zeros_like(coverage)
        return cls(left, top, as_pixels(cv2.merge([none, none, none, coverage])))

    @property
    def area(self) -> tuple[slice, slice]:
        """Its rows and columns in the frame."""
        height, width = self.bgra.shape[:2]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def coverage(self) -> Pixels:
        """How much of each pixel it covers, 0 to 255."""
        return self.bgra[:, :, 3]

    def clipped(self, frame_shape: tuple[int, int]) -> "Sprite | None":
        """Return the part inside a frame of (height, width), or None."""
        height, width = self.bgra.shape[:2]
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + height, frame_shape[0]), min(self.left + width, frame_shape[1])
        if top >= bottom or left >= right:
            return None
        inner = self.bgra[top - self.top : bottom - self.top, left - self.left : right - self.left]
        return Sprite(left, top, np.ascontiguousarray(inner))

    def cropped(self) -> "Sprite | None":
        """Return the part that covers anything, or None."""
        x, y, width, height = cv2.boundingRect(self.coverage)
        if not width:
            return None
        return Sprite(self.left + x, self.top + y, np.ascontiguousarray(self.bgra[y : y + height, x : x + width]))

    def behind(self, through: Pixels) -> "Sprite":
        """Return what is left of this sprite behind a frame-sized (height, width) map: 255 hides nothing, 0 all."""
        window = np.ascontiguousarray(through[self.area])
        if cv2.minMaxLoc(window)[0] == OPAQUE:
            return self
        kept = cv2.multiply(self.bgra, cv2.merge([window] * 4), scale=1 / OPAQUE)
        return Sprite(self.left, self.top, as_pixels(kept))

    def lay_over(self, frame: Pixels) -> None:
        """Composite onto a BGR frame in place."""
        under = frame[self.area]
        through = cv2.bitwise_not(cv2.merge([self.coverage] * 3))
        colour = cv2.cvtColor(self.bgra, cv2.COLOR_BGRA2BGR)
        under[:] = cv2.add(cv2.multiply(np.ascontiguousarray(under), through, scale=1 / OPAQUE), colour)
