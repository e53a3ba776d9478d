"""The custodian's vault: the identities that open each day of footage, encrypted at rest.

    VAULT/vault.age                          the vault's own identity, under a passphrase
    VAULT/days/2026-11-28.masked.custodian.age   one day, one layer, one role

All are plain age v1 files: with the passphrase, stock `age -d` opens `vault.age`,
and with what is in it every other. Destroying a day is removing its files: what was
sealed to it, on whichever card or server, opens for nobody any more. So back the
vault up where a removal reaches, or not at all.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from agent.core.sealing.age_file import Sealer, open_stream
from agent.core.sealing.chunks import PAYLOAD_NONCE_BYTES, ChunkWriter, open_chunks, payload_key
from agent.core.sealing.header import SealedBytes, Stanza, decode_base64, encode_base64, make_header, parse_header
from agent.core.sealing.recipients import FILE_KEY_BYTES, Identity, PostQuantumIdentity, parse_identities
from agent.errors import HeaderError, StorageError, UsageError, WrongIdentityError
from provisioning.authority import files
from provisioning.authority.keys import check_passphrase

VAULT_FILE = "vault.age"
DAYS_FOLDER = "days"
MAX_IDENTITY_BYTES = 64 * 1024

# C2SP age, "The scrypt recipient type". 2^16 takes 64 MiB and a quarter of a second on a laptop of 2026; more
# than 2^20 in a file is refused, for it would be someone else's way to take this machine's memory.
SCRYPT_LOG_N = 16
MAX_SCRYPT_LOG_N = 20
_SCRYPT_LABEL = b"age-encryption.org/v1/scrypt"
_SALT_BYTES = 16
_DAY_FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.([a-z]+)\.([a-z0-9-]+)\.age", re.ASCII)
_ZERO_NONCE = bytes(12)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DayKey:
    """What one identity of the vault opens."""

    day: date
    layer: str
    role: str

    @property
    def file_name(self) -> str:
        """Its name in the vault."""
        return f"{self.day.isoformat()}.{self.layer}.{self.role}.age"


class Vault:
    """An open vault."""

    def __init__(self, folder: Path, identity: PostQuantumIdentity) -> None:
        self._folder = folder
        self._identity = identity

    def identity(self, key: DayKey) -> Identity:
        """Return the identity that opens `key`; it is made and kept the first time.

        Raises:
            StorageError: The disk refuses.
        """
        path = self._folder / DAYS_FOLDER / key.file_name
        if path.exists():
            return self.stored(key)
        made = PostQuantumIdentity.generate()
        sealer = Sealer([self._identity.recipient])
        sealed = sealer.header + sealer.push(_text_of(made).encode()) + sealer.finish()
        files.write_new(path, sealed, mode=files.PRIVATE)
        return made

    def stored(self, key: DayKey) -> Identity:
        """Return the identity that opens `key`.

        Raises:
            StorageError: There is none, or no longer.
        """
        path = self._folder / DAYS_FOLDER / key.file_name
        if not path.exists():
            raise StorageError(
                f"the vault has no identity for {key.layer} footage of {key.day} as {key.role}",
                hint="it was never made, or destroyed when retention ended",
            )
        sealed = files.read_capped(path, max_bytes=MAX_IDENTITY_BYTES)
        return parse_identities(b"".join(open_stream([sealed], [self._identity])).decode())[0]


def open_vault(folder: Path, passphrase: str) -> Vault:
    """Return the vault in `folder`; it is made the first time.

    Raises:
        WrongIdentityError: The passphrase is wrong.
        UsageError: A new vault's passphrase is too short.
    """
    path = folder / VAULT_FILE
    if not path.exists():
        check_passphrase(passphrase)
        files.make_folder(folder / DAYS_FOLDER, mode=files.PRIVATE_FOLDER)
        folder.chmod(files.PRIVATE_FOLDER)
        identity = PostQuantumIdentity.generate()
        files.write_new(path, seal_to_passphrase(_text_of(identity).encode(), passphrase), mode=files.PRIVATE)
        return Vault(folder, identity)
    clear = open_with_passphrase(files.read_capped(path, max_bytes=MAX_IDENTITY_BYTES), passphrase)
    (found,) = parse_identities(clear.decode())
    if not isinstance(found, PostQuantumIdentity):
        raise UsageError(f"{path} holds no post-quantum identity")
    return Vault(folder, found)


def kept(folder: Path) -> Iterator[DayKey]:
    """Yield what the vault in `folder` can open, in no order; no passphrase is needed to know."""
    for path in (folder / DAYS_FOLDER).iterdir():
        if found := _DAY_FILE.fullmatch(path.name):
            yield DayKey(day=date.fromisoformat(found[1]), layer=found[2], role=found[3])


def destroy(folder: Path, keys: Iterator[DayKey] | list[DayKey]) -> None:
    """Remove identities for ever.

    Raises:
        StorageError: The disk refuses.
    """
    for key in keys:
        path = folder / DAYS_FOLDER / key.file_name
        try:
            # Overwriting means little on flash; that the content is ciphertext under the vault is what counts.
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove {path}: {(error.strerror or str(error)).lower()}") from error
    descriptor = os.open(folder / DAYS_FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal_to_passphrase(clear: bytes, passphrase: str) -> bytes:
    """Return an age file that `passphrase` opens."""
    file_key, salt, nonce = os.urandom(FILE_KEY_BYTES), os.urandom(_SALT_BYTES), os.urandom(PAYLOAD_NONCE_BYTES)
    body = ChaCha20Poly1305(_wrap_key(passphrase, salt, SCRYPT_LOG_N)).encrypt(_ZERO_NONCE, file_key, None)
    stanza = Stanza("scrypt", (encode_base64(salt), str(SCRYPT_LOG_N)), body)
    chunks = ChunkWriter(payload_key(file_key, nonce))
    return bytes(make_header([stanza], file_key)) + nonce + chunks.push(clear) + chunks.finish()


def open_with_passphrase(sealed: bytes, passphrase: str) -> bytes:
    """Return the clear bytes of an age file that a passphrase opens.

    Raises:
        HeaderError: It is no such file.
        WrongIdentityError: The passphrase is wrong.
        PayloadError: The file was altered.
    """
    source = SealedBytes([sealed])
    header = parse_header(source)
    # "There MUST NOT be any other stanzas in the header."
    if len(header.stanzas) != 1 or header.stanzas[0].kind != "scrypt":
        raise HeaderError("the file is not sealed to a passphrase")
    stanza = header.stanzas[0]
    salt_words, log_n_words = stanza.arguments if len(stanza.arguments) == 2 else ("", "")  # noqa: PLR2004
    salt = decode_base64(salt_words)
    if len(salt) != _SALT_BYTES or not log_n_words.isdecimal() or not 0 < int(log_n_words) <= MAX_SCRYPT_LOG_N:
        raise HeaderError("the scrypt stanza is malformed, or asks for too much memory")
    try:
        wrap_key = _wrap_key(passphrase, salt, int(log_n_words))
        file_key = ChaCha20Poly1305(wrap_key).decrypt(_ZERO_NONCE, stanza.body, None)
    except InvalidTag as error:
        raise WrongIdentityError("the passphrase does not open this vault") from error
    header.verify(file_key)
    return b"".join(open_chunks(source.rest(), payload_key(file_key, source.take(PAYLOAD_NONCE_BYTES))))


def _wrap_key(passphrase: str, salt: bytes, log_n: int) -> bytes:
    return Scrypt(salt=_SCRYPT_LABEL + salt, length=32, n=2**log_n, r=8, p=1).derive(passphrase.encode())


def _text_of(identity: Identity) -> str:
    return f"# public key: {identity.recipient}\n{identity.reveal()}\n"
