"""A camera's network side as a process of its own, beside a broker of the test: what it reads and writes is files."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from agent.adapters.log_files import LogFiles
from provisioning.backend.ca import make_private_key, make_request
from tests.tools.mosquitto import WAIT_S, FleetBroker


class CameraSide:
    """One camera's folders, its credential, and its link when started.

    Args:
        broker: Where it connects.
        place: A folder of its own.
        camera_id: Who it is.
        port: Where the way to the broker begins, if something lies between.
    """

    def __init__(self, broker: FleetBroker, place: Path, camera_id: str = "cam-1", *, port: int | None = None) -> None:
        self.camera_id = camera_id
        self._port = port or broker.port
        self.place = place
        self.inbox, self.outbox = place / "inbox", place / "outbox"
        self.log_folder = place / "state" / "log"
        self.credential = place / "link" / "credential.pem"
        for folder in (self.inbox, self.outbox, self.log_folder, place / "footage", place / "run", place / "link"):
            folder.mkdir(parents=True)
        key, pem = make_private_key()
        issued = broker.authority.issue_device(camera_id, make_request(camera_id, key), now=datetime.now(UTC))
        self.credential.write_bytes(pem + issued.chain)
        self.credential.chmod(0o600)
        self._configuration = place / "lamppost.toml"
        self._configuration.write_text(self._text(broker), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bundle(self) -> Path:
        """Where a bundle for the recorder lies."""
        return self.inbox / "policy.bundle"

    def start(self) -> None:
        """Start the link."""
        with (self.place / "link.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "agent", "link", "--config", str(self._configuration)], stdout=log, stderr=log
            )

    def stop(self) -> None:
        """Let it say goodbye and write what it keeps."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(WAIT_S)
            self._process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(WAIT_S)
            self._process = None

    @property
    def diagnostics(self) -> str:
        """What the link wrote about itself."""
        return (self.place / "link.log").read_text(encoding="utf-8", errors="replace")

    def lines(self) -> list[bytes]:
        """Return every line of the log, as it lies on disk."""
        files = sorted(self.log_folder.glob("events-*.jsonl"))
        return [line for file in files for line in file.read_bytes().splitlines()]

    def write_events(self, count: int) -> None:
        """Let the recorder's log grow."""
        with LogFiles(self.log_folder) as log:
            for number in range(count):
                log.append("segment-stored", datetime.now(UTC), number=number, padding="x" * 200)

    def _text(self, broker: FleetBroker) -> str:
        def quoted(value: object) -> str:
            return json.dumps(str(value))

        return f"""
[camera]
id = {quoted(self.camera_id)}
source = "streetscene"

[storage]
footage = {quoted(self.place / "footage")}

[state]
folder = {quoted(self.place / "state")}
runtime = {quoted(self.place / "run")}

[policy]
root = {quoted(self.place / "root.json")}
inbox = {quoted(self.inbox)}
outbox = {quoted(self.outbox)}

[link]
host = "localhost"
port = {self._port}
authority = {quoted(broker.authority.root_file)}
credential = {quoted(self.credential)}
folder = {quoted(self.place / "link")}
"""
