"""A network that dies without a word, crawls, or is gone for a week costs time and nothing else."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.clock import SystemClock
from agent.adapters.paho_link import PahoBroker
from agent.adapters.policy_store import PolicyStore
from agent.adapters.status_file import StatusFile
from agent.config import Config
from agent.core.delivery import ANSWER_WITHIN_US, WINDOW
from agent.core.messages.presence import Status
from agent.core.topics import Leaf, topic
from agent.errors import FreshnessError, RollbackError
from agent.link.app import LARGEST_PACKET_BYTES
from agent.link.delivery import BATCH_BYTES
from agent.link.postbox import ANSWER_WITHIN
from agent.ports import Outgoing
from agent.recorder.policy_intake import PolicyIntake
from tests.fakes import payloads
from tests.fakes.broker import FakeBroker
from tests.fakes.city import recording_city
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.documents import restriction
from tests.fakes.linked import CAMERA, PATIENCE_S, FakeBackend, link_config, running_link, until, write_leaves
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.network import Network
from tests.fakes.pki import FakeAuthority

WEEK = timedelta(days=7)
SLOWEST_BITS_PER_S = 32_000
KEEPALIVE = timedelta(seconds=20)
DESIRED = topic(CAMERA, Leaf.DESIRED)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, FakeAuthority()) as started:
        yield started


def direct(broker: Mosquitto, client_id: str) -> PahoBroker:
    return PahoBroker(broker.address(client_id), SystemClock(), largest_bytes=LARGEST_PACKET_BYTES)


def through(network: Network, broker: Mosquitto, **more: timedelta) -> PahoBroker:
    address = replace(broker.address(CAMERA), port=network.port)
    return PahoBroker(address, SystemClock(), largest_bytes=LARGEST_PACKET_BYTES, **more)


def whole_log(config: Config) -> list[bytes]:
    files = sorted((config.state.folder / "log").glob("events-*.jsonl"))
    return [line for file in files for line in file.read_bytes().splitlines()]


def append_leaves(config: Config, first: int, end: int) -> None:
    newest = max((config.state.folder / "log").glob("events-*.jsonl"))
    with newest.open("a", encoding="ascii") as file:
        for number in range(first, end):
            file.write(f'{{"n":{number},"at":"2026-06-01T12:00:00.000000Z","kind":"segment-stored"}}\n')


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE_S / 0.05)):
        if happened():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not happen")


def test_a_connection_that_dies_without_a_word_is_given_up_and_nothing_is_lost(
    tmp_path: Path, broker: Mosquitto
) -> None:
    config = link_config(tmp_path, broker.address(CAMERA))
    write_leaves(config, 300)
    backend, way = FakeBackend(), direct(broker, "backend")

    with (
        Network(broker.port) as network,
        running_link(config, through(network, broker, keepalive=timedelta(seconds=2))),
    ):
        backend.hear_until(way, lambda: len(backend.leaves) == 300)
        network.lose_connections()
        append_leaves(config, 300, 400)
        backend.hear_until(way, lambda: len(backend.leaves) == 400)

        assert network.connections >= 2

    assert backend.leaves == whole_log(config)


def test_all_that_is_on_its_way_at_once_passes_a_slow_uplink_before_anybody_loses_patience() -> None:
    on_the_wire_bytes = WINDOW * BATCH_BYTES * 4 / 3  # base64

    takes = timedelta(seconds=on_the_wire_bytes * 8 / SLOWEST_BITS_PER_S)

    assert takes < timedelta(microseconds=ANSWER_WITHIN_US)  # else every batch is sent again
    assert takes < ANSWER_WITHIN  # else the connection is given up, again and again
    assert takes < KEEPALIVE  # a ping waits behind it


@pytest.mark.slow
def test_over_a_slow_network_status_comes_first_then_policy_and_log_both_arrive(
    tmp_path: Path, broker: Mosquitto
) -> None:
    config = link_config(tmp_path, broker.address(CAMERA))
    write_leaves(config, 300)  # more than the link has on its way at one time
    backend, way = FakeBackend(), direct(broker, "backend")
    bundle = bytes(range(256)) * 48
    session = backend.session(way)
    session.publish(Outgoing(topic=DESIRED, payload=bundle, retained=True))
    session.poll(timedelta(seconds=1))
    session.close()

    arrived = config.policy.inbox / "policy.bundle"
    with Network(broker.port, bits_per_s=64_000) as network, running_link(config, through(network, broker)):
        backend.hear_until(way, lambda: len(backend.leaves) == 300)
        wait_until(arrived.exists)

        assert network.connections == 1  # slow is not dead

    assert backend.leaves_before_status == 0
    assert arrived.read_bytes() == bundle
    assert backend.leaves == whole_log(config)


def test_what_changes_while_a_backlog_waits_is_told_past_it(tmp_path: Path) -> None:
    broker, backend = FakeBroker(), FakeBackend()
    config = link_config(tmp_path)
    config.state.runtime.mkdir(parents=True)
    write_leaves(config, 1000)
    hearing = backend.session(broker)

    with running_link(config, broker):
        until(broker, lambda: len(broker.payloads("up/log")) == WINDOW)  # and waits: nobody acknowledges
        StatusFile(config.state.runtime / "status.json").write(payloads.recorder(CAMERA, at=SystemClock().now()))
        until(broker, lambda: Status.from_bytes(broker.payloads("up/status")[-1]).recorder is not None)
        sent_before = len(broker.payloads("up/log"))
        backend.hear_until(broker, lambda: len(backend.leaves) == 1000, session=hearing)

    assert sent_before == WINDOW
    assert backend.leaves == whole_log(config)


def link_bytes(config: Config) -> int:
    return sum(path.stat().st_size for path in config.link.folder.rglob("*") if path.is_file())


def pass_time_until(clock: FakeClock, broker: FakeBroker, at_least: timedelta, *, tries: int) -> None:
    """Let time pass, and then as much more as it takes the link to try so often."""
    clock.advance(at_least)
    for _ in range(int(PATIENCE_S / 0.05)):
        with broker.arrived:
            if broker.arrived.wait_for(lambda: broker.connects >= tries, 0.05):
                return
        clock.advance(timedelta(minutes=1))  # it may have begun to wait only now
    raise AssertionError("the link does not try")


def test_after_a_week_offline_status_is_live_at_once_the_log_drains_and_old_policy_stays_old(tmp_path: Path) -> None:
    clock, broker, backend = FakeClock(), FakeBroker(), FakeBackend()
    config = link_config(tmp_path)
    city = recording_city(now=clock.now())
    stale = city.publish()
    before_the_restriction = city.twin()
    city.put(restriction())
    newest = city.publish()
    kept = tmp_path / "policy"
    kept.mkdir()
    intake = PolicyIntake(PolicyStore(kept), trusted_root=city.trusted_root, clock=clock)
    intake.offer(stale)
    intake.offer(newest)
    broker.publish(Outgoing(topic=DESIRED, payload=stale, retained=True))  # a broker that was set back
    broker.reachable = False

    with running_link(config, broker, clock, jitter=1.0):
        until(broker, lambda: broker.connects == 1)
        write_leaves(config, 6048)  # a week, at one leaf in a hundred seconds
        for _ in range(7):
            pass_time_until(clock, broker, WEEK / 7, tries=broker.connects + 1)
            assert link_bytes(config) < 4096  # the log is the queue; being offline costs nothing besides it
        with broker.arrived:
            began = len(broker.received)
            broker.reachable = True
        pass_time_until(clock, broker, timedelta(hours=1), tries=broker.connects + 1)
        backend.hear_until(broker, lambda: len(backend.leaves) == 6048)

    with broker.arrived:
        since = [message for message in broker.received[began:] if "/up/" in message.topic]
    kinds = [message.topic.partition("/up/")[2] for message in since]
    assert kinds[:2] == ["birth", "status"]
    assert Status.from_bytes(since[1].payload).at > NOON + WEEK
    assert "log" in kinds
    assert backend.leaves == whole_log(config)
    assert backend.duplicates == 0

    relayed = (config.policy.inbox / "policy.bundle").read_bytes()
    assert relayed == stale
    before_the_restriction.now = clock.now()
    signed_anew = before_the_restriction.sign()  # by a backend that was set back: fresh, and yet an older version
    restarted = PolicyIntake(PolicyStore(kept), trusted_root=city.trusted_root, clock=clock)
    before = restarted.in_force, restarted.floors
    with pytest.raises(FreshnessError):
        restarted.offer(relayed)
    with pytest.raises(RollbackError):
        restarted.offer(signed_anew)
    assert (restarted.in_force, restarted.floors) == before
    assert [one.id for one in restarted.in_force.counting.restrictions] == [restriction().id]
