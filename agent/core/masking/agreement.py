"""Whether the small analysis plane changes where the frame changes.

Everything the people mask knows it knows from the analysis plane. One that is frozen, or comes
from another instant, would put the mask where people were. Sixteen lines of the frame are
reduced here as the analysis plane was, and what changed in them since the frame before must
have changed in the plane too. A lag of one frame is too small to tell and too small to
matter: the mask is grown and held by more than a person walks in it.

Pure.
"""

import numpy as np
from numpy.typing import NDArray

from agent.core.masking.cells import AnalysisMismatchError, Raster
from agent.core.video import Plane

LINES = 16
_FRAME_CHANGED, _PLANE_CHANGED = 16, 6  # luma steps: what is plain in one must at least be visible in the other
_LEAST_PIXELS = 12  # of all lines together; fewer are noise
_UNSEEN_RATIO = 0.5
DISTRUST_US = 1_000_000

Lines = NDArray[np.int16]


class Agreement:
    """Compares the changes of frame and plane, from frame to frame."""

    def __init__(self) -> None:
        self._before: tuple[Lines, Lines] | None = None
        self._distrusted_at_us: int | None = None

    def check(self, luma: Plane, analysis: Plane, raster: Raster, pts_us: int) -> None:
        """Return if the two agree, and have for a second.

        Args:
            luma: Of the frame, (height, width) uint8.
            analysis: Its reduction.
            raster: How one lies over the other.
            pts_us: Instant of the frame.

        Raises:
            AnalysisMismatchError: They do not.
        """
        lines = np.linspace(0, analysis.shape[0] - 1, LINES).astype(np.intp)
        now = _reduced(luma, lines, raster.factor, analysis.shape[1]), analysis[lines].astype(np.int16)
        before, self._before = self._before, now
        if before is not None and before[0].shape == now[0].shape:
            frame_changed = np.abs(now[0] - before[0]) > _FRAME_CHANGED
            plane_changed = np.abs(now[1] - before[1]) > _PLANE_CHANGED
            plane_changed[:, 1:] |= plane_changed[:, :-1].copy()
            plane_changed[:, :-1] |= plane_changed[:, 1:].copy()
            changed = int(frame_changed.sum())
            unseen = int((frame_changed & ~plane_changed).sum())
            if changed >= _LEAST_PIXELS and unseen > _UNSEEN_RATIO * changed:
                self._distrusted_at_us = pts_us
        if self._distrusted_at_us is not None:
            if pts_us - self._distrusted_at_us <= DISTRUST_US:
                raise AnalysisMismatchError("the analysis plane does not follow the picture")
            self._distrusted_at_us = None


def _reduced(luma: Plane, lines: NDArray[np.intp], factor: int, width: int) -> Lines:
    total = luma[lines * factor, : width * factor].astype(np.uint16)
    for offset in range(1, factor):
        total += luma[lines * factor + offset, : width * factor]
    sums = total[:, ::factor].copy()
    for offset in range(1, factor):
        sums += total[:, offset::factor]
    sums //= np.uint16(factor * factor)
    return sums.astype(np.int16)
