"""A camera in a virtual machine: a labgrid driver that boots the tree under its own kernel, and cuts its power.

A cut is SIGKILL to QEMU: what the guest had not handed to its card is gone. Then the card
loses what nobody flushed (`hil.write_log`), as one with a write cache may: the log of
writes is QEMU's own, and chance decides. The root is a disk without such a cache, as a
camera's root is never written.

A kernel takes minutes to start here. It does so once for each life of a card: when the
camera is enrolled, the machine is remembered (QEMU's snapshot of memory and root) with its
card unmounted, and later starts go on from there: they check and mount the card that the
cut left, and start the units. Where the clock is set by hand (`rtc`), a start is a whole one.

Translated, never KVM: a device node says nothing about whether it works, and a bench that
is ten times slower on some machines only is no bench.
"""

import contextlib
import logging
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import attr
from labgrid.driver import Driver, ExecutionError
from labgrid.driver.commandmixin import CommandMixin
from labgrid.factory import target_factory
from labgrid.protocol import CommandProtocol, PowerProtocol
from labgrid.resource import Resource
from labgrid.util.qmp import QMPMonitor

from hil.guest_agent import AgentGoneError, GuestAgent
from hil.logged_card import make_card
from hil.write_log import Replay
from provisioning.clock import precise_now, wait

BOOT_WITHIN = timedelta(seconds=900)  # two minutes of a processor, and the machine has others to serve
TRIES = 2  # a kernel under translation panics now and then by itself; the second try is told
CARD_BYTES = 256 * 1024 * 1024
SEED = int(os.environ.get("HIL_SEED", "20261128"))
KERNEL_WORDS = (
    "root=LABEL=lamppost-root rw console=ttyS0 panic=-1 mitigations=off audit=0 loglevel=4 systemd.show_status=no"
    # Else every look at the clock is an exit from translated code.
    " tsc=reliable"
)
REMEMBERED = "enrolled"
MOUNT = "var-lib-lamppost.mount"
# Nothing of the card may stay in the kernel's memory: what lies on it changes while nobody looks.
LET_GO = (
    f"systemctl stop lamppost.target {MOUNT} 'systemd-fsck@*.service' && systemctl reset-failed"
    " && sync && blockdev --flushbufs /dev/disk/by-label/lamppost-data"
)
_LOOK_EVERY = timedelta(milliseconds=500)
_log = logging.getLogger(__name__)


@target_factory.reg_resource
@attr.s(eq=False)
class QemuMachine(Resource):
    """A disk image to boot.

    Args:
        root: The image, with kernel and initrd beside it; `python -m hil.tree --kernel` makes all three.
        memory_mib: How much memory it has.
    """

    root = attr.ib(validator=attr.validators.instance_of(str))
    memory_mib = attr.ib(default=1024, validator=attr.validators.instance_of(int))


