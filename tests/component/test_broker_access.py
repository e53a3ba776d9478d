"""The generated broker lets each camera be itself, and nobody else."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.topics import BACKEND_SUBSCRIPTION, Leaf, topic
from provisioning.backend.ca import found_authority, make_private_key, make_request
from provisioning.backend.installation import reload_broker, revoke_camera
from tests.tools.mosquitto import PASSPHRASE, WAIT_S, Mosquitto, running_broker
from tests.tools.mqtt_client import Client, is_refused


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running_broker(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture
def backend(broker: Mosquitto) -> Iterator[Client]:
    client = Client(broker, broker.folder.certificate, broker.folder.key)
    client.subscribe(BACKEND_SUBSCRIPTION)
    yield client
    client.close()


@pytest.fixture
def camera(broker: Mosquitto, tmp_path: Path) -> Iterator[Client]:
    client = Client(broker, *broker.enrol("cam-1", tmp_path))
    yield client
    client.close()


def test_a_camera_and_the_backend_hear_each_other(backend: Client, camera: Client) -> None:
    camera.subscribe("lamppost/v1/cam/cam-1/down/#")

    assert camera.publish(topic("cam-1", Leaf.STATUS), b"here")
    assert backend.publish(topic("cam-1", Leaf.ACK), b"heard")

    backend.wait_for(b"here")
    camera.wait_for(b"heard")


def test_a_certificate_of_another_camera_reaches_nothing_of_this_one(
    broker: Mosquitto, backend: Client, camera: Client, tmp_path: Path
) -> None:
    camera.subscribe("lamppost/v1/cam/cam-1/down/#")
    impostor = Client(broker, *broker.enrol("cam-2", tmp_path), client_id="cam-1")
    impostor.subscribe("lamppost/v1/cam/cam-1/down/#")
    impostor.subscribe("#")

    assert not impostor.publish(topic("cam-1", Leaf.STATUS), b"forged status")
    assert not impostor.publish(topic("cam-1", Leaf.DESIRED), b"forged policy")
    assert not impostor.publish(topic("cam-2", Leaf.ACK), b"forged ack")
    assert impostor.publish(topic("cam-2", Leaf.STATUS), b"own status")

    backend.wait_for(b"own status")
    assert backend.publish(topic("cam-1", Leaf.ACK), b"for cam-1 alone")
    camera.wait_for(b"for cam-1 alone")  # it was not thrown off by the other's claim to its client id
    assert not [payload for _, payload in backend.heard if payload.startswith(b"forged")]
    assert not [heard for heard in impostor.heard if b"cam-1" in heard[0].encode() or b"cam-1" in heard[1]]
    impostor.close()


def test_a_revoked_camera_is_cut_off_at_once_and_does_not_come_back(
    broker: Mosquitto, backend: Client, tmp_path: Path
) -> None:
    chain, key = broker.enrol("cam-3", tmp_path)
    camera = Client(broker, chain, key)
    camera.subscribe("lamppost/v1/cam/cam-3/down/#")
    assert camera.publish(topic("cam-3", Leaf.STATUS), b"before")

    assert revoke_camera(broker.folder, broker.authority, "cam-3", now=datetime.now(UTC))

    for attempt in range(600):  # the broker reads its lists at its next turn
        if not camera.publish(topic("cam-3", Leaf.STATUS), b"attempt %d" % attempt):
            break
    assert not camera.publish(topic("cam-3", Leaf.STATUS), b"after")
    backend.publish(topic("cam-3", Leaf.ACK), b"for nobody")
    camera.close()
    assert is_refused(broker, chain, key)
    assert b"after" not in [payload for _, payload in backend.heard]
    assert b"for nobody" not in [payload for _, payload in camera.heard]
    assert not is_refused(broker, *broker.enrol("cam-3", tmp_path / "again"))  # enrolled anew, it may try again


def test_a_camera_of_another_fleet_is_refused(broker: Mosquitto, tmp_path: Path) -> None:
    other = found_authority(
        tmp_path / "other", tmp_path / "root", city="Elsewhere", passphrase=PASSPHRASE, now=datetime.now(UTC)
    )
    key, pem = make_private_key()
    chain = other.issue_device("cam-1", make_request("cam-1", key), now=datetime.now(UTC)).chain
    (tmp_path / "chain").write_bytes(chain)
    (tmp_path / "key").write_bytes(pem)

    assert is_refused(broker, tmp_path / "chain", tmp_path / "key")


def test_an_expired_certificate_is_refused(broker: Mosquitto, tmp_path: Path) -> None:
    key, pem = make_private_key()
    long_ago = datetime.now(UTC) - timedelta(days=31)
    chain = broker.authority.issue_device("cam-5", make_request("cam-5", key), now=long_ago).chain
    (tmp_path / "chain").write_bytes(chain)
    (tmp_path / "key").write_bytes(pem)

    assert is_refused(broker, tmp_path / "chain", tmp_path / "key")


def test_a_client_without_a_certificate_or_with_older_tls_is_refused(broker: Mosquitto, tmp_path: Path) -> None:
    bare = ssl.create_default_context(cafile=str(broker.authority.root_file))
    older = broker.tls(*broker.enrol("cam-6", tmp_path))
    older.minimum_version, older.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    for context in (bare, older):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            say_hello(broker, context)


def say_hello(broker: Mosquitto, context: ssl.SSLContext) -> None:
    with (
        socket.create_connection(("127.0.0.1", broker.port), timeout=WAIT_S) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"\x10\x00")
        if not tls.recv(1):  # TLS 1.3 tells a client without certificate after its handshake
            raise ConnectionError("closed")


def test_a_broker_that_does_not_run_is_not_told(broker: Mosquitto, tmp_path: Path) -> None:
    stopped = Mosquitto(tmp_path)

    assert not reload_broker(stopped.folder)
