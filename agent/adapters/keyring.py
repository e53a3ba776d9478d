"""The device's log key in a file: made at first start, readable by nobody else.

PKCS #8 in PEM, which `openssl pkey` reads. On a device the file lies in the state folder of
the recorder's user, or comes as a systemd credential (`LoadCredentialEncrypted=`), sealed
to the board's TPM where it has one, and is then not on the disk in the clear at all.

Who steals a card with a key file on it can go on signing for that log. What a witness has
seen before, they cannot change.
"""

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.errors import LogKeyError, StorageError

CREDENTIAL = "lamppost-log-key"
_MAX_BYTES = 4096


class FileKeyring:
    """The `Keyring` of a device that has no better place.

    Args:
        path: The key file, which must be there.
        given: Whether systemd put it there as a credential: its folder is closed to everybody else, and the file's
            group bits are no group's but the mask of the entry that lets this service in (acl(5)).

    Raises:
        LogKeyError: It is not there, not ours alone, or no Ed25519 key.
    """

    kind = "file"

    def __init__(self, path: Path, *, given: bool = False) -> None:
        try:
            mode = path.stat().st_mode
            content = read_capped(path, max_bytes=_MAX_BYTES)
        except OSError as error:
            raise LogKeyError(f"cannot read the log's key {path}: {(error.strerror or str(error)).lower()}") from error
        except StorageError as error:
            raise LogKeyError(f"cannot read the log's key: {error}") from error
        if mode & (stat.S_IRWXO if given else stat.S_IRWXG | stat.S_IRWXO):
            raise LogKeyError(
                f"the log's key {path} has mode {stat.S_IMODE(mode):o}, expected 600 or less",
                hint="who else could read it can sign in this camera's name: replace it, and say so",
            )
        try:
            key = load_pem_private_key(content, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise LogKeyError(f"the log's key {path} is no private key in PEM") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise LogKeyError(f"the log's key {path} is of another kind, expected Ed25519")
        self._key = key

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, 64 bytes."""
        return self._key.sign(message)


def open_keyring(path: Path, *, credentials: Path | None = None) -> FileKeyring:
    """Return the device's log key: systemd's credential if there is one, else the file at `path`, made if missing.

    Args:
        path: Where the key lies if no credential is given.
        credentials: The folder that systemd names in CREDENTIALS_DIRECTORY, or None.

    Raises:
        LogKeyError: The key cannot be read, or others can read it.
        StorageError: It cannot be made.
    """
    if (given := credential(credentials)) is not None:
        return FileKeyring(given, given=True)
    if not path.exists():
        make_folders(path.parent)
        write_atomically(path, _new_key(), mode=0o600)
    return FileKeyring(path)


def credential(credentials: Path | None) -> Path | None:
    """Return the credential with the key in the folder that systemd names, or None."""
    given = None if credentials is None else credentials / CREDENTIAL
    return given if given is not None and given.exists() else None


def credentials_folder() -> Path | None:
    """Return where systemd put this service's credentials, or None."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
