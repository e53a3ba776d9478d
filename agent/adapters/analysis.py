"""The small luma plane that motion and detection look at, where the camera gives none itself."""

import cv2
import numpy as np

from agent.core.video import FrameSize, Plane

# A quarter of 1080p: a person at 40 m still covers some ten pixels, and a look costs a sixteenth.
ANALYSIS_MOST = FrameSize(480, 270)


def shrink(y: Plane) -> Plane:
    """Return `y` within `ANALYSIS_MOST`, of the same aspect, averaged by area.

    Args:
        y: Luma, (height, width) uint8; a small one comes back as a copy, because the
            masker writes into the original.
    """
    height, width = y.shape
    ratio = max(width / ANALYSIS_MOST.width_px, height / ANALYSIS_MOST.height_px)
    if ratio <= 1:
        return y.copy()
    size = (max(1, round(width / ratio)), max(1, round(height / ratio)))
    return np.asarray(cv2.resize(y, size, interpolation=cv2.INTER_AREA), np.uint8)
