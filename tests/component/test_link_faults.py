"""Whatever is killed, cut or hostile: every leaf arrives once by index, in order, and the link stays small."""

import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.clock import SystemClock
from agent.adapters.paho_link import BrokerAddress, PahoBroker
from agent.config import Config
from agent.errors import (
    BrokerUnreachableError,
    BrokerUntrustedError,
    CredentialError,
    LamppostError,
    SessionLostError,
    SessionRefusedError,
)
from agent.link.app import LARGEST_PACKET_BYTES
from agent.ports import Answered, BrokerSession, Happening, Outgoing
from tests.fakes.linked import CAMERA, PATIENCE_S, FakeBackend, link_config, running_link, write_leaves
from tests.fakes.mosquitto import Mosquitto, free_port
from tests.fakes.pki import FakeAuthority

WILL = Outgoing(topic=f"lamppost/v1/cam/{CAMERA}/up/birth", payload=b"lost", retained=True)
DOWN = [f"lamppost/v1/cam/{CAMERA}/down/#"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, FakeAuthority()) as started:
        yield started


def paho(address: BrokerAddress, **more: timedelta) -> PahoBroker:
    return PahoBroker(address, SystemClock(), largest_bytes=LARGEST_PACKET_BYTES, **more)


def listen(session: BrokerSession) -> None:
    """Listen until the session ends."""
    clock = SystemClock()
    deadline_us = clock.monotonic_us() + int(PATIENCE_S * 1_000_000)
    while clock.monotonic_us() < deadline_us:
        session.poll(timedelta(milliseconds=100))


def written_config(folder: Path, address: BrokerAddress) -> Path:
    path = folder / "lamppost.toml"
    path.write_text(
        f"""
        [camera]
        id = "{CAMERA}"
        source = "streetscene"
        [storage]
        footage = "{folder}/footage"
        [state]
        folder = "{folder}/state"
        runtime = "{folder}/run"
        [policy]
        root = "{folder}/root.json"
        inbox = "{folder}/inbox"
        outbox = "{folder}/outbox"
        [link]
        host = "{address.host}"
        port = {address.port}
        authority = "{address.authority}"
        credential = "{address.credential}"
        folder = "{folder}/link"
        """,
        encoding="utf-8",
    )
    return path


class Forks:
    """Links, one at a time, to be killed."""

    def __init__(self, config: Path) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.tools.link_forks", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            text=True,
        )
        self.pid = 0

    def start(self) -> None:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write("\n")
        self._parent.stdin.flush()
        self.pid = int(self._parent.stdout.readline())

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def peak_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0])

    def close(self) -> None:
        if self.pid:
            self.kill()
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(PATIENCE_S)
        self._parent.stdout.close()


@pytest.mark.slow
def test_a_link_that_is_killed_a_hundred_times_loses_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    config = link_config(tmp_path, broker.address(CAMERA))
    write_leaves(config, 4000)
    backend, chance = FakeBackend(), random.Random(7)
    links = Forks(written_config(tmp_path, broker.address(CAMERA)))
    session = backend.session(paho(broker.address("backend")))
    clock = SystemClock()
    try:
        for kill in range(100):
            links.start()
            # Killed at some point of its life: before it connected, while it sends, or when it has sent all.
            wanted = len(backend.leaves) + chance.choice([0, 0, 20, 60])
            births = backend.births + chance.choice([0, 1])
            deadline_us = clock.monotonic_us() + int(PATIENCE_S * 1_000_000)
            while (len(backend.leaves) < min(wanted, 4000)) or backend.births < births:
                assert clock.monotonic_us() < deadline_us, f"stuck at kill {kill}"
                backend.hear(session, timedelta(milliseconds=20))
            links.kill()
        links.start()
        deadline_us = clock.monotonic_us() + int(PATIENCE_S * 1_000_000)
        while len(backend.leaves) < 4000:
            assert clock.monotonic_us() < deadline_us, f"stuck at leaf {len(backend.leaves)}"
            backend.hear(session)
        peak_kib = links.peak_kib()
    finally:
        session.close()
        links.close()

    assert backend.leaves == whole_log(config)
    assert peak_kib <= 60 * 1024


