"""A backend's folder: its authority, its own credential, the broker's files, the store.

    BACKEND/authority/…                        the fleet's authority (see `ca`)
    BACKEND/backend.pem, backend.key           with which the backend connects
    BACKEND/broker/mosquitto.conf, acl         made here; the broker reads them
    BACKEND/broker/server.pem, server.key      the broker's certificate
    BACKEND/broker/data/                       what the broker keeps
    BACKEND/broker/ejabberd/                   for a cluster instead: what each of its nodes gets a copy of
    BACKEND/home-assistant/client.pem, .key    if cameras are announced to Home Assistant: its credential
    BACKEND/witness/witness.key, witness.vkey  with which it cosigns cameras' logs; the latter is public
    BACKEND/fleet.db                           the store, unless another is named

Everything is made from the authority and a few words, so that `init` after a loss
needs the authority's folder back and nothing else.
"""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath

from cryptography import x509

from agent.errors import UsageError
from provisioning.authority import files, pkcs8
from provisioning.backend.ca import (
    BACKEND_NAME,
    MAX_PEM_BYTES,
    RENEWED_AFTER_RATIO,
    DeviceCredential,
    FleetAuthority,
    found_authority,
    make_private_key,
)
from provisioning.backend.home_assistant import PREFIX, READER_NAME, READS
from provisioning.broker import ejabberd
from provisioning.broker.mosquitto import Broker, Reader, mosquitto_acl, mosquitto_conf

BROKER_PROGRAM = "mosquitto"
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - cameras come from the street; the firewall and the certificate say who
HOME_ASSISTANT = Reader(name=READER_NAME, topics=READS, announced_below=PREFIX)
MQTTS_PORT = 8883  # IANA: secure-mqtt


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFolder:
    """Where the parts of a backend lie."""

    path: Path

    @property
    def authority(self) -> Path:
        """The fleet's authority."""
        return self.path / "authority"

    @property
    def certificate(self) -> Path:
        """The backend's own certificate, with its issuer after it."""
        return self.path / "backend.pem"

    @property
    def key(self) -> Path:
        """The backend's own key."""
        return self.path / "backend.key"

    @property
    def broker(self) -> Path:
        """What the broker reads and keeps."""
        return self.path / "broker"

    @property
    def cluster(self) -> Path:
        """What each node of an ejabberd cluster gets a copy of, if there is one."""
        return self.broker / "ejabberd"

    @property
    def home_assistant(self) -> Path:
        """Home Assistant's credential; if it is there, cameras are announced to it."""
        return self.path / "home-assistant"

    @property
    def witness(self) -> Path:
        """The witness's key, and what it cosigned last of each log."""
        return self.path / "witness"

    @property
    def store_url(self) -> str:
        """The store that is used if no other is named."""
        return f"sqlite:///{(self.path / 'fleet.db').absolute()}"


