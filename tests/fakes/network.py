"""The network between a camera and its broker, on loopback: it can crawl, and it can die without a word.

What goes through is TCP; nothing of it is looked at.
"""

import contextlib
import socket
import threading
from typing import Self

PIECE_BYTES = 512  # a tenth of a second of the slowest network in use here


class _Wire:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, network: "Network") -> None:
        self._source = source
        self._sink = sink
        self._network = network
        self.cut = threading.Event()  # what arrives is lost, and nobody is told
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def _carry(self) -> None:
        with contextlib.suppress(OSError):  # either side has closed, or the test is over
            while piece := self._source.recv(PIECE_BYTES):
                if self.cut.is_set():
                    continue
                self._network.pass_time(len(piece))
                self._sink.sendall(piece)
        if not self.cut.is_set():
            for end in (self._source, self._sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


class Network:
    """Carries what comes to `port` on to `target_port`.

    Args:
        target_port: Where the broker listens.
        bits_per_s: How much passes in each direction of each connection; None for all there is.

    Attributes:
        target_port: As given; another one is for the connections that follow.
        connections: How many there have been.
        connected: Set at each new one.
    """

    def __init__(self, target_port: int, *, bits_per_s: int | None = None) -> None:
        self.target_port = target_port
        self._bits_per_s = bits_per_s
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._wires: list[_Wire] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.connected = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for wire in self._wires:
            wire.thread.join()
        for end in self._sockets:
            end.close()

    def lose_connections(self) -> None:
        """Carry nothing more of the connections there are, and close none of them; new ones are carried."""
        for wire in self._wires:
            wire.cut.set()

    def pass_time(self, length_bytes: int) -> None:
        """Take as long as so many bytes take."""
        if self._bits_per_s is not None:
            self._closed.wait(length_bytes * 8 / self._bits_per_s)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                camera, _ = self._listener.accept()
                try:
                    broker = socket.create_connection(("127.0.0.1", self.target_port))
                except ConnectionRefusedError:  # nobody there: the camera is told so
                    camera.close()
                    continue
                if self._bits_per_s is not None:  # what waits in the kernel is on its way already
                    for end in (camera, broker):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE_BYTES)
                self.connections += 1
                self.connected.set()
                self._sockets += [camera, broker]
                self._wires += [_Wire(camera, broker, self), _Wire(broker, camera, self)]
