"""Signed notes, as C2SP signed-note defines them, and the two kinds of Ed25519 signature we use.

    text, any number of lines
    <empty line>
    — <key name> <base64 of: key id, 4 bytes ‖ signature>

A key is known by its name and its id together; the id also says what kind of signature it
makes: 0x01 is a plain one over the text, 0x04 a *cosignature*, which adds the time at which
a witness saw the text (C2SP tlog-cosignature).

A signature by a key we do not know says nothing and is passed over. One by a key we know that
does not verify condemns the note.

Pure: whoever keeps a private key passes the function that signs with it.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum
from hashlib import sha256
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.errors import CheckpointFormatError, CheckpointSignatureError

MAX_NOTE_BYTES = 64 * 1024
MAX_SIGNATURES = 64  # the specification asks for 16 at least
KEY_ID_BYTES = 4
PUBLIC_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_STAMP_BYTES = 8
_MAX_STAMP_S = 253402300799  # 9999-12-31T23:59:59Z; the specification allows more, a calendar does not
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_LINE_START = "— "
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")

Sign: TypeAlias = Callable[[bytes], bytes]  # Ed25519 over a message, by a key that somebody else keeps


class KeyKind(IntEnum):
    """What a key signs; the byte is the one that C2SP signed-note assigned."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key with its name.

    Attributes:
        name: Without spaces and plus signs; a log's is its origin.
        kind: What it signs.
        public: 32 bytes.
    """

    name: str
    kind: KeyKind
    public: bytes

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise CheckpointFormatError(f"not a name of a key: {self.name!r}")
        if len(self.public) != PUBLIC_KEY_BYTES:
            raise CheckpointFormatError(f"a public key of {len(self.public)} bytes, expected {PUBLIC_KEY_BYTES}")

    @property
    def id(self) -> bytes:
        """Four bytes that tell, with the name, whose a signature says it is."""
        return sha256(self.name.encode() + b"\n" + self._material).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(self._material).decode()}"

    @property
    def _material(self) -> bytes:
        return bytes([self.kind]) + self.public


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key spelled as C2SP signed-note spells a verifier key: `name+id+base64`.

    Raises:
        CheckpointFormatError: It is not one, or of a kind not known here.
    """
    found = _VKEY.fullmatch(text)
    if found is None:
        raise CheckpointFormatError("not a verifier key: expected name+id+base64")
    material = _decode(found[3])
    try:
        kind = KeyKind(material[0])
    except ValueError as error:
        raise CheckpointFormatError(f"a verifier key of kind {material[0]}, which is not known here") from error
    key = VerifierKey(name=found[1], kind=kind, public=material[1:])
    if key.id.hex() != found[2]:
        raise CheckpointFormatError(f"a verifier key with id {found[2]}, expected {key.id.hex()}")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line.

    Attributes:
        name: Of the key.
        key_id: Of the key.
        signature: What the key made, in the form of its kind.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_LINE_START}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text and its signatures; nothing is verified yet.

    Attributes:
        text: Ends with a line feed.
        signatures: At least one.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    def to_bytes(self) -> bytes:
        """Return the note as it is stored and sent."""
        return f"{self.text}\n{''.join(map(str, self.signatures))}".encode()

    def with_signature(self, signature: NoteSignature) -> "Note":
        """Return the note with one more signature, in place of an older one by the same key."""
        others = tuple(
            each for each in self.signatures if (each.name, each.key_id) != (signature.name, signature.key_id)
        )
        return replace(self, signatures=(*others, signature))


def parse_note(content: bytes) -> Note:
    """Return the note in `content`. Nothing in it may be believed before a signature is verified.

    Raises:
        CheckpointFormatError: It is too large, or not spelled as C2SP signed-note says.
    """
    if len(content) > MAX_NOTE_BYTES:
        raise CheckpointFormatError(f"a note of {len(content)} bytes, expected at most {MAX_NOTE_BYTES}")
    try:
        whole = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointFormatError("a note is not UTF-8") from error
    if _CONTROL.search(whole):
        raise CheckpointFormatError("a note holds a control character")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise CheckpointFormatError("a note without an empty line and signatures below it")
    signatures = tuple(_parse_signature(line) for line in lines.removesuffix("\n").split("\n"))
    if len(signatures) > MAX_SIGNATURES:
        raise CheckpointFormatError(f"a note with {len(signatures)} signatures, expected at most {MAX_SIGNATURES}")
    return Note(text=text + "\n", signatures=signatures)


