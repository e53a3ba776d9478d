"""Link, broker and backend together: whatever dies, each leaf arrives once, in order, and only its own camera's."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.messages.commands import Outcome
from agent.core.topics import Leaf, topic
from provisioning.backend.installation import revoke_camera
from provisioning.backend.orders import ask, make_command
from provisioning.backend.store import Store, Transaction
from provisioning.clock import utc_now
from tests.fakes.payloads import batch, birth, status
from tests.tools.backend_process import backend_at_work, backend_process, start_backend, until
from tests.tools.link_process import CameraSide
from tests.tools.mosquitto import WAIT_S, Mosquitto, running_broker
from tests.tools.mqtt_client import Client

LEAVES = 2_000


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with running_broker(tmp_path) as running:
        yield running


@pytest.fixture
def camera(broker: Mosquitto, tmp_path: Path) -> Iterator[CameraSide]:
    side = CameraSide(broker, tmp_path / "camera")
    yield side
    side.kill()


def arrived(fleet: Transaction) -> int:
    camera = fleet.cameras.get("cam-1")
    return 0 if camera is None else camera.log_next


def stored(broker: Mosquitto) -> dict[int, bytes]:
    """Return what the backend has of the camera's one log."""
    store = Store(broker.folder.store_url)
    with store.transaction() as fleet:
        (camera,) = fleet.cameras.all()
        assert camera.log_id is not None
        assert camera.log_lost == 0
        leaves = fleet.logs.leaves("cam-1", camera.log_id, 0, 10 * LEAVES)
    store.close()
    return leaves


def incidents(broker: Mosquitto) -> list[str]:
    store = Store(broker.folder.store_url)
    with store.transaction() as fleet:
        kinds = [one.kind for one in fleet.incidents.all()]
    store.close()
    return kinds


@pytest.mark.slow
def test_every_leaf_arrives_once_and_in_order_while_the_broker_is_killed(broker: Mosquitto, camera: CameraSide) -> None:
    camera.write_events(LEAVES)

    with backend_process(broker):
        broker.wait_for_client("backend.lamppost")
        camera.start()
        for some in (1, LEAVES // 2):
            until(broker.folder, lambda fleet, some=some: arrived(fleet) >= some, why=camera.diagnostics)  # type: ignore[misc]
            broker.kill()
            broker.start()
        until(broker.folder, lambda fleet: arrived(fleet) == LEAVES, why="every leaf arrives")

    assert list(stored(broker).items()) == list(enumerate(camera.lines()))
    assert incidents(broker) == []


@pytest.mark.slow
def test_every_leaf_arrives_once_while_the_backend_is_killed(broker: Mosquitto, camera: CameraSide) -> None:
    camera.write_events(LEAVES)
    backend: subprocess.Popen[bytes] | None = start_backend(broker)
    broker.wait_for_client("backend.lamppost")
    camera.start()
    try:
        for some in (1, LEAVES // 3):
            backend = backend or start_backend(broker)
            until(broker.folder, lambda fleet, some=some: arrived(fleet) >= some, why="leaves arrive")  # type: ignore[misc]
            os.kill(backend.pid, signal.SIGKILL)
            backend.wait(WAIT_S)
            backend = None
        backend = start_backend(broker)
        until(broker.folder, lambda fleet: arrived(fleet) == LEAVES, why="every leaf arrives")
    finally:
        if backend is not None:
            backend.kill()
            backend.wait(WAIT_S)

    assert list(stored(broker).items()) == list(enumerate(camera.lines()))
    assert incidents(broker) == []


def test_a_command_is_answered_and_a_certificate_renewed(broker: Mosquitto, camera: CameraSide) -> None:
    camera.start()
    before = camera.credential.read_bytes()
    ping = make_command("cam-1", "ping", {}, now=utc_now())
    renew = make_command("cam-1", "credential.renew", {}, now=utc_now())

    with backend_at_work(broker):
        until(broker.folder, lambda fleet: fleet.cameras.names() == ("cam-1",), why="it is born")
        store = Store(broker.folder.store_url)
        with store.transaction() as fleet:
            ask(fleet, ping, by="a test")
            ask(fleet, renew, by="a test")
        store.close()
        until(broker.folder, lambda fleet: _outcome(fleet, ping.id) is Outcome.DONE, why="it answers")
        until(broker.folder, lambda fleet: len(_renewals(fleet)) == 2 and all(_renewals(fleet)), why="it renews")

    assert camera.credential.read_bytes() != before
    assert incidents(broker) == []


def _outcome(fleet: Transaction, command_id: str) -> Outcome | None:
    command = fleet.commands.get(command_id)
    return None if command is None or command.reply is None else command.reply.outcome


def _renewals(fleet: Transaction) -> list[bool]:
    asked = fleet.commands.of("cam-1", name="credential.renew")
    return [one.reply is not None and one.reply.outcome is Outcome.DONE for one in asked]


def test_an_impostor_with_another_cameras_certificate_changes_nothing_about_this_one(
    broker: Mosquitto, camera: CameraSide, tmp_path: Path
) -> None:
    camera.write_events(10)

    with backend_at_work(broker):
        broker.wait_for_client("backend.lamppost")
        camera.start()
        until(broker.folder, lambda fleet: arrived(fleet) == 10, why="its leaves arrive")
        impostor = Client(broker, *broker.enrol("cam-2", tmp_path), client_id="cam-1")
        forged = batch([b"forged"], first=10)
        for leaf, payload in (
            (Leaf.LOG, forged.to_bytes()),
            (Leaf.BIRTH, birth(sequence=9_000, online=False).to_bytes()),
            (Leaf.STATUS, status().to_bytes()),
        ):
            assert not impostor.publish(topic("cam-1", leaf), payload)
            assert impostor.publish(topic("cam-2", leaf), payload)  # its own topics, another camera's name
        until(broker.folder, lambda fleet: len(fleet.incidents.all("cam-2")) == 3, why="it is noted")
        impostor.close()

    assert list(stored_of(broker, "cam-1").values()) == camera.lines()
    assert stored_of(broker, "cam-2") == {}


def stored_of(broker: Mosquitto, camera_id: str) -> dict[int, bytes]:
    store = Store(broker.folder.store_url)
    with store.transaction() as fleet:
        camera = fleet.cameras.get(camera_id)
        assert camera is not None
        leaves = fleet.logs.leaves(camera_id, camera.log_id or "", 0, 10 * LEAVES)
    store.close()
    return leaves


def test_a_revoked_camera_tells_why_it_is_not_let_in(broker: Mosquitto, camera: CameraSide) -> None:
    with backend_at_work(broker):
        camera.start()
        until(broker.folder, lambda fleet: fleet.cameras.names() == ("cam-1",), why="it is born")
        camera.kill()

        revoke_camera(broker.folder, broker.authority, "cam-1", now=utc_now())
        camera.write_events(5)
        camera.start()

        assert _says(camera, "revoked"), camera.diagnostics
        store = Store(broker.folder.store_url)
        with store.transaction() as fleet:
            assert arrived(fleet) == 0
        store.close()


def _says(camera: CameraSide, word: str) -> bool:
    import threading  # noqa: PLC0415 - to wait, nowhere else

    for _ in range(int(WAIT_S / 0.05)):
        if word in camera.diagnostics:
            return True
        threading.Event().wait(0.05)
    return False
