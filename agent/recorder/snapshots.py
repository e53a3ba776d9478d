"""One picture on request: the next frame that may be stored gets a segment of its own.

Whoever asks gains nothing by it. The frame was going to be stored: it is judged, masked and
sealed by the same lines as every other, and lies in the ring as every other. While the
decision is dark there is no such frame, and the answer is the decision's reason.

It costs the end of one segment and the beginning of another, so it is not done often,
however often it is asked for.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.adapters.snapshot_files import put_answer, take_request
from agent.core.messages.commands import Outcome, Refusal, SnapshotResult
from agent.core.messages.snapshot import SnapshotAnswer, SnapshotRequest
from agent.core.retention import StoredSegment
from agent.errors import LamppostError, MessageFormatError, StorageError
from agent.ports import Clock, EventLog

LOOK_EVERY_US = 100_000
AT_MOST_EVERY_US = 10_000_000  # a segment's length: twice as many segments, at worst
PAUSE_US = 1_000_000  # after a request, whatever it was: each answer is a sync on the pipeline's thread

_log = logging.getLogger(__name__)


class SnapshotTaker(Protocol):
    """What the pipeline asks and tells about single pictures."""

    def begins(self, pts_us: int) -> bool:
        """Return whether the frame captured at `pts_us`, which will be stored, is to have a segment of its own."""
        ...

    def dark(self, reason: str) -> None:
        """Take note that the frame of this moment may not be stored."""
        ...

    def stored(self, began_us: int, segment: StoredSegment, digest: str) -> None:
        """Take note that the segment whose first frame was captured at `began_us` is on the disk."""
        ...

    def failed(self, began_us: int, error: LamppostError) -> None:
        """Take note that it could not be stored."""
        ...


class NobodyAsks:
    """The `SnapshotTaker` of a recorder that has no link."""

    def begins(self, pts_us: int) -> bool:  # noqa: ARG002 - the protocol's
        """Return False."""
        return False

    def dark(self, reason: str) -> None:
        """Ignore it."""

    def stored(self, began_us: int, segment: StoredSegment, digest: str) -> None:
        """Ignore it."""

    def failed(self, began_us: int, error: LamppostError) -> None:
        """Ignore it."""


@dataclass(slots=True)
class _Asked:
    """A request, and the capture time of the frame that was chosen for it."""

    request: SnapshotRequest
    pts_us: int | None = None


class Snapshots:
    """Answers one request at a time. For the pipeline's thread.

    Args:
        inbox: Where requests come; must exist.
        outbox: Where answers go; must exist.
        clock: Both clocks.
        log: Where each picture that was taken on request is recorded.
    """

    def __init__(self, inbox: Path, outbox: Path, clock: Clock, log: EventLog) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._clock = clock
        self._log = log
        self._asked: _Asked | None = None
        self._look_us = 0
        self._free_us = 0  # when the next picture may be taken

    def tick(self) -> None:
        """Look for a request if it is time. A call when it is not costs one look at the clock."""
        now_us = self._clock.monotonic_us()
        if now_us < self._look_us:
            return
        self._look_us = now_us + LOOK_EVERY_US
        if self._asked is not None and self._clock.now() >= self._asked.request.until:
            self._answer(Outcome.FAILED, reason="the camera delivered no picture in time")
        if self._asked is None:
            self._take(now_us)

    def begins(self, pts_us: int) -> bool:
        """Return whether this frame is the one that was asked for."""
        if self._asked is None or self._asked.pts_us is not None:
            return False
        self._asked.pts_us = pts_us
        self._free_us = self._clock.monotonic_us() + AT_MOST_EVERY_US
        return True

    def dark(self, reason: str) -> None:
        """Refuse what was asked, unless its frame was chosen before."""
        if self._asked is not None and self._asked.pts_us is None:
            self._answer(Outcome.REFUSED, refusal=Refusal.DARK, reason=reason)

    def stored(self, began_us: int, segment: StoredSegment, digest: str) -> None:
        """Answer if this is the segment that was asked for."""
        if self._asked is None or self._asked.pts_us != began_us:
            return
        file = segment.path.rpartition("/")[2]
        self._record(self._asked.request, file)
        self._answer(Outcome.DONE, result=SnapshotResult(file=file, size_bytes=segment.size_bytes, digest=digest))

    def failed(self, began_us: int, error: LamppostError) -> None:
        """Answer if this would have been the segment that was asked for."""
        if self._asked is not None and self._asked.pts_us == began_us:
            self._answer(Outcome.FAILED, reason=str(error))

    def _take(self, now_us: int) -> None:
        try:
            request = take_request(self._inbox)
        except (MessageFormatError, StorageError) as error:
            self._look_us = now_us + AT_MOST_EVERY_US
            _log.warning("a request for a picture that is none: %s", error)
            return
        if request is None:
            return
        self._look_us = now_us + PAUSE_US
        if self._clock.now() >= request.until:  # it lay there while we were off; nobody waits any more
            return
        self._asked = _Asked(request)
        if now_us < self._free_us:
            every_s = AT_MOST_EVERY_US // 1_000_000
            self._answer(Outcome.REFUSED, refusal=Refusal.BUSY, reason=f"at most one picture in {every_s} s")

    def _answer(
        self,
        outcome: Outcome,
        *,
        refusal: Refusal | None = None,
        reason: str = "",
        result: SnapshotResult | None = None,
    ) -> None:
        if self._asked is None:
            return
        answer = SnapshotAnswer(
            id=self._asked.request.id, outcome=outcome, refusal=refusal, reason=reason[:1024], result=result
        )
        self._asked = None
        try:
            put_answer(self._outbox, answer)
        except (MessageFormatError, StorageError) as error:
            _log.error("who asked for a picture was not answered: %s", error)

    def _record(self, request: SnapshotRequest, file: str) -> None:
        try:
            self._log.append("snapshot-taken", self._clock.now(), request=request.id, file=file)
        except StorageError as error:
            _log.error("a picture on request was not recorded: %s", error)
