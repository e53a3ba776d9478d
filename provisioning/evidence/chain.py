"""From a leaf to the camera's signature, and from there to the witness: what the log shows of a span.

The leaves of an export are a run without holes: from the last segment that ended before the
span, or the log's first leaf, to the first that began after it, or the log's last. So nobody
can leave a segment out, at either end neither, without the run showing it.

Pure. Findings are returned, not raised: whoever reads them should learn all that is wrong.
"""

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from agent.core.log.checkpoint import Checkpoint, log_key, open_checkpoint, witnessed_at
from agent.core.log.leaf import Event, parse_leaf
from agent.core.log.merkle import leaf_hash, verify_consistency, verify_inclusion
from agent.core.log.note import VerifierKey, parse_note, parse_verifier_key
from agent.core.policy.refusals import first_problem
from agent.core.policy.strict_json import HIDDEN_CATEGORIES
from agent.core.policy.words import MAX_TEXT_CHARACTERS, Sha256, Strict, VersionOne
from agent.core.retention import LONGEST_SEGMENT
from agent.errors import (
    CheckpointFormatError,
    CheckpointSignatureError,
    EvidenceAlteredError,
    EvidenceError,
    EvidenceGapError,
    EvidenceReorderedError,
    ForkedEvidenceError,
    LamppostError,
    LeafFormatError,
    NotWitnessedError,
    OtherCameraError,
    OtherSignerError,
    ProofError,
    RewoundEvidenceError,
)
from provisioning.evidence.statement import StatedLog, Statement
from provisioning.evidence.stored import Stored, stored_of

MAX_PROOFS_BYTES = 128 * 1024 * 1024
_SPACES = re.compile(r"[\t\n\r ]+")
_UNHIDING = frozenset({"mask-recovered", "mask-failed-closed", "started", "stopped"})  # a restart begins anew
_STARTS_AT = re.compile(rb'"starts_at":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})')
GAP = timedelta(seconds=1)  # as provisioning.footage.joining counts one

# --- the file -----------------------------------------------------------------


class ProvenLeaf(Strict):
    """A leaf and what leads from it to the checkpoint's root, hashes in hex."""

    index: Annotated[int, Field(ge=0)]
    leaf: str
    proof: tuple[Sha256, ...]


class LogProofs(Strict):
    """`log/leaves.json`: the run of leaves, and what leads from the witnessed tree to the checkpoint's."""

    kind: Literal["lamppost-evidence-leaves"]
    version: VersionOne
    consistency: tuple[Sha256, ...]
    leaves: Annotated[tuple[ProvenLeaf, ...], Field(min_length=1)]


def dump_proofs(proofs: LogProofs) -> bytes:
    """Return `proofs` as a file, a leaf a line."""
    leaves = ",\n".join(leaf.model_dump_json() for leaf in proofs.leaves)
    consistency = ",".join(f'"{each}"' for each in proofs.consistency)
    return (
        f'{{"kind":"{proofs.kind}","version":{proofs.version},"consistency":[{consistency}],"leaves":[\n{leaves}\n]}}\n'
    ).encode()


def parse_proofs(raw: bytes) -> LogProofs:
    """Return the proofs in `raw`; nothing in them is verified yet.

    Raises:
        EvidenceAlteredError: They are none.
    """
    try:
        return LogProofs.model_validate_json(raw)
    except ValidationError as error:
        raise EvidenceAlteredError(f"the leaves are none: {first_problem(error)}") from error


