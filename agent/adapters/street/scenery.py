"""What never moves: ground, houses, trees, street furniture, sky, and the light on all of it.

Everything is painted flat as a texture in metres, then seen through `View`, at twice
the frame's size, and reduced. It is slow (about a second) and done once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.adapters.street.brush import Bgr, Brush, Pixels, Sprite, shade
from agent.adapters.street.scenario import (
    BUS_LANE_RIGHT_M,
    KERB_LEFT_M,
    KERB_RIGHT_M,
    PAVEMENT_LEFT_M,
    PAVEMENT_RIGHT_M,
    Conditions,
)
from agent.adapters.street.view import CAMERA_HEIGHT_M, COS_YAW, SIN_YAW, Floats, View, depth_of
from agent.core.video import FrameSize
from agent.core.zones import Zone

Floats32 = NDArray[np.float32]

SUPERSAMPLE = 2
FACADE_X_M = PAVEMENT_LEFT_M
HOUSE_Z_M = (8.0, 20.0)  # the private house, No. 14
EAVES_M = 8.6
GARDEN_M = ((PAVEMENT_RIGHT_M + 0.5, 19.0), (14.5, 34.0))  # (x, z) corners of the private garden
LAMPS_M = ((-4.9, 12.2), (-4.9, 26.0), (-4.9, 42.0), (5.3, 19.5), (5.3, 36.0))
LAMP_HEIGHT_M = 5.6
_TREES_M = ((5.75, 12.6, 0.92), (6.9, 29.5, 1.2), (6.0, 44.0, 1.2), (-5.3, 33.0, 1.0), (-5.3, 48.0, 1.0))
SHELTER_M = (-6.5, 17.0, 20.4)  # back wall x, from z, to z
SUN_SHADOW = (0.62, 0.30)  # metres of shadow, (x, z), per metre of height
_WARM: Bgr = (120, 205, 255)

# Windows of the private house: (z from, z to, u from, u to).
_GROUND_WINDOWS = ((10.0, 11.7, 0.95, 2.75), (12.5, 14.2, 0.95, 2.75), (16.6, 18.9, 0.95, 2.75))
_UPPER_WINDOWS = ((10.0, 11.7, 4.2, 6.0), (12.5, 14.2, 4.2, 6.0), (14.9, 16.1, 4.2, 6.0), (17.0, 18.7, 4.2, 6.0))
HOUSE_WINDOWS = (*_GROUND_WINDOWS, *_UPPER_WINDOWS)
_DOOR = (14.75, 15.95, 0.0, 2.45)


def _grain(rng: np.random.Generator, texture: Pixels, sigma: float, blur: int = 0) -> Pixels:
    """Return the texture with grey grain laid over it."""
    noise = rng.normal(0, sigma, texture.shape[:2]).astype(np.float32)
    if blur:
        noise = cv2.GaussianBlur(noise, (0, 0), blur) * blur * 1.6
    return np.clip(texture + noise[:, :, None], 0, 255).astype(np.uint8)


@dataclass(slots=True)
class _Flat:
    """A flat texture in metres: `p` runs right, `q` runs down from `top`."""

    pixels: Pixels
    per_m: float
    left: float
    top: float

    @classmethod
    def of(cls, per_m: float, across: tuple[float, float], down: tuple[float, float], colour: Bgr) -> "_Flat":
        size = (round(abs(down[1] - down[0]) * per_m), round((across[1] - across[0]) * per_m), 3)
        return cls(np.full(size, colour, np.uint8), per_m, across[0], down[0])

    def _xy(self, p: float, q: float) -> tuple[int, int]:
        return round((p - self.left) * self.per_m), round((self.top - q) * self.per_m)

    def rect(self, p0: float, p1: float, q0: float, q1: float, colour: Bgr) -> None:
        (x0, y1), (x1, y0) = self._xy(p0, q0), self._xy(p1, q1)
        cv2.rectangle(self.pixels, (x0, y0), (max(x1 - 1, x0), max(y1 - 1, y0)), colour, -1)

    def poly(self, points: object, colour: Bgr) -> None:
        xy = [self._xy(p, q) for p, q in np.asarray(points, np.float64).reshape(-1, 2)]
        cv2.fillPoly(self.pixels, [np.array(xy, np.int32)], colour, cv2.LINE_AA)

    def disc(self, p: float, q: float, rp: float, rq: float, colour: Bgr) -> None:
        axes = (max(1, round(rp * self.per_m)), max(1, round(rq * self.per_m)))
        cv2.ellipse(self.pixels, self._xy(p, q), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    def text(self, words: str, p: float, q: float, height_m: float, colour: Bgr) -> None:
        scale = height_m * self.per_m / 22
        thick = max(1, round(scale * 2.2))
        cv2.putText(self.pixels, words, self._xy(p, q), cv2.FONT_HERSHEY_DUPLEX, scale, colour, thick, cv2.LINE_AA)


def _bricks(rng: np.random.Generator, flat: _Flat, tone: Bgr, course_m: float = 0.078, brick_m: float = 0.235) -> None:
    """Lay bricks over the whole texture, each a little different."""
    rows, columns = flat.pixels.shape[:2]
    course, brick = max(course_m * flat.per_m, 2.0), max(brick_m * flat.per_m, 4.0)
    up = np.arange(rows) / course
    along = np.arange(columns)[None, :] / brick + (up.astype(int) % 2)[:, None] / 2
    row, column = up.astype(int)[:, None], along.astype(int)
    shape = (int(row.max()) + 1, int(column.max()) + 1, 1)
    tones = np.array(tone) * rng.uniform(0.84, 1.16, shape) + rng.uniform(-6, 6, (*shape[:2], 3))
    wall = np.clip(tones, 0, 255).astype(np.uint8)[row, column]
    mortar = ((up % 1)[:, None] * course >= course - 1) | ((along % 1) * brick >= brick - 1)
    wall[mortar] = shade(tone, 0.72)
    flat.pixels[:] = wall


def _window(flat: _Flat, glow: _Flat, span: tuple[float, float, float, float], *, style: int, lit: bool) -> None:
    """Paint a sash window with curtains; `glow` takes the light it gives at night."""
    p0, p1, q0, q1 = span
    wide, tall = p1 - p0, q1 - q0
    stone: Bgr = (196, 206, 212)
    flat.rect(p0 - 0.14, p1 + 0.14, q0 - 0.16, q0, shade(stone, 1.05))  # sill
    flat.rect(p0 - 0.16, p1 + 0.16, q0 - 0.2, q0 - 0.15, shade(stone, 0.6))
    flat.rect(p0 - 0.1, p1 + 0.1, q1, q1 + 0.24, stone)  # lintel
    flat.rect(p0 - 0.03, p1 + 0.03, q0, q1 + 0.02, (70, 64, 58))
    flat.rect(p0 + 0.02, p1 - 0.02, q0 + 0.02, q1 - 0.02, (232, 236, 236))
    inner = (p0 + 0.09, p1 - 0.09, q0 + 0.09, q1 - 0.09)
    room: Bgr = (78, 112, 140) if lit else (66, 62, 56)
    flat.rect(*inner, room)
    for step in range(6):  # the room is brighter towards its lamp
        u = step / 6
        flat.rect(inner[0], inner[1], inner[2] + (inner[3] - inner[2]) * u, inner[3], shade(room, 0.86 + 0.28 * u))
    warm = shade(_WARM, 0.92)
    if lit:
        glow.rect(*inner, warm)
        glow.disc((p0 + p1) / 2, q1 - tall * 0.25, wide * 0.3, tall * 0.2, (170, 232, 255))
    if style == 1:  # someone at the window: this is what a private zone is for
        for target, skin, cloth in ((flat, (104, 128, 164), (70, 66, 112)), (glow, (50, 74, 112), (40, 42, 70))):
            if target is glow and not lit:
                continue
            cx, shoulder = p0 + wide * 0.56, q0 + tall * 0.46
            body = [(cx - 0.24, inner[2]), (cx - 0.27, shoulder - 0.12), (cx - 0.16, shoulder), (cx + 0.16, shoulder)]
            target.poly([*body, (cx + 0.27, shoulder - 0.12), (cx + 0.24, inner[2])], cloth)
            target.rect(cx - 0.06, cx + 0.06, shoulder, shoulder + 0.14, skin)
            target.disc(cx, shoulder + 0.24, 0.115, 0.145, skin)
            target.disc(cx, shoulder + 0.31, 0.125, 0.1, shade(cloth, 0.5))
    curtain: Bgr = ((168, 190, 214), (140, 160, 196), (196, 204, 206))[style % 3]
    for left in (True, False):
        reach = 0.26 if style != 2 else 0.42  # noqa: PLR2004 - style 2 is half drawn
        for fold in range(5):
            a = fold / 5 * reach * wide
            b = (fold + 1) / 5 * reach * wide
            c0, c1 = (inner[0] + a, inner[0] + b) if left else (inner[1] - b, inner[1] - a)
            tone = 0.8 + 0.2 * (fold % 2)
            flat.rect(c0, c1, inner[2], inner[3], shade(curtain, tone))
            if lit:
                glow.rect(c0, c1, inner[2], inner[3], shade(warm, 0.5 + 0.2 * (fold % 2)))
    bar: Bgr = (232, 236, 236)
    for target, colour in ((flat, bar), (glow, (22, 34, 44))):
        if target is glow and not lit:
            continue
        middle = (q0 + q1) / 2
        target.rect(inner[0], inner[1], middle - 0.03, middle + 0.03, colour)
        target.rect((p0 + p1) / 2 - 0.022, (p0 + p1) / 2 + 0.022, inner[2], inner[3], colour)
    # The sky in the glass.
    glass = flat.pixels
    (x0, y1), (x1, y0) = flat._xy(inner[0], inner[2]), flat._xy(inner[1], inner[3])  # noqa: SLF001 - same module
    pane = glass[y0:y1, x0:x1].astype(np.float32)
    rows, columns = pane.shape[:2]
    ramp = np.clip(1.2 - np.add.outer(np.arange(rows) / rows, np.arange(columns) / columns), 0, 0.45)[:, :, None]
    glass[y0:y1, x0:x1] = np.clip(pane + (np.array([236, 222, 206]) - pane) * ramp * 0.8, 0, 255).astype(np.uint8)


def _house(rng: np.random.Generator, per_m: float) -> tuple[_Flat, _Flat]:
    """Paint the private house: brick, seven windows, a door."""
    across, down = HOUSE_Z_M, (EAVES_M, 0.0)
    flat = _Flat.of(per_m, across, down, (90, 104, 150))
    glow = _Flat.of(per_m, across, down, (0, 0, 0))
    _bricks(rng, flat, (86, 98, 152))
    flat.rect(*across, 0, 0.5, (150, 158, 164))  # plinth
    flat.rect(*across, 0.5, 0.56, (120, 126, 132))
    flat.rect(*across, 3.35, 3.55, (190, 200, 206))  # string course
    flat.rect(*across, 3.3, 3.35, (110, 116, 122))
    for n, span in enumerate(HOUSE_WINDOWS):
        _window(flat, glow, span, style=(0, 2, 1, 0, 1, 2, 0)[n], lit=n in (0, 2, 4, 6))
    p0, p1, q0, q1 = _DOOR
    flat.rect(p0 - 0.2, p1 + 0.2, q0, q1 + 0.55, (200, 208, 212))
    flat.rect(p0, p1, q0 + 0.12, q1 + 0.35, (60, 56, 52))
    flat.rect(p0 + 0.06, p1 - 0.06, q0 + 0.14, q1, (74, 84, 38))
    for a in (p0 + 0.16, (p0 + p1) / 2 + 0.06):
        for b0, b1 in ((0.35, 1.05), (1.25, 2.2)):
            flat.rect(a, a + 0.36, b0, b1, (58, 66, 28))
            flat.rect(a + 0.04, a + 0.36, b0, b1 - 0.04, (86, 96, 46))
    flat.rect(p0 + 0.06, p1 - 0.06, q1 + 0.06, q1 + 0.3, (150, 176, 190))
    glow.rect(p0 + 0.06, p1 - 0.06, q1 + 0.06, q1 + 0.3, shade(_WARM, 0.8))
    flat.disc(p1 - 0.16, 1.15, 0.04, 0.04, (90, 190, 220))
    flat.rect(p0 - 0.3, p1 + 0.3, 0, 0.12, (176, 182, 186))
    flat.text("14", p1 + 0.3, 1.75, 0.2, (236, 240, 240))
    flat.rect(across[1] - 0.16, across[1] - 0.05, 0, EAVES_M, (70, 66, 62))  # downpipe
    flat.rect(*across, EAVES_M - 0.35, EAVES_M, (206, 212, 214))
    return flat, glow


_TERRACE: tuple[tuple[float, float, Bgr, str], ...] = (
    (2.0, 8.0, (170, 190, 206), "flats"),
    (20.0, 29.0, (196, 200, 190), "shop"),
    (29.0, 39.0, (104, 126, 172), "flats"),
    (39.0, 51.0, (150, 176, 196), "flats"),
    (51.0, 75.0, (128, 140, 170), "flats"),
)


def _terrace(
    rng: np.random.Generator, z: tuple[float, float], tone: Bgr, kind: str, per_m: float
) -> tuple[_Flat, _Flat]:
    """Paint a neighbour of the private house."""
    flat = _Flat.of(per_m, z, (EAVES_M, 0.0), tone)
    glow = _Flat.of(per_m, z, (EAVES_M, 0.0), (0, 0, 0))
    if tone[2] - tone[0] > 40:  # noqa: PLR2004 - a reddish wall is brick
        _bricks(rng, flat, tone)
    else:
        flat.pixels[:] = _grain(rng, _grain(rng, flat.pixels, 3.0), 4.0, 6)
    ground_floor = 3.3
    count = max(2, int((z[1] - z[0]) / 2.3))
    step = (z[1] - z[0]) / count
    for n in range(count):
        a = z[0] + step * (n + 0.5)
        lit = bool(rng.random() < 0.4)  # noqa: PLR2004
        _window(flat, glow, (a - 0.6, a + 0.6, 4.3, 6.0), style=(0, 2)[n % 2], lit=lit)
        if kind == "flats":
            _window(flat, glow, (a - 0.6, a + 0.6, 1.0, 2.7), style=(2, 0)[n % 2], lit=bool(rng.random() < 0.4))  # noqa: PLR2004
    if kind == "shop":
        flat.rect(z[0] + 0.2, z[1] - 0.2, 0.0, ground_floor - 0.1, (58, 62, 44))
        for n in range(3):
            a = z[0] + 0.5 + n * 2.8
            flat.rect(a, a + 2.4, 0.55, 2.35, (150, 176, 190))
            glow.rect(a, a + 2.4, 0.55, 2.35, (150, 220, 248))
            for item in range(9):
                x, tall = a + 0.2 + item * 0.23, float(rng.uniform(0.25, 0.8))
                colour = tuple(float(v) for v in rng.uniform(60, 210, 3))
                for target, level in ((flat, 1.0), (glow, 0.45)):
                    target.rect(x, x + 0.18, 0.6, 0.6 + tall, shade((colour[0], colour[1], colour[2]), level))
        flat.rect(z[0] + 0.2, z[1] - 0.2, 2.55, 3.15, (52, 70, 44))
        flat.text("LANTERN BAKERY", z[0] + 1.0, 2.68, 0.34, (170, 220, 236))
        glow.text("LANTERN BAKERY", z[0] + 1.0, 2.68, 0.34, (120, 190, 214))
    flat.rect(*z, 0, 0.35, shade(tone, 0.7))
    flat.rect(*z, 3.35, 3.5, shade(tone, 1.12))
    flat.rect(*z, EAVES_M - 0.35, EAVES_M, shade(tone, 1.15))
    flat.rect(z[0], z[0] + 0.12, 0, EAVES_M, shade(tone, 0.7))
    return flat, glow


def _ground(rng: np.random.Generator, z: tuple[float, float], right: float, per_m: float) -> _Flat:
    """Paint one stretch of the ground, p = x, q = z."""
    flat = _Flat.of(per_m, (-10.0, right), (z[1], z[0]), (108, 106, 104))
    flat.pixels[:] = _grain(rng, _grain(rng, flat.pixels, 7.0), 5.0, 5)
    # Bus lane: worn red asphalt.
    lane = _Flat.of(per_m, (KERB_LEFT_M, BUS_LANE_RIGHT_M), (z[1], z[0]), (88, 92, 142))
    lane.pixels[:] = _grain(rng, _grain(rng, lane.pixels, 7.0), 6.0, 7)
    x0 = round((KERB_LEFT_M + 10) * per_m)
    flat.pixels[:, x0 : x0 + lane.pixels.shape[1]] = lane.pixels
    paint: Bgr = (214, 220, 222)
    flat.rect(BUS_LANE_RIGHT_M - 0.1, BUS_LANE_RIGHT_M + 0.1, *z, paint)
    start = math.floor(z[0] / 6) * 6
    for dash in range(start, math.ceil(z[1]), 6):
        flat.rect(2.05, 2.17, dash, dash + 2.6, paint)
    for at in (8.2, 29.0, 52.0):
        _lane_lettering(flat, at, paint)
    for x, edge in ((KERB_LEFT_M, -1), (KERB_RIGHT_M, 1)):
        gutter = x - edge * 0.42
        flat.rect(min(x, gutter), max(x, gutter), *z, (96, 98, 98))
        flat.rect(gutter - 0.05, gutter + 0.05, *z, (60, 190, 220))  # a yellow line along the kerb
        _slabs(rng, flat, min(x + edge * 0.22, x + edge * 5.4), max(x + edge * 0.22, x + edge * 5.4), z)
        flat.rect(min(x, x + edge * 0.22), max(x, x + edge * 0.22), *z, (172, 178, 180))
        for joint in np.arange(math.floor(z[0]), z[1], 1.0):
            flat.rect(min(x, x + edge * 0.22), max(x, x + edge * 0.22), joint, joint + 0.02, (120, 124, 126))
    _lawn(rng, flat, z)
    return flat


def _lane_lettering(flat: _Flat, at: float, paint: Bgr) -> None:
    """Paint BUS on the lane, stretched along it as road lettering is."""
    picture = np.zeros((64, 150), np.uint8)
    cv2.putText(picture, "BUS", (8, 54), cv2.FONT_HERSHEY_DUPLEX, 2.1, 255, 8, cv2.LINE_AA)
    size = (round(2.3 * flat.per_m), round(2.6 * flat.per_m))
    # Seen by a driver who comes towards the camera it would stand on its head; it is for those who drive away.
    stencil = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    x, y = flat._xy(-3.85, at + 2.6)  # noqa: SLF001 - same module
    rows = slice(max(y, 0), min(y + size[1], flat.pixels.shape[0]))
    if rows.start >= rows.stop:
        return
    cover = stencil[rows.start - y : rows.stop - y, :, None].astype(np.float32) / 255 * 0.85
    under = flat.pixels[rows, x : x + size[0]].astype(np.float32)
    flat.pixels[rows, x : x + size[0]] = (under + (np.array(paint) - under) * cover).astype(np.uint8)


def _slabs(rng: np.random.Generator, flat: _Flat, x0: float, x1: float, z: tuple[float, float]) -> None:
    slab_x, slab_z = 0.6, 0.9
    flat.rect(x0, x1, *z, (116, 124, 130))
    joint = max(0.012, 0.7 / flat.per_m)
    for row in range(math.floor(z[0] / slab_z), math.ceil(z[1] / slab_z)):
        offset = (row % 2) * slab_x / 2
        for column in range(math.floor(x0 / slab_x), math.ceil(x1 / slab_x) + 1):
            a, b = column * slab_x - offset, row * slab_z
            a0, a1 = max(a + joint, x0), min(a + slab_x - joint, x1)
            if a0 >= a1:
                continue
            tone = float(rng.uniform(0.93, 1.06))
            flat.rect(a0, a1, b + joint, b + slab_z - joint, shade((158, 166, 172), tone))
    y0, y1 = flat._xy(0, z[1])[1], flat._xy(0, z[0])[1]  # noqa: SLF001 - same module
    c0, c1 = flat._xy(x0, 0)[0], flat._xy(x1, 0)[0]  # noqa: SLF001 - same module
    c0, c1 = max(c0, 0), min(c1, flat.pixels.shape[1])
    flat.pixels[y0:y1, c0:c1] = _grain(rng, flat.pixels[y0:y1, c0:c1], 4.0)


def _lawn(rng: np.random.Generator, flat: _Flat, z: tuple[float, float]) -> None:
    x0 = PAVEMENT_RIGHT_M + 0.4
    a = flat._xy(x0, 0)[0]  # noqa: SLF001 - same module
    if a >= flat.pixels.shape[1]:
        return
    lawn = np.full((flat.pixels.shape[0], flat.pixels.shape[1] - a, 3), (62, 116, 92), np.uint8)
    flat.pixels[:, a:] = _grain(rng, _grain(rng, lawn, 13.0), 9.0, 4)
    (_, g0), (_, g1) = GARDEN_M
    for n in range(4):  # flower beds
        at = g0 + 1.5 + n * (g1 - g0) / 4
        if z[0] <= at <= z[1]:
            flat.disc(x0 + 2.4, at, 0.9, 0.6, (48, 66, 84))
            for _ in range(40):
                p, q = rng.normal(x0 + 2.4, 0.45), rng.normal(at, 0.3)
                colour = ((90, 90, 226), (226, 226, 236), (70, 200, 240), (190, 90, 190))[int(rng.integers(4))]
                flat.disc(float(p), float(q), 0.07, 0.07, colour)


def _warp(canvas: Pixels, flat: Pixels, corners_px: object) -> None:
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
    window[inside > 0] = warped[inside > 0]


@dataclass(frozen=True, slots=True)
class Scenery:
    """The street without anyone on it.

    Attributes:
        picture: BGR, (h, w, 3).
        curtains: What stands on the street, near to far: from which depth in metres on it hides things, and
            how much light it and all before it let through, (h, w), 0 to 255.
        display_px: left, top, width, height of the bus-stop display.
    """

    picture: Pixels
    curtains: tuple[tuple[float, Pixels], ...]
    display_px: tuple[int, int, int, int]

    def through(self, depth_m: float) -> Pixels | None:
        """Return how much of something at `depth_m` is seen at each pixel, or None if nothing stands before it."""
        before = None
        for depth, through in self.curtains:
            if depth >= depth_m:
                break
            before = through
        return before


class Lighting:
    """How bright the street is where, as colour factors of full daylight."""

    def __init__(self, conditions: Conditions) -> None:
        self._night = conditions.night
        self._rain = conditions.rain

    @property
    def ambient(self) -> Bgr:
        """The light that is everywhere."""
        if self._night:
            return (0.25, 0.185, 0.15)
        return (0.84, 0.82, 0.79) if self._rain else (0.98, 1.0, 1.0)

    def at(self, x_m: float, z_m: float) -> Bgr:
        """Return the light on something at (x, z)."""
        light = self.field(np.array([[x_m]], np.float32), np.array([[z_m]], np.float32), np.zeros((1, 1), np.float32))
        return (float(light[0, 0, 0]), float(light[0, 0, 1]), float(light[0, 0, 2]))

    def field(self, x_m: Floats32, z_m: Floats32, y_m: Floats32) -> Floats32:
        """Return the light, (h, w, 3), at points given by three (h, w) arrays."""
        light = np.empty((*x_m.shape, 3), np.float32)
        light[:] = self.ambient
        if not self._night:
            return light
        for x, z in LAMPS_M:
            reach = np.exp(-((x_m - x) ** 2 + (z_m - z) ** 2) / (2 * 3.4**2) - np.maximum(y_m - 3.5, 0) ** 2 / 4)
            light += reach[:, :, None] * np.array([0.42, 0.62, 0.78], np.float32)
        for z0, z1, u0, _ in _GROUND_WINDOWS[::2]:  # light from the windows falls on the pavement
            reach = np.exp(-((x_m - FACADE_X_M - 0.8) ** 2 / 2.4 + (z_m - (z0 + z1) / 2) ** 2 / 1.6 + u0 * 0 + y_m**2))
            light += reach[:, :, None] * np.array([0.16, 0.3, 0.4], np.float32)
        return light


def _sky(size: FrameSize, rng: np.random.Generator, conditions: Conditions) -> Pixels:
    """Return the sky over a whole frame."""
    rows, columns, horizon = size.height_px, size.width_px, int(View.of(size).horizon_px)
    top, low = np.array([222.0, 176.0, 120.0]), np.array([244.0, 234.0, 216.0])
    if conditions.rain:
        top, low = np.array([168.0, 160.0, 152.0]), np.array([206.0, 202.0, 198.0])
    if conditions.night:
        top, low = np.array([58.0, 34.0, 22.0]), np.array([96.0, 66.0, 52.0])
    ramp = np.clip(np.arange(rows) / max(horizon, 1), 0, 1)[:, None, None]
    sky = np.broadcast_to(top + (low - top) * ramp, (rows, columns, 3)).copy()
    clouds = np.zeros((rows, columns), np.float32)
    for octave in range(1, 6):
        cells = rng.normal(0, 1, (6 * 2**octave, 3 * 2**octave)).astype(np.float32)
        clouds += cv2.resize(cells, (columns, rows), interpolation=cv2.INTER_CUBIC) / 1.8**octave
    cover = np.clip(clouds * 0.75 + (0.6 if conditions.rain else 0.22), 0, 1)[:, :, None]
    tint = 34.0 if conditions.night else 250.0
    sky += (np.array([tint * 1.2, tint, tint]) - sky) * cover * (0.3 if conditions.rain or conditions.night else 0.75)
    return np.clip(sky, 0, 255).astype(np.uint8)


# Houses across the street and at its end: (x from, x to, z, height), paint.
_TOWN: tuple[tuple[float, float, float, float, Bgr], ...] = (
    (-12, -4, 118, 11, (190, 176, 166)),
    (-5, 3, 112, 14, (176, 168, 164)),
    (2, 10, 108, 10, (186, 180, 172)),
    (9, 20, 96, 12, (160, 164, 176)),
    (17, 30, 80, 10, (150, 160, 180)),
    (26, 40, 64, 9, (150, 158, 176)),
)


def _town_roof(view: View, x0: float, x1: float, z: float, tall: float) -> Floats:
    top = tall + 2.4
    return view.project([(x0 - 0.4, tall, z), (x1 + 0.4, tall, z), (x1 - 1.5, top, z), (x0 + 1.5, top, z)])


def _far_town(canvas: Pixels, glow: Pixels, view: View, rng: np.random.Generator) -> None:
    """Paint the houses across the street and at its end, as flat silhouettes with windows."""
    brush, lights = Brush(_alpha(canvas)), Brush(_alpha(glow))
    for x0, x1, z, tall, tone in _TOWN:
        brush.polygon(view.project([(x0, 0, z), (x1, 0, z), (x1, tall, z), (x0, tall, z)]), tone)
        brush.polygon(_town_roof(view, x0, x1, z, tall), (120, 122, 150))
        for u in np.arange(1.2, tall - 1.5, 2.8):
            for a in np.arange(x0 + 0.9, x1 - 1.2, 2.0):
                pane = view.project([(a, u, z), (a + 1.0, u, z), (a + 1.0, u + 1.5, z), (a, u + 1.5, z)])
                brush.polygon(pane, (132, 122, 112))
                if rng.random() < 0.3:  # noqa: PLR2004
                    lights.polygon(pane, shade(_WARM, 0.75))
    canvas[:] = _laid(canvas, brush.canvas)
    glow[:] = _laid(glow, lights.canvas)


def _alpha(canvas: Pixels) -> Pixels:
    return np.zeros((*canvas.shape[:2], 4), np.uint8)


def _laid(canvas: Pixels, bgra: Pixels) -> Pixels:
    laid = canvas.copy()
    Sprite(0, 0, bgra).lay_over(laid)
    return laid


def _lamp_post(brush: Brush, view: View, x: float, z: float) -> None:
    s = view.scale(x, z)
    foot, head = view.project([(x, 0, z), (x, LAMP_HEIGHT_M, z)])
    dark: Bgr = (64, 70, 58)
    brush.limb(foot, (foot[0], foot[1] - 0.5 * s), (0.24 * s, 0.2 * s), shade(dark, 0.9))
    brush.limb(foot, head, (0.13 * s, 0.09 * s), dark)
    brush.limb((foot[0] - 0.02 * s, foot[1]), (head[0] - 0.015 * s, head[1]), (0.04 * s, 0.03 * s), shade(dark, 1.7))
    reach = 0.9 * s * (1 if x < 0 else -1)
    brush.limb(head, (head[0] + reach, head[1] - 0.18 * s), (0.09 * s, 0.07 * s), dark)
    brush.ellipse((head[0] + reach, head[1] - 0.14 * s), (0.34 * s, 0.1 * s), shade(dark, 0.9))
    brush.ellipse((head[0] + reach, head[1] - 0.09 * s), (0.26 * s, 0.06 * s), (200, 236, 244))


def lamp_head(view: View, x: float, z: float) -> tuple[float, float]:
    """Return where the light of a lamp post is, in pixels."""
    s = view.scale(x, z)
    head = view.project((x, LAMP_HEIGHT_M, z))[0]
    return float(head[0] + 0.9 * s * (1 if x < 0 else -1)), float(head[1] - 0.09 * s)


def _tree(brush: Brush, view: View, tree: tuple[float, float, float], rng: np.random.Generator) -> None:
    x, z, size = tree
    s = view.scale(x, z) * size
    foot = view.project((x, 0, z))[0]
    bark: Bgr = (62, 78, 96)
    crown = (foot[0], foot[1] - 4.4 * s)
    brush.limb(foot, (foot[0], foot[1] - 3.0 * s), (0.36 * s, 0.24 * s), shade(bark, 0.8))
    brush.limb((foot[0] - 0.06 * s, foot[1]), (foot[0] - 0.04 * s, foot[1] - 3.0 * s), (0.12 * s, 0.08 * s), bark)
    for angle in (-0.9, -0.35, 0.3, 0.85):
        fork = (foot[0], foot[1] - 2.3 * s)
        tip = (fork[0] + math.sin(angle) * 1.7 * s, fork[1] - math.cos(angle) * 1.9 * s)
        brush.limb(fork, tip, (0.16 * s, 0.07 * s), shade(bark, 0.75))
    clusters = []
    for _ in range(26):
        radius, angle = 1.75 * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
        clusters.append((radius * math.cos(angle), radius * math.sin(angle) * 0.8))
    clusters.sort(key=lambda c: c[0] * 0.5 - c[1], reverse=False)
    leaf = max(0.085 * s, 1.3)
    for layer, (cx, cy) in enumerate(sorted(clusters, key=lambda c: -c[1])):
        height = layer / len(clusters)
        for _ in range(46):
            dx, dy = rng.normal(0, 0.36), rng.normal(0, 0.28)
            sun = 0.62 + 0.34 * height - 0.32 * dy - 0.16 * dx + rng.uniform(-0.1, 0.1)
            tone = shade((58, 138, 104), max(sun, 0.35))
            at = (crown[0] + (cx + dx) * s, crown[1] + (cy + dy) * s)
            brush.ellipse(at, (leaf, leaf * 0.62), tone, float(rng.uniform(0, 180)))


def _shelter_back(brush: Brush, view: View) -> None:
    """Paint the wall, the poster and the bench of the bus shelter."""
    x, z0, z1 = SHELTER_M
    glass = view.project([(x, 0.25, z0), (x, 2.25, z0), (x, 2.25, z1), (x, 0.25, z1)])
    brush.polygon(glass, (178, 178, 168))
    poster = view.project([(x, 0.4, z0 + 0.15), (x, 2.15, z0 + 0.15), (x, 2.15, z0 + 1.3), (x, 0.4, z0 + 1.3)])
    brush.polygon(poster, (196, 150, 64))
    sun = poster.mean(axis=0)
    s = view.scale(x, z0)
    brush.ellipse((sun[0], sun[1] - 0.2 * s), (0.24 * s, 0.3 * s), (80, 200, 250))
    hill = view.project(
        [(x, 0.4, z0 + 0.15), (x, 0.9, z0 + 0.15), (x, 1.2, z0 + 0.7), (x, 0.8, z0 + 1.3), (x, 0.4, z0 + 1.3)]
    )
    brush.polygon(hill, (84, 128, 60))
    seat_x = x + 0.65
    for u, depth in ((0.48, 0.45),):
        plank = view.project(
            [(seat_x - depth, u, z0 + 1.1), (seat_x, u, z0 + 1.1), (seat_x, u, z1 - 0.2), (seat_x - depth, u, z1 - 0.2)]
        )
        brush.polygon(plank, (92, 132, 168))
        edge = view.project(
            [(seat_x, u, z0 + 1.1), (seat_x, u, z1 - 0.2), (seat_x, u - 0.09, z1 - 0.2), (seat_x, u - 0.09, z0 + 1.1)]
        )
        brush.polygon(edge, (62, 94, 124))
    for z in (z0 + 1.3, z1 - 0.5):
        foot, seat = view.project([(seat_x - 0.15, 0, z), (seat_x - 0.15, 0.42, z)])
        brush.limb(foot, seat, (0.07 * s, 0.07 * s), (70, 68, 66))


def _shelter_front(brush: Brush, view: View) -> None:
    """Paint the roof and the posts, which stand before those who wait."""
    x, z0, z1 = SHELTER_M
    front = x + 1.45
    frame: Bgr = (70, 68, 64)
    for px, z in ((x, z1), (x, z0), (front, z1), (front, z0)):
        s = view.scale(px, z)
        foot, top = view.project([(px, 0, z), (px, 2.4, z)])
        brush.limb(foot, top, (0.075 * s, 0.075 * s), frame)
    roof = view.project(
        [
            (x - 0.1, 2.42, z0 - 0.1),
            (front + 0.15, 2.5, z0 - 0.1),
            (front + 0.15, 2.5, z1 + 0.1),
            (x - 0.1, 2.42, z1 + 0.1),
        ]
    )
    brush.polygon(roof, (132, 126, 116))
    for near in ((x - 0.1, z0 - 0.1, front + 0.15, z0 - 0.1), (front + 0.15, z0 - 0.1, front + 0.15, z1 + 0.1)):
        a, b, c, d = near
        fascia = view.project([(a, 2.38, b), (a, 2.52, b), (c, 2.54, d), (c, 2.4, d)])
        brush.polygon(fascia, frame)


def _stop_sign(brush: Brush, view: View) -> tuple[float, float, float, float]:
    """Paint the bus-stop flag; return left, top, right, bottom of its display."""
    x, z = KERB_LEFT_M - 0.55, 15.3
    s = view.scale(x, z)
    foot, top = view.project([(x, 0, z), (x, 3.0, z)])
    brush.limb(foot, top, (0.09 * s, 0.08 * s), (84, 80, 76))
    flag = [
        (top[0] - 0.34 * s, top[1]),
        (top[0] + 0.34 * s, top[1]),
        (top[0] + 0.34 * s, top[1] + 0.5 * s),
        (top[0] - 0.34 * s, top[1] + 0.5 * s),
    ]
    brush.polygon(flag, (58, 60, 190))
    brush.ellipse((top[0], top[1] + 0.25 * s), (0.19 * s, 0.19 * s), (236, 238, 238))
    brush.polygon(
        [
            (top[0] - 0.11 * s, top[1] + 0.16 * s),
            (top[0] + 0.11 * s, top[1] + 0.16 * s),
            (top[0] + 0.11 * s, top[1] + 0.34 * s),
            (top[0] - 0.11 * s, top[1] + 0.34 * s),
        ],
        (58, 60, 190),
    )
    left, right, up, low = top[0] - 0.5 * s, top[0] + 0.5 * s, top[1] + 0.56 * s, top[1] + 0.94 * s
    brush.polygon([(left, up), (right, up), (right, low), (left, low)], (40, 38, 36))
    return left, up, right, low


def _fence(brush: Brush, view: View) -> None:
    """Paint the white fence of the garden."""
    x = GARDEN_M[0][0] - 0.05
    z0, z1 = GARDEN_M[0][1], GARDEN_M[1][1]
    white: Bgr = (224, 230, 232)
    for u in (0.3, 0.75):
        rail = view.project([(x, u, z0), (x, u + 0.09, z0), (x, u + 0.09, z1), (x, u, z1)])
        brush.polygon(rail, shade(white, 0.85))
    for z in np.arange(z1, z0 - 0.01, -0.24):
        post = view.project([(x, 0.05, z), (x, 0.95, z), (x, 1.05, z - 0.07), (x, 0.95, z - 0.14), (x, 0.05, z - 0.14)])
        brush.polygon(post, white)
    for n in range(1, 30):
        a = x + n * 0.24
        post = view.project(
            [(a, 0.05, z0), (a, 0.95, z0), (a + 0.07, 1.05, z0), (a + 0.14, 0.95, z0), (a + 0.14, 0.05, z0)]
        )
        brush.polygon(post, shade(white, 0.9))


def _hedge(
    brush: Brush, view: View, rng: np.random.Generator, box: tuple[float, float, float, float], tall: float
) -> None:
    """Paint a hedge over (x0, x1, z0, z1) as thousands of leaves."""
    x0, x1, z0, z1 = box
    area = (x1 - x0 + 0.5) * (z1 - z0 + 0.5)
    count = int(min(area * 260, 5200))
    points = rng.uniform((x0, 0.0, z0), (x1, tall, z1), (count, 3))
    points = points[np.argsort(points[:, 0] * SIN_YAW - points[:, 2] * COS_YAW)]
    suns = 0.5 + 0.55 * points[:, 1] / tall + rng.uniform(-0.12, 0.12, count)
    for (x, _, z), at, sun in zip(points.tolist(), view.project(points).tolist(), suns.tolist(), strict=True):
        size = max(0.075 * view.scale(x, z), 1.2)
        brush.ellipse(at, (size, size * 0.7), shade((48, 112, 82), sun), float(rng.uniform(0, 180)))


def _house_depths(size: FrameSize) -> tuple[Floats32, Floats32, Floats32]:
    """Return x, z, y in metres of the surface that each pixel shows: ground, or the houses' fronts."""
    view = View.of(size)
    columns, rows = np.meshgrid(np.arange(size.width_px, dtype=np.float32), np.arange(size.height_px, dtype=np.float32))
    across = (columns - view.width_px / 2) / view.focal_px
    down = (rows - view.horizon_px) / view.focal_px
    dx, dz = across * COS_YAW - SIN_YAW, across * SIN_YAW + COS_YAW  # world direction for one metre of depth
    ground = np.where(down > 1e-3, CAMERA_HEIGHT_M / np.maximum(down, 1e-3), 1e4)
    wall = np.where(dx < -1e-3, FACADE_X_M / np.minimum(dx, -1e-3), 1e4)
    depth = np.minimum(np.minimum(ground, wall), 400.0)
    return (
        (dx * depth).astype(np.float32),
        (dz * depth).astype(np.float32),
        (CAMERA_HEIGHT_M - down * depth).astype(np.float32),
    )


