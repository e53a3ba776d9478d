"""Two nodes of ejabberd are one broker to our link and backend, and keep strangers out; what differs is what we say.

Everything is under the configuration that `lamppost backend broker --kind ejabberd` writes.
"""

import hashlib
import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.messages.commands import Outcome
from agent.core.topics import Leaf, topic
from provisioning.authority.city import refresh
from provisioning.backend.ca import found_authority, make_private_key, make_request
from provisioning.backend.installation import revoke_camera
from provisioning.backend.orders import ask, make_command
from provisioning.backend.store import Store, Transaction
from provisioning.clock import utc_now
from tests.fakes.network import Network
from tests.fakes.officials import found
from tests.tools.backend_process import backend_at_work, until
from tests.tools.ejabberd import Cluster, libraries
from tests.tools.link_process import CameraSide
from tests.tools.mosquitto import HOST, PASSPHRASE, WAIT_S
from tests.tools.mqtt_client import Client, is_refused

BACKEND = "backend.lamppost"
LEAVES = 200
MARK = b"what was sent last"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    libraries()
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def backend(cluster: Cluster) -> Iterator[Client]:
    client = Client(cluster.other, cluster.folder.certificate, cluster.folder.key, client_id=BACKEND)
    client.subscribe("lamppost/v1/cam/+/up/#")
    yield client
    client.close()


def test_a_camera_on_one_node_and_the_backend_on_the_other_hear_each_other(
    cluster: Cluster, backend: Client, tmp_path: Path
) -> None:
    camera = Client(cluster.one, *cluster.one.enrol("cam-2", tmp_path), client_id="cam-2")
    camera.subscribe("lamppost/v1/cam/cam-2/down/#")

    assert camera.publish(topic("cam-2", Leaf.STATUS), b"here")
    assert backend.publish(topic("cam-2", Leaf.ACK), b"heard")

    backend.wait_for(b"here")
    camera.wait_for(b"heard")
    camera.close()


def test_a_certificate_of_another_camera_reaches_nothing_of_this_one(
    cluster: Cluster, backend: Client, tmp_path: Path
) -> None:
    chain, key = cluster.one.enrol("cam-3", tmp_path)
    impostor = Client(cluster.one, chain, key, client_id="cam-3")
    impostor.subscribe("lamppost/v1/cam/cam-2/down/#")
    impostor.subscribe("lamppost/v1/cam/+/down/#")
    impostor.subscribe("#")

    assert is_refused(cluster.one, chain, key, client_id="cam-2")
    assert not impostor.publish(topic("cam-2", Leaf.STATUS), b"forged status")
    assert not impostor.publish(topic("cam-2", Leaf.DESIRED), b"forged policy")
    assert not impostor.publish(topic("cam-3", Leaf.ACK), b"forged ack")
    assert impostor.publish(topic("cam-3", Leaf.STATUS), MARK)
    assert backend.publish(topic("cam-2", Leaf.ACK), b"for cam-2 alone")

    backend.wait_for(MARK)
    impostor.subscribe("lamppost/v1/cam/cam-3/down/#")
    assert backend.publish(topic("cam-3", Leaf.ACK), MARK)
    impostor.wait_for(MARK)
    assert [payload for _, payload in impostor.heard] == [MARK]
    assert not [payload for _, payload in backend.heard if payload.startswith(b"forged")]
    impostor.close()


def test_who_is_not_of_the_fleet_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    elsewhere = found_authority(tmp_path / "a", tmp_path / "r", city="Elsewhere", passphrase=PASSPHRASE, now=utc_now())
    long_ago = datetime.now(UTC) - timedelta(days=31)
    for number, (authority, issued_at) in enumerate(((elsewhere, utc_now()), (cluster.authority, long_ago))):
        key, pem = make_private_key()
        chain, key_file = tmp_path / f"{number}.pem", tmp_path / f"{number}.key"
        chain.write_bytes(authority.issue_device("cam-2", make_request("cam-2", key), now=issued_at).chain)
        key_file.write_bytes(pem)

        assert is_refused(cluster.one, chain, key_file, client_id="cam-2")

    server = cluster.folder.broker / "server.pem", cluster.folder.broker / "server.key"
    assert is_refused(cluster.one, *server, client_id="broker.lamppost")


