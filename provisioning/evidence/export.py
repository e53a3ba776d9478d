"""Make the folder for a court: collect, check, open, join, seal, state, sign.

In this order, and none of it before the one above is done:

1. The city's release is fresh, and gives the custodian's key its office. The law allows what is asked, or
   it is refused with the clause (and the refusal is in the city's log).
2. The city's own log holds an entry about it. Whoever aborts now leaves the entry.
3. The camera's log is the one its key signed, and shows the span without holes.
4. Every sealed segment is copied, and the copy is, byte for byte, the one its leaf tells of.
5. The custodian's identity opens them; what opens says it is of that camera and time.
6. The pictures are joined as they are coded, and sealed to the party as they are joined.
7. The custodian signs what was found. Only now the folder gets its name.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from agent.core.log.checkpoint import open_checkpoint
from agent.core.log.leaf import Event, parse_leaf
from agent.core.log.note import VerifierKey
from agent.core.policy.refusals import first_problem
from agent.core.policy.words import Text
from agent.core.sealing.age_file import rewrap
from agent.core.sealing.recipients import Identity, Recipient
from agent.core.video import Layer
from agent.errors import (
    ClauseViolationError,
    EvidenceError,
    MissingExtraError,
    NotWitnessedError,
    StorageError,
    UsageError,
)
from provisioning.authority import files
from provisioning.authority.city import bundle
from provisioning.authority.cross_check import documents_of
from provisioning.authority.keys import KeyCard, OfficialKey
from provisioning.evidence import exhibit as layout
from provisioning.evidence.authority import Authority
from provisioning.evidence.camera_log import CameraLog
from provisioning.evidence.chain import (
    Chain,
    LogProofs,
    ProvenLeaf,
    Run,
    Witnesses,
    choose_run,
    dump_proofs,
    follow,
    gaps,
    hidden_spans,
)
from provisioning.evidence.city_log import CityLog, Entry
from provisioning.evidence.collecting import Collected, collect
from provisioning.evidence.credentials import Credential, attach, require_library
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.paper import printed
from provisioning.evidence.pictures import Still, coded_pictures, first_still
from provisioning.evidence.report import render
from provisioning.evidence.sealing import sealed_file
from provisioning.evidence.sharing import Permission, Wish, permit
from provisioning.evidence.statement import (
    By,
    Party,
    StatedAbsence,
    StatedCity,
    StatedEntry,
    StatedFile,
    StatedFootage,
    StatedGap,
    StatedHidden,
    StatedLog,
    StatedSegment,
    StatedSharing,
    StatedSpan,
    Statement,
    Terms,
    dump_statement,
    sign_statement,
)
from provisioning.evidence.stored import Stored
from provisioning.footage.catalogue import Catalogue, FoundSegment, read_blocks
from provisioning.footage.joining import Joined, Joiner
from provisioning.footage.opening import OpenedSegment, Piece, cut, open_segment
from provisioning.footage.verifying import verdict, verify

MOST_STILLS = 12
_TEXT: TypeAdapter[str] = TypeAdapter(Text)
MAX_WHY_KINDS = 5
MOST_CREDENTIALED_BYTES = 1024 * 1024 * 1024  # held in memory twice
MOST_PROVEN_LEAVES = 2000  # some megabytes in the video, five hours; leaves.json has all
# The kinds of leaves that explain why footage is missing, for who has never read a camera's log.
_IN_WORDS = {
    "boot": "the camera's computer started",
    "camera-opened": "the camera opened",
    "camera-recovered": "the camera gave good pictures again",
    "camera-lost": "there was no camera, or it gave no pictures",
    "camera-stalled": "the camera gave no pictures, or always the same",
    "mask-failed-closed": "whole pictures were hidden",
    "mask-recovered": "pictures were no longer hidden whole",
    "policy-applied": "a new release of the city's documents came into force",
    "policy-refused": "a release was refused",
    "recovered": "what a crash had left was put in order",
    "removal": "footage was removed",
    "erasure-done": "footage was erased",
    "segment-recovered": "a crash or a power cut ended a segment",
    "started": "the recorder started",
    "stopped": "the recorder was stopped",
    "view-without-reference": "there was no approved view to compare the camera's with",
}


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


def export(  # noqa: PLR0913 - what is asked, by whom, out of what, into what, and when
    order: Order,
    *,
    authority: Authority,
    custodian: Custodian,
    city_log: CityLog,
    sources: Sources,
    out: Path,
    now: datetime,
    paper: Callable[[bytes], bytes] | None = printed,
    say: Callable[[str], None] = lambda _: None,
) -> Statement:
    """Make the folder `out` and return what was stated in it.

    Args:
        order: What is asked for.
        authority: The city's release.
        custodian: Who exports.
        city_log: The city's own log.
        sources: Where the evidence comes from.
        out: The folder to make.
        now: Current UTC time.
        paper: Makes a PDF of a report; None makes none.
        say: Told, a line each, what the export goes without.

    Raises:
        ClauseViolationError: The law does not allow it.
        EvidenceError: What is there does not hold together.
        LamppostError: Something cannot be read, opened or written; `out` is not there then.
    """
    _check_words(order)
    if os.path.lexists(out):
        raise UsageError(f"{out} is there already", hint="an export is never overwritten; choose another name")
    authority.exporting_key(custodian.card.key.keyid, now)
    permission = _permit(order, authority, custodian, city_log, now)
    entry = city_log.append("evidence-export-begun", now, **_facts(order, custodian, permission.basis))
    log = CameraLog(sources.log, sources.log_key)
    run = choose_run(
        log.leaves(),
        starts_at=order.starts_at,
        ends_at=order.ends_at,
        layer=Layer.MASKED.value,
        size=log.checkpoint.size,
    )
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        files.make_folder(part / layout.SEGMENTS, mode=0o755)
        (part / "log").mkdir()
        (part / "city").mkdir()
        work = _Work(order, authority, custodian, sources, part, now, paper, say)
        statement = work.write(permission, entry, log, run)
        part.rename(out)
    except ValidationError as error:  # a leaf that a camera should not have written
        raise EvidenceError(f"what was found cannot be stated: {first_problem(error)}") from error
    except OSError as error:
        raise StorageError(f"cannot write {out}: {(error.strerror or str(error)).lower()}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    digest = Exhibit(out).digest(layout.STATEMENT).sha256
    city_log.append("evidence-exported", now, begun=entry.index, case=order.case, statement_sha256=digest)
    return statement


def _check_words(order: Order) -> None:
    """Refuse words that no statement can carry, before anything is written about them."""
    for name in ("case", "reason", "reference", "party", "terms"):
        words = getattr(order, name)
        try:
            _TEXT.validate_python(words)
        except ValidationError as error:
            raise UsageError(f"{name} {words!r:.80} will not do: {first_problem(error)}") from error
    if order.starts_at >= order.ends_at:
        raise UsageError(f"the span ends at {order.ends_at}, which is not after {order.starts_at}")


def _permit(order: Order, authority: Authority, custodian: Custodian, city_log: CityLog, now: datetime) -> Permission:
    wish = Wish(camera_id=order.camera_id, row=order.row, basis=order.basis, office=custodian.card.office, now=now)
    try:
        return permit(authority.charter, documents_of(authority.city.documents).values(), wish)
    except ClauseViolationError as error:
        facts = _facts(order, custodian, order.basis or "none")
        city_log.append("evidence-export-refused", now, clause=error.clause, **facts)
        raise


def _facts(order: Order, custodian: Custodian, basis: str) -> dict[str, str]:
    return {
        "basis": basis,
        "camera": order.camera_id,
        "case": order.case,
        "ends_at": f"{order.ends_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "keyid": custodian.card.key.keyid,
        "name": custodian.card.name,
        "office": custodian.card.office,
        "party": order.party,
        "reason": order.reason,
        "recipient_sha256": sha256(str(order.recipient).encode()).hexdigest(),
        "row": order.row,
        "starts_at": f"{order.starts_at:%Y-%m-%dT%H:%M:%S.%fZ}",
    }


# --- writing ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Work:
    """One export while it is written, into `part`."""

    order: Order
    authority: Authority
    custodian: Custodian
    sources: Sources
    part: Path
    now: datetime
    paper: Callable[[bytes], bytes] | None
    say: Callable[[str], None]

    def write(self, permission: Permission, entry: Entry, log: CameraLog, run: Run) -> Statement:
        """Write all files; return the signed statement."""
        found = collect(self.sources.place, self.order.camera_id, run, self.part / layout.SEGMENTS)
        proofs = self._proofs(log, run)
        events = [parse_leaf(each.leaf.encode()) for each in proofs.leaves]
        files.write_whole(self.part / layout.LEAVES, dump_proofs(proofs))
        files.write_whole(self.part / layout.CHECKPOINT, log.note)
        if self.sources.witnessed is not None:
            files.write_whole(self.part / layout.WITNESSED, self.sources.witnessed)
        files.write_whole(self.part / layout.BUNDLE, bundle(self.authority.city))
        key, identities = self.custodian.unlock(), self.custodian.identities()
        self._check(found, identities)
        footage, stills = self._join(found, identities, self._credential(found), self._proof(log, proofs, run))
        segments = tuple(self._segment(stored, segment, identities) for stored, segment in found.here)
        statement = Statement(
            kind="lamppost-evidence",
            version=1,
            case=self.order.case,
            reason=self.order.reason,
            exported_at=self.now,
            by=By(office=key.card.office, name=key.card.name, keyid=key.card.key.keyid),
            city=self._city(),
            party=Party(name=self.order.party, recipient=str(self.order.recipient)),
            sharing=self._sharing(permission),
            terms=Terms(text=self.order.terms, expires_at=self.order.expires_at),
            camera=self.order.camera_id,
            layer="masked",
            span=StatedSpan(starts_at=self.order.starts_at, ends_at=self.order.ends_at),
            entry=_stated_entry(entry),
            log=StatedLog(
                key=str(self.sources.log_key),
                size=log.checkpoint.size,
                first_leaf=run.first,
                last_leaf=run.last,
                witnesses=tuple(map(str, self.sources.witnesses)),
                witnessed_leaves=0,
            ),
            footage=footage,
            segments=segments,
            absent=tuple(_stated_absence(stored, why) for stored, why in found.absent),
            gaps=self._gaps(segments, events),
            hidden=tuple(
                StatedHidden(starts_at=one.starts_at, ends_at=one.ends_at, why=one.why)
                for one in hidden_spans(events, starts_at=self.order.starts_at, ends_at=self.order.ends_at)
            ),
            verified=("The camera's key signed the log.",),
            files=self._files(),
        )
        statement = self._judge(statement, log, proofs)
        self._report(statement, stills)
        statement = statement.model_copy(update={"files": self._files()})
        raw = dump_statement(statement)
        files.write_whole(self.part / layout.STATEMENT, raw)
        files.write_whole(self.part / layout.SIGNATURE, sign_statement(raw, key.signer))
        return statement

    def _proofs(self, log: CameraLog, run: Run) -> LogProofs:
        leaves = tuple(
            ProvenLeaf(index=index, leaf=leaf.decode(), proof=_hex(log.inclusion_proof(index)))
            for index, leaf in log.leaves(run.first, run.last + 1)
        )
        return LogProofs(kind="lamppost-evidence-leaves", version=1, consistency=self._consistency(log), leaves=leaves)

    def _consistency(self, log: CameraLog) -> tuple[str, ...]:
        if self.sources.witnessed is None:
            return ()
        seen = open_checkpoint(self.sources.witnessed, self.sources.log_key).size
        return _hex(log.consistency_proof(seen)) if 0 < seen <= log.checkpoint.size else ()

    def _check(self, found: Collected, identities: Sequence[Identity]) -> None:
        catalogue = Catalogue(segments=tuple(segment for _, segment in found.here), foreign=())
        if (failure := verdict(verify(catalogue, identities))) is not None:
            raise failure

    def _join(
        self, found: Collected, identities: Sequence[Identity], credential: Credential | None, proof: dict[str, object]
    ) -> tuple[StatedFootage, list[Still]]:
        shown = _shown(found)
        stills: list[Still] = []
        pictures = sha256()
        with sealed_file(self.part / layout.FOOTAGE, self.order.recipient) as output:
            # Content credentials need the video whole. It never lies on a disk in the clear, so it is held in memory.
            held = None if credential is None else BytesIO()
            joiner = Joiner(
                output if held is None else held,
                title=f"{self.order.camera_id} {self.order.case}",
                seekable=False,
                keep_gaps=False,
            )
            for number, (_, segment) in enumerate(found.here):
                opened = open_segment(segment, identities)
                piece = cut(segment, opened, start_at=self.order.starts_at, end_at=self.order.ends_at)
                if piece is None:
                    continue
                joiner.add(piece)
                for picture in coded_pictures(piece.clear):
                    pictures.update(picture)
                if number in shown:
                    stills.append(_still(segment, opened, piece))
            joined = joiner.close()
            if credential is not None and held is not None and joined is not None:
                proof |= {"pictures_sha256": pictures.hexdigest()}
                title = f"{self.order.camera_id}, {joined.starts_at:%Y-%m-%d %H:%M:%S} UTC"
                output.write(
                    attach(held.getvalue(), credential, title=title, software=version("lamppost"), proof=proof)
                )
            clear_sha256 = output.sha256
        if joined is None:
            raise EvidenceError("no whole fragment of the span is in these segments")
        return _stated_footage(joined, clear_sha256, pictures.hexdigest()), stills

    def _credential(self, found: Collected) -> Credential | None:
        """Return what signs content credentials, or say in a line why there are none."""
        size = sum(segment.size_bytes for _, segment in found.here)
        try:
            require_library()
        except MissingExtraError as error:
            self.say(f"without content credentials: {error.hint}")
            return None
        if self.custodian.credential is None:
            self.say("without content credentials: no certificate was named (--credential)")
            return None
        if size > MOST_CREDENTIALED_BYTES:
            self.say(
                f"without content credentials: {size:,} bytes are too many to hold in memory; export less at a time"
            )
            return None
        return self.custodian.credential()

    def _proof(self, log: CameraLog, proofs: LogProofs, run: Run) -> dict[str, object]:
        """Return what shows where a video is from that was parted from its folder."""
        inside = {stored.index for stored in run.inside}
        leaves = [leaf.model_dump(mode="json") for leaf in proofs.leaves if leaf.index in inside]
        witnessed = self.sources.witnessed
        return {
            "version": 1,
            "camera": self.order.camera_id,
            "city_root": self.authority.root,
            "log_key": str(self.sources.log_key),
            "checkpoint": log.note.decode(),
            "witnessed": None if witnessed is None else witnessed.decode(errors="replace"),
            "consistency": list(proofs.consistency),
            "leaves": leaves[:MOST_PROVEN_LEAVES],
            "leaves_sha256": sha256(dump_proofs(proofs)).hexdigest(),
        }

    def _segment(self, stored: Stored, segment: FoundSegment, identities: Sequence[Identity]) -> StatedSegment:
        path = f"{layout.SEGMENTS}/{segment.name.file}"
        wrapped = next(iter(rewrap(read_blocks(segment), identities, [self.order.recipient])))
        files.write_whole(self.part / f"{path}{layout.HEADER_SUFFIX}", wrapped)
        whole = cut(segment, open_segment(segment, identities)) if stored.recovered else None
        return StatedSegment(
            path=path,
            header=f"{path}{layout.HEADER_SUFFIX}",
            leaf=stored.index,
            sequence=stored.sequence,
            starts_at=stored.starts_at,
            ends_at=stored.ends_at if whole is None else min(whole.ends_at, stored.ends_at),
            frames=stored.frames if whole is None else whole.frames,
            failed_closed=stored.failed_closed,
            decision=stored.decision,
            documents=stored.documents,
            truncated=stored.truncated,
        )

    def _city(self) -> StatedCity:
        charter = self.authority.charter
        return StatedCity(
            name=charter.city,
            root=self.authority.root,
            charter_revision=charter.revision,
            charter_sha256=sha256(self.authority.city.charter).hexdigest(),
        )

    def _sharing(self, permission: Permission) -> StatedSharing:
        row = permission.row
        return StatedSharing(
            row=row.id,
            clause=row.clause,
            shared_with=row.shared_with,
            condition=row.condition,
            basis=permission.basis,
            reference=self.order.reference,
            grants=permission.grants,
        )

    def _gaps(self, segments: Iterable[StatedSegment], events: Sequence[Event]) -> tuple[StatedGap, ...]:
        spans = [(segment.starts_at, segment.ends_at) for segment in segments]
        return tuple(
            StatedGap(starts_at=starts_at, ends_at=ends_at, why=_why(events, starts_at, ends_at))
            for starts_at, ends_at in gaps(spans, starts_at=self.order.starts_at, ends_at=self.order.ends_at)
        )

    def _judge(self, statement: Statement, log: CameraLog, proofs: LogProofs) -> Statement:
        """Return the statement with what the log showed; the first finding that makes it worthless is raised."""
        shown = follow(statement, log.note, self.sources.witnessed, proofs, Witnesses(keys=self.sources.witnesses))
        for finding in shown.findings:
            # A log that no witness saw is stated as such; what a witness contradicts is no evidence.
            if self.sources.witnessed is not None or not isinstance(finding, NotWitnessedError):
                raise finding
        return statement.model_copy(
            update={
                "log": statement.log.model_copy(update={"witnessed_leaves": shown.witnessed_leaves}),
                "verified": tuple(_verified(statement, shown)),
            }
        )

    def _report(self, statement: Statement, stills: Sequence[Still]) -> None:
        clear, pictured = render(statement), render(statement, stills)
        files.write_whole(self.part / layout.REPORT, clear)
        self._seal(layout.SEALED_REPORT, pictured)
        if self.paper is None:
            return
        try:
            files.write_whole(self.part / layout.PAPER, self.paper(clear))
            self._seal(layout.SEALED_PAPER, self.paper(pictured))
        except MissingExtraError as error:
            self.say(f"without a PDF of the report: {error.hint}")

    def _seal(self, name: str, clear: bytes) -> None:
        with sealed_file(self.part / name, self.order.recipient) as output:
            output.write(clear)

    def _files(self) -> tuple[StatedFile, ...]:
        folder = Exhibit(self.part)
        return tuple(
            StatedFile(path=path, size_bytes=digest.size_bytes, sha256=digest.sha256)
            for path in sorted(folder.names())
            for digest in (folder.digest(path),)
        )


def _shown(found: Collected) -> frozenset[int]:
    """Return of which segments the report shows a picture: some, spread evenly, and not those that are one colour."""
    seen = [number for number, (stored, _) in enumerate(found.here) if 2 * stored.failed_closed <= stored.frames]
    numbers = seen or range(len(found.here))
    return frozenset(numbers[:: -(-len(numbers) // MOST_STILLS)])


def _still(segment: FoundSegment, opened: OpenedSegment, piece: Piece) -> Still:
    """Return a picture from the middle of a piece; its beginning is often a scene that is still being learned."""
    middle = piece.captured_at + piece.duration / 2
    fragment = cut(segment, opened, start_at=middle, end_at=middle + timedelta(microseconds=1))
    return first_still(piece if fragment is None else fragment)


def _stated_entry(entry: Entry) -> StatedEntry:
    return StatedEntry(
        leaf=entry.leaf.decode(), index=entry.index, size=entry.size, root=entry.root.hex(), proof=_hex(entry.proof)
    )


def _stated_absence(stored: Stored, why: str) -> StatedAbsence:
    return StatedAbsence(
        leaf=stored.index,
        sequence=stored.sequence,
        starts_at=stored.starts_at,
        ends_at=stored.ends_at,
        why=why,
    )


def _stated_footage(joined: Joined, clear_sha256: str, pictures_sha256: str) -> StatedFootage:
    return StatedFootage(
        path=layout.FOOTAGE,
        clear_sha256=clear_sha256,
        pictures_sha256=pictures_sha256,
        frames=joined.frames,
        starts_at=joined.starts_at,
        ends_at=joined.ends_at,
    )


def _why(events: Sequence[Event], starts_at: datetime, ends_at: datetime) -> str:
    """Return what the log says around a gap; a second either side, because an act comes before what it causes."""
    second = timedelta(seconds=1)
    kinds = dict.fromkeys(
        event.kind
        for event in events
        if starts_at - second <= event.at < ends_at + second and event.kind != "segment-stored"
    )
    if not kinds:
        return "the camera's log does not say"
    told = [f"{_IN_WORDS[kind]} ({kind})" if kind in _IN_WORDS else kind for kind in list(kinds)[:MAX_WHY_KINDS]]
    return f"the camera's log says then: {'; '.join(told)}"


def _verified(statement: Statement, shown: Chain) -> Iterable[str]:
    run = f"leaves {statement.log.first_leaf} to {statement.log.last_leaf}"
    yield f"The camera's key signed the log of {statement.log.size} leaves; {run} are in it, without a hole."
    if shown.witnessed_at is None:
        yield "No witness vouches for the camera's log."
    for name, at in shown.seen_by if shown.witnessed_at is not None else ():
        yield (
            f"The witness {name} had seen the first {shown.witnessed_leaves} leaves by {at:%Y-%m-%d %H:%M:%S} UTC,"
            " and they are the same."
        )
    yield f"{len(statement.segments)} sealed segments are, byte for byte, what the camera logged when it stored them."
    yield "Every segment opened to its last byte, and says inside that it is of this camera and time."
    yield f"{statement.footage.frames} pictures were joined as the camera coded them; none was encoded again."


def _hex(hashes: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(each.hex() for each in hashes)
