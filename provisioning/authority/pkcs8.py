"""A private key encrypted at rest: PKCS#8 (RFC 5958) with scrypt and AES-256-CBC (RFC 7914, RFC 8018 PBES2).

`cryptography` reads this format but writes only PBKDF2 with 2,048 rounds, which
a stolen laptop's disk does not withstand for long; so the hundred bytes of DER
around the ciphertext are written here. Any OpenSSL since 1.1 reads the file.
"""

import base64
import os
import textwrap

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agent.errors import KeyFormatError, SignatureError

# OWASP's password storage sheet gives N=2^14, r=8, p=5 as equal to N=2^17, p=1; the
# smaller memory is what OpenSSL's default limit of 32 MiB still opens.
SCRYPT_N = 2**14
SCRYPT_R = 8
SCRYPT_P = 5

_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_AES_256_CBC = bytes.fromhex("060960864801650304012a")
_SHORT_LENGTH = 0x80


def seal_private_key(key: Ed25519PrivateKey | EllipticCurvePrivateKey, passphrase: str) -> bytes:
    """Return `key` as PEM that only `passphrase` opens."""
    salt, iv = os.urandom(16), os.urandom(16)
    kek = Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase.encode())
    padder = PKCS7(128).padder()
    clear = padder.update(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())) + padder.finalize()
    encryptor = Cipher(AES256(kek), CBC(iv)).encryptor()
    ciphertext = encryptor.update(clear) + encryptor.finalize()
    parameters = _der(_OCTETS, salt) + _integer(SCRYPT_N) + _integer(SCRYPT_R) + _integer(SCRYPT_P)
    derivation = _der(_SEQUENCE, _SCRYPT + _der(_SEQUENCE, parameters))
    scheme = _der(_SEQUENCE, _AES_256_CBC + _der(_OCTETS, iv))
    algorithm = _der(_SEQUENCE, _PBES2 + _der(_SEQUENCE, derivation + scheme))
    body = base64.b64encode(_der(_SEQUENCE, algorithm + _der(_OCTETS, ciphertext))).decode()
    lines = "\n".join(textwrap.wrap(body, 64))
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{lines}\n-----END ENCRYPTED PRIVATE KEY-----\n".encode()


def open_private_key(pem: bytes, passphrase: str | None) -> Ed25519PrivateKey:
    """Return the key in `pem`.

    Args:
        pem: What `seal_private_key` wrote, or a clear PKCS#8 key when `passphrase` is None.
        passphrase: What opens it.

    Raises:
        SignatureError: The passphrase does not open it.
        KeyFormatError: It is no Ed25519 key.
    """
    key = _open(pem, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFormatError("the private key is of another kind, expected Ed25519")
    return key


def open_certificate_key(pem: bytes, passphrase: str | None) -> EllipticCurvePrivateKey:
    """Return the elliptic curve key in `pem`, which signs certificates.

    Raises:
        SignatureError: The passphrase does not open it.
        KeyFormatError: It is no such key.
    """
    key = _open(pem, passphrase)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise KeyFormatError("the private key is of another kind, expected P-256")
    return key


def _open(pem: bytes, passphrase: str | None) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem, None if passphrase is None else passphrase.encode())
    except TypeError as error:
        raise SignatureError("the private key and the passphrase do not go together") from error
    except ValueError as error:
        if "password" in str(error).lower():  # cryptography has one class for both
            raise SignatureError("the passphrase does not open this private key") from error
        raise KeyFormatError("the private key file is not a PKCS#8 key") from error


def _der(tag: int, content: bytes) -> bytes:
    if len(content) < _SHORT_LENGTH:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes((tag, _SHORT_LENGTH | len(length))) + length + content


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))
