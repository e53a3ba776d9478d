"""Flat textures in metres, and how they are laid into the picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.adapters.street.brush import Bgr, Pixels, as_pixels

Floats32 = NDArray[np.float32]


def grain(rng: np.random.Generator, texture: Pixels, sigma: float, blur: int = 0) -> Pixels:
    """Return the texture with grey grain laid over it."""
    noise = rng.standard_normal(texture.shape[:2], np.float32) * np.float32(sigma)
    if blur:
        noise = cv2.GaussianBlur(noise, (0, 0), blur) * blur * 1.6
    return as_pixels(cv2.add(texture, cv2.merge([noise] * 3), dtype=cv2.CV_8U))


@dataclass(slots=True)
class Flat:
    """A flat texture in metres: `p` runs right from `left`, `q` upwards to `top`."""

    pixels: Pixels
    per_m: float
    left: float
    top: float

    @classmethod
    def of(cls, per_m: float, across: tuple[float, float], down: tuple[float, float], colour: Bgr) -> "Flat":
        """Return a plain texture over `across`, left to right, and `down`, top to bottom."""
        size = (round(abs(down[1] - down[0]) * per_m), round((across[1] - across[0]) * per_m), 3)
        return cls(np.full(size, colour, np.uint8), per_m, across[0], down[0])

    def xy(self, p: float, q: float) -> tuple[int, int]:
        """Return the pixel of (p, q)."""
        return round((p - self.left) * self.per_m), round((self.top - q) * self.per_m)

    def rect(self, p0: float, p1: float, q0: float, q1: float, colour: Bgr) -> None:
        """Fill a rectangle."""
        (x0, y1), (x1, y0) = self.xy(p0, q0), self.xy(p1, q1)
        cv2.rectangle(self.pixels, (x0, y0), (max(x1 - 1, x0), max(y1 - 1, y0)), colour, -1)

    def poly(self, points: object, colour: Bgr) -> None:
        """Fill a polygon."""
        xy = [self.xy(p, q) for p, q in np.asarray(points, np.float64).reshape(-1, 2)]
        cv2.fillPoly(self.pixels, [np.array(xy, np.int32)], colour, cv2.LINE_AA)

    def disc(self, p: float, q: float, rp: float, rq: float, colour: Bgr) -> None:
        """Fill an ellipse."""
        axes = (max(1, round(rp * self.per_m)), max(1, round(rq * self.per_m)))
        cv2.ellipse(self.pixels, self.xy(p, q), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    def text(self, words: str, p: float, q: float, height_m: float, colour: Bgr) -> None:
        """Write words from their lower left corner."""
        scale = height_m * self.per_m / 22
        thick = max(1, round(scale * 2.2))
        cv2.putText(self.pixels, words, self.xy(p, q), cv2.FONT_HERSHEY_DUPLEX, scale, colour, thick, cv2.LINE_AA)


def warp(canvas: Pixels, flat: Pixels, corners_px: object) -> None:
    """Lay a texture onto four corners of `canvas`: its top left, top right, bottom right, bottom left."""
    corners = np.asarray(corners_px, np.float64)
    left, top = (int(v) for v in np.maximum(np.floor(corners.min(axis=0)), 0))
    right, bottom = (int(v) for v in np.minimum(np.ceil(corners.max(axis=0)) + 1, (canvas.shape[1], canvas.shape[0])))
    if left >= right or top >= bottom:
        return
    rows, columns = flat.shape[:2]
    source = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
    local = corners - (left, top)
    matrix = cv2.getPerspectiveTransform(source, local.astype(np.float32))
    size = (right - left, bottom - top)
    warped = cv2.warpPerspective(flat, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillConvexPoly(inside, np.round(local * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    window = canvas[top:bottom, left:right]
    cv2.copyTo(warped, inside, window)
