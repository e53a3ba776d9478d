"""The configuration of a mosquitto broker for one city's fleet.

The broker is hostile ground: it can delay and drop, and nothing it says is believed.
What is configured here keeps honest cameras apart and strangers out, and bounds what
one of them can cost the others:

* TLS 1.3 and a certificate of the fleet for everyone, checked against the revocation list;
* the certificate's common name is user name and client id (`use_username_as_clientid`:
  without it, any camera could take any other's client id and throw it off);
* a camera writes below its own `up/` and reads its own `down/`, by one pattern;
* a camera whose certificate was revoked is also denied every topic by name, because the
  list is asked at a handshake only, and an open connection would go on for weeks.

Pure: values in, text out. Every line of the file has its reason beside it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.core.bundle import MAX_BUNDLE_BYTES
from agent.core.topics import ROOT, topic
from agent.core.topics import Leaf as TopicEnd

KIB = 1024
# MQTT 5 3.3.2: the fixed header, the topic and the properties around a bundle are far below this.
MAX_PACKET_BYTES = MAX_BUNDLE_BYTES + 64 * KIB
MAX_INFLIGHT = 256  # also the Receive Maximum that clients are told
MAX_QUEUED = 50_000  # what 10,000 cameras say when they come back at once, for a backend that is behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where a broker's parts lie, and how many cameras it is for.

    Attributes:
        address: Where it listens, such as "0.0.0.0".
        port: MQTT over TLS is 8883.
        root: The fleet's root certificate.
        certificate: The broker's own, with its issuer after it.
        key: The broker's private key.
        crl: The revocation list.
        acl: Where the access list of this module is written to.
        data: Folder for retained messages and sessions; the broker's user owns it.
        pid: Where the broker notes its process id, so that the backend can ask it to read the lists again.
        backend_name: Common name of the backend's certificate.
        max_connections: More are refused.
        run_as: Which user the broker becomes if root starts it; None for its own default.
    """

    address: str
    port: int
    root: Path
    certificate: Path
    key: Path
    crl: Path
    acl: Path
    data: Path
    pid: Path
    backend_name: str
    max_connections: int = 12_000
    run_as: str | None = None


def mosquitto_conf(broker: Broker) -> str:
    """Return the text of mosquitto.conf; mosquitto 2.0 and later read it."""
    user = "" if broker.run_as is None else f"\n# who the broker becomes\nuser {broker.run_as}\n"
    return f"""\
# Made by `lamppost backend init`; made anew, it overwrites what was changed here.
{user}
# One set of rules, whatever is listened on.
per_listener_settings false
allow_anonymous false
acl_file {broker.acl}

# Where the backend finds the process to tell that {broker.acl.name} or {broker.crl.name} changed (SIGHUP).
pid_file {broker.pid}

# Retained bundles, births and the queues of cameras that are away outlive a restart. What is in
# memory when the broker is killed is lost: the contract's own acknowledgement is for that.
persistence true
persistence_location {broker.data}/
autosave_interval 60
# A camera that never comes back leaves nothing behind.
persistent_client_expiration 14d

# The largest message is a policy bundle ({MAX_BUNDLE_BYTES} bytes), with its topic and properties.
max_packet_size {MAX_PACKET_BYTES}
# Sent and not yet acknowledged, a client; cameras are told as Receive Maximum.
max_inflight_messages {MAX_INFLIGHT}
# For the backend while it is behind or restarts. A camera has no session to queue for: its log is its queue.
max_queued_messages {MAX_QUEUED}
max_queued_bytes {256 * KIB * KIB}
queue_qos0_messages false
# A camera that asks for no keep-alive would never be missed.
max_keepalive 300
set_tcp_nodelay true

log_dest stderr
log_type error
log_type warning
log_type notice
# Names of cameras are no secret, and who was refused is what one looks for.
connection_messages true
log_timestamp_format %Y-%m-%dT%H:%M:%S

listener {broker.port} {broker.address}
# A certificate's name is its client id: nobody can take another's.
use_username_as_clientid true
max_connections {broker.max_connections}
protocol mqtt
# RFC 8446 only: the broker is ours and so is every client.
tls_version tlsv1.3
cafile {broker.root}
certfile {broker.certificate}
keyfile {broker.key}
crlfile {broker.crl}
require_certificate true
use_identity_as_username true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Somebody who may hear a part of what cameras say, and say nothing.

    Attributes:
        name: Common name of its certificate; no camera can have it.
        topics: What it may subscribe to.
        announced_below: Where the backend tells it what there is to hear.
    """

    name: str
    topics: tuple[str, ...]
    announced_below: str


def mosquitto_acl(backend_name: str, *, barred: Iterable[str] = (), readers: Iterable[Reader] = ()) -> str:
    """Return the text of the access list.

    Args:
        backend_name: Common name of the backend's certificate; no camera can have it.
        barred: Cameras whose certificate was revoked.
        readers: Who else may hear something, once it has a certificate.

    Raises:
        ValueError: A barred name is no camera's, so it would not be one line of the file.
    """
    lines = [
        "# Who may do what, by the common name of the certificate. What is not allowed is denied.",
        "",
        "# Every camera: its own subtree.",
        f"pattern write {ROOT}/%u/up/#",
        f"pattern read {ROOT}/%u/down/#",
        "",
        "# The backend: every camera's, the other way round.",
        f"user {backend_name}",
        f"topic read {ROOT}/+/up/#",
        f"topic write {ROOT}/+/down/#",
    ]
    readers = tuple(readers)
    lines += [f"topic write {reader.announced_below}/#" for reader in readers]
    for reader in readers:
        lines += ["", "# Hears, and says nothing.", f"user {reader.name}"]
        lines += [f"topic read {each}" for each in reader.topics]
    for name in sorted(barred):
        topic(name, TopicEnd.BIRTH)  # refuses what is no camera id: a line break in it would be a line of the file
        lines += ["", "# Its certificate was revoked.", f"user {name}", "topic deny #"]
    return "\n".join(lines) + "\n"
