"""At the custodian's: record answers, and open what enough offices approved, for one person and no other.

`open_release` goes in this order: the log must hold enough approvals; the log is told that
it is opened; only then shares are joined, in memory. What the investigator gets is each
named segment with a new header and its payload as the camera wrote it. The day's key is
never written, and what shares travelled to is destroyed when all is done.
"""

import base64
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from agent.core.log.leaf import Event
from agent.core.sealing.age_file import rewrap
from agent.core.sealing.recipients import Identity, parse_recipient
from agent.core.segment_name import parse_segment_name
from agent.errors import FootageError, SharesError, SignatureError, StorageError, UsageError
from provisioning.authority import files
from provisioning.authority.vault import has_opener
from provisioning.evidence.authority import Authority
from provisioning.evidence.city_log import CityLog, Entry
from provisioning.footage.catalogue import FoundSegment, find_segments, read_blocks
from provisioning.release.asking import Clerk, digest_of_segment, read_request, stated
from provisioning.release.letters import Letter, read_letter, write_letter
from provisioning.release.papers import (
    Answer,
    HandedShares,
    NamedSegment,
    Recorded,
    Released,
    ReleasedSegment,
    Request,
    RequestedEpoch,
)
from provisioning.release.shares import open_share
from provisioning.release.sharing_out import join

RELEASED_FILE = "released.json"


def record(raw_request: bytes, raw_answer: bytes, clerk: Clerk, *, now: datetime) -> tuple[Letter[Answer], bytes]:
    """Put an office's answer into the city's log, once; return it and the letter that proves it is there.

    Raises:
        SignatureError: Another office signed it than it says, or it answers another request.
        SharesError: The office is not asked.
        LogError: The request is not in the city's log.
    """
    request = read_request(raw_request, clerk.authority)
    clerk.authority.exporting_key(clerk.custodian.card.key.keyid, now)
    letter = read_letter(raw_answer, "release-answer", Answer, clerk.authority)
    says = letter.says
    if says.office != letter.office:
        raise SignatureError(f"the answer says it is by {says.office}, and {letter.office} signed it")
    if says.request_sha256 != request.sha256:
        raise SignatureError(f"the answer of {letter.name} is to another request")
    for one in request.says.epochs:
        if one.epoch.holder(says.office).keyid != letter.keyid:
            raise SignatureError(f"the answer of {says.office} is signed with another key than its share was made for")
    entry = _recorded_before(clerk.city_log, letter) or clerk.city_log.append(
        f"release-{says.answer}",
        now,
        answer_sha256=letter.sha256,
        keyid=letter.keyid,
        name=letter.name,
        office=says.office,
        reason=says.reason,
        request=says.request,
    )
    recorded = Recorded(
        request_sha256=request.sha256, answer_sha256=letter.sha256, office=says.office, entry=stated(entry)
    )
    return letter, write_letter("release-recorded", recorded, clerk.custodian.unlock().signer)


def open_release(
    raw_request: bytes, raw_shares: Iterable[bytes], clerk: Clerk, *, place: Path, out: Path, now: datetime
) -> Released:
    """Write the named segments, sealed to the investigator alone, into the new folder `out`.

    Args:
        raw_request: The request.
        raw_shares: What the offices handed over.
        clerk: Who opens; the key that shares travelled to does not survive it.
        place: Where the sealed segments are.
        out: Must not exist yet.
        now: Current UTC time, to the second.

    Raises:
        SharesError: Too few offices approved or handed over, or shares do not fit.
        FootageError: A named segment is not there, or not the one that was named.
        LamppostError: Something cannot be read, opened or written; `out` is not there then.
    """
    if os.path.lexists(out):
        raise UsageError(f"{out} is there already", hint="choose another name")
    request = read_request(raw_request, clerk.authority)
    clerk.authority.exporting_key(clerk.custodian.card.key.keyid, now)
    handed = _handed(request, raw_shares, clerk.authority)
    _check_approved(request, handed, clerk.city_log.read())
    segments = _named_segments(request.says, place)
    if not has_opener(clerk.vault_folder, request.says.id):
        raise UsageError(
            f"request {request.says.id} is over, or was made with another vault",
            hint="what is to be opened again is asked for again (JC-8)",
        )
    entry = clerk.city_log.append(
        "release-opened",
        now,
        keyid=clerk.custodian.card.key.keyid,
        office=clerk.custodian.card.office,
        offices=sorted(handed),
        request=request.says.id,
        segments=len(segments),
    )
    vault = clerk.vault()
    opener = [vault.stored_opener(request.says.id)]
    identities = [_joined(one, handed, opener, vault.stored_half(one.epoch.key)) for one in request.says.epochs]
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        files.make_folder(part, mode=files.PRIVATE_FOLDER)
        done = tuple(_reseal(named, found, identities, request.says, part) for named, found in segments)
        released = Released(
            request=request.says.id,
            request_sha256=request.sha256,
            released_at=now,
            investigator=request.says.investigator,
            offices=tuple(sorted(handed)),
            segments=done,
            entry=stated(entry),
        )
        letter = write_letter("released", released, clerk.custodian.unlock().signer)
        files.write_new(part / RELEASED_FILE, letter)
        part.rename(out)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {(error.strerror or str(error)).lower()}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    clerk.city_log.append(
        "release-handed-over", now, released_sha256=sha256(letter).hexdigest(), request=request.says.id
    )
    vault.forget_opener(request.says.id)
    return released


