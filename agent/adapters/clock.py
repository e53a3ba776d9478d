"""The one clock: wall time, monotonic time, and whether the kernel calls them disciplined."""

import ctypes
import threading
import time
from datetime import UTC, datetime, timedelta

from agent.core.policy.clock import ClockQuality

TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
# Once: each library that is opened, and each array type, is a class, and this is asked several times a second.
_libc = ctypes.CDLL(None, use_errno=True)
_Timex = ctypes.c_char * 256  # struct timex is 208 bytes on 64-bit Linux; adjtimex only needs modes = 0 in it


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall clock as aware UTC."""
        return datetime.now(UTC)

    def monotonic_us(self) -> int:
        """Return CLOCK_MONOTONIC in microseconds."""
        return time.monotonic_ns() // 1000

    def quality(self) -> ClockQuality:
        """Return SYNCHRONISED while the kernel says that NTP disciplines the clock."""
        state = _libc.adjtimex(_Timex())
        return ClockQuality.SYNCHRONISED if 0 <= state < TIME_ERROR else ClockQuality.UNKNOWN

    def wait(self, duration: timedelta) -> None:
        """Block for `duration`."""
        threading.Event().wait(duration.total_seconds())
