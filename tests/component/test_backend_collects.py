"""The backend keeps what cameras send, answers it, and tells them what was published."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from agent.core.messages.commands import Command, CredentialRenewArgs, CredentialRenewResult, Outcome, Reply
from agent.core.messages.log import Ack
from agent.core.topics import Leaf, topic
from provisioning.authority.city import CityFolder, refresh
from provisioning.backend.ca import make_private_key, make_request
from provisioning.backend.service import Backend
from provisioning.backend.store import Store
from tests.fakes.documents import revocation
from tests.fakes.officials import enact, found
from tests.fakes.payloads import batch, birth, status
from tests.tools.backend_process import backend_at_work, backend_process, until
from tests.tools.mosquitto import Mosquitto, running_broker
from tests.tools.mqtt_client import Client

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with running_broker(tmp_path) as running:
        yield running


@pytest.fixture
def city(tmp_path: Path) -> CityFolder:
    return found(tmp_path / "city", now=NOW - timedelta(hours=1))


@pytest.fixture
def backend(broker: Mosquitto, city: CityFolder) -> Iterator[Backend]:
    with backend_at_work(broker, city) as running:
        yield running


@pytest.fixture
def camera(broker: Mosquitto, tmp_path: Path) -> Iterator[Client]:
    client = Client(broker, *broker.enrol("cam-1", tmp_path))
    client.subscribe("lamppost/v1/cam/cam-1/down/#")
    yield client
    client.close()


def heard(camera: Client, leaf: Leaf, name: str = "") -> list[bytes]:
    return [payload for where, payload in camera.heard if where == topic("cam-1", leaf, name)]


def test_leaves_are_kept_in_order_and_acknowledged_when_they_are(
    broker: Mosquitto, backend: Backend, camera: Client
) -> None:
    camera.publish(topic("cam-1", Leaf.LOG), batch([b"a", b"b"]).to_bytes())
    camera.publish(topic("cam-1", Leaf.LOG), batch([b"b", b"c"], first=1).to_bytes())

    camera.wait_until(lambda: len(heard(camera, Leaf.ACK)) == 2)

    assert [Ack.from_bytes(one).next for one in heard(camera, Leaf.ACK)] == [2, 3]

    store = Store(broker.folder.store_url)
    with store.transaction() as fleet:
        assert fleet.logs.leaves("cam-1", "log-a", 0, 9) == {0: b"a", 1: b"b", 2: b"c"}
    store.close()


def test_a_camera_gets_the_release_and_each_that_follows(
    broker: Mosquitto, city: CityFolder, backend: Backend, camera: Client
) -> None:
    first = city.bundle_path.read_bytes()
    camera.publish(topic("cam-1", Leaf.BIRTH), birth().to_bytes(), retain=True)
    camera.wait_until(lambda: first in heard(camera, Leaf.DESIRED))

    refresh(city, now=datetime.now(UTC))

    second = city.bundle_path.read_bytes()
    camera.wait_until(lambda: second in heard(camera, Leaf.DESIRED))
    digest = hashlib.sha256(second).hexdigest()
    until(
        broker.folder, lambda fleet: fleet.cameras.all()[0].desired_digest == digest, why="what was published is noted"
    )
    assert not [one for one in heard(camera, Leaf.REVOKE) if one]


def test_a_revocation_goes_out_on_its_own_topic_first(city: CityFolder, backend: Backend, camera: Client) -> None:
    camera.publish(topic("cam-1", Leaf.BIRTH), birth().to_bytes(), retain=True)
    camera.wait_until(lambda: bool(heard(camera, Leaf.DESIRED)))
    order = revocation(cameras=("cam-1",), starts_at=NOW)

    enact(city, order, "it-director", now=datetime.now(UTC))

    bundle = city.bundle_path.read_bytes()
    camera.wait_until(lambda: bundle in heard(camera, Leaf.DESIRED))
    topics = [where.rpartition("/")[2] for where, payload in camera.heard if payload == bundle]
    assert topics == ["revoke", "desired"]


def test_a_certificate_is_renewed_when_a_third_of_its_life_is_over(
    broker: Mosquitto, backend: Backend, camera: Client
) -> None:
    key, _ = make_private_key()
    soon = datetime.now(UTC) + timedelta(days=19)

    camera.publish(topic("cam-1", Leaf.STATUS), status(certificate_expires_at=soon).to_bytes())
    orders = lambda: heard(camera, Leaf.COMMAND, "credential.renew")  # noqa: E731 - asked again and again
    camera.wait_until(lambda: len(orders()) == 1)
    asked = Command.from_bytes(orders()[0])
    result = CredentialRenewResult(request=make_request("cam-1", key).decode()).model_dump(mode="json")
    answer = Reply(
        camera_id="cam-1",
        name=asked.name,
        command_id=asked.id,
        at=datetime.now(UTC),
        outcome=Outcome.DONE,
        result=result,
    )
    camera.publish(topic("cam-1", Leaf.REPLY, asked.name), answer.to_bytes())

    camera.wait_until(lambda: len(orders()) == 2)
    chain = CredentialRenewArgs.model_validate(Command.from_bytes(orders()[1]).args).chain
    assert chain is not None
    renewed, _issuer = x509.load_pem_x509_certificates(chain.encode())
    assert renewed.public_key() == key.public_key()
    assert renewed.not_valid_after_utc > soon


def test_a_malformed_message_is_an_incident_and_stops_nothing(
    broker: Mosquitto, backend: Backend, camera: Client
) -> None:
    camera.publish(topic("cam-1", Leaf.LOG), b"{}")
    camera.publish(topic("cam-1", Leaf.LOG), batch([b"x"], camera_id="cam-2").to_bytes())
    camera.publish(topic("cam-1", Leaf.LOG), batch([b"a"]).to_bytes())

    camera.wait_until(lambda: len(heard(camera, Leaf.ACK)) == 1)

    until(broker.folder, lambda fleet: bool(fleet.incidents.all()), why="it was noted")
    store = Store(broker.folder.store_url)
    with store.transaction() as fleet:
        assert [(one.camera_id, one.kind, one.count) for one in fleet.incidents.all()] == [
            ("cam-1", "malformed-log", 2)
        ]
        assert fleet.cameras.names() == ("cam-1",)
    store.close()


def test_a_broker_that_was_restarted_is_told_everything_again(
    broker: Mosquitto, city: CityFolder, tmp_path: Path
) -> None:
    bundle = city.bundle_path.read_bytes()
    with backend_process(broker, city.path):  # its sockets break, which is its own process's affair
        camera = Client(broker, *broker.enrol("cam-1", tmp_path))
        camera.subscribe("lamppost/v1/cam/cam-1/down/#")
        camera.publish(topic("cam-1", Leaf.BIRTH), birth().to_bytes(), retain=True)
        camera.wait_until(lambda: bundle in heard(camera, Leaf.DESIRED))
        camera.close()

        broker.kill()
        broker.start()

        again = Client(broker, *broker.enrol("cam-1", tmp_path / "again"))
        again.subscribe("lamppost/v1/cam/cam-1/down/#")
        again.wait_until(lambda: bundle in heard(again, Leaf.DESIRED))
        again.close()
