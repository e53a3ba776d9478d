"""Whatever a hostile broker sends as policy reaches the recorder's inbox as it came, and is refused there."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.adapters.policy_store import PolicyStore
from agent.core.topics import Leaf, topic
from agent.errors import BundleFormatError, LamppostError, RollbackError, SignatureError
from agent.recorder.policy_intake import PolicyIntake
from tests.fakes.city import City, key_of, recording_city
from tests.fakes.clock import FakeClock
from tests.fakes.documents import grant, restriction
from tests.tools.link_process import CameraSide
from tests.tools.mosquitto import WAIT_S, Mosquitto, running_broker
from tests.tools.mqtt_client import Client


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running_broker(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture(scope="module")
def hostile(broker: Mosquitto) -> Iterator[Client]:
    """Whoever owns the broker can say what the backend can."""
    client = Client(broker, broker.folder.certificate, broker.folder.key)
    yield client
    client.close()


@pytest.fixture(scope="module")
def camera(broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraSide]:
    side = CameraSide(broker, tmp_path_factory.mktemp("camera") / "cam-1")
    side.start()
    broker.wait_for_client("cam-1")
    yield side
    side.kill()


def relayed(hostile: Client, camera: CameraSide, leaf: Leaf, bundle: bytes) -> bytes:
    """Publish a bundle and return what lies in the recorder's inbox then, taken away as the recorder does."""
    hostile.publish(topic("cam-1", leaf), bundle, retain=True)
    waiting = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        if camera.bundle.exists():
            taken = camera.bundle.read_bytes()
            camera.bundle.unlink()
            if taken == bundle:  # not what the broker had retained from the case before
                return taken
        waiting.wait(0.02)
    raise AssertionError(camera.diagnostics)


def forged(city: City) -> bytes:
    """Return a release whose grants a stranger signed."""
    twin = city.twin()
    twin.signers["grants"] = [key_of("stranger")]
    twin.put(grant(id="g-2026-666"))
    return twin.publish()


def rolled_back(city: City) -> bytes:
    """Return a release older than the one in force."""
    old = city.bundle()
    city.put(restriction())
    city.publish()
    return old


def truncated(city: City) -> bytes:
    return city.bundle()[:-7]


@pytest.mark.parametrize("leaf", [Leaf.DESIRED, Leaf.REVOKE])
@pytest.mark.parametrize(
    ("attack", "refusal"), [(forged, SignatureError), (rolled_back, RollbackError), (truncated, BundleFormatError)]
)
def test_a_bundle_that_no_city_made_is_relayed_and_refused(
    hostile: Client, camera: CameraSide, tmp_path: Path, attack: object, refusal: type[LamppostError], leaf: Leaf
) -> None:
    city = recording_city()
    city.publish()
    assert callable(attack)
    hostile_bundle = attack(city)
    intake = PolicyIntake(PolicyStore(tmp_path), trusted_root=city.trusted_root, clock=FakeClock(city.now))
    intake.offer(relayed(hostile, camera, Leaf.DESIRED, city.bundle()))
    before = intake.in_force, intake.floors

    arrived = relayed(hostile, camera, leaf, hostile_bundle)

    with pytest.raises(refusal):
        intake.offer(arrived)
    assert (intake.in_force, intake.floors) == before
    assert intake.in_force.counting.grants


def test_what_is_larger_than_any_bundle_never_reaches_the_disk(
    hostile: Client, camera: CameraSide, tmp_path: Path
) -> None:
    city = recording_city()
    honest = city.publish()

    hostile.publish(topic("cam-1", Leaf.DESIRED), bytes(2 * 1024 * 1024 + 1))
    arrived = relayed(hostile, camera, Leaf.DESIRED, honest)

    assert arrived == honest
    assert "expected at most" in camera.diagnostics
    assert not camera.bundle.exists()
