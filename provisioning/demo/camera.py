"""The demo's camera: `lamppost-agent` as a process of its own, which only files reach."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from agent.core.status import RecorderStatus
from agent.errors import LamppostError
from provisioning.authority.files import write_whole
from provisioning.clock import wait
from provisioning.simulated import Reports, configuration

RATE_HZ = 15
_LOOK_EVERY = timedelta(milliseconds=50)


class CameraDidNotError(LamppostError):
    """The demo's camera did not do what was expected of it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process cost: CPU seconds and peak memory."""

    cpu_s: float
    peak_mib: float


class DemoCamera:
    """A simulated camera on this desk.

    Attributes:
        config: Its configuration file.
        environment: What its process sees.

    Args:
        folder: Its "card".
        camera: Its id.
        source: Where its pictures come from.
        root: The city's first root, part of its "image".
        now: The wall clock.
        settings: Other settings, as environment variables.
    """

    def __init__(
        self,
        folder: Path,
        *,
        camera: str,
        source: str,
        root: bytes,
        now: Callable[[], datetime],
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._camera_id = camera
        self._source = source
        self.environment = {**os.environ, **(settings or {})}
        self._now = now
        self._process: subprocess.Popen[bytes] | None = None
        self._link: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "root.json").write_bytes(root)
        self.config = folder / "lamppost.toml"
        self._configure(None)

    @property
    def footage(self) -> Path:
        """The ring of sealed segments."""
        return self._folder / "footage"

    @property
    def log(self) -> Path:
        """The transparency log."""
        return self._folder / "state" / "log"

    @property
    def diagnostics(self) -> Path:
        """What the process said."""
        return self._folder / "agent.log"

    def commission(self) -> bool:
        """Keep the reference view, as a technician does; return whether what the camera looks at has one.

        Half a minute of it, as fast as it can be had. The recorder must not run.
        """
        done = subprocess.run(  # noqa: S603 - our own agent, and our own words
            [sys.executable, "-m", "agent", "reference", "--config", str(self.config)],
            capture_output=True,
            env={**self.environment, "LAMPPOST_CAMERA__PACED": "false", "LAMPPOST_CAMERA__RATE_HZ": "2"},
            check=False,
        )
        return done.returncode == 0

    def start(self) -> None:
        """Start the agent and wait until it tells its status."""
        self.status_path.unlink(missing_ok=True)
        with self.diagnostics.open("ab") as said:
            self._process = subprocess.Popen(  # noqa: S603 - our own agent, and our own words
                [sys.executable, "-m", "agent", "run", "--config", str(self.config)],
                stdout=said,
                stderr=said,
                env=self.environment,
            )
        self.wait_for("a status", lambda _: True)

    def connect(self, *, host: str, port: int, authority: Path, credential: bytes) -> None:
        """Enrol the camera and start its link: from now on policy comes over the network."""
        folder = self._folder / "link"
        folder.mkdir(mode=0o700)
        write_whole(folder / "credential.pem", credential, mode=0o600)
        self._configure(Reports(host=host, port=port, authority=authority))
        with self.diagnostics.open("ab") as said:
            self._link = subprocess.Popen(  # noqa: S603 - our own agent, and our own words
                [sys.executable, "-m", "agent", "link", "--config", str(self.config)],
                stdout=said,
                stderr=said,
                env=self.environment,
            )

    def record(self) -> None:
        """Let the agent record until its source ends.

        Raises:
            CameraDidNotError: It failed.
        """
        done = subprocess.run(  # noqa: S603 - our own agent, and our own words
            [sys.executable, "-m", "agent", "record", "--config", str(self.config)],
            capture_output=True,
            text=True,
            env=self.environment,
            check=False,
        )
        if done.returncode:
            raise CameraDidNotError(f"the agent ended with {done.returncode}: {done.stderr.strip()}")

    def deliver(self, bundle: bytes) -> None:
        """Put a bundle where the link would."""
        inbox = self._folder / "inbox"
        inbox.mkdir(exist_ok=True, mode=0o700)
        write_whole(inbox / "policy.bundle", bundle)

    @property
    def status_path(self) -> Path:
        """Where the agent says what it does."""
        return self._folder / "run" / "status.json"

    def status(self) -> RecorderStatus | None:
        """Return what the agent says it does; None before it said anything."""
        try:
            return RecorderStatus.from_json(self.status_path.read_bytes())
        except FileNotFoundError:
            return None

    def wait_for(
        self, what: str, condition: Callable[[RecorderStatus], bool], within: timedelta = timedelta(seconds=180)
    ) -> RecorderStatus:
        """Wait until the status fulfils `condition`.

        Raises:
            CameraDidNotError: It does not within `within`, or the agent ended.
        """
        until = self._now() + within
        while self._now() < until:
            status = self.status()
            if status is not None and condition(status):
                return status
            if self._process is not None and self._process.poll() is not None:
                raise CameraDidNotError(
                    f"the agent ended with {self._process.returncode} before {what}: {self._said()}"
                )
            wait(_LOOK_EVERY)
        raise CameraDidNotError(f"waited {within.total_seconds():g} s for {what}, in vain: {self._said()}")

    def kill(self) -> None:
        """End the recorder as a power cut does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def disconnect(self) -> None:
        """End the link."""
        if self._link is not None:
            self._link.terminate()
            self._link.wait(timeout=60)

    def stop(self) -> None:
        """Ask the agent to end, and wait for it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=60)

    def events(self) -> list[dict[str, Any]]:
        """Return the agent's event log."""
        return [
            json.loads(line)
            for path in sorted(self.log.glob("events-*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]

    def _configure(self, reports: Reports | None) -> None:
        text = configuration(
            self._folder, source=self._source, rate_hz=RATE_HZ, camera_id=self._camera_id, reports=reports
        )
        self.config.write_text(text, encoding="utf-8")

    def _said(self) -> str:
        lines = self.diagnostics.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing was said"


def children_usage() -> Usage:
    """Return what all ended child processes cost together, and the peak of the largest."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Usage(cpu_s=spent.ru_utime + spent.ru_stime, peak_mib=spent.ru_maxrss / 1024)
