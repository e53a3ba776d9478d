"""Daylight, lamplight, shade, wet ground, and the sky they come from."""

import cv2
import numpy as np

from agent.adapters.street.brush import Bgr, Pixels, as_pixels
from agent.adapters.street.flat import Floats32
from agent.adapters.street.furniture import lamp_head
from agent.adapters.street.plan import FACADE_X_M, GROUND_WINDOWS, LAMPS_M
from agent.adapters.street.scenario import Conditions
from agent.adapters.street.view import CAMERA_HEIGHT_M, COS_YAW, SIN_YAW, View
from agent.core.video import FrameSize

_LEVEL = 1e-3  # a ray this close to parallel meets nothing
_FAR_M = 400.0


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
        for z0, z1, u0, _ in GROUND_WINDOWS[::2]:  # light from the windows falls on the pavement
            reach = np.exp(-((x_m - FACADE_X_M - 0.8) ** 2 / 2.4 + (z_m - (z0 + z1) / 2) ** 2 / 1.6 + u0 * 0 + y_m**2))
            light += reach[:, :, None] * np.array([0.16, 0.3, 0.4], np.float32)
        return light


def sky(size: FrameSize, rng: np.random.Generator, conditions: Conditions) -> Pixels:
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
        clouds += np.asarray(
            cv2.resize(cells, (columns, rows), interpolation=cv2.INTER_CUBIC) / 1.8**octave, np.float32
        )
    cover = np.clip(clouds * 0.75 + (0.6 if conditions.rain else 0.22), 0, 1)[:, :, None]
    tint = 34.0 if conditions.night else 250.0
    sky += (np.array([tint * 1.2, tint, tint]) - sky) * cover * (0.3 if conditions.rain or conditions.night else 0.75)
    return as_pixels(np.clip(sky, 0, 255).astype(np.uint8))


def surfaces(size: FrameSize) -> tuple[Floats32, Floats32, Floats32]:
    """Return x, z, y in metres of the surface that each pixel shows: ground, or the houses' fronts."""
    view = View.of(size)
    columns, rows = np.meshgrid(np.arange(size.width_px, dtype=np.float32), np.arange(size.height_px, dtype=np.float32))
    across = (columns - view.width_px / 2) / view.focal_px
    down = (rows - view.horizon_px) / view.focal_px
    dx, dz = across * COS_YAW - SIN_YAW, across * SIN_YAW + COS_YAW  # world direction for one metre of depth
    ground = np.where(down > _LEVEL, CAMERA_HEIGHT_M / np.maximum(down, _LEVEL), _FAR_M)
    wall = np.where(dx < -_LEVEL, FACADE_X_M / np.minimum(dx, -_LEVEL), _FAR_M)
    depth = np.minimum(np.minimum(ground, wall), _FAR_M)
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


def light_cones(frame: Floats32, view: View) -> None:
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


def sunlit(picture: Floats32, size: FrameSize) -> Floats32:
    """Darken what lies in the houses' shade and where walls meet the ground."""
    x, z, y = surfaces(size)
    ground = (y < 0.02) & (x > FACADE_X_M + 0.03)  # noqa: PLR2004 - both with room for rounding
    near_wall = np.exp(-np.maximum(x - FACADE_X_M, 0) / 0.5) * ground
    low_wall = np.exp(-np.maximum(y, 0) / 0.6) * ~ground
    shade_edge = 1 / (1 + np.exp(np.clip((x + 7.3) / 0.12, -30, 30)))  # the shadow of the eaves on the pavement
    haze = np.clip((z - 25) / 160, 0, 0.42)[:, :, None]
    factor = 1 - 0.28 * near_wall - 0.18 * low_wall - 0.22 * shade_edge * ground
    lit = picture * factor[:, :, None]
    horizon = int(View.of(size).horizon_px)
    haze *= np.clip((np.arange(size.height_px) / horizon - 0.25) * 1.5, 0, 1)[:, None, None]
    return np.asarray(lit + (np.array([232, 222, 208], np.float32) - lit) * haze * 0.6, np.float32)


def wetted(picture: Floats32, size: FrameSize) -> Floats32:
    """Mirror the street faintly in its wet ground."""
    horizon = int(View.of(size).horizon_px)
    rows = size.height_px - horizon
    mirror = cv2.flip(picture[: horizon + 1], 0)
    mirror = cv2.resize(mirror, (size.width_px, rows), interpolation=cv2.INTER_LINEAR)
    mirror = cv2.blur(mirror, (3, max(rows // 14, 3)))
    x, _, y = surfaces(size)
    ground = ((y < 0.02) & (x > FACADE_X_M + 0.02))[horizon:, :, None]  # noqa: PLR2004 - room for rounding
    wet = picture.copy()
    wet[horizon:] += (mirror * 0.9 - wet[horizon:]) * 0.24 * ground
    return wet
