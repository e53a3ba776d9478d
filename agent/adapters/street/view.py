"""The pole camera's geometry: metres on the street to pixels in the frame.

World axes: x to the right across the street, y up, z along it, in metres; the
camera hangs at x = z = 0. Its lens is shifted, not tilted, so that verticals stay
vertical and an upright figure is scaled by its depth alone. *Depth* is the distance
in metres along the optical axis.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.core.video import FrameSize

Floats = NDArray[np.float64]

CAMERA_HEIGHT_M = 3.3
YAW = math.radians(12.0)  # to the left, towards the houses
COS_YAW, SIN_YAW = math.cos(YAW), math.sin(YAW)
FOCAL_RATIO = 1.36  # of the frame's height: about 66 degrees across at 16:9
HORIZON_RATIO = 0.285
NEAR_M = 0.5  # anything closer is behind the glass


@dataclass(frozen=True, slots=True)
class View:
    """The projection for one frame size, in pixels of that size."""

    width_px: float
    height_px: float

    @classmethod
    def of(cls, size: FrameSize, supersample: int = 1) -> "View":
        """Return the view for frames of `size`, drawn `supersample` times as large."""
        return cls(float(size.width_px * supersample), float(size.height_px * supersample))

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return FOCAL_RATIO * self.height_px

    @property
    def horizon_px(self) -> float:
        """The row of the horizon."""
        return HORIZON_RATIO * self.height_px

    def scale(self, x_m: float, z_m: float) -> float:
        """Return pixels per metre for what stands at (x, z)."""
        return self.focal_px / max(depth_of(x_m, z_m), NEAR_M)

    def pixel(self, x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
        """Return the pixel of one world point; as `project`, and much cheaper for a few points."""
        depth = max(z_m * COS_YAW - x_m * SIN_YAW, NEAR_M)
        across = (x_m * COS_YAW + z_m * SIN_YAW) / depth
        focal = self.focal_px
        return self.width_px / 2 + focal * across, self.horizon_px + focal * (CAMERA_HEIGHT_M - y_m) / depth

    def project(self, points_m: object) -> Floats:
        """Return pixels, (n, 2), of world points, (n, 3)."""
        x, y, z = np.asarray(points_m, np.float64).reshape(-1, 3).T
        depth = np.maximum(z * COS_YAW - x * SIN_YAW, NEAR_M)
        across = (x * COS_YAW + z * SIN_YAW) / depth
        pixels = np.empty((len(depth), 2))
        pixels[:, 0] = self.width_px / 2 + self.focal_px * across
        pixels[:, 1] = self.horizon_px + self.focal_px * (CAMERA_HEIGHT_M - y) / depth
        return pixels


def depth_of(x_m: float, z_m: float) -> float:
    """Return the depth of what stands at (x, z)."""
    return z_m * COS_YAW - x_m * SIN_YAW
