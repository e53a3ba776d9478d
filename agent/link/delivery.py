"""Carry the log to the backend: `agent.core.delivery` decides, this sends.

Nothing is kept in memory but numbers: the leaves are read from the log when they are
due. Weeks offline cost what the log itself takes on disk.
"""

import logging
from dataclasses import dataclass

from agent.adapters.link_store import LinkStore
from agent.adapters.log_leaves import Extent, LogLeaves
from agent.core import delivery
from agent.core.messages.log import MAX_LEAVES, Ack, LogBatch
from agent.core.messages.presence import QueueStatus
from agent.core.topics import DELIVERY, Leaf, topic
from agent.errors import MessageFormatError, StorageError
from agent.link.postbox import Postbox
from agent.ports import Answered, Clock, Outgoing

# With delivery.WINDOW of these on its way, an uplink of 32 kbit/s is busy for 11 s: sooner than the backend, the
# broker or a ping that waits behind them is taken for dead.
BATCH_BYTES = 8 * 1024
LEAVING = 3  # messages that a status, a report and a reply may need, whatever the log wants

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Requested:
    """Leaves that `log.send` asked for: `first` up to `end`; one batch at a time."""

    first: int
    end: int
    token: int | None = None


class LogDelivery:
    """The log of one camera on its way. For one thread; outlives sessions."""

    def __init__(self, camera_id: str, leaves: LogLeaves, store: LinkStore, clock: Clock) -> None:
        self._camera_id = camera_id
        self._leaves = leaves
        self._store = store
        self._clock = clock
        self._state = delivery.begin(store.acked)
        self._extent = Extent(0, 0)
        self._requested: _Requested | None = None
        self._lost = 0
        self._problem = ""
        self._recognised = False

    @property
    def problem(self) -> str:
        """Why the log cannot be read or the cursor not be kept, or nothing."""
        return self._problem

    @property
    def queue(self) -> QueueStatus:
        """How far the log has got."""
        return QueueStatus(
            oldest=self._extent.oldest,
            next=self._extent.following,
            acked=self._state.acked,
            lost=self._lost,
            set_aside=len(self._state.skipped),
        )

    def look(self) -> None:
        """Look how far the log goes now, and whether it is the one the cursor is for."""
        try:
            self._extent = self._leaves.extent()
            if not self._recognised or self._extent.following < self._state.acked:
                self._recognise()
            if self._extent.oldest > self._state.acked:
                self._lost = max(self._lost, self._extent.oldest - self._state.acked)
            self._problem = ""
        except StorageError as error:
            self._problem = str(error)

    def _recognise(self) -> None:
        before = self._store.log_id
        self._store.recognise(self._leaves, self._extent)
        self._recognised = bool(self._store.log_id)
        if self._store.log_id != before:
            _log.info("a log that is new here: %s", self._store.log_id)
            self._state = delivery.begin(self._store.acked)

    def begin(self) -> None:
        """Start over behind the last acknowledgement: what was on its way over another session is not any more."""
        self._state = delivery.disconnected(self._state)
        if self._requested is not None:
            self._requested.token = None
        self.look()

    def send(self, postbox: Postbox) -> None:
        """Send what is due, as far as there is room. Raises SessionLostError."""
        now_us = self._clock.monotonic_us()
        overdue = delivery.overdue(self._state, now_us=now_us)
        if overdue is not self._state:
            _log.warning("the backend has not acknowledged leaf %d; sending starts over later", self._state.acked)
            self._state = overdue
        while postbox.room(leaving=LEAVING):
            due = delivery.due(self._state, oldest=self._extent.oldest, following=self._extent.following, now_us=now_us)
            leaves = () if due is None else self._read(due.first, due.most)
            if due is None or not leaves:
                break
            token = postbox.send(self._message(due.first, leaves))
            end = due.first + len(leaves)
            self._state = delivery.sent(
                self._state, delivery.Batch(token=token, first=due.first, end=end, sent_at_us=now_us)
            )
        self._send_requested(postbox)

    def answered(self, answer: Answered) -> None:
        """Take note of what the broker said to a message, whosoever's it was."""
        if self._requested is not None and self._requested.token == answer.token:
            self._requested.token = None
        if answer.taken:
            self._state = delivery.taken(self._state, answer.token)
            return
        before = self._state
        self._state = delivery.refused(before, answer.token, answer.reason, now_us=self._clock.monotonic_us())
        for index in self._state.skipped:
            if index not in before.skipped:
                _log.error("leaf %d is set aside: the broker does not take it (%s)", index, answer.words)

    def acknowledged(self, payload: bytes) -> None:
        """Move the cursor to where the backend says it is, if that can be."""
        try:
            ack = Ack.from_bytes(payload)
        except MessageFormatError as error:
            _log.warning("not an acknowledgement: %s", error)
            return
        if ack.camera_id != self._camera_id or ack.log_id != self._store.log_id:
            _log.info("an acknowledgement for another log (%s of %s)", ack.log_id, ack.camera_id)
            return
        if ack.next > self._extent.following:
            _log.warning("acknowledges up to %d, the log ends at %d", ack.next, self._extent.following)
            return
        self._state = delivery.acknowledged(self._state, ack.next)
        self.keep(at_once=False)

    def keep(self, *, at_once: bool = True) -> None:
        """Make the cursor durable."""
        try:
            self._store.move_to(self._state.acked, self._leaves, at_once=at_once)
        except StorageError as error:
            self._problem = str(error)

    def request(self, first: int, end: int) -> tuple[int, int]:
        """Send leaves `first` up to `end` again, besides; return the part of them that there is."""
        first, end = max(first, self._extent.oldest), min(end, self._extent.following)
        self._requested = _Requested(first, end) if first < end else None
        return first, max(first, end)

    def _send_requested(self, postbox: Postbox) -> None:
        asked = self._requested
        if asked is None or asked.token is not None or not postbox.room(leaving=LEAVING):
            return
        leaves = self._read(asked.first, min(MAX_LEAVES, asked.end - asked.first))
        if not leaves:
            self._requested = None
            return
        asked.token = postbox.send(self._message(asked.first, leaves, requested=True))
        asked.first += len(leaves)

    def _read(self, first: int, most: int) -> tuple[bytes, ...]:
        try:
            return self._leaves.read(first, most=most, most_bytes=BATCH_BYTES)
        except StorageError as error:
            self._problem = str(error)
            return ()

    def _message(self, first: int, leaves: tuple[bytes, ...], *, requested: bool = False) -> Outgoing:
        batch = LogBatch(
            camera_id=self._camera_id,
            log_id=self._store.log_id,
            at=self._clock.now(),
            first=first,
            leaves=leaves,
            oldest=self._extent.oldest,
            next=self._extent.following,
            skipped=() if requested else tuple(index for index in self._state.skipped if index < first),
            requested=requested,
        )
        kind = DELIVERY[Leaf.LOG]
        return Outgoing(
            topic=topic(self._camera_id, Leaf.LOG),
            payload=batch.to_bytes(),
            retained=kind.retained,
            expiry_s=kind.expiry_s,
        )
