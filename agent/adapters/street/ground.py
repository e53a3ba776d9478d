"""The ground: asphalt, the bus lane, kerbs, paving, and the garden."""

import math

import cv2
import numpy as np

from agent.adapters.street.brush import Bgr, shade
from agent.adapters.street.flat import Flat, grain
from agent.adapters.street.plan import GARDEN_M
from agent.adapters.street.scenario import BUS_LANE_RIGHT_M, KERB_LEFT_M, KERB_RIGHT_M, PAVEMENT_RIGHT_M


def ground(rng: np.random.Generator, z: tuple[float, float], right: float, per_m: float) -> Flat:
    """Paint one stretch of the ground, p = x, q = z."""
    flat = Flat.of(per_m, (-10.0, right), (z[1], z[0]), (108, 106, 104))
    flat.pixels[:] = grain(rng, grain(rng, flat.pixels, 7.0), 5.0, 5)
    # Bus lane: worn red asphalt.
    lane = Flat.of(per_m, (KERB_LEFT_M, BUS_LANE_RIGHT_M), (z[1], z[0]), (88, 92, 142))
    lane.pixels[:] = grain(rng, grain(rng, lane.pixels, 7.0), 6.0, 7)
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


def _lane_lettering(flat: Flat, at: float, paint: Bgr) -> None:
    """Paint BUS on the lane, stretched along it as road lettering is."""
    picture = np.zeros((64, 150), np.uint8)
    cv2.putText(picture, "BUS", (8, 54), cv2.FONT_HERSHEY_DUPLEX, 2.1, 255, 8, cv2.LINE_AA)
    size = (round(2.3 * flat.per_m), round(2.6 * flat.per_m))
    # Seen by a driver who comes towards the camera it would stand on its head; it is for those who drive away.
    stencil = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    x, y = flat.xy(-3.85, at + 2.6)
    rows = slice(max(y, 0), min(y + size[1], flat.pixels.shape[0]))
    if rows.start >= rows.stop:
        return
    cover = stencil[rows.start - y : rows.stop - y, :, None].astype(np.float32) / 255 * 0.85
    under = flat.pixels[rows, x : x + size[0]].astype(np.float32)
    flat.pixels[rows, x : x + size[0]] = (under + (np.array(paint) - under) * cover).astype(np.uint8)


def _slabs(rng: np.random.Generator, flat: Flat, x0: float, x1: float, z: tuple[float, float]) -> None:
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
    y0, y1 = flat.xy(0, z[1])[1], flat.xy(0, z[0])[1]
    c0, c1 = flat.xy(x0, 0)[0], flat.xy(x1, 0)[0]
    c0, c1 = max(c0, 0), min(c1, flat.pixels.shape[1])
    flat.pixels[y0:y1, c0:c1] = grain(rng, flat.pixels[y0:y1, c0:c1], 4.0)


def _lawn(rng: np.random.Generator, flat: Flat, z: tuple[float, float]) -> None:
    x0 = PAVEMENT_RIGHT_M + 0.4
    a = flat.xy(x0, 0)[0]
    if a >= flat.pixels.shape[1]:
        return
    lawn = np.full((flat.pixels.shape[0], flat.pixels.shape[1] - a, 3), (62, 116, 92), np.uint8)
    flat.pixels[:, a:] = grain(rng, grain(rng, lawn, 13.0), 9.0, 4)
    (_, g0), (_, g1) = GARDEN_M
    for n in range(4):  # flower beds
        at = g0 + 1.5 + n * (g1 - g0) / 4
        if z[0] <= at <= z[1]:
            flat.disc(x0 + 2.4, at, 0.9, 0.6, (48, 66, 84))
            for _ in range(40):
                p, q = rng.normal(x0 + 2.4, 0.45), rng.normal(at, 0.3)
                colour = ((90, 90, 226), (226, 226, 236), (70, 200, 240), (190, 90, 190))[int(rng.integers(4))]
                flat.disc(float(p), float(q), 0.07, 0.07, colour)
