"""A camera's log is witnessed: what it signed goes up once its leaves have arrived, and comes back cosigned."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.adapters.keyring import open_keyring
from agent.adapters.tile_log import TileLog
from agent.config import Config
from agent.core.log.checkpoint import open_checkpoint, witnessed_at
from agent.core.log.note import VerifierKey, parse_verifier_key
from agent.core.messages.log import CosignedCheckpoint, SignedCheckpoint
from agent.core.topics import Leaf, topic
from agent.ports import Outgoing
from provisioning.backend.store import Store
from tests.fakes.broker import FakeBroker
from tests.fakes.linked import CAMERA, FakeBackend, ask, give, link_config, running_link, until
from tests.tools.backend_process import backend_at_work
from tests.tools.backend_process import until as until_stored
from tests.tools.link_process import CameraSide
from tests.tools.mosquitto import running_broker

WITNESSED = "witnessed.checkpoint"


def write_log(state: Path, camera_id: str, count: int) -> VerifierKey:
    """Let a recorder's log grow by `count` leaves and sign it; return its key."""
    with TileLog(state / "log", camera_id, open_keyring(state / "keys" / "log.pem", credentials=None)) as log:
        if not log.size:
            log.append("started", datetime.now(UTC), log_key=str(log.key))
            count -= 1
        for number in range(count):
            log.append("segment-stored", datetime.now(UTC), number=number)
        log.publish()
        return log.key


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return link_config(tmp_path)


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


def sent(broker: FakeBroker) -> list[SignedCheckpoint]:
    return [SignedCheckpoint.from_bytes(payload) for payload in broker.payloads(Leaf.CHECKPOINT.value)]


def test_a_checkpoint_goes_out_when_the_backend_has_its_leaves_and_not_before(
    config: Config, broker: FakeBroker
) -> None:
    key = write_log(config.state.folder, CAMERA, 20)
    backend = FakeBackend()
    hearing = backend.session(broker)

    with running_link(config, broker):
        until(broker, lambda: bool(broker.payloads("up/log")))
        until(broker, lambda: bool(broker.payloads("up/status")))
        assert sent(broker) == []
        backend.hear_until(broker, lambda: bool(sent(broker)), session=hearing)

    (message,) = sent(broker)
    assert message.note.encode() == (config.state.folder / "log" / "checkpoint").read_bytes()
    assert open_checkpoint(message.note.encode(), key).size == 20


@pytest.fixture
def asked(config: Config, broker: FakeBroker) -> Iterator[SignedCheckpoint]:
    """A link that runs and has sent its checkpoint."""
    write_log(config.state.folder, CAMERA, 20)
    backend = FakeBackend()
    with running_link(config, broker):
        backend.hear_until(broker, lambda: bool(sent(broker)))
        yield sent(broker)[0]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda note: note.replace("\n20\n", "\n21\n"), id="another size"),
        pytest.param(lambda note: note.replace(CAMERA, "other-camera"), id="another log"),
        pytest.param(lambda _note: "not a note", id="no note"),
    ],
)
def test_what_was_not_sent_is_not_kept(
    config: Config, broker: FakeBroker, asked: SignedCheckpoint, changed: object
) -> None:
    assert callable(changed)
    kept = config.link.folder / WITNESSED

    def answer(note: str) -> None:
        message = CosignedCheckpoint(camera_id=CAMERA, log_id=asked.log_id, note=note)
        broker.publish(Outgoing(topic=topic(CAMERA, Leaf.COSIGNED), payload=message.to_bytes()))

    answer(changed(asked.note))
    give(broker, ask("ping"))  # what came before it has been dealt with
    assert not kept.exists()

    answer(asked.note)
    give(broker, ask("ping", command_id="c2"))
    assert kept.read_text(encoding="utf-8") == asked.note


@pytest.mark.slow
def test_over_broker_and_backend_a_cosigned_checkpoint_lies_beside_the_camera_and_a_fork_does_not(
    tmp_path: Path,
) -> None:
    with running_broker(tmp_path) as broker:
        camera = CameraSide(broker, tmp_path / "camera")
        key = write_log(camera.place / "state", "cam-1", 30)
        kept = camera.place / "link" / WITNESSED
        try:
            with backend_at_work(broker):
                broker.wait_for_client("backend.lamppost")
                camera.start()
                until_stored(broker.folder, lambda _fleet: kept.exists(), why=camera.diagnostics)
                camera.kill()
                before = kept.read_bytes()

                retold(camera)
                camera.start()
                until_stored(
                    broker.folder,
                    lambda fleet: [one.kind for one in fleet.incidents.all()] == ["log-forked"],
                    why="it is noted",
                )
        finally:
            camera.kill()

    witness = parse_verifier_key((broker.folder.witness / "witness.vkey").read_text(encoding="ascii").strip())
    assert open_checkpoint(before, key).size == 30
    assert witnessed_at(before, witness) <= datetime.now(UTC)
    assert kept.read_bytes() == before
    store = Store(broker.folder.store_url)
    with store.transaction() as fleet:
        (known,) = fleet.cameras.all()
    store.close()
    assert [one.kind for one in known.alarms] == ["log-forked"]


def retold(camera: CameraSide) -> None:
    """Sign, with the camera's own key, another log of the same leaves and one more that was not sent."""
    state = camera.place / "state"
    elsewhere = camera.place / "elsewhere"
    (elsewhere / "keys").mkdir(parents=True)
    (elsewhere / "keys" / "log.pem").write_bytes((state / "keys" / "log.pem").read_bytes())
    (elsewhere / "keys" / "log.pem").chmod(0o600)
    write_log(elsewhere, "cam-1", 30)
    (state / "log" / "checkpoint").write_bytes((elsewhere / "log" / "checkpoint").read_bytes())
