"""A root shell in a virtual machine, by QEMU's guest agent (qemu-ga(8)): no console to log in to, no network."""

import base64
import contextlib
import json
import secrets
import socket
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from provisioning.clock import precise_now, wait

_ANSWER_WITHIN_S = 30
_LOOK_EVERY = timedelta(milliseconds=50)
ENVIRONMENT = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")


class AgentGoneError(Exception):
    """Nobody answers: the machine is off, hangs, or has not started so far."""


class GuestAgent:
    """What runs commands in one machine.

    Args:
        path: The socket that QEMU listens on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def run(self, command: str, *, timeout: timedelta) -> tuple[bytes, bytes, int]:
        """Run a shell command as root; return what it said, its complaints and its exit status.

        Raises:
            AgentGoneError: Nobody answers, or it takes longer than `timeout`.
        """
        until = precise_now() + timeout
        with self._connected() as ask:
            started = ask(
                "guest-exec",
                {"path": "/bin/sh", "arg": ["-c", command], "env": list(ENVIRONMENT), "capture-output": True},
            )
            while not (told := ask("guest-exec-status", {"pid": started["pid"]}))["exited"]:
                if precise_now() > until:
                    raise AgentGoneError(f"{command!r} takes longer than {timeout.total_seconds():g} s")
                wait(_LOOK_EVERY)
        out, complaints = (base64.b64decode(told.get(key, "")) for key in ("out-data", "err-data"))
        return out, complaints, told.get("exitcode", 128 + told.get("signal", 0))

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        with socket.socket(socket.AF_UNIX) as to:
            to.settimeout(_ANSWER_WITHIN_S)
            try:
                to.connect(str(self._path))
                answers = to.makefile("rb")
                # 0xff makes the agent drop what an earlier caller left half said, and is before its answer likewise.
                mark = secrets.randbits(31)
                to.sendall(b"\xff" + _said("guest-sync-delimited", {"id": mark}))
                while (line := answers.readline()) and mark != json.loads(line.rpartition(b"\xff")[2]).get("return"):
                    pass

                def ask(what: str, how: Mapping[str, Any]) -> Any:
                    to.sendall(_said(what, how))
                    answer = json.loads(answers.readline() or b"{}")
                    if "return" not in answer:
                        raise AgentGoneError(f"{what}: {answer.get('error', 'no answer')}")
                    return answer["return"]

                yield ask
            except (OSError, ValueError) as error:
                raise AgentGoneError(f"the guest agent does not answer: {error}") from error


def _said(what: str, how: Mapping[str, Any]) -> bytes:
    return json.dumps({"execute": what, "arguments": how}).encode() + b"\n"
