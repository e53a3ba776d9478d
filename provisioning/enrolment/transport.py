"""The way to a camera over a cable: run the agent there, start its halves, read what they say.

Two of them: `ssh` to a board, and a folder on this desk that plays one. A technician's
laptop never opens a file on the camera: everything goes through `lamppost-agent`, each
word of it under the user who may.
"""

import json
import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from agent.errors import TransportError, UsageError
from provisioning.authority import files
from provisioning.simulated import configuration
from provisioning.ssh import SSH_FAILED, Remembered, command, unreachable
from provisioning.words import words

PATIENCE_S = 120.0  # a self-test of a slow card
AGENT = "/opt/lamppost/bin/lamppost-agent"
CONFIG = "/etc/lamppost/lamppost.toml"
JOURNAL_LINES = 1000
_ENDS_WITHIN_S = 60.0  # the running segment is finished first
RATE_HZ = 10  # of a camera that a folder plays


class Half(Enum):
    """The two processes of a camera; the value is the unit's name after `lamppost-`."""

    RECORDER = "recorder"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command of the agent did.

    Attributes:
        status: Its exit status.
        out: What it wrote for programs.
        said: What it said to people.
    """

    status: int
    out: bytes
    said: str

    def json(self) -> Any:  # noqa: ANN401 - what another program wrote; whoever asks knows its shape
        """Return what it wrote. Raises TransportError if that is no JSON."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise TransportError(words("cable.not_json", out=repr(self.out[:80]), said=self.said[-200:])) from error


class Transport(Protocol):
    """The way to one camera."""

    @property
    def name(self) -> str:
        """How people call it."""
        ...

    def agent(self, half: Half, argv: Sequence[str], *, given: bytes = b"") -> Done:
        """Run `lamppost-agent` there, as the user of one half, with `given` on its stdin.

        Raises:
            TransportError: The camera cannot be reached.
        """
        ...

    def restart(self, half: Half) -> None:
        """Start one half, again if it runs. Raises TransportError."""
        ...

    def stop(self, half: Half) -> None:
        """Stop one half, if it runs. Raises TransportError."""
        ...

    def runs(self, half: Half) -> bool:
        """Return whether one half runs. Raises TransportError."""
        ...

    def journal(self) -> str:
        """Return the last lines that both halves said. Raises TransportError."""
        ...


class SshTransport:
    """A board that answers ssh: over the network, or over its USB cable (usb gadget, 10.55.0.1).

    Args:
        host: As ssh takes it: name, address or user@name.
        remembered: How the board's key is remembered.
        program: ssh itself.

    Raises:
        UsageError: The host is none.
    """

    def __init__(self, host: str, remembered: Remembered, program: str = "ssh") -> None:
        self._host = host
        self._remembered = remembered
        self._call = command(host, remembered, program=program)

    @property
    def name(self) -> str:
        """Its host."""
        return self._host

    def agent(self, half: Half, argv: Sequence[str], *, given: bytes = b"") -> Done:
        """Run the agent there."""
        return self._run(["sudo", "-n", "-u", f"lamppost-{half.value}", AGENT, *argv, "--config", CONFIG], given)

    def restart(self, half: Half) -> None:
        """Start a unit, again if it runs."""
        self._systemctl("restart", half)

    def stop(self, half: Half) -> None:
        """Stop a unit."""
        self._systemctl("stop", half)

    def runs(self, half: Half) -> bool:
        """Return whether a unit is active."""
        return not self._run(["systemctl", "is-active", "--quiet", f"lamppost-{half.value}.service"], b"").status

    def journal(self) -> str:
        """Return the last lines of both units."""
        argv = ["sudo", "-n", "journalctl", "--no-pager", "--output=short-iso", f"--lines={JOURNAL_LINES}"]
        return self._run([*argv, "--unit=lamppost*"], b"").out.decode("utf-8", "replace")

    def _systemctl(self, verb: str, half: Half) -> None:
        done = self._run(["sudo", "-n", "systemctl", verb, f"lamppost-{half.value}.service"], b"")
        if done.status:
            why = done.said.strip()[-200:]
            raise TransportError(
                words(
                    "cable.cannot_stop" if verb == "stop" else "cable.cannot_restart",
                    host=self._host,
                    half=half.value,
                    why=why,
                )
            )

    def _run(self, argv: Sequence[str], given: bytes) -> Done:
        try:
            done = subprocess.run(  # noqa: S603 - ssh, and words of our own
                [*self._call, shlex.join(argv)], input=given, capture_output=True, timeout=PATIENCE_S, check=False
            )
        except FileNotFoundError as error:
            raise UsageError(words("cable.no_ssh"), hint=words("cable.no_ssh_hint")) from error
        except subprocess.TimeoutExpired as error:
            raise TransportError(
                words("cable.no_answer", host=self._host), hint=words("cable.no_answer_hint")
            ) from error
        said = done.stderr.decode("utf-8", "replace")
        if done.returncode == SSH_FAILED:
            raise unreachable(self._host, said, self._remembered)
        return Done(status=done.returncode, out=done.stdout, said=said)


