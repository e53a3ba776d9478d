"""Ask the recorder for one picture, and bring back what it answered. The link never sees the picture."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from agent.adapters.snapshot_files import put_request, read_answer
from agent.core.messages.commands import Outcome
from agent.core.messages.snapshot import SnapshotAnswer, SnapshotRequest
from agent.errors import MessageFormatError, StorageError
from agent.ports import Clock

# The recorder looks ten times a second and answers one frame later; the slowest grant stores one frame a second.
ANSWER_WITHIN = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Developed:
    """An answer, and to what.

    Attributes:
        correlation: The command's.
        answer: As the recorder gave it, or why there is none.
    """

    correlation: bytes
    answer: SnapshotAnswer


@dataclass(frozen=True, slots=True)
class _Waiting:
    command_id: str
    correlation: bytes
    until_us: int


class Snapshots:
    """One request at a time. For one thread; outlives sessions.

    Args:
        inbox: The recorder's.
        outbox: The recorder's.
        clock: Both clocks.
    """

    def __init__(self, inbox: Path, outbox: Path, clock: Clock) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._clock = clock
        self._waiting: _Waiting | None = None

    @property
    def waiting(self) -> bool:
        """Whether a request has no answer yet."""
        return self._waiting is not None

    def ask(self, command_id: str, correlation: bytes) -> None:
        """Ask for a picture; `ended` tells what became of it. Raises StorageError."""
        put_request(self._inbox, SnapshotRequest(id=command_id, until=self._clock.now() + ANSWER_WITHIN))
        until_us = self._clock.monotonic_us() + ANSWER_WITHIN // timedelta(microseconds=1)
        self._waiting = _Waiting(command_id, correlation, until_us)

    def ended(self) -> Developed | None:
        """Return the answer to what was asked if there is one now, or if none will come any more."""
        waiting = self._waiting
        if waiting is None:
            return None
        problem = ""
        try:
            answer = read_answer(self._outbox)
        except (MessageFormatError, StorageError) as error:
            answer, problem = None, f": {error}"
        if answer is None or answer.id != waiting.command_id:
            if self._clock.monotonic_us() < waiting.until_us:
                return None
            answer = SnapshotAnswer(
                id=waiting.command_id,
                outcome=Outcome.FAILED,
                reason=f"the recorder did not answer within {ANSWER_WITHIN.seconds} s{problem}"[:1024],
            )
        self._waiting = None
        return Developed(correlation=waiting.correlation, answer=answer)
