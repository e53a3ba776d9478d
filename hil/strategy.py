"""off → booted → enrolled → recording: what a test asks for, and how a camera gets there."""

import base64
import contextlib
import enum
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import attr
from labgrid.factory import target_factory
from labgrid.strategy import Strategy, StrategyError, never_retry

from agent.core.sealing.recipients import PostQuantumIdentity
from agent.core.status import RecorderStatus
from hil import board  # noqa: F401 -- labgrid finds its drivers by name
from provisioning.clock import precise_now, wait
from tests.fakes.city import City
from tests.fakes.desk import CAMERA, granted_now, keys_now

PATIENCE = timedelta(seconds=240)
STALE_AFTER = timedelta(seconds=20)
CLIP = "/usr/share/lamppost/clip.mp4"
CONFIGURATION = """\
[camera]
id = "{camera}"
source = "{source}"
width_px = {width_px}
height_px = {height_px}
rate_hz = {rate_hz}

[storage]
footage = "/var/lib/lamppost/footage"
capacity_mib = 256
keep_free_mib = 8

[state]
folder = "/var/lib/lamppost/state"
runtime = "/run/lamppost"

[policy]
root = "/usr/share/lamppost/root.json"
inbox = "/var/lib/lamppost/inbox"
outbox = "/var/lib/lamppost/outbox"

[link]
host = "broker.invalid"
authority = "/etc/lamppost/fleet-authority.pem"
"""


class Status(enum.Enum):
    """Where a camera is."""

    unknown = 0
    off = 1
    booted = 2
    enrolled = 3
    recording = 4


