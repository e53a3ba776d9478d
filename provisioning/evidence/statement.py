"""The statement: what a custodian signs about an export, and the signature beside it.

    statement.json   who, why, for whom, by which row of the law, what, and the digest of every other file
    statement.sig    which key signed exactly those bytes, as DSSE pre-authenticates them

Pure.
"""

import binascii
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationError
from securesystemslib.signer import Key, Signer

from agent.core.policy.refusals import first_problem
from agent.core.policy.words import Clause, Instant, Sha256, Slug, Strict, Text, VersionOne
from agent.errors import EvidenceAlteredError, EvidenceError

PAYLOAD_TYPE: Literal["application/vnd.lamppost.evidence+json"] = "application/vnd.lamppost.evidence+json"
MAX_STATEMENT_BYTES = 32 * 1024 * 1024  # a day of segments is 8,640, of which each takes 700 bytes here
MAX_SIGNATURE_BYTES = 8 * 1024
_KEYID = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

# --- times to the microsecond -------------------------------------------------

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def _read_moment(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not _MOMENT.fullmatch(value):
        raise ValueError("expected a moment such as 2026-11-28T12:00:00.000000Z")
    return datetime.fromisoformat(value)


def _in_utc(at: datetime) -> datetime:
    if at.utcoffset() != timedelta(0):
        raise ValueError("expected a moment in UTC")
    return at.astimezone(UTC)


def write_moment(at: datetime) -> str:
    """Return `at` as statements spell it."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


Moment = Annotated[
    datetime, BeforeValidator(_read_moment), AfterValidator(_in_utc), PlainSerializer(write_moment, when_used="json")
]

# --- parts --------------------------------------------------------------------

_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,2}", re.ASCII)


def _relative(path: str) -> str:
    if not _PATH.fullmatch(path):  # no leading dot in any part: nothing hidden, and no way up
        raise ValueError("expected a path below the folder")
    return path


RelativePath = Annotated[str, Field(max_length=300), AfterValidator(_relative)]


class StatedFile(Strict):
    """One file of the folder."""

    path: RelativePath
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


class StatedSegment(Strict):
    """One sealed segment, as the camera wrote it.

    Attributes:
        path: Where its sealed bytes lie.
        header: Where the same header lies, its file key wrapped for the receiving party.
        leaf: Index of its leaf in the camera's log.
        sequence: The how-manieth segment of the camera.
        starts_at: Capture time of its first frame.
        ends_at: End of its last.
        frames: How many frames it holds.
        failed_closed: How many of those are hidden whole.
        decision: Digest of the decision it was recorded under; empty if a crash took the camera's account of it.
        documents: Ids of the documents which that follows from.
        truncated: Whether an error, a crash or a power cut ended it.
    """

    path: RelativePath
    header: RelativePath
    leaf: Annotated[int, Field(ge=0)]
    sequence: Annotated[int, Field(ge=0)]
    starts_at: Moment
    ends_at: Moment
    frames: Annotated[int, Field(ge=0)]
    failed_closed: Annotated[int, Field(ge=0)]
    decision: str
    documents: tuple[Slug, ...]
    truncated: bool


class StatedAbsence(Strict):
    """A segment that the camera logged and that is not here."""

    leaf: Annotated[int, Field(ge=0)]
    sequence: Annotated[int, Field(ge=0)]
    starts_at: Moment
    ends_at: Moment
    why: Text


class StatedGap(Strict):
    """A half-open stretch of the span without footage."""

    starts_at: Moment
    ends_at: Moment
    why: Text


class StatedHidden(Strict):
    """A half-open stretch in which the camera hid every picture whole, and why.

    Attributes:
        ends_at: None where the leaves do not show the end.
    """

    starts_at: Moment
    ends_at: Moment | None
    why: Text


class By(Strict):
    """Who exported."""

    office: Slug
    name: Text
    keyid: _KEYID


class StatedCity(Strict):
    """Whose law it was: the city by its first root, the charter by its digest."""

    name: Text
    root: Sha256
    charter_revision: Annotated[int, Field(ge=1)]
    charter_sha256: Sha256


class Party(Strict):
    """Who receives the export (JC-1)."""

    name: Text
    recipient: Text


class StatedSharing(Strict):
    """The row of the table of sharing that allows it, and what it asks."""

    row: Slug
    clause: Clause
    shared_with: Text
    condition: Text
    basis: Slug
    reference: Text
    grants: Annotated[tuple[Slug, ...], Field(min_length=1)]


class Terms(Strict):
    """What the party may do with it, and until when (JC-1)."""

    text: Text
    expires_at: Instant


class StatedSpan(Strict):
    """A half-open span."""

    starts_at: Moment
    ends_at: Moment


class StatedLog(Strict):
    """The camera's log as it was when the export was made.

    Attributes:
        key: Of the log, as C2SP signed-note spells it.
        size: Leaves of the checkpoint in `log/checkpoint`.
        first_leaf: Index of the first leaf in `log/leaves.json`.
        last_leaf: Index of the last; all in between are there.
        witnesses: Keys of the witnesses whose cosignature counts.
        witnessed_leaves: How many leaves a witness has seen; 0 if none did.
    """

    key: str
    size: Annotated[int, Field(ge=1)]
    first_leaf: Annotated[int, Field(ge=0)]
    last_leaf: Annotated[int, Field(ge=0)]
    witnesses: tuple[str, ...]
    witnessed_leaves: Annotated[int, Field(ge=0)]


class StatedEntry(Strict):
    """The entry in the city's own log that was written before any key was used.

    Attributes:
        leaf: Its bytes.
        index: Of it.
        size: Leaves of the city's log with it.
        root: Of the same, in hex.
        proof: From the leaf upwards, in hex.
    """

    leaf: str
    index: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=1)]
    root: Sha256
    proof: tuple[Sha256, ...]


class StatedFootage(Strict):
    """The joined MP4, before it was sealed to the party.

    Attributes:
        path: Where it lies, sealed.
        clear_sha256: Of its clear bytes.
        pictures_sha256: Over the digests of its coded pictures, one after the other: the same in the segments.
        frames: How many frames it holds.
        starts_at: Capture time of the first frame.
        ends_at: End of the last.
    """

    path: RelativePath
    clear_sha256: Sha256
    pictures_sha256: Sha256
    frames: Annotated[int, Field(ge=1)]
    starts_at: Moment
    ends_at: Moment


class Statement(Strict):
    """All that a custodian states about one export."""

    kind: Literal["lamppost-evidence"]
    version: VersionOne
    case: Text
    reason: Text
    exported_at: Instant
    by: By
    city: StatedCity
    party: Party
    sharing: StatedSharing
    terms: Terms
    camera: Slug
    layer: Literal["masked"]
    span: StatedSpan
    entry: StatedEntry
    log: StatedLog
    footage: StatedFootage
    segments: Annotated[tuple[StatedSegment, ...], Field(min_length=1)]
    absent: tuple[StatedAbsence, ...]
    gaps: tuple[StatedGap, ...]
    hidden: tuple[StatedHidden, ...]
    verified: tuple[Text, ...]
    files: Annotated[tuple[StatedFile, ...], Field(min_length=1)]


class StatementSignature(Strict):
    """Who signed the bytes of `statement.json`."""

    payload_type: Literal["application/vnd.lamppost.evidence+json"]
    keyid: _KEYID
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


# --- bytes --------------------------------------------------------------------


def dump_statement(statement: Statement) -> bytes:
    """Return `statement` as people can read it; what is signed is these very bytes."""
    return statement.model_dump_json(indent=2).encode() + b"\n"


def parse_statement(raw: bytes) -> Statement:
    """Return the statement in `raw`; whether its signature is good is asked separately.

    Raises:
        EvidenceAlteredError: It is none.
    """
    try:
        return Statement.model_validate_json(raw)
    except ValidationError as error:
        raise EvidenceAlteredError(f"the statement is none: {first_problem(error)}") from error


def sign_statement(raw: bytes, signer: Signer) -> bytes:
    """Return the content of `statement.sig` for the bytes of a statement."""
    signed = signer.sign(_pre_authenticated(raw))
    signature = StatementSignature(payload_type=PAYLOAD_TYPE, keyid=signed.keyid, signature=signed.signature)
    return signature.model_dump_json(indent=2).encode() + b"\n"


def parse_signature(raw: bytes) -> StatementSignature:
    """Return the signature in `raw`.

    Raises:
        EvidenceAlteredError: It is none.
    """
    try:
        return StatementSignature.model_validate_json(raw)
    except ValidationError as error:
        raise EvidenceAlteredError(f"the statement's signature is none: {first_problem(error)}") from error


def verify_statement(raw: bytes, signature: StatementSignature, key: Key) -> None:
    """Return if `key` signed the bytes of the statement.

    Raises:
        EvidenceAlteredError: It signed other bytes.
        EvidenceError: The key is of a kind that signs no statements.
    """
    public = key.keyval.get("public")
    try:
        verifier = Ed25519PublicKey.from_public_bytes(binascii.unhexlify(str(public)))
    except ValueError as error:
        raise EvidenceError(f"the key {key.keyid[:16]} is of another kind, expected Ed25519") from error
    try:
        verifier.verify(binascii.unhexlify(signature.signature), _pre_authenticated(raw))
    except InvalidSignature as error:
        raise EvidenceAlteredError("the statement is not what its key signed") from error


def _pre_authenticated(raw: bytes) -> bytes:
    """Return what is signed, in DSSE's pre-authentication encoding: the key signs TUF metadata too."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(raw), raw)
