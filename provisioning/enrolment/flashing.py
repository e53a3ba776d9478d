"""Copy an image onto a card, and read it back."""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from agent.errors import CardError
from provisioning.words import words

PIECE_BYTES = 4 * 1024 * 1024


def flash(image: Path, device: Path, progress: Callable[[int], None]) -> None:
    """Copy `image` onto `device`, whole, and verify what the card gives back.

    Args:
        image: Raw, not compressed.
        device: A device that was judged, or a file.
        progress: Told how many bytes were copied or read back since the last call.

    Raises:
        CardError: The card failed, was pulled out, is too small, or does not give back what it was given.
    """
    size = image.stat().st_size
    try:
        with image.open("rb") as source, open(device, "r+b", buffering=0, opener=_alone) as target:
            if target.seek(0, os.SEEK_END) < size:
                raise CardError(words("card.smaller", device=device, image=image), hint=words("card.smaller_hint"))
            target.seek(0)
            written = hashlib.sha256()
            while piece := source.read(PIECE_BYTES):
                written.update(piece)
                _write_all(target.fileno(), piece)
                progress(len(piece))
            _settle(target.fileno())
            target.seek(0)
            back, left = hashlib.sha256(), size
            while left and (piece := target.read(min(PIECE_BYTES, left))):
                back.update(piece)
                left -= len(piece)
                progress(len(piece))
    except OSError as error:
        raise _failed(device, error) from error
    if back.digest() != written.digest():
        raise CardError(words("card.keeps_other", device=device), hint=words("card.forgets_hint"))


def settle(device: Path) -> None:
    """Have what was written to `device` reach it, so that what is read back comes from there.

    Raises:
        CardError: It does not.
    """
    try:
        with device.open("r+b", buffering=0) as target:
            _settle(target.fileno())
    except OSError as error:
        raise _failed(device, error) from error


def _failed(device: Path, error: OSError) -> CardError:
    hint = words("card.sudo_hint") if isinstance(error, PermissionError) else words("card.still_in_hint")
    return CardError(words("card.failed", device=device, why=(error.strerror or str(error)).lower()), hint=hint)


def _settle(descriptor: int) -> None:
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # from the card, not from memory


def _alone(path: str, flags: int) -> int:
    # A block device opened so is refused (EBUSY) while anything on it is mounted, and cannot be mounted meanwhile.
    return os.open(path, flags | (os.O_EXCL if stat.S_ISBLK(Path(path).stat().st_mode) else 0))


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
