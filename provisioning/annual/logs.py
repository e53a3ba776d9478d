"""Where cameras' logs are read from for a year: copies of them in folders, or the backend that gathered them.

A folder of copies holds one folder for each log, as it lies on a card, named as one likes: whose it is, its
checkpoint says. Beside its checkpoint may lie `witnessed.checkpoint`, what a witness cosigned of it. A camera
that got another card has two logs, and the older comes first.

A log that is not what its camera signed is refused. One that is, and contradicts what a witness saw, or has
holes, is read, and its faults go with it: they are facts about the year.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from agent.core.log.checkpoint import Checkpoint, open_checkpoint, witnessed_at
from agent.core.log.leaf import Event, parse_leaf
from agent.core.log.merkle import Frontier, leaf_hash
from agent.core.log.note import MAX_NOTE_BYTES, VerifierKey, parse_note, parse_verifier_key
from agent.errors import CheckpointSignatureError, LeafFormatError, LogForkedError, UsageError
from provisioning.annual.camera_year import LogOrigin, Year
from provisioning.authority import files
from provisioning.backend.records import ALARMS, LogRecord
from provisioning.backend.store import Store
from provisioning.backend.witness import Witness
from provisioning.evidence.camera_log import CHECKPOINT, CameraLog
from provisioning.footage.accounting import Hole, read_signed

WITNESSED = "witnessed.checkpoint"  # as a camera keeps it beside its own
_CHUNK_LEAVES = 4096
_LATEST = datetime.max.replace(tzinfo=UTC)


class LogCopy(Protocol):
    """One log that can be read."""

    @property
    def origin(self) -> LogOrigin:
        """Which, and what is known of it."""
        ...

    @property
    def begins_at(self) -> datetime:
        """Date of its oldest leaf that is there."""
        ...

    def leaves(self) -> Iterator[Event | Hole]:
        """Yield what it holds, in order; what was yielded holds only if the end is reached.

        Raises:
            LogError: It is not what was signed.
            StorageError: It cannot be read, or contradicts itself.
        """
        ...


def in_order(copies: Sequence[LogCopy]) -> dict[str, tuple[LogCopy, ...]]:
    """Return the logs of each camera, the oldest first.

    Raises:
        UsageError: One log is there twice, and would count twice.
    """
    by_camera: dict[str, list[LogCopy]] = {}
    names = set()
    for copy in sorted(copies, key=lambda one: (one.begins_at, one.origin.name)):
        if copy.origin.name in names:
            raise UsageError(f"the log {copy.origin.name} is there twice", hint="leave one copy of it")
        names.add(copy.origin.name)
        by_camera.setdefault(copy.origin.camera, []).append(copy)
    return {camera: tuple(by_camera[camera]) for camera in sorted(by_camera)}


# --- copies in folders --------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCopy:
    """A log as it lies on a card, or in a copy of it; see `LogCopy`."""

    origin: LogOrigin
    begins_at: datetime
    folder: Path
    log: CameraLog

    def leaves(self) -> Iterator[Event | Hole]:
        """Yield what it holds; see `LogCopy`."""
        return read_signed(self.folder, self.log)


def copies_in(place: Path, keys: Sequence[VerifierKey], witnesses: Sequence[VerifierKey]) -> Iterator[LogCopy]:
    """Yield the logs in the folders of `place`, their signatures and roots verified, their leaves not yet.

    Args:
        place: A folder of folders.
        keys: Of logs, as one knows them from elsewhere. Of another log, its own word is taken, and that is told.
        witnesses: Whose cosignatures count.

    Raises:
        LogError: One is not what was signed, or names no key.
        StorageError: One cannot be read, or contradicts itself.
        UsageError: There is no log in it.
    """
    known = {key.name: key for key in keys}
    found = sorted(path.parent for path in place.glob(f"*/{CHECKPOINT}"))
    if not found:
        raise UsageError(f"{place} holds no folder with a log", hint="one folder for each log: LOGS/cam-07/checkpoint")
    for folder in found:
        yield _folder_copy(folder, known, witnesses)


def _folder_copy(folder: Path, known: Mapping[str, VerifierKey], witnesses: Sequence[VerifierKey]) -> FolderCopy:
    name = parse_note(files.read_capped(folder / CHECKPOINT, max_bytes=MAX_NOTE_BYTES)).text.partition("\n")[0]
    key = known.get(name) or _own_word(folder, name)
    log = CameraLog(folder, key)
    witnessed, faults = _seen_by(folder, log, key, witnesses)
    begins_at = next((parse_leaf(leaf).at for _, leaf in log.leaves()), _LATEST)
    origin = LogOrigin(
        camera=_camera_of(name),
        name=name,
        size=log.checkpoint.size,
        key_known=name in known,
        witnessed=witnessed,
        faults=faults,
    )
    return FolderCopy(origin=origin, begins_at=begins_at, folder=folder, log=log)


def _own_word(folder: Path, name: str) -> VerifierKey:
    """Return the key that a log names for itself; its name holds a digest of it."""
    for path in sorted(folder.glob("events-*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                if b'"log_key"' in line and line.endswith(b"\n"):
                    key = parse_verifier_key(str(parse_leaf(line[:-1]).facts.get("log_key")))
                    if key.name == name:
                        return key
    raise UsageError(f"the log {name} in {folder} names no key", hint="give it: --log-key")


def _seen_by(
    folder: Path, log: CameraLog, key: VerifierKey, witnesses: Sequence[VerifierKey]
) -> tuple[int, tuple[str, ...]]:
    """Return up to how many leaves a witness vouches for a log, and what its cosignature holds against it."""
    if not (folder / WITNESSED).exists():
        return 0, ()
    note = files.read_capped(folder / WITNESSED, max_bytes=MAX_NOTE_BYTES)
    seen = open_checkpoint(note, key)
    if not any(_cosigned(note, witness) for witness in witnesses):
        return 0, ()
    if seen.size > log.checkpoint.size:
        return 0, (f"it is shorter than what a witness saw: {log.checkpoint.size:,} leaves of {seen.size:,}",)
    if log.root(seen.size) != seen.root:
        return 0, (f"a witness saw another log of the same name, with {seen.size:,} leaves",)
    return seen.size, ()


def _cosigned(note: bytes, witness: VerifierKey) -> bool:
    try:
        witnessed_at(note, witness)
    except CheckpointSignatureError:
        return False
    return True


# --- what the backend gathered ------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheredCopy:
    """A log as it came to the backend leaf by leaf; see `LogCopy`.

    What the backend's witness cosigned is held against the leaves; those after it wait for the next checkpoint.
    """

    origin: LogOrigin
    begins_at: datetime
    store: Store
    log_id: str
    seen: Checkpoint | None

    def leaves(self) -> Iterator[Event | Hole]:
        """Yield what came; see `LogCopy`."""
        frontier, expected = Frontier(), 0
        for number, leaf in self._stored():
            event = parse_leaf(leaf)
            if event.number != number:
                raise LeafFormatError(f"leaf {number} of {self.origin.name} says it is {event.number}")
            if number > expected:
                yield Hole(expected, number)
            expected = number + 1
            if frontier.size == number:
                frontier = frontier.append(leaf_hash(leaf))
            if self.seen is not None and frontier.size == self.seen.size == number + 1:
                self._check(frontier)
            yield event
        if expected < self.origin.size:
            yield Hole(expected, self.origin.size)

    def _check(self, frontier: Frontier) -> None:
        if self.seen is not None and frontier.root != self.seen.root:
            raise LogForkedError(
                f"the leaves of {self.origin.name} in the store are not the {self.seen.size} that were witnessed"
            )

    def _stored(self) -> Iterator[tuple[int, bytes]]:
        for first in range(0, self.origin.size, _CHUNK_LEAVES):
            with self.store.transaction() as fleet:
                chunk = fleet.logs.leaves(self.origin.camera, self.log_id, first, first + _CHUNK_LEAVES)
            yield from chunk.items()


def gathered_in(store: Store, witness: Witness | None, year: Year) -> Iterator[LogCopy]:
    """Yield the logs that a backend gathered.

    Args:
        store: The backend's.
        witness: The backend's, or None if it has none.
        year: Of alarms, those count that were raised in it.

    Raises:
        LogError: What the witness keeps is not what it cosigned.
        StorageError: The store cannot be read.
    """
    with store.transaction() as fleet:
        cameras = fleet.cameras.names()
        records = [record for camera in cameras for record in fleet.logs.of(camera)]
        keys = {(one.camera_id, one.log_id): fleet.frontiers.get(one.camera_id, one.log_id) for one in records}
        alarms = {
            camera: tuple(
                f"the backend raised an alarm, {one.kind}: {one.words}"
                for one in fleet.incidents.all(camera)
                if one.kind in ALARMS and one.first_at < year.until and one.last_at >= year.since
            )
            for camera in cameras
        }
    for record in records:
        known = keys[record.camera_id, record.log_id]
        yield _gathered(store, record, None if known is None else known[0], witness, alarms[record.camera_id])


def _gathered(
    store: Store, record: LogRecord, key: VerifierKey | None, witness: Witness | None, alarms: tuple[str, ...]
) -> GatheredCopy:
    seen = None if key is None or witness is None else witness.seen(key)
    with store.transaction() as fleet:
        oldest = fleet.logs.leaves(record.camera_id, record.log_id, 0, _CHUNK_LEAVES)
    lost = (f"{record.lost:,} leaves never came, and no signature covers what came after them",) if record.lost else ()
    origin = LogOrigin(
        camera=record.camera_id,
        name=f"lamppost/{record.camera_id}/{record.log_id}" if key is None else key.name,
        size=record.next,
        key_known=key is not None,
        witnessed=0 if seen is None or record.lost else seen.checkpoint.size,
        faults=(*alarms, *lost),
    )
    return GatheredCopy(
        origin=origin,
        begins_at=next((parse_leaf(leaf).at for leaf in oldest.values()), _LATEST),
        store=store,
        log_id=record.log_id,
        seen=None if seen is None else seen.checkpoint,
    )


def _camera_of(name: str) -> str:
    parts = name.split("/")
    if len(parts) != 3 or parts[0] != "lamppost":  # noqa: PLR2004 - lamppost/CAMERA/KEY; agent/core/log/FORMAT.md, 4
        raise UsageError(f"{name!r} is no name of a camera's log")
    return parts[1]
