"""A disk that fills, fails, turns read-only or loses its writer costs only what was not confirmed, and recovers."""

import contextlib
import errno
import fcntl
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.adapters.ring import Ring, RingSettings
from agent.core.sealing.chunks import SEALED_CHUNK_BYTES
from agent.core.sealing.segment import SealedFragment
from agent.core.video import Layer
from agent.errors import StorageError, StorageFullError
from agent.ports import RunningSegment
from tests.fakes.failing_disk import FailingDisk
from tests.fakes.sealed import NOON, opened, sealed_fragments
from tests.tools.device_bytes import loop_file_system

SETTINGS = RingSettings(capacity_bytes=10**9, keep_free_bytes=0, segment_bytes=400_000)
REPOSITORY = Path(__file__).resolve().parents[2]
ERRNOS = [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT]


@pytest.fixture
def disk() -> FailingDisk:
    return FailingDisk()


@pytest.fixture
def ring(tmp_path: Path, disk: FailingDisk) -> Iterator[Ring]:
    with Ring(tmp_path / "footage", "pole-7", SETTINGS, disk=disk) as ring:
        yield ring


def kind_of(code: int) -> type[StorageError]:
    return StorageFullError if code in {errno.ENOSPC, errno.EDQUOT} else StorageError


# --- every call the ring makes, answered with every error --------------------------------


@pytest.mark.parametrize("code", ERRNOS)
@pytest.mark.parametrize("call", ["create", "reserve", "free_bytes"])
def test_a_segment_that_cannot_start_leaves_the_ring_as_it_was(
    ring: Ring, disk: FailingDisk, tmp_path: Path, code: int, call: str
) -> None:
    before = ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
    disk.fail(code, call)

    with pytest.raises(kind_of(code), match=os.strerror(code).lower()):
        ring.start(Layer.MASKED, NOON)

    assert ring.segments() == [before]
    assert list(tmp_path.rglob("*.part")) == []
    disk.heal()
    assert ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]).sequence > before.sequence


@pytest.mark.parametrize("code", ERRNOS)
@pytest.mark.parametrize("call", ["write", "sync"])
def test_what_was_confirmed_before_the_failure_is_kept_and_opens(
    ring: Ring, disk: FailingDisk, tmp_path: Path, code: int, call: str
) -> None:
    confirmed, lost, _ = sealed_fragments(2)
    running = ring.start(Layer.MASKED, NOON)
    running.append(confirmed)
    disk.fail(code, call)

    with pytest.raises(kind_of(code), match="cannot append"):
        running.append(lost)
    disk.heal()
    ring.probe()

    (kept,) = ring.segments()
    clear, complete = opened(tmp_path / "footage" / kept.path)
    assert kept.truncated
    assert not complete
    assert len(clear) >= 65_536
    assert list(tmp_path.rglob("*.part")) == []


@pytest.mark.parametrize("code", ERRNOS)
@pytest.mark.parametrize("call", ["write", "release", "sync", "rename", "sync_directory"])
def test_a_segment_that_cannot_finish_is_kept_one_way_or_the_other(
    ring: Ring, disk: FailingDisk, tmp_path: Path, code: int, call: str
) -> None:
    first, last = sealed_fragments(1)
    running = ring.start(Layer.MASKED, NOON)
    running.append(first)
    disk.fail(code, call)

    with pytest.raises(kind_of(code), match="cannot finish"):
        running.finish(last)
    disk.heal()
    ring.probe()

    (kept,) = ring.segments()
    assert kept.truncated is (call != "sync_directory")  # by then it had its final name
    assert kept.size_bytes == (tmp_path / "footage" / kept.path).stat().st_size
    assert list(tmp_path.rglob("*.part")) == []


@pytest.mark.parametrize("code", ERRNOS)
def test_a_disk_that_fails_for_everything_is_survived_and_settled_when_it_heals(
    ring: Ring, disk: FailingDisk, code: int
) -> None:
    running = ring.start(Layer.MASKED, NOON)
    running.append(sealed_fragments(1)[0])
    disk.fail(code)

    with pytest.raises(kind_of(code)):
        running.append(sealed_fragments(1)[0])
    running.abandon()
    for _ in range(3):
        with pytest.raises(kind_of(code)):
            ring.probe()
        with pytest.raises(kind_of(code)):
            ring.start(Layer.MASKED, NOON)
    assert ring.segments() == []
    disk.heal()
    ring.probe()

    assert [segment.truncated for segment in ring.segments()] == [True]
    ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])


@pytest.mark.parametrize("call", ["release", "sync", "rename", "sync_directory"])
def test_a_partial_segment_that_could_not_be_settled_at_once_is_settled_later(
    ring: Ring, disk: FailingDisk, tmp_path: Path, call: str
) -> None:
    running = ring.start(Layer.MASKED, NOON)
    running.append(sealed_fragments(1)[0])
    disk.fail(errno.EIO, call)
    running.abandon()
    assert ring.segments() == []
    disk.heal()

    ring.probe()

    (kept,) = ring.segments()
    assert kept.truncated
    assert kept.size_bytes == (tmp_path / "footage" / kept.path).stat().st_size
    assert not ring.unsettled


