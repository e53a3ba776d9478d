"""A bicycle, and how somebody sits on it: joints in metres on the body's axes of `street.figures`.

The rider is the person's; the bicycle under them belongs to the same figure, so what is true of its pixels is
true of theirs: somebody who is hidden and leaves a bicycle is not hidden.
"""

import math
from collections.abc import Callable
from itertools import pairwise

from agent.adapters.street.brush import Bgr

Joint = tuple[float, float, float]  # r, f, u in metres
Limb = Callable[[Joint, Joint, tuple[float, float], Bgr], None]

_WHEEL_M = 0.34
_REAR_M, _FRONT_M = -0.5, 0.53
_CRANK: Joint = (0.0, -0.02, 0.29)
_CRANK_M = 0.17
_SADDLE: Joint = (0.0, -0.22, 0.93)
_STEM: Joint = (0.0, 0.38, 0.92)
_GEAR_M = 5.2  # along the road for one turn of the cranks
_THIGH_M, _SHIN_M = 0.43, 0.44
_SPOKES = 20
_RUBBER: Bgr = (40, 40, 42)

HIPS: tuple[Joint, Joint] = ((-0.1, -0.2, 0.98), (0.1, -0.2, 0.98))
SHOULDERS: tuple[Joint, Joint] = ((-0.195, 0.06, 1.46), (0.195, 0.06, 1.46))
HANDS: tuple[Joint, Joint] = ((-0.27, 0.4, 1.06), (0.27, 0.4, 1.06))
ELBOWS: tuple[Joint, Joint] = ((-0.27, 0.2, 1.22), (0.27, 0.2, 1.22))
NECK: Joint = (0.0, 0.08, 1.5)
HEAD: Joint = (0.0, 0.14, 1.67)


def pedalling(side: int, travelled_m: float) -> tuple[Joint, Joint, Joint]:
    """Return knee, ankle and toe of the left (0) or right (1) leg after `travelled_m` on the road."""
    angle = -2 * math.pi * travelled_m / _GEAR_M + side * math.pi
    across = (-1.0, 1.0)[side] * 0.1
    ankle_f = _CRANK[1] + _CRANK_M * math.cos(angle) - 0.06
    ankle_u = _CRANK[2] + _CRANK_M * math.sin(angle) + 0.08
    _, hip_f, hip_u = HIPS[side]
    # The knee is where thigh and shin meet, ahead of the line from hip to ankle.
    df, du = ankle_f - hip_f, ankle_u - hip_u
    apart = min(math.hypot(df, du), _THIGH_M + _SHIN_M - 0.01)
    along = (apart**2 + _THIGH_M**2 - _SHIN_M**2) / (2 * apart)
    out = math.sqrt(max(_THIGH_M**2 - along**2, 0.0))
    knee = (across, hip_f + (df * along - du * out) / apart, hip_u + (du * along + df * out) / apart)
    return knee, (across, ankle_f, ankle_u), (across, ankle_f + 0.17, ankle_u - 0.05)


def draw_bicycle(limb: Limb, colour: Bgr) -> None:
    """Draw wheels, frame and handlebar, limb by limb."""
    for middle in (_REAR_M, _FRONT_M):
        rim = [
            (0.0, middle + _WHEEL_M * math.cos(a), _WHEEL_M + _WHEEL_M * math.sin(a))
            for a in (2 * math.pi * n / _SPOKES for n in range(_SPOKES + 1))
        ]
        for a, b in pairwise(rim):
            limb(a, b, (0.05, 0.05), _RUBBER)
    rear, front = (0.0, _REAR_M, _WHEEL_M), (0.0, _FRONT_M, _WHEEL_M)
    for a, b in (
        (_CRANK, _SADDLE),
        (_CRANK, _STEM),
        (_SADDLE, _STEM),
        (_CRANK, rear),
        (_SADDLE, rear),
        (_STEM, front),
    ):
        limb(a, b, (0.045, 0.04), colour)
    limb((0.0, _SADDLE[1] - 0.12, 0.97), (0.0, _SADDLE[1] + 0.12, 0.97), (0.1, 0.06), _RUBBER)
    limb(HANDS[0], HANDS[1], (0.04, 0.04), _RUBBER)