@target_factory.reg_driver
@attr.s(eq=False)
class CameraStrategy(Strategy):
    """Brings one camera where a test wants it.

    Args:
        source: What it films (`camera.source`): the simulated street, if nothing is said.
        width_px: Of its picture, of 16:9 as its zones are drawn; likewise `height_px`.
        rate_hz: Frames a second.

    Attributes:
        city: Who signs for this camera, once it is enrolled.
        identity: Opens what it records; it never is on the camera.
    """

    bindings: ClassVar = {
        "power": "PowerProtocol",
        "shell": "CommandProtocol",
        # What only a board has.
        "screen": {"ScreenDriver", None},
        "eye": {"PhotodiodeDriver", None},
        "reader": {"CardReaderDriver", None},
    }
    source = attr.ib(default="streetscene", validator=attr.validators.instance_of(str))
    width_px = attr.ib(default=640, validator=attr.validators.instance_of(int))
    height_px = attr.ib(default=360, validator=attr.validators.instance_of(int))
    rate_hz = attr.ib(default=10, validator=attr.validators.instance_of(int))
    status = attr.ib(default=Status.unknown)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.city: City
        self.identity: PostQuantumIdentity

    @never_retry
    def transition(self, status: str | Status) -> None:
        """Go on to `status` from wherever it is. Going back means going off first."""
        wanted = Status[status] if isinstance(status, str) else status
        if wanted is Status.unknown:
            raise StrategyError("nobody can want a camera to be unknown")
        if wanted is Status.off:
            self.target.activate(self.power)
            self._cut()
            self.status = Status.off
            return
        if self.status is Status.unknown:
            self.transition(Status.off)
        steps: dict[Status, Callable[[], None]] = {
            Status.booted: self._boot,
            Status.enrolled: self._enrol,
            Status.recording: self._record,
        }
        for step, take in steps.items():
            if self.status.value < step.value <= wanted.value:
                take()
                self.status = step

    def restart(self) -> None:
        """Cut the power of an enrolled camera and let it come back by itself."""
        self._cut()
        self._start()

    @contextlib.contextmanager
    def files(self) -> Iterator[Path]:
        """Lend what is on its card, below a path as on the camera; a board is off meanwhile."""
        if self.reader is None:
            with self.power.files() as root:
                yield root
            return
        self._cut()
        self.target.activate(self.reader)
        with self.reader.files() as root:
            yield root
        if self.status is not Status.off:
            self._start()

    @contextlib.contextmanager
    def filming(self, clip: bytes) -> Iterator[None]:
        """Have a clip before its lens: on the screen there, or in place of its camera once it is enrolled."""
        if self.screen is not None:
            self.target.activate(self.screen)
            self.screen.show(clip)
            yield
            self.target.deactivate(self.screen)
            return
        with self.power.files() as root:
            path = root / CLIP[1:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(clip)
        before, self.source = self.source, f"file:{CLIP}"
        yield
        self.source = before

    def ahead(self) -> timedelta:
        """Return by how much the camera's clock is ahead of this machine's, right to half of what asking takes."""
        asked = precise_now()
        told = datetime.fromtimestamp(float(self.shell.run_check("date +%s.%N")[0]), UTC)
        return told - (asked + (precise_now() - asked) / 2)

    def recorder(self) -> RecorderStatus | None:
        """Return what the recorder says of itself; None if it says nothing."""
        out, _, status = self.shell.run("cat /run/lamppost/status.json")
        try:
            return RecorderStatus.from_json("\n".join(out)) if status == 0 else None
        except ValueError:
            return None

    def wait_for(self, what: str, condition: Callable[[RecorderStatus], bool]) -> RecorderStatus:
        """Return the first status that `condition` holds for. Raises StrategyError if none comes."""
        until, ahead = precise_now() + PATIENCE, self.ahead()
        status = None
        while precise_now() < until:
            status = self.recorder()
            if status is not None and precise_now() + ahead - status.updated_at < STALE_AFTER and condition(status):
                return status
            wait(timedelta(milliseconds=300))
        told = "\n".join(self.shell.run("journalctl --no-pager -u 'lamppost*' -n 30")[0])
        raise StrategyError(f"no {what}: {status}\n{told}")

    def deliver(self, bundle: bytes) -> None:
        """Put a bundle into the inbox as the link does: whole, by one rename, for the group to read."""
        place = "/var/lib/lamppost/inbox"
        self.put(f"{place}/.policy.bundle.new", bundle, owner="lamppost-link:lamppost", mode="640")
        self.shell.run_check(f"mv {place}/.policy.bundle.new {place}/policy.bundle")

    def publish(self) -> None:
        """Deliver what the city says now."""
        self.deliver(self.city.publish(after=timedelta(seconds=1)))

    def put(self, path: str, content: bytes, *, owner: str = "root:root", mode: str = "644") -> None:
        """Write a file on the camera."""
        encoded = base64.b64encode(content).decode("ascii")
        self.shell.run_check(f": > {path}.b64")
        for start in range(0, len(encoded), 60_000):  # a command line holds 128 KiB
            self.shell.run_check(f"printf %s {encoded[start : start + 60_000]} >> {path}.b64")
        self.shell.run_check(
            f"base64 -d {path}.b64 > {path} && rm {path}.b64 && chown {owner} {path} && chmod {mode} {path}"
        )

    def _cut(self) -> None:
        if self.shell is not self.power:  # a console: who is logged in there will not be
            self.target.deactivate(self.shell)
        self.power.off()

    def _start(self) -> None:
        self.power.on()
        self.target.activate(self.shell)

    def _boot(self) -> None:
        self.target.activate(self.power)
        self._start()

    def _enrol(self) -> None:
        now = precise_now().replace(microsecond=0)
        self.identity = PostQuantumIdentity.generate()
        self.city = City(now=now - timedelta(minutes=1))
        self.city.put(keys_now(now, str(self.identity.recipient), ahead=20))
        self.city.put(granted_now(now))
        configuration = CONFIGURATION.format(
            camera=CAMERA,
            source=self.source,
            width_px=self.width_px,
            height_px=self.height_px,
            rate_hz=self.rate_hz,
        )
        self.put("/etc/lamppost/lamppost.toml", configuration.encode())
        self.put("/usr/share/lamppost/root.json", self.city.trusted_root)
        self.put(
            "/var/lib/lamppost/link/credential.pem",
            b"not a credential: this bench has no broker\n",
            owner="lamppost-link:lamppost",
            mode="600",
        )
        if hasattr(self.power, "remember"):  # a machine whose starts take minutes
            self.power.remember()
        else:
            # Synced: what a board has in its image is not what a power cut may take.
            self.shell.run_check(
                "sync && systemctl restart lamppost-recorder.service lamppost-link.service"
                " && systemctl start lamppost.target"
            )
        self.wait_for("recorder that says something", lambda _: True)

    def _record(self) -> None:
        self.publish()
        self.wait_for(
            "recorder that records", lambda status: status.state.value == "recording" and status.frames.stored > 0
        )


def as_json(lines: list[str]) -> object:
    """Return what a program inside said in JSON."""
    return json.loads("\n".join(lines))
