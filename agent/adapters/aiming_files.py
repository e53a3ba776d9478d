"""What is asked about commissioning windows, and refusals, as files, whole or not at all.

Request and socket carry the window's name, so that one technician's last request and the next one's first
cannot take each other's place.

The folder is not the recorder's inbox. The link writes there, and whoever took over the
link must not be able to open a window and look.
"""

import contextlib
from pathlib import Path

from agent.adapters.atomic_files import read_capped, storage_error, write_atomically
from agent.core.messages.aiming import AimingRefusal, AimingRequest

REFUSAL_FILE = "aiming.refusal"
TAKEN_FILE = ".aiming.taken"


def socket_path(folder: Path, window: str) -> Path:
    """Return where the socket of a window is."""
    return folder / f"{window}.sock"


def request_path(folder: Path, window: str) -> Path:
    """Return where a request about a window lies until it is taken."""
    return folder / f"{window}.request"


def put_request(folder: Path, request: AimingRequest) -> None:
    """Leave a request; one about the same window that still lies there is replaced. Raises StorageError."""
    # The folder lets in the recorder and technicians only, and the recorder is not in their group.
    write_atomically(request_path(folder, request.window), request.to_bytes(), mode=0o644)


def take_request(folder: Path) -> AimingRequest | None:
    """Take a request away, if there is one.

    Raises:
        MessageFormatError: It is none; it is gone.
        StorageError: What lies there cannot be read or taken.
    """
    taken = folder / TAKEN_FILE
    try:
        lying = min(folder.glob("*.request"), default=None)
        if lying is None:
            return None
        lying.rename(taken)  # first, so that what arrives meanwhile is not thrown away unread
        try:
            raw = read_capped(taken, max_bytes=AimingRequest.MAX_BYTES)
        finally:
            taken.unlink(missing_ok=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error("take", taken, error) from error
    return AimingRequest.from_bytes(raw)


def clear_sockets(folder: Path) -> None:
    """Take away what a recorder that was killed left behind."""
    for left in folder.glob("*.sock"):
        with contextlib.suppress(OSError):  # it is in nobody's way: a socket's name is used once
            left.unlink()


def put_refusal(folder: Path, refusal: AimingRefusal) -> None:
    """Say that there is no window. Raises StorageError."""
    write_atomically(folder / REFUSAL_FILE, refusal.to_bytes(), mode=0o640)


def read_refusal(folder: Path) -> AimingRefusal | None:
    """Return the refusal given last, whichever request it was to.

    Raises:
        MessageFormatError: It is none.
        StorageError: It cannot be read.
    """
    with contextlib.suppress(FileNotFoundError):
        return AimingRefusal.from_bytes(read_capped(folder / REFUSAL_FILE, max_bytes=AimingRefusal.MAX_BYTES))
    return None
