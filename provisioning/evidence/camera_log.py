"""A camera's log as it lies on its card, or in a copy: leaves, and the proofs that they are in it.

Only read, never written. Leaves come from the files of entries; tiles from the disk where
they are whole, from the entries where not. agent/core/log/FORMAT.md has the bytes.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from agent.core.log.checkpoint import Checkpoint, open_checkpoint
from agent.core.log.leaf import MAX_LEAF_BYTES
from agent.core.log.merkle import HASH_BYTES, consistency_proof, inclusion_proof, leaf_hash, root, whole_root
from agent.core.log.note import MAX_NOTE_BYTES, VerifierKey
from agent.core.log.tiles import TILE_BYTES, TILE_WIDTH, TiledTree, TileId
from agent.errors import LogDamagedError, LogGapError, StorageError
from provisioning.authority import files

CHECKPOINT = "checkpoint"
_CACHED_TILES = 64  # half a megabyte; the proofs of a run read the same few tiles
_ENTRIES = re.compile(r"events-([0-9]{12})\.jsonl")


class CameraLog:
    """One camera's log, up to its signed checkpoint.

    Args:
        folder: Where it lies.
        key: The log's.

    Attributes:
        note: The signed checkpoint, as it lies there.
        checkpoint: What it says.

    Raises:
        CheckpointFormatError: There is no checkpoint in it.
        CheckpointSignatureError: The camera's key did not sign it.
        LogDamagedError: What lies here is not what was signed.
        StorageError: It cannot be read.
    """

    def __init__(self, folder: Path, key: VerifierKey) -> None:
        self._folder = folder
        self.note = files.read_capped(folder / CHECKPOINT, max_bytes=MAX_NOTE_BYTES)
        self.checkpoint: Checkpoint = open_checkpoint(self.note, key)
        size = self.checkpoint.size
        whole_tile = lru_cache(maxsize=_CACHED_TILES)(self._whole_tile)
        self._tree = TiledTree(size, self._hashes(size - size % TILE_WIDTH, size), whole_tile)
        if root(self._tree, size) != self.checkpoint.root:
            raise LogDamagedError(f"{folder} is not the log that its checkpoint signs")

    def leaves(self, first: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield index and bytes of the leaves [first, end) that are here, up to the checkpoint.

        Raises:
            StorageError: A file cannot be read.
        """
        stop = self.checkpoint.size if end is None else min(end, self.checkpoint.size)
        found = self._files()
        for number, (begins, path) in enumerate(found):
            ends = found[number + 1][0] if number + 1 < len(found) else stop
            if ends > first and begins < stop:
                yield from self._lines(begins, path, first, stop)

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """Return what shows leaf `index` to be in the tree of the checkpoint."""
        return inclusion_proof(self._tree, index, self.checkpoint.size)

    def consistency_proof(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """Return what shows the tree of `old` leaves to be the beginning of that of `new`, or of the checkpoint's."""
        return consistency_proof(self._tree, old, self.checkpoint.size if new is None else new)

    def root(self, size: int) -> bytes:
        """Return the root of the tree of the first `size` leaves."""
        return root(self._tree, size)

    def _files(self) -> list[tuple[int, Path]]:
        try:
            names = sorted(path for path in self._folder.iterdir() if _ENTRIES.fullmatch(path.name))
        except OSError as error:
            raise StorageError(f"cannot read {self._folder}: {(error.strerror or str(error)).lower()}") from error
        return [(int(path.stem.removeprefix("events-")), path) for path in names]

    def _lines(self, begins: int, path: Path, first: int, stop: int) -> Iterator[tuple[int, bytes]]:
        try:
            with path.open("rb") as file:
                for index, line in enumerate(iter(lambda: file.readline(MAX_LEAF_BYTES + 2), b""), begins):
                    if index >= stop or not line.endswith(b"\n"):
                        return
                    if index >= first:
                        yield index, line[:-1]
        except OSError as error:
            raise StorageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error

    def _hashes(self, first: int, end: int) -> list[bytes]:
        hashes = [leaf_hash(leaf) for _, leaf in self.leaves(first, end)]
        if len(hashes) != end - first:
            raise LogGapError(f"{self._folder} lacks leaves between {first} and {end}")
        return hashes

    def _whole_tile(self, tile: TileId) -> bytes:
        path = self._folder / tile.path
        if path.exists():
            content = files.read_capped(path, max_bytes=TILE_BYTES)
            if len(content) != TILE_BYTES:
                raise LogDamagedError(f"{path} has {len(content)} bytes, expected {TILE_BYTES}")
            return content
        first = tile.index * TILE_WIDTH
        if tile.level == 0:
            return b"".join(self._hashes(first, first + TILE_WIDTH))
        below = (self._whole_tile(TileId(tile.level - 1, first + n)) for n in range(TILE_WIDTH))
        return b"".join(
            whole_root([content[at : at + HASH_BYTES] for at in range(0, TILE_BYTES, HASH_BYTES)]) for content in below
        )
