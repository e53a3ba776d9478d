"""A broker in memory: cameras connect to it through `ports.Broker`, a test looks in from the other side.

It does what the contract suite holds it and mosquitto to: delivers by topic, keeps what is
retained, answers each message, publishes the will of a connection that is cut.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from agent.errors import BrokerUnreachableError, SessionLostError
from agent.ports import Answered, Happening, Outgoing, Received

TOO_LARGE = 0x95


def matches(filter_: str, topic: str) -> bool:
    """Return whether a topic filter (MQTT 5 4.7) covers a topic."""
    wanted, found = filter_.split("/"), topic.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(found) or level not in {"+", found[place]}:
            return False
    return len(wanted) == len(found)


@dataclass
class FakeBroker:
    """Everything is public: a test breaks what it wants.

    Attributes:
        reachable: False: connecting fails.
        refuses: Topic → reason code for every message published to it.
        allowed: Prefix that every published topic must have, or None; nothing else is carried.
        received: All that was published, in order.
        answers: False: messages are taken without a word, as over a half-open connection.
    """

    receive_maximum: int = 20
    largest_bytes: int = 1 << 28
    reachable: bool = True
    allowed: str | None = None
    answers: bool = True
    refuses: dict[str, int] = field(default_factory=dict)
    retained: dict[str, bytes] = field(default_factory=dict)
    received: list[Outgoing] = field(default_factory=list)
    sessions: list["FakeSession"] = field(default_factory=list)
    connects: int = 0
    resumed: list[bool] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def connect(self, will: Outgoing, subscriptions: Sequence[str], *, resume: bool) -> "FakeSession":
        with self.arrived:
            self.connects += 1
            self.resumed.append(resume)
            self.arrived.notify_all()
            if not self.reachable:
                raise BrokerUnreachableError("the fake broker is not reachable")
            session = FakeSession(self, will, tuple(subscriptions))
            self.sessions.append(session)
            for filter_ in subscriptions:
                for topic, payload in self.retained.items():
                    if matches(filter_, topic):
                        session.happened.append(Received(topic=topic, payload=payload, retained=True))
            return session

    def publish(self, message: Outgoing) -> None:
        """Publish as somebody else would."""
        with self.arrived:
            self.received.append(message)
            if message.retained:
                self.retained[message.topic] = message.payload
                if not message.payload:
                    del self.retained[message.topic]
            for session in self.sessions:
                if session.live and any(matches(each, message.topic) for each in session.subscriptions):
                    session.happened.append(
                        Received(topic=message.topic, payload=message.payload, correlation=message.correlation)
                    )
            self.arrived.notify_all()

    def cut(self) -> None:
        """End all connections without a word: their wills are published."""
        with self.arrived:
            for session in self.sessions:
                if session.live:
                    session.live = False
                    self.publish(session.will)
            self.arrived.notify_all()

    def payloads(self, suffix: str) -> list[bytes]:
        """Return what was published to topics that end so, in order."""
        with self.arrived:
            return [message.payload for message in self.received if message.topic.endswith(suffix)]


class FakeSession:
    """One connection to a `FakeBroker`."""

    def __init__(self, broker: FakeBroker, will: Outgoing, subscriptions: tuple[str, ...]) -> None:
        self.broker = broker
        self.will = will
        self.subscriptions = subscriptions
        self.live = True
        self.happened: deque[Happening] = deque()
        self.token = 0
        self.receive_maximum = broker.receive_maximum
        self.largest_bytes = broker.largest_bytes

    def publish(self, message: Outgoing) -> int:
        broker = self.broker
        with broker.arrived:
            if not self.live:
                raise SessionLostError("the fake connection is over")
            self.token += 1
            reason = broker.refuses.get(message.topic, 0)
            if broker.allowed is not None and not message.topic.startswith(broker.allowed):
                reason = 0x87
            if len(message.payload) > broker.largest_bytes:
                reason = TOO_LARGE
            if reason == 0:
                broker.publish(replace(message))
            if broker.answers:
                self.happened.append(Answered(token=self.token, reason=reason, words="refused" if reason else ""))
            return self.token

    def poll(self, timeout: timedelta) -> Sequence[Happening]:
        broker = self.broker
        with broker.arrived:
            if not self.happened and self.live:
                broker.arrived.wait(timeout.total_seconds())
            happened = tuple(self.happened)
            self.happened.clear()
            if not happened and not self.live:
                raise SessionLostError("the fake connection was cut")
            return happened

    def close(self) -> None:
        with self.broker.arrived:
            self.live = False
            self.broker.arrived.notify_all()