class FolderTransport:
    """A folder on this desk that plays a camera: the same agent, two processes, a simulated street.

    Args:
        folder: Its card.
        image: What its image would hold: root.json, offices. Copied in once.
        source: What it looks at.
    """

    def __init__(self, folder: Path, image: Path, source: str = "streetscene") -> None:
        self._folder = folder.absolute()
        self._config = self._folder / "lamppost.toml"
        if not self._config.exists():
            self._unpack(image, source)

    @property
    def name(self) -> str:
        """Its folder."""
        return str(self._folder)

    def agent(self, half: Half, argv: Sequence[str], *, given: bytes = b"") -> Done:
        """Run the agent here; the half makes no difference on a desk."""
        del half
        try:
            done = subprocess.run(  # noqa: S603 - our own agent, and our own words
                [sys.executable, "-m", "agent", *argv, "--config", str(self._config)],
                input=given,
                capture_output=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TransportError(words("cable.no_answer", host=self.name)) from error
        return Done(status=done.returncode, out=done.stdout, said=done.stderr.decode("utf-8", "replace"))

    def restart(self, half: Half) -> None:
        """Start a process that outlives this one; `stop` ends it."""
        self.stop(half)
        word = "run" if half is Half.RECORDER else "link"
        with (self._folder / f"{half.value}.said").open("ab") as said:
            process = subprocess.Popen(  # noqa: S603 - our own agent, and our own words
                [sys.executable, "-m", "agent", word, "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        files.write_whole(self._pid_file(half), f"{process.pid}\n".encode())
        process.returncode = 0  # it is meant to outlive this object, which would complain of that

    def stop(self, half: Half) -> None:
        """End the process, if it runs."""
        stop_process(self._pid_file(half), str(self._config))

    def runs(self, half: Half) -> bool:
        """Return whether the process runs."""
        return running(self._pid_file(half), str(self._config)) is not None

    def journal(self) -> str:
        """Return the last lines of both processes."""
        said = []
        for half in Half:
            path = self._folder / f"{half.value}.said"
            if path.exists():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-JOURNAL_LINES:]
                said += [f"{half.value}: {line}" for line in lines]
        return "\n".join(said) + "\n"

    def _pid_file(self, half: Half) -> Path:
        return self._folder / f"{half.value}.pid"

    def _unpack(self, image: Path, source: str) -> None:
        missing = [name for name in ("root.json", "offices") if not (image / name).exists()]
        if missing:
            raise UsageError(
                words("cable.no_image", folder=image, what=", ".join(missing)), hint=words("cable.no_image_hint")
            )
        files.make_folder(self._folder, mode=files.PRIVATE_FOLDER)
        for name in ("root.json", "offices"):
            files.write_whole(self._folder / name, (image / name).read_bytes())
        config = configuration(self._folder, source=source, rate_hz=RATE_HZ, enrols=True)
        files.write_whole(self._config, config.encode())


def running(pid_file: Path, mark: str) -> int | None:
    """Return the process whose number is in a file, if its command line has `mark` in it; else None."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except (OSError, ValueError):
        return None
    return pid if mark in command else None  # else the number was given to somebody else since


def stop_process(pid_file: Path, mark: str) -> None:
    """End the process whose number is in a file, if its command line has `mark` in it."""
    pid = running(pid_file, mark)
    if pid is None:
        return
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        _wait_until_gone(process)
    except ProcessLookupError:
        return
    finally:
        os.close(process)


def _wait_until_gone(process: int) -> None:
    readable, _, _ = select.select([process], [], [], _ENDS_WITHIN_S)
    if not readable:
        signal.pidfd_send_signal(process, signal.SIGKILL)
