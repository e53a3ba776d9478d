"""The houses: fronts painted brick by brick, with windows, curtains and someone at home."""

import cv2
import numpy as np

from agent.adapters.street.brush import Bgr, Brush, Pixels, Sprite, as_pixels, shade
from agent.adapters.street.flat import Flat, grain, warp
from agent.adapters.street.plan import DOOR, EAVES_M, FACADE_X_M, HOUSE_WINDOWS, HOUSE_Z_M, TOWN, WARM
from agent.adapters.street.view import Floats, View


def bricks(rng: np.random.Generator, flat: Flat, tone: Bgr, course_m: float = 0.078, brick_m: float = 0.235) -> None:
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


_FRAME: Bgr = (232, 236, 236)


def _window(flat: Flat, glow: Flat, span: tuple[float, float, float, float], *, style: int, lit: bool) -> None:
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
    warm = shade(WARM, 0.92)
    if lit:
        glow.rect(*inner, warm)
        glow.disc((p0 + p1) / 2, q1 - tall * 0.25, wide * 0.3, tall * 0.2, (170, 232, 255))
    if style == 1:
        _someone(flat, p0 + wide * 0.56, (inner[2], q0 + tall * 0.46))
        if lit:
            _someone(glow, p0 + wide * 0.56, (inner[2], q0 + tall * 0.46), skin=(50, 74, 112), cloth=(40, 42, 70))
    _curtains(flat, glow, inner, style=style, lit=lit)
    for target, colour in ((flat, _FRAME), (glow, (22, 34, 44)))[: 1 + lit]:
        middle = (q0 + q1) / 2
        target.rect(inner[0], inner[1], middle - 0.03, middle + 0.03, colour)
        target.rect((p0 + p1) / 2 - 0.022, (p0 + p1) / 2 + 0.022, inner[2], inner[3], colour)
    _sky_in_glass(flat, inner)


def _someone(
    target: Flat,
    cx: float,
    rise: tuple[float, float],
    *,
    skin: Bgr = (104, 128, 164),
    cloth: Bgr = (70, 66, 112),
) -> None:
    """Paint someone at the window: this is what a private zone is for."""
    sill, shoulder = rise
    body = [(cx - 0.24, sill), (cx - 0.27, shoulder - 0.12), (cx - 0.16, shoulder), (cx + 0.16, shoulder)]
    target.poly([*body, (cx + 0.27, shoulder - 0.12), (cx + 0.24, sill)], cloth)
    target.rect(cx - 0.06, cx + 0.06, shoulder, shoulder + 0.14, skin)
    target.disc(cx, shoulder + 0.24, 0.115, 0.145, skin)
    target.disc(cx, shoulder + 0.31, 0.125, 0.1, shade(cloth, 0.5))


def _curtains(flat: Flat, glow: Flat, inner: tuple[float, float, float, float], *, style: int, lit: bool) -> None:
    """Hang curtains on both sides, fold by fold."""
    curtain: Bgr = ((168, 190, 214), (140, 160, 196), (196, 204, 206))[style % 3]
    reach = (inner[1] - inner[0]) * (0.3 if style != 2 else 0.46)  # noqa: PLR2004 - style 2 is half drawn
    for fold in range(5):
        a, b = fold / 5 * reach, (fold + 1) / 5 * reach
        for c0, c1 in ((inner[0] + a, inner[0] + b), (inner[1] - b, inner[1] - a)):
            flat.rect(c0, c1, inner[2], inner[3], shade(curtain, 0.8 + 0.2 * (fold % 2)))
            if lit:
                glow.rect(c0, c1, inner[2], inner[3], shade(WARM, 0.46 + 0.18 * (fold % 2)))


def _sky_in_glass(flat: Flat, inner: tuple[float, float, float, float]) -> None:
    """Lay the sky's reflection over a pane, stronger towards its upper left."""
    glass = flat.pixels
    (x0, y1), (x1, y0) = flat.xy(inner[0], inner[2]), flat.xy(inner[1], inner[3])
    pane = glass[y0:y1, x0:x1].astype(np.float32)
    rows, columns = pane.shape[:2]
    ramp = np.clip(1.2 - np.add.outer(np.arange(rows) / rows, np.arange(columns) / columns), 0, 0.45)[:, :, None]
    glass[y0:y1, x0:x1] = np.clip(pane + (np.array([236, 222, 206]) - pane) * ramp * 0.8, 0, 255).astype(np.uint8)


