"""The storm: a fleet of cameras connects at the same moment, as after a power cut of a district.

    python -m tests.bench.storm [--cameras 2000]

A real mosquitto under the generated configuration, the real backend on SQLite, and
simulated cameras with a certificate each: connect over TLS 1.3, subscribe, birth,
status, a batch of ten leaves, sent again if it is not acknowledged. Told are the time
until every camera is healthy in the store, what was lost, what came twice, and what
broker, backend and cameras took of the processor. Not a test: nothing here passes or fails by time.
"""

import argparse
import os
import resource
import select
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt

from agent.core.messages.log import Ack
from agent.core.topics import Leaf, topic
from provisioning.backend.ca import make_private_key, make_request
from provisioning.backend.service import Backend
from provisioning.backend.session import BrokerSession
from provisioning.backend.store import Store
from tests.bench.measuring import Result
from tests.fakes.payloads import batch, birth, status
from tests.tools.backend_process import access_to
from tests.tools.mosquitto import HOST, Mosquitto

CAMERAS = 2_000
LEAVES = 10
WORKERS = 4
RESEND_S = 20.0  # as the link does
GIVE_UP_S = 120.0


class Camera:
    """One simulated camera, driven by its worker's loop."""

    def __init__(self, camera_id: str, chain: Path, key: Path, root: Path) -> None:
        self.camera_id = camera_id
        self.acked = False
        self.sent = 0
        self._sent_at = 0.0
        context = ssl.create_default_context(cafile=str(root))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(chain, key)
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=camera_id, protocol=mqtt.MQTTv5)
        self.client.tls_set_context(context)
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message

    def connect(self, port: int) -> None:
        """Connect; the handshake blocks."""
        self.client.connect(HOST, port, keepalive=120)

    def look(self, now: float) -> None:
        """Send what was not acknowledged again."""
        if self.sent and not self.acked and now - self._sent_at > RESEND_S:
            self._send(now)

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        at = datetime.now(UTC)
        client.subscribe(f"lamppost/v1/cam/{self.camera_id}/down/#", qos=1)
        client.publish(topic(self.camera_id, Leaf.BIRTH), birth(self.camera_id, at=at).to_bytes(), qos=1, retain=True)
        client.publish(topic(self.camera_id, Leaf.STATUS), status(self.camera_id, at=at).to_bytes(), qos=1)
        self._send(time.monotonic())

    def _send(self, now: float) -> None:
        leaves = [b'{"n":%d,"kind":"segment-stored","padding":"%s"}' % (n, b"x" * 200) for n in range(LEAVES)]
        payload = batch(leaves, camera_id=self.camera_id).to_bytes()
        self.client.publish(topic(self.camera_id, Leaf.LOG), payload, qos=1)
        self._sent_at = now
        self.sent += 1

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith(Leaf.ACK.value) and Ack.from_bytes(message.payload).next == LEAVES:
            self.acked = True


def work(folder: Path, port: int, names: list[str]) -> None:
    """Be some of the cameras, until all of them are acknowledged."""
    cameras = [Camera(name, folder / f"{name}.pem", folder / "key.pem", folder / "root.pem") for name in names]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()  # the moment
    poller, by_descriptor = select.epoll(), dict[int, Camera]()
    waiting = list(cameras)
    refused = 0
    end = time.monotonic() + GIVE_UP_S
    while not all(camera.acked for camera in cameras) and time.monotonic() < end:
        if waiting:
            camera = waiting.pop()
            try:
                camera.connect(port)
            except OSError:
                refused += 1
                waiting.insert(0, camera)
                continue
            found = camera.client.socket()
            assert found is not None
            by_descriptor[found.fileno()] = camera
            poller.register(found.fileno(), select.EPOLLIN)
        for descriptor, _event in poller.poll(0 if waiting else 0.05):
            by_descriptor[descriptor].client.loop_read(20)
        now = time.monotonic()
        for camera in by_descriptor.values():
            while camera.client.want_write():
                camera.client.loop_write()
            camera.look(now)
    resent = sum(camera.sent - 1 for camera in cameras if camera.sent)
    sys.stdout.write(f"{sum(camera.acked for camera in cameras)} {resent} {refused}\n")


def prepare(broker: Mosquitto, folder: Path, names: list[str]) -> None:
    """Give every camera a certificate; one key serves all, for making two thousand says nothing."""
    key, pem = make_private_key()
    (folder / "key.pem").write_bytes(pem)
    (folder / "root.pem").write_bytes(broker.authority.root_file.read_bytes())
    for name in names:
        issued = broker.authority.issue_device(name, make_request(name, key), now=datetime.now(UTC))
        (folder / f"{name}.pem").write_bytes(issued.chain)


