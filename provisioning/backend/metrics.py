"""The fleet's health as numbers, in the text format that Prometheus reads.

What is wrong is told per kind of finding, not as a text for each camera: an alert
says `lamppost_finding{severity="critical"} > 0`. Nothing here is about a person.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.core.messages.presence import Status
from agent.errors import ConfigurationError
from provisioning.backend.health import assess
from provisioning.backend.records import CameraRecord
from provisioning.backend.service import Counts
from provisioning.backend.store import Store

LOOPBACK = "127.0.0.1"

# name → (help, what a status says); a camera that does not know it has no such number
_OF_STATUS: dict[str, tuple[str, Callable[[Status], float | None]]] = {
    "lamppost_camera_temperature_celsius": (
        "Of the processor.",
        lambda status: status.board.temperature_celsius,
    ),
    "lamppost_camera_under_voltage": ("Whether its supply is too weak now.", lambda status: status.board.under_voltage),
    "lamppost_camera_disk_free_bytes": ("Free where footage goes.", lambda status: status.board.disk_free_bytes),
    "lamppost_camera_ring_bytes": (
        "What stored segments take.",
        lambda status: None if status.recorder is None else status.recorder.storage.ring_bytes,
    ),
    "lamppost_camera_frames_captured": (
        "Frames since the recorder started.",
        lambda status: None if status.recorder is None else status.recorder.frames.captured,
    ),
    "lamppost_camera_frames_stored": (
        "Frames on disk since the recorder started.",
        lambda status: None if status.recorder is None else status.recorder.frames.stored,
    ),
    "lamppost_camera_frames_failed_closed": (
        "Frames hidden whole since the recorder started.",
        lambda status: None if status.recorder is None else status.recorder.frames.failed_closed,
    ),
    "lamppost_camera_link_memory_bytes": ("Of the link.", lambda status: status.link.memory_bytes),
    "lamppost_camera_certificate_expires_at_seconds": (
        "When the device certificate ends, Unix time.",
        lambda status: (
            None if status.link.certificate_expires_at is None else status.link.certificate_expires_at.timestamp()
        ),
    ),
}


class FleetCollector(Collector):
    """Reads the store whenever somebody asks.

    Args:
        store: What the backend knows.
        counts: What the backend's loop did.
        connected: Whether it has its broker.
        now: The wall clock.
    """

    def __init__(
        self, store: Store, counts: Counts, connected: Callable[[], bool], now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._counts = counts
        self._connected = connected
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield every number there is."""
        now = self._now()
        with self._store.transaction() as fleet:
            cameras = fleet.cameras.all()
        yield GaugeMetricFamily("lamppost_broker_connected", "Whether the backend has its broker.", self._connected())
        yield from self._of_backend()
        yield from _of_cameras(cameras, now=now)
        findings = Counter(
            (one.what, one.severity.name.lower()) for camera in cameras for one in assess(camera, now=now)
        )
        family = GaugeMetricFamily("lamppost_finding", "Cameras with this trouble.", labels=["what", "severity"])
        for labels, count in sorted(findings.items()):
            family.add_metric(labels, count)
        yield family

    def _of_backend(self) -> Iterator[Metric]:
        messages = CounterMetricFamily("lamppost_messages", "Messages taken since the start.", labels=["topic"])
        for leaf, count in self._counts.messages.copy().items():
            messages.add_metric([leaf.value], count)
        yield messages
        yield CounterMetricFamily("lamppost_leaves", "New leaves kept since the start.", self._counts.leaves)
        yield CounterMetricFamily("lamppost_leaves_duplicate", "Leaves that came again.", self._counts.duplicates)
        yield CounterMetricFamily("lamppost_incidents", "Messages that break the contract.", self._counts.incidents)
        yield CounterMetricFamily("lamppost_bundles_published", "Bundles handed to the broker.", self._counts.published)


def serve_metrics(collector: FleetCollector, port: int, *, address: str = LOOPBACK) -> int:
    """Answer `GET /metrics` from a thread of its own until the process ends; return the port.

    Args:
        collector: What to tell.
        port: Where to listen; 0 takes a free one.
        address: Loopback, unless a person says otherwise.

    Raises:
        ConfigurationError: The port is taken, or the address is not this machine's.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    try:
        server, _thread = start_http_server(port, addr=address, registry=registry)
    except OSError as error:
        raise ConfigurationError(f"metrics cannot be served on {address}:{port}: {error.strerror}") from error
    return int(server.server_port)


def _of_cameras(cameras: tuple[CameraRecord, ...], *, now: datetime) -> Iterator[Metric]:
    online = GaugeMetricFamily("lamppost_camera_online", "Whether it is connected.", labels=["camera"])
    recording = GaugeMetricFamily("lamppost_camera_recording", "Whether it records.", labels=["camera"])
    age = GaugeMetricFamily("lamppost_camera_status_age_seconds", "Since its last status.", labels=["camera"])
    lag = GaugeMetricFamily("lamppost_camera_log_lag", "Leaves still to come.", labels=["camera"])
    for camera in cameras:
        name = [camera.camera_id]
        online.add_metric(name, camera.birth is not None and camera.birth.online)
        lag.add_metric(name, max(0, camera.log_camera_next - camera.log_next))
        if camera.status is not None and camera.status_received_at is not None:
            age.add_metric(name, (now - camera.status_received_at).total_seconds())
            if camera.status.recorder is not None:
                recording.add_metric(name, camera.status.recorder.state.value == "recording")
    yield from (online, recording, age, lag)
    for metric, (meaning, value_of) in _OF_STATUS.items():
        family = GaugeMetricFamily(metric, meaning, labels=["camera"])
        for camera in cameras:
            value = None if camera.status is None else value_of(camera.status)
            if value is not None:
                family.add_metric([camera.camera_id], value)
        yield family
