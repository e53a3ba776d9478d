"""A strip at the foot of the picture with the camera's name and the time, if a configuration asks for one.

The strip is a mask that something is written on: whole macroblocks are filled first, so
nothing of the scene shows between the letters. OpenCV's built-in font draws them, once a
second; within a second the same picture is copied.
"""

from datetime import datetime

import cv2
import numpy as np

from agent.core.masking.blocks import FILL_U, FILL_V, FILL_Y
from agent.core.video import I420, MACROBLOCK_PX, Plane

_INK_Y = 220
_MARGIN_PX = 8
_TEXT_PX = 13  # fits a strip of one macroblock


class Caption:
    """Writes `camera_id` and the capture time, to the second, UTC."""

    def __init__(self, camera_id: str) -> None:
        self._camera_id = camera_id
        self._drawn: tuple[str, Plane] | None = None

    def __call__(self, pixels: I420, captured_at: datetime) -> None:
        """Fill the lowest whole macroblock row of `pixels` and write on it, in place."""
        height, width = pixels.y.shape
        top = height // MACROBLOCK_PX * MACROBLOCK_PX - MACROBLOCK_PX
        words = f"{self._camera_id}  {captured_at:%Y-%m-%d %H:%M:%S} UTC"
        if self._drawn is None or self._drawn[0] != words or self._drawn[1].shape[1] != width:
            self._drawn = (words, _strip(words, width))
        pixels.y[top : top + MACROBLOCK_PX] = self._drawn[1]
        for plane, fill in ((pixels.u, FILL_U), (pixels.v, FILL_V)):
            plane[top // 2 : (top + MACROBLOCK_PX) // 2] = fill


def _strip(words: str, width: int) -> Plane:
    strip: Plane = np.full((MACROBLOCK_PX, width, 3), FILL_Y, np.uint8)
    ink = (_INK_Y, _INK_Y, _INK_Y)
    cv2.putText(strip, words, (_MARGIN_PX, MACROBLOCK_PX - 4), ink, cv2.FontFace("sans"), _TEXT_PX, 500)
    return np.ascontiguousarray(strip[..., 0])
