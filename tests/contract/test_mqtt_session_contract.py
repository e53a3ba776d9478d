"""A session delivers, answers, refuses and ends alike, whether the broker is real or in memory."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.clock import SystemClock
from agent.adapters.paho_link import PahoBroker
from agent.errors import BrokerUnreachableError, SessionLostError
from agent.ports import Answered, Broker, BrokerSession, Happening, Outgoing, Received
from tests.fakes.broker import FakeBroker
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.pki import FakeAuthority

CAMERA = "lamppost/v1/cam/pole-7"
WILL = Outgoing(topic=f"{CAMERA}/up/birth", payload=b"lost", retained=True)
TICK = timedelta(milliseconds=100)
PATIENCE_S = 60.0


@dataclass
class Rig:
    """A broker, a camera's way to it and a backend's, and how to break it."""

    camera: Broker
    backend: Broker
    stop: Callable[[], None]


@pytest.fixture(params=["fake", "mosquitto"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    if request.param == "fake":
        fake = FakeBroker(allowed=CAMERA)

        def stop() -> None:
            fake.reachable = False
            fake.cut()

        yield Rig(camera=fake, backend=fake, stop=stop)
        return
    clock = SystemClock()
    with Mosquitto(tmp_path, FakeAuthority()) as broker:
        yield Rig(
            camera=PahoBroker(broker.address("pole-7"), clock, largest_bytes=3_000_000),
            backend=PahoBroker(broker.address("backend"), clock, largest_bytes=3_000_000),
            stop=broker.kill,
        )


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Line:
    """A session, and what it has told and nobody has asked for yet."""

    def __init__(self, session: BrokerSession) -> None:
        self.session = session
        self.publish = session.publish
        self._told: deque[Happening] = deque()

    def wait_for(self, wanted: Callable[[Happening], bool]) -> Happening:
        """Return the next happening that is wanted; those before it are forgotten."""
        clock = SystemClock()
        deadline_us = clock.monotonic_us() + int(PATIENCE_S * 1_000_000)
        while clock.monotonic_us() < deadline_us:
            self._told.extend(self.session.poll(TICK))
            while self._told:
                happening = self._told.popleft()
                if wanted(happening):
                    return happening
        raise AssertionError("it did not happen")


def connect(broker: Broker, closing: ExitStack, *subscriptions: str, will: Outgoing = WILL) -> Line:
    session = broker.connect(will, subscriptions, resume=False)
    closing.callback(session.close)
    return Line(session)


def backend_session(rig: Rig, closing: ExitStack) -> Line:
    gone = Outgoing(topic=f"{CAMERA}/down/gone", payload=b"")
    return connect(rig.backend, closing, f"{CAMERA}/up/#", will=gone)


def message_on(topic: str) -> Callable[[Happening], bool]:
    return lambda happening: isinstance(happening, Received) and happening.topic == topic


def answer_to(token: int) -> Callable[[Happening], bool]:
    return lambda happening: isinstance(happening, Answered) and happening.token == token


def test_a_message_arrives_and_is_answered(rig: Rig, closing: ExitStack) -> None:
    camera, backend = connect(rig.camera, closing, f"{CAMERA}/down/#"), backend_session(rig, closing)

    token = camera.publish(Outgoing(topic=f"{CAMERA}/up/status", payload=b"\x00fine", expiry_s=60))

    answer = camera.wait_for(answer_to(token))
    assert isinstance(answer, Answered)
    assert answer.taken
    arrived = backend.wait_for(message_on(f"{CAMERA}/up/status"))
    assert isinstance(arrived, Received)
    assert (arrived.payload, arrived.retained) == (b"\x00fine", False)


def test_correlation_data_travels_with_a_message(rig: Rig, closing: ExitStack) -> None:
    camera, backend = connect(rig.camera, closing, f"{CAMERA}/down/#"), backend_session(rig, closing)

    backend.publish(Outgoing(topic=f"{CAMERA}/down/cmd/ping", payload=b"{}", correlation=b"\x01\x02"))

    asked = camera.wait_for(message_on(f"{CAMERA}/down/cmd/ping"))
    assert isinstance(asked, Received)
    assert asked.correlation == b"\x01\x02"


def test_what_is_retained_comes_to_whoever_subscribes_later_and_says_so(rig: Rig, closing: ExitStack) -> None:
    backend = backend_session(rig, closing)
    token = backend.publish(Outgoing(topic=f"{CAMERA}/down/desired", payload=b"bundle", retained=True))
    backend.wait_for(answer_to(token))

    camera = connect(rig.camera, closing, f"{CAMERA}/down/#")

    desired = camera.wait_for(message_on(f"{CAMERA}/down/desired"))
    assert isinstance(desired, Received)
    assert (desired.payload, desired.retained) == (b"bundle", True)


def test_a_refused_message_is_answered_with_a_reason_and_reaches_nobody(rig: Rig, closing: ExitStack) -> None:
    camera, backend = connect(rig.camera, closing, f"{CAMERA}/down/#"), backend_session(rig, closing)

    refused = camera.publish(Outgoing(topic="lamppost/v1/cam/pole-8/up/status", payload=b"forged"))
    good = camera.publish(Outgoing(topic=f"{CAMERA}/up/status", payload=b"mine"))

    answer = camera.wait_for(answer_to(refused))
    assert isinstance(answer, Answered)
    assert (answer.taken, answer.reason) == (False, 0x87)
    camera.wait_for(answer_to(good))
    first = backend.wait_for(lambda happening: isinstance(happening, Received))
    assert isinstance(first, Received)
    assert first.payload == b"mine"


def test_a_camera_hears_nothing_of_another(rig: Rig, closing: ExitStack) -> None:
    camera, backend = connect(rig.camera, closing, "lamppost/v1/cam/#"), backend_session(rig, closing)

    backend.publish(Outgoing(topic="lamppost/v1/cam/pole-8/down/desired", payload=b"not for pole-7"))
    backend.publish(Outgoing(topic=f"{CAMERA}/down/desired", payload=b"for pole-7"))

    first = camera.wait_for(lambda happening: isinstance(happening, Received))
    assert isinstance(first, Received)
    assert first.payload == b"for pole-7"


def test_messages_come_in_the_order_in_which_they_were_sent(rig: Rig, closing: ExitStack) -> None:
    camera, backend = connect(rig.camera, closing, f"{CAMERA}/down/#"), backend_session(rig, closing)

    for number in range(10):
        camera.publish(Outgoing(topic=f"{CAMERA}/up/log", payload=b"%d" % number))
    arrived = [backend.wait_for(message_on(f"{CAMERA}/up/log")) for _ in range(10)]

    assert [each.payload for each in arrived if isinstance(each, Received)] == [b"%d" % number for number in range(10)]


def test_a_lost_connection_is_told_and_stays_lost(rig: Rig, closing: ExitStack) -> None:
    camera = connect(rig.camera, closing, f"{CAMERA}/down/#")

    rig.stop()

    with pytest.raises(SessionLostError):
        camera.wait_for(lambda _: False)
    with pytest.raises(SessionLostError):
        camera.session.poll(TICK)
    camera.session.close()
    camera.session.close()
    with pytest.raises(BrokerUnreachableError):
        connect(rig.camera, closing, f"{CAMERA}/down/#")