def open_folder(path: Path) -> BackendFolder:
    """Return the backend in a folder, touching nothing.

    Raises:
        UsageError: There is none.
    """
    folder, below = BackendFolder(path=path), BackendFolder(path=path / "backend")
    if not folder.authority.is_dir():
        hint = f"--backend {below.path}" if below.authority.is_dir() else "lamppost backend init"
        raise UsageError(f"there is no backend in {path}", hint=hint)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where cameras reach the broker.

    Attributes:
        hosts: Names and addresses, as cameras are configured with them.
        address: What the broker binds.
        port: Likewise.
        run_as: Which user the broker becomes if root starts it; None for its own default.
    """

    hosts: tuple[str, ...]
    address: str = EVERY_ADDRESS
    port: int = MQTTS_PORT
    run_as: str | None = None


def install(
    folder: BackendFolder, root_folder: Path, listening: Listening, *, city: str, passphrase: str, now: datetime
) -> FleetAuthority:
    """Make a backend: a fleet's authority with its root apart, and all that backend and broker need.

    Raises:
        UsageError: There is one already, or the passphrase protects nothing.
        StorageError: The disk refuses.
    """
    files.make_folder(folder.path, mode=0o755)
    authority = found_authority(folder.authority, root_folder, city=city, passphrase=passphrase, now=now)
    files.make_folder(folder.broker / "data", mode=files.PRIVATE_FOLDER)
    issue_own(folder, authority, listening.hosts, now=now)
    configure_broker(folder, authority, listening)
    return authority


def issue_own(folder: BackendFolder, authority: FleetAuthority, hosts: Sequence[str], *, now: datetime) -> None:
    """Give the backend and the broker new keys and certificates."""
    key, pem = make_private_key()
    _install_credential(folder.certificate, folder.key, pem, authority.issue_backend(key.public_key(), now=now))
    key, pem = make_private_key()
    server = authority.issue_server(hosts, key.public_key(), now=now)
    _install_credential(folder.broker / "server.pem", folder.broker / "server.key", pem, server)


def renew_own(folder: BackendFolder, authority: FleetAuthority, *, now: datetime) -> bool:
    """Renew what backend and broker identify themselves with if a third of its life is over; return whether it was.

    The keys stay: the broker opens its certificate and key at different moments.
    """
    renewed = False
    reader = folder.home_assistant / "client.pem"
    own = [
        (folder.certificate, folder.key),
        (folder.broker / "server.pem", folder.broker / "server.key"),
        *([(reader, reader.with_suffix(".key"))] if reader.exists() else []),
    ]
    for certificate_file, key_file in own:
        certificate = x509.load_pem_x509_certificate(files.read_capped(certificate_file, max_bytes=MAX_PEM_BYTES))
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        if now - certificate.not_valid_before_utc < life * RENEWED_AFTER_RATIO:
            continue
        key = pkcs8.open_certificate_key(files.read_capped(key_file, max_bytes=MAX_PEM_BYTES), None).public_key()
        if certificate_file == folder.certificate:
            issued = authority.issue_backend(key, now=now)
        elif certificate_file == reader:
            issued = authority.issue_reader(READER_NAME, key, now=now)
        else:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            issued = authority.issue_server([str(name.value) for name in names], key, now=now)
        files.write_whole(certificate_file, issued.chain)
        renewed = True
    return renewed


def announce_to_home_assistant(folder: BackendFolder, authority: FleetAuthority, *, now: datetime) -> Path:
    """Give Home Assistant a credential of its own, which is also the switch; return the folder with both files."""
    key, pem = make_private_key()
    issued = authority.issue_reader(READER_NAME, key.public_key(), now=now)
    place = folder.home_assistant
    files.make_folder(place, mode=files.PRIVATE_FOLDER)
    _install_credential(place / "client.pem", place / "client.key", pem, issued)
    return place


def configure_broker(folder: BackendFolder, authority: FleetAuthority, listening: Listening) -> Path:
    """Write the broker's configuration and access list; return the configuration's path."""
    place = folder.broker.absolute()
    broker = Broker(
        address=listening.address,
        port=listening.port,
        root=authority.root_file.absolute(),
        certificate=place / "server.pem",
        key=place / "server.key",
        crl=authority.crl_file.absolute(),
        acl=place / "acl",
        data=place / "data",
        pid=place / "mosquitto.pid",
        backend_name=BACKEND_NAME,
        run_as=listening.run_as,
    )
    if any(character.isspace() for path in (broker.root, broker.acl) for character in str(path)):
        raise UsageError(f"{place} has a space in it, which mosquitto.conf cannot say")
    write_acl(folder, authority)
    files.write_whole(place / "mosquitto.conf", mosquitto_conf(broker).encode())
    return place / "mosquitto.conf"


def configure_cluster(
    folder: BackendFolder, authority: FleetAuthority, listening: Listening, *, on_nodes: PurePath
) -> Path:
    """Write what every node of an ejabberd cluster gets a copy of; return the folder.

    Args:
        folder: The backend's.
        authority: Whose certificates the nodes accept.
        listening: Where they listen, each of them alike.
        on_nodes: The folder that the copy is on each node.
    """
    place = folder.cluster.absolute()
    node = ejabberd.Node(folder=on_nodes, address=listening.address, port=listening.port, backend_name=BACKEND_NAME)
    files.make_folder(place, mode=files.PRIVATE_FOLDER)
    files.write_whole(place / ejabberd.CONFIGURATION_FILE, ejabberd.ejabberd_yml(node).encode())
    files.write_whole(place / ejabberd.CONTROL_FILE, ejabberd.ejabberdctl_cfg(node).encode())
    files.write_whole(place / ejabberd.OPENSSL_FILE, ejabberd.openssl_cnf().encode())
    write_acl(folder, authority)
    return place


def write_acl(folder: BackendFolder, authority: FleetAuthority) -> None:
    """Write anew what a broker rereads: who was revoked and is denied by name; for a cluster, its credential too."""
    barred = authority.barred()
    acl = mosquitto_acl(BACKEND_NAME, barred=barred, readers=(HOME_ASSISTANT,))
    files.write_whole(folder.broker / "acl", acl.encode(), mode=0o640)
    cluster = folder.cluster
    if not cluster.exists():
        return
    files.write_whole(cluster / ejabberd.BARRED_FILE, ejabberd.ejabberd_barred(barred).encode())
    for source, name, mode in (
        (authority.root_file, ejabberd.ROOT_FILE, 0o644),
        (folder.broker / "server.pem", ejabberd.CERTIFICATE_FILE, 0o644),
        (folder.broker / "server.key", ejabberd.KEY_FILE, files.PRIVATE),
    ):
        files.write_whole(cluster / name, files.read_capped(source, max_bytes=MAX_PEM_BYTES), mode=mode)


def revoke_camera(folder: BackendFolder, authority: FleetAuthority, camera_id: str, *, now: datetime) -> bool:
    """End a camera's access: on the revocation list, in the access list, and known to a running broker.

    Returns:
        Whether a broker was told. If none runs here, it reads both files when it starts.

    Raises:
        UsageError: No certificate was ever issued to it.
    """
    authority.revoke(camera_id, now=now)
    write_acl(folder, authority)
    return reload_broker(folder)


def reload_broker(folder: BackendFolder) -> bool:
    """Ask the broker on this machine to read its lists and certificates again; return whether there is one.

    Raises:
        UsageError: There is one, and this user may not signal it.
    """
    try:
        pid = int((folder.broker / "mosquitto.pid").read_text(encoding="ascii"))
        program = Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return False
    if program != BROKER_PROGRAM:  # the number was given to somebody else since
        return False
    try:
        os.kill(pid, signal.SIGHUP)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise UsageError(
            f"this user may not signal the broker (process {pid})",
            hint="systemctl reload mosquitto, or run the backend as the broker's user",
        ) from error
    return True


def _install_credential(certificate: Path, key: Path, pem: bytes, credential: DeviceCredential) -> None:
    files.write_whole(key, pem, mode=files.PRIVATE)
    files.write_whole(certificate, credential.chain)
