"""Carry the aiming view over whatever two pipes a technician has: `ssh pole lamppost-agent aim`.

Requests come in as lines on one pipe and are left for the recorder as files; the recorder's socket goes
out on the other, byte by byte, not looked into. This is the small process outside the wall: it has
no key, opens no port, and lives for one window. When its input ends, which it does when the
laptop dies or the cable is pulled, it asks for the window to be closed.
"""

import os
import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path

from agent.adapters.aiming_files import put_request, read_refusal, socket_path
from agent.adapters.atomic_files import make_folders, write_all
from agent.core.messages.aiming import Act, AimingRequest
from agent.errors import AimingRefusedError, MessageFormatError, StorageError

_OPEN_WITHIN_S = 20.0  # the recorder looks for requests ten times a second, but a watchdog may be restarting it
_CLOSE_WITHIN_S = 10.0
_GLANCE_S = 0.1
_READ_BYTES = 64 * 1024


def relay(folder: Path, requests: int, updates: int) -> None:
    """Open the window that the first line of `requests` asks for, and carry it until it closes.

    Args:
        folder: Where the recorder looks for requests.
        requests: File descriptor that `AimingRequest`s come from, one a line.
        updates: File descriptor that takes what the recorder shows.

    Raises:
        AimingRefusedError: The recorder opened no window.
        MessageFormatError: A line is no request, or the first does not ask for a window.
        StorageError: The request cannot be left.
    """
    make_folders(folder)
    lines = _Lines(requests)
    while not (first := lines.read()) and not lines.ended:
        pass
    if not first or first[0].act is not Act.OPEN:
        raise MessageFormatError("expected a request to open a window on the first line")
    for request in first:
        put_request(folder, request)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        _connect(connection, folder, first[0])
        try:
            _carry(connection, folder, lines, updates)
        finally:
            with suppress(StorageError):  # then the window closes when its time is over
                put_request(folder, first[0].model_copy(update={"act": Act.CLOSE}))
        connection.settimeout(_CLOSE_WITHIN_S)
        with suppress(OSError):  # a recorder that is gone has closed it, too
            while connection.recv(_READ_BYTES):  # until the recorder has closed it
                pass


def _carry(connection: socket.socket, folder: Path, lines: "_Lines", updates: int) -> None:
    """Carry both ways until one of the ends is gone."""
    with selectors.DefaultSelector() as waiting, suppress(OSError):  # an end that is gone ends the carrying
        waiting.register(connection, selectors.EVENT_READ)
        waiting.register(lines.descriptor, selectors.EVENT_READ)
        while not lines.ended:
            for ready, _ in waiting.select():
                if ready.fileobj is connection:
                    if not (shown := connection.recv(_READ_BYTES)):
                        return
                    write_all(updates, shown)
                else:
                    for request in lines.read():
                        put_request(folder, request)


def _connect(connection: socket.socket, folder: Path, asked: AimingRequest) -> None:
    path = socket_path(folder, asked.window)
    for _ in range(int(_OPEN_WITHIN_S / _GLANCE_S)):
        with suppress(OSError):  # not there yet: asked again, and refused in words when the time is over
            connection.connect(str(path))
            return
        with suppress(MessageFormatError, StorageError):
            refusal = read_refusal(folder)
            if refusal is not None and refusal.window == asked.window:
                raise AimingRefusedError(f"the recorder opens no window: {refusal.reason}")
        threading.Event().wait(_GLANCE_S)
    raise AimingRefusedError(
        f"the recorder opened no window within {_OPEN_WITHIN_S:g} s",
        hint="lamppost-agent status says whether it runs; a commissioning folder that it cannot read says nothing",
    )


class _Lines:
    """Requests as they come, without a thread that would wait in a read at the end of the process.

    Attributes:
        descriptor: Where they come from.
        ended: Whether there will be no more.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.ended = False
        self._waiting = b""

    def read(self) -> list[AimingRequest]:
        """Return the requests that are complete now; waits for one piece.

        Raises:
            MessageFormatError: A line is none.
        """
        piece = os.read(self.descriptor, AimingRequest.MAX_BYTES)
        self.ended = not piece
        *whole, self._waiting = (self._waiting + piece).split(b"\n")
        if len(self._waiting) > AimingRequest.MAX_BYTES:
            raise MessageFormatError(f"a line of more than {AimingRequest.MAX_BYTES} bytes")
        return [AimingRequest.from_bytes(line) for line in whole]
