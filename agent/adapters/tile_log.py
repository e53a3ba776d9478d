"""The transparency log on disk: entries, whole tiles, a signed checkpoint.

    log/events-000000000000.jsonl    the leaves, a line each (agent.adapters.log_files)
    log/tile/0/000                   256 leaf hashes; only whole tiles are files
    log/tile/1/000                   256 roots of whole tiles of level 0
    log/checkpoint                   what was signed last

What it promises:

1. A leaf is on the disk before `append` returns, and a checkpoint covers only leaves that
   are on the disk. So a power cut takes no leaf that a checkpoint covers, and no two
   different trees of one size are ever signed: the tree of a size is what the disk has.
2. Everything but entries and checkpoint follows from the entries. A tile is written once,
   when it is whole, under its name only when its content is durable; what a power cut left
   unwritten is made again when the log is opened. Entries are dropped only when the
   tiles that hold their hashes are durable.
3. A log that is shorter than, or differs from, what its own checkpoint says is not added
   to: an earlier state of the disk was put back, or the disk lost what it had confirmed.

An append costs one sync, as before there was a tree; every 256th a tile. Memory holds the
last tile of each level and a few that proofs asked for, whatever the log's size.
"""

import contextlib
import logging
import os
import threading
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Self

from agent.adapters.atomic_files import TEMPORARY_SUFFIX, read_capped, storage_error
from agent.adapters.disk import Disk
from agent.adapters.log_files import LogFiles, read_leaves
from agent.core.log.checkpoint import Checkpoint, log_key, open_checkpoint, sign_checkpoint
from agent.core.log.leaf import Fact
from agent.core.log.merkle import consistency_proof, inclusion_proof, leaf_hash, root
from agent.core.log.note import MAX_NOTE_BYTES
from agent.core.log.tiles import TILE_BYTES, TILE_WIDTH, TiledTree, TileId, parent_tile
from agent.errors import LogDamagedError, LogError, StorageError
from agent.ports import Keyring

_log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint"
_CACHED_TILES = 64  # half a megabyte; a proof reads about twice as many tiles as the tree has levels of them
_MOVE_ASIDE = "move the folder aside and keep it as evidence; a new log begins, and the backend will say so"