def _recorded_before(city_log: CityLog, letter: Letter[Answer]) -> Entry | None:
    kind = f"release-{letter.says.answer}"
    for event in city_log.read():
        if event.kind == kind and event.facts.get("answer_sha256") == letter.sha256:
            return city_log.entry(event.number)
    return None


def _handed(request: Letter[Request], raw_shares: Iterable[bytes], authority: Authority) -> dict[str, HandedShares]:
    """Return what each office handed over, by office."""
    handed = {}
    for raw in raw_shares:
        letter = read_letter(raw, "release-share", HandedShares, authority)
        if letter.says.request_sha256 != request.sha256:
            raise SignatureError(f"the share of {letter.name} is for another request")
        if letter.says.office != letter.office:
            raise SignatureError(f"a share says it is of {letter.says.office}, and {letter.office} signed it")
        handed[letter.office] = letter.says
    return handed


def _check_approved(request: Letter[Request], handed: Mapping[str, HandedShares], log: Sequence[Event]) -> None:
    """Return if the log holds the approval of every office that handed over, and those are enough."""
    last = {
        str(event.facts.get("office")): event.kind
        for event in log
        if event.kind in {"release-approved", "release-refused"} and event.facts.get("request") == request.says.id
    }
    for office in handed:
        if last.get(office) != "release-approved":
            raise SharesError(f"the city's log holds no approval of {office} for {request.says.id}")
    for one in request.says.epochs:
        asked = {holder.office for holder in one.epoch.shares}
        there = asked & set(handed)
        if len(there) < one.epoch.threshold:
            missing = ", ".join(sorted(asked - there))
            raise SharesError(
                f"{len(there)} of {one.epoch.threshold} shares of the {one.epoch.key} are here",
                hint=f"missing: {missing}",
            )


def _named_segments(request: Request, place: Path) -> tuple[tuple[NamedSegment, FoundSegment], ...]:
    """Return each named segment with its file, which must be the very one."""
    by_file: dict[str, list[FoundSegment]] = {}
    for segment in find_segments(place).segments:
        by_file.setdefault(segment.name.file, []).append(segment)
    found = []
    for named in request.segments:
        same = [one for one in by_file.get(named.file, []) if digest_of_segment(one) == named.sha256]
        if not same:
            raise FootageError(f"{named.file} is not in {place}, or is not the file that was named in the request")
        found.append((named, same[0]))
    return tuple(found)


def _joined(
    one: RequestedEpoch, handed: Mapping[str, HandedShares], opener: Sequence[Identity], half: bytes
) -> Identity:
    epoch = one.epoch
    shares = []
    for office, letter in sorted(handed.items()):
        sealed = [share.sealed for share in letter.shares if share.recipient_sha256 == epoch.recipient_sha256]
        if sealed and any(holder.office == office for holder in epoch.shares):
            shares.append(open_share(base64.b64decode(sealed[0]), opener, epoch.holder(office)))
    return join(shares, half, threshold=epoch.threshold, recipient=epoch.recipient)


def _reseal(
    named: NamedSegment, found: FoundSegment, identities: Sequence[Identity], request: Request, into: Path
) -> ReleasedSegment:
    name = parse_segment_name(named.file)
    path = into / (name.path if name is not None else named.file)
    files.make_folder(path.parent, mode=files.PRIVATE_FOLDER)
    hashed = sha256()
    with path.open("xb") as file:
        for block in rewrap(read_blocks(found), identities, [parse_recipient(request.investigator.recipient)]):
            hashed.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return ReleasedSegment(file=named.file, sha256=hashed.hexdigest(), was_sha256=named.sha256)
