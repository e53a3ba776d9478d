"""Keep the camera connected: one connection after another, and one loop while it lasts.

    connect ► birth ► status, report ► (poll ► what came ► what is due) … ► lost ► wait ► connect

The loop is the only thread that speaks to the broker, so nothing can die beside it unnoticed:
what fails ends the connection, and what would hang is noticed by systemd's watchdog, which
the loop feeds. A camera tells how it is before it tells what it missed: birth and status go
out first, and the log leaves room for them afterwards.
"""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from agent.adapters.link_store import LinkStore
from agent.adapters.systemd_notify import SystemdNotify
from agent.core.backoff import Backoff
from agent.core.messages.presence import Birth
from agent.core.messages.wire import Message
from agent.core.topics import DELIVERY, Leaf, camera_subscriptions, parse_topic, topic
from agent.errors import LinkError, StorageError
from agent.link.commands import Commands
from agent.link.delivery import LogDelivery
from agent.link.health import SOFTWARE_VERSION, Health
from agent.link.policy import PolicyRelay
from agent.link.postbox import Postbox
from agent.link.witnessing import Witnessing
from agent.ports import Answered, Broker, BrokerSession, Clock, Outgoing, Received

TICK = timedelta(
    milliseconds=100
)  # what comes from the network is answered at once; what comes from files, within this
LOOK_EVERY_US = 500_000
STEADY = timedelta(minutes=1)  # a connection that lasted so long was none that failed
FAREWELL_WITHIN = timedelta(seconds=2)
BACKOFF = Backoff(first=timedelta(seconds=1), most=timedelta(seconds=60))

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What takes part in every connection, and outlives it."""

    health: Health
    policy: PolicyRelay
    commands: Commands
    delivery: LogDelivery
    witnessing: Witnessing
    store: LinkStore
    notifier: SystemdNotify


class Supervisor:
    """Connects, and connects again, until it is stopped.

    Args:
        camera_id: Who this is.
        broker: The way to the broker.
        parts: What takes part.
        clock: Both clocks.
        uniform: Returns a number from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        camera_id: str,
        broker: Broker,
        parts: Parts,
        clock: Clock,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._camera_id = camera_id
        self._broker = broker
        self._parts = parts
        self._clock = clock
        self._uniform = uniform
        self._resume = False

    def run(self, stop: threading.Event) -> None:
        """Keep the camera connected until `stop` is set."""
        failures = 0
        while not stop.is_set():
            began_us = self._clock.monotonic_us()
            try:
                self._one_connection(stop)
            except LinkError as error:
                lasted = timedelta(microseconds=self._clock.monotonic_us() - began_us)
                failures = 1 if lasted >= STEADY else failures + 1
                wait = BACKOFF.delay(failures, self._uniform)
                _log.warning("%s%s; trying again in %.1f s", error, _hint(error), wait.total_seconds())
                self._parts.health.failed(str(error))
                self._pass_time(wait, stop)
            else:
                failures = 0
        self._parts.delivery.keep()

    def _one_connection(self, stop: threading.Event) -> None:
        """Connect and converse until `stop`, or until a new certificate asks for a new connection."""
        parts = self._parts
        sequence = self._next_sequence()
        birth = self._birth(sequence, online=True)
        self._parts.notifier.status("connecting")
        session = self._broker.connect(
            self._message(Leaf.BIRTH, self._birth(sequence, online=False, reason="lost")),
            camera_subscriptions(self._camera_id),
            resume=self._resume,
        )
        self._resume = True
        try:
            postbox = Postbox(session, self._clock)
            postbox.send(self._message(Leaf.BIRTH, birth))
            parts.health.connected()
            parts.delivery.begin()
            parts.witnessing.begin()
            parts.notifier.status("connected")
            _log.info("connected, birth sequence %d", sequence)
            Conversation(self._camera_id, session, postbox, parts, self._clock).run(stop)
            self._say_goodbye(session, postbox, sequence, stopped=stop.is_set())
        finally:
            session.close()

    def _say_goodbye(self, session: BrokerSession, postbox: Postbox, sequence: int, *, stopped: bool) -> None:
        if not stopped:  # a new certificate: back in a moment
            return
        postbox.send(self._message(Leaf.BIRTH, self._birth(sequence, online=False, reason="stopped")))
        deadline_us = self._clock.monotonic_us() + FAREWELL_WITHIN // timedelta(microseconds=1)
        while not postbox.empty and self._clock.monotonic_us() < deadline_us:
            for happening in session.poll(TICK):
                if isinstance(happening, Answered):
                    postbox.answered(happening)
                    self._parts.delivery.answered(happening)

    def _next_sequence(self) -> int:
        try:
            return self._parts.store.next_sequence()
        except StorageError as error:  # a full disk is a reason to be heard, not to be silent
            _log.error("%s", error)
            self._parts.health.note(str(error))
            return self._parts.store.sequence

    def _birth(self, sequence: int, *, online: bool, reason: str = "") -> Birth:
        return Birth(
            camera_id=self._camera_id,
            online=online,
            sequence=sequence,
            at=self._clock.now(),
            clock_quality=self._parts.health.clock_quality(),
            reason=reason,
            software_version=SOFTWARE_VERSION,
            booted_at=self._parts.health.booted_at,
        )

    def _message(self, leaf: Leaf, message: Message) -> Outgoing:
        return addressed(self._camera_id, leaf, message)

    def _pass_time(self, wait: timedelta, stop: threading.Event) -> None:
        """Wait without a network; a bundle that could not be written yet is not forgotten."""
        until_us = self._clock.monotonic_us() + wait // timedelta(microseconds=1)
        while not stop.is_set():
            left_s = (until_us - self._clock.monotonic_us()) / 1_000_000
            if left_s <= 0:
                return
            self._parts.notifier.alive()
            self._parts.policy.settle()
            stop.wait(min(left_s, 1.0))


