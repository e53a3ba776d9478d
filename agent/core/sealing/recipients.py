"""Recipients and identities: who a file is sealed to, and who opens it.

Two native types of age are here, each in a class of its own: MLKEM768-X25519
("post-quantum", the default) and X25519. One file never mixes them, because the
weaker one would then decide. Section names in comments are those of the C2SP age
specification.

An identity is a secret. It appears in no error, no `repr` and no log; only
`reveal` returns it as text.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from agent.core.sealing import bech32
from agent.core.sealing.derivation import derive
from agent.core.sealing.header import Stanza, decode_base64, encode_base64
from agent.errors import HeaderError, KeyFormatError

FILE_KEY_BYTES = 16  # "File key"
_WRAPPED_BYTES = FILE_KEY_BYTES + 16  # with a Poly1305 tag; checked first against partitioning oracles
_IDENTITY_BYTES = 32  # both types: a seed, or a scalar
_X25519_BYTES = 32
_MLKEM768_KEY_BYTES = 1184  # FIPS 203, table 3
_MLKEM768_CIPHERTEXT_BYTES = 1088  # likewise
_MLKEM768_SEED_BYTES = 64  # FIPS 203: d and z
_ZERO_NONCE = bytes(12)  # a wrap key is used once


class Profile(StrEnum):
    """The recipient types a file may use; the value is the stanza's first argument."""

    POST_QUANTUM = "mlkem768x25519"
    X25519 = "X25519"


class Recipient(Protocol):
    """A public key that a file key can be wrapped for; `str` gives it as age prints it."""

    profile: ClassVar[Profile]

    def wrap(self, file_key: bytes) -> Stanza:
        """Return the file key, wrapped with a fresh ephemeral key."""
        ...


class Identity(Protocol):
    """A private key that opens what was sealed to its recipient."""

    profile: ClassVar[Profile]

    @property
    def recipient(self) -> Recipient:
        """The public half."""
        ...

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """Return the file key, or None if no stanza is for this identity.

        Raises:
            HeaderError: A stanza of this identity's type is malformed.
        """
        ...

    def reveal(self) -> str:
        """Return the secret as age prints it."""
        ...


