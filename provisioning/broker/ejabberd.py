"""The configuration of an ejabberd node, for a city whose broker must outlive one machine.

As `mosquitto` it keeps honest cameras apart and strangers out; here it is several nodes
that share sessions and subscriptions, so that a camera on one is heard by a backend on
another. Written for 23.01, which Debian 12 has:

* `tls_verify` takes who is speaking from the certificate's common name, and lets no other
  client id in under it; without a certificate of the fleet nobody is let in at all;
* `%u` in a topic rule is that name: one pattern for all cameras;
* its MQTT listener cannot be told TLS versions. OpenSSL can, for the whole process, in a file
  of its own that `OPENSSL_CONF` names;
* it asks no revocation list. A barred camera is denied every topic by name, so that it can
  say and ask for nothing; what an open connection of it had subscribed to goes on until it ends.

Every node has the same folder: only what a node is called differs, and that is asked of
the machine. Pure: values in, text out. Every line of the files has its reason beside it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from agent.core.topics import ROOT, topic
from agent.core.topics import Leaf as TopicEnd
from provisioning.broker.mosquitto import MAX_PACKET_BYTES, MAX_QUEUED, Reader

# The domain in "cam-07@lamppost"; no certificate has it, and it is looked up nowhere.
DOMAIN = "lamppost"

CONFIGURATION_FILE = "ejabberd.yml"
BARRED_FILE = "barred.yml"
OPENSSL_FILE = "openssl.cnf"
CONTROL_FILE = "ejabberdctl.cfg"
ROOT_FILE = "root.pem"
CERTIFICATE_FILE = "server.pem"
KEY_FILE = "server.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where a node's parts lie, on the node.

    Attributes:
        folder: Where the files of this module and the node's credential are.
        address: Where it listens for cameras and the backend, such as "0.0.0.0".
        port: Likewise.
        backend_name: Common name of the backend's certificate; no camera can have it.
        readers: Who else may hear something, once it has a certificate.
    """

    folder: PurePath
    address: str
    port: int
    backend_name: str
    readers: tuple[Reader, ...] = ()


def ejabberd_yml(node: Node) -> str:
    """Return the text of ejabberd.yml."""

    def lies(name: str) -> str:
        return _quoted(str(node.folder / name))

    publish = "".join(f"\n      {_quoted(f'{reader.announced_below}/#')}: backend" for reader in node.readers)
    subscribe = "".join(f"\n      {_quoted(each)}: reader" for reader in node.readers for each in reader.topics)
    return f"""\
# Made by `lamppost backend broker --kind ejabberd`; made anew, it overwrites what was changed here.

# One domain; who connects without naming another is in it.
hosts:
  - {DOMAIN}
loglevel: info

certfiles:
  - {lies(CERTIFICATE_FILE)}
  - {lies(KEY_FILE)}
# Who vouches for this node's certificate, and who for those of clients: the fleet's root.
ca_file: {lies(ROOT_FILE)}
c2s_cafile: {lies(ROOT_FILE)}
# No certificate is fetched from anywhere.
acme:
  auto: false

# The cameras that were revoked, in a file of their own: who may write it may only bar.
include_config_file:
  {lies(BARRED_FILE)}:
    allow_only:
      - acl

# MQTT and nothing else: no XMPP, no HTTP, no administration over a network.
listen:
  -
    port: {node.port}
    ip: {_quoted(node.address)}
    module: mod_mqtt
    tls: true
    # The certificate's common name is who it is; the client id must be the same.
    tls_verify: true
    # The largest message is a policy bundle.
    max_payload_size: {MAX_PACKET_BYTES}

# There are no passwords, and nobody can register one.
auth_method: []

acl:
  backend:
    user: {_quoted(node.backend_name)}
  reader:
    user: {json.dumps([reader.name for reader in node.readers])}

access_rules:
  camera:
    - deny: barred
    - deny: backend
    - deny: reader
    - allow
  backend:
    - allow: backend
  reader:
    - allow: reader

modules:
  mod_mqtt:
    # %u is the name in the certificate. What no line allows is denied.
    access_publish:
      "{ROOT}/%u/up/#": camera
      "{ROOT}/+/down/#": backend{publish}
    access_subscribe:
      "{ROOT}/%u/down/#": camera
      "{ROOT}/+/up/#": backend{subscribe}
    # For the backend while it is behind or restarts. A camera's log is its queue.
    max_queue: {MAX_QUEUED}
    # In the memory of the node that has the session. Clients ask for less.
    session_expiry: 5 minutes
    # How many retained messages a new subscription gets: a birth and a report of each of 10,000 cameras.
    match_retained_limit: 20000
"""


def ejabberd_barred(barred: Iterable[str] = ()) -> str:
    """Return the text of the file that bars cameras whose certificate was revoked.

    Raises:
        ValueError: A name is no camera's, so it would not be one line of the file.
    """
    names = sorted(barred)
    for name in names:
        topic(name, TopicEnd.BIRTH)  # refuses what is no camera id
    users = "".join(f"\n      - {_quoted(name)}" for name in names) or " []"
    return f"# Cameras whose certificate was revoked.\nacl:\n  barred:\n    user:{users}\n"


def openssl_cnf() -> str:
    """Return what `OPENSSL_CONF` names: TLS 1.3 only (RFC 8446), for every connection of the process."""
    return """\
openssl_conf = lamppost

[lamppost]
ssl_conf = ssl

[ssl]
system_default = tls

[tls]
MinProtocol = TLSv1.3
"""


def ejabberdctl_cfg(node: Node) -> str:
    """Return the text of ejabberdctl.cfg, a shell script that `ejabberdctl` reads in."""
    return f"""\
# Made by `lamppost backend broker --kind ejabberd`.
# Each node by its machine's name, which the others must be able to look up.
ERLANG_NODE=ejabberd@$(hostname -s)
EJABBERD_CONFIG_PATH={_shell(str(node.folder / CONFIGURATION_FILE))}
# The nodes speak to each other on these ports and on 4369, in the clear, and whoever speaks there with
# their cookie commands them: a network of their own, or a tunnel, and a firewall that opens it to nobody else.
FIREWALL_WINDOW=4370-4379
# TLS 1.3 only.
export OPENSSL_CONF={_shell(str(node.folder / OPENSSL_FILE))}
"""


def _quoted(text: str) -> str:
    return json.dumps(text)  # a string of JSON is one of YAML


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
