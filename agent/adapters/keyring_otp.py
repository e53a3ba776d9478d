"""The device's log key, wrapped under a key in the one-time-programmable memory of a Raspberry Pi.

A Raspberry Pi keeps 32 bytes of its owner's (`rpi-otp-private-key -w`, once, irrevocably) in fuses of its processor;
its firmware hands them to whoever may use `/dev/vcio`. From them and a salt comes, by HKDF, the key that wraps the
log key's seed. A card without its board signs nothing.

Root on the board reads the fuses as we do, and then needs no other card: that is weaker than a TPM, which gives away no
more than what it sealed. Where the firmware itself signs with such a key (`rpi-fw-crypto`), it is P-256, and
checkpoints are Ed25519.

Not run on hardware: tests play the firmware's program.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.errors import LogKeyError, StorageError

PROGRAM = "rpi-otp-private-key"  # of raspberrypi-utils; without an option it prints the 32 bytes in hex
FUSE_BYTES = 32

_INFO = b"lamppost log key v1"
_SALT_BYTES, _NONCE_BYTES = 16, 12
_MAX_BYTES = 4096
_VERSION = 1
_PATIENCE_S = 10


def read_fuses(program: str = PROGRAM) -> bytes:
    """Return the board's private bytes.

    Raises:
        LogKeyError: This is no such board, the bytes were never written, or we may not read them.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own constant
            [program], capture_output=True, check=True, timeout=_PATIENCE_S, stdin=subprocess.DEVNULL
        )
        fuses = bytes.fromhex(done.stdout.decode("ascii"))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        # What the program wrote may be the key: none of it goes into a message.
        raise LogKeyError(
            f"{program} does not give this board's private bytes: {type(error).__name__}",
            hint="it needs a Raspberry Pi, raspberrypi-utils, and access to /dev/vcio (group video)",
        ) from None
    if len(fuses) != FUSE_BYTES or not any(fuses):
        raise LogKeyError(
            "this board's private bytes were never written",
            hint=f"{PROGRAM} -w writes them, once and for ever; it asks before it does",
        )
    return fuses


class OtpKeyring:
    """The `Keyring` of a Raspberry Pi whose fuses hold private bytes; makes its key if there is none at `path`.

    Args:
        path: Where the wrapped key lies.
        fuses: Returns the board's private bytes.

    Raises:
        LogKeyError: The fuses cannot be read, or wrapped another key.
        StorageError: The file cannot be written.
    """

    kind = "otp"

    def __init__(self, path: Path, *, fuses: Callable[[], bytes] = read_fuses) -> None:
        secret = fuses()
        if not path.exists():
            make_folders(path.parent)
            write_atomically(path, _wrap(Ed25519PrivateKey.generate().private_bytes_raw(), secret), mode=0o600)
        self._key = Ed25519PrivateKey.from_private_bytes(_unwrap(path, secret))

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, 64 bytes."""
        return self._key.sign(message)


def _wrap(seed: bytes, secret: bytes) -> bytes:
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    wrapped = _cipher(secret, salt).encrypt(nonce, seed, _INFO)
    stored = {"version": _VERSION, "salt": salt.hex(), "nonce": nonce.hex(), "wrapped": wrapped.hex()}
    return json.dumps(stored).encode() + b"\n"


def _unwrap(path: Path, secret: bytes) -> bytes:
    try:
        stored = json.loads(read_capped(path, max_bytes=_MAX_BYTES))
        if stored["version"] != _VERSION:
            raise LogKeyError(f"{path} is of version {stored['version']}, expected {_VERSION}")
        salt, nonce, wrapped = (bytes.fromhex(stored[name]) for name in ("salt", "nonce", "wrapped"))
        return _cipher(secret, salt).decrypt(nonce, wrapped, _INFO)
    except OSError as error:
        raise LogKeyError(f"cannot read the log's key {path}: {(error.strerror or str(error)).lower()}") from error
    except StorageError as error:
        raise LogKeyError(f"cannot read the log's key: {error}") from error
    except InvalidTag as error:
        raise LogKeyError(
            f"this board did not wrap the log's key {path}, or it was changed",
            hint="a card in another board needs a new log",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise LogKeyError(f"{path} is no wrapped key") from error


def _cipher(secret: bytes, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(algorithm=SHA256(), length=32, salt=salt, info=_INFO).derive(secret))
