"""A card of this machine that logs what is written to it, and that can be pulled out.

A file behind QEMU's storage daemon (FUSE), behind a loop device: ext4 on it believes in a
disk with a write cache and flushes it.
"""

import subprocess
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from provisioning.clock import precise_now, wait

PATIENCE = timedelta(seconds=30)
# As the guide and the first boot format the data partition.
FORMAT = ("mkfs.ext4", "-q", "-F", "-b", "1024", "-L", "lamppost-data", "-m", "1")


class LoggedCard:
    """One card, empty at first; a context.

    Attributes:
        base: What was on it before the log began.
        log: Everything that was written since; see `hil.write_log`.
        device: Its loop device, such as /dev/loop3.

    Args:
        folder: An empty folder for its files; in memory, if this machine's own disk is busy.
        size_bytes: How large it is.
    """

    def __init__(self, folder: Path, *, size_bytes: int) -> None:
        self.base = folder / "base.img"
        self.log = folder / "writes.log"
        self.device = ""
        self._disk = folder / "disk.img"
        self._export = folder / "export"
        self._daemon: subprocess.Popen[bytes] | None = None
        make_card(self.base, size_bytes)
        for path in (self.log, self._export):
            path.touch()
        subprocess.run(["cp", "--sparse=always", str(self.base), str(self._disk)], check=True)

    def __enter__(self) -> Self:
        self._daemon = subprocess.Popen(
            [
                "qemu-storage-daemon",
                "--blockdev", f"driver=file,filename={self._disk},node-name=disk",
                "--blockdev", f"driver=file,filename={self.log},node-name=log",
                "--blockdev", "driver=blklogwrites,node-name=card,file=disk,log=log,log-super-update-interval=1",
                "--export", f"type=fuse,id=card,node-name=card,mountpoint={self._export},writable=on",
            ],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        until = precise_now() + PATIENCE
        while self._export.stat().st_size != self._disk.stat().st_size:
            assert precise_now() < until, "the storage daemon did not begin"
            wait(timedelta(milliseconds=50))
        self.device = subprocess.run(
            ["losetup", "--find", "--show", str(self._export)], check=True, capture_output=True, text=True
        ).stdout.strip()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        subprocess.run(["losetup", "--detach", self.device], check=False)
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait(PATIENCE.total_seconds())

    @property
    def log_bytes(self) -> int:
        """How long the log is now."""
        return self.log.stat().st_size

    def pull(self) -> None:
        """Let every request fail from now on, as a card does that is no longer there."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait(PATIENCE.total_seconds())
        subprocess.run(["umount", "--lazy", str(self._export)], check=False)


def make_card(path: Path, size_bytes: int) -> None:
    """Write an empty card."""
    with path.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run([*FORMAT, str(path)], check=True)
