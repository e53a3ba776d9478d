"""Open the device's log; and if it is not the one that was signed, begin another.

A card that lied about what it had written, or an earlier image of it put back, leaves a log that
is shorter than, or other than, what its own checkpoint says. To go on with it would be to sign a
second tree of some size. To stop recording until somebody drives there would make a broken
card the way to switch a camera off. So the log is set aside with its key, and another begins
under a new key and a new name; its first leaf says why. Whoever witnessed the old one sees it end.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from agent.adapters.atomic_files import storage_error, sync_directory
from agent.adapters.keyring import credential, credentials_folder, open_keyring
from agent.adapters.keyring_otp import OtpKeyring
from agent.adapters.keyring_tpm import TpmKeyring
from agent.adapters.tile_log import TileLog
from agent.errors import LogDamagedError, StorageError
from agent.ports import Keyring

_log = logging.getLogger(__name__)

_FOLDER = "log"
# Under each kind its own file: a key that was on the card in the clear is never sealed as if it had not been.
_KEYS = {"file": Path("keys") / "log.pem", "tpm": Path("keys") / "log.tpm", "otp": Path("keys") / "log.otp"}
Kept = Literal["file", "tpm", "otp"]


def open_device_log(state: Path, camera_id: str, *, kept_in: Kept = "file", now: datetime) -> TileLog:
    """Return the log below the state folder, and make its key if there is none.

    Args:
        state: The state folder.
        camera_id: Whose log it is.
        kept_in: What keeps its key.
        now: Current UTC time; it names what is set aside.

    Raises:
        LogDamagedError: The log on the disk is not the one that was signed, and its key is not ours to replace.
        LogKeyError: The key cannot be had: it is unreadable, others can read it, or this board did not seal it.
        StorageError: The folder cannot be read or written.
    """
    try:
        return _open(state, camera_id, kept_in)
    except LogDamagedError as error:
        if kept_in == "file" and credential(credentials_folder()) is not None:  # it stays, and would sign a second tree
            raise
        _log.error("another log begins: %s", error)
        _set_aside(state, _KEYS[kept_in], now)
        log = _open(state, camera_id, kept_in)
        log.append("log-set-aside", now, reason=str(error))
        return log


def _open(state: Path, camera_id: str, kept_in: Kept) -> TileLog:
    return TileLog(state / _FOLDER, camera_id, _keyring(state / _KEYS[kept_in], kept_in))


def _keyring(path: Path, kept_in: Kept) -> Keyring:
    match kept_in:
        case "file":
            return open_keyring(path, credentials=credentials_folder())
        case "tpm":
            return TpmKeyring(path)
        case "otp":
            return OtpKeyring(path)


def _set_aside(state: Path, key: Path, now: datetime) -> None:
    """Rename the key, and then the log: with the log away and the key still there, the key would sign another tree."""
    mark = f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
    key, log = state / key, state / _FOLDER
    key_aside = key.with_name(f"{key.name}.{mark}")
    _move(key, key_aside)
    try:
        _move(log, log.with_name(f"{log.name}.{mark}"))
    except StorageError:
        if log.exists():  # or each try, two seconds apart, would leave one more key on a card that fails
            _move(key_aside, key)
        raise


def _move(path: Path, to: Path) -> None:
    try:
        path.rename(to)
        sync_directory(to.parent)
    except OSError as error:
        raise storage_error("set aside", path, error) from error