def test_nothing_older_than_tls_1_3_is_spoken(cluster: Cluster, tmp_path: Path) -> None:
    context = cluster.one.tls(*cluster.one.enrol("cam-4", tmp_path))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with (
        socket.create_connection((HOST, cluster.one.port), WAIT_S) as plain,
        pytest.raises(OSError, match=r"(?i)version|reset|eof"),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_a_revoked_camera_can_say_and_ask_for_nothing_once_the_nodes_have_read_the_list(
    cluster: Cluster, backend: Client, tmp_path: Path
) -> None:
    chain, key = cluster.one.enrol("cam-5", tmp_path)
    open_before = Client(cluster.one, chain, key, client_id="cam-5")
    assert open_before.publish(topic("cam-5", Leaf.STATUS), b"before")

    revoke_camera(cluster.folder, cluster.authority, "cam-5", now=utc_now())
    for node in (cluster.one, cluster.other):
        node.reload()

    assert not open_before.publish(topic("cam-5", Leaf.STATUS), b"after")
    open_before.subscribe("lamppost/v1/cam/cam-5/down/#")
    assert backend.publish(topic("cam-5", Leaf.ACK), b"for nobody")
    comes_again = Client(cluster.other, chain, key, client_id="cam-5")
    assert not comes_again.publish(topic("cam-5", Leaf.STATUS), b"after")
    assert [payload for where, payload in backend.heard if "cam-5" in where] == [b"before"]
    assert open_before.heard == comes_again.heard == []
    for client in (open_before, comes_again):
        client.close()


def test_retained_messages_stay_on_the_node_that_took_them(cluster: Cluster, backend: Client, tmp_path: Path) -> None:
    credential = cluster.one.enrol("cam-6", tmp_path)
    assert backend.publish(topic("cam-6", Leaf.DESIRED), b"a bundle", retain=True)

    heard: dict[str, list[bytes]] = {}
    for name, node in (("one", cluster.one), ("other", cluster.other)):
        camera = Client(node, *credential, client_id="cam-6")
        camera.subscribe("lamppost/v1/cam/cam-6/down/#")
        assert backend.publish(topic("cam-6", Leaf.ACK), MARK)
        camera.wait_for(MARK)
        heard[name] = [payload for _, payload in camera.heard]
        camera.close()

    assert heard == {"one": [MARK], "other": [b"a bundle", MARK]}  # why the backend has `--cluster`


def test_link_and_backend_go_on_when_the_cameras_node_is_killed_and_when_it_is_back(
    cluster: Cluster, tmp_path: Path
) -> None:
    city = found(tmp_path / "city", now=utc_now() - timedelta(hours=1))
    with Network(cluster.one.port) as network:
        camera = CameraSide(cluster.one, tmp_path / "camera", port=network.port)
        camera.write_events(LEAVES)
        try:
            with backend_at_work(cluster.other, city, forgetful=True):
                cluster.other.wait_for(lambda: f"session for {BACKEND}@" in cluster.other.log, "no backend")
                camera.start()
                everything_works(cluster, camera, city.bundle_path, leaves=LEAVES)

                cluster.one.kill()
                network.target_port = cluster.other.port
                refresh(city, now=utc_now())
                camera.write_events(LEAVES)
                everything_works(cluster, camera, city.bundle_path, leaves=2 * LEAVES)

                camera.kill()
                camera.bundle.unlink()  # as a recorder takes it; a link that starts writes over nothing
                cluster.one.start()
                network.target_port = cluster.one.port
                refresh(city, now=utc_now() + timedelta(seconds=1))  # published, and retained, on the other node only
                camera.write_events(LEAVES)
                camera.start()
                everything_works(cluster, camera, city.bundle_path, leaves=3 * LEAVES)
                camera.stop()
        finally:
            camera.kill()

    store = Store(cluster.folder.store_url)
    with store.transaction() as fleet:
        known = fleet.cameras.get("cam-1")
        assert known is not None
        assert known.log_lost == 0
        kept = fleet.logs.leaves("cam-1", known.log_id or "", 0, 10 * LEAVES)
        assert fleet.incidents.all() == ()
    store.close()
    assert list(kept.items()) == list(enumerate(camera.lines()))
    assert json.loads((camera.place / "link" / "link.json").read_text())["acked"] == 3 * LEAVES


def everything_works(cluster: Cluster, camera: CameraSide, bundle: Path, *, leaves: int) -> None:
    """Birth and status, policy, a command and its reply, and every leaf there and back."""
    released = bundle.read_bytes()
    digest = hashlib.sha256(released).hexdigest()
    ping = make_command("cam-1", "ping", {}, now=utc_now())

    def there(fleet: Transaction) -> bool:
        known = fleet.cameras.get("cam-1")
        return (
            known is not None
            and known.birth is not None
            and known.birth.online
            and known.status is not None
            and known.log_next == leaves  # more than its window: without acknowledgements it would have stopped
            and known.reported is not None
            and known.reported.desired is not None
            and known.reported.desired.digest == digest
        )

    until(cluster.folder, there, why=camera.diagnostics)
    store = Store(cluster.folder.store_url)
    with store.transaction() as fleet:
        ask(fleet, ping, by="a test")
    store.close()
    until(cluster.folder, lambda fleet: _outcome(fleet, ping.id) is Outcome.DONE, why="it answers")
    assert camera.bundle.read_bytes() == released


def _outcome(fleet: Transaction, command_id: str) -> Outcome | None:
    command = fleet.commands.get(command_id)
    return None if command is None or command.reply is None else command.reply.outcome
