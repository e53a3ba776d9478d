"""Verify a folder of evidence, and say which kind of no.

In this order; nothing is believed before what vouches for it:

1. The city's bundle is verified from its first root, which a person compares with one they know.
2. The statement is signed by a key that the city gave to an office that exports, in force then.
3. Every file is the one that the statement lists, and there is no other.
4. The camera's log is signed by its key; the leaves are in it, in order and without a hole; a
   witness saw it.
5. Every segment is the one a leaf tells of; every leaf of the span has its segment, or the
   statement says that it is missing; so does every second without footage.
6. The city's own log held an entry about the export when it was made; the law allowed it.
7. With the party's identity: everything opens, and the video is the segments' pictures.

All that is wrong is found, not just the first; `verdict` names the kind that explains most.
No network, and no key before step 7.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from agent.core.bundle import MAX_BUNDLE_BYTES, decode_bundle
from agent.core.log.leaf import parse_leaf
from agent.core.log.merkle import leaf_hash, verify_inclusion
from agent.core.log.note import MAX_NOTE_BYTES, VerifierKey, parse_verifier_key
from agent.core.mp4 import read_movie
from agent.core.sealing.age_file import open_stream, read_header
from agent.core.sealing.header import MAX_HEADER_BYTES, Header
from agent.core.sealing.recipients import Identity
from agent.core.segment_name import parse_segment_name
from agent.errors import (
    EvidenceAlteredError,
    EvidenceCutError,
    EvidenceError,
    EvidenceGapError,
    EvidenceReorderedError,
    ExpiredKeyError,
    ForkedEvidenceError,
    HeaderError,
    LamppostError,
    LogError,
    MissingExtraError,
    MovieFormatError,
    NotWitnessedError,
    OtherCameraError,
    OtherSignerError,
    PayloadError,
    PolicyError,
    RewoundEvidenceError,
    SealError,
    TruncatedError,
    WrongIdentityError,
    WrongRecipientError,
)
from provisioning.authority.cross_check import documents_of
from provisioning.authority.published import first_root_of, verify_release
from provisioning.evidence import exhibit as layout
from provisioning.evidence.authority import Authority
from provisioning.evidence.chain import (
    MAX_PROOFS_BYTES,
    Chain,
    Witnesses,
    follow,
    gaps,
    hidden_spans,
    in_order,
    parse_proofs,
)
from provisioning.evidence.credentials import read_claim
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.pictures import coded_pictures
from provisioning.evidence.sharing import Wish, permit
from provisioning.evidence.statement import (
    MAX_SIGNATURE_BYTES,
    MAX_STATEMENT_BYTES,
    StatedFile,
    StatedSegment,
    Statement,
    parse_signature,
    parse_statement,
    verify_statement,
)
from provisioning.evidence.stored import Stored

_KNOWN = ("sequence", "starts_at", "decision", "documents", "truncated")  # what leaf and statement both tell
_TOLD = (*_KNOWN, "ends_at", "frames", "failed_closed")  # a crash takes these

# The kinds of no, the one that explains most first: who put another camera's segment in also left one out, and
# whatever was done to a file, it was altered.
KINDS: tuple[tuple[type[EvidenceError], str], ...] = (
    (OtherSignerError, "other signer"),
    (ExpiredKeyError, "expired key"),
    (ForkedEvidenceError, "forked log"),
    (RewoundEvidenceError, "old card"),
    (OtherCameraError, "other camera"),
    (EvidenceCutError, "cut"),
    (EvidenceReorderedError, "reordered"),
    (EvidenceGapError, "gap"),
    (EvidenceAlteredError, "altered"),
    (NotWitnessedError, "not witnessed"),
    (WrongRecipientError, "wrong recipient"),
)


@dataclass(slots=True, kw_only=True)
class Judgement:
    """What was found.

    Attributes:
        statement: What was stated; None if nobody who may signed it.
        root: Fingerprint of the city's first root, in hex; None if there is none.
        findings: What does not hold.
        remarks: What is worth knowing.
        holds: What was verified, in words.
    """

    statement: Statement | None = None
    root: str | None = None
    findings: list[LamppostError] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)


def kind_of(finding: LamppostError) -> str:
    """Return the kind of no in a word or two."""
    return next((word for kind, word in KINDS if isinstance(finding, kind)), "refused")


def verdict(judgement: Judgement) -> LamppostError | None:
    """Return the finding that explains most, or None if all holds."""
    for kind, _ in KINDS:
        for finding in judgement.findings:
            if isinstance(finding, kind):
                return finding
    return judgement.findings[0] if judgement.findings else None


def judge(
    folder: Exhibit,
    *,
    identities: Sequence[Identity] = (),
    trusted_root: bytes | None = None,
    witnesses: Sequence[VerifierKey] = (),
    witnesses_needed: int = 1,
    log_key: VerifierKey | None = None,
    now: datetime,
) -> Judgement:
    """Return what is right and wrong about the evidence in `folder`.

    Args:
        folder: As it was handed over.
        identities: The receiving party's; without any, what is sealed stays so.
        trusted_root: The first root of the city as the reader knows it; None takes the folder's word.
        witnesses: Whose cosignature the reader trusts; without any, those that the statement names.
        witnesses_needed: How many of them must have seen the log.
        log_key: Of the camera's log, as the reader knows it; None takes the custodian's word.
        now: Current UTC time; only for remarks.

    Raises:
        StorageError: The folder cannot be read.
    """
    judgement = Judgement()
    try:
        authority = _authority(folder, trusted_root)
        judgement.root = authority.root
        statement = _statement(folder, authority)
    except EvidenceError as error:
        judgement.findings.append(error)
        return judgement
    judgement.statement = statement
    _remark(judgement, statement, trusted_root, now)
    judgement.holds.append(
        f"{statement.by.name} ({statement.by.office}) of {statement.city.name} signed the statement."
    )
    findings = judgement.findings
    if log_key is not None and str(log_key) != statement.log.key:
        findings.append(OtherSignerError(f"the log is {statement.log.key}, and the camera's is known as {log_key}"))
    findings += _on_files(folder, statement)
    chain = _chain(folder, statement, (witnesses, witnesses_needed), findings)
    findings += chain.findings
    findings += _on_segments(statement, chain)
    findings += _on_gaps(statement, chain)
    findings += _on_entry(statement)
    findings += _on_law(statement, authority)
    if len(chain.seen_by) == 1:
        judgement.remarks.append(
            f"one witness vouches for the camera's log, {chain.seen_by[0][0]}; if who runs it runs the cameras too, a"
            " second one by somebody else would prove more"
        )
    if not findings:
        judgement.holds += _held(statement, chain)
    if identities:
        opened = tuple(_on_content(folder, statement, identities, judgement.holds))
        findings += opened
        if not opened:
            judgement.holds.append(
                "Everything opens, and the video holds the segments' pictures as the camera coded them."
            )
    return judgement


# --- 1 and 2: who says so -----------------------------------------------------


def _authority(folder: Exhibit, trusted_root: bytes | None) -> Authority:
    raw = folder.read(layout.BUNDLE, max_bytes=MAX_BUNDLE_BYTES)
    try:
        release = decode_bundle(raw)
        return Authority(verify_release(release, first_root_of(release) if trusted_root is None else trusted_root))
    except PolicyError as error:
        kind = EvidenceAlteredError if trusted_root is None else OtherSignerError
        raise kind(f"the city's bundle does not verify: {error}") from error


def _statement(folder: Exhibit, authority: Authority) -> Statement:
    raw = folder.read(layout.STATEMENT, max_bytes=MAX_STATEMENT_BYTES)
    signature = parse_signature(folder.read(layout.SIGNATURE, max_bytes=MAX_SIGNATURE_BYTES))
    # When it was signed is what the signature vouches for, so a key is first asked for its bytes and then for its time.
    key = authority.known_key(signature.keyid)
    verify_statement(raw, signature, key)
    statement = parse_statement(raw)
    authority.exporting_key(signature.keyid, statement.exported_at)
    if statement.by.keyid != signature.keyid or statement.city.root != authority.root:
        raise OtherSignerError("the statement names another signer, or another city, than the ones that signed it")
    if statement.city.charter_sha256 != sha256(authority.city.charter).hexdigest():
        raise EvidenceAlteredError("the charter is not the one that the statement names")
    return statement


def _remark(judgement: Judgement, statement: Statement, trusted_root: bytes | None, now: datetime) -> None:
    if trusted_root is None:
        judgement.remarks.append(
            f"that it is {statement.city.name} is the folder's own word; compare the fingerprint of its first root,"
            f" {_grouped(statement.city.root)}"
        )
    if statement.terms.expires_at <= now:
        judgement.remarks.append(f"the terms ended at {statement.terms.expires_at:%Y-%m-%d %H:%M} UTC (JC-1)")
    for gap in statement.gaps:
        length = (gap.ends_at - gap.starts_at).total_seconds()
        judgement.remarks.append(
            f"{length:.0f} s without footage from {gap.starts_at:%Y-%m-%d %H:%M:%S} UTC: {gap.why}"
        )
    for absent in statement.absent:
        judgement.remarks.append(f"segment {absent.sequence} is not here: {absent.why}")


def _grouped(digest: str) -> str:
    return " ".join(digest[at : at + 4] for at in range(0, 32, 4))


# --- 3: files -----------------------------------------------------------------


def _on_files(folder: Exhibit, statement: Statement) -> Iterator[LamppostError]:
    stated = {file.path: file for file in statement.files}
    paths = {file.sha256: file.path for file in statement.files}
    there = folder.names()
    for file in statement.files:
        try:
            yield from _on_file(folder, file, paths)
        except EvidenceError as error:
            yield error
    for extra in sorted(there - stated.keys() - {layout.STATEMENT, layout.SIGNATURE}):
        name = parse_segment_name(extra.rpartition("/")[2])
        if name is not None and name.camera_id != statement.camera:
            yield OtherCameraError(f"{extra} is of {name.camera_id}, the statement is about {statement.camera}")
        else:
            yield EvidenceAlteredError(f"{extra} was added: the statement does not list it")


def _on_file(folder: Exhibit, file: StatedFile, paths: dict[str, str]) -> Iterator[LamppostError]:
    found = folder.digest(file.path)
    if found.sha256 == file.sha256:
        return
    if (belongs := paths.get(found.sha256)) is not None:
        yield EvidenceReorderedError(f"{file.path} is what {belongs} should be")
    elif found.size_bytes < file.size_bytes:
        yield EvidenceCutError(f"{file.path} has {found.size_bytes} bytes, expected {file.size_bytes}")
    else:
        yield EvidenceAlteredError(f"{file.path} is not what the statement lists")


# --- 4 and 5: the camera's log, and the segments ------------------------------


def _chain(
    folder: Exhibit, statement: Statement, asked: tuple[Sequence[VerifierKey], int], findings: list[LamppostError]
) -> Chain:
    try:
        note = folder.read(layout.CHECKPOINT, max_bytes=MAX_NOTE_BYTES)
        proofs = parse_proofs(folder.read(layout.LEAVES, max_bytes=MAX_PROOFS_BYTES))
        witnessed = (
            folder.read(layout.WITNESSED, max_bytes=MAX_NOTE_BYTES) if layout.WITNESSED in folder.names() else None
        )
        keys, needed = asked
        trusted = Witnesses(keys=tuple(keys) or tuple(map(parse_verifier_key, statement.log.witnesses)), needed=needed)
    except (EvidenceError, LogError) as error:
        findings.append(error if isinstance(error, EvidenceError) else EvidenceAlteredError(str(error)))
        return Chain()
    return follow(statement, note, witnessed, proofs, trusted)


def _on_segments(statement: Statement, chain: Chain) -> Iterator[LamppostError]:
    span = statement.span
    inside = {
        stored.index: stored
        for stored in chain.stored
        if stored.layer == statement.layer and stored.overlaps(span.starts_at, span.ends_at)
    }
    logged = {stored.sha256: stored.index for stored in inside.values()}
    digests = {file.path: file.sha256 for file in statement.files}
    named = {segment.leaf for segment in statement.segments} | {absent.leaf for absent in statement.absent}
    for stored in inside.values():
        if stored.index not in named:
            yield EvidenceCutError(
                f"segment {stored.sequence} of the camera's log is neither here nor named as missing"
            )
    if not in_order([segment.leaf for segment in statement.segments]):
        yield EvidenceReorderedError("the segments are not in the order of the camera's log")
    for segment in statement.segments:
        name = parse_segment_name(segment.path.rpartition("/")[2])
        if name is None or name.camera_id != statement.camera:
            yield OtherCameraError(f"{segment.path} is not of {statement.camera}")
        elif segment.leaf in inside:
            yield from _on_segment(segment, digests.get(segment.path, ""), inside[segment.leaf], logged)
        elif chain.events:  # else the log itself is what is wrong, and that is said
            yield EvidenceAlteredError(f"no leaf of the camera's log tells of {segment.path}")


def _on_segment(
    segment: StatedSegment, digest: str, leaf: Stored, logged: Mapping[str, int]
) -> Iterator[LamppostError]:
    if digest != leaf.sha256 and digest in logged:
        yield EvidenceReorderedError(f"{segment.path} is what leaf {logged[digest]} tells of, not {leaf.index}")
    elif digest != leaf.sha256:
        yield EvidenceAlteredError(f"{segment.path} is not what leaf {leaf.index} of the camera's log tells of")
    elif any(getattr(leaf, name) != getattr(segment, name) for name in (_KNOWN if leaf.recovered else _TOLD)):
        yield EvidenceAlteredError(f"the statement says of {segment.path} what its leaf does not")


def _on_gaps(statement: Statement, chain: Chain) -> Iterator[LamppostError]:
    named = {(gap.starts_at, gap.ends_at) for gap in statement.gaps}
    here = {segment.leaf: segment for segment in statement.segments}
    spans = [
        # Where a crash took the camera's account, the custodian's word is the best there is, up to what can be.
        (stored.starts_at, min(stored.ends_at, here[stored.index].ends_at))
        for stored in chain.stored
        if stored.index in here
    ]
    if chain.findings:  # the spans are not known then
        return
    hidden = hidden_spans(chain.events, starts_at=statement.span.starts_at, ends_at=statement.span.ends_at)
    if [(one.starts_at, one.ends_at, one.why) for one in hidden] != [
        (one.starts_at, one.ends_at, one.why) for one in statement.hidden
    ]:
        yield EvidenceAlteredError("the statement tells otherwise than the log when pictures were hidden whole")
    for starts_at, ends_at in gaps(spans, starts_at=statement.span.starts_at, ends_at=statement.span.ends_at):
        if (starts_at, ends_at) not in named:
            yield EvidenceGapError(
                f"{(ends_at - starts_at).total_seconds():.0f} s from {starts_at:%Y-%m-%d %H:%M:%S} UTC have no footage,"
                " and the statement does not say so"
            )


# --- 6: the city --------------------------------------------------------------


def _on_entry(statement: Statement) -> Iterator[LamppostError]:
    entry = statement.entry
    leaf = entry.leaf.encode()
    try:
        event = parse_leaf(leaf)
        verify_inclusion(
            index=entry.index,
            size=entry.size,
            leaf=leaf_hash(leaf),
            proof=[bytes.fromhex(each) for each in entry.proof],
            root=bytes.fromhex(entry.root),
        )
    except LogError as error:
        yield EvidenceAlteredError(f"the entry in the city's log does not hold: {error}")
        return
    said = {
        "basis": statement.sharing.basis,
        "camera": statement.camera,
        "case": statement.case,
        "keyid": statement.by.keyid,
        "party": statement.party.name,
        "reason": statement.reason,
        "recipient_sha256": sha256(statement.party.recipient.encode()).hexdigest(),
        "row": statement.sharing.row,
    }
    if event.kind != "evidence-export-begun" or any(event.facts.get(name) != fact for name, fact in said.items()):
        yield EvidenceAlteredError("the entry in the city's log is about another export")


def _on_law(statement: Statement, authority: Authority) -> Iterator[LamppostError]:
    wish = Wish(
        camera_id=statement.camera,
        row=statement.sharing.row,
        basis=statement.sharing.basis,
        office=statement.by.office,
        now=statement.exported_at,
    )
    try:
        permission = permit(authority.charter, documents_of(authority.city.documents).values(), wish)
    except PolicyError as error:
        yield error
        return
    row = permission.row
    if (row.clause, row.condition, permission.grants) != (
        statement.sharing.clause,
        statement.sharing.condition,
        statement.sharing.grants,
    ):
        yield EvidenceAlteredError("the statement quotes the law otherwise than it is")


def _held(statement: Statement, chain: Chain) -> Iterator[str]:
    yield f"All {len(statement.files)} files are the ones that were stated; none was added, cut or moved."
    yield (
        f"{len(statement.segments)} segments are, byte for byte, those that {statement.camera} logged,"
        f" and the log leaves none out between {statement.span.starts_at:%Y-%m-%d %H:%M:%S} and"
        f" {statement.span.ends_at:%Y-%m-%d %H:%M:%S} UTC."
    )
    for name, at in chain.seen_by:
        yield f"The witness {name} had seen the log by {at:%Y-%m-%d %H:%M:%S} UTC."
    yield f"Sharing is allowed by {statement.sharing.clause}, {statement.sharing.basis}: {statement.sharing.reference}."


# --- 7: what is inside --------------------------------------------------------


def _on_content(
    folder: Exhibit, statement: Statement, identities: Sequence[Identity], holds: list[str]
) -> Iterator[LamppostError]:
    try:
        video = _open(folder.blocks(layout.FOOTAGE), identities, layout.FOOTAGE)
        for report in folder.names() & {layout.SEALED_REPORT, layout.SEALED_PAPER}:
            _open(folder.blocks(report), identities, report)
        if sha256(video).hexdigest() != statement.footage.clear_sha256:
            raise EvidenceAlteredError("the video is not the one that was stated")
        holds += _credentials(folder, statement, video)
        whole = list(coded_pictures(video))
        of_segments = [
            picture
            for segment in statement.segments
            for picture in _pictures_of(folder, statement, segment, identities)
        ]
    except (EvidenceError, MovieFormatError) as error:
        yield error if isinstance(error, EvidenceError) else EvidenceAlteredError(str(error))
        return
    if sha256(b"".join(whole)).hexdigest() != statement.footage.pictures_sha256:
        yield EvidenceAlteredError("the video holds other pictures than was stated")
    elif not _runs_through(whole, of_segments):
        yield EvidenceAlteredError("the video holds pictures that are not in the segments, or not in their order")


def _credentials(folder: Exhibit, statement: Statement, video: bytes) -> Iterator[str]:
    """Yield what the video's content credentials show, where this machine can read them.

    Raises:
        EvidenceAlteredError: They do not hold, or are about another export.
    """
    try:
        claim = read_claim(video)
    except MissingExtraError:
        return
    if claim is None:
        return
    if claim.state == "Invalid":
        raise EvidenceAlteredError(f"the video's content credentials do not hold: {', '.join(claim.problems)}")
    shown = {
        "camera": statement.camera,
        "checkpoint": folder.read(layout.CHECKPOINT, max_bytes=MAX_NOTE_BYTES).decode(errors="replace"),
        "city_root": statement.city.root,
        "log_key": statement.log.key,
        "pictures_sha256": statement.footage.pictures_sha256,
    }
    if any(claim.proof.get(name) != value for name, value in shown.items()):
        raise EvidenceAlteredError("the video's content credentials are about another export")
    yield f"The video carries content credentials of {claim.issuer}, and they are about this export."


def _pictures_of(
    folder: Exhibit, statement: Statement, segment: StatedSegment, identities: Sequence[Identity]
) -> Iterable[bytes]:
    """Return the digests of one segment's coded pictures: the party's header, and the camera's payload."""
    own = len(bytes(_header(folder, segment.path)))
    wrapped = folder.read(segment.header, max_bytes=MAX_HEADER_BYTES)
    clear = _open(_joined(wrapped, folder.blocks(segment.path), own), identities, segment.path, segment.truncated)
    movie = read_movie(clear)
    camera = movie.tags.get("\xa9nam")
    if camera != statement.camera:
        raise OtherCameraError(f"{segment.path} says inside that it is of {camera}")
    return coded_pictures(clear[: movie.whole_bytes])


