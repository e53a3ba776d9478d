"""A real mosquitto on a free loopback port, with a fleet of its own, for as long as a test needs it."""

import atexit
import contextlib
import functools
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provisioning.authority import files
from provisioning.backend.ca import FleetAuthority, found_authority, make_private_key, make_request
from provisioning.backend.installation import BackendFolder, Listening, configure_broker, issue_own

PASSPHRASE = "four words nobody joins"
WAIT_S = 60.0
HOST = "127.0.0.1"


class FleetBroker:
    """A broker of whatever kind, and the fleet it serves.

    Attributes:
        folder: The backend's folder.
        authority: Who issues its certificates.
        port: Where it listens.
    """

    def __init__(self, folder: BackendFolder, authority: FleetAuthority) -> None:
        self.port = free_port()
        self.folder = folder
        self.authority = authority

    def enrol(self, camera_id: str, place: Path) -> tuple[Path, Path]:
        """Make a key for a camera, let the authority certify it; return the chain's and the key's file."""
        key, pem = make_private_key()
        issued = self.authority.issue_device(camera_id, make_request(camera_id, key), now=datetime.now(UTC))
        place.mkdir(parents=True, exist_ok=True)
        chain_file, key_file = place / f"{camera_id}.pem", place / f"{camera_id}.key"
        chain_file.write_bytes(issued.chain)
        key_file.write_bytes(pem)
        key_file.chmod(0o600)
        return chain_file, key_file

    def tls(self, chain: Path, key: Path) -> ssl.SSLContext:
        """Return what a client with this credential connects with."""
        context = ssl.create_default_context(cafile=str(self.authority.root_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(chain, key)
        return context


class Mosquitto(FleetBroker):
    """A mosquitto under a generated configuration."""

    def __init__(self, path: Path) -> None:
        folder = BackendFolder(path=path / "backend")
        super().__init__(folder, founded(folder.authority))
        listening = Listening(hosts=("localhost", HOST), address=HOST, port=self.port, run_as="root")
        files.make_folder(self.folder.broker / "data", mode=files.PRIVATE_FOLDER)
        issue_own(self.folder, self.authority, listening.hosts, now=datetime.now(UTC))
        configure_broker(self.folder, self.authority, listening)
        self._process: subprocess.Popen[bytes] | None = None
        self._log = path / "mosquitto.log"

    @property
    def log(self) -> str:
        """What it wrote so far, over all its lives."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [mosquitto_program(), "-c", str(self.folder.broker / "mosquitto.conf")], stdout=log, stderr=log
            )
        waited = 0.0
        while not self._listens():
            assert self._process.poll() is None, self.log
            assert waited < WAIT_S, self.log
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=0.02)
            waited += 0.02

    def wait_for_client(self, name: str) -> None:
        """Wait until a client of this name is let in."""
        waiting = threading.Event()
        for _ in range(int(WAIT_S / 0.02)):
            if f" as {name} " in self.log:
                return
            waiting.wait(0.02)
        raise AssertionError(self.log)

    def kill(self) -> None:
        """SIGKILL: what it had acknowledged and not yet written is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Let it write what it keeps, and end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=WAIT_S)
            self._process = None

    def _listens(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def founded(folder: Path) -> FleetAuthority:
    """Return a fleet's authority in `folder`; its root is the same for all tests of a run, for a second each."""
    shutil.copytree(_founded_once(), folder)
    return FleetAuthority(folder)


@functools.cache
def _founded_once() -> Path:
    place = Path(tempfile.mkdtemp(prefix="lamppost-fleet-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    found_authority(
        place / "authority", place / "root", city="Example City", passphrase=PASSPHRASE, now=datetime.now(UTC)
    )
    return place / "authority"


def mosquitto_program() -> str:
    """Return where mosquitto is, or skip the test; Debian puts it where only root's PATH looks."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed")
    return program


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running_broker(path: Path) -> Iterator[Mosquitto]:
    """A started broker; it is gone afterwards."""
    broker = Mosquitto(path)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
