"""Have the log witnessed: its signed checkpoint goes up, the cosigned one comes back and is kept.

A checkpoint goes out when the backend has acknowledged every leaf under it, because a witness vouches
for what it saw. The recorder signs faster than the leaves arrive, so one checkpoint is held until
they have, instead of chasing the newest.

What comes back is kept if it is what was sent, with more signatures; whose they are is for whoever
verifies the log to say, with the witness's key in hand.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta

from agent.adapters.checkpoint_files import CheckpointFiles
from agent.adapters.link_store import LinkStore
from agent.core.log.note import Note, parse_note
from agent.core.messages.log import CosignedCheckpoint, SignedCheckpoint
from agent.core.topics import DELIVERY, Leaf, topic
from agent.errors import CheckpointFormatError, MessageFormatError, StorageError
from agent.link.postbox import Postbox
from agent.ports import Clock, Outgoing

# Between two, what the camera's thief rewrites is still at odds with the leaves that the backend has; and
# 10,000 cameras cost it 17 synced files a second.
EVERY = timedelta(minutes=10)
LEAVING = 3  # as for the log: a status, a report and a reply go first

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """A checkpoint that waits for its leaves to arrive."""

    content: bytes
    size: int


class Witnessing:
    """One camera's checkpoints on their way. For one thread; outlives sessions."""

    def __init__(self, camera_id: str, files: CheckpointFiles, store: LinkStore, clock: Clock) -> None:
        self._camera_id = camera_id
        self._files = files
        self._store = store
        self._clock = clock
        self._held: _Held | None = None
        self._sent: Note | None = None
        self._due_us = 0
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why there is no checkpoint to send, or what came back could not be kept; or nothing."""
        return self._problem

    def begin(self) -> None:
        """Start over with a new session: what was on its way over another is not any more."""
        self._held = None
        self._due_us = 0

    def send(self, postbox: Postbox, *, acked: int) -> None:
        """Send a checkpoint if one is due and the backend has its leaves. Raises SessionLostError."""
        now_us = self._clock.monotonic_us()
        if now_us < self._due_us or not self._store.log_id:
            return
        if self._held is None:
            self._held = self._take()
        if self._held is None or self._held.size > acked or not postbox.room(leaving=LEAVING):
            return
        held, self._held = self._held, None
        self._sent = parse_note(held.content)
        self._due_us = now_us + EVERY // timedelta(microseconds=1)
        message = SignedCheckpoint(camera_id=self._camera_id, log_id=self._store.log_id, note=held.content.decode())
        kind = DELIVERY[Leaf.CHECKPOINT]
        postbox.send(
            Outgoing(
                topic=topic(self._camera_id, Leaf.CHECKPOINT),
                payload=message.to_bytes(),
                retained=kind.retained,
                expiry_s=kind.expiry_s,
            )
        )

    def cosigned(self, payload: bytes) -> None:
        """Keep what a witness cosigned, if it is what was sent."""
        try:
            message = CosignedCheckpoint.from_bytes(payload)
            note = parse_note(message.note.encode())
        except (MessageFormatError, CheckpointFormatError) as error:
            _log.warning("not a cosigned checkpoint: %s", error)
            return
        if message.camera_id != self._camera_id or self._sent is None or note.text != self._sent.text:
            _log.warning("a cosignature for what was not sent")
            return
        try:
            self._files.keep(note.to_bytes())
            self._problem = ""
        except StorageError as error:
            self._problem = str(error)

    def _take(self) -> _Held | None:
        """Return the log's newest checkpoint if it is another than was sent last."""
        try:
            content = self._files.signed()
            if not content:
                return None
            note = parse_note(content)
            if self._sent is not None and note.text == self._sent.text:
                return None
            self._problem = ""
            return _Held(content, int(note.text.split("\n")[1]))
        except (StorageError, CheckpointFormatError, IndexError, ValueError) as error:
            self._problem = f"the log's checkpoint is not one: {error}"
            return None
