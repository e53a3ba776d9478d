"""Show the aiming view on a Unix socket, to one watcher at a time, for as long as the socket is open.

A thread of its own encodes and sends. Whoever offers never waits: an update that was not sent
when the next one comes is dropped, and a watcher who takes nothing for five seconds is cut off.
The picture's type says that it was masked; this module has no way to get another.
"""

import contextlib
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.core.messages.aiming import AimingUpdate
from agent.core.video import I420, MaskedFrame
from agent.errors import MessageFormatError, StorageError

_TAKE_WITHIN_S = 5.0
_GLANCE_S = 0.2
_LEAVE_WITHIN_S = 10.0
_JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class _Offer:
    update: AimingUpdate
    pixels: I420 | None


class AimingSocket:
    """An open socket.

    Args:
        path: Where; what lies there is replaced.

    Raises:
        StorageError: It cannot be opened there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._closed = threading.Event()
        self._change = threading.Condition()
        self._newest: _Offer | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)
            self._listener.bind(str(path))
            path.chmod(0o660)  # the technicians' group; nobody can connect before listen()
            self._listener.listen(1)
        except OSError as error:
            self._listener.close()
            raise StorageError(f"cannot open the socket {path}: {(error.strerror or str(error)).lower()}") from error
        self._listener.settimeout(_GLANCE_S)
        self._thread = threading.Thread(target=self._serve, name="aiming", daemon=True)
        self._thread.start()

    def offer(self, update: AimingUpdate, picture: MaskedFrame | None) -> None:
        """Show an update in place of one not sent yet; the picture's planes are the caller's again on return."""
        pixels = None if picture is None else _copy(picture.pixels)
        with self._change:
            self._newest = _Offer(update, pixels)
            self._change.notify_all()

    def close(self) -> None:
        """Cut the watcher off and take the socket away. Never raises; twice is fine."""
        self._closed.set()
        with self._change:
            self._change.notify_all()
        self._thread.join(_LEAVE_WITHIN_S)
        self._listener.close()
        with contextlib.suppress(OSError):  # a folder that is gone has no socket either
            self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                watcher, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed meanwhile
            with watcher, contextlib.suppress(OSError):  # whoever left may come again
                watcher.settimeout(_TAKE_WITHIN_S)
                self._show(watcher)

    def _show(self, watcher: socket.socket) -> None:
        while (offer := self._next()) is not None:
            picture = b"" if offer.pixels is None else _jpeg(offer.pixels)
            update = offer.update.model_copy(update={"picture_bytes": len(picture)})
            try:
                line = update.to_bytes()
            except MessageFormatError:
                continue  # hundreds of areas; the next update may have fewer
            watcher.sendall(line + b"\n" + picture)

    def _next(self) -> _Offer | None:
        """Return the next update, or None when closed."""
        with self._change:
            self._change.wait_for(lambda: self._closed.is_set() or self._newest is not None)
            newest, self._newest = self._newest, None
            return None if self._closed.is_set() else newest


def _copy(pixels: I420) -> I420:
    copy = I420.blank(pixels.size)
    for plane, into in ((pixels.y, copy.y), (pixels.u, copy.u), (pixels.v, copy.v)):
        into[...] = plane
    return copy


def _jpeg(pixels: I420) -> bytes:
    import cv2  # noqa: PLC0415 - 40 MB that a recorder needs for half an hour of its life

    if pixels.packed is None:
        raise ValueError("only a packed picture can be encoded")
    colours = cv2.cvtColor(pixels.packed, cv2.COLOR_YUV2BGR_I420)
    _, encoded = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return np.asarray(encoded).tobytes()
