"""The demo's backend: a broker, the reference backend beside it, and certificates for the cameras.

Everything is on the loopback address, over TLS with certificates both ways, as in a city.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import RenderableType

from agent.errors import LamppostError
from provisioning.backend.ca import FleetAuthority, make_private_key, make_request
from provisioning.backend.installation import BackendFolder, Listening, install
from provisioning.backend.records import CameraRecord
from provisioning.backend.store import Store
from provisioning.clock import wait
from provisioning.commands.fleet import FleetTable

HOST = "localhost"
LOOPBACK = "127.0.0.1"
_LOOK_EVERY = timedelta(milliseconds=50)
_ENDS_WITHIN_S = 30


class FleetDidNotError(LamppostError):
    """The demo's broker or backend did not do what was expected of it."""


class DemoFleet:
    """A broker and a backend on this desk; a context that ends both.

    Args:
        folder: Where both keep their files; must not hold a space.
        city: The city's folder, whose bundles are published.
        now: The wall clock, to the second.
    """

    def __init__(self, folder: Path, city: Path, now: Callable[[], datetime]) -> None:
        self._now = now
        self._city = city
        self._said = folder / "backend.log"
        self._folder = BackendFolder(path=folder / "backend")
        self.port = _free_port()
        folder.mkdir(parents=True, mode=0o700)
        run_as = "root" if os.geteuid() == 0 else None
        listening = Listening(hosts=(HOST, LOOPBACK), address=LOOPBACK, port=self.port, run_as=run_as)
        self._authority: FleetAuthority = install(
            self._folder, folder / "stick", listening, city="Demo", passphrase=secrets.token_urlsafe(24), now=now()
        )
        self._running = ExitStack()

    @property
    def backend(self) -> Path:
        """The backend's folder."""
        return self._folder.path

    @property
    def authority_file(self) -> Path:
        """What cameras trust."""
        return self._authority.root_file

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            conf = self._folder.broker / "mosquitto.conf"
            self._start(starting, [_mosquitto(), "-c", str(conf)])
            self._wait_for_port()
            broker = f"mqtts://{HOST}:{self.port}"
            backend = ["--backend", str(self._folder.path), "--city", str(self._city), "--broker", broker]
            self._start(
                starting, [sys.executable, "-m", "provisioning", "backend", "run", *backend, "--metrics", "off"]
            )
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def credential(self, camera_id: str) -> bytes:
        """Return a key and its certificate for a camera, as a technician's enrolment would leave them."""
        key, pem = make_private_key()
        issued = self._authority.issue_device(camera_id, make_request(camera_id, key), now=self._now())
        return pem + issued.chain

    def table(self, now: datetime) -> RenderableType:
        """Return the fleet as `lamppost fleet watch` shows it."""
        return FleetTable(cameras=self._cameras(), now=now)

    def wait_for(
        self,
        what: str,
        condition: Callable[[tuple[CameraRecord, ...]], bool],
        within: timedelta = timedelta(seconds=60),
    ) -> None:
        """Wait until what the backend knows fulfils `condition`.

        Raises:
            FleetDidNotError: It does not within `within`.
        """
        until = self._now() + within
        while self._now() < until:
            if condition(self._cameras()):
                return
            wait(_LOOK_EVERY)
        said = self._said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise FleetDidNotError(
            f"no {what} within {within.total_seconds():g} s: {said[-1] if said else 'nothing was said'}"
        )

    def _cameras(self) -> tuple[CameraRecord, ...]:
        store = Store(self._folder.store_url)
        try:
            with store.transaction() as fleet:
                return fleet.cameras.all()
        finally:
            store.close()

    def _start(self, stack: ExitStack, command: list[str]) -> None:
        said = stack.enter_context(self._said.open("ab"))
        process = stack.enter_context(subprocess.Popen(command, stdout=said, stderr=said))  # noqa: S603 - our own words
        stack.callback(_end, process)

    def _wait_for_port(self) -> None:
        until = self._now() + timedelta(seconds=_ENDS_WITHIN_S)
        while self._now() < until:
            with socket.socket() as attempt:
                if attempt.connect_ex((LOOPBACK, self.port)) == 0:
                    return
            wait(_LOOK_EVERY)
        raise FleetDidNotError(f"the broker does not listen: {self._said.read_text(encoding='utf-8')[-300:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _mosquitto() -> str:
    """Return where the broker's program is; Debian puts it where only root looks."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise FleetDidNotError("there is no mosquitto on this machine", hint="sudo apt-get install mosquitto")
    return found
