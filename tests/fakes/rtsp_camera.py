"""An RTSP camera on loopback: as much of RFC 2326 as a client needs that takes H.264 over TCP, with a password."""

import base64
import contextlib
import itertools
import re
import socket
import struct
import threading
from pathlib import Path

import av

from tests.fakes.clip import write_clip

USER, PASSWORD = "admin", "hunter2"
_LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=street
c=IN IP4 0.0.0.0
t=0 0
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1
a=control:video
m=audio 0 RTP/AVP 0
a=control:audio
""".replace("\n", "\r\n")


class RtspCamera:
    """Plays one clip for ever to each that plays it.

    Attributes:
        url: Its address, password included.
        tracks: What clients have set up.
    """

    def __init__(self, folder: Path, *, width: int = 64, height: int = 48) -> None:
        clip = write_clip(folder / "rtsp.mp4", frames=40, width=width, height=height, codec="libx264")
        self._units = _access_units(clip)
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://{USER}:{PASSWORD}@127.0.0.1:{self._listener.getsockname()[1]}/street"
        self.tracks: list[str] = []
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with connection, contextlib.suppress(OSError):
            received = b""
            while not self._closed.is_set():
                while b"\r\n\r\n" not in received:
                    more = connection.recv(4096)
                    if not more:
                        return
                    received += more
                head, _, received = received.partition(b"\r\n\r\n")
                playing = self._answer(connection, head.decode())
                if playing:
                    self._play(connection)
                    return

    def _answer(self, connection: socket.socket, request: str) -> bool:
        method, url, _ = request.split(" ", 2)
        sequence = re.search(r"CSeq: *(\d+)", request)
        headers, body, status = [f"CSeq: {sequence[1] if sequence else 0}", "Session: 1"], "", "200 OK"
        if method != "OPTIONS" and f"Authorization: {_LOGIN}" not in request:
            status = "401 Unauthorized"
            headers.append('WWW-Authenticate: Basic realm="camera"')
        elif method == "OPTIONS":
            headers.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            body = _SDP
            headers += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif method == "SETUP":
            self.tracks.append(url.rsplit("/", 1)[1])
            headers.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        connection.sendall("\r\n".join([f"RTSP/1.0 {status}", *headers, "", body]).encode())
        return method == "PLAY" and status == "200 OK"

    def _play(self, connection: socket.socket) -> None:
        sequence = itertools.count()
        for number, units in enumerate(itertools.cycle(self._units)):
            for unit in units:
                last = unit is units[-1]
                rtp = struct.pack(">BBHII", 0x80, 96 | last << 7, next(sequence) & 0xFFFF, number * 9000, 7) + unit
                connection.sendall(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
            if self._closed.wait(0.02):
                return

    def close(self) -> None:
        """Hang up on everybody and answer no more."""
        self._closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


def _access_units(clip: Path) -> list[list[bytes]]:
    """Return the NAL units of each picture, parameter sets before the first."""
    with av.open(str(clip)) as movie:
        annex_b = av.BitStreamFilterContext("h264_mp4toannexb", movie.streams.video[0])
        packets = [out for packet in movie.demux(video=0) if packet.size for out in annex_b.filter(packet)]
        return [[unit for unit in re.split(rb"\x00{2,3}\x01", bytes(packet)) if unit] for packet in packets]
