"""Write the files of an export into a folder that has no name yet.

Whatever does not hold together is raised; who made the folder throws it away then (`provisioning.evidence.export`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

from agent.core.log.checkpoint import open_checkpoint
from agent.core.log.leaf import Event, parse_leaf
from agent.core.sealing.age_file import rewrap
from agent.core.sealing.recipients import Identity
from agent.errors import EvidenceError, MissingExtraError, NotWitnessedError
from provisioning.authority import files
from provisioning.authority.city import bundle
from provisioning.evidence import exhibit as layout
from provisioning.evidence.authority import Authority
from provisioning.evidence.camera_log import CameraLog
from provisioning.evidence.chain import LogProofs, ProvenLeaf, Run, Witnesses, dump_proofs, follow, gaps, hidden_spans
from provisioning.evidence.city_log import Entry
from provisioning.evidence.collecting import Collected, collect
from provisioning.evidence.credentials import Credential, attach, require_library
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.in_words import what_was_verified, why_missing
from provisioning.evidence.order import Custodian, Order, Sources
from provisioning.evidence.pictures import Still, coded_pictures, first_still
from provisioning.evidence.report import render
from provisioning.evidence.sealing import sealed_file
from provisioning.evidence.sharing import Permission
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
MOST_CREDENTIALED_BYTES = 1024 * 1024 * 1024  # held in memory twice
MOST_PROVEN_LEAVES = 2000  # some megabytes in the video, five hours; leaves.json has all


@dataclass(frozen=True, slots=True)
class Writing:
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
            StatedGap(starts_at=starts_at, ends_at=ends_at, why=why_missing(events, starts_at, ends_at))
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
                "verified": tuple(what_was_verified(statement, shown)),
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


def _hex(hashes: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(each.hex() for each in hashes)
