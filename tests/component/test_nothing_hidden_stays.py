"""With the sealed layer off, what was hidden of a frame is nowhere once the frame is over: no memory, no file.

Somebody stands before a recorder's camera, covered with a pattern that is nowhere else. A second process reads all
of the recorder's memory, and every file it wrote, while the frame is in hand (there it must be found, or the search is
worth nothing), when the next frame is, and frames later.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.adapters.analysis import shrink
from tests.fakes import marked_street
from tests.fakes.marked_street import HEIGHT, LEFT, SIZE, STOPS, TOP, WIDTH, seeds

ROOT = Path(__file__).resolve().parents[2]
CHUNK_BYTES = 16 * 1024 * 1024
NEEDLE_BYTES = 24
needs_proc = pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="reads /proc/PID/mem, which Linux has")


def needles() -> tuple[list[bytes], list[bytes]]:
    """Return pieces of the pattern: as it is, and as it is on the small plane."""
    rows, columns = seeds()
    marked = np.zeros((SIZE.height_px, SIZE.width_px), np.uint8)
    marked[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH] = np.bitwise_xor.outer(rows, columns)
    small = shrink(marked)
    factor = SIZE.width_px // small.shape[1]
    full = [marked[TOP + row, LEFT : LEFT + NEEDLE_BYTES].tobytes() for row in range(8, HEIGHT, 40)]
    left = LEFT // factor + 2
    reduced = [small[(TOP + row) // factor, left : left + NEEDLE_BYTES].tobytes() for row in range(12, HEIGHT, 40)]
    return full, reduced


def memory_of(pid: int) -> Iterator[bytes]:
    """Yield all of a process's memory that it can write, in pieces that overlap by a needle."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if found is None:
                continue
            start, end = (int(part, 16) for part in found.groups())
            for at in range(start, end, CHUNK_BYTES):
                try:
                    memory.seek(at)
                    yield memory.read(min(CHUNK_BYTES + NEEDLE_BYTES, end - at))
                except (OSError, ValueError):  # a guard page, or a device's
                    continue


def found_in(pieces: Iterator[bytes], wanted: list[bytes]) -> int:
    return sum(needle in piece for piece in pieces for needle in wanted)


def files_in(folder: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())


@needs_proc
@pytest.mark.slow
def test_no_memory_and_no_file_keeps_what_was_hidden(tmp_path: Path) -> None:
    full, reduced = needles()
    found: dict[str, tuple[int, int]] = {}

    with subprocess.Popen(
        [sys.executable, "-m", marked_street.__name__, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as recorder:
        assert recorder.stdin is not None
        assert recorder.stdout is not None
        try:
            for word in STOPS.values():
                assert recorder.stdout.readline().strip() == word
                found[word] = found_in(memory_of(recorder.pid), full), found_in(memory_of(recorder.pid), reduced)
                recorder.stdin.write("go on\n")
                recorder.stdin.flush()
        except PermissionError:
            recorder.kill()
            pytest.skip("this machine lets nobody read the memory of another process")
        recorder.stdin.close()
        assert recorder.wait(60) == 0

    in_files = found_in(files_in(tmp_path), [*full, *reduced])
    assert min(found["raw"]) > 0, "a frame in hand holds the pattern, or the search is blind"
    assert found["gone"] == (0, 0)
    assert found["later"] == (0, 0)
    assert in_files == 0
    assert any(tmp_path.rglob("*.age"))