def test_a_broker_that_is_killed_while_the_log_drains_loses_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    config = link_config(tmp_path, broker.address(CAMERA))
    write_leaves(config, 6000)
    backend = FakeBackend()
    way = paho(broker.address("backend"))

    # The link waits a second, so that the backend is mostly back first: what nobody hears costs twenty seconds.
    with running_link(config, paho(broker.address(CAMERA)), jitter=1.0):
        for wanted in (500, 2000, 3500):
            backend.hear_until(way, lambda wanted=wanted: len(backend.leaves) >= wanted)  # type: ignore[misc]
            broker.kill()
            broker.start()
        backend.hear_until(way, lambda: len(backend.leaves) == 6000)

    assert backend.leaves == whole_log(config)


def test_after_an_outage_status_comes_before_the_backlog_and_while_it_drains(tmp_path: Path, broker: Mosquitto) -> None:
    config = link_config(tmp_path, broker.address(CAMERA))
    write_leaves(config, 8640)  # a day at one leaf in ten seconds
    backend = FakeBackend()
    way = paho(broker.address("backend"))
    session = backend.session(way)
    try:
        with running_link(config, paho(broker.address(CAMERA))):
            while not backend.statuses:
                backend.hear(session)
            first = len(backend.leaves)
            while len(backend.leaves) < 8640:
                backend.hear(session)
    finally:
        session.close()

    assert first < 8640
    assert backend.leaves == whole_log(config)
    assert backend.duplicates == 0


def test_a_log_from_another_card_gets_another_name(tmp_path: Path, broker: Mosquitto) -> None:
    config = link_config(tmp_path, broker.address(CAMERA))
    write_leaves(config, 50)
    before, after = FakeBackend(), FakeBackend()
    way = paho(broker.address("backend"))
    with running_link(config, paho(broker.address(CAMERA))):
        before.hear_until(way, lambda: len(before.leaves) == 50)
    shutil.rmtree(config.state.folder / "log")
    write_leaves(config, 70, size=90)

    with running_link(config, paho(broker.address(CAMERA))):
        after.hear_until(way, lambda: len(after.leaves) == 70)

    assert after.leaves == whole_log(config)


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        ("revoked", CredentialError, "is revoked"),
        ("expired", CredentialError, "has expired"),
        ("of another authority", CredentialError, "does not know the authority"),
        ("missing", CredentialError, "cannot read the device credential"),
        ("of another camera", LamppostError, ""),
    ],
)
def test_a_credential_that_is_not_good_is_refused_with_the_reason(
    tmp_path: Path, what: str, error: type[LamppostError], words: str
) -> None:
    authority, folder, credential = FakeAuthority(), tmp_path / "broker", tmp_path / "device.pem"
    folder.mkdir()
    broker = Mosquitto(folder, authority)
    match what:
        case "revoked":
            authority.revocation_list(folder / "revoked.pem", authority.credential(credential, CAMERA))
        case "expired":
            authority.credential(credential, CAMERA, ends=timedelta(hours=-1))
        case "of another authority":
            FakeAuthority("impostor").credential(credential, CAMERA)
        case "of another camera":
            authority.credential(credential, "pole-8")
        case _:
            pass

    with broker:
        if what == "of another camera":  # the broker takes the name from the certificate, whatever the client says
            session = paho(broker.address(CAMERA, credential=credential)).connect(WILL, DOWN, resume=False)
            token = session.publish(WILL)
            answers: list[Happening] = []
            while not answers:
                answers = [
                    each
                    for each in session.poll(timedelta(milliseconds=100))
                    if isinstance(each, Answered) and each.token == token
                ]
            session.close()
            assert [each.reason for each in answers if isinstance(each, Answered)] == [0x87]
            return
        with pytest.raises(error, match=words):
            paho(broker.address(CAMERA, credential=credential)).connect(WILL, DOWN, resume=False)