def house(rng: np.random.Generator, per_m: float) -> tuple[Flat, Flat]:
    """Paint the private house: brick, seven windows, a door."""
    across, down = HOUSE_Z_M, (EAVES_M, 0.0)
    flat = Flat.of(per_m, across, down, (90, 104, 150))
    glow = Flat.of(per_m, across, down, (0, 0, 0))
    bricks(rng, flat, (86, 98, 152))
    flat.rect(*across, 0, 0.5, (150, 158, 164))  # plinth
    flat.rect(*across, 0.5, 0.56, (120, 126, 132))
    flat.rect(*across, 3.35, 3.55, (190, 200, 206))  # string course
    flat.rect(*across, 3.3, 3.35, (110, 116, 122))
    for n, span in enumerate(HOUSE_WINDOWS):
        _window(flat, glow, span, style=(0, 2, 1, 0, 1, 2, 0)[n], lit=n in (0, 2, 4, 6))
    p0, p1, q0, q1 = DOOR
    flat.rect(p0 - 0.2, p1 + 0.2, q0, q1 + 0.55, (200, 208, 212))
    flat.rect(p0, p1, q0 + 0.12, q1 + 0.35, (60, 56, 52))
    flat.rect(p0 + 0.06, p1 - 0.06, q0 + 0.14, q1, (74, 84, 38))
    for a in (p0 + 0.16, (p0 + p1) / 2 + 0.06):
        for b0, b1 in ((0.35, 1.05), (1.25, 2.2)):
            flat.rect(a, a + 0.36, b0, b1, (58, 66, 28))
            flat.rect(a + 0.04, a + 0.36, b0, b1 - 0.04, (86, 96, 46))
    flat.rect(p0 + 0.06, p1 - 0.06, q1 + 0.06, q1 + 0.3, (150, 176, 190))
    glow.rect(p0 + 0.06, p1 - 0.06, q1 + 0.06, q1 + 0.3, shade(WARM, 0.8))
    flat.disc(p1 - 0.16, 1.15, 0.04, 0.04, (90, 190, 220))
    flat.rect(p0 - 0.3, p1 + 0.3, 0, 0.12, (176, 182, 186))
    flat.text("14", p1 + 0.3, 1.75, 0.2, (236, 240, 240))
    flat.rect(across[1] - 0.16, across[1] - 0.05, 0, EAVES_M, (70, 66, 62))  # downpipe
    flat.rect(*across, EAVES_M - 0.35, EAVES_M, (206, 212, 214))
    return flat, glow


# Its neighbours: (z from, z to), paint, kind, pixels per metre at 720 rows.
TERRACE: tuple[tuple[float, float, Bgr, str, float], ...] = (
    (2.0, 8.0, (170, 190, 206), "flats", 120.0),
    (20.0, 29.0, (196, 200, 190), "shop", 70.0),
    (29.0, 39.0, (104, 126, 172), "flats", 36.0),
    (39.0, 51.0, (150, 176, 196), "flats", 36.0),
    (51.0, 75.0, (128, 140, 170), "flats", 36.0),
)


def terrace(rng: np.random.Generator, z: tuple[float, float], tone: Bgr, kind: str, per_m: float) -> tuple[Flat, Flat]:
    """Paint a neighbour of the private house."""
    flat = Flat.of(per_m, z, (EAVES_M, 0.0), tone)
    glow = Flat.of(per_m, z, (EAVES_M, 0.0), (0, 0, 0))
    if tone[2] - tone[0] > 40:  # noqa: PLR2004 - a reddish wall is brick
        bricks(rng, flat, tone)
    else:
        flat.pixels[:] = grain(rng, grain(rng, flat.pixels, 3.0), 4.0, 6)
    ground_floor = 3.3
    count = max(2, int((z[1] - z[0]) / 2.3))
    step = (z[1] - z[0]) / count
    for n in range(count):
        a = z[0] + step * (n + 0.5)
        lit = bool(rng.random() < 0.4)  # noqa: PLR2004 - two windows in five
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


def stand_front(canvas: Pixels, glow: Pixels, view: View, painted: tuple[Flat, Flat], z: tuple[float, float]) -> None:
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
            picture = as_pixels(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
        warp(target, picture, corners)
    brush = Brush(np.zeros((*canvas.shape[:2], 4), np.uint8))
    roof = view.project(
        [
            (x + 0.35, EAVES_M, near),
            (x + 0.35, EAVES_M, z[1]),
            (x - 3, EAVES_M + 3.2, z[1]),
            (x - 3, EAVES_M + 3.2, near),
        ]
    )
    brush.polygon(roof, (112, 104, 112))
    _lay(canvas, brush)


def town_roof(view: View, x0: float, x1: float, z: float, tall: float) -> Floats:
    """Return the outline of the roof of a house of the far town, pixels."""
    top = tall + 2.4
    return view.project([(x0 - 0.4, tall, z), (x1 + 0.4, tall, z), (x1 - 1.5, top, z), (x0 + 1.5, top, z)])


def far_town(canvas: Pixels, glow: Pixels, view: View, rng: np.random.Generator) -> None:
    """Paint the houses across the street and at its end, as flat silhouettes with windows."""
    brush, lights = Brush(np.zeros((*canvas.shape[:2], 4), np.uint8)), Brush(np.zeros((*glow.shape[:2], 4), np.uint8))
    for x0, x1, z, tall, tone in TOWN:
        brush.polygon(view.project([(x0, 0, z), (x1, 0, z), (x1, tall, z), (x0, tall, z)]), tone)
        brush.polygon(town_roof(view, x0, x1, z, tall), (120, 122, 150))
        for u in np.arange(1.2, tall - 1.5, 2.8):
            for a in np.arange(x0 + 0.9, x1 - 1.2, 2.0):
                pane = view.project([(a, u, z), (a + 1.0, u, z), (a + 1.0, u + 1.5, z), (a, u + 1.5, z)])
                brush.polygon(pane, (132, 122, 112))
                if rng.random() < 0.3:  # noqa: PLR2004 - likewise
                    lights.polygon(pane, shade(WARM, 0.75))
    _lay(canvas, brush)
    _lay(glow, lights)


def _lay(canvas: Pixels, brush: Brush) -> None:
    drawn = Sprite(0, 0, brush.canvas).cropped()
    if drawn is not None:
        drawn.lay_over(canvas)
