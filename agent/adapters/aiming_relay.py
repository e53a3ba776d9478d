"""Carry the aiming view over whatever two pipes a technician has: `ssh pole lamppost-agent aim`.

Requests come in as lines on stdin and are left for the recorder as files; the recorder's socket goes
out on stdout, byte by byte, not looked into. This is the small process outside the wall: it has
no key, opens no port, and lives for one window. When its stdin ends, which it does when the
laptop dies or the cable is pulled, it asks for the window to be closed.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from agent.adapters.aiming_files import SOCKET_FILE, put_request, read_refusal
from agent.adapters.atomic_files import make_folders
from agent.core.messages.aiming import Act, AimingRequest
from agent.errors import AimingRefusedError, MessageFormatError, StorageError

_OPEN_WITHIN_S = 20.0  # the recorder looks for requests ten times a second, but a watchdog may be restarting it
_GLANCE_S = 0.1
_READ_BYTES = 64 * 1024


def relay(folder: Path, requests: BinaryIO, updates: BinaryIO) -> None:
    """Open the window that the first line of `requests` asks for, and carry it until it closes.

    Args:
        folder: Where the recorder looks for requests.
        requests: `AimingRequest`s, one a line.
        updates: Takes what the recorder shows.

    Raises:
        AimingRefusedError: The recorder opened no window.
        MessageFormatError: The first line is no request to open one.
        StorageError: The request cannot be left.
    """
    make_folders(folder)
    lines = _lines(requests)
    first = next(lines, None)
    if first is None or first.act is not Act.OPEN:
        raise MessageFormatError("expected a request to open a window on the first line")
    put_request(folder, first)
    over = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        _connect(connection, folder, first)
        asking = threading.Thread(target=_ask_on, args=(folder, lines, first, over), name="requests", daemon=True)
        asking.start()
        with contextlib.suppress(OSError):  # who watched has left, or the recorder has
            while shown := connection.recv(_READ_BYTES):
                updates.write(shown)
                updates.flush()
        over.set()


def _connect(connection: socket.socket, folder: Path, asked: AimingRequest) -> None:
    for _ in range(int(_OPEN_WITHIN_S / _GLANCE_S)):
        with contextlib.suppress(OSError):
            connection.connect(str(folder / SOCKET_FILE))
            return
        with contextlib.suppress(MessageFormatError, StorageError):
            refusal = read_refusal(folder)
            if refusal is not None and refusal.window == asked.window:
                raise AimingRefusedError(f"the recorder opens no window: {refusal.reason}")
        threading.Event().wait(_GLANCE_S)
    raise AimingRefusedError(
        f"the recorder opened no window within {_OPEN_WITHIN_S:g} s",
        hint="lamppost-agent status says whether it runs; a commissioning folder that it cannot read says nothing",
    )


def _ask_on(folder: Path, lines: Iterator[AimingRequest], first: AimingRequest, over: threading.Event) -> None:
    """Leave the requests that follow; at their end, the one to close."""
    with contextlib.suppress(MessageFormatError, StorageError):
        for request in lines:
            put_request(folder, request)
    if not over.is_set():
        with contextlib.suppress(StorageError):  # then the window closes when its time is over
            put_request(folder, first.model_copy(update={"act": Act.CLOSE}))


def _lines(requests: BinaryIO) -> Iterator[AimingRequest]:
    while line := requests.readline(AimingRequest.MAX_BYTES + 1):
        yield AimingRequest.from_bytes(line.rstrip(b"\n"))
