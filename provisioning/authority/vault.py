"""The custodian's vault: the identities that open each day of footage, encrypted at rest.

    VAULT/vault.age                          the vault's own identity, under a passphrase
    VAULT/days/2026-11-28.masked.custodian.age   one day, one layer, one role
    VAULT/days/2026-11-28.masked.extended.custodian.age   likewise, of footage that is kept longer
    VAULT/days/2026-11-28.masked.custodian.pub   its recipient: what cameras seal to, and what a receipt names
    VAULT/holds/h-custodian-2026-001.age     what one hold keeps open when the day is destroyed
    VAULT/requests/q-17.age                  what shares of the sealed layer travel to, until the request is over
    VAULT/halves/2026-11-28.originals.quorum.age   the custodian's half of one key of the sealed layer
    VAULT/shares/…                           shares of the sealed layer's keys (provisioning/release/shares.py)

All are plain age v1 files: with the passphrase, stock `age -d` opens `vault.age`,
and with what is in it every other (not the shares, which are sealed to officials).
Destroying a day is removing its files: what was sealed to it, on whichever card or
server, opens for nobody any more. So back the vault up where a removal reaches, or
not at all.
"""

import os
import re
from collections.abc import Iterable, Iterator
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
HOLDS_FOLDER = "holds"
REQUESTS_FOLDER = "requests"
HALVES_FOLDER = "halves"
HALF_BYTES = 32
PUBLIC_SUFFIX = ".pub"
MAX_IDENTITY_BYTES = 64 * 1024

# C2SP age, "The scrypt recipient type". 2^16 takes 64 MiB and a quarter of a second on a laptop of 2026; more
# than 2^20 in a file is refused, for it would be someone else's way to take this machine's memory.
SCRYPT_LOG_N = 16
MAX_SCRYPT_LOG_N = 20
_SCRYPT_LABEL = b"age-encryption.org/v1/scrypt"
_SALT_BYTES = 16
_DAY_FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.([a-z]+)(\.extended)?\.([a-z0-9-]+)\.age", re.ASCII)
_NAMED_FILE = re.compile(r"([a-z0-9-]+)\.age", re.ASCII)
_ZERO_NONCE = bytes(12)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DayKey:
    """What one identity opens.

    Attributes:
        day: Of the footage, in UTC.
        layer: "masked" or "originals".
        role: The recipient role.
        keeps: "default", or "extended" for footage that is kept longer.
    """

    day: date
    layer: str
    role: str
    keeps: str = "default"

    @property
    def stem(self) -> str:
        """Its name in the vault, without what kind of file it is."""
        extended = ".extended" if self.keeps == "extended" else ""
        return f"{self.day.isoformat()}.{self.layer}{extended}.{self.role}"

    @property
    def file_name(self) -> str:
        """Its name in the vault."""
        return f"{self.stem}.age"

    def __str__(self) -> str:
        """What people are told."""
        longer = ", kept longer" if self.keeps == "extended" else ""
        return f"{self.layer} layer of {self.day} as {self.role}{longer}"


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
        return self._made(self._folder / DAYS_FOLDER / key.file_name)

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
        return self._read(path)

    def half(self, key: DayKey) -> bytes:
        """Return the custodian's half of a key that is split; it is made and kept the first time.

        Raises:
            StorageError: The disk refuses.
        """
        path = self._folder / HALVES_FOLDER / key.file_name
        if path.exists():
            return self.stored_half(key)
        files.make_folder(path.parent, mode=files.PRIVATE_FOLDER)
        made = os.urandom(HALF_BYTES)
        files.write_new(path, self._sealed(made.hex().encode()), mode=files.PRIVATE)
        return made

    def stored_half(self, key: DayKey) -> bytes:
        """Return the custodian's half of a key that is split.

        Raises:
            StorageError: There is none, or no longer.
        """
        path = self._folder / HALVES_FOLDER / key.file_name
        if not path.exists():
            raise StorageError(
                f"the vault has no half of the key of the {key}",
                hint="it was never made, or destroyed when retention ended",
            )
        return bytes.fromhex(self._opened(path).decode())

    def hold(self, hold_id: str) -> Identity:
        """Return the identity that opens what a hold keeps; it is made and kept the first time."""
        return self._made(self._folder / HOLDS_FOLDER / f"{hold_id}.age")

    def opener(self, request_id: str) -> Identity:
        """Return the identity that shares for one request travel to; it is made and kept the first time."""
        return self._made(self._folder / REQUESTS_FOLDER / f"{request_id}.age")

    def stored_hold(self, hold_id: str) -> Identity:
        """Return the identity that opens what a hold keeps.

        Raises:
            StorageError: There is none, or no longer.
        """
        path = self._folder / HOLDS_FOLDER / f"{hold_id}.age"
        if not path.exists():
            raise StorageError(
                f"the vault has no key for hold {hold_id}", hint="lamppost epochs hold makes one; it dies with the hold"
            )
        return self._read(path)

    def stored_opener(self, request_id: str) -> Identity:
        """Return the identity that shares for one request travel to.

        Raises:
            StorageError: There is none, or no longer.
        """
        path = self._folder / REQUESTS_FOLDER / f"{request_id}.age"
        if not path.exists():
            raise StorageError(
                f"the vault has no key for request {request_id}", hint="it is over, or was made with another vault"
            )
        return self._read(path)

    def forget_opener(self, request_id: str) -> None:
        """Destroy what shares for one request travelled to; letters that are still around open for nobody."""
        _remove(self._folder / REQUESTS_FOLDER, [f"{request_id}.age", f"{request_id}{PUBLIC_SUFFIX}"])

    def _made(self, path: Path) -> Identity:
        if path.exists():
            return self._read(path)
        files.make_folder(path.parent, mode=files.PRIVATE_FOLDER)
        made = PostQuantumIdentity.generate()
        sealed = self._sealed(_text_of(made).encode())
        files.write_whole(path.with_suffix(PUBLIC_SUFFIX), f"{made.recipient}\n".encode(), mode=files.PRIVATE)
        files.write_new(path, sealed, mode=files.PRIVATE)
        return made

    def _read(self, path: Path) -> Identity:
        return parse_identities(self._opened(path).decode())[0]

    def _sealed(self, clear: bytes) -> bytes:
        sealer = Sealer([self._identity.recipient])
        return sealer.header + sealer.push(clear) + sealer.finish()

    def _opened(self, path: Path) -> bytes:
        sealed = files.read_capped(path, max_bytes=MAX_IDENTITY_BYTES)
        return b"".join(open_stream([sealed], [self._identity]))


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
            keeps = "extended" if found[3] else "default"
            yield DayKey(day=date.fromisoformat(found[1]), layer=found[2], role=found[4], keeps=keeps)