@pytest.mark.parametrize("what", ["of another authority", "not yet valid"])
def test_a_broker_that_is_not_the_citys_is_refused(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder, FakeAuthority())
    address = broker.address(CAMERA)
    if what == "of another authority":
        FakeAuthority("impostor").credential(folder / "broker.pem", "localhost", server=True)
    else:
        broker.authority.credential(folder / "broker.pem", "localhost", server=True, begins=timedelta(days=2))

    with broker, pytest.raises(BrokerUntrustedError) as refused:
        paho(address).connect(WILL, DOWN, resume=False)

    if what == "not yet valid":
        assert "here it is" in str(refused.value)
        assert refused.value.hint is not None
        assert "clock" in refused.value.hint


def test_a_broker_that_speaks_an_older_tls_is_refused(tmp_path: Path) -> None:
    with (
        hostile_broker(tmp_path, lambda _: None, newest=ssl.TLSVersion.TLSv1_2) as address,
        pytest.raises(BrokerUntrustedError, match="TLS with"),
    ):
        paho(address).connect(WILL, DOWN, resume=False)


def test_two_clients_with_one_credential_do_not_live_together(broker: Mosquitto) -> None:
    address = broker.address(CAMERA)
    first = paho(address).connect(WILL, DOWN, resume=False)

    second = paho(address).connect(WILL, DOWN, resume=False)

    with pytest.raises(SessionLostError):
        listen(first)
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (0x8E, "is a copy of its credential in use"),
        (0x8B, "shutting down"),
        (0x97, "quota"),
        (0x81, "the broker ended"),
    ],
)
def test_a_broker_that_hangs_up_is_quoted(tmp_path: Path, reason: int, words: str) -> None:
    def behaviour(camera: ssl.SSLSocket) -> None:
        _welcome(camera)
        camera.sendall(bytes([0xE0, 2, reason, 0]))
        camera.recv(4096)

    with hostile_broker(tmp_path, behaviour) as address:
        session = paho(address).connect(WILL, DOWN, resume=False)
        with pytest.raises(SessionLostError, match=words):
            listen(session)
        session.close()


@pytest.mark.parametrize(
    ("reason", "error", "words"),
    [
        (0x85, SessionRefusedError, "common name"),
        (0x87, SessionRefusedError, "does not authorise"),
        (0x8A, SessionRefusedError, "banned"),
        (0x89, BrokerUnreachableError, "busy"),
    ],
)
def test_a_broker_that_does_not_let_us_in_is_quoted(
    tmp_path: Path, reason: int, error: type[LamppostError], words: str
) -> None:
    def behaviour(camera: ssl.SSLSocket) -> None:
        camera.recv(4096)
        camera.sendall(bytes([0x20, 3, 0, reason, 0]))
        camera.recv(4096)

    with hostile_broker(tmp_path, behaviour) as address, pytest.raises(error, match=words):
        paho(address).connect(WILL, DOWN, resume=False)


def test_a_broker_that_does_not_let_us_listen_is_quoted(tmp_path: Path) -> None:
    def behaviour(camera: ssl.SSLSocket) -> None:
        camera.recv(4096)
        camera.sendall(CONNACK)
        subscribe = camera.recv(4096)
        camera.sendall(bytes([0x90, 4, subscribe[2], subscribe[3], 0, 0x87]))
        camera.recv(4096)

    with (
        hostile_broker(tmp_path, behaviour) as address,
        pytest.raises(SessionRefusedError, match="does not let this camera read"),
    ):
        paho(address).connect(WILL, DOWN, resume=False)


def test_a_broker_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    authority = FakeAuthority()
    (tmp_path / "authority.pem").write_bytes(authority.pem)
    authority.credential(tmp_path / "device.pem", CAMERA)
    address = BrokerAddress(
        host="127.0.0.1",
        port=free_port(),
        authority=tmp_path / "authority.pem",
        credential=tmp_path / "device.pem",
        client_id=CAMERA,
    )

    with pytest.raises(BrokerUnreachableError, match="connection refused"):
        paho(address).connect(WILL, DOWN, resume=False)


