"""Sign the log now and then, so that a witness can vouch for what happened until a moment ago.

A checkpoint for each leaf would cost the card two syncs more a leaf and prove little more: a
witness asks about this often.
"""

import logging
from typing import Protocol

from agent.errors import LogError, StorageError
from agent.ports import Clock

_log = logging.getLogger(__name__)

PUBLISH_EVERY_US = 10_000_000  # a segment's length


class SignedLog(Protocol):
    """A log that can sign what it is."""

    def publish(self) -> bool:
        """Sign the log as it is; return whether there was something new to sign."""
        ...


class Publisher:
    """Publishes what is due. Its failures stop nothing: the leaves are on the disk, and are signed for later."""

    def __init__(self, log: SignedLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._due_us = 0

    def tick(self) -> None:
        """Publish if it is time. A call when it is not costs one look at the clock."""
        now_us = self._clock.monotonic_us()
        if now_us >= self._due_us:
            self._due_us = now_us + PUBLISH_EVERY_US
            self.publish()

    def publish(self) -> None:
        """Publish now."""
        try:
            self._log.publish()
        except (LogError, StorageError) as error:
            _log.error("the log is not signed: %s", error)
