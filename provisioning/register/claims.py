"""What a register claims beside what officials signed, as one signed value: `register.json` and `register.sig`.

Permissions are in the officials' documents. What is not there (when the register was made, what cameras'
logs add up to, how often footage was handed over, the digest of each file) is claimed here, signed by the
key with which the backend vouches daily for the city's newest policy; from the city's root anybody knows that
key. Whoever holds the logs can add up again what is claimed of them.

Signed are the bytes of the file, in DSSE's pre-authentication encoding, because the key signs TUF metadata too. Pure.
"""

import binascii
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, ValidationError
from securesystemslib.signer import Key, Signer

from agent.core.counting import Total
from agent.core.policy.refusals import first_problem
from agent.core.policy.words import Day, Instant, Sha256, Slug, Strict, Text, VersionOne
from agent.errors import RegisterError
from provisioning.authority.extract import Place, Precision
from provisioning.register.account import CameraAccount, CountedDay

PAYLOAD_TYPE: Literal["application/vnd.lamppost.register+json"] = "application/vnd.lamppost.register+json"
REGISTER, SIGNATURE = "register.json", "register.sig"

Number = Annotated[int, Field(ge=0)]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SECOND = timedelta(seconds=1)


class ClaimedPlace(Strict):
    """Where the site of one grant is, as exactly as this register tells."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    precision_m: Annotated[int, Field(ge=1, le=10_000)]
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]

    def place(self) -> Place:
        """Return it as the extract commits to it."""
        return Place(**self.model_dump())


class ClaimedDay(Strict):
    """How long a camera recorded on one day (UTC)."""

    day: Day
    recorded_s: Number


class ClaimedCount(Strict):
    """What passed or stood at one place on one day; see `CountedDay`."""

    place: Text
    what: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
    day: Day
    at_least: Number
    suppressed: Number
    told: Number


class ClaimedAccount(Strict):
    """What a camera did in a span of time, whole seconds; see `CameraAccount`."""

    since: Instant
    until: Instant
    leaves: Number
    starts: Number
    ran_s: Number
    recorded_s: Number
    days: tuple[ClaimedDay, ...]
    segments: Number
    truncated: Number
    frames_stored: Number
    frames_failed_closed: Number
    policies_refused: Number
    counted: tuple[ClaimedCount, ...]

    @property
    def uptime_ratio(self) -> float:
        """For which part of the span it ran, 0 to 1."""
        return min(1.0, self.ran_s / max(1, (self.until - self.since) // SECOND))


class Attestation(Strict):
    """What a camera's log says of itself, and a witness of the log.

    Attributes:
        log_key: The log's verifier key.
        checkpoint: The signed note: how many leaves, which root; the camera's signature and the witnesses'.
        witnesses: Verifier keys of those whose cosignature it carries.
        last_at: When the last leaf that the checkpoint covers was written, by the camera's clock.
        last_kind: What it is about.
        leaf: The leaf itself; None where it could tell who did something.
        leaf_hash: Its hash in the tree.
        proof: What leads from it to the root, hashes from the leaf upwards.
    """

    log_key: Text
    checkpoint: str
    witnesses: tuple[Text, ...]
    last_at: Instant
    last_kind: Slug
    leaf: str | None
    leaf_hash: _Hash
    proof: tuple[_Hash, ...]


class ClaimedCamera(Strict):
    """What is claimed of one camera.

    Attributes:
        camera: Its id.
        label_key: Fingerprint of the key that it was enrolled with, as its label shows it; None if not known here.
        account: What its log adds up to; None if no log of it has arrived.
        attestation: What its log says of itself; None if it cannot be shown whole.
        exports: How often footage of it was handed over, by row of the table of sharing, since ever.
        exports_refused: How often the law refused that.
        opened: How often the sealed layer of it was opened for a case.
    """

    camera: Slug
    label_key: Text | None
    account: ClaimedAccount | None
    attestation: Attestation | None
    exports: dict[Slug, Number]
    exports_refused: Number
    opened: Number


class CityLogState(Strict):
    """How the city's own log stood; whoever acts on it signs a root that contains this one."""

    entries: Number
    root: _Hash