def _glow_dot(frame: Floats32, at: tuple[float, float], radius: float, colour: Bgr) -> None:
    """Add a round glow to a float picture."""
    x0, x1 = max(int(at[0] - 3 * radius), 0), min(int(at[0] + 3 * radius) + 1, frame.shape[1])
    y0, y1 = max(int(at[1] - 3 * radius), 0), min(int(at[1] + 3 * radius) + 1, frame.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    xs, ys = np.arange(x0, x1) - at[0], np.arange(y0, y1) - at[1]
    reach = np.exp(-np.add.outer(ys**2, xs**2) / (2 * radius**2)).astype(np.float32)
    frame[y0:y1, x0:x1] += reach[:, :, None] * np.array(colour, np.float32)


def _cones(frame: Floats32, view: View) -> None:
    """Add the light cones of the lamp posts to a float picture."""
    for x, z in LAMPS_M:
        s, head = view.scale(x, z), lamp_head(view, x, z)
        foot = view.project((x + (0.9 if x < 0 else -0.9), 0, z))[0]
        cone = np.zeros(frame.shape[:2], np.uint8)
        outline = [
            (head[0] - 0.15 * s, head[1]),
            (head[0] + 0.15 * s, head[1]),
            (foot[0] + 2.3 * s, foot[1]),
            (foot[0] - 2.3 * s, foot[1]),
        ]
        cv2.fillPoly(cone, [np.array(outline, np.int32)], 255, cv2.LINE_AA)
        soft = cv2.GaussianBlur(cone, (0, 0), max(0.25 * s, 1.0)).astype(np.float32) / 255
        rows = np.arange(frame.shape[0], dtype=np.float32)
        fade = np.clip(1 - (rows - head[1]) / max(foot[1] - head[1], 1.0), 0, 1)[:, None] ** 1.3
        frame += (soft * fade)[:, :, None] * np.array([34, 58, 76], np.float32)
        _glow_dot(frame, head, max(0.28 * s, 2.0), (90, 150, 180))
        _glow_dot(frame, head, max(0.09 * s, 1.0), (170, 190, 200))


def build(size: FrameSize, seed: int, conditions: Conditions) -> Scenery:
    """Return the scenery for frames of `size`."""
    rng = np.random.default_rng([seed, 2])
    big = View.of(size, SUPERSAMPLE)
    shape = (size.height_px * SUPERSAMPLE, size.width_px * SUPERSAMPLE, 3)
    canvas, glow = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    canvas[:] = cv2.resize(_sky(size, rng, conditions), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    _far_town(canvas, glow, big, rng)
    for x1, z0, z1, per_m in (
        (42.0, 46.0, 130.0, 9.0),
        (24.0, 22.0, 46.0, 28.0),
        (13.0, 11.0, 22.0, 56.0),
        (8.0, 3.4, 11.0, 100.0),
    ):
        flat = _ground(rng, (z0, z1), x1, per_m)
        _warp(canvas, flat.pixels, big.project([(-10, 0, z1), (x1, 0, z1), (x1, 0, z0), (-10, 0, z0)]))
    for z0, z1, tone, kind in reversed(_TERRACE):
        per_m = 120.0 if z0 < 10 else (70.0 if z0 < 25 else 36.0)  # noqa: PLR2004
        _front(canvas, glow, big, _terrace(rng, (z0, z1), tone, kind, per_m), (z0, z1))
    _front(canvas, glow, big, _house(rng, 150.0), HOUSE_Z_M)

    standing: list[tuple[float, Callable[[Brush], object]]] = []

    def stand(x: float, z: float, paint: Callable[[Brush], object]) -> None:
        standing.append((depth_of(x, z), paint))

    for number, tree in enumerate(_TREES_M):
        leaves = np.random.default_rng([seed, 3, number])
        stand(tree[0], tree[1], lambda brush, tree=tree, leaves=leaves: _tree(brush, big, tree, leaves))
    for x, z in LAMPS_M:
        stand(x, z, lambda brush, x=x, z=z: _lamp_post(brush, big, x, z))
    stand(SHELTER_M[0], SHELTER_M[1] + 1.5, lambda brush: _shelter_back(brush, big))
    stand(SHELTER_M[0] + 1.45, SHELTER_M[1], lambda brush: _shelter_front(brush, big))
    display = [0.0, 0.0, 0.0, 0.0]

    def sign(brush: Brush) -> None:
        display[:] = _stop_sign(brush, big)

    stand(KERB_LEFT_M - 0.55, 15.3, sign)
    stand(GARDEN_M[0][0], GARDEN_M[0][1], lambda brush: _fence(brush, big))
    shrubs = np.random.default_rng([seed, 4])
    back = (GARDEN_M[0][0] + 0.5, 15.5, GARDEN_M[1][1], GARDEN_M[1][1] + 1.2)
    stand(10.0, GARDEN_M[1][1], lambda brush: _hedge(brush, big, shrubs, back, 2.2))

    light = Lighting(conditions)
    field = light.field(*_house_depths(size))
    layers = []
    for depth, paint in sorted(standing, key=lambda item: -item[0]):
        brush = Brush(_alpha(canvas))
        paint(brush)
        thing = Sprite(0, 0, brush.canvas).cropped()
        if thing is None:
            continue
        thing.lay_over(canvas)
        dark = cv2.bitwise_not(cv2.merge([thing.coverage] * 3))
        glow[thing.area] = cv2.multiply(np.ascontiguousarray(glow[thing.area]), dark, scale=1 / 255)
        layers.append((depth, thing))
    picture = _reduced(canvas, size).astype(np.float32)
    if not conditions.night and not conditions.rain:
        picture = _sun(picture, size)
    horizon = int(View.of(size).horizon_px)
    if conditions.night:
        day_sky = picture[: horizon + 4].copy()
        picture = picture * field
        open_sky = _open_sky(canvas.shape, big, layers)
        sky = cv2.resize(open_sky, (size.width_px, size.height_px), interpolation=cv2.INTER_AREA)[
            : horizon + 4, :, None
        ]
        picture[: horizon + 4] += (day_sky - picture[: horizon + 4]) * (sky.astype(np.float32) / 255)
        picture += _reduced(glow, size).astype(np.float32)
        bloom = cv2.GaussianBlur(_reduced(glow, size).astype(np.float32), (0, 0), size.height_px / 60)
        picture += bloom * 0.5
        _cones(picture, View.of(size))
    else:
        picture = picture * field
    if conditions.rain:
        picture = _wet(picture, size)
    final = np.clip(picture, 0, 255).astype(np.uint8)
    left, top, right, low = (v / SUPERSAMPLE for v in display)
    box = (round(left) + 1, round(top) + 1, max(round(right - left) - 2, 4), max(round(low - top) - 2, 3))
    return Scenery(final, _curtains(layers, size), box)


def _front(canvas: Pixels, glow: Pixels, view: View, painted: tuple[_Flat, _Flat], z: tuple[float, float]) -> None:
    """Stand a painted front on the building line, with its roof."""
    near = max(z[0], 4.0)
    x = FACADE_X_M
    skip = round((near - z[0]) * painted[0].per_m)
    corners = view.project([(x, EAVES_M, near), (x, EAVES_M, z[1]), (x, 0, z[1]), (x, 0, near)])
    # The nearer end of a front on the left of the street is on the left of the picture.
    for target, flat in zip((canvas, glow), painted, strict=True):
        picture = flat.pixels[:, skip:]
        reach = float(corners[1, 0] - corners[0, 0])
        if picture.shape[1] > 1.6 * reach > 0:  # minified: reduce first, or bricks shimmer into moire
            factor = 1.3 * reach / picture.shape[1]
            picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        _warp(target, picture, corners)
    brush = Brush(_alpha(canvas))
    roof = view.project(
        [
            (x + 0.35, EAVES_M, near),
            (x + 0.35, EAVES_M, z[1]),
            (x - 3, EAVES_M + 3.2, z[1]),
            (x - 3, EAVES_M + 3.2, near),
        ]
    )
    brush.polygon(roof, (112, 104, 112))
    Sprite(0, 0, brush.canvas).lay_over(canvas)


def _reduced(canvas: Pixels, size: FrameSize) -> Pixels:
    return cv2.resize(canvas, (size.width_px, size.height_px), interpolation=cv2.INTER_AREA)


def _open_sky(shape: tuple[int, ...], view: View, layers: list[tuple[float, Sprite]]) -> Pixels:
    """Return where nothing stands between the camera and the sky, 0 to 255."""
    sky = np.zeros(shape[:2], np.uint8)
    sky[: int(view.horizon_px)] = 255
    x = FACADE_X_M
    wall = view.project([(x, 0, 4), (x, EAVES_M + 3.2, 4), (x, EAVES_M + 3.2, 75), (x, 0, 75)])
    cv2.fillPoly(sky, [np.round(wall).astype(np.int32)], 0)
    for x0, x1, z, tall, _ in _TOWN:
        for outline in (
            view.project([(x0, 0, z), (x1, 0, z), (x1, tall, z), (x0, tall, z)]),
            _town_roof(view, x0, x1, z, tall),
        ):
            cv2.fillPoly(sky, [np.round(outline).astype(np.int32)], 0)
    sky = cv2.erode(sky, np.ones((3, 3), np.uint8))
    for _, layer in layers:
        sky[layer.area] = cv2.min(np.ascontiguousarray(sky[layer.area]), cv2.bitwise_not(layer.coverage))
    return sky


def _sun(picture: Floats32, size: FrameSize) -> Floats32:
    """Darken what lies in the houses' shade and where walls meet the ground."""
    x, z, y = _house_depths(size)
    ground = (y < 0.02) & (x > FACADE_X_M + 0.03)  # noqa: PLR2004 - both with room for rounding
    near_wall = np.exp(-np.maximum(x - FACADE_X_M, 0) / 0.5) * ground
    low_wall = np.exp(-np.maximum(y, 0) / 0.6) * ~ground
    shade_edge = 1 / (1 + np.exp(np.clip((x + 7.3) / 0.12, -30, 30)))  # the shadow of the eaves on the pavement
    haze = np.clip((z - 25) / 160, 0, 0.42)[:, :, None]
    factor = 1 - 0.28 * near_wall - 0.18 * low_wall - 0.22 * shade_edge * ground
    lit = picture * factor[:, :, None]
    horizon = int(View.of(size).horizon_px)
    haze *= np.clip((np.arange(size.height_px) / horizon - 0.25) * 1.5, 0, 1)[:, None, None]
    return lit + (np.array([232, 222, 208], np.float32) - lit) * haze * 0.6


def _wet(picture: Floats32, size: FrameSize) -> Floats32:
    """Mirror the street faintly in its wet ground."""
    horizon = int(View.of(size).horizon_px)
    rows = size.height_px - horizon
    mirror = cv2.flip(picture[: horizon + 1], 0)
    mirror = cv2.resize(mirror, (size.width_px, rows), interpolation=cv2.INTER_LINEAR)
    mirror = cv2.blur(mirror, (3, max(rows // 14, 3)))
    x, _, y = _house_depths(size)
    ground = ((y < 0.02) & (x > FACADE_X_M + 0.02))[horizon:, :, None]  # noqa: PLR2004
    wet = picture.copy()
    wet[horizon:] += (mirror * 0.9 - wet[horizon:]) * 0.24 * ground
    return wet


def _curtains(layers: list[tuple[float, Sprite]], size: FrameSize) -> tuple[tuple[float, Pixels], ...]:
    """Return the running product, near to far, of what the layers let through."""
    curtains = []
    through = np.full((size.height_px, size.width_px), 255, np.uint8)
    for depth, layer in sorted(layers, key=lambda item: item[0]):
        cover = np.zeros((size.height_px * SUPERSAMPLE, size.width_px * SUPERSAMPLE), np.uint8)
        cover[layer.area] = layer.coverage
        through = cv2.multiply(through, cv2.bitwise_not(_reduced(cover, size)), scale=1 / 255)
        curtains.append((depth, through))
    return tuple(curtains)


def _zone(name: str, corners_m: object) -> Zone:
    """Return a zone over world corners, cut at the edges of a 16:9 frame."""
    size = FrameSize(1280, 720)
    points = (View.of(size).project(corners_m) / (size.width_px, size.height_px)).tolist()
    for axis, limit, sign in ((0, 0.0, 1), (0, 1.0, -1), (1, 0.0, 1), (1, 1.0, -1)):
        kept: list[list[float]] = []
        for a, b in zip(points, [*points[1:], points[0]], strict=True):
            a_in, b_in = (a[axis] - limit) * sign >= 0, (b[axis] - limit) * sign >= 0
            if a_in:
                kept.append(a)
            if a_in != b_in:
                part = (limit - a[axis]) / (b[axis] - a[axis])
                kept.append([a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part])
        points = kept
    return Zone(name=name, polygon=tuple((round(min(max(x, 0), 1), 4), round(min(max(y, 0), 1), 4)) for x, y in points))


def _private_zones() -> tuple[Zone, ...]:
    """Return the zones over the private house's windows and over the garden."""
    x = FACADE_X_M + 0.02

    def front(z0: float, z1: float, u0: float, u1: float) -> list[tuple[float, float, float]]:
        return [(x, u1, z0), (x, u1, z1), (x, u0, z1), (x, u0, z0)]

    first, second, third = _GROUND_WINDOWS
    left, *_, right = _UPPER_WINDOWS
    (gx, g0), (_, g1) = GARDEN_M
    return (
        _zone("ground-floor windows of No. 14", front(first[0] - 0.2, second[1] + 0.2, 0.75, 3.0)),
        _zone("window beside the door of No. 14", front(third[0] - 0.2, third[1] + 0.2, 0.75, 3.0)),
        _zone("upper windows of No. 14", front(left[0] - 0.2, right[1] + 0.2, 4.0, 6.3)),
        _zone("garden of No. 17", [(gx, 0, g0), (gx, 0, g1), (gx, 2.3, g1), (16, 2.3, g1), (16, 0, g0)]),
    )


PRIVATE_ZONES = _private_zones()
