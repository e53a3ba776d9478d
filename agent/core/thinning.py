"""Keep at most so many frames a second, evenly spread.

A grant caps the rate; the camera may deliver more. Pure: the frames' own `pts_us`
are the only time.
"""

_SECOND_US = 1_000_000
_EARLY_RATIO = 0.25  # sensor jitter: a frame a quarter of a period early is the frame that was due


class Thinning:
    """Chooses which frames of one stream are kept."""

    def __init__(self) -> None:
        self._due_us: float | None = None

    def keeps(self, pts_us: int, *, rate_hz: int) -> bool:
        """Return whether the frame captured at `pts_us` is one of at most `rate_hz` a second."""
        period_us = _SECOND_US / rate_hz
        if self._due_us is None:
            self._due_us = float(pts_us)
        if pts_us < self._due_us - period_us * _EARLY_RATIO:
            return False
        # The next due time follows the schedule; after a gap it starts anew, so that no burst makes up for it.
        self._due_us = max(self._due_us, pts_us - period_us) + period_us
        return True