# --- X25519 -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class X25519Recipient:
    """A public key of "The X25519 recipient type".

    Raises:
        KeyFormatError: Not 32 bytes, or a point with which everyone shares the same secret.
    """

    public_bytes: bytes

    profile: ClassVar[Profile] = Profile.X25519
    prefix: ClassVar[str] = "age"

    def __post_init__(self) -> None:
        if len(self.public_bytes) != _X25519_BYTES:
            raise KeyFormatError(f"an age1… recipient holds {len(self.public_bytes)} bytes, expected {_X25519_BYTES}")
        _refuse_low_order(self.public_bytes)

    def wrap(self, file_key: bytes) -> Stanza:
        """Return an X25519 stanza."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.public_bytes))
        body = _x25519_cipher(shared, share, self.public_bytes).encrypt(_ZERO_NONCE, file_key, None)
        return Stanza(self.profile, (encode_base64(share),), body)

    def __str__(self) -> str:
        return bech32.encode(self.prefix, self.public_bytes)


@dataclass(frozen=True, slots=True, repr=False)
class X25519Identity:
    """A private key of "The X25519 recipient type"."""

    secret_bytes: bytes

    profile: ClassVar[Profile] = Profile.X25519
    prefix: ClassVar[str] = "AGE-SECRET-KEY-"

    def __post_init__(self) -> None:
        _check_identity_length(self.secret_bytes)

    @classmethod
    def generate(cls) -> Self:
        """Make a new identity."""
        return cls(os.urandom(_IDENTITY_BYTES))

    @property
    def recipient(self) -> X25519Recipient:
        """The public half."""
        return X25519Recipient(self._key().public_key().public_bytes_raw())

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """Return the file key, or None if no X25519 stanza is for this identity."""
        candidates = [(_only_argument(stanza, _X25519_BYTES), stanza.body) for stanza in _of(self.profile, stanzas)]
        own = self.recipient.public_bytes
        for share, body in candidates:
            try:
                shared = self._key().exchange(X25519PublicKey.from_public_bytes(share))
            except ValueError as error:  # "If the shared secret is all 0x00 bytes, … MUST abort."
                raise HeaderError("an X25519 stanza holds a point of low order") from error
            try:
                return _x25519_cipher(shared, share, own).decrypt(_ZERO_NONCE, body, None)
            except InvalidTag:
                continue
        return None

    def reveal(self) -> str:
        """Return the secret as age prints it."""
        return bech32.encode(self.prefix.lower(), self.secret_bytes).upper()

    def _key(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.secret_bytes)


def _x25519_cipher(shared: bytes, share: bytes, public_bytes: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(derive(shared, salt=share + public_bytes, info=b"age-encryption.org/v1/X25519"))


# --- MLKEM768-X25519 ----------------------------------------------------------

_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
_HPKE_INFO = b"age-encryption.org/mlkem768x25519"
_ENCAPSULATED_BYTES = _MLKEM768_CIPHERTEXT_BYTES + _X25519_BYTES


@dataclass(frozen=True, slots=True)
class PostQuantumRecipient:
    """A public key of "The MLKEM768-X25519 hybrid post-quantum recipient type".

    Attributes:
        public_bytes: The ML-KEM-768 encapsulation key, then the X25519 point.

    Raises:
        KeyFormatError: Not 1,216 bytes, an ML-KEM key out of range, or a point of low order.
    """

    public_bytes: bytes

    profile: ClassVar[Profile] = Profile.POST_QUANTUM
    prefix: ClassVar[str] = "age1pq"

    def __post_init__(self) -> None:
        expected = _MLKEM768_KEY_BYTES + _X25519_BYTES
        if len(self.public_bytes) != expected:
            raise KeyFormatError(f"an age1pq1… recipient holds {len(self.public_bytes)} bytes, expected {expected}")
        _refuse_low_order(self.public_bytes[_MLKEM768_KEY_BYTES:])
        try:
            self._key()
        except ValueError as error:
            raise KeyFormatError("an age1pq1… recipient holds an ML-KEM-768 key out of range") from error

    def wrap(self, file_key: bytes) -> Stanza:
        """Return an mlkem768x25519 stanza."""
        sealed = _SUITE.encrypt(file_key, self._key(), _HPKE_INFO)  # the encapsulated key, then the ciphertext
        argument = encode_base64(sealed[:_ENCAPSULATED_BYTES])
        return Stanza(self.profile, (argument,), sealed[_ENCAPSULATED_BYTES:])

    def __str__(self) -> str:
        return bech32.encode(self.prefix, self.public_bytes)

    def _key(self) -> hpke.MLKEM768X25519PublicKey:
        return hpke.MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(self.public_bytes[:_MLKEM768_KEY_BYTES]),
            X25519PublicKey.from_public_bytes(self.public_bytes[_MLKEM768_KEY_BYTES:]),
        )


@dataclass(frozen=True, slots=True, repr=False)
class PostQuantumIdentity:
    """A private key of "The MLKEM768-X25519 hybrid post-quantum recipient type": a 32-byte seed."""

    secret_bytes: bytes

    profile: ClassVar[Profile] = Profile.POST_QUANTUM
    prefix: ClassVar[str] = "AGE-SECRET-KEY-PQ-"

    def __post_init__(self) -> None:
        _check_identity_length(self.secret_bytes)

    @classmethod
    def generate(cls) -> Self:
        """Make a new identity."""
        return cls(os.urandom(_IDENTITY_BYTES))

    @property
    def recipient(self) -> PostQuantumRecipient:
        """The public half."""
        lattice, curve = self._keys()
        return PostQuantumRecipient(lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw())

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """Return the file key, or None if no mlkem768x25519 stanza is for this identity."""
        candidates = [
            (_only_argument(stanza, _ENCAPSULATED_BYTES), stanza.body) for stanza in _of(self.profile, stanzas)
        ]
        lattice, curve = self._keys()
        key = hpke.MLKEM768X25519PrivateKey(lattice, curve)
        for encapsulated, body in candidates:
            # HPKE reports a low-order point as it does a foreign key; only one of them is malformed.
            _refuse_low_order_share(curve, encapsulated[_MLKEM768_CIPHERTEXT_BYTES:])
            try:
                return _SUITE.decrypt(encapsulated + body, key, _HPKE_INFO)
            except InvalidTag:
                continue
        return None

    def reveal(self) -> str:
        """Return the secret as age prints it."""
        return bech32.encode(self.prefix.lower(), self.secret_bytes).upper()

    def _keys(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        """Return both halves, expanded from the seed with SHAKE-256 (draft-ietf-hpke-pq, X-Wing)."""
        expanded = hashlib.shake_256(self.secret_bytes).digest(_MLKEM768_SEED_BYTES + _X25519_BYTES)
        return (
            MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM768_SEED_BYTES]),
            X25519PrivateKey.from_private_bytes(expanded[_MLKEM768_SEED_BYTES:]),
        )


# --- what both types check ----------------------------------------------------


def _of(profile: Profile, stanzas: Sequence[Stanza]) -> Iterator[Stanza]:
    return (stanza for stanza in stanzas if stanza.kind == profile)


def _only_argument(stanza: Stanza, length: int) -> bytes:
    """Return the one argument of a native stanza, decoded; refuse a stanza of another shape."""
    if len(stanza.arguments) != 1:
        raise HeaderError(f"a stanza of type {stanza.kind} has {len(stanza.arguments)} arguments, expected 1")
    argument = decode_base64(stanza.arguments[0])
    if len(argument) != length:
        raise HeaderError(f"the argument of a {stanza.kind} stanza is {len(argument)} bytes, expected {length}")
    if len(stanza.body) != _WRAPPED_BYTES:
        raise HeaderError(f"the body of a {stanza.kind} stanza is {len(stanza.body)} bytes, expected {_WRAPPED_BYTES}")
    return argument


def _check_identity_length(secret: bytes) -> None:
    if len(secret) != _IDENTITY_BYTES:
        raise KeyFormatError(f"an identity holds {len(secret)} bytes, expected {_IDENTITY_BYTES}")


def _refuse_low_order(point: bytes) -> None:
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError as error:
        raise KeyFormatError("a recipient holds a point of low order: everyone could open what is sealed to it") from (
            error
        )


def _refuse_low_order_share(curve: X25519PrivateKey, share: bytes) -> None:
    try:
        curve.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError as error:
        raise HeaderError("an mlkem768x25519 stanza holds a point of low order") from error


# --- text ---------------------------------------------------------------------

_RECIPIENTS: dict[str, type[X25519Recipient | PostQuantumRecipient]] = {
    PostQuantumRecipient.prefix: PostQuantumRecipient,
    X25519Recipient.prefix: X25519Recipient,
}
_IDENTITIES: dict[str, type[X25519Identity | PostQuantumIdentity]] = {
    PostQuantumIdentity.prefix: PostQuantumIdentity,
    X25519Identity.prefix: X25519Identity,
}
_EXPECTED = "expected age1pq1… (post-quantum) or age1… (X25519)"


def parse_recipient(text: str) -> Recipient:
    """Return the recipient that `text` spells.

    Raises:
        KeyFormatError: It is something else; the message says what.
    """
    if (found := _other_than_a_recipient(text)) is not None:
        raise KeyFormatError(f"found {found}, {_EXPECTED}")
    prefix, payload = bech32.decode(text)
    return _RECIPIENTS[prefix](payload)  # no other prefix is left by now


def parse_recipients(texts: Iterable[str]) -> tuple[Recipient, ...]:
    """Return the recipients of one file, in order, repetitions dropped.

    Raises:
        KeyFormatError: There is none, one is not a recipient, or the two types are mixed.
    """
    recipients = tuple(parse_recipient(text) for text in dict.fromkeys(texts))
    check_profile(recipients)
    return recipients


def check_profile(recipients: Sequence[Recipient]) -> Profile:
    """Return the one profile of a file's recipients.

    Raises:
        KeyFormatError: There is no recipient, or the two types are mixed.
    """
    profiles = {recipient.profile for recipient in recipients}
    if not profiles:
        raise KeyFormatError("there is no recipient; what is sealed to nobody can never be opened")
    if len(profiles) > 1:
        raise KeyFormatError(
            "the recipients mix post-quantum (age1pq1…) and X25519 (age1…) keys, expected one type",
            hint="the weaker key would decide how well the footage is protected; make a post-quantum key for each",
        )
    return profiles.pop()


def parse_identities(text: str) -> tuple[Identity, ...]:
    """Return the identities of an identity file as age-keygen writes it.

    One a line; empty lines and lines that start with `#` say nothing.

    Raises:
        KeyFormatError: A line is not a native identity, or there is none. The message
            has the line's number and never its text.
    """
    identities = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            identities.append(_parse_identity(line.strip()))
        except KeyFormatError as error:
            raise KeyFormatError(f"line {number} of the identity file: {error}", hint=error.hint) from None
    if not identities:
        raise KeyFormatError("the identity file holds no identity")
    return tuple(identities)


def _parse_identity(text: str) -> Identity:
    if text.startswith(("age-encryption.org/", "-----BEGIN AGE")):
        raise KeyFormatError(
            "the identity file is itself sealed with age",
            hint="open it first, into memory or a pipe: `age --decrypt FILE | lamppost … --identity /dev/stdin`",
        )
    if text.startswith("AGE-PLUGIN-"):
        raise KeyFormatError("found an identity of an age plugin, expected a native one")
    prefix, payload = bech32.decode(text)
    if prefix in _IDENTITIES:
        return _IDENTITIES[prefix](payload)
    if prefix in _RECIPIENTS:
        raise KeyFormatError("found a recipient (public), expected an identity (secret)")
    raise KeyFormatError("found a key of another kind, expected an age identity")


_OTHER_KINDS = (
    ("AGE-SECRET-KEY-", "an identity (secret; not shown here)"),
    ("AGE-PLUGIN-", "an identity of an age plugin (secret; not shown here)"),
    ("ssh-", "an SSH public key"),
    ("age1tagpq1", "a tagged post-quantum recipient of a hardware key"),
    ("age1tag1", "a tagged recipient of a hardware key"),
)


def _other_than_a_recipient(text: str) -> str | None:
    """Say what well-known thing was given where a recipient belongs, without quoting a secret."""
    for start, meaning in _OTHER_KINDS:
        if text.upper().startswith(start.upper()):
            return meaning
    if not text:
        return "an empty text"
    if not text.startswith("age1"):
        return "something that is not an age key"
    # Bech32 has no "1" in its data part: what stands between the first and the last is a name.
    name, separator, _ = text[len("age1") :].rpartition("1")
    return f"a recipient of the age plugin {name[:32]!r}" if separator and name != "pq" else None
