"""Keep what is held openable when its day's key dies: a new header for exactly the held segments.

    VAULT/holds/h-custodian-2026-001.age            the hold's own key
    VAULT/held/h-custodian-2026-001/<segment>.header  the segment's header, its file key wrapped for that key
    VAULT/held/h-custodian-2026-001/held.json       which segments, and their digests

The camera keeps the segments themselves: it obeys the same hold. A segment beside the span
gets no header here, so it dies with its day, whoever still has a copy. Exactly held means
what is in the picture: a segment of which one fragment lies in the span.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from agent.core.policy.documents import Document, Grant, Hold
from agent.core.policy.refusals import first_problem
from agent.core.policy.words import Sha256, Slug, Strict, VersionOne
from agent.core.retention import LONGEST_SEGMENT
from agent.core.sealing.age_file import rewrap
from agent.core.sealing.recipients import Identity
from agent.core.video import Layer
from agent.errors import FootageError, StorageError, UsageError
from provisioning.authority import files
from provisioning.authority.vault import DayKey, Vault, kept
from provisioning.evidence.city_log import CityLog
from provisioning.evidence.statement import Moment, RelativePath
from provisioning.footage.catalogue import HEADER_SUFFIX, FoundSegment, find_segments, read_blocks
from provisioning.footage.opening import cut, open_segment

HELD_FOLDER = "held"
HELD_FILE = "held.json"
MAX_HELD_BYTES = 16 * 1024 * 1024


class HeldSegment(Strict):
    """One segment that a hold keeps.

    Attributes:
        sha256: Of the sealed file, as the camera wrote it.
        header_sha256: Of the header that was made for it.
    """

    file: RelativePath
    starts_at: Moment
    sha256: Sha256
    header_sha256: Sha256


class Held(Strict):
    """All segments that one hold keeps, in the order of their files."""

    kind: Literal["lamppost-held"]
    version: VersionOne
    hold: Slug
    segments: Annotated[tuple[HeldSegment, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrapped:
    """What one round did.

    Attributes:
        made: Headers that were made now.
        kept: Headers that the hold has, with those.
        sealed_layer: Segments of the sealed layer in the span; offices must release them, or they die on time.
        already_dead: Segments of the span whose day's key is destroyed already.
    """

    made: int
    kept: int
    sealed_layer: int
    already_dead: int


def standing_holds(documents: Sequence[Document], now: datetime) -> tuple[Hold, ...]:
    """Return the holds that no grant in force lifts, by id."""
    lifted = {
        lifted
        for document in documents
        if isinstance(document, Grant) and document.starts_at <= now < document.ends_at
        for lifted in document.lifts
    }
    holds = (one for one in documents if isinstance(one, Hold) and one.id not in lifted and one.starts_at <= now)
    return tuple(sorted(holds, key=lambda one: one.id))


def holds_day(hold: Hold, key: DayKey) -> bool:
    """Tell whether a hold keeps footage that was sealed on the day of `key`."""
    return any(
        span.starts_at.date() <= key.day <= (span.ends_at - timedelta(microseconds=1)).date() for span in hold.spans
    )


def rewrap_held(
    hold: Hold,
    *,
    place: Path,
    folder: Path,
    vault: Callable[[], Vault],
    city_log: CityLog,
    now: datetime,
) -> Rewrapped:
    """Make the headers that a hold keeps, for what lies in `place`; those that are there already stay.

    Args:
        hold: The hold.
        place: A card, or a folder of footage.
        folder: The vault's.
        vault: Opens it; called only after the city's log says what for.
        city_log: Where it is told.
        now: Current UTC time.

    Raises:
        FootageError: Nothing that is held is there.
        StorageError: Something cannot be read or written.
    """
    segments = [one for one in find_segments(place).segments if _may_be_held(one, hold)]
    masked = [one for one in segments if one.name.layer is Layer.MASKED]
    if not masked:
        raise FootageError(f"nothing that {hold.id} holds is in {place}")
    city_log.append("hold-rewrap-begun", now, case=hold.case, hold=hold.id, segments=len(masked))
    opened = vault()
    recipient = opened.hold(hold.id).recipient
    into = folder / HELD_FOLDER / hold.id
    files.make_folder(into, mode=files.PRIVATE_FOLDER)
    before = {one.file: one for one in _held_before(into)}
    held = dict(before)
    dead = 0
    for segment in masked:
        if segment.name.file in held:
            continue
        identities = _identities(opened, folder, segment)
        if not identities:
            dead += 1
        elif _is_in(segment, identities, hold):
            header = next(iter(rewrap(read_blocks(segment), identities, [recipient])))
            files.write_whole(into / f"{segment.name.file}{HEADER_SUFFIX}", header, mode=files.PRIVATE)
            held[segment.name.file] = HeldSegment(
                file=segment.name.file,
                starts_at=segment.name.started_at,
                sha256=_digest(segment),
                header_sha256=sha256(header).hexdigest(),
            )
    made = len(held) - len(before)
    if made:
        listed = Held(
            kind="lamppost-held", version=1, hold=hold.id, segments=tuple(held[file] for file in sorted(held))
        )
        raw = listed.model_dump_json(indent=2).encode() + b"\n"
        files.write_whole(into / HELD_FILE, raw, mode=files.PRIVATE)
        city_log.append(
            "hold-rewrapped", now, held_sha256=sha256(raw).hexdigest(), hold=hold.id, made=made, segments=len(held)
        )
    sealed_layer = sum(one.name.layer is Layer.SEALED for one in segments)
    return Rewrapped(made=made, kept=len(held), sealed_layer=sealed_layer, already_dead=dead)


def held_segments(folder: Path, hold_id: str) -> tuple[HeldSegment, ...]:
    """Return the segments that a hold keeps, as far as headers were made.

    Raises:
        StorageError: The list was changed.
    """
    return _held_before(folder / HELD_FOLDER / hold_id)


def forget_headers(folder: Path, hold_id: str) -> None:
    """Remove what a hold kept; without its key it opened nothing any more."""
    into = folder / HELD_FOLDER / hold_id
    if into.is_dir():
        for path in into.iterdir():
            path.unlink()
        into.rmdir()
        files.sync_folder(into.parent)


def find_hold(documents: Sequence[Document], hold_id: str, now: datetime) -> Hold:
    """Return the hold of this id, if it stands.

    Raises:
        UsageError: It does not.
    """
    standing = standing_holds(documents, now)
    for hold in standing:
        if hold.id == hold_id:
            return hold
    known = ", ".join(one.id for one in standing) or "none"
    raise UsageError(f"no hold {hold_id} stands in this city", hint=f"holds that stand: {known}")


def _held_before(into: Path) -> tuple[HeldSegment, ...]:
    path = into / HELD_FILE
    if not path.exists():
        return ()
    try:
        return Held.model_validate_json(files.read_capped(path, max_bytes=MAX_HELD_BYTES)).segments
    except ValidationError as error:
        raise StorageError(f"{path} is no list of what is held: {first_problem(error)}") from error


def _may_be_held(segment: FoundSegment, hold: Hold) -> bool:
    name = segment.name
    if name.running or (hold.cameras != "all" and name.camera_id not in hold.cameras):
        return False
    ends_at = name.started_at + LONGEST_SEGMENT
    return any(name.started_at < span.ends_at and ends_at > span.starts_at for span in hold.spans)


def _identities(vault: Vault, folder: Path, segment: FoundSegment) -> list[Identity]:
    """Return what the vault has that opens footage of the segment's day."""
    day = segment.name.started_at.date()
    keys = [key for key in kept(folder) if key.day == day and key.layer == "masked"]
    return [vault.stored(key) for key in sorted(keys)]


def _is_in(segment: FoundSegment, identities: Sequence[Identity], hold: Hold) -> bool:
    opened = open_segment(segment, identities)
    return any(cut(segment, opened, start_at=span.starts_at, end_at=span.ends_at) is not None for span in hold.spans)


def _digest(segment: FoundSegment) -> str:
    hashed = sha256()
    for block in read_blocks(segment):
        hashed.update(block)
    return hashed.hexdigest()
