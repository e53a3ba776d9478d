"""Nodes of an ejabberd cluster on loopback, under the configuration that is generated for a city.

They are started as `ejabberdctl` starts them, with what it sets, but by `erl` itself: the
script insists on a user of its own and on a port mapper for the whole machine.
"""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest

from provisioning.authority import files
from provisioning.backend.installation import BackendFolder, Listening, configure_cluster, issue_own
from provisioning.broker import ejabberd
from tests.tools.mosquitto import HOST, WAIT_S, FleetBroker, founded, free_port

_STARTED = "is started in the node"
_COOKIE = "for-the-length-of-a-test"


def libraries() -> Path:
    """Return where Erlang finds ejabberd, or skip the test."""
    found = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.app"))
    if not found or shutil.which("erl") is None or shutil.which("epmd") is None:
        pytest.skip("ejabberd is not installed: make cluster, or the package ejabberd")
    return found[-1].parents[2]


class Node(FleetBroker):
    """One node; it keeps its port, and what it stored, over all its lives."""

    def __init__(self, name: str, place: Path, cluster: "Cluster") -> None:
        super().__init__(cluster.folder, cluster.authority)
        self._name = f"{name}@localhost"
        self._place = place
        self._cluster = cluster
        self._process: subprocess.Popen[bytes] | None = None
        for folder in ("spool", "log"):
            (place / folder).mkdir(parents=True)
        listening = Listening(hosts=("localhost", HOST), address=HOST, port=self.port)
        written = configure_cluster(cluster.folder, cluster.authority, listening, on_nodes=place / "etc")
        shutil.copytree(written, place / "etc")

    @property
    def log(self) -> str:
        """What it wrote in this life."""
        out = self._place / "out"
        return out.read_text(encoding="utf-8", errors="replace") if out.exists() else ""

    def start(self) -> None:
        """Start it and wait until it is there."""
        with (self._place / "out").open("wb") as out:
            self._process = subprocess.Popen(
                [
                    *("erl", "-noinput", "-sname", self._name, "-setcookie", _COOKIE, "-start_epmd", "false"),
                    *("-kernel", "inet_dist_use_interface", "{127,0,0,1}"),
                    *("-mnesia", "dir", f'"{self._place / "spool"}"', "-s", "ejabberd"),
                ],
                cwd=self._place / "spool",
                env=self._cluster.environment
                | {
                    "EJABBERD_CONFIG_PATH": str(self._place / "etc" / ejabberd.CONFIGURATION_FILE),
                    "EJABBERD_LOG_PATH": str(self._place / "log" / "ejabberd.log"),
                    "ERL_CRASH_DUMP_BYTES": "0",
                    "OPENSSL_CONF": str(self._place / "etc" / ejabberd.OPENSSL_FILE),
                },
                stdout=out,
                stderr=out,
            )
        self.wait_for(lambda: _STARTED in self.log and self._listens(), "it does not start")

    def wait_for(self, there: Callable[[], bool], why: str) -> None:
        """Wait until `there`."""
        waiting = threading.Event()
        for _ in range(int(WAIT_S / 0.05)):
            if there():
                return
            assert self._process is not None, why
            assert self._process.poll() is None, self.log
            waiting.wait(0.05)
        raise AssertionError(f"{why}: {self.log}")

    def kill(self) -> None:
        """SIGKILL: nothing is saved, nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def control(self, *command: str) -> str:
        """Do what `ejabberdctl COMMAND` does on this node; return what it says."""
        done = subprocess.run(
            [
                *("erl", "-hidden", "-noinput", "-sname", f"control-{os.getpid()}@localhost", "-setcookie", _COOKIE),
                *("-start_epmd", "false", "-s", "ejabberd_ctl", "-extra", self._name, "--no-timeout", *command),
            ],
            env=self._cluster.environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr + self.log
        return done.stdout

    def join(self, other: "Node") -> None:
        """Become one cluster with `other`."""
        self.control("join_cluster", other._name)
        self.wait_for(self._listens, "it does not listen again")

    def reload(self) -> None:
        """Copy the backend's files again and read them, as an operator does after a revocation."""
        for name in (ejabberd.BARRED_FILE, ejabberd.CERTIFICATE_FILE):
            shutil.copy(self._cluster.folder.cluster / name, self._place / "etc" / name)
        self.control("reload_config")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0


class Cluster:
    """Two nodes that know each other, and the fleet they serve.

    Attributes:
        folder: The backend's folder.
        authority: Who issues its certificates.
        environment: What every Erlang process here needs.
        one: A node.
        other: A node that has joined it.
    """

    def __init__(self, place: Path) -> None:
        files.make_folder(place / "backend", mode=0o755)
        self.folder = BackendFolder(path=place / "backend")
        self.authority = founded(self.folder.authority)
        files.make_folder(self.folder.broker, mode=0o755)
        issue_own(self.folder, self.authority, ("localhost", HOST), now=datetime.now(UTC))
        mapper_port = free_port()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "LANG": "C.UTF-8",
            "ERL_LIBS": str(libraries()),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(mapper_port),
        }
        self.one = Node("one", place / "one", self)
        self.other = Node("other", place / "other", self)
        self._mapper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._mapper = subprocess.Popen(["epmd"], env=self.environment)  # in the foreground
        try:
            self.one.start()
            self.other.start()
            self.other.join(self.one)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.one, self.other, self._mapper):
            if process is not None:
                process.kill()
        if self._mapper is not None:
            self._mapper.wait(WAIT_S)
