"""Where everything on the street stands, in metres, and what of it is private."""

from agent.adapters.street.brush import Bgr
from agent.adapters.street.scenario import KERB_LEFT_M, PAVEMENT_LEFT_M, PAVEMENT_RIGHT_M
from agent.adapters.street.view import View
from agent.core.video import FrameSize
from agent.core.zones import Zone

FACADE_X_M = PAVEMENT_LEFT_M


HOUSE_Z_M = (8.0, 20.0)  # the private house, No. 14


EAVES_M = 8.6


GARDEN_M = ((PAVEMENT_RIGHT_M + 0.5, 19.0), (14.5, 34.0))  # (x, z) corners of the private garden


LAMPS_M = ((-4.9, 12.2), (-4.9, 26.0), (-4.9, 42.0), (5.3, 19.5), (5.3, 36.0))


LAMP_HEIGHT_M = 5.6


TREES_M = ((5.75, 12.6, 0.92), (6.9, 29.5, 1.2), (6.0, 44.0, 1.2), (-5.3, 33.0, 1.0), (-5.3, 48.0, 1.0))


STOP_SIGN_M = (KERB_LEFT_M - 0.55, 15.3)
SHELTER_M = (-6.5, 17.0, 20.4)  # back wall x, from z, to z


SUN_SHADOW = (0.62, 0.30)  # metres of shadow, (x, z), per metre of height


WARM: Bgr = (120, 205, 255)


# Windows of the private house: (z from, z to, u from, u to).
GROUND_WINDOWS = ((10.0, 11.7, 0.95, 2.75), (12.5, 14.2, 0.95, 2.75), (16.6, 18.9, 0.95, 2.75))


UPPER_WINDOWS = ((10.0, 11.7, 4.2, 6.0), (12.5, 14.2, 4.2, 6.0), (14.9, 16.1, 4.2, 6.0), (17.0, 18.7, 4.2, 6.0))


HOUSE_WINDOWS = (*GROUND_WINDOWS, *UPPER_WINDOWS)


DOOR = (14.75, 15.95, 0.0, 2.45)


# Houses across the street and at its end: (x from, x to, z, height), paint.
TOWN: tuple[tuple[float, float, float, float, Bgr], ...] = (
    (-12, -4, 118, 11, (190, 176, 166)),
    (-5, 3, 112, 14, (176, 168, 164)),
    (2, 10, 108, 10, (186, 180, 172)),
    (9, 20, 96, 12, (160, 164, 176)),
    (17, 30, 80, 10, (150, 160, 180)),
    (26, 40, 64, 9, (150, 158, 176)),
)


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

    first, second, third = GROUND_WINDOWS
    left, *_, right = UPPER_WINDOWS
    (gx, g0), (_, g1) = GARDEN_M
    return (
        _zone("ground-floor windows of No. 14", front(first[0] - 0.2, second[1] + 0.2, 0.75, 3.0)),
        _zone("window beside the door of No. 14", front(third[0] - 0.2, third[1] + 0.2, 0.75, 3.0)),
        _zone("upper windows of No. 14", front(left[0] - 0.2, right[1] + 0.2, 4.0, 6.3)),
        _zone("garden of No. 17", [(gx, 0, g0), (gx, 0, g1), (gx, 2.3, g1), (16, 2.3, g1), (16, 0, g0)]),
    )


PRIVATE_ZONES = _private_zones()
