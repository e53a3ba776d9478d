"""A clock that moves only when a test moves it."""

import threading
from datetime import UTC, datetime, timedelta

from agent.core.policy.clock import ClockQuality

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """Implements `ports.Clock`; safe to use from several threads.

    Attributes:
        waits: Every duration that `wait` was asked for, in order.
    """

    def __init__(
        self,
        now: datetime = NOON,
        *,
        monotonic_us: int = 1_000_000,
        quality: ClockQuality = ClockQuality.SYNCHRONISED,
    ) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._monotonic_us = monotonic_us
        self._quality = quality
        self.waits: list[timedelta] = []

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def monotonic_us(self) -> int:
        with self._lock:
            return self._monotonic_us

    def quality(self) -> ClockQuality:
        with self._lock:
            return self._quality

    def wait(self, duration: timedelta) -> None:
        """Return at once, with `duration` gone by."""
        with self._lock:
            self.waits.append(duration)
        self.advance(duration)

    def advance(self, duration: timedelta) -> None:
        """Let time pass on both clocks."""
        with self._lock:
            self._now += duration
            self._monotonic_us += duration // timedelta(microseconds=1)

    def step(self, duration: timedelta) -> None:
        """Move the wall clock alone, as NTP or a person does; may be negative."""
        with self._lock:
            self._now += duration

    def become(self, quality: ClockQuality) -> None:
        with self._lock:
            self._quality = quality