def sign_text(text: str, key: VerifierKey, sign: Sign) -> NoteSignature:
    """Return a plain signature over `text` by `key`, whose private half `sign` uses."""
    _expect(key, KeyKind.ED25519)
    return NoteSignature(name=key.name, key_id=key.id, signature=sign(text.encode()))


def cosign_text(text: str, key: VerifierKey, sign: Sign, *, now: datetime) -> NoteSignature:
    """Return a cosignature: that `key` saw `text` at `now`, to the second."""
    _expect(key, KeyKind.COSIGNATURE)
    stamp_s = int(now.timestamp())
    return NoteSignature(
        name=key.name,
        key_id=key.id,
        signature=stamp_s.to_bytes(_STAMP_BYTES, "big") + sign(_cosigned(text, stamp_s)),
    )


def verify_signature(note: Note, key: VerifierKey) -> None:
    """Return if `note` carries a good plain signature by `key`.

    Raises:
        CheckpointSignatureError: It carries none, or a wrong one.
    """
    _expect(key, KeyKind.ED25519)
    for signature in _signatures_by(note, key):
        _verify(key, signature, note.text.encode())


def verify_cosignature(note: Note, key: VerifierKey) -> datetime:
    """Return when the witness with `key` saw `note`, at the latest; aware UTC.

    Raises:
        CheckpointSignatureError: It carries no cosignature by `key`, or a wrong one.
    """
    _expect(key, KeyKind.COSIGNATURE)
    stamps_s = []
    for signature in _signatures_by(note, key):
        stamp_s = int.from_bytes(signature[:_STAMP_BYTES], "big")
        if stamp_s > _MAX_STAMP_S:
            raise CheckpointSignatureError(f"{key.name} claims a time that cannot be")
        _verify(key, signature[_STAMP_BYTES:], _cosigned(note.text, stamp_s))
        stamps_s.append(stamp_s)
    return datetime.fromtimestamp(max(stamps_s), UTC)


def _signatures_by(note: Note, key: VerifierKey) -> Sequence[bytes]:
    found = [each.signature for each in note.signatures if (each.name, each.key_id) == (key.name, key.id)]
    if not found:
        raise CheckpointSignatureError(f"not signed by {key.name} with key {key.id.hex()}")
    return found


def _verify(key: VerifierKey, signature: bytes, message: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except InvalidSignature as error:
        raise CheckpointSignatureError(f"the signature by {key.name} does not verify") from error


def _cosigned(text: str, stamp_s: int) -> bytes:
    return f"cosignature/v1\ntime {stamp_s}\n{text}".encode()


def _parse_signature(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_LINE_START).partition(" ")
    if not line.startswith(_LINE_START) or not space or not _is_name(name):
        raise CheckpointFormatError("a signature line is not: em dash, name, base64")
    signature = _decode(encoded)
    if len(signature) <= KEY_ID_BYTES:
        raise CheckpointFormatError("a signature line without a signature")
    return NoteSignature(name=name, key_id=signature[:KEY_ID_BYTES], signature=signature[KEY_ID_BYTES:])


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(each.isspace() for each in name) and name.isprintable()


def _decode(encoded: str) -> bytes:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CheckpointFormatError("not base64") from error
    if base64.b64encode(decoded).decode() != encoded:  # one spelling each, or a note could be changed unseen
        raise CheckpointFormatError("not canonical base64")
    return decoded


def _expect(key: VerifierKey, kind: KeyKind) -> None:
    if key.kind is not kind:
        raise ValueError(f"{key.name} is a key for {key.kind.name.lower()}, expected {kind.name.lower()}")
