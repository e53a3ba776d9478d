"""The link, put together: what is plugged into what, and in which order it starts and stops."""

import importlib.metadata
import logging
import platform
import ssl
import threading
from contextlib import ExitStack

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.adapters.allocator import return_large_blocks
from agent.adapters.atomic_files import make_folders
from agent.adapters.board import Board
from agent.adapters.checkpoint_files import CheckpointFiles
from agent.adapters.clock import SystemClock
from agent.adapters.credential import DeviceCredential
from agent.adapters.footage_files import FootageFiles
from agent.adapters.https_put import HttpsStore
from agent.adapters.inbox import PolicyInbox
from agent.adapters.link_store import LinkStore
from agent.adapters.log_leaves import LogLeaves
from agent.adapters.paho_link import BrokerAddress, PahoBroker
from agent.adapters.reboot import reboot
from agent.adapters.status_file import StatusFile
from agent.adapters.systemd_notify import SystemdNotify
from agent.config import Config, LinkSection
from agent.core.bundle_size import MAX_BUNDLE_BYTES
from agent.errors import ConfigurationError
from agent.link.commands import Commands, Reach
from agent.link.delivery import LogDelivery
from agent.link.health import Health
from agent.link.policy import PolicyRelay
from agent.link.recent import RecentLines
from agent.link.selftest import LinkSelftest
from agent.link.session import Parts, Supervisor
from agent.link.snapshots import Snapshots
from agent.link.upload import Uploads
from agent.link.witnessing import Witnessing
from agent.ports import Broker, Clock

# The largest thing that may come is a bundle; a little more, so that one that is too large is refused with a reason.
LARGEST_PACKET_BYTES = MAX_BUNDLE_BYTES + 64 * 1024
_LIBRARIES = ("paho-mqtt", "pydantic", "cryptography")


def run(config: Config, *, stop: threading.Event) -> None:
    """Keep the camera connected until `stop` is set.

    Raises:
        LamppostError: The link cannot even start: configuration, folders.
    """
    return_large_blocks()
    clock = SystemClock()
    broker = PahoBroker(broker_address(config), clock, largest_bytes=LARGEST_PACKET_BYTES)
    with ExitStack() as running:
        supervisor = compose(config, broker, clock, running)
        notifier = SystemdNotify()
        notifier.ready()
        supervisor.run(stop)
        notifier.stopping()


def compose(config: Config, broker: Broker, clock: Clock, running: ExitStack) -> Supervisor:
    """Plug everything together around `broker`; what must be closed goes onto `running`.

    Raises:
        LamppostError: Configuration or folders are not as they must be.
    """
    camera_id, link = config.camera.id, config.link
    for folder in (link.folder, config.policy.inbox):
        make_folders(folder)
    recent = RecentLines()
    logging.getLogger("agent").addHandler(recent)
    running.callback(logging.getLogger("agent").removeHandler, recent)

    board = Board(config.storage.footage)
    credential = DeviceCredential(link.credential, link.authority, camera_id)
    status_file = StatusFile(config.state.runtime / "status.json")
    leaves = LogLeaves(config.state.folder / "log")
    footage = FootageFiles(config.storage.footage, camera_id)
    store = LinkStore(link.folder, clock)
    delivery = LogDelivery(camera_id, leaves, store, clock)
    hosts = frozenset(link.upload_hosts)
    uploads = running.enter_context(
        Uploads(
            link.folder / "uploads",
            footage,
            HttpsStore(clock, hosts=hosts, authority=link.upload_authority),
            clock,
            bytes_per_s=link.upload_kbit * 1000 // 8,
            hosts=hosts,
        )
    )
    health = Health(camera_id, status_file, board, credential, clock)
    reach = Reach(
        footage=footage,
        uploads=uploads,
        snapshots=Snapshots(config.policy.inbox, config.policy.outbox, clock),
        credential=credential,
        board=board,
        delivery=delivery,
        selftest=LinkSelftest(
            status_file, LogLeaves(config.state.folder / "log"), config.policy.inbox, credential, board, clock
        ),
        reboot=reboot,
        clock_quality=health.clock_quality,
        recent=recent,
        settings=_settings(config),
        versions=_versions(),
    )
    parts = Parts(
        health=health,
        policy=PolicyRelay(camera_id, PolicyInbox(config.policy.inbox), config.policy.outbox, clock),
        commands=Commands(camera_id, reach, store, clock, _operator_keys(link)),
        delivery=delivery,
        witnessing=Witnessing(camera_id, CheckpointFiles(config.state.folder / "log", link.folder), store, clock),
        store=store,
        notifier=SystemdNotify(),
    )
    return Supervisor(camera_id, broker, parts, clock)


def broker_address(config: Config) -> BrokerAddress:
    """Return where the broker is. Raises ConfigurationError if nobody said."""
    link = config.link
    if link.host is None:
        raise ConfigurationError(
            "no broker is configured", hint="set link.host to the name in the broker's certificate"
        )
    return BrokerAddress(
        host=link.host,
        port=link.port,
        authority=link.authority,
        credential=link.credential,
        client_id=config.camera.id,
    )


def _operator_keys(link: LinkSection) -> tuple[Ed25519PublicKey, ...]:
    return tuple(Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)) for key in link.operator_keys)


def _settings(config: Config) -> dict[str, str]:
    sections = config.model_dump(mode="json")
    return {
        f"{section}.{key}": str(value)[:200]
        for section, keys in sections.items()
        if section != "policy"
        for key, value in keys.items()
    }


def _versions() -> dict[str, str]:
    return {
        "lamppost": importlib.metadata.version("lamppost"),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "kernel": platform.release(),
        **{name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
