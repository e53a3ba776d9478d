"""The policy's decision, narrowed by what this device cannot do right now.

A full disk, a codec that failed, a picture larger than the grant allows: each ends
in the same place as a missing grant, a dark decision with a reason in words, so
that the pipeline knows one way of not recording and the status one way of telling.
A failure is tried again after a back-off; the schedule runs on the frames' own time.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from agent.core.backoff import Backoff
from agent.core.policy.decision import Decision
from agent.core.video import StreamMode
from agent.errors import LamppostError

_FORGIVEN_AFTER_US = 60_000_000  # a minute of recording without failure starts the back-off anew


class Narrowing:
    """Answers what may be recorded of one frame.

    Args:
        decision_now: The policy's answer; cheap, called once a frame.
        uniform: Random source of the back-off, 0 to 1.
    """

    def __init__(self, decision_now: Callable[[], Decision], uniform: Callable[[], float] = random.random) -> None:
        self._decision_now = decision_now
        self._uniform = uniform
        self._backoff = Backoff()
        self._failures = 0
        self._failed_at_us = 0
        self._retry_at_us = 0
        self._failure = ""
        self._block = ""
        self._cached: tuple[Decision, str, Decision] | None = None
        self._latest: Decision | None = None

    def policy(self) -> Decision:
        """Return what the policy permits, whatever the device can do."""
        return self._decision_now()

    def latest(self) -> Decision:
        """Return the decision of the latest frame; the policy's while there was none."""
        policy = self._decision_now()
        if self._latest is None or not policy.recording:
            return policy
        return self._latest

    def block(self, reason: str) -> None:
        """Record nothing for `reason` until called with an empty one."""
        self._block = reason

    def decide(self, mode: StreamMode, pts_us: int) -> Decision:
        """Return the decision that a frame of `mode` captured at `pts_us` is recorded under."""
        decision = self._latest = self._decision_now()
        if not decision.recording:
            return decision
        obstacle = self._obstacle(decision, mode, pts_us)
        if not obstacle:
            return decision
        if self._cached is None or self._cached[0] is not decision or self._cached[1] != obstacle:
            self._cached = (decision, obstacle, replace(decision, recording=False, reason=obstacle))
        self._latest = self._cached[2]
        return self._latest

    def failed(self, error: LamppostError, pts_us: int) -> None:
        """Take note that recording failed at `pts_us`: no frame is recorded until the back-off is over."""
        if pts_us - self._failed_at_us > _FORGIVEN_AFTER_US:
            self._failures = 0
        self._failures += 1
        self._failed_at_us = pts_us
        wait = self._backoff.delay(self._failures, self._uniform)
        self._retry_at_us = pts_us + round(wait.total_seconds() * 1_000_000)
        self._failure = f"permitted, but not possible: {error}"

    @property
    def failing(self) -> bool:
        """Whether a failure is waited out; True until the next frame is tried."""
        return bool(self._failure)

    def _obstacle(self, decision: Decision, mode: StreamMode, pts_us: int) -> str:
        if mode.size.height_px > decision.max_height_px:
            return f"the camera delivers {mode.size.height_px} lines, the grant allows {decision.max_height_px}"
        if self._block:
            return self._block
        if decision.max_rate_hz < 1:
            return "the grant allows no frames at all"
        if self._failure and pts_us < self._retry_at_us:
            return self._failure
        self._failure = ""
        return ""
