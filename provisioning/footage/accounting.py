"""Hold a camera's log against itself, and footage against the log.

Every leaf hash is taken from the entry where it is still there and from the tile where it
is not, from both where both are, and all of them together must give the root that the
camera signed. So nothing in the folder can be changed, cut out, put in or swapped unseen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from agent.core.log.checkpoint import Checkpoint
from agent.core.log.leaf import Event, parse_leaf
from agent.core.log.merkle import HASH_BYTES, Frontier, leaf_hash
from agent.core.log.note import VerifierKey
from agent.core.log.tiles import TILE_BYTES, TILE_WIDTH, TileId
from agent.core.segment_name import parse_segment_name
from agent.errors import LeafFormatError, LogDamagedError, LogForkedError, LogGapError, StorageError
from provisioning.authority import files
from provisioning.evidence.camera_log import CameraLog

SEGMENT_KINDS = frozenset({"segment-stored", "segment-recovered"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a log was found to be.

    Attributes:
        checkpoint: What the camera signed.
        first: Index of the oldest entry that is still there; those before are hashes only.
        kinds: How many of the entries are of each kind.
        segments: What the entries say of each file of footage: its SHA-256 and over how many bytes.
    """

    checkpoint: Checkpoint
    first: int
    kinds: Mapping[str, int]
    segments: Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True, order=True)
class Disagreement:
    """A file of footage that the log does not vouch for.

    Attributes:
        file: Its name.
        words: What is wrong with it.
    """

    file: str
    words: str


@dataclass(frozen=True, slots=True)
class Hole:
    """Leaves of which the hashes are there, and the log holds, but nobody can say any more what was in them.

    Attributes:
        first: Index of the first.
        end: Index after the last.
    """

    first: int
    end: int


def account(folder: Path, key: VerifierKey) -> Account:
    """Return what the log in `folder` is.

    Args:
        folder: Where it lies.
        key: The log's.

    Raises:
        CheckpointFormatError: There is no checkpoint in it.
        CheckpointSignatureError: It was not signed with this key.
        LogGapError: Leaves are missing.
        LogForkedError: Its leaves are not the ones that were signed.
        LogDamagedError: An entry and a tile contradict each other.
        LeafFormatError: An entry is none.
        StorageError: It cannot be read.
    """
    log = CameraLog(folder, key)
    first: int | None = None
    kinds: dict[str, int] = {}
    segments: dict[str, tuple[str, int]] = {}
    for each in read_signed(folder, log):
        if isinstance(each, Hole):
            continue
        first = each.number if first is None else first
        kinds[each.kind] = kinds.get(each.kind, 0) + 1
        segments.update(_segment(each))
    size = log.checkpoint.size
    return Account(checkpoint=log.checkpoint, first=size if first is None else first, kinds=kinds, segments=segments)


def read_signed(folder: Path, log: CameraLog) -> Iterator[Event | Hole]:
    """Yield what the log in `folder` holds, from its first leaf to its checkpoint.

    It is what was signed only if the end is reached: whoever adds it up says nothing of it before.

    Raises:
        LogGapError: Leaves are missing, and so are the tiles with their hashes.
        LogForkedError: Its leaves are not the ones that were signed.
        LogDamagedError: An entry and a tile contradict each other.
        LeafFormatError: An entry is none.
        StorageError: It cannot be read.
    """
    size, frontier, known = log.checkpoint.size, Frontier(), 0
    entries = log.leaves()
    index, leaf = next(entries, (size, b""))
    for number, tiled in enumerate(_tiled_hashes(folder, size)):
        if number < index:
            if tiled is None:
                raise LogGapError(f"{folder} has neither leaf {number} nor a tile for it")
            frontier = frontier.append(tiled)
            continue
        hashed = leaf_hash(leaf)
        if tiled not in {None, hashed}:
            raise LogDamagedError(f"leaf {number} was altered: it is not the one its tile holds")
        frontier = frontier.append(hashed)
        event = parse_leaf(leaf)
        if event.number != number:
            raise LeafFormatError(f"leaf {number} says it is {event.number}")
        if known < number:
            yield Hole(known, number)
        known = number + 1
        yield event
        index, leaf = next(entries, (size, b""))
    if frontier.root != log.checkpoint.root:
        raise LogForkedError(f"the leaves in {folder} are not the {size} that were signed for")
    if known < size:
        yield Hole(known, size)


def disagreements(account: Account, footage: Path) -> Iterator[Disagreement]:
    """Yield the files below `footage` that the log does not tell of, or tells otherwise, in order.

    A file that the log tells of and that is not there is no disagreement: retention removes.

    Raises:
        StorageError: A file cannot be read.
    """
    for path in sorted(footage.rglob("*.age")):
        if parse_segment_name(path.name) is None:
            continue
        told = account.segments.get(path.name)
        if told is None:
            yield Disagreement(path.name, "the log does not tell of it")
            continue
        sha256, size_bytes = told
        try:
            with path.open("rb") as file:
                found = path.stat().st_size, file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
        if found[0] != size_bytes:
            yield Disagreement(path.name, f"it has {found[0]} bytes, and had {size_bytes}")
        elif found[1] != sha256:
            yield Disagreement(path.name, "it was altered")


def _tiled_hashes(folder: Path, size: int) -> Iterator[bytes | None]:
    """Yield each leaf's hash as the tiles of level 0 have it, or None where there is no whole tile."""
    for tile in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - tile * TILE_WIDTH)
        path = folder / TileId(0, tile).path
        if not path.exists():
            yield from (None for _ in range(width))
            continue
        content = files.read_capped(path, max_bytes=TILE_BYTES)
        if len(content) != TILE_BYTES:
            raise LogDamagedError(f"{path} has {len(content)} bytes, expected {TILE_BYTES}")
        yield from (content[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES))


def _segment(event: Event) -> dict[str, tuple[str, int]]:
    match event.facts:
        case {"file": str(file), "sha256": str(sha256), "size_bytes": int(size_bytes)} if event.kind in SEGMENT_KINDS:
            return {file: (sha256, size_bytes)}
    return {}
