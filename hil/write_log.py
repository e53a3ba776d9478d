"""What a card may hold after a power cut, from the log of everything that was written to it.

A card with a write cache owes what was written before a flush, and nothing else: each
later write may be there, missing, or torn at a sector, in any order. QEMU's block layer
writes the log (its driver `blklogwrites`) in the format of the kernel's dm-log-writes:
Documentation/admin-guide/device-mapper/log-writes.rst.

Pure but for the three files that it is given.
"""

import random
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SECTOR_BYTES = 512
MAGIC = 0x6A736677736872
_SUPER = struct.Struct("<QQQI")  # magic, version, entries, sector size
_ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, length of what a mark says
_FLUSH, _FUA, _DISCARD, _MARK = 1, 2, 4, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One request to the card.

    Attributes:
        at_bytes: Where on the card.
        content: What was written; empty for a flush alone.
        flush: Whether everything before it must be durable first.
        fua: Whether it is durable itself.
        log_bytes: How long the log was when it was in it.
    """

    at_bytes: int
    content: bytes
    flush: bool
    fua: bool
    log_bytes: int


def written(log: BinaryIO) -> Iterator[Written]:
    """Yield what was written, oldest first. Raises ValueError if `log` is no such log."""
    magic, version, entries, sector_bytes = _SUPER.unpack(log.read(_SUPER.size))
    if (magic, version, sector_bytes) != (MAGIC, 1, SECTOR_BYTES):
        raise ValueError(f"magic {magic:#x}, version {version}, sectors of {sector_bytes}: not a log of writes")
    for _ in range(entries):
        log.seek(-log.tell() % SECTOR_BYTES, 1)
        sector, sectors, flags, length = _ENTRY.unpack(log.read(_ENTRY.size))
        log.seek(SECTOR_BYTES - _ENTRY.size + length if flags & _MARK else SECTOR_BYTES - _ENTRY.size, 1)
        content = b"" if flags & (_MARK | _DISCARD) else log.read(sectors * SECTOR_BYTES)
        yield Written(
            at_bytes=sector * SECTOR_BYTES,
            content=content,
            flush=bool(flags & _FLUSH),
            fua=bool(flags & _FUA),
            log_bytes=log.tell(),
        )


class Replay:
    """A card whose power is cut again and again, each time a little later in one log.

    Args:
        log: Of everything that was written, over.
        base: What was on the card before; it follows the log and is changed.
        chance: What decides about writes that nobody flushed.
    """

    def __init__(self, log: BinaryIO, base: Path, chance: random.Random) -> None:
        self._writes = written(log)
        self._next: Written | None = next(self._writes, None)
        self._durable = base
        self._chance = chance
        self._cached: list[Written] = []

    def cut(self, log_bytes: int, card: Path) -> int:
        """Make `card` what may be left if the power went when the log had that length; return how many writes it owed.

        Cuts come in order: the log is read once.
        """
        with self._durable.open("r+b") as durable:
            while self._next is not None and self._next.log_bytes <= log_bytes:
                self._take(durable, self._next)
                self._next = next(self._writes, None)
        # Another file each time: a loop device is bound to the last one for as long as somebody's mount namespace, made
        # while it was mounted here, still has it; and would be what is mounted next.
        card.unlink(missing_ok=True)
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(self._durable), str(card)], check=True)
        with card.open("r+b") as left:
            for write in self._survivors():
                _apply(left, write.at_bytes, write.content)
        return sum(not write.fua for write in self._cached)

    def _take(self, durable: BinaryIO, write: Written) -> None:
        if write.flush:
            for earlier in self._cached:
                _apply(durable, earlier.at_bytes, earlier.content)
            self._cached.clear()
        if write.fua:
            _apply(durable, write.at_bytes, write.content)
        if write.content:  # a durable one, too: what was cached before it must not come back over it
            self._cached.append(write)

    def _survivors(self) -> Iterator[Written]:
        """Yield what reached the card by itself: all of it, none, or each by a throw, some torn at a sector."""
        fate = self._chance.choice(["all", "none", "some", "some"])
        for write in self._cached:
            own = fate if fate != "some" else self._chance.choice(["all", "none", "torn"])
            match "all" if write.fua else own:
                case "all":
                    yield write
                case "torn":
                    sectors = self._chance.randint(0, len(write.content) // SECTOR_BYTES)
                    yield Written(
                        at_bytes=write.at_bytes, content=write.content[: sectors * SECTOR_BYTES],
                        flush=False, fua=False, log_bytes=write.log_bytes,
                    )  # fmt: skip
                case _:
                    pass


def _apply(card: BinaryIO, at_bytes: int, content: bytes) -> None:
    card.seek(at_bytes)
    card.write(content)
