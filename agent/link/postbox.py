"""What is on its way over one session, and whether the broker still answers for it.

A TCP connection whose other end is gone says nothing: it takes what is written until its buffers
are full. The keepalive finds that out when all is quiet; when it is not, the oldest message
without an answer does. The clock is the monotonic one.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta

from agent.errors import SessionLostError
from agent.ports import Answered, BrokerSession, Clock, Outgoing

ANSWER_WITHIN = timedelta(seconds=30)  # the broker of a city answers in milliseconds, behind a full uplink in seconds
MOST_UNANSWERED = 16  # of a Receive Maximum of 65,535, or whatever the broker says: what is lost when it is killed

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Sent:
    topic: str
    at_us: int


class Postbox:
    """The messages of one session that the broker has not answered."""

    def __init__(self, session: BrokerSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._limit = min(session.receive_maximum, MOST_UNANSWERED)
        self._sent: dict[int, _Sent] = {}

    def room(self, *, leaving: int = 0) -> bool:
        """Return whether one more message may be sent so that room for `leaving` others is left."""
        return len(self._sent) < max(1, self._limit - leaving)

    @property
    def empty(self) -> bool:
        """Whether the broker has answered everything."""
        return not self._sent

    def send(self, message: Outgoing) -> int:
        """Begin to send `message` and return its token. Raises SessionLostError."""
        token = self._session.publish(message)
        self._sent[token] = _Sent(message.topic, self._clock.monotonic_us())
        return token

    def answered(self, answer: Answered) -> str:
        """Take note of an answer; return the topic of the message if it was refused, else nothing."""
        sent = self._sent.pop(answer.token, None)
        if sent is None or answer.taken:
            return ""
        _log.warning("the broker refused a message on %s: %s (0x%02x)", sent.topic, answer.words, answer.reason)
        return sent.topic

    def check(self) -> None:
        """Raise SessionLostError if the broker has not answered for too long."""
        if not self._sent:
            return
        oldest = next(iter(self._sent.values()))  # a dictionary keeps the order of insertion
        waited = timedelta(microseconds=self._clock.monotonic_us() - oldest.at_us)
        if waited > ANSWER_WITHIN:
            raise SessionLostError(f"no answer to a message for {waited.seconds} s: open on this side only")