class TileLog:
    """The `EventLog` of a device, for one writer. Use as a context manager, or `close` it.

    Args:
        folder: Where the log lies; made if missing.
        camera_id: Whose log it is.
        keyring: Signs its checkpoints.
        max_file_bytes: Length at which the next file of entries is begun.
        keep_files: How many files of entries to keep; the default, a gigabyte, is 90 days of segments of one layer.
        disk: How files are written.

    Raises:
        LogDamagedError: The log on the disk is not the one that was signed, or another key signed it.
        StorageError: The folder cannot be read or written, or another process writes there.
    """

    def __init__(
        self,
        folder: Path,
        camera_id: str,
        keyring: Keyring,
        *,
        max_file_bytes: int = 4 * 1024 * 1024,
        keep_files: int = 256,
        disk: Disk | None = None,
    ) -> None:
        self._folder = folder
        self._keyring = keyring
        self._disk = disk or Disk()
        self._lock = threading.Lock()  # the pipeline and the policy watch both write
        self._unkept: dict[TileId, bytes] = {}  # whole, and not on the disk yet
        self._cached_tile = lru_cache(maxsize=_CACHED_TILES)(self._read_tile)
        self.key = log_key(camera_id, keyring.public)
        self._entries = LogFiles(folder, max_file_bytes=max_file_bytes, keep_files=keep_files, disk=self._disk)
        try:
            self._tree = self._take_up()
            self._published = self._compare_with_checkpoint()
        except OSError as error:
            self.close()
            raise storage_error("open the log in", folder, error) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        self._entries.close()

    @property
    def key_kind(self) -> str:
        """Where the key is kept."""
        return self._keyring.kind

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._tree.size

    @property
    def repaired_bytes(self) -> int:
        """How much of a torn last entry was cut off when the log was opened."""
        return self._entries.repaired_bytes

    def append(self, kind: str, at: datetime, **facts: Fact) -> None:
        """Make one event durable.

        Args:
            kind: What happened: lower case words joined by hyphens, such as "policy-applied".
            at: When, aware UTC.
            facts: What else is worth keeping; never a picture, never a person.

        Raises:
            ValueError: `kind` or a fact's name is not one, or the event is longer than a leaf may be.
            StorageError: It could not be kept; nothing of it is in the log.
        """
        with self._lock:
            leaf = self._entries.append(kind, at, **facts)
            self._grow(self._tree, leaf)

    def publish(self) -> bool:
        """Sign the log as it is, and make the checkpoint durable; return whether there was something new to sign.

        Raises:
            StorageError: It could not be kept; the one before stands.
            LogKeyError: The key cannot be used.
        """
        with self._lock:
            size = self._tree.size
            if size == self._published:
                return False
            checkpoint = Checkpoint(origin=self.key.name, size=size, root=root(self._tree, size))
            note = sign_checkpoint(checkpoint, self.key, self._keyring.sign).to_bytes()
            path = self._folder / CHECKPOINT
            try:
                self._replace(path, note)
            except OSError as error:
                raise storage_error("write", path, error) from error
            self._published = size
            return True

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return what shows leaf `index` to be in the tree of `size` leaves.

        Raises:
            ValueError: There is no such leaf or tree.
            StorageError: A tile cannot be read.
        """
        with self._lock:
            self._check_size(size)
            return inclusion_proof(self._tree, index, size)

    def consistency_proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return what shows the tree of `old` leaves to be the beginning of the tree of `new`.

        Raises:
            ValueError: There is no such tree.
            StorageError: A tile cannot be read.
        """
        with self._lock:
            self._check_size(new)
            return consistency_proof(self._tree, old, new)

    def tile(self, wanted: TileId) -> bytes:
        """Return a whole or partial tile.

        Raises:
            ValueError: There is no such tile yet.
            StorageError: It cannot be read.
        """
        with self._lock:
            return self._tree.tile(wanted)

    def _check_size(self, size: int) -> None:
        if size > self._tree.size:
            raise ValueError(f"no tree of {size} leaves in a log of {self._tree.size}")

    # --- growing ------------------------------------------------------------------

    def _grow(self, tree: TiledTree, leaf: bytes) -> None:
        """Add a leaf that is durable. Never raises: a tile that cannot be written now is written later."""
        self._unkept.update((whole.id, whole.content) for whole in tree.append(leaf_hash(leaf)))
        if not self._unkept:
            return
        try:
            for tile in tuple(self._unkept):
                self._keep(tile, self._unkept[tile])
                del self._unkept[tile]
            self._entries.trim(tree.size - tree.size % TILE_WIDTH)
        except (OSError, StorageError) as error:
            _log.warning("a tile of the log waits: %s", error)

    def _keep(self, tile: TileId, content: bytes) -> None:
        path = self._folder / tile.path
        self._disk.make_folders(path.parent, mode=0o750)
        self._replace(path, content)

    def _replace(self, path: Path, content: bytes) -> None:
        """Make `path` hold `content`, or leave it as it was. Raises OSError."""
        temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")  # one writer, so that one name is enough
        with contextlib.suppress(FileNotFoundError):
            self._disk.remove(temporary)
        descriptor = self._disk.create(temporary)
        try:
            os.fchmod(descriptor, 0o640)  # whatever the umask: the link's group reads the log
            self._disk.write(descriptor, content)
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)
        self._disk.rename(temporary, path)
        self._disk.sync_directory(path.parent)

    # --- taking up what is there --------------------------------------------------

    def _take_up(self) -> TiledTree:
        """Return the tree of all entries, with the tiles written that a power cut, or a full disk, left unwritten."""
        size = self._entries.following
        whole = size // TILE_WIDTH
        while whole and not self._has(TileId(0, whole - 1)):
            whole -= 1
        self._complete(whole)
        if whole:  # a process that died may have renamed it, and no more
            self._disk.sync_directory((self._folder / TileId(0, whole - 1).path).parent)
        tree = TiledTree(whole * TILE_WIDTH, [], self._whole_tile)
        for number, leaf in read_leaves(self._folder, start=tree.size):
            if number != tree.size:
                raise LogDamagedError(f"{self._folder} has no entry {tree.size}, and no tile for it", hint=_MOVE_ASIDE)
            self._grow(tree, leaf)
        if tree.size != size:
            raise LogDamagedError(f"{self._folder} has no entry {tree.size}, expected {size}", hint=_MOVE_ASIDE)
        return tree

    def _complete(self, tiles: int) -> None:
        """Write the last whole tile of each higher level, if it is missing; they are written from below upwards."""
        level = 0
        while tiles >= TILE_WIDTH:
            tiles //= TILE_WIDTH
            level += 1
            tile = TileId(level, tiles - 1)
            if self._has(tile):
                self._disk.sync_directory((self._folder / tile.path).parent)
            else:
                self._unkept[tile] = parent_tile(tile, self._whole_tile)

    def _has(self, tile: TileId) -> bool:
        return (self._folder / tile.path).exists()

    def _compare_with_checkpoint(self) -> int:
        """Return how many leaves are signed for. Raises LogDamagedError if they are not the leaves there are."""
        path = self._folder / CHECKPOINT
        try:
            signed = open_checkpoint(read_capped(path, max_bytes=MAX_NOTE_BYTES), self.key)
        except FileNotFoundError:
            return -1
        except LogError as error:
            raise LogDamagedError(f"{path} is not by the key of this device: {error}", hint=_MOVE_ASIDE) from error
        if signed.size > self._tree.size:
            raise LogDamagedError(
                f"{self._folder} has {self._tree.size} entries, and {signed.size} were signed for", hint=_MOVE_ASIDE
            )
        if root(self._tree, signed.size) != signed.root:
            raise LogDamagedError(f"{self._folder} differs from what was signed at {signed.size}", hint=_MOVE_ASIDE)
        return signed.size

    # --- tiles --------------------------------------------------------------------

    def _whole_tile(self, tile: TileId) -> bytes:
        return self._unkept.get(tile) or self._cached_tile(tile)

    def _read_tile(self, tile: TileId) -> bytes:
        path = self._folder / tile.path
        try:
            content = read_capped(path, max_bytes=TILE_BYTES)
        except FileNotFoundError as error:
            raise LogDamagedError(f"{path} is missing", hint=_MOVE_ASIDE) from error
        if len(content) != TILE_BYTES:
            raise LogDamagedError(f"{path} has {len(content)} bytes, expected {TILE_BYTES}", hint=_MOVE_ASIDE)
        return content
