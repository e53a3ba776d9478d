"""What a camera and the enrolment service say to each other, and what a work order adds.

    POST /v1/enrol    Request      → Answer: issued, pending or refused
    POST /v1/confirm  Confirmation → Answer, to whoever holds the work order

A claim alone is not enough: whoever photographed the code has it too. So a request
counts at once only with a *proof*, a signature of the order's key over the key that
asks; card and cable bring that key to the camera. A camera that saw a code has no
proof. The service then keeps its request *pending* and gives it a code of six digits,
which the camera blinks; whoever holds the work order reads it off and confirms it. A
code that another asker was given names the other's request, so to watch is of no use.

Pure: values, their bytes, and the signatures over them.
"""

import hashlib
from datetime import datetime
from enum import Enum
from typing import Annotated, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field, StringConstraints

from agent.core.enrolment.claim import MAX_CLAIM_BYTES
from agent.core.messages.wire import KIB, Message, Part, Text
from agent.errors import ClaimFormatError, ClaimSignatureError

ENROL_PATH = "/v1/enrol"
CONFIRM_PATH = "/v1/confirm"
ROOT_PATH = "/v1/root.pem"  # public; the claim's pin says whether it is the right one
MAX_PEM_CHARACTERS = 8 * KIB
MAX_ORDER_BYTES = 8 * KIB
CODE_DIGITS = 6

_PROOF_CONTEXT = b"lamppost enrolment proof, version 1\n"
_CONFIRM_CONTEXT = b"lamppost enrolment confirmation, version 1\n"

Sealed = Annotated[bytes, Field(max_length=MAX_CLAIM_BYTES)]
Pem = Annotated[str, StringConstraints(max_length=MAX_PEM_CHARACTERS)]
Signature = Annotated[bytes, Field(min_length=64, max_length=64)]
Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]


class Outcome(Enum):
    """What became of a request."""

    ISSUED = "issued"
    PENDING = "pending"
    REFUSED = "refused"


class Request(Message):
    """A camera asks for a certificate.

    Attributes:
        claim: As it was read.
        request: PEM certificate request for the key that the camera made.
        board: The board's serial number, where it says one.
        proof: The order's key over the asking key; None from a camera that saw a code.
    """

    claim: Sealed
    request: Pem
    board: Text | None = None
    proof: Signature | None = None


class Answer(Message):
    """What the service says.

    Attributes:
        outcome: What became of it.
        at: The service's clock: a board without one may take it from here, where nothing signed is newer.
        chain: PEM, the certificate and its issuer, if it was issued.
        code: What the camera shows, if it is pending.
        error: Name of the error class, if it was refused.
        reason: The same for people.
        others: To a confirmation: how many other keys asked with a copy of the claim.
        root: The fleet's root, PEM, if the answer is carried by file: the claim's pin says whether it is.
    """

    MAX_BYTES: ClassVar[int] = 32 * KIB

    outcome: Outcome
    at: datetime
    chain: Pem = ""
    code: Code | None = None
    error: Text = ""
    reason: Text = ""
    others: int = 0
    root: Pem = ""


class Confirmation(Message):
    """Whoever holds the work order says which camera is meant.

    Attributes:
        claim: The work order's claim.
        code: What the camera shows.
        signature: The order's key over both.
    """

    claim: Sealed
    code: Code
    signature: Signature


class Place(Part):
    """A network in an order; what is signed of it is in the claim."""

    ssid: Text
    secret: Text


class Order(Message):
    """What card and cable bring to a camera: the claim, and what must not be in a code.

    Attributes:
        claim: As an office signed it.
        key: Private half of the order's key, 32 bytes; gone once the certificate is there.
        wifi: A network whose passphrase is not in the claim.
    """

    MAX_BYTES: ClassVar[int] = MAX_ORDER_BYTES

    claim: Sealed
    key: Annotated[bytes, Field(min_length=32, max_length=32)] | None = None
    wifi: Place | None = None


def key_digest(public_key_info: bytes) -> bytes:
    """Return what proofs and journals call a key: SHA-256 of its DER SubjectPublicKeyInfo."""
    return hashlib.sha256(public_key_info).digest()


def fingerprint(digest: bytes) -> str:
    """Return the first 64 bits of a digest as people read them out: four groups of four hex digits."""
    text = digest.hex()[:16]
    return " ".join(text[i : i + 4] for i in range(0, 16, 4))


def sign_proof(order_key: bytes, digest: bytes) -> bytes:
    """Return the order's word that the key with `digest` is the camera's."""
    return Ed25519PrivateKey.from_private_bytes(order_key).sign(_PROOF_CONTEXT + digest)


def verify_proof(public: bytes, digest: bytes, proof: bytes) -> None:
    """Pass if the order with the `public` key says that the key with `digest` is the camera's.

    Raises:
        ClaimSignatureError: It does not.
    """
    _verify(public, proof, _PROOF_CONTEXT + digest, "the proof is not of this claim's work order")


def sign_confirmation(order_key: bytes, sealed_claim: bytes, code: str) -> Confirmation:
    """Return the order's word that the camera that shows `code` is meant."""
    said = _CONFIRM_CONTEXT + code.encode("ascii")
    signature = Ed25519PrivateKey.from_private_bytes(order_key).sign(said)
    return Confirmation(claim=sealed_claim, code=code, signature=signature)


def verify_confirmation(public: bytes, confirmation: Confirmation) -> None:
    """Pass if the order with the `public` key says so. Raises ClaimSignatureError."""
    said = _CONFIRM_CONTEXT + confirmation.code.encode("ascii")
    _verify(public, confirmation.signature, said, "the confirmation is not of this claim's work order")


def _verify(public: bytes, signature: bytes, said: bytes, otherwise: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, said)
    except InvalidSignature:
        raise ClaimSignatureError(otherwise) from None
    except ValueError as error:
        raise ClaimFormatError("the claim's order key is no Ed25519 key") from error
