"""A camera's link on folders of its own, and the little of a backend that it needs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent.adapters.atomic_files import make_folders
from agent.adapters.clock import SystemClock
from agent.adapters.log_files import LogFiles
from agent.adapters.paho_link import BrokerAddress
from agent.config import Config
from agent.core.messages.commands import Command, Reply
from agent.core.messages.log import Ack, LogBatch
from agent.core.topics import Leaf, topic
from agent.errors import SessionLostError
from agent.link.app import compose
from agent.ports import Broker, BrokerSession, Clock, Outgoing, Received
from tests.fakes.broker import FakeBroker

PATIENCE_S = 60.0
CAMERA = "pole-7"


def link_config(folder: Path, address: BrokerAddress | None = None, **link: Any) -> Config:
    """Return a configuration whose folders all lie below `folder`."""
    where: dict[str, Any] = {"host": "127.0.0.1"}
    if address is not None:
        where = {
            "host": address.host,
            "port": address.port,
            "authority": address.authority,
            "credential": address.credential,
        }
    make_folders(folder / "outbox")
    return Config.model_validate(
        {
            "camera": {"id": CAMERA, "source": "streetscene"},
            "storage": {"footage": folder / "footage"},
            "state": {"folder": folder / "state", "runtime": folder / "run"},
            "policy": {"root": folder / "root.json", "inbox": folder / "inbox", "outbox": folder / "outbox"},
            "link": {"credential": folder / "none.pem", "folder": folder / "link", **where, **link},
        }
    )


def write_leaves(config: Config, count: int, *, size: int = 100) -> None:
    """Write a log of `count` events."""
    with LogFiles(config.state.folder / "log") as log:
        log.append("started", SystemClock().now(), note="as the recorder writes it; the rest without a sync for each")
    newest = max((config.state.folder / "log").glob("events-*.jsonl"))
    with newest.open("a", encoding="ascii") as file:
        for number in range(1, count):
            facts = f'"kind":"segment-stored","digest":"{"a" * size}"'
            file.write(f'{{"n":{number},"at":"2026-06-01T12:00:00.000000Z",{facts}}}\n')


@contextmanager
def running_link(config: Config, broker: Broker, clock: Clock | None = None, *, jitter: float = 0.0) -> Iterator[None]:
    """Run a link on a thread; it is stopped and must have ended well when the context ends."""
    stop = threading.Event()
    failed: list[BaseException] = []
    with ExitStack() as running:
        supervisor = compose(config, broker, clock or SystemClock(), running)
        supervisor._uniform = lambda: jitter

        def run() -> None:
            try:
                supervisor.run(stop)
            except BaseException as error:  # for the test's thread to tell
                failed.append(error)
                raise

        thread = threading.Thread(target=run, name="link")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the link does not stop"
        assert not failed


def until(broker: FakeBroker, arrived: Callable[[], bool]) -> None:
    """Wait until `arrived`; woken whenever something happens at the broker."""
    with broker.arrived:
        assert broker.arrived.wait_for(arrived, PATIENCE_S), "it did not happen"


def ask(name: str, *, command_id: str = "c1", **args: Any) -> Command:
    """Return a command that is good for a minute from now."""
    now = SystemClock().now()
    return Command(
        camera_id=CAMERA,
        name=name,
        id=command_id,
        issued_at=now,
        expires_at=now + timedelta(minutes=1),
        args=args,
    )


def replies(broker: FakeBroker) -> list[Reply]:
    """Return all replies so far."""
    with broker.arrived:
        return [Reply.from_bytes(each.payload) for each in broker.received if "/up/rsp/" in each.topic]


def give(broker: FakeBroker, command: Command, correlation: bytes = b"") -> Reply:
    """Send a command and return the first reply to it."""
    before = len(replies(broker))
    broker.publish(
        Outgoing(topic=topic(CAMERA, Leaf.COMMAND, command.name), payload=command.to_bytes(), correlation=correlation)
    )
    until(broker, lambda: len(replies(broker)) > before)
    return replies(broker)[before]


@dataclass
class FakeBackend:
    """Stores leaves in order and acknowledges them, over any broker.

    Attributes:
        leaves: What is stored, by index; index k is at place k.
        duplicates: How many leaves came that it had already.
        statuses: How many came.
        leaves_before_status: How many leaves were stored when the first status came.
    """

    leaves: list[bytes] = field(default_factory=list)
    duplicates: int = 0
    statuses: int = 0
    births: int = 0
    leaves_before_status: int | None = None

    def hear(self, session: BrokerSession, timeout: timedelta = timedelta(milliseconds=100)) -> None:
        """Take in what has come and acknowledge it. Raises SessionLostError."""
        for happening in session.poll(timeout):
            if not isinstance(happening, Received):
                continue
            if happening.topic.endswith(Leaf.LOG.value):
                self._store(session, LogBatch.from_bytes(happening.payload))
            if happening.topic.endswith(Leaf.STATUS.value):
                if not self.statuses:
                    self.leaves_before_status = len(self.leaves)
                self.statuses += 1
            self.births += happening.topic.endswith(Leaf.BIRTH.value)

    def _store(self, session: BrokerSession, batch: LogBatch) -> None:
        for index, leaf in enumerate(batch.leaves, start=batch.first):
            if index == len(self.leaves):
                self.leaves.append(leaf)
            elif index < len(self.leaves):
                assert self.leaves[index] == leaf, "a leaf changed"
                self.duplicates += 1
        ack = Ack(camera_id=batch.camera_id, log_id=batch.log_id, next=len(self.leaves))
        session.publish(Outgoing(topic=topic(batch.camera_id, Leaf.ACK), payload=ack.to_bytes()))

    def session(self, broker: Broker) -> BrokerSession:
        """Connect and listen to every camera."""
        gone = Outgoing(topic=f"lamppost/v1/cam/{CAMERA}/down/gone", payload=b"")
        return broker.connect(gone, ["lamppost/v1/cam/+/up/#"], resume=False)

    def hear_until(self, broker: Broker, done: Callable[[], bool], *, session: BrokerSession | None = None) -> None:
        """Listen, over as many connections as it takes and `session` first if there is one, until `done`."""
        clock = SystemClock()
        deadline_us = clock.monotonic_us() + int(PATIENCE_S * 1_000_000)
        session = session or self.session(broker)
        try:
            while not done():
                assert clock.monotonic_us() < deadline_us, f"it did not happen; {len(self.leaves)} leaves"
                try:
                    self.hear(session)
                except SessionLostError:
                    session.close()
                    session = self.session(broker)
        finally:
            session.close()