class Conversation:
    """One connection's loop."""

    def __init__(self, camera_id: str, session: BrokerSession, postbox: Postbox, parts: Parts, clock: Clock) -> None:
        self._camera_id = camera_id
        self._session = session
        self._postbox = postbox
        self._parts = parts
        self._clock = clock
        self._look_at_us = 0
        self._reported: object = None

    def run(self, stop: threading.Event) -> None:
        """Converse until `stop`, or until the connection should be changed.

        Raises:
            SessionLostError: It is over.
        """
        while not stop.is_set():
            self._tell()
            if self._parts.commands.change_over and self._postbox.empty:
                self._parts.commands.change_over = False
                return
            for happening in self._session.poll(TICK):
                if isinstance(happening, Answered):
                    self._answered(happening)
                else:
                    self._received(happening)
            self._postbox.check()
            self._parts.notifier.alive()

    def _received(self, message: Received) -> None:
        parts = self._parts
        found = parse_topic(message.topic)
        if found is None or found.camera_id != self._camera_id:
            _log.warning("a message on a topic that is not ours: %s", message.topic[:100])
            return
        match found.leaf:
            case Leaf.DESIRED | Leaf.REVOKE:
                parts.policy.bring(found.leaf, message.payload)
            case Leaf.ACK:
                parts.delivery.acknowledged(message.payload)
            case Leaf.COSIGNED:
                parts.witnessing.cosigned(message.payload)
            case Leaf.COMMAND:
                parts.commands.asked(message, found.name)
            case _:
                _log.warning("a message on a topic this camera writes: %s", message.topic[:100])

    def _answered(self, answer: Answered) -> None:
        refused = self._postbox.answered(answer)
        self._parts.delivery.answered(answer)
        if refused:
            self._parts.health.note(f"the broker refused a message on {refused}: {answer.words}")

    def _tell(self) -> None:
        """Send what is due: how it is first, then replies, then the log."""
        parts = self._parts
        now_us = self._clock.monotonic_us()
        parts.policy.settle()
        parts.commands.collect()
        if now_us >= self._look_at_us:
            self._look_at_us = now_us + LOOK_EVERY_US
            parts.health.look()
            parts.delivery.look()
            for problem in (parts.policy.problem, parts.delivery.problem, parts.witnessing.problem):
                parts.health.note(problem)
            if self._postbox.room() and (status := parts.health.due(parts.delivery.queue)) is not None:
                self._postbox.send(addressed(self._camera_id, Leaf.STATUS, status))
        self._report()
        while self._postbox.room() and (reply := parts.commands.next_reply()) is not None:
            self._postbox.send(reply)
        parts.delivery.send(self._postbox)
        parts.witnessing.send(self._postbox, acked=parts.delivery.queue.acked)
        if self._postbox.empty:
            parts.commands.reboot_if_due()

    def _report(self) -> None:
        reported = self._parts.policy.reported(self._parts.health.policy_digest)
        essence = (reported.desired, reported.revoke, reported.verdict, reported.policy_digest)
        if essence != self._reported and self._postbox.room():
            self._reported = essence
            self._postbox.send(addressed(self._camera_id, Leaf.REPORTED, reported))


def addressed(camera_id: str, leaf: Leaf, message: Message) -> Outgoing:
    """Return `message` as the contract has it sent on `leaf`."""
    kind = DELIVERY[leaf]
    return Outgoing(
        topic=topic(camera_id, leaf), payload=message.to_bytes(), retained=kind.retained, expiry_s=kind.expiry_s
    )


def _hint(error: LinkError) -> str:
    return f" ({error.hint})" if error.hint else ""
