"""A card after a cut holds everything that was flushed; what was not is there, missing or torn, and nothing else is."""

import io
import random
import struct
from pathlib import Path

import pytest

from hil.write_log import MAGIC, SECTOR_BYTES, Replay, written

FLUSH, FUA = 1, 2
SECTORS = 16
SEEDS = range(20)


def sector(letter: str) -> bytes:
    return letter.encode() * SECTOR_BYTES


def log_of(*entries: tuple[int, bytes, int]) -> io.BytesIO:
    """Return the log of (sector, content, flags), as dm-log-writes has it."""
    text = struct.pack("<QQQI", MAGIC, 1, len(entries), SECTOR_BYTES).ljust(SECTOR_BYTES, b"\0")
    for at, content, flags in entries:
        text += struct.pack("<QQQQ", at, len(content) // SECTOR_BYTES, flags, 0).ljust(SECTOR_BYTES, b"\0") + content
    return io.BytesIO(text)


def left_after(folder: Path, log: io.BytesIO, seed: int, *, log_bytes: int | None = None) -> tuple[bytes, int]:
    """Return what a card holds after one cut, and how many writes it owed."""
    base, card = folder / "base.img", folder / "card.img"
    base.write_bytes(bytes(SECTORS * SECTOR_BYTES))
    owed = Replay(log, base, random.Random(seed)).cut(len(log.getvalue()) if log_bytes is None else log_bytes, card)
    return card.read_bytes(), owed


@pytest.mark.parametrize("flags", [FUA, FLUSH])
def test_what_was_flushed_is_there_whatever_chance_says(tmp_path: Path, flags: int) -> None:
    entries = [(3, sector("a"), FUA)] if flags == FUA else [(3, sector("a"), 0), (0, b"", FLUSH)]

    for seed in SEEDS:
        card, owed = left_after(tmp_path, log_of(*entries, (5, sector("b"), 0)), seed)

        assert card[3 * SECTOR_BYTES : 4 * SECTOR_BYTES] == sector("a")
        assert owed == 1


def test_what_was_not_flushed_may_be_there_missing_or_torn_at_a_sector(tmp_path: Path) -> None:
    content = sector("a") + sector("b") + sector("c")

    found = {
        left_after(tmp_path, log_of((2, content, 0)), seed)[0][2 * SECTOR_BYTES : 5 * SECTOR_BYTES] for seed in SEEDS
    }

    assert found <= {content[:at].ljust(len(content), b"\0") for at in range(0, len(content) + 1, SECTOR_BYTES)}
    assert {content, bytes(len(content))} < found


def test_an_older_write_never_comes_back_over_one_that_is_durable(tmp_path: Path) -> None:
    log = log_of((3, sector("a"), 0), (3, sector("b"), FUA), (0, b"", FLUSH))

    for seed in SEEDS:
        assert left_after(tmp_path, log, seed)[0][3 * SECTOR_BYTES : 4 * SECTOR_BYTES] == sector("b")
        log.seek(0)


def test_what_was_written_after_the_cut_is_not_there(tmp_path: Path) -> None:
    log = log_of((3, sector("a"), FUA), (4, sector("b"), FUA))
    first = next(written(log))
    log.seek(0)

    card, owed = left_after(tmp_path, log, 1, log_bytes=first.log_bytes)

    assert card[3 * SECTOR_BYTES : 5 * SECTOR_BYTES] == sector("a") + bytes(SECTOR_BYTES)
    assert owed == 0


def test_another_file_is_no_log_of_writes() -> None:
    with pytest.raises(ValueError, match="not a log of writes"):
        list(written(io.BytesIO(b"x" * SECTOR_BYTES)))