# --- what to take -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Which leaves show a span.

    Attributes:
        first: Index of the first leaf to take.
        last: Index of the last.
        inside: The segments that hold a moment of the span, in the order of the log.
        removals: What the whole log tells of segments that the camera removed.
    """

    first: int
    last: int
    inside: tuple[Stored, ...]
    removals: tuple[Event, ...] = ()

    def removal_of(self, stored: Stored) -> Event | None:
        """Return what the log tells of the removal of a segment, if anything."""
        return next((event for event in self.removals if _removed(event, stored)), None)


def _removed(event: Event, stored: Stored) -> bool:
    first, last = event.facts.get("first_sequence"), event.facts.get("last_sequence")
    return (
        isinstance(first, int)
        and isinstance(last, int)
        and event.number > stored.index
        and first <= stored.sequence <= last
    )


def choose_run(
    leaves: Iterable[tuple[int, bytes]], *, starts_at: datetime, ends_at: datetime, layer: str, size: int
) -> Run:
    """Return which of a log's leaves show the half-open span.

    Args:
        leaves: All leaves there are, with their indices.
        starts_at: Of the span.
        ends_at: Of the span.
        layer: Whose segments.
        size: How many leaves the log has.

    Raises:
        EvidenceError: The log tells of no segment of the span.
        LeafFormatError: A leaf is none.
    """
    inside: list[Stored] = []
    removals: list[Event] = []
    before, after = 0, None
    layer_field = f'"layer":"{layer}"'.encode()
    earliest, latest = _second(starts_at - LONGEST_SEGMENT), _second(ends_at)
    for index, leaf in leaves:
        if b'"removal"' in leaf or b'"erasure-done"' in leaf:
            removals.append(parse_leaf(leaf))
        # A log of ninety days has a million segments, so only those near the span are parsed. Inside a text, a
        # quotation mark is escaped: a field that is found is one.
        found = _STARTS_AT.search(leaf) if layer_field in leaf and b'"kind":"segment-' in leaf else None
        if found is None:
            continue
        stored = stored_of(parse_leaf(leaf)) if earliest <= found[1] <= latest else None
        if stored is not None and stored.overlaps(starts_at, ends_at):
            inside.append(stored)
            after = None
        elif not inside and (found[1] < earliest or (stored is not None and stored.ends_at <= starts_at)):
            before = index
        elif inside and after is None and (found[1] > latest or (stored is not None and stored.starts_at >= ends_at)):
            after = index
    if not inside:
        raise EvidenceError(
            "the camera's log tells of no segment of that span", hint="is it the log of this camera, and new enough?"
        )
    return Run(first=before, last=size - 1 if after is None else after, inside=tuple(inside), removals=tuple(removals))


def _second(at: datetime) -> bytes:
    return at.astimezone(UTC).isoformat(timespec="seconds")[:19].encode()


def gaps(
    spans: Iterable[tuple[datetime, datetime]], *, starts_at: datetime, ends_at: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the stretches of at least a second of the half-open span that none of `spans` covers, in order."""
    covered_to = starts_at
    for starts, ends in sorted(spans):
        if min(starts, ends_at) - covered_to >= GAP:
            yield covered_to, min(starts, ends_at)
        covered_to = max(covered_to, ends)
    if ends_at - covered_to >= GAP:
        yield covered_to, ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A half-open stretch in which the masker vouched for nothing; `ends_at` is None where no leaf tells it."""

    starts_at: datetime
    ends_at: datetime | None
    why: str


def hidden_spans(events: Iterable[Event], *, starts_at: datetime, ends_at: datetime) -> Iterator[Hidden]:
    """Yield the stretches of the half-open span in which every picture was hidden whole, as the leaves tell them.

    Args:
        events: A run of leaves, in order.
        starts_at: Of the span.
        ends_at: Of the span.
    """
    since: Event | None = None
    for event in events:
        if since is not None and event.kind in _UNHIDING:
            if event.at > starts_at and since.at < ends_at:
                yield Hidden(starts_at=since.at, ends_at=event.at, why=_reason(since))
            since = None
        if event.kind == "mask-failed-closed":
            since = event
    if since is not None and since.at < ends_at:
        yield Hidden(starts_at=since.at, ends_at=None, why=_reason(since))


def _reason(event: Event) -> str:
    """Return why, as a statement can carry it: on one line, every character shown as itself."""
    words = _SPACES.sub(" ", str(event.facts.get("reason", ""))).strip(" ")
    shown = "".join("?" if unicodedata.category(each) in HIDDEN_CATEGORIES else each for each in words)
    return shown[:MAX_TEXT_CHARACTERS].rstrip(" ") or "the camera's log does not say"


# --- what holds ---------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Chain:
    """What the log showed.

    Attributes:
        events: The leaves that are proven to be in the camera's log, in order.
        stored: Those of them that tell of a segment.
        witnessed_leaves: How many leaves of the log a witness has seen.
        witnessed_at: When as many as are needed had seen it, at the latest; None if they have not.
        seen_by: Which witnesses that count have seen it, and when, in the order of their times.
        findings: What does not hold.
    """

    events: list[Event] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    witnessed_leaves: int = 0
    witnessed_at: datetime | None = None
    seen_by: tuple[tuple[str, datetime], ...] = ()
    findings: list[LamppostError] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Whose cosignature counts, and of how many one is asked for.

    A city's backend is a witness, and who runs the backend could run it so that it sees what they like. A second one,
    run by somebody else, takes that from them; whoever wants both says that two are needed.

    Attributes:
        keys: Of the witnesses that count.
        needed: How many of them; at least 1.
    """

    keys: tuple[VerifierKey, ...]
    needed: int = 1

    def __post_init__(self) -> None:
        if self.needed < 1:
            raise ValueError(f"{self.needed} witnesses needed, expected at least 1")

    def that_saw(self, note: bytes) -> tuple[tuple[str, datetime], ...]:
        """Return which of them cosigned `note`, and when, in the order of their times.

        Raises:
            CheckpointFormatError: It is no note.
        """
        found: dict[bytes, tuple[str, datetime]] = {}
        for key in self.keys:
            with contextlib.suppress(CheckpointSignatureError):  # another one's may still be good
                # By the public key: whoever has two names is one witness.
                found.setdefault(key.public, (key.name, witnessed_at(note, key)))
        return tuple(sorted(found.values(), key=lambda one: (one[1], one[0])))