class Claims(Strict):
    """Everything that a register claims.

    Attributes:
        city: The city's name.
        root: SHA-256 of what the city's first root says: the city's name for machines.
        made_at: When it was made; what holds "now" in it, holds then.
        precision: How exactly places are told.
        address: Where it is published, with a slash at the end; None if it was not said.
        software: Version of the program that made it.
        snapshots: Versions of the city's snapshot that its history is made of, rising; the last is in force.
        places: Where sites are, by the path of each grant.
        cameras: Each camera's part, by id.
        city_log: The city's own log; None if it was not at hand, and with it exports and releases.
    """

    kind: Literal["lamppost-register"]
    version: VersionOne
    city: Text
    root: _Hash
    made_at: Instant
    precision: Precision
    address: Text | None
    software: Text
    snapshots: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    places: dict[str, ClaimedPlace]
    cameras: tuple[ClaimedCamera, ...]
    city_log: CityLogState | None


class SignedRegister(Strict):
    """What `register.json` holds: the claims, and the digest of every other file."""

    claims: Claims
    files: dict[str, Sha256]


class RegisterSignature(Strict):
    """Who signed the bytes of `register.json`."""

    payload_type: Literal["application/vnd.lamppost.register+json"]
    keyid: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


def claim(account: CameraAccount) -> ClaimedAccount:
    """Return an account in whole seconds, its counting places under numbers: names may tell more than was meant."""
    places = {place: f"place {n}" for n, place in enumerate(dict.fromkeys(one.place for one in account.counted), 1)}
    return ClaimedAccount(
        since=account.since,
        until=account.until,
        leaves=account.leaves,
        starts=account.starts,
        ran_s=account.ran // SECOND,
        recorded_s=account.recorded // SECOND,
        days=tuple(ClaimedDay(day=day, recorded_s=lasts // SECOND) for day, lasts in account.recorded_by_day.items()),
        segments=account.segments,
        truncated=account.truncated,
        frames_stored=account.frames_stored,
        frames_failed_closed=account.frames_failed_closed,
        policies_refused=account.policies_refused,
        counted=tuple(_count(one, places[one.place]) for one in account.counted),
    )


def counted_days(account: ClaimedAccount) -> tuple[CountedDay, ...]:
    """Return the counts of a claimed account as values to add up."""
    return tuple(
        CountedDay(
            place=one.place,
            what=one.what,
            day=one.day,
            total=Total(at_least=one.at_least, suppressed=one.suppressed),
            told=one.told,
        )
        for one in account.counted
    )


def sign(register: SignedRegister, signer: Signer) -> tuple[bytes, bytes]:
    """Return the content of `register.json` and of `register.sig`."""
    raw = register.model_dump_json(indent=1).encode() + b"\n"
    signed = signer.sign(_pre_authenticated(raw))
    signature = RegisterSignature(payload_type=PAYLOAD_TYPE, keyid=signed.keyid, signature=signed.signature)
    return raw, signature.model_dump_json(indent=1).encode() + b"\n"


def open_register(raw: bytes, signature: bytes, keys: dict[str, Key]) -> SignedRegister:
    """Return what a register claims, after its signature was verified.

    Args:
        raw: `register.json`.
        signature: `register.sig`.
        keys: Those that may sign it, by id: the city's timestamp keys.

    Raises:
        RegisterError: It is not signed by one of them, or is no register.
    """
    try:
        stated = RegisterSignature.model_validate_json(signature)
    except ValidationError as error:
        raise RegisterError(f"{SIGNATURE} is no signature: {first_problem(error)}") from error
    key = keys.get(stated.keyid)
    if key is None:
        raise RegisterError(f"{REGISTER} is signed by a key that does not vouch for this city")
    try:
        verifier = Ed25519PublicKey.from_public_bytes(binascii.unhexlify(str(key.keyval.get("public"))))
        verifier.verify(binascii.unhexlify(stated.signature), _pre_authenticated(raw))
    except (InvalidSignature, ValueError) as error:
        raise RegisterError(f"{REGISTER} is not what the city signed") from error
    try:
        return SignedRegister.model_validate_json(raw)
    except ValidationError as error:
        raise RegisterError(f"{REGISTER}: {first_problem(error)}") from error


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file, in hex."""
    return sha256(content).hexdigest()


def _count(one: CountedDay, place: str) -> ClaimedCount:
    return ClaimedCount(
        place=place,
        what=one.what,
        day=one.day,
        at_least=one.total.at_least,
        suppressed=one.total.suppressed,
        told=one.told,
    )


def _pre_authenticated(raw: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(raw), raw)
