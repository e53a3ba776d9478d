"""The camera's end of a commissioning window: a child process that shows what the recorder shows.

The child is `lamppost-agent aim`, here or behind `ssh`. It gets requests on its stdin and gives updates on
its stdout, in the format of `agent.core.messages.aiming`. The window lives as long as the child: when
this process dies, the child's stdin ends and the recorder closes the window.
"""

import contextlib
import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from agent.core.masking.blocks import BlockGrid, grid_shape
from agent.core.messages.aiming import Act, AimingRequest, AimingUpdate
from agent.core.video import FrameSize
from agent.errors import AimingRefusedError, MessageFormatError
from provisioning.ssh import SSH_FAILED, Remembered, command
from provisioning.words import words

_LEAVE_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One update and its picture, JPEG; empty where there is none."""

    update: AimingUpdate
    picture: bytes

    def hidden_now(self) -> BlockGrid | None:
        """Return which macroblocks the areas in force hide, (rows, columns); None if that cannot be said."""
        if not self.update.zones_grid:
            return None
        rows, columns = grid_shape(FrameSize(self.update.width_px, self.update.height_px))
        bits = np.unpackbits(np.frombuffer(self.update.zones_grid, np.uint8), count=rows * columns)
        return bits.reshape(rows, columns).astype(np.bool_)


def here(config: Path) -> tuple[str, ...]:
    """Return the command that shows a camera on this machine."""
    return (sys.executable, "-m", "agent", "aim", "--config", str(config.resolve()))


def behind_ssh(host: str, config: Path | None, remembered: Remembered) -> tuple[str, ...]:
    """Return the command that shows a camera behind ssh. Raises UsageError: the host is none."""
    aim = ("lamppost-agent", "aim", *(() if config is None else ("--config", str(config))))
    return (*command(host, remembered), shlex.join(aim))


class CameraSide:
    """An open window; a context that closes it.

    Args:
        child: Its command; see `here` and `behind_ssh`.
        asked: The request that opens the window.

    Raises:
        AimingRefusedError: The child cannot be started.
    """

    def __init__(self, child: Sequence[str], asked: AimingRequest) -> None:
        self._asked = asked
        self._change = threading.Condition()
        self._latest: Seen | None = None
        self._over = ""
        self._complaint = ""
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own agent, or ssh, with words that are no options
                child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise AimingRefusedError(words("commission.cannot_start", program=child[0], why=error.strerror)) from error
        self._reading = threading.Thread(target=self._read, name="camera", daemon=True)
        self._reading.start()
        with contextlib.suppress(AimingRefusedError):  # a child that has gone already says why; `over` tells it
            self.ask(Act.OPEN)

    def ask(self, act: Act) -> None:
        """Ask something of this window.

        Raises:
            AimingRefusedError: The window is over.
        """
        stdin = self._child.stdin
        try:
            if stdin is None:
                raise AimingRefusedError(words("commission.window_over"))
            stdin.write(self._asked.model_copy(update={"act": act}).to_bytes() + b"\n")
            stdin.flush()
        except (OSError, ValueError) as error:
            raise AimingRefusedError(words("commission.over", why=self.over() or error)) from error

    def wait_newer(self, number: int, timeout_s: float) -> Seen | None:
        """Return the latest update if it is newer than `number`, or becomes so within `timeout_s`; else None."""
        with self._change:
            self._change.wait_for(
                lambda: bool(self._over) or (self._latest is not None and self._latest.update.number > number),
                timeout_s,
            )
            latest = self._latest
            return latest if latest is not None and latest.update.number > number else None

    def latest(self) -> Seen | None:
        """Return the latest update, or None before the first."""
        return self._latest

    def over(self) -> str:
        """Return why the window is over; empty while it is open."""
        return self._over

    def out_of_reach(self) -> str | None:
        """Return what ssh said, if it is ssh that failed and the window is over; else None."""
        if not self._over:
            return None
        try:
            status = self._child.wait(_LEAVE_WITHIN_S)
        except subprocess.TimeoutExpired:
            return None
        return self._complaint if status == SSH_FAILED else None

    def close(self) -> None:
        """Close the window and wait for the child. Never raises; twice is fine."""
        if self._child.stdin is not None and not self._child.stdin.closed:
            with contextlib.suppress(OSError):  # the child has gone before
                self._child.stdin.close()  # the child then asks the recorder to close the window
        try:
            self._child.wait(_LEAVE_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._reading.join(_LEAVE_WITHIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        stdout, stderr = self._child.stdout, self._child.stderr
        if stdout is None or stderr is None:
            return
        said = words("commission.recorder_closed")
        with stdout, stderr:
            try:
                while line := stdout.readline(AimingUpdate.MAX_BYTES + 1):
                    update = AimingUpdate.from_bytes(line.rstrip(b"\n"))
                    picture = stdout.read(update.picture_bytes)
                    if update.window != self._asked.window or len(picture) < update.picture_bytes:
                        break
                    with self._change:
                        self._latest = Seen(update, picture)
                        self._change.notify_all()
            except MessageFormatError as error:
                said = words("commission.no_update", why=error)
            else:
                complaint = stderr.read(4096).decode("utf-8", "replace")
                self._complaint = complaint
                lines = [line for line in complaint.strip().splitlines() if "hint:" not in line]
                said = lines[-1].removeprefix("lamppost-agent: error: ") if lines else said
            with self._change:
                self._over = said
                self._change.notify_all()
