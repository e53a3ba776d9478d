"""What stands on the street: lamps, trees, the bus stop, the fence and the hedge."""

import math

import numpy as np

from agent.adapters.street.brush import Bgr, Brush, shade
from agent.adapters.street.plan import GARDEN_M, LAMP_HEIGHT_M, SHELTER_M, STOP_SIGN_M
from agent.adapters.street.view import COS_YAW, SIN_YAW, View


def lamp_post(brush: Brush, view: View, x: float, z: float) -> None:
    """Paint a lamp post."""
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


def tree(brush: Brush, view: View, place: tuple[float, float, float], rng: np.random.Generator) -> None:
    """Paint a tree at (x, z, size), leaf by leaf."""
    x, z, size = place
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


def shelter_back(brush: Brush, view: View) -> None:
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


def shelter_front(brush: Brush, view: View) -> None:
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


def stop_sign(brush: Brush, view: View) -> tuple[float, float, float, float]:
    """Paint the bus-stop flag; return left, top, right, bottom of its display."""
    x, z = STOP_SIGN_M
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


def fence(brush: Brush, view: View) -> None:
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


def hedge(
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
