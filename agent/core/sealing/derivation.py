"""HKDF-SHA-256, the one way age makes a key out of a key."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    """Return the 32 bytes that age derives from `key`."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)
