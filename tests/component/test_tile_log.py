"""The log on disk is the tree of its leaves, signs for exactly that, and is never added to if it is another."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.adapters.log_files import MAX_LINE_BYTES, read_events, read_leaves
from agent.adapters.tile_log import TileLog
from agent.core.log.checkpoint import Checkpoint, open_checkpoint
from agent.core.log.merkle import EMPTY_ROOT, leaf_hash, root, verify_consistency, verify_inclusion
from agent.core.log.tiles import TiledTree, TileId
from agent.errors import LogDamagedError, StorageError
from tests.fakes.failing_disk import FailingDisk

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


class MemoryKeyring:
    kind = "memory"

    def __init__(self, seed: int = 0) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class QuickDisk(FailingDisk):
    """A disk that does not wait for the medium: nothing here is about power cuts."""

    def sync(self, descriptor: int) -> None:
        self._call("sync")


def open_log(folder: Path, *, seed: int = 0, keep_files: int = 64, disk: FailingDisk | None = None) -> TileLog:
    return TileLog(
        folder,
        "pole-7",
        MemoryKeyring(seed),
        max_file_bytes=MAX_LINE_BYTES,
        keep_files=keep_files,
        disk=disk or QuickDisk(),
    )


def fill(log: TileLog, count: int, padding: int = 0) -> None:
    for _ in range(count):
        log.append("boot", NOON, padding="x" * padding)


def published(folder: Path, log: TileLog) -> Checkpoint:
    return open_checkpoint((folder / "checkpoint").read_bytes(), log.key)


def tree_of(folder: Path) -> tuple[int, bytes]:
    tiles: dict[TileId, bytes] = {}
    tree = TiledTree(0, [], tiles.__getitem__)
    for _, leaf in read_leaves(folder):
        tiles.update((whole.id, whole.content) for whole in tree.append(leaf_hash(leaf)))
    return tree.size, root(tree, tree.size)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_checkpoint_is_of_the_leaves_there_are(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.publish()
        assert published(tmp_path, log) == Checkpoint(origin=log.key.name, size=0, root=EMPTY_ROOT)

        fill(log, 600)
        assert log.publish()

        size, top = tree_of(tmp_path)
        assert published(tmp_path, log) == Checkpoint(origin=log.key.name, size=size, root=top)
        assert size == 600


def test_there_is_nothing_to_publish_twice(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        fill(log, 1)
        assert [log.publish(), log.publish()] == [True, False]
    with open_log(tmp_path) as log:
        assert not log.publish()


def test_every_published_state_leads_to_the_next_across_restarts(tmp_path: Path) -> None:
    seen: list[Checkpoint] = []
    for _ in range(4):
        with open_log(tmp_path) as log:
            fill(log, 200)
            log.publish()
            seen.append(published(tmp_path, log))

    with open_log(tmp_path) as log:
        for old in seen:
            verify_consistency(
                old=old.size,
                new=seen[-1].size,
                old_root=old.root,
                new_root=seen[-1].root,
                proof=log.consistency_proof(old.size, seen[-1].size),
            )
        for index, leaf in list(read_leaves(tmp_path))[::37]:
            verify_inclusion(
                index=index,
                size=800,
                leaf=leaf_hash(leaf),
                proof=log.inclusion_proof(index, 800),
                root=seen[-1].root,
            )
        with pytest.raises(ValueError, match="no tree of 801"):
            log.inclusion_proof(0, 801)
        with pytest.raises(ValueError, match="no tree of 801"):
            log.consistency_proof(1, 801)


def test_entries_go_and_their_proofs_stay(tmp_path: Path) -> None:
    with open_log(tmp_path, keep_files=2) as log:
        log.append("started", NOON)
        (_, first) = next(read_leaves(tmp_path))
        fill(log, 700, padding=100)
        log.publish()

        oldest = next(read_events(tmp_path)).number
        assert 0 < oldest < 512
        verify_inclusion(
            index=0,
            size=701,
            leaf=leaf_hash(first),
            proof=log.inclusion_proof(0, 701),
            root=published(tmp_path, log).root,
        )


def test_whole_tiles_are_files_and_partial_ones_are_made_when_asked_for(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        fill(log, 300)

        hashes = [leaf_hash(leaf) for _, leaf in read_leaves(tmp_path)]
        assert (tmp_path / "tile" / "0" / "000").read_bytes() == b"".join(hashes[:256])
        assert log.tile(TileId(0, 1, 44)) == b"".join(hashes[256:])
        assert [path.name for path in (tmp_path / "tile").rglob("*") if path.is_file()] == ["000"]


def test_a_disk_that_cannot_take_a_tile_loses_no_event_and_takes_it_later(tmp_path: Path) -> None:
    disk = QuickDisk()
    with open_log(tmp_path, keep_files=1, disk=disk) as log:
        fill(log, 255, padding=100)
        disk.fail(28, "rename")
        fill(log, 300, padding=100)
        assert next(read_events(tmp_path)).number == 0  # no entry goes while its hash is in no tile
        disk.heal()
        with pytest.raises(LogDamagedError):  # it is not there yet
            log._read_tile(TileId(0, 0))
        fill(log, 1)

        assert log.size == 556
        assert (tmp_path / "tile" / "0" / "001").exists()
        log.publish()
        assert log.inclusion_proof(0, 556)


def test_a_checkpoint_that_cannot_be_kept_leaves_the_one_before(tmp_path: Path) -> None:
    disk = QuickDisk()
    with open_log(tmp_path, disk=disk) as log:
        fill(log, 1)
        log.publish()
        before = (tmp_path / "checkpoint").read_bytes()
        fill(log, 1)

        disk.fail(28, "write")
        with pytest.raises(StorageError, match="no space"):
            log.publish()
        disk.heal()
        assert (tmp_path / "checkpoint").read_bytes() == before

        assert log.publish()
        assert published(tmp_path, log).size == 2


def test_a_log_of_lines_alone_gets_its_tree(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        fill(log, 300)
    shutil.rmtree(tmp_path / "tile")

    with open_log(tmp_path) as log:
        log.publish()

        assert (published(tmp_path, log).size, published(tmp_path, log).root) == tree_of(tmp_path)
    assert (tmp_path / "tile" / "0" / "000").exists()


def published_log(folder: Path, *, keep_files: int = 64) -> None:
    with open_log(folder, keep_files=keep_files) as log:
        fill(log, 600, padding=100)
        log.publish()


def refuse_and_leave_alone(folder: Path, match: str, **how: int) -> None:
    before = contents(folder)
    with pytest.raises(LogDamagedError, match=match):
        open_log(folder, **how)
    assert contents(folder) == before


def test_a_log_shorter_than_what_it_signed_is_not_added_to(tmp_path: Path) -> None:
    published_log(tmp_path)
    newest = max(tmp_path.glob("events-*"))
    newest.write_bytes(newest.read_bytes().split(b"\n", 1)[0] + b"\n")

    refuse_and_leave_alone(tmp_path, r"600 were signed for")


def test_a_changed_entry_is_found_if_no_tile_holds_it_yet(tmp_path: Path) -> None:
    published_log(tmp_path)
    newest = max(tmp_path.glob("events-*"))
    newest.write_bytes(newest.read_bytes().replace(b"boot", b"b00t"))

    refuse_and_leave_alone(tmp_path, "differs from what was signed at 600")


def test_a_log_that_another_key_signed_is_not_added_to(tmp_path: Path) -> None:
    published_log(tmp_path)

    refuse_and_leave_alone(tmp_path, "not by the key of this device", seed=1)


def test_a_log_that_lost_a_tile_it_cannot_make_again_is_not_added_to(tmp_path: Path) -> None:
    published_log(tmp_path, keep_files=1)
    (tmp_path / "tile" / "0" / "000").unlink()

    refuse_and_leave_alone(tmp_path, "missing")

    (tmp_path / "tile" / "0" / "001").unlink()
    refuse_and_leave_alone(tmp_path, "no entry 0")


def test_a_tile_cut_short_is_found(tmp_path: Path) -> None:
    published_log(tmp_path)
    (tmp_path / "tile" / "0" / "001").write_bytes(bytes(100))

    refuse_and_leave_alone(tmp_path, "100 bytes, expected 8192")


def test_an_entry_missing_in_the_newest_file_is_found(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        fill(log, 3)
    (only,) = tmp_path.glob("events-*")
    only.rename(tmp_path / "events-000000000001.jsonl")

    refuse_and_leave_alone(tmp_path, "no entry 0")


def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        with pytest.raises(StorageError, match="another process"):
            open_log(tmp_path)

        fill(log, 1)
        assert log.size == 1


def test_a_disk_that_fails_while_the_log_is_opened_is_told(tmp_path: Path) -> None:
    published_log(tmp_path)
    disk = QuickDisk()
    disk.fail(5, "sync_directory")

    with pytest.raises(StorageError, match="input/output"):
        open_log(tmp_path, disk=disk)

    with open_log(tmp_path) as log:  # and the folder was let go
        assert log.size == 600
