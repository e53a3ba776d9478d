"""Ask the offices: make the request, and check one that came.

In this order: the law, the named segments, the city's own log, and only then a key.
"""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from agent.core.log.leaf import Event, parse_leaf
from agent.core.log.merkle import leaf_hash, verify_inclusion
from agent.core.policy.refusals import first_problem
from agent.core.policy.words import Text
from agent.core.sealing.recipients import Recipient
from agent.core.video import Layer
from agent.errors import ClauseViolationError, DocumentFormatError, FootageError, LogError, SignatureError, UsageError
from provisioning.authority.cross_check import documents_of
from provisioning.authority.vault import Vault
from provisioning.evidence.authority import Authority
from provisioning.evidence.city_log import CityLog, Entry
from provisioning.evidence.order import Custodian
from provisioning.evidence.statement import StatedEntry, StatedSpan, write_moment
from provisioning.footage.catalogue import FoundSegment, find_segments, read_blocks, select
from provisioning.release.lawful import check_request, release_rule
from provisioning.release.letters import Letter, read_letter, write_letter
from provisioning.release.papers import MAX_SEGMENTS, Investigator, NamedSegment, Request, RequestedEpoch, SealedShare
from provisioning.release.shares import SplitEpoch, kept_epochs, read_epoch, sealed_shares

