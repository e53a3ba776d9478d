"""An official's own key: made on their machine, encrypted there, never leaving it.

A *key folder* belongs to one person in one office. It holds `card.json` (the *key
card*: office, name, public key; for sending around), the private key, and, once
its owner has trusted a city, that city's first root. The private key is a
PKCS#8 file under a passphrase, or the URI of a hardware token that
securesystemslib can drive (`signer.uri`); the second kind never holds a secret.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Key, Signer, SSlibKey

from agent.errors import KeyFormatError, SignatureError, UsageError
from provisioning.authority import files, pkcs8

KEY_TYPE = "ed25519"  # what cameras read, and nothing else

CARD_FILE = "card.json"
PRIVATE_FILE = "private.pem"
URI_FILE = "signer.uri"

CARD_KIND = "lamppost-key-card"
CARD_VERSION = 1
MAX_CARD_BYTES = 8 * 1024
MIN_PASSPHRASE_CHARACTERS = 10  # with scrypt in front; short enough that people do not write it on the laptop

OFFICE_FIELD = "x-lamppost-office"  # signed with the role metadata: who stands behind a key
NAME_FIELD = "x-lamppost-name"

_OFFICE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_OFFICE_CHARACTERS = 40
_MAX_NAME_CHARACTERS = 80

AskPassphrase = Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCard:
    """One person's public key and the office they hold.

    Attributes:
        office: Slug of the office as the charter spells it, such as "police-chief".
        name: What people call its holder.
        key: The public key, as TUF metadata carries it.
    """

    office: str
    name: str
    key: SSlibKey

    def __post_init__(self) -> None:
        if len(self.office) > _MAX_OFFICE_CHARACTERS or not _OFFICE.fullmatch(self.office):
            raise UsageError(
                f"{self.office!r} is not an office, expected small letters, digits and hyphens",
                hint="use the id that the charter gives the office, such as police-chief",
            )
        if not 0 < len(self.name) <= _MAX_NAME_CHARACTERS or not self.name.isprintable() or not self.name.strip():
            raise UsageError(f"{self.name!r} is not a name of 1 to {_MAX_NAME_CHARACTERS} printable characters")

        if self.key.keytype != KEY_TYPE:
            # One kind of key is one kind of hostile bytes less for a camera to read.
            raise KeyFormatError(
                f"the key of {self.name} is of type {self.key.keytype}, expected {KEY_TYPE}",
                hint="make an Ed25519 key in the token",
            )

    @property
    def fingerprint(self) -> str:
        """What two people compare by telephone: eight groups of four hex digits of the key's id."""
        return fingerprint(self.key.keyid)

    def signed_key(self) -> Key:
        """Return the key with office and name in it, for role metadata."""
        return SSlibKey(
            self.key.keyid,
            self.key.keytype,
            self.key.scheme,
            dict(self.key.keyval),
            {OFFICE_FIELD: self.office, NAME_FIELD: self.name},
        )

    @staticmethod
    def plain_key(key: Key) -> SSlibKey:
        """Return `key` without what role metadata says about its holder."""
        return SSlibKey(key.keyid, key.keytype, key.scheme, dict(key.keyval))

    def dump(self) -> bytes:
        """Return the card as JSON."""
        return _json(
            {
                "kind": CARD_KIND,
                "version": CARD_VERSION,
                "office": self.office,
                "name": self.name,
                "key": {"keytype": self.key.keytype, "scheme": self.key.scheme, "keyval": self.key.keyval},
                "fingerprint": self.fingerprint,
            },
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return the card in `raw`.

        Raises:
            KeyFormatError: It is no key card, or its fingerprint is not that of its key.
        """
        try:
            card = json.loads(raw)
            if card["kind"] != CARD_KIND or card["version"] != CARD_VERSION:
                raise KeyFormatError(f"this is not a key card of version {CARD_VERSION}")
            key = _public_key(card["key"])
            parsed = cls(office=str(card["office"]), name=str(card["name"]), key=key)
            claimed = card["fingerprint"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise KeyFormatError("this is not a key card", hint="lamppost city key makes one") from error
        if claimed != parsed.fingerprint:
            raise KeyFormatError(f"the card says fingerprint {claimed!r}, its key has {parsed.fingerprint!r}")
        return parsed

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the card in the file, or key folder, at `path`."""
        return cls.parse(files.read_capped(path / CARD_FILE if path.is_dir() else path, max_bytes=MAX_CARD_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialKey:
    """A key ready to sign, and whose it is."""

    card: KeyCard
    signer: Signer


def fingerprint(keyid: str) -> str:
    """Return the first 128 bits of a hex digest in groups of four, for reading aloud."""
    return " ".join(keyid[i : i + 4] for i in range(0, 32, 4))


def make_key(folder: Path, *, office: str, name: str, passphrase: str) -> KeyCard:
    """Make an Ed25519 key in a new `folder` (0700) and return its card.

    Raises:
        UsageError: The folder holds a key already, or office, name or passphrase will not do.
        StorageError: The disk refuses.
    """
    check_passphrase(passphrase)
    private_key = Ed25519PrivateKey.generate()
    card = KeyCard(office=office, name=name, key=_public_key_of(private_key))
    _start_folder(folder)
    files.write_new(folder / PRIVATE_FILE, pkcs8.seal_private_key(private_key, passphrase), mode=files.PRIVATE)
    files.write_new(folder / CARD_FILE, card.dump())
    return card


def adopt_token(folder: Path, *, office: str, name: str, uri: str) -> KeyCard:
    """Write a key folder for a key that lives in a hardware token or key service.

    Args:
        folder: Where; it will hold no secret.
        office: As for `make_key`.
        name: As for `make_key`.
        uri: What securesystemslib calls the private key: `hsm:…`, `gcpkms:…`, `awskms:…`, `azurekms:…`.

    Raises:
        UsageError: The URI's kind is unknown here, or what drives it is not installed.
    """
    scheme = uri.partition(":")[0]
    kind = SIGNER_FOR_URI_SCHEME.get(scheme)
    if kind is None or not hasattr(kind, "import_"):
        raise UsageError(
            f"no signer for {scheme!r} keys", hint=f"known here: {', '.join(sorted(SIGNER_FOR_URI_SCHEME))}"
        )
    try:
        _, key = kind.import_() if scheme == "hsm" else kind.import_(uri.partition(":")[2])
    except (UnsupportedLibraryError, ImportError) as error:
        raise UsageError(f"{scheme} keys need a library that is not installed: {error}") from error
    if not isinstance(key, SSlibKey):
        raise UsageError(f"{scheme} keys are of a kind that policy signatures do not use")
    card = KeyCard(office=office, name=name, key=key)
    _start_folder(folder)
    files.write_new(folder / URI_FILE, f"{uri}\n".encode(), mode=files.PRIVATE)
    files.write_new(folder / CARD_FILE, card.dump())
    return card


def open_key(folder: Path, ask_passphrase: AskPassphrase) -> OfficialKey:
    """Return the key in `folder`, ready to sign.

    Args:
        folder: A key folder.
        ask_passphrase: Called once if there is a file to decrypt; for a token it asks for its PIN.

    Raises:
        SignatureError: The passphrase is wrong, or the private key is not the card's.
        StorageError: There is no key here.
    """
    card = KeyCard.read(folder)
    if (folder / URI_FILE).exists():
        uri = files.read_capped(folder / URI_FILE, max_bytes=MAX_CARD_BYTES).decode().strip()
        return OfficialKey(card=card, signer=_token_signer(uri, card, ask_passphrase))
    pem = files.read_capped(folder / PRIVATE_FILE, max_bytes=MAX_CARD_BYTES)
    private_key = pkcs8.open_private_key(pem, ask_passphrase())
    if _public_key_of(private_key).keyid != card.key.keyid:
        raise SignatureError(f"the private key in {folder} is not the one on its card")
    return OfficialKey(card=card, signer=CryptoSigner(private_key, card.key))


def check_passphrase(passphrase: str) -> None:
    """Refuse a passphrase that protects nothing.

    Raises:
        UsageError: It is too short.
    """
    if len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
        raise UsageError(
            f"the passphrase has {len(passphrase)} characters, expected at least {MIN_PASSPHRASE_CHARACTERS}",
            hint="four words that nobody else would put together are easy to keep",
        )


def _start_folder(folder: Path) -> None:
    if any((folder / name).exists() for name in (CARD_FILE, PRIVATE_FILE, URI_FILE)):
        raise UsageError(f"{folder} holds a key already", hint="choose another folder; a key is never overwritten")
    files.make_folder(folder, mode=files.PRIVATE_FOLDER)


def _public_key_of(private_key: Ed25519PrivateKey) -> SSlibKey:
    return SSlibKey.from_crypto(private_key.public_key())


def _public_key(card_key: dict[str, object]) -> SSlibKey:
    """Return the key of a card, its id computed anew so that two cards cannot claim one id."""
    keytype, scheme, keyval = (card_key[field] for field in ("keytype", "scheme", "keyval"))
    if not isinstance(keytype, str) or not isinstance(scheme, str) or not isinstance(keyval, dict):
        raise TypeError("key fields of the wrong type")
    # TUF's custom for a key's id, as SSlibKey.from_crypto computes it.
    named = encode_canonical({"keytype": keytype, "scheme": scheme, "keyval": keyval})
    keyid = hashlib.sha256(str(named).encode()).hexdigest()
    key = Key.from_dict(keyid, {"keytype": keytype, "scheme": scheme, "keyval": keyval})
    if not isinstance(key, SSlibKey):
        raise TypeError(f"{keytype} keys do not sign policy")
    return key


def _token_signer(uri: str, card: KeyCard, ask_pin: AskPassphrase) -> Signer:
    try:
        return Signer.from_priv_key_uri(uri, card.key, lambda _: ask_pin())
    except (UnsupportedLibraryError, ImportError, ValueError) as error:
        raise SignatureError(f"the token {uri.partition(':')[0]!r} does not answer: {error}") from error


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