def _header(folder: Exhibit, path: str) -> Header:
    try:
        return read_header(folder.blocks(path))
    except HeaderError as error:
        raise EvidenceAlteredError(f"{path}: {error}") from error


def _joined(wrapped: bytes, blocks: Iterable[bytes], skip: int) -> Iterator[bytes]:
    """Yield another header, and then what follows the first `skip` bytes of `blocks`."""
    yield wrapped
    for block in blocks:
        yield block[skip:]
        skip = max(skip - len(block), 0)


def _open(blocks: Iterable[bytes], identities: Sequence[Identity], path: str, truncated: bool = False) -> bytes:
    clear = bytearray()
    try:
        for chunk in open_stream(blocks, identities):
            clear += chunk
    except WrongIdentityError as error:
        raise WrongRecipientError(
            f"{path} is sealed to somebody else", hint="this export is for another party"
        ) from error
    except PayloadError as error:
        # What a power cut ended may end in blocks that nobody wrote; that they were so when the camera found them, its
        # log's digest says.
        if not truncated:
            kind = EvidenceCutError if isinstance(error, TruncatedError) else EvidenceAlteredError
            raise kind(f"{path}: {error}") from error
    except SealError as error:
        raise EvidenceAlteredError(f"{path}: {error}") from error
    return bytes(clear)


def _runs_through(some: Sequence[bytes], all_: Sequence[bytes]) -> bool:
    """Tell whether `some` is in `all_`, as one run: segments are cut at the ends of a span, never within."""
    if not some:
        return False
    begins = [at for at, picture in enumerate(all_) if picture == some[0]]
    return any(list(all_[at : at + len(some)]) == list(some) for at in begins)
