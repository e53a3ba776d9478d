"""Letters: what one office signs and another reads, each a file that travels by mail.

A letter is JSON: its kind, a payload as text, and an Ed25519 signature by the same key
that signs policy. Signed is DSSE's pre-authentication encoding of kind and payload, so
that no letter can pass for one of another kind, for a statement, or for TUF metadata.
What is in the payload is looked at only after the signature holds.

Pure.
"""

import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Generic, Literal, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, ValidationError
from securesystemslib.signer import Signer

from agent.core.policy.refusals import first_problem
from agent.core.policy.words import Strict, VersionOne
from agent.errors import DocumentFormatError, SignatureError
from provisioning.authority.keys import NAME_FIELD, OFFICE_FIELD
from provisioning.evidence.authority import Authority

MAX_LETTER_BYTES = 16 * 1024 * 1024  # a request of a day of segments, with every office's shares in it
PAYLOAD_TYPE = "application/vnd.lamppost.{}+json"

_P = TypeVar("_P", bound=Strict)
Kind = Literal[
    "share-card",
    "release-request",
    "release-answer",
    "release-recorded",
    "release-share",
    "released",
    "epochs-destroyed",
]


class _Envelope(Strict):
    kind: Kind
    version: VersionOne
    payload: str
    keyid: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter(Generic[_P]):
    """A letter whose signature holds.

    Attributes:
        says: Its payload.
        sha256: Of the payload, in hex: the letter's name for machines.
        office: Whose key signed it.
        name: Of the key's holder, as the city knows it.
        keyid: Of the key.
    """

    says: _P
    sha256: str
    office: str
    name: str
    keyid: str


def write_letter(kind: Kind, payload: Strict, signer: Signer) -> bytes:
    """Return the signed letter as a file."""
    text = payload.model_dump_json()
    signed = signer.sign(_pre_authenticated(kind, text))
    envelope = _Envelope(kind=kind, version=1, payload=text, keyid=signed.keyid, signature=signed.signature)
    return envelope.model_dump_json(indent=2).encode() + b"\n"


def kind_of(raw: bytes) -> Kind:
    """Return which kind of letter `raw` says it is; nothing is verified.

    Raises:
        DocumentFormatError: It is no letter.
    """
    return _envelope(raw).kind


def read_letter(raw: bytes, kind: Kind, payload: type[_P], authority: Authority) -> Letter[_P]:
    """Return the letter in `raw`.

    Args:
        raw: The file.
        kind: What it must be.
        payload: What is in such a letter.
        authority: The city whose keys count.

    Raises:
        DocumentFormatError: It is no letter of that kind.
        OtherSignerError: The city knows no such key.
        SignatureError: The key did not sign it.
    """
    envelope = _envelope(raw)
    if envelope.kind != kind:
        raise DocumentFormatError(f"this is a {envelope.kind} letter, expected a {kind}")
    key = authority.known_key(envelope.keyid)
    try:
        verifier = Ed25519PublicKey.from_public_bytes(binascii.unhexlify(str(key.keyval.get("public"))))
        verifier.verify(binascii.unhexlify(envelope.signature), _pre_authenticated(kind, envelope.payload))
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(f"the {kind} letter is not what the key {envelope.keyid[:16]}… signed") from error
    try:
        says = payload.model_validate_json(envelope.payload)
    except ValidationError as error:
        raise DocumentFormatError(f"the {kind} letter: {first_problem(error)}") from error
    return Letter(
        says=says,
        sha256=sha256(envelope.payload.encode()).hexdigest(),
        office=str(key.unrecognized_fields.get(OFFICE_FIELD, "")),
        name=str(key.unrecognized_fields.get(NAME_FIELD, "")),
        keyid=envelope.keyid,
    )


def _envelope(raw: bytes) -> _Envelope:
    try:
        return _Envelope.model_validate_json(raw)
    except ValidationError as error:
        raise DocumentFormatError(f"this is no letter: {first_problem(error)}") from error


def _pre_authenticated(kind: Kind, text: str) -> bytes:
    payload_type, payload = PAYLOAD_TYPE.format(kind).encode(), text.encode()
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type, len(payload), payload)