LONGEST_SPAN = timedelta(days=1)  # of one request; longer is asked for day by day, and counted so
_TEXT: TypeAdapter[str] = TypeAdapter(Text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a custodian asks the offices for.

    Attributes:
        case: Its number.
        basis: The legal basis, of those the charter names (JC-8).
        reference: Which one: a warrant's number.
        reason: Why, in writing (JC-12).
        camera_id: Whose sealed layer.
        starts_at: Of the half-open span.
        ends_at: Of the same.
        name: Of who is to see it.
        role: In which recipient role.
        holder: Their slug in that role.
        recipient: What it is sealed to.
    """

    case: str
    basis: str
    reference: str
    reason: str
    camera_id: str
    starts_at: datetime
    ends_at: datetime
    name: str
    role: str
    holder: str
    recipient: Recipient


@dataclass(frozen=True, slots=True, kw_only=True)
class Clerk:
    """The custodian at work, with what their machine has.

    Attributes:
        authority: The city.
        custodian: Who, and how their key is reached.
        city_log: Where everything is told first.
        vault_folder: Where the shares are.
        vault: Opens the vault, where what shares travel to is kept.
    """

    authority: Authority
    custodian: Custodian
    city_log: CityLog
    vault_folder: Path
    vault: Callable[[], Vault]


def ask(wish: Wish, clerk: Clerk, *, place: Path, now: datetime) -> tuple[Request, bytes]:
    """Return a request and its letter; the city's log then holds it, refused or not.

    Args:
        wish: What is asked.
        clerk: Who asks.
        place: Where the sealed segments are.
        now: Current UTC time, to the second.

    Raises:
        ClauseViolationError: The law does not allow it.
        FootageError: No segment of the span is there.
        StorageError: The day's key was destroyed, or something cannot be read or written.
    """
    _check_words(wish)
    clerk.authority.exporting_key(clerk.custodian.card.key.keyid, now)
    investigator = Investigator(name=wish.name, role=wish.role, holder=wish.holder, recipient=str(wish.recipient))
    facts = {
        "basis": wish.basis,
        "camera": wish.camera_id,
        "case": wish.case,
        "ends_at": write_moment(wish.ends_at),
        "investigator": f"{wish.name} as {wish.role}",
        "keyid": clerk.custodian.card.key.keyid,
        "office": clerk.custodian.card.office,
        "reason": wish.reason,
        "recipient_sha256": sha256(str(wish.recipient).encode()).hexdigest(),
        "reference": wish.reference,
        "starts_at": write_moment(wish.starts_at),
    }
    try:
        check_request(
            clerk.authority.charter,
            documents_of(clerk.authority.city.documents).values(),
            camera_id=wish.camera_id,
            basis=wish.basis,
            investigator=investigator,
            now=now,
        )
    except ClauseViolationError as error:
        clerk.city_log.append("release-against-law", now, clause=error.clause, **facts)
        raise
    segments = tuple(map(_named, _segments(place, wish)))
    epochs = _epochs(clerk.vault_folder, segments)
    entry = clerk.city_log.append("release-requested", now, segments=len(segments), **facts)
    request = Request(
        id=f"q-{entry.index}",
        made_at=now,
        city=clerk.authority.root,
        case=wish.case,
        basis=wish.basis,
        reference=wish.reference,
        reason=wish.reason,
        camera=wish.camera_id,
        span=StatedSpan(starts_at=wish.starts_at, ends_at=wish.ends_at),
        investigator=investigator,
        opener=str(clerk.vault().opener(f"q-{entry.index}").recipient),
        segments=segments,
        epochs=epochs,
        entry=stated(entry),
    )
    return request, write_letter("release-request", request, clerk.custodian.unlock().signer)


def read_request(raw: bytes, authority: Authority) -> Letter[Request]:
    """Return the request in `raw`, as whoever may ask for it signed it, with its entry in the city's log.

    Raises:
        DocumentFormatError: It is none, or is not what its entry in the log says.
        SignatureError: It is of another city, or nobody who may ask signed it.
        LogError: Its entry is not in the log it names.
    """
    letter = read_letter(raw, "release-request", Request, authority)
    says = letter.says
    if says.city != authority.root:
        raise SignatureError("the request is of another city than this one")
    authority.exporting_key(letter.keyid, says.made_at)
    event = check_entry(says.entry, "release-requested")
    expected = {
        "basis": says.basis,
        "camera": says.camera,
        "case": says.case,
        "ends_at": write_moment(says.span.ends_at),
        "reason": says.reason,
        "recipient_sha256": sha256(says.investigator.recipient.encode()).hexdigest(),
        "reference": says.reference,
        "starts_at": write_moment(says.span.starts_at),
        "segments": len(says.segments),
    }
    if says.id != f"q-{says.entry.index}" or any(event.facts.get(name) != fact for name, fact in expected.items()):
        raise DocumentFormatError("the request is not the one that the city's log tells of")
    release_rule(authority.charter)
    return letter


def check_entry(entry: StatedEntry, kind: str) -> Event:
    """Return the entry of the city's log, if it is in the log it names.

    Raises:
        LogError: It is not, or is of another kind.
    """
    leaf = entry.leaf.encode()
    verify_inclusion(
        index=entry.index,
        size=entry.size,
        leaf=leaf_hash(leaf),
        proof=[bytes.fromhex(each) for each in entry.proof],
        root=bytes.fromhex(entry.root),
    )
    event = parse_leaf(leaf)
    if event.kind != kind or event.number != entry.index:
        raise LogError(f"entry {entry.index} of the city's log is {event.kind}, expected {kind}")
    return event


def stated(entry: Entry) -> StatedEntry:
    """Return an entry as letters carry it."""
    return StatedEntry(
        leaf=entry.leaf.decode(),
        index=entry.index,
        size=entry.size,
        root=entry.root.hex(),
        proof=tuple(each.hex() for each in entry.proof),
    )


def digest_of_segment(segment: FoundSegment) -> str:
    """Return the SHA-256, in hex, of a segment's sealed file."""
    hashed = sha256()
    for block in read_blocks(segment):
        hashed.update(block)
    return hashed.hexdigest()


def _check_words(wish: Wish) -> None:
    for name in ("case", "reference", "reason", "name"):
        words = getattr(wish, name)
        try:
            _TEXT.validate_python(words)
        except ValidationError as error:
            raise UsageError(f"{name} {words!r:.80} will not do: {first_problem(error)}") from error
    if wish.starts_at >= wish.ends_at:
        raise UsageError(f"the span ends at {wish.ends_at}, which is not after {wish.starts_at}")
    if wish.ends_at - wish.starts_at > LONGEST_SPAN:
        raise UsageError("the span is longer than a day", hint="ask for each day: each is then counted (JC-8)")


def _segments(place: Path, wish: Wish) -> tuple[FoundSegment, ...]:
    """Return the segments of the sealed layer that can hold a moment of the span, and as few others as can be told.

    A segment's name has its start only, and nobody here can open it to see its end: it ended when the
    camera's next one began, or after the longest that any lasts.
    """
    catalogue = find_segments(place)
    found = select(
        catalogue, camera_id=wish.camera_id, layer=Layer.SEALED, start_at=wish.starts_at, end_at=wish.ends_at
    )
    starts = sorted({one.name.started_at for one in catalogue.segments if one.name.camera_id == wish.camera_id})
    following = dict(pairwise(starts))
    whole = tuple(
        one
        for one in found
        if not one.name.running and following.get(one.name.started_at, wish.ends_at) > wish.starts_at
    )
    if not whole or len(whole) > MAX_SEGMENTS:
        raise FootageError(f"{len(whole)} segments of the sealed layer are there, expected 1 to {MAX_SEGMENTS}")
    return whole


def _named(segment: FoundSegment) -> NamedSegment:
    return NamedSegment(
        file=segment.name.file,
        starts_at=segment.name.started_at,
        size_bytes=segment.size_bytes,
        sha256=digest_of_segment(segment),
    )


def _epochs(vault_folder: Path, segments: Iterable[NamedSegment]) -> tuple[RequestedEpoch, ...]:
    """Return the epochs of the segments' days: a segment is sealed to the day it began on."""
    days = {segment.starts_at.date() for segment in segments}
    kept = sorted(key for key in kept_epochs(vault_folder) if key.day in days)
    if missing := days - {key.day for key in kept}:
        raise FootageError(
            f"the key of the sealed layer of {min(missing)} is not here",
            hint="it was destroyed when retention ended, or is in another custodian's vault",
        )
    return tuple(_requested(vault_folder, read_epoch(vault_folder, key)) for key in kept)


def _requested(vault_folder: Path, epoch: SplitEpoch) -> RequestedEpoch:
    return RequestedEpoch(
        epoch=epoch,
        shares=tuple(
            SealedShare(office=office, sealed=base64.b64encode(sealed).decode())
            for office, sealed in sealed_shares(vault_folder, epoch).items()
        ),
    )