def merge_cosignatures(notes: Sequence[bytes]) -> bytes:
    """Return one note with the signatures of all, which must be of one checkpoint.

    Raises:
        CheckpointFormatError: One is no note.
        EvidenceError: They are of different checkpoints.
    """
    merged = parse_note(notes[0])
    for other in map(parse_note, notes[1:]):
        if other.text != merged.text:
            raise EvidenceError(
                "the witnesses saw different checkpoints of the log", hint="have both cosign the same one, the newest"
            )
        for signature in other.signatures:
            merged = merged.with_signature(signature)
    return merged.to_bytes()


def follow(
    statement: Statement, note: bytes, witnessed: bytes | None, proofs: LogProofs, witnesses: Witnesses
) -> Chain:
    """Return what a camera's log shows.

    Args:
        statement: Whose signature was verified.
        note: The camera's checkpoint.
        witnessed: A checkpoint that a witness cosigned, of this or an earlier size; None if there is none.
        proofs: The leaves.
        witnesses: Whose cosignature counts.
    """
    chain = Chain()
    try:
        key = _key(statement)
        checkpoint = _open(note, key, statement.camera)
    except EvidenceError as error:
        chain.findings.append(error)
        return chain
    if checkpoint.size != statement.log.size:
        chain.findings.append(
            EvidenceAlteredError(
                f"the checkpoint is of {checkpoint.size} leaves, the statement of {statement.log.size}"
            )
        )
    _follow_leaves(chain, checkpoint, proofs, statement.log)
    _check_ends(chain, checkpoint, statement)
    _follow_witness(chain, checkpoint, key, witnessed, proofs, witnesses)
    return chain


def _key(statement: Statement) -> VerifierKey:
    try:
        key = parse_verifier_key(statement.log.key)
    except CheckpointFormatError as error:
        raise EvidenceAlteredError(f"the log's key is none: {error}") from error
    if not key.name.startswith(f"lamppost/{statement.camera}/"):
        raise OtherCameraError(f"the log is {key.name}, the statement is about {statement.camera}")
    if key != log_key(statement.camera, key.public):
        raise OtherSignerError(f"{key.name} is not the name that its key gives a log")
    return key


def _open(note: bytes, key: VerifierKey, camera_id: str) -> Checkpoint:
    try:
        return open_checkpoint(note, key)
    except CheckpointFormatError as error:
        raise EvidenceAlteredError(f"the checkpoint is none: {error}") from error
    except CheckpointSignatureError as error:
        origin = parse_note(note).text.partition("\n")[0]
        if origin == key.name:
            signers = {(each.name, each.key_id) for each in parse_note(note).signatures}
            kind = EvidenceAlteredError if (key.name, key.id) in signers else OtherSignerError
            raise kind(f"the checkpoint is not by the camera's key: {error}") from error
        if origin.startswith(f"lamppost/{camera_id}/"):
            raise OtherSignerError(f"the checkpoint is of {origin}, expected {key.name}") from error
        raise OtherCameraError(f"the checkpoint is of {origin}, expected {key.name}") from error


