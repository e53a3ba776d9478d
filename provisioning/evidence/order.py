"""What an export is asked for, out of what it is made, and by whom."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.core.log.note import VerifierKey
from agent.core.sealing.recipients import Identity, Recipient
from provisioning.authority.keys import KeyCard, OfficialKey
from provisioning.evidence.credentials import Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is exported, why, and for whom.

    Attributes:
        case: Its number.
        reason: Why, in writing.
        camera_id: Whose footage.
        starts_at: Of the half-open span.
        ends_at: Of the same.
        row: Of the table of sharing.
        basis: What the row asks for, such as "subpoena".
        reference: Which one: a court's number, a date.
        party: Who receives it, by name (JC-1).
        recipient: Their age recipient (JC-23).
        terms: What they may do with it.
        expires_at: Until when.
    """

    case: str
    reason: str
    camera_id: str
    starts_at: datetime
    ends_at: datetime
    row: str
    basis: str | None
    reference: str
    party: str
    recipient: Recipient
    terms: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the evidence comes from.

    Attributes:
        place: A card, or a folder with the sealed segments.
        log: The folder with the camera's log.
        log_key: The key that signs it, as it was enrolled.
        witnessed: A checkpoint that a witness cosigned, if there is one.
        witnesses: Whose cosignature counts.
    """

    place: Path
    log: Path
    log_key: VerifierKey
    witnessed: bytes | None
    witnesses: tuple[VerifierKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Custodian:
    """Who exports, and how their keys are reached; neither is touched before the city's log holds the entry.

    Attributes:
        card: Their office and public key.
        unlock: Returns the key that signs.
        identities: Returns what opens the footage.
        credential: Returns what signs content credentials on the video; None goes without.
    """

    card: KeyCard
    unlock: Callable[[], OfficialKey]
    identities: Callable[[], Sequence[Identity]]
    credential: Callable[[], Credential] | None = None