def kept_holds(folder: Path) -> tuple[str, ...]:
    """Return the ids of the holds that the vault in `folder` has a key for, sorted."""
    holds = folder / HOLDS_FOLDER
    if not holds.is_dir():
        return ()
    return tuple(sorted(found[1] for path in holds.iterdir() if (found := _NAMED_FILE.fullmatch(path.name))))


def destroy(folder: Path, keys: Iterable[DayKey]) -> None:
    """Remove identities for ever.

    Raises:
        StorageError: The disk refuses.
    """
    # The identities first: what is left of a torn removal opens nothing.
    keys = tuple(keys)
    _remove(folder / DAYS_FOLDER, [key.file_name for key in keys])
    _remove(folder / DAYS_FOLDER, [f"{key.stem}{PUBLIC_SUFFIX}" for key in keys])


def destroy_halves(folder: Path, keys: Iterable[DayKey]) -> None:
    """Remove the custodian's halves of keys that are split, for ever: no shares open those days any more.

    Raises:
        StorageError: The disk refuses.
    """
    _remove(folder / HALVES_FOLDER, [key.file_name for key in keys])


def destroy_hold(folder: Path, hold_id: str) -> None:
    """Remove the identity of a hold for ever.

    Raises:
        StorageError: The disk refuses.
    """
    _remove(folder / HOLDS_FOLDER, [f"{hold_id}.age", f"{hold_id}{PUBLIC_SUFFIX}"])


def recipient_of(folder: Path, key: DayKey) -> str:
    """Return what cameras seal to for `key`; no passphrase is needed to know.

    Raises:
        StorageError: The vault has no such key.
    """
    return _public(folder / DAYS_FOLDER / f"{key.stem}{PUBLIC_SUFFIX}")


def has_opener(folder: Path, request_id: str) -> bool:
    """Tell whether the vault still has what shares for a request travel to."""
    return (folder / REQUESTS_FOLDER / f"{request_id}.age").exists()


def hold_recipient(folder: Path, hold_id: str) -> str:
    """Return what a hold's segments are sealed to.

    Raises:
        StorageError: The vault has no key for it.
    """
    return _public(folder / HOLDS_FOLDER / f"{hold_id}{PUBLIC_SUFFIX}")


def _public(path: Path) -> str:
    return files.read_capped(path, max_bytes=MAX_IDENTITY_BYTES).decode("utf-8", "replace").strip()


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        path = folder / name
        try:
            # Overwriting means little on flash; that the content is ciphertext under the vault is what counts.
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove {path}: {(error.strerror or str(error)).lower()}") from error
    if folder.is_dir():
        files.sync_folder(folder)


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
