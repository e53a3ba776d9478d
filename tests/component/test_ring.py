"""The ring keeps what it promised across restarts, and touches nothing that is not its own."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.ring import Ring, RingSettings
from agent.core.video import Layer
from agent.errors import StorageError, StorageMissingError
from tests.fakes.failing_disk import FailingDisk, SplitDisk
from tests.fakes.sealed import NOON, clear_fragment, opened, sealed_fragments

SETTINGS = RingSettings(capacity_bytes=10**9, keep_free_bytes=0, segment_bytes=400_000)
OpenRing = Callable[[], Ring]


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    return tmp_path / "footage"


@pytest.fixture
def open_ring(footage: Path) -> Iterator[OpenRing]:
    """Return a function that (re)opens the ring, closing the one before."""
    rings: list[Ring] = []

    def reopen() -> Ring:
        for ring in rings:
            ring.close()
        rings.append(Ring(footage, "pole-7", SETTINGS))
        return rings[-1]

    yield reopen
    for ring in rings:
        ring.close()


def leave_part(footage: Path, content: bytes, *, sequence: int = 5) -> Path:
    """Leave what a power cut leaves of a segment."""
    day = footage / "2026" / "11" / "28"
    day.mkdir(parents=True)
    part = day / f"pole-7-20261128T120000.000000Z-{sequence:08d}.mp4.age.part"
    part.write_bytes(content)
    return part


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_segment_opens_and_only_the_group_of_the_link_may_read_it(
    footage: Path, open_ring: OpenRing
) -> None:
    first, second, last = sealed_fragments(2)
    running = open_ring().start(Layer.MASKED, NOON)
    running.append(first)
    running.append(second)

    path = footage / running.finish(last).path

    assert opened(path) == (clear_fragment(0).clear + clear_fragment(1).clear, True)
    assert path.stat().st_mode & 0o777 == 0o640
    assert all(folder.stat().st_mode & 0o777 == 0o750 for folder in path.parents[:4])
    assert path.stat().st_blocks * 512 < SETTINGS.segment_bytes  # what was set aside beyond it is given back


def test_a_folder_that_is_no_year_is_not_entered(footage: Path, open_ring: OpenRing) -> None:
    stored = open_ring().start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
    stranger = footage / "lost+found" / Path(stored.path).relative_to(Path(stored.path).parts[0])
    stranger.parent.mkdir(parents=True)
    (footage / stored.path).rename(stranger)  # where fsck leaves what it found; on a disk only root may look

    assert open_ring().segments() == []
    assert stranger.exists()


def test_a_reopened_ring_holds_the_same_segments_and_counts_on(open_ring: OpenRing) -> None:
    ring = open_ring()
    stored = [ring.start(layer, NOON).finish(sealed_fragments(0)[0]) for layer in Layer]

    ring = open_ring()

    assert ring.segments() == stored
    assert ring.use().stored_bytes == sum(segment.size_bytes for segment in stored)
    assert ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]).sequence == stored[-1].sequence + 1


@pytest.mark.parametrize("whole_fragments", [1, 2, 3])
def test_a_partial_segment_is_kept_marked_and_opens_to_its_last_whole_chunk(
    footage: Path, open_ring: OpenRing, whole_fragments: int
) -> None:
    written = b"".join(each.sealed for each in sealed_fragments(3)[:whole_fragments])
    part = leave_part(footage, written + b"torn")

    ring = open_ring()

    (kept,) = ring.segments()
    assert ring.recovery.truncated == (kept,)
    assert ring.recovery.discarded == 0
    assert kept.path == "2026/11/28/pole-7-20261128T120000.000000Z-00000005.truncated.mp4.age"
    assert not part.exists()
    clear, complete = opened(footage / kept.path)
    assert not complete
    assert clear.startswith(b"".join(clear_fragment(number).clear for number in range(whole_fragments - 1)))
    assert open_ring().segments() == [kept]  # once: a second start finds nothing to do


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"age-encryption.org/v1\n",
        sealed_fragments(1, size_bytes=400)[0].sealed,  # header, no chunk
        sealed_fragments(1)[0].sealed[: 64 * 1024],  # not quite a chunk
        b"-----BEGIN AGE ENCRYPTED FILE-----\n" + bytes(200_000),
        b"age-encryption.org/v1\n-> X25519 \xff\n" + bytes(200_000),
        bytes(200_000),  # what some file systems leave of a file whose length came first
    ],
)
def test_a_partial_segment_that_nobody_could_open_is_removed_and_its_number_not_given_again(
    footage: Path, open_ring: OpenRing, content: bytes
) -> None:
    part = leave_part(footage, content)

    ring = open_ring()

    assert ring.segments() == []
    assert ring.recovery.discarded == 1
    assert not part.exists()
    assert open_ring().start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]).sequence == 6


def test_numbers_are_not_given_again_after_the_ring_was_emptied(open_ring: OpenRing) -> None:
    ring = open_ring()
    first = ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
    ring.remove([first])

    ring = open_ring()

    assert ring.segments() == []
    assert ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]).sequence == first.sequence + 1


def test_empty_days_disappear_with_their_last_segment(footage: Path, open_ring: OpenRing) -> None:
    ring = open_ring()
    old = ring.start(Layer.MASKED, NOON - timedelta(days=40)).finish(sealed_fragments(0)[0])
    ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])

    ring.remove([old])

    assert sorted(path.relative_to(footage).as_posix() for path in footage.rglob("*") if path.is_dir()) == [
        "2026",
        "2026/11",
        "2026/11/28",
    ]


def test_a_segment_that_was_already_gone_is_as_good_as_removed(footage: Path, open_ring: OpenRing) -> None:
    ring = open_ring()
    stored = ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
    (footage / stored.path).unlink()

    ring.remove([stored])

    assert ring.segments() == []
    assert ring.use().stored_bytes == 0


def test_files_that_are_not_segments_are_left_alone(footage: Path, open_ring: OpenRing, tmp_path: Path) -> None:
    day = footage / "2026" / "11" / "28"
    day.mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(b"theirs")
    strangers = {
        footage / "lost.mp4.age": b"1",
        day / "holiday.mp4": b"2",
        day / "pole-7-20261128T120000.000000Z-00000001.mp4.age.part.bak": b"3",
        day / "pole-7-20260230T120000.000000Z-00000001.mp4.age.part": b"4",
    }
    for path, content in strangers.items():
        path.write_bytes(content)
    link = day / "pole-7-20261128T120000.000000Z-00000009.mp4.age.part"
    link.symlink_to(tmp_path / "elsewhere")
    before = everything(footage)

    ring = open_ring()

    assert ring.segments() == []
    assert ring.recovery.discarded == 0
    assert everything(footage) == before
    assert link.is_symlink()


def test_footage_of_an_earlier_camera_name_still_counts(footage: Path, open_ring: OpenRing) -> None:
    ring = open_ring()
    stored = ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
    ring.close()

    with Ring(footage, "pole-8", SETTINGS) as renamed:
        assert renamed.segments() == [stored]
        assert renamed.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]).sequence == stored.sequence + 1


def test_a_second_recorder_is_refused_and_the_first_goes_on(footage: Path, open_ring: OpenRing) -> None:
    running = open_ring().start(Layer.MASKED, NOON)
    running.append(sealed_fragments(1)[0])

    with pytest.raises(StorageError, match="another process"):
        Ring(footage, "pole-7", SETTINGS)

    assert not running.finish(sealed_fragments(1)[1]).truncated


def test_a_closed_ring_has_marked_what_was_being_written(open_ring: OpenRing) -> None:
    ring = open_ring()
    ring.start(Layer.MASKED, NOON).append(sealed_fragments(1)[0])

    ring.close()
    ring.close()

    assert [segment.truncated for segment in open_ring().segments()] == [True]


def test_a_number_that_is_not_one_is_refused(footage: Path) -> None:
    footage.mkdir()
    (footage / "sequence").write_text("many")

    with pytest.raises(StorageError, match="does not hold a number"):
        Ring(footage, "pole-7", SETTINGS)

    assert (footage / "sequence").read_text() == "many"


def test_the_root_file_system_is_refused_before_anything_is_made_there(tmp_path: Path) -> None:
    disk = SplitDisk(tmp_path / "card")
    disk.mounted = False
    settings = RingSettings(capacity_bytes=10**9, keep_free_bytes=0, segment_bytes=400_000, separate_file_system=True)

    with pytest.raises(StorageMissingError, match="root file system"):
        Ring(tmp_path / "card" / "footage", "pole-7", settings, disk=disk)

    assert list(tmp_path.iterdir()) == []


def test_a_card_that_is_unmounted_while_recording_gets_no_new_segment_on_the_root(tmp_path: Path) -> None:
    disk = SplitDisk(tmp_path / "card")
    settings = RingSettings(capacity_bytes=10**9, keep_free_bytes=0, segment_bytes=400_000, separate_file_system=True)
    with Ring(tmp_path / "card" / "footage", "pole-7", settings, disk=disk) as ring:
        ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
        before = everything(tmp_path)
        disk.mounted = False

        with pytest.raises(StorageMissingError):
            ring.start(Layer.MASKED, NOON)
        with pytest.raises(StorageMissingError):
            ring.probe()
        with pytest.raises(StorageMissingError):
            ring.remove(ring.segments())
        assert everything(tmp_path) == before
        assert len(ring.segments()) == 1

        disk.mounted = True
        ring.probe()


def test_every_fragment_is_synced_and_the_name_with_the_first(footage: Path) -> None:
    disk = FailingDisk()
    first, second, last = sealed_fragments(2)
    with Ring(footage, "pole-7", SETTINGS, disk=disk) as ring:
        disk.calls.clear()

        running = ring.start(Layer.MASKED, NOON)
        running.append(first)
        running.append(second)
        running.finish(last)

    calls = [call for call in disk.calls if call != "free_bytes"]
    assert calls == [
        *("create", "reserve"),
        *("write", "sync", "sync_directory"),
        *("write", "sync"),
        *("write", "release", "sync", "rename", "sync_directory"),
    ]


def test_a_ring_larger_than_its_disk_takes_what_the_disk_has(footage: Path) -> None:
    disk = FailingDisk()
    disk.fill(3_000_000)
    settings = RingSettings(capacity_bytes=10**12, keep_free_bytes=1_000_000, segment_bytes=400_000)

    with Ring(footage, "pole-7", settings, disk=disk) as ring:
        assert ring.use().capacity_bytes == 2_000_000


def test_descriptors_do_not_leak(open_ring: OpenRing) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - one number, not paths

    ring = open_ring()
    before = count()

    for finish in (True, False) * 5:
        running = ring.start(Layer.MASKED, NOON)
        running.append(sealed_fragments(1)[0])
        running.finish() if finish else running.abandon()

    assert count() == before
