"""A camera's log is read as it lies on the card, and its proofs are the ones that the recorder would give."""

from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.tile_log import TileLog
from agent.core.log.checkpoint import log_key
from agent.core.log.merkle import leaf_hash, verify_consistency, verify_inclusion
from agent.errors import CheckpointSignatureError, LogDamagedError, LogGapError, StorageError
from provisioning.evidence.camera_log import CameraLog
from tests.fakes.documents import CAMERA, NOON
from tests.fakes.exhibits import MemoryKeyring

SIZE = 300  # one whole tile and a part of one
KEYRING = MemoryKeyring()
KEY = log_key(CAMERA, KEYRING.public)


def write_log(folder: Path, *, size: int = SIZE, unsigned: int = 0) -> None:
    with TileLog(folder, CAMERA, KEYRING, max_file_bytes=20_000) as log:
        for number in range(size):
            log.append("act", NOON + timedelta(seconds=number), number=number, padding="x" * 100)
        log.publish()
        for number in range(unsigned):
            log.append("act", NOON + timedelta(hours=1), number=number)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder, unsigned=3)
    return folder


def test_every_leaf_up_to_the_checkpoint_is_proven(written: Path) -> None:
    log = CameraLog(written, KEY)

    leaves = list(log.leaves())

    assert [index for index, _ in leaves] == list(range(SIZE))
    for index in (0, 1, 255, 256, 299):
        verify_inclusion(
            index=index,
            size=SIZE,
            leaf=leaf_hash(leaves[index][1]),
            proof=log.inclusion_proof(index),
            root=log.checkpoint.root,
        )


@pytest.mark.parametrize(("first", "end"), [(0, 1), (17, 40), (255, 257), (290, 400)])
def test_a_run_of_leaves_is_read_across_files(first: int, end: int, written: Path) -> None:
    found = [index for index, _ in CameraLog(written, KEY).leaves(first, end)]

    assert found == list(range(first, min(end, SIZE)))


def test_an_earlier_tree_is_the_beginning_of_it(written: Path, tmp_path: Path) -> None:
    write_log(tmp_path, size=270)
    earlier, later = CameraLog(tmp_path, KEY).checkpoint, CameraLog(written, KEY)

    verify_consistency(
        old=earlier.size,
        new=SIZE,
        old_root=earlier.root,
        new_root=later.checkpoint.root,
        proof=later.consistency_proof(earlier.size),
    )


def test_tiles_that_are_missing_are_made_of_the_entries(tmp_path: Path) -> None:
    write_log(tmp_path)
    proof = CameraLog(tmp_path, KEY).inclusion_proof(290)
    (tmp_path / "tile/0/000").unlink()

    assert CameraLog(tmp_path, KEY).inclusion_proof(290) == proof


def test_entries_that_were_dropped_are_still_in_the_tree(tmp_path: Path) -> None:
    write_log(tmp_path)
    min(tmp_path.glob("events-*")).unlink()
    log = CameraLog(tmp_path, KEY)

    first, leaf = next(log.leaves())

    assert first > 0
    verify_inclusion(
        index=first, size=SIZE, leaf=leaf_hash(leaf), proof=log.inclusion_proof(first), root=log.checkpoint.root
    )


def test_a_log_that_was_changed_is_refused(tmp_path: Path) -> None:
    write_log(tmp_path)
    newest = max(tmp_path.glob("events-*"))
    newest.write_bytes(newest.read_bytes().replace(b'"number":299', b'"number":298'))

    with pytest.raises(LogDamagedError, match="is not the log that its checkpoint signs"):
        CameraLog(tmp_path, KEY)


def test_a_log_without_its_end_is_refused(tmp_path: Path) -> None:
    write_log(tmp_path)
    newest = max(tmp_path.glob("events-*"))
    newest.write_bytes(newest.read_bytes()[:-20])

    with pytest.raises(LogGapError):
        CameraLog(tmp_path, KEY)


def test_another_cameras_key_does_not_fit(written: Path) -> None:
    with pytest.raises(CheckpointSignatureError):
        CameraLog(written, log_key("cam-08", KEYRING.public))


def test_a_folder_without_a_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="checkpoint"):
        CameraLog(tmp_path, KEY)