@target_factory.reg_driver
@attr.s(eq=False)
class QemuDriver(CommandMixin, Driver, CommandProtocol, PowerProtocol):
    """Power and a root shell for one virtual machine.

    Attributes:
        rtc: What its clock says at the next start; None for the time it is.
        owed: How many writes nobody had flushed, at each cut.
    """

    bindings: ClassVar = {"machine": QemuMachine}

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: QMPMonitor
        self._remembered = False
        self._image = Path(self.machine.root).absolute()
        self._work = self._image.with_suffix(".work")
        self._root, self._card, self._before, self._writes = (
            self._work / name for name in ("root.qcow2", "card.img", "card-before.img", "card.log")
        )
        self._agent = GuestAgent(self._work / "agent.sock")
        self._chance = random.Random(SEED)
        self.console = self._work / "console.log"
        self.rtc: datetime | None = None
        self.owed: list[int] = []

    def fresh(self) -> None:
        """Forget everything that was written since the image was made."""
        self.off()
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(self._image), str(self._root)],
            check=True,
        )
        self._remembered = False
        make_card(self._card, CARD_BYTES)
        _copy(self._card, self._before)

    @Driver.check_active
    def on(self) -> None:
        """Start it, and return when systemd has started everything."""
        if self._process is not None:
            return
        if not self._work.exists():
            self.fresh()
        if self._remembered and self.rtc is None:
            self._go_on()
            return
        for attempt in range(1, TRIES + 1):
            self._start()
            if self._came_up():
                return
            _log.warning("start %d of at most %d failed: %s", attempt, TRIES, self._last_words())
            self.off()
        raise ExecutionError(f"the machine did not come up: {self._last_words()}")

    @Driver.check_active
    def remember(self) -> None:
        """Let later starts begin here: booted, the root as it is now, nothing on the card in use."""
        self._run_check(LET_GO, timeout=BOOT_WITHIN.total_seconds())
        self._snapshot("snapshot-save")
        self._remembered = True
        self._begin()

    def _go_on(self) -> None:
        self._start("-S")
        self._snapshot("snapshot-load")
        self._monitor.execute("cont")
        self._begin()

    def _begin(self) -> None:
        self._run_check(
            f"date --set=@{precise_now().timestamp():.3f} && systemctl start lamppost.target",
            timeout=BOOT_WITHIN.total_seconds(),
        )

    def _snapshot(self, do: str) -> None:
        job = {"job-id": do, "tag": REMEMBERED, "vmstate": "root", "devices": ["root"]}  # the card is left out
        self._monitor.execute(do, job)
        until = precise_now() + BOOT_WITHIN
        while (told := self._monitor.execute("query-jobs")[0])["status"] != "concluded":
            if precise_now() > until:
                raise ExecutionError(f"{do} does not end: {told}")
            wait(_LOOK_EVERY)
        self._monitor.execute("job-dismiss", {"id": do})
        if "error" in told:
            raise ExecutionError(f"{do}: {told['error']}")

    def _start(self, *paused: str) -> None:
        self._writes.write_bytes(b"")
        clock = "utc" if self.rtc is None else f"{self.rtc:%Y-%m-%dT%H:%M:%S}"
        self._process = subprocess.Popen(
            [
                "qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-qmp", "stdio", *paused,
                "-accel", "tcg,thread=multi", "-cpu", "Nehalem,+rdrand", "-smp", "2",
                "-m", str(self.machine.memory_mib),
                "-rtc", f"base={clock}",
                "-kernel", str(self._image.with_suffix(".vmlinuz")), "-initrd", str(self._image.with_suffix(".initrd")),
                # A panic ends the machine at once; the watchdog's test takes that back.
                "-append", KERNEL_WORDS,
                "-serial", f"file:{self.console}",
                # A kernel that goes on from a snapshot is told so, and its random numbers are others each time.
                "-device", "vmgenid,guid=auto",
                "-blockdev", f"driver=qcow2,file.driver=file,file.filename={self._root},node-name=root",
                "-device", "virtio-blk-pci,drive=root",
                "-blockdev", f"driver=file,filename={self._card},node-name=disk",
                "-blockdev", f"driver=file,filename={self._writes},node-name=log",
                "-blockdev", "driver=blklogwrites,node-name=card,file=disk,log=log,log-super-update-interval=1",
                "-device", "virtio-blk-pci,drive=card,write-cache=on",
                "-device", "i6300esb", "-action", "watchdog=reset",
                "-chardev", f"socket,id=agent,server=on,wait=off,path={self._work}/agent.sock",
                "-device", "virtio-serial",
                "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.console.with_suffix(".qemu").open("ab"),
        )  # fmt: skip
        self._monitor = QMPMonitor(self._process.stdout, self._process.stdin)

    def _came_up(self) -> bool:
        until = precise_now() + BOOT_WITHIN
        while precise_now() < until and not self.ended:
            with contextlib.suppress(AgentGoneError):
                out, _, _ = self._agent.run("systemctl is-system-running", timeout=timedelta(seconds=60))
                if out.decode().strip() in {"running", "degraded"}:
                    return True
            wait(_LOOK_EVERY)
        return False

    @property
    def ended(self) -> bool:
        """Whether the machine ended by itself: a panic, or its watchdog."""
        return self._process is None or self._process.poll() is not None

    def _last_words(self) -> str:
        return self.console.read_text(errors="replace")[-2000:] if self.console.exists() else ""

    @Driver.check_active
    def off(self) -> None:
        """Cut its power: QEMU dies at once, and its card loses what it may."""
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate(timeout=60)
        self._process = None
        if self._writes.stat().st_size:
            with self._writes.open("rb") as log:
                self.owed.append(Replay(log, self._before, self._chance).cut(self._writes.stat().st_size, self._card))
        _copy(self._card, self._before)

    @Driver.check_active
    def cycle(self) -> None:
        """Off and on."""
        self.off()
        self.on()

    @contextlib.contextmanager
    def files(self) -> Iterator[Path]:
        """Lend what is on its card, below a path as on the camera."""
        if self._process is not None:
            self._run_check("sync")
        copy, place = self._work / "looked-at.img", self._work / "looked-at"
        copy.unlink(missing_ok=True)  # as in `Replay.cut`
        _copy(self._card, copy)
        card = place / "var/lib/lamppost"
        card.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-o", "loop,noatime", str(copy), str(card)], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", str(card)], check=True)

    @Driver.check_active
    def run(self, cmd: str, *, timeout: float = 300) -> tuple[list[str], list[str], int]:
        """Run a shell command as root; return its lines, its complaints and its exit status."""
        return self._run(cmd, timeout=timeout)

    @Driver.check_active
    def run_check(self, cmd: str, *, timeout: float = 300) -> list[str]:
        """Run a shell command as root and return its lines. Raises ExecutionError."""
        return self._run_check(cmd, timeout=timeout)

    def get_status(self) -> int:
        """Return 1 while it runs."""
        return int(self._process is not None)

    def _run(
        self, cmd: str, *, timeout: float = 300, codec: str = "utf-8", decodeerrors: str = "replace"
    ) -> tuple[list[str], list[str], int]:
        out, err, status = self._agent.run(cmd, timeout=timedelta(seconds=timeout))
        return out.decode(codec, decodeerrors).splitlines(), err.decode(codec, decodeerrors).splitlines(), status

    def on_deactivate(self) -> None:
        """Leave nothing running."""
        self.off()


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], check=True)