@contextmanager
def hostile_broker(
    folder: Path,
    behaviour: Callable[[ssl.SSLSocket], None],
    *,
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
) -> Iterator[BrokerAddress]:
    """Something that has the broker's certificate and does as it likes once a camera has connected."""
    authority = FakeAuthority()
    (folder / "authority.pem").write_bytes(authority.pem)
    authority.credential(folder / "broker.pem", "localhost", server=True)
    authority.credential(folder / "device.pem", CAMERA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "broker.pem")
    context.maximum_version = newest
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        plain, _ = listener.accept()
        try:
            with plain, context.wrap_socket(plain, server_side=True) as camera:
                camera.settimeout(PATIENCE_S)
                behaviour(camera)
        except OSError:
            pass  # the camera hung up on it, as it should

    thread = threading.Thread(target=serve, name="hostile")
    thread.start()
    try:
        yield BrokerAddress(
            host="127.0.0.1",
            port=listener.getsockname()[1],
            authority=folder / "authority.pem",
            credential=folder / "device.pem",
            client_id=CAMERA,
        )
    finally:
        listener.close()
        thread.join(PATIENCE_S)


CONNACK = bytes([0x20, 3, 0, 0, 0])


def _welcome(camera: ssl.SSLSocket, *, subscriptions: int = 1) -> None:
    camera.recv(4096)
    camera.sendall(CONNACK)
    subscribe = camera.recv(4096)
    camera.sendall(bytes([0x90, 3 + subscriptions, subscribe[2], subscribe[3], 0, *[1] * subscriptions]))


def test_a_packet_larger_than_agreed_ends_the_connection_before_it_is_in_memory(tmp_path: Path) -> None:
    def behaviour(camera: ssl.SSLSocket) -> None:
        _welcome(camera)
        length, remaining = 200 * 1024 * 1024, []
        while length:
            remaining.append(length % 128 | (0x80 if length >= 128 else 0))
            length //= 128
        camera.sendall(bytes([0x32, *remaining]))
        while True:
            camera.sendall(bytes(64 * 1024))

    with hostile_broker(tmp_path, behaviour) as address:
        session = paho(address).connect(WILL, DOWN, resume=False)
        with pytest.raises(SessionLostError, match="agreed were"):
            listen(session)
        session.close()


@pytest.mark.parametrize(
    "packet",
    [
        bytes([0x32, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        bytes([0xF0, 0]),
        bytes([0x32, 2, 0xFF, 0xFF]),
        bytes([0x40, 1, 0]),
        bytes([0x00, 0]),
    ],
    ids=["length without end", "reserved kind", "topic beyond the packet", "short answer", "kind zero"],
)
def test_what_is_no_mqtt_ends_the_connection_and_nothing_else(tmp_path: Path, packet: bytes) -> None:
    def behaviour(camera: ssl.SSLSocket) -> None:
        _welcome(camera)
        camera.sendall(packet)
        camera.recv(4096)

    with hostile_broker(tmp_path, behaviour) as address:
        session = paho(address).connect(WILL, DOWN, resume=False)
        with pytest.raises(SessionLostError):
            listen(session)
        session.close()


def test_a_broker_that_falls_silent_is_noticed(tmp_path: Path) -> None:
    over = threading.Event()

    def behaviour(camera: ssl.SSLSocket) -> None:
        _welcome(camera)
        over.wait(PATIENCE_S)

    with hostile_broker(tmp_path, behaviour) as address, ExitStack() as closing:
        session = paho(address, keepalive=timedelta(seconds=1)).connect(WILL, DOWN, resume=False)
        closing.callback(over.set)
        with pytest.raises(SessionLostError, match="does not answer"):
            listen(session)
        session.close()


def test_a_broker_that_never_welcomes_is_given_up(tmp_path: Path) -> None:
    over = threading.Event()

    def behaviour(camera: ssl.SSLSocket) -> None:
        camera.recv(4096)
        over.wait(PATIENCE_S)

    with hostile_broker(tmp_path, behaviour) as address, ExitStack() as closing:
        closing.callback(over.set)
        with pytest.raises(BrokerUnreachableError, match="no CONNACK within 1 s"):
            paho(address, patience=timedelta(seconds=1)).connect(WILL, DOWN, resume=False)


def whole_log(config: Config) -> list[bytes]:
    """Return every leaf of a camera's log."""
    files = sorted((config.state.folder / "log").glob("events-*.jsonl"))
    return [line for file in files for line in file.read_bytes().splitlines()]
