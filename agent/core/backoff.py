"""How long to wait before trying again: exponential back-off with full jitter.

Full jitter (a uniform draw from zero to the exponential bound) because a city's
cameras fail together, when a switch or the power returns; without it they all
try again in the same instant. Marc Brooker, "Exponential Backoff And Jitter",
AWS Architecture Blog, 2015, measures it against the alternatives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

_DOUBLINGS = 16  # 65,536 times any sensible first wait is past the longest; more would only overflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The bounds of the wait.

    Attributes:
        first: Longest wait before the first retry.
        most: Longest wait before any retry.
    """

    first: timedelta = timedelta(seconds=1)
    most: timedelta = timedelta(seconds=30)

    def delay(self, failures: int, uniform: Callable[[], float]) -> timedelta:
        """Return how long to wait after `failures` failures in a row.

        Args:
            failures: At least 1.
            uniform: Returns a number from 0 to 1, such as `random.random`.
        """
        doublings = min(failures - 1, _DOUBLINGS)
        return min(self.first * (1 << doublings), self.most) * uniform()