def test_a_partial_segment_that_somebody_removed_is_no_error(ring: Ring, tmp_path: Path) -> None:
    running = ring.start(Layer.MASKED, NOON)
    running.append(sealed_fragments(1)[0])
    next(tmp_path.rglob("*.part")).unlink()

    running.abandon()

    assert ring.segments() == []
    assert not ring.unsettled


@pytest.mark.parametrize("code", [errno.EROFS, errno.EIO])
def test_a_removal_that_fails_forgets_nothing_that_is_still_there(ring: Ring, disk: FailingDisk, code: int) -> None:
    stored = [ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]) for _ in range(2)]
    disk.fail(code, "remove")

    with pytest.raises(StorageError, match="cannot remove"):
        ring.remove(stored[:1])

    assert ring.segments() == stored
    disk.heal()
    ring.remove(stored[:1])
    assert ring.segments() == stored[1:]


def test_a_ring_that_cannot_be_recovered_lets_the_folder_go(tmp_path: Path, disk: FailingDisk) -> None:
    with Ring(tmp_path / "footage", "pole-7", SETTINGS) as ring:
        ring.start(Layer.MASKED, NOON).append(sealed_fragments(1)[0])
        part = next(tmp_path.rglob("*.part"))
        content = part.read_bytes()
    for kept in tmp_path.rglob("*.truncated.mp4.age"):
        kept.rename(part)
    disk.fail(errno.EROFS, "rename")

    with pytest.raises(StorageError, match="cannot recover"):
        Ring(tmp_path / "footage", "pole-7", SETTINGS, disk=disk)

    assert part.read_bytes() == content
    with Ring(tmp_path / "footage", "pole-7", SETTINGS) as ring:
        assert len(ring.recovery.truncated) == 1


def test_a_disk_filled_from_outside_stops_the_start_and_removes_nothing(ring: Ring, disk: FailingDisk) -> None:
    stored = ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
    disk.fill(SETTINGS.segment_bytes - 1)

    with pytest.raises(StorageFullError, match="bytes free"):
        ring.start(Layer.MASKED, NOON)
    with pytest.raises(StorageFullError, match="bytes free"):
        ring.probe()

    assert ring.segments() == [stored]
    assert not ring.use().crowded  # housekeeping would find nothing to do either
    disk.fill(SETTINGS.segment_bytes)
    ring.probe()
    ring.start(Layer.MASKED, NOON).abandon()


# --- real file systems -----------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount 4 MiB of tmpfs, or skip: a container or an ordinary user may not."""
    mount = tmp_path / "small"
    mount.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(options, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs permission to mount a small file system; the same logic ran on a faked disk")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def fill(path: Path) -> None:
    """Let one file take every block that is free."""
    with path.open("wb") as file:
        end = 0
        for step in (1 << 27, 1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), end, step)
                    end += step


def append_all(running: RunningSegment, pieces: Sequence[SealedFragment]) -> None:
    for piece in pieces:
        running.append(piece)


def test_a_really_full_disk_ends_the_segment_and_recording_resumes_when_there_is_room(small_disk: Path) -> None:
    with Ring(small_disk / "footage", "pole-7", SETTINGS) as ring:
        running = ring.start(Layer.MASKED, NOON)
        running.append(sealed_fragments(1)[0])
        filler = small_disk / "filler"
        fill(filler)

        with pytest.raises(StorageFullError, match="cannot append"):
            append_all(running, sealed_fragments(50))  # what was set aside may take the first few
        with pytest.raises(StorageFullError):
            ring.start(Layer.MASKED, NOON)
        filler.unlink()
        ring.probe()

        assert [segment.truncated for segment in ring.segments()] == [True]
        assert not ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]).truncated


def test_a_disk_that_turns_read_only_ends_the_segment_and_recording_resumes(small_disk: Path) -> None:
    # An ordinary remount is refused while a file is open for writing; a bind mount's own flag is not.
    view = small_disk.parent / "view"
    view.mkdir()
    subprocess.run(["mount", "--bind", str(small_disk), str(view)], check=True)
    try:
        with Ring(view / "footage", "pole-7", SETTINGS) as ring:
            stored = ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
            subprocess.run(["mount", "-o", "remount,bind,ro", str(view)], check=True)

            with pytest.raises(StorageError, match="read-only"):
                ring.start(Layer.MASKED, NOON)
            with pytest.raises(StorageError, match="read-only"):
                ring.probe()
            with pytest.raises(StorageError, match="read-only"):
                ring.remove([stored])
            assert ring.segments() == [stored]

            subprocess.run(["mount", "-o", "remount,bind,rw", str(view)], check=True)
            ring.probe()
            ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
    finally:
        subprocess.run(["umount", "-l", str(view)], check=True)


