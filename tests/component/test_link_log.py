"""The link reads the log by index while the recorder writes it, and does not forget how far it has got."""

from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.link_store import CURSOR_AT_LEAST_EVERY, LinkStore
from agent.adapters.log_files import LogFiles
from agent.adapters.log_leaves import Extent, LogLeaves
from tests.fakes.clock import NOON, FakeClock

MUCH = 10**9


def write(folder: Path, count: int, *, filler: int = 0, **limits: int) -> None:
    with LogFiles(folder, **limits) as log:
        for number in range(count):
            log.append("tried", NOON, number=number, filler="x" * filler)


def test_an_absent_log_is_an_empty_one(tmp_path: Path) -> None:
    leaves = LogLeaves(tmp_path / "log")

    assert leaves.extent() == Extent(0, 0)
    assert leaves.read(0, most=9, most_bytes=MUCH) == ()


def test_leaves_are_read_by_index_across_files(tmp_path: Path) -> None:
    write(tmp_path, 60, filler=2000, max_file_bytes=20_000)
    written = [line for path in sorted(tmp_path.glob("events-*")) for line in path.read_bytes().splitlines()]

    leaves = LogLeaves(tmp_path)

    assert len(list(tmp_path.glob("events-*"))) > 3
    assert leaves.extent() == Extent(0, 60)
    assert leaves.read(0, most=MUCH, most_bytes=MUCH) == tuple(written)
    for first in (0, 1, 8, 9, 10, 59):
        assert leaves.read(first, most=3, most_bytes=MUCH) == tuple(written[first : first + 3])
    assert leaves.read(60, most=3, most_bytes=MUCH) == ()


def test_one_leaf_is_read_however_small_the_limit(tmp_path: Path) -> None:
    write(tmp_path, 5, filler=100)
    leaves = LogLeaves(tmp_path)

    assert len(leaves.read(0, most=9, most_bytes=1)) == 1
    assert len(leaves.read(1, most=9, most_bytes=400)) == 2


def test_what_is_appended_is_seen_and_a_torn_line_is_not(tmp_path: Path) -> None:
    write(tmp_path, 3)
    leaves = LogLeaves(tmp_path)
    assert leaves.extent() == Extent(0, 3)
    newest = max(tmp_path.glob("events-*"))
    whole = newest.read_bytes()

    newest.write_bytes(whole + b'{"n":3,"torn')

    assert leaves.extent() == Extent(0, 3)
    assert len(leaves.read(0, most=9, most_bytes=MUCH)) == 3
    newest.write_bytes(whole)
    write(tmp_path, 2)
    assert leaves.extent() == Extent(0, 5)
    assert len(leaves.read(3, most=9, most_bytes=MUCH)) == 2


def test_what_was_dropped_is_told_by_the_extent(tmp_path: Path) -> None:
    write(tmp_path, 100, filler=2000, max_file_bytes=20_000)
    for old in sorted(tmp_path.glob("events-*"))[:3]:
        old.unlink()
    leaves = LogLeaves(tmp_path)

    extent = leaves.extent()

    assert 0 < extent.oldest < extent.following == 100
    assert leaves.read(0, most=9, most_bytes=MUCH) == ()
    assert len(leaves.read(extent.oldest, most=2, most_bytes=MUCH)) == 2


def store_of(tmp_path: Path, clock: FakeClock | None = None) -> LinkStore:
    return LinkStore(tmp_path / "link", clock or FakeClock())


def test_the_cursor_survives_a_restart(tmp_path: Path) -> None:
    write(tmp_path / "log", 10)
    leaves, store = LogLeaves(tmp_path / "log"), store_of(tmp_path)
    store.recognise(leaves, leaves.extent())
    store.move_to(7, leaves, at_once=True)

    again = store_of(tmp_path)
    again.recognise(leaves, leaves.extent())

    assert (again.acked, again.log_id) == (7, store.log_id)


def test_the_cursor_is_written_once_a_minute_not_once_a_leaf(tmp_path: Path) -> None:
    write(tmp_path / "log", 10)
    clock = FakeClock()
    leaves, store = LogLeaves(tmp_path / "log"), store_of(tmp_path, clock)
    store.recognise(leaves, leaves.extent())

    store.move_to(3, leaves)
    assert store_of(tmp_path).acked == 0
    clock.advance(CURSOR_AT_LEAST_EVERY)
    store.move_to(4, leaves)

    assert store_of(tmp_path).acked == 4


@pytest.mark.parametrize("count", [5, 20])
def test_another_log_begins_at_its_own_first_leaf_under_another_name(tmp_path: Path, count: int) -> None:
    write(tmp_path / "log", 10)
    leaves, store = LogLeaves(tmp_path / "log"), store_of(tmp_path)
    store.recognise(leaves, leaves.extent())
    store.move_to(7, leaves, at_once=True)
    before = store.log_id
    for path in (tmp_path / "log").iterdir():
        path.unlink()
    write(tmp_path / "log", count, filler=3)

    other, again = LogLeaves(tmp_path / "log"), store_of(tmp_path)
    again.recognise(other, other.extent())

    assert again.acked == 0
    assert again.log_id != before


def test_a_log_keeps_its_name_when_only_the_cursor_is_lost(tmp_path: Path) -> None:
    write(tmp_path / "log", 10)
    leaves, store = LogLeaves(tmp_path / "log"), store_of(tmp_path)
    store.recognise(leaves, leaves.extent())
    (tmp_path / "link" / "link.json").write_text("{not json")

    again = store_of(tmp_path)
    again.recognise(leaves, leaves.extent())

    assert (again.log_id, again.acked) == (store.log_id, 0)


def test_the_birth_sequence_rises_over_crashes_and_a_lost_file(tmp_path: Path) -> None:
    clock = FakeClock()
    seen = [store_of(tmp_path, clock).next_sequence() for _ in range(3)]
    store = store_of(tmp_path, clock)
    seen += [store.next_sequence() for _ in range(250)]
    (tmp_path / "link" / "link.json").write_bytes(b"\x00")

    clock.advance(timedelta(minutes=1))
    seen.append(store_of(tmp_path, clock).next_sequence())

    assert seen == sorted(set(seen))
