"""A real mosquitto on a free port of this machine: TLS 1.3, certificates, one subtree for each camera."""

import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Self

from agent.adapters.paho_link import BrokerAddress
from tests.fakes.pki import FakeAuthority

PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
PATIENCE_S = 60

CONFIGURATION = """\
listener {port} 127.0.0.1
cafile {folder}/authority.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.pem
{crl}
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
use_username_as_clientid true
acl_file {folder}/acl
allow_anonymous false
persistence false
max_queued_messages 10000
{extra}
"""
ACL = """\
pattern write lamppost/v1/cam/%u/up/#
pattern read lamppost/v1/cam/%u/down/#
user backend
topic readwrite lamppost/v1/cam/#
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One broker. Start it, kill it, start it again: it keeps its port and forgets the rest.

    Args:
        folder: An empty folder of its own.
        authority: Who signs its certificate and those it accepts.
    """

    def __init__(self, folder: Path, authority: FakeAuthority, *, extra: str = "", acl: str = ACL) -> None:
        assert PROGRAM is not None, "mosquitto is not installed: see APT in the Makefile"
        self.folder = folder
        self.authority = authority
        self.port = free_port()
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "authority.pem").write_bytes(authority.pem)
        (folder / "acl").write_text(acl, encoding="utf-8")
        authority.credential(folder / "broker.pem", "localhost", server=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and return once it listens."""
        crl = self.folder / "revoked.pem"
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text(
            CONFIGURATION.format(
                port=self.port,
                folder=self.folder,
                crl=f"crlfile {crl}" if crl.exists() else "",
                extra=self._extra,
            ),
            encoding="utf-8",
        )
        configuration.chmod(0o600)
        if os.geteuid() == 0:  # mosquitto would change to its own user, who may not read these files
            configuration.write_text(configuration.read_text(encoding="utf-8") + "user root\n", encoding="utf-8")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([str(PROGRAM), "-v", "-c", str(configuration)], stdout=log, stderr=log)
        for _ in range(PATIENCE_S * 20):
            if self._process.poll() is not None:
                raise AssertionError((self.folder / "mosquitto.log").read_text(encoding="utf-8"))
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            threading.Event().wait(0.05)
        raise AssertionError("mosquitto does not listen")

    def kill(self) -> None:
        """SIGKILL: nothing is saved, nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def address(self, client_id: str, *, credential: Path | None = None) -> BrokerAddress:
        """Return how `client_id` reaches it, with a credential of its own unless one is given."""
        if credential is None:
            credential = self.folder / f"{client_id}.pem"
            if not credential.exists():
                self.authority.credential(credential, client_id)
        return BrokerAddress(
            host="127.0.0.1",
            port=self.port,
            authority=self.folder / "authority.pem",
            credential=credential,
            client_id=client_id,
        )