EXT4_IOC_SHUTDOWN = 0x8004587D  # linux/ext4.h: _IOR('X', 125, __u32)
SHUTDOWN_WITHOUT_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH: what is not in the journal by now never will be


@pytest.fixture
def power(tmp_path: Path) -> Iterator["Power"]:
    """Return a disk whose power can be cut, or skip where loop devices are not permitted."""
    with contextlib.ExitStack() as cleanup:
        try:
            mount, device = cleanup.enter_context(loop_file_system(tmp_path))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("needs permission for a loop device; kill -9 covers all but the disk's own cache")
        yield Power(mount, f"/dev/{device}")


class Power:
    """The power of one ext4 file system."""

    def __init__(self, mount: Path, device: str) -> None:
        self.mount = mount
        self._device = device

    def cut_and_restore(self) -> None:
        """Forget all that no sync has asked for, then let the journal replay as after a boot."""
        folder = os.open(self.mount, os.O_RDONLY)
        fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, SHUTDOWN_WITHOUT_FLUSH.to_bytes(4, sys.byteorder))
        os.close(folder)
        subprocess.run(["umount", str(self.mount)], check=True)
        subprocess.run(["mount", self._device, str(self.mount)], check=True)


@pytest.mark.parametrize("confirmed", [0, 1, 2, 5])
def test_a_power_cut_costs_nothing_that_was_confirmed(power: Power, confirmed: int) -> None:
    ring = Ring(power.mount / "footage", "pole-7", SETTINGS)
    whole = ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
    running = ring.start(Layer.MASKED, NOON)
    pieces = sealed_fragments(5)[:confirmed]
    append_all(running, pieces)
    os.close(ring._lock)  # as the kernel would; `close` would mark the segment
    running._close()

    power.cut_and_restore()

    with Ring(power.mount / "footage", "pole-7", SETTINGS) as ring:
        assert ring.segments()[:1] == [whole]
        assert opened(power.mount / "footage" / whole.path)[1]
        if not confirmed:
            assert ring.segments() == [whole]
        else:
            (kept,) = ring.recovery.truncated
            assert kept.size_bytes == sum(len(piece.sealed) for piece in pieces)
            assert opened(power.mount / "footage" / kept.path)[0]


# --- kill -9 ---------------------------------------------------------------------------------


def write_until_killed(folder: Path, seed: int) -> list[tuple[str, int, int]]:
    """Run a writer, kill it after a random number of acts, and return the acts it reported."""
    rng = random.Random(seed)
    acts: list[tuple[str, int, int]] = []
    command = [sys.executable, "-m", "tests.tools.ring_writer", str(folder), str(seed)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        wanted = rng.randrange(1, 12)
        for line in writer.stdout:
            act, sequence, size_bytes = line.split()
            acts.append((act, int(sequence), int(size_bytes)))
            if len(acts) == wanted:
                break
        for _ in range(rng.randrange(30_000)):  # somewhere within the next act, not right after one
            pass
        writer.send_signal(signal.SIGKILL)
        acts += [(act, int(sequence), int(size)) for act, sequence, size in map(str.split, writer.stdout)]
    assert writer.returncode == -signal.SIGKILL
    return acts


@pytest.mark.slow
def test_after_any_kill_the_ring_opens_with_all_that_was_confirmed_and_no_number_twice(tmp_path: Path) -> None:
    folder = tmp_path / "footage"
    last_sequence = 0
    finished: dict[int, int] = {}
    for seed in range(20):
        acts = write_until_killed(folder, seed)

        assert min(sequence for _, sequence, _ in acts) > last_sequence
        finished |= {sequence: size_bytes for act, sequence, size_bytes in acts if act == "finish"}
        with Ring(folder, "pole-7", SETTINGS) as ring:
            segments = {segment.sequence: segment for segment in ring.segments()}
            assert len(segments) == len(ring.segments())
            assert list(folder.rglob("*.part")) == []
            for sequence, size_bytes in finished.items():
                assert segments[sequence].size_bytes == size_bytes
                assert not segments[sequence].truncated
            act, sequence, size_bytes = acts[-1]
            if act == "append" and size_bytes > SEALED_CHUNK_BYTES + 1024:  # with a chunk behind the header
                assert segments[sequence].size_bytes >= size_bytes
            last_sequence = max(segments, default=last_sequence)
    for segment in segments.values():
        clear, complete = opened(folder / segment.path)
        assert complete or (segment.truncated and clear)


def test_a_card_without_a_free_byte_can_still_be_erased(power: Power) -> None:
    with Ring(power.mount / "footage", "pole-7", SETTINGS) as ring:
        stored = [ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]) for _ in range(3)]
        filler = power.mount / "from-outside"
        fill(filler)
        with pytest.raises(OSError, match="No space left"):
            (power.mount / "more").write_bytes(bytes(1 << 20))

        ring.remove(stored)

        assert ring.segments() == []
        assert not list((power.mount / "footage").rglob("*.age"))
        filler.unlink()
        again = ring.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
        assert again.sequence == stored[-1].sequence + 1
