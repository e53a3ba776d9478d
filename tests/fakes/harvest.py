"""What somebody who has a folder can try as a key: all that looks like one, in every file, databases included."""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent.core.sealing.recipients import Identity, PostQuantumIdentity, X25519Identity, parse_identities
from agent.errors import KeyFormatError

SECRET_BYTES = 32
_IDENTITY = re.compile(rb"AGE-SECRET-KEY-[0-9A-Z-]{20,200}", re.IGNORECASE)
_PEM = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----\n?", re.DOTALL)
_HEX = re.compile(rb"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")
_BASE64 = re.compile(rb"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{43}=?(?![A-Za-z0-9+/_=-])")


def identities_in(folder: Path, passphrases: Sequence[str] = ()) -> list[Identity]:
    """Return every identity of age that the files below `folder` spell, or could mean, each once.

    Args:
        folder: What somebody has.
        passphrases: What they know.
    """
    found: dict[str, Identity] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            for spelled in _IDENTITY.findall(content):
                for identity in _parsed(spelled):
                    found[identity.reveal()] = identity
            for secret in _secrets(content, passphrases):
                for kind in (X25519Identity, PostQuantumIdentity):
                    found[kind(secret).reveal()] = kind(secret)
    return list(found.values())


def _parsed(spelled: bytes) -> tuple[Identity, ...]:
    try:
        return parse_identities(spelled.decode().upper())
    except KeyFormatError:  # the end of a sentence that speaks of one
        return ()


def _secrets(content: bytes, passphrases: Sequence[str]) -> Iterator[bytes]:
    """Yield the private keys in `content`, and every digest or token that is as long as one."""
    for pem in _PEM.findall(content):
        for passphrase in (None, *passphrases):
            yield from _private(pem, passphrase)
    for digits in _HEX.findall(content):
        yield binascii.unhexlify(digits)
    for text in _BASE64.findall(content):
        standard = text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=") + b"="
        raw = base64.b64decode(standard)
        if len(raw) == SECRET_BYTES:
            yield raw


def _private(pem: bytes, passphrase: str | None) -> Iterator[bytes]:
    try:
        key = load_pem_private_key(pem, None if passphrase is None else passphrase.encode())
    except (TypeError, ValueError):  # another passphrase, or none
        return
    if isinstance(key, EllipticCurvePrivateKey):
        yield key.private_numbers().private_value.to_bytes(SECRET_BYTES, "big")
    elif isinstance(key, Ed25519PrivateKey):
        yield key.private_bytes_raw()