def _follow_leaves(chain: Chain, checkpoint: Checkpoint, proofs: LogProofs, stated: StatedLog) -> None:
    indices = [each.index for each in proofs.leaves]
    if indices != sorted(indices):
        chain.findings.append(EvidenceReorderedError("the leaves are not in the order of the log"))
    missing = sorted(set(range(stated.first_leaf, stated.last_leaf + 1)) - set(indices))
    if missing:
        chain.findings.append(
            EvidenceGapError(f"{len(missing)} leaves of the log are missing, the first is {missing[0]}")
        )
    for each in sorted(proofs.leaves, key=lambda one: one.index):
        try:
            event = _proven(each, checkpoint)
            stored = stored_of(event)
        except EvidenceReorderedError as error:
            chain.findings.append(error)
        except (LeafFormatError, ProofError) as error:
            chain.findings.append(EvidenceAlteredError(f"leaf {each.index}: {error}"))
        else:
            chain.events.append(event)
            if stored is not None:
                chain.stored.append(stored)


def _proven(each: ProvenLeaf, checkpoint: Checkpoint) -> Event:
    """Return the event of a leaf that is in the tree of the checkpoint, where it says it is."""
    leaf = each.leaf.encode()
    event = parse_leaf(leaf)
    if event.number != each.index:
        raise EvidenceReorderedError(f"leaf {event.number} stands where leaf {each.index} should")
    verify_inclusion(
        index=each.index,
        size=checkpoint.size,
        leaf=leaf_hash(leaf),
        proof=[bytes.fromhex(one) for one in each.proof],
        root=checkpoint.root,
    )
    return event


def _check_ends(chain: Chain, checkpoint: Checkpoint, statement: Statement) -> None:
    """Find whether the run goes far enough at both ends to show that nothing was left out there."""
    if chain.findings:
        return
    first, last = chain.events[0].number, chain.events[-1].number
    of_layer = {stored.index: stored for stored in chain.stored if stored.layer == statement.layer}
    begins, ends = of_layer.get(first), of_layer.get(last)
    if first != 0 and (begins is None or begins.ends_at > statement.span.starts_at):
        chain.findings.append(EvidenceGapError("the leaves do not show what the camera stored just before the span"))
    if last != checkpoint.size - 1 and (ends is None or ends.starts_at < statement.span.ends_at):
        chain.findings.append(EvidenceGapError("the leaves do not show what the camera stored just after the span"))


def _follow_witness(
    chain: Chain,
    checkpoint: Checkpoint,
    key: VerifierKey,
    note: bytes | None,
    proofs: LogProofs,
    witnesses: Witnesses,
) -> None:
    if note is None:
        chain.findings.append(NotWitnessedError("no witness vouches for the camera's log"))
        return
    try:
        seen = open_checkpoint(note, key)
        chain.seen_by = witnesses.that_saw(note)
    except (CheckpointFormatError, CheckpointSignatureError) as error:
        chain.findings.append(NotWitnessedError(f"what should be witnessed is not: {error}"))
        return
    if not chain.seen_by:
        named = ", ".join(each.name for each in witnesses.keys) or "none is named"
        chain.findings.append(NotWitnessedError(f"no witness that counts has seen the camera's log: {named}"))
        return
    at = chain.seen_by[0][1]
    if seen.size > checkpoint.size:
        chain.findings.append(
            RewoundEvidenceError(
                f"the camera's log has {checkpoint.size} leaves, and at {at:%Y-%m-%d %H:%M:%S} UTC"
                f" a witness saw {seen.size}: an earlier state was put back",
                hint="if this is a copy of the log, is it older than what was witnessed? then take a newer one",
            )
        )
        return
    try:
        verify_consistency(
            old=seen.size,
            new=checkpoint.size,
            old_root=seen.root,
            new_root=checkpoint.root,
            proof=[bytes.fromhex(each) for each in proofs.consistency],
        )
    except ProofError as error:
        chain.findings.append(ForkedEvidenceError(f"the log is not the one that was witnessed: {error}"))
        return
    if len(chain.seen_by) < witnesses.needed:
        saw = {name for name, _ in chain.seen_by}
        missing = [each.name for each in witnesses.keys if each.name not in saw]
        chain.findings.append(
            NotWitnessedError(
                f"{len(saw)} of the {witnesses.needed} witnesses that are needed have seen the camera's log; not"
                f" {', '.join(missing) or 'more, for no more are named'}"
            )
        )
        return
    chain.witnessed_leaves, chain.witnessed_at = seen.size, chain.seen_by[witnesses.needed - 1][1]
    unseen = [stored for stored in chain.stored if stored.index >= seen.size]
    if unseen:
        chain.findings.append(
            NotWitnessedError(f"no witness has seen leaf {unseen[0].index} and what follows; it saw {seen.size} leaves")
        )


def in_order(segments: Sequence[int]) -> bool:
    """Tell whether indices rise."""
    return all(one < following for one, following in pairwise(segments))
