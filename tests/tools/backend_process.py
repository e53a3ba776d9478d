"""A backend at work, in a thread of the test or in a process that can be killed."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from provisioning.authority.city import CityFolder
from provisioning.backend.installation import BackendFolder
from provisioning.backend.service import Backend
from provisioning.backend.session import BrokerAccess, BrokerSession
from provisioning.backend.store import Store, Transaction
from tests.tools.mosquitto import WAIT_S, FleetBroker


def access_to(broker: FleetBroker) -> BrokerAccess:
    """Return how the backend of a test's broker reaches it."""
    return BrokerAccess(
        host="localhost",
        port=broker.port,
        root=broker.authority.root_file,
        certificate=broker.folder.certificate,
        key=broker.folder.key,
    )


@contextlib.contextmanager
def backend_at_work(
    broker: FleetBroker, city: CityFolder | None = None, *, forgetful: bool = False
) -> Iterator[Backend]:
    """Run a backend beside `broker` until the block ends."""
    store = Store(broker.folder.store_url)
    stop = threading.Event()
    with BrokerSession(access_to(broker)) as session:
        backend = Backend(broker.folder, city, store, session, now=lambda: datetime.now(UTC), forgetful=forgetful)
        thread = threading.Thread(target=backend.run, args=(stop,), name="backend")
        thread.start()
        try:
            yield backend
        finally:
            stop.set()
            thread.join(WAIT_S)
    store.close()


def start_backend(broker: FleetBroker, city: Path | None = None) -> subprocess.Popen[bytes]:
    """Start `lamppost backend run` as a process of its own."""
    command = [sys.executable, "-m", "provisioning", "backend", "run", "--backend", str(broker.folder.path)]
    command += ["--broker", f"mqtts://localhost:{broker.port}", "--metrics", "off"]
    command += ["--city", str(city)] if city else ["--collect-only"]
    return subprocess.Popen(command)


@contextlib.contextmanager
def backend_process(broker: FleetBroker, city: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run the backend as a process of its own until the block ends."""
    process = start_backend(broker, city)
    try:
        yield process
    finally:
        process.kill()
        process.wait(WAIT_S)


def until(folder: BackendFolder, there: Callable[[Transaction], bool], *, why: str) -> None:
    """Wait until the store says so."""
    store = Store(folder.store_url)
    waited = threading.Event()
    try:
        for _ in range(int(2 * WAIT_S / 0.02)):  # the link starts over after 20 s, and later
            with store.transaction() as fleet:
                if there(fleet):
                    return
            waited.wait(0.02)
    finally:
        store.close()
    raise AssertionError(why)
