"""Whenever the power goes: no two trees of one size are ever signed, and no signed or acknowledged leaf is lost."""

import contextlib
import os
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.adapters.log_files import MAX_LINE_BYTES, read_leaves
from agent.adapters.tile_log import TileLog
from agent.core.log.leaf import Event, encode_leaf, parse_leaf
from agent.core.log.merkle import leaf_hash
from agent.core.log.tiles import TILE_WIDTH, TiledTree, TileId
from tests.fakes.power_cut import PowerCut, PowerCutDisk

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
CUTS = 1000
SEED = 6962
KEPT_FILES = 3


class WatchedKeyring:
    """A key in memory that notes what it was asked to sign, and whether two of that contradict each other."""

    kind = "memory"

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes(32))
        self.public = self._key.public_key().public_bytes_raw()
        self.signed: dict[int, str] = {}

    def sign(self, message: bytes) -> bytes:
        _, size, root = message.decode().splitlines()
        assert self.signed.setdefault(int(size), root) == root, f"two trees of {size} leaves"
        return self._key.sign(message)


def open_log(folder: Path, keyring: WatchedKeyring, disk: PowerCutDisk) -> TileLog:
    return TileLog(folder, "pole-7", keyring, max_file_bytes=MAX_LINE_BYTES, keep_files=KEPT_FILES, disk=disk)


class Witness:
    """What was seen of the log from outside, over all its lives.

    Attributes:
        known: Hashes of the leaves, as far as the log was looked at.
        acknowledged: What was appended since, as far as `append` returned.
    """

    def __init__(self) -> None:
        self.known: list[bytes] = []
        self.acknowledged: list[str] = []

    def look(self, log: TileLog, folder: Path) -> None:
        there = dict(read_leaves(folder))
        assert log.size >= len(self.known) + len(self.acknowledged), "acknowledged leaves are lost"
        assert all(leaf_hash(leaf) == self.known[at] for at, leaf in there.items() if at < len(self.known))
        new = [there[at] for at in range(len(self.known), log.size)]
        assert all(parse_leaf(leaf).facts["nonce"] for leaf in new)
        assert all(name.encode() in leaf for name, leaf in zip(self.acknowledged, new, strict=False))
        self.known += map(leaf_hash, new)
        self.acknowledged.clear()


def live(log: TileLog, chance: random.Random, acknowledged: list[str]) -> None:
    """Append and publish until the power goes."""
    while True:
        if chance.random() < 0.4:
            log.publish()
        name = f"{chance.getrandbits(64):016x}"
        log.append("boot", NOON, nonce=name, padding="x" * chance.choice([0, 300, 3000]))
        acknowledged.append(name)


@pytest.mark.slow
def test_a_thousand_cuts(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    disk, keyring, witness = PowerCutDisk(chance), WatchedKeyring(), Witness()
    folder = tmp_path / "log"
    cut_while_opening = 0

    for _ in range(CUTS):
        disk.calls_left = chance.randint(0, 30)
        log = None
        try:
            log = open_log(folder, keyring, disk)
            witness.look(log, folder)
            live(log, chance, witness.acknowledged)
        except PowerCut:
            cut_while_opening += log is None
        if log is not None:
            log.close()
        if chance.random() < 0.3:
            disk.restart()  # only the process died
        else:
            disk.switch_off()
    with open_log(folder, keyring, disk) as log:
        witness.look(log, folder)

    assert cut_while_opening > CUTS / 20
    assert len(keyring.signed) > CUTS / 2
    assert len(witness.known) > 2 * CUTS
    assert min(dict(read_leaves(folder))) > 0  # the oldest entries went, and their tiles stayed
    assert (
        tiles_of(witness.known).items()
        <= {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("tile/*/*")}.items()
    )


def tiles_of(hashes: list[bytes]) -> dict[str, bytes]:
    tree = TiledTree(0, [], {}.__getitem__)
    return {whole.id.path: whole.content for each in hashes for whole in tree.append(each)}


# --- where a tile of level 0 completes one of level 1 ---------------------------

BOUNDARY = TILE_WIDTH * TILE_WIDTH
SHORT_BY = 3


@pytest.fixture(scope="module")
def nearly_whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a log that is three leaves short of its first whole tile of level 1."""
    folder = tmp_path_factory.mktemp("nearly") / "log"
    leaves = [
        encode_leaf(Event(number=number, at=NOON, kind="boot", facts={})) for number in range(BOUNDARY - SHORT_BY)
    ]
    for path, content in tiles_of([leaf_hash(leaf) for leaf in leaves]).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    first = BOUNDARY - TILE_WIDTH - 100
    lines = b"".join(leaf + b"\n" for leaf in leaves[first:])
    (folder / f"events-{first:012d}.jsonl").write_bytes(lines)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("calls", range(0, 30, 2))
def test_a_cut_while_tiles_of_two_levels_become_whole(tmp_path: Path, nearly_whole: Path, calls: int) -> None:
    folder = tmp_path / "log"
    shutil.copytree(nearly_whole, folder, copy_function=os.link)
    (entries,) = folder.glob("events-*")
    lines = entries.read_bytes()
    entries.unlink()
    entries.write_bytes(lines)  # links share what is written; this one is
    chance = random.Random(calls)
    disk, keyring = PowerCutDisk(chance, calls_left=calls), WatchedKeyring()
    disk.adopt(entries)
    acknowledged = 0
    log = None
    with contextlib.suppress(PowerCut):
        log = open_log(folder, keyring, disk)
        for _ in range(SHORT_BY + 3):
            log.append("boot", NOON)
            acknowledged += 1
        log.publish()
    if log is not None:
        log.close()
    if calls % 4:  # the process died first, and the next one had built on what was not synced when the power went
        disk.restart()
        with open_log(folder, keyring, disk) as log:
            log.append("boot", NOON)
    disk.switch_off()

    with open_log(folder, keyring, disk) as log:
        while log.size < BOUNDARY + 10:
            log.append("boot", NOON)
            acknowledged -= 1
        log.publish()
        level_1 = log.tile(TileId(1, 0))

    assert acknowledged <= SHORT_BY + 3
    assert (folder / "tile" / "1" / "000").read_bytes() == level_1
    with open_log(folder, keyring, disk) as log:
        assert not log.publish()
