"""What is asked about a commissioning window, and refusals, as files: one of each, whole or not at all.

The folder is not the recorder's inbox. The link writes there, and whoever took over the
link must not be able to open a window and look.
"""

import contextlib
from pathlib import Path

from agent.adapters.atomic_files import read_capped, storage_error, write_atomically
from agent.core.messages.aiming import AimingRefusal, AimingRequest

SOCKET_FILE = "aiming.sock"
REQUEST_FILE = "aiming.request"
REFUSAL_FILE = "aiming.refusal"
TAKEN_FILE = ".aiming.taken"


def put_request(folder: Path, request: AimingRequest) -> None:
    """Leave a request; one that still lies there is replaced. Raises StorageError."""
    write_atomically(folder / REQUEST_FILE, request.to_bytes(), mode=0o640)  # the recorder's group may read it


def take_request(folder: Path) -> AimingRequest | None:
    """Take the request away, if there is one.

    Raises:
        MessageFormatError: It is none; it is gone.
        StorageError: What lies there cannot be read or taken.
    """
    taken = folder / TAKEN_FILE
    try:
        (folder / REQUEST_FILE).rename(taken)  # first, so that what arrives meanwhile is not thrown away unread
        try:
            raw = read_capped(taken, max_bytes=AimingRequest.MAX_BYTES)
        finally:
            taken.unlink(missing_ok=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error("take", taken, error) from error
    return AimingRequest.from_bytes(raw)


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
