"""(m, n) How long an append and a proof take in the log of ninety days: 2,600,000 leaves, one every three seconds.

    python -m tests.bench.log_of_ninety_days FOLDER [--leaves 2600000]

The folder gets the tiles of that log, 84 MB, made of hashes that stand for leaves (nobody
hashes two gigabytes of entries to measure an append). What is timed is the real log on the
real disk, syncs included. Prints one line for each measurement.
"""

import argparse
import os
import random
import resource
import statistics
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from io import FileIO
from pathlib import Path
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.adapters.disk import Disk
from agent.adapters.tile_log import TileLog
from agent.core.log.leaf import Event, encode_leaf
from agent.core.log.tiles import TILE_WIDTH, TiledTree, TileId
from tests.bench.measuring import Result

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ROUNDS = 200
LEAVES = 2_600_000
MOST_APPEND_MS, MOST_PROOF_MS = 5, 50
FACTS = {"sha256": "a" * 64, "header_sha256": "b" * 64, "file": "c" * 60, "padding": "d" * 400}


class MemoryKeyring:
    """A key in memory."""

    kind = "memory"

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes(32))
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature."""
        return self._key.sign(message)


class UnsyncedDisk(Disk):
    """A disk that does not wait for the medium."""

    def sync(self, descriptor: int) -> None:
        """Do nothing."""


def main() -> None:
    """Build the log, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--leaves", type=int, default=LEAVES)
    arguments = parser.parse_args()
    build(arguments.folder, arguments.leaves)
    before = peak_kib()
    started = perf_counter()
    with TileLog(arguments.folder, "pole-7", MemoryKeyring()) as log:
        say(f"open a log of {log.size} leaves", [perf_counter() - started])
        say("append", list(timed(lambda: log.append("segment-stored", NOON, **FACTS))))
        say("append and publish", list(timed(lambda: (log.append("segment-stored", NOON, **FACTS), log.publish()))))
        with (arguments.folder / "control").open("ab", buffering=0) as control:
            say("control: the same bytes and one fdatasync", list(timed(lambda: sync_after(control, bytes(800)))))
        chance = random.Random(1)
        say("inclusion proof", list(timed(lambda: log.inclusion_proof(chance.randrange(log.size), log.size))))
        say("consistency proof", list(timed(lambda: log.consistency_proof(chance.randrange(1, log.size), log.size))))
    with TileLog(arguments.folder, "pole-7", MemoryKeyring(), disk=UnsyncedDisk()) as log:
        say("append, without waiting for the disk", list(timed(lambda: log.append("segment-stored", NOON, **FACTS))))
    sys.stdout.write(
        f"memory: {(peak_kib() - before) / 1024:.1f} MiB more at its peak than before the log was opened\n"
    )


def append(scratch: Path) -> Result:
    """Return how long an append takes, and how much of that is one sync of the disk, measured in turn."""
    with TileLog(_built(scratch), "pole-7", MemoryKeyring()) as log, (scratch / "control").open("ab", 0) as control:
        appends, syncs = [], []
        for _ in range(ROUNDS):
            appends += list(timed(lambda: log.append("segment-stored", NOON, **FACTS), rounds=1))
            syncs += list(timed(lambda: sync_after(control, bytes(800)), rounds=1))
    took, sync = (statistics.median(each) * 1000 for each in (appends, syncs))
    return Result(
        key="m",
        what="an append to a log of 2,600,000 leaves, synced",
        value=took,
        target=f"< {MOST_APPEND_MS} ms",
        met=took < MOST_APPEND_MS,
        unit="ms",
        note=f"the same bytes and one fdatasync beside it: {sync:.1f} ms",
    )


def proof(scratch: Path) -> Result:
    """Return how long a proof takes, and how much memory the log does."""
    folder = _built(scratch)
    before = resident_kib()
    chance = random.Random(1)
    with TileLog(folder, "pole-7", MemoryKeyring()) as log:
        inclusion = list(timed(lambda: log.inclusion_proof(chance.randrange(log.size), log.size)))
        consistency = list(timed(lambda: log.consistency_proof(chance.randrange(1, log.size), log.size)))
        more_mib = (resident_kib() - before) / 1024
    took, other = (statistics.median(each) * 1000 for each in (inclusion, consistency))
    return Result(
        key="n",
        what="an inclusion proof of it",
        value=took,
        target=f"< {MOST_PROOF_MS} ms",
        met=took < MOST_PROOF_MS,
        unit="ms",
        note=f"a consistency proof {other:.1f} ms; {more_mib:.1f} MiB more memory with it open",
    )


def _built(scratch: Path) -> Path:
    folder = scratch / "ninety-days"
    if not folder.exists():
        build(folder, LEAVES)
    return folder


def build(folder: Path, leaves: int) -> None:
    """Write the tiles and the last entries of a log."""
    tiles: dict[TileId, bytes] = {}
    whole = leaves - leaves % TILE_WIDTH
    tree = TiledTree(0, [], tiles.__getitem__)
    for number in range(whole):
        for tile in tree.append(sha256(number.to_bytes(8, "big")).digest()):
            path = folder / tile.id.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tile.content)
    entries = [encode_leaf(Event(number=n, at=NOON, kind="boot", facts={})) for n in range(whole, leaves)]
    (folder / f"events-{whole:012d}.jsonl").write_bytes(b"".join(entry + b"\n" for entry in entries))


def sync_after(file: FileIO, content: bytes) -> None:
    """Append and make it durable, and nothing else."""
    file.write(content)
    os.fdatasync(file.fileno())


def timed(act: Callable[[], object], rounds: int = ROUNDS) -> Iterator[float]:
    """Yield how many seconds each of some acts took."""
    for _ in range(rounds):
        started = perf_counter()
        act()
        yield perf_counter() - started


def say(what: str, seconds: list[float]) -> None:
    """Print median and worst."""
    median, worst = statistics.median(seconds) * 1000, max(seconds) * 1000
    sys.stdout.write(f"{what}: median {median:.2f} ms, worst of {len(seconds)} {worst:.2f} ms\n")


def resident_kib() -> int:
    """Return the memory of this process as it is now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() // 1024


def peak_kib() -> int:
    """Return the peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