def processor_s(pid: int) -> float:
    """Return the processor time a process has taken, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def arrived(backend: Backend, count: int) -> bool:
    """Return whether there was as much as there must be, without asking the store while it works."""
    said = backend.counts.messages
    return min(said.get(Leaf.BIRTH, 0), said.get(Leaf.STATUS, 0), backend.counts.leaves // LEAVES) >= count


def healthy(store: Store) -> int:
    """Return how many cameras are online, told how they are, and have delivered everything."""
    with store.transaction() as fleet:
        return sum(
            one.birth is not None and one.birth.online and one.status is not None and one.log_next == LEAVES
            for one in fleet.cameras.all()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What a storm came to.

    Attributes:
        cameras: How many there were.
        healthy: How many are online, told how they are, and have delivered everything.
        acked: How many were told that everything of theirs is kept.
        took_s: Until everything had arrived.
        kept: Leaves in the store.
        duplicates: Leaves that came again.
        resent: Batches that cameras sent again.
        refused: Connects that failed and were tried again.
        turns: The backend's transactions.
        broker_s: Processor time of the broker.
        backend_s: Processor time of the backend.
        broker_mib: Resident memory of the broker.
        backend_mib: Resident memory of the backend.
    """

    cameras: int
    healthy: int
    acked: int
    took_s: float
    kept: int
    duplicates: int
    resent: int
    refused: int
    turns: int
    broker_s: float
    backend_s: float
    broker_mib: int
    backend_mib: int

    @property
    def lost(self) -> int:
        """Leaves that are not in the store."""
        return self.cameras * LEAVES - self.kept


def reconnecting(scratch: Path, count: int = CAMERAS) -> Result:
    """(i) A fleet that connects at the same moment, until the last camera is healthy."""
    folder = scratch / "i"
    folder.mkdir()
    found = storm(folder, count)
    return Result(
        key="i",
        what=f"{count} cameras connect at once: until all are healthy and have delivered {LEAVES} leaves",
        value=found.took_s,
        unit="s",
        target="none lost",
        met=found.lost == 0 and found.healthy == count,
        note=f"{found.lost} lost, {found.duplicates} twice; broker {found.broker_s:.1f} s and {found.broker_mib} MiB, "
        f"backend {found.backend_s:.1f} s and {found.backend_mib} MiB",
    )


def storm(folder: Path, count: int) -> Storm:
    """Run the storm and return what it cost."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names = [f"storm-{number:05d}" for number in range(count)]
    broker = Mosquitto(folder)
    prepare(broker, folder, names)
    broker.start()
    store = Store(broker.folder.store_url)
    stop = threading.Event()
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.storm", "--worker", str(folder), str(broker.port), *names[n::WORKERS]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(WORKERS)
    ]
    try:
        with BrokerSession(access_to(broker)) as session:
            backend = Backend(broker.folder, None, store, session, now=lambda: datetime.now(UTC))
            thread = threading.Thread(target=backend.run, args=(stop,))
            thread.start()
            broker.wait_for_client("backend.lamppost")
            for worker in workers:
                assert worker.stdout is not None
                worker.stdout.readline()
            broker_s, backend_s, begun = processor_s(broker.pid), time.process_time(), time.monotonic()
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("now\n")
                worker.stdin.flush()
            while not arrived(backend, count) and time.monotonic() - begun < GIVE_UP_S:
                stop.wait(0.05)
            took = time.monotonic() - begun
            said = [worker.communicate(timeout=GIVE_UP_S)[0].split()[-3:] for worker in workers]
            acked, resent, refused = (sum(int(one[field]) for one in said) for field in range(3))
            counts = backend.counts
            result = Storm(
                cameras=count,
                healthy=healthy(store),
                acked=acked,
                took_s=took,
                kept=counts.leaves,
                duplicates=counts.duplicates,
                resent=resent,
                refused=refused,
                turns=counts.turns,
                broker_s=processor_s(broker.pid) - broker_s,
                backend_s=time.process_time() - backend_s,
                broker_mib=_resident_mib(broker.pid),
                backend_mib=_resident_mib(os.getpid()),
            )
            stop.set()
            thread.join()
            return result
    finally:
        for worker in workers:
            worker.kill()
        broker.kill()
        store.close()


def tell(found: Storm) -> None:
    """Write the result for people."""
    for what, words in (
        ("cameras", f"{found.cameras}, healthy {found.healthy}, acknowledged {found.acked}"),
        ("time to healthy", f"{found.took_s:.1f} s ({found.cameras / found.took_s:.0f} cameras a second)"),
        ("leaves", f"{found.kept} kept of {found.cameras * LEAVES}, lost {found.lost}"),
        (
            "duplicates",
            f"{found.duplicates} leaves, {found.resent} batches sent again, {found.refused} connects refused",
        ),
        ("transactions", f"{found.turns}"),
        (
            "processor",
            f"broker {found.broker_s:.1f} s, backend {found.backend_s:.1f} s, load here {os.getloadavg()[0]:.1f}",
        ),
        ("memory", f"broker {found.broker_mib} MiB, backend {found.backend_mib} MiB"),
    ):
        sys.stdout.write(f"{what:18} {words}\n")


def _resident_mib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


def main() -> None:
    """Be the storm, or one of its workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=CAMERAS)
    parser.add_argument("--worker", nargs="+")
    arguments = parser.parse_args()
    if arguments.worker:
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        folder, port, *names = arguments.worker
        work(Path(folder), int(port), names)
        return
    with tempfile.TemporaryDirectory(prefix="lamppost-storm-") as folder:
        tell(storm(Path(folder), arguments.cameras))


if __name__ == "__main__":
    main()
