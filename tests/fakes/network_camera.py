"""A network camera on loopback: MPEG-TS over TCP to whoever connects."""

import socket
import threading
from pathlib import Path

from tests.fakes.clip import write_clip


class NetworkCamera:
    """Sends the same clip to each that connects, again and again, or once and hangs up.

    Attributes:
        url: Its address.
        served: How often somebody connected.
    """

    def __init__(self, folder: Path, *, hangs_up: bool = False) -> None:
        self._clip = write_clip(folder / "network.ts", frames=40, codec="libx264").read_bytes()
        self._hangs_up = hangs_up
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.served = 0

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.served += 1
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(1)
            try:
                connection.sendall(self._clip)
                while not self._hangs_up and not self._closed.wait(0.05):
                    connection.sendall(self._clip)
            except OSError:  # whoever connected has left, or does not read
                return

    def close(self) -> None:
        """Hang up on everybody and answer no more."""
        self._closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()
