"""A camera in a container: a labgrid driver that boots a Debian tree by systemd-nspawn, and cuts its power.

The tree itself is never written: each start that follows a `fresh` lays an empty overlay
over it. What was written stays over a power cut, as on a card; what the kernel of this
machine holds in its cache is not lost, so this tier says nothing about disks that lie.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import attr
from labgrid.driver import Driver, ExecutionError
from labgrid.driver.commandmixin import CommandMixin
from labgrid.factory import target_factory
from labgrid.protocol import CommandProtocol, PowerProtocol
from labgrid.resource import Resource

from provisioning.clock import precise_now, wait

BOOT_WITHIN = timedelta(seconds=180)
_LOOK_EVERY = timedelta(milliseconds=200)


@target_factory.reg_resource
@attr.s(eq=False)
class NspawnMachine(Resource):
    """A tree to boot.

    Args:
        tree: Where it is.
    """

    tree = attr.ib(validator=attr.validators.instance_of(str))


@target_factory.reg_driver
@attr.s(eq=False)
class NspawnDriver(CommandMixin, Driver, CommandProtocol, PowerProtocol):
    """Power and a root shell for one container."""

    bindings: ClassVar = {"machine": NspawnMachine}

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._process: subprocess.Popen[bytes] | None = None
        self._work = Path(self.machine.tree).absolute().with_suffix(".work")
        self.root = self._work / "root"  # as the container has it, running or not
        self.console = self._work / "console.log"
        self._name = f"lamppost-hil-{os.getpid()}"  # another bench may run on this machine
        self._network = Path("/run/netns") / self._name

    def fresh(self) -> None:
        """Forget everything that was written since the tree was made."""
        self.off()
        self._unmount()
        shutil.rmtree(self._work, ignore_errors=True)

    def prepared(self) -> Path:
        """Return the root of a container that is off, to put things into what it will find."""
        self._mount()
        return self.root

    @property
    def leader(self) -> int:
        """Process number of the container's first process, seen from here."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[-1])

    @property
    def inside(self) -> Path:
        """The container's root as a path, with what is mounted in it; while it runs."""
        return Path(f"/proc/{self.leader}/root")

    def add_device(self, name: str, device: Path) -> None:
        """Put a disk of this machine before its door, as /dev/NAME, while it runs."""
        node = self.inside / "dev" / name
        node.unlink(missing_ok=True)
        os.mknod(node, 0o060600, device.stat().st_rdev)

    @Driver.check_active
    def on(self) -> None:
        """Start it, and return when systemd has started everything."""
        if self._process is not None:
            return
        self._mount()
        self._connect()
        self._process = subprocess.Popen(
            [
                "systemd-nspawn", "--quiet", "--boot", "--directory", str(self.root), "--machine", self._name,
                # No machined and no unit of ours: it also runs where systemd is not the first process.
                "--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off",
                f"--network-namespace-path={self._network}",
                "--link-journal=no", "--console=pipe",
                # So that DevicePolicy= and IPAddressDeny= are walls in here, too: both are BPF programs.
                "--capability=CAP_BPF", "--system-call-filter=bpf",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self.console.open("ab"),
            stderr=subprocess.STDOUT,
            # Unified: a host with the older layout of control groups has the newer one beside it.
            env={**os.environ, "SYSTEMD_NSPAWN_LOCK": "0", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )  # fmt: skip
        until = precise_now() + BOOT_WITHIN
        said = ""
        while precise_now() < until:
            if self._process.poll() is not None:
                break
            said = self._says_it_is_up()
            if said in {"running", "degraded"}:
                return
            wait(_LOOK_EVERY)
        raise ExecutionError(
            f"the container did not come up ({said}): {self.console.read_text(errors='replace')[-2000:]}"
        )

    def _says_it_is_up(self) -> str:
        try:
            out, _, _ = self._run("systemctl is-system-running", timeout=20)
        except (IndexError, OSError, ValueError, subprocess.TimeoutExpired):
            return "no first process yet"
        return out[0] if out else ""

    @Driver.check_active
    def off(self) -> None:
        """Cut its power: every process dies at once, nothing is told."""
        if self._process is None:
            return
        with contextlib.suppress(IndexError, ProcessLookupError, FileNotFoundError):
            os.kill(self.leader, signal.SIGKILL)  # with the first process of its namespace goes everything in it
        self._process.wait(60)
        self._process = None

    @Driver.check_active
    def cycle(self) -> None:
        """Off and on."""
        self.off()
        self.on()

    @contextlib.contextmanager
    def files(self) -> Iterator[Path]:
        """Lend what is on its card, below a path as on the camera."""
        yield self.root

    @Driver.check_active
    def run(self, cmd: str, *, timeout: float = 120) -> tuple[list[str], list[str], int]:
        """Run a shell command as root; return its lines, its complaints and its exit status."""
        return self._run(cmd, timeout=timeout)

    @Driver.check_active
    def run_check(self, cmd: str, *, timeout: float = 120) -> list[str]:
        """Run a shell command as root and return its lines. Raises ExecutionError."""
        return self._run_check(cmd, timeout=timeout)

    def get_status(self) -> int:
        """Return 1 while it runs."""
        return int(self._process is not None)

    def _run(
        self, cmd: str, *, timeout: float = 120, codec: str = "utf-8", decodeerrors: str = "replace"
    ) -> tuple[list[str], list[str], int]:
        done = subprocess.run(
            ["nsenter", "--target", str(self.leader), "--all", "--", "/bin/sh", "-c", cmd],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )
        out, err = (text.decode(codec, decodeerrors).splitlines() for text in (done.stdout, done.stderr))
        return out, err, done.returncode

    def _mount(self) -> None:
        if os.path.ismount(self.root):
            return
        for name in ("upper", "overlay", "root"):
            (self._work / name).mkdir(parents=True, exist_ok=True)
        options = (
            # redirect_dir: folders of the tree can be renamed, as on a card.
            f"redirect_dir=on,lowerdir={Path(self.machine.tree).absolute()},"
            f"upperdir={self._work}/upper,workdir={self._work}/overlay"
        )
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)], check=True)

    def _connect(self) -> None:
        """Have a network that is nobody else's: a loopback, on which a test may put a city (`beside`)."""
        if not self._network.exists():
            subprocess.run(["ip", "netns", "add", self._network.name], check=True)
            subprocess.run(["ip", "-n", self._network.name, "link", "set", "lo", "up"], check=True)

    def beside(self, *command: str) -> list[str]:
        """Return the command that runs `command` on this machine, in the container's network."""
        self._connect()
        return ["ip", "netns", "exec", self._network.name, *command]

    def _unmount(self) -> None:
        if os.path.ismount(self.root):
            subprocess.run(["umount", "--lazy", str(self.root)], check=True)

    def on_deactivate(self) -> None:
        """Leave nothing running, nothing mounted and no network."""
        self.off()
        self._unmount()
        if self._network.exists():
            subprocess.run(["ip", "netns", "del", self._network.name], check=True)
