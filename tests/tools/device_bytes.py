"""Measure how many bytes a disk is made to write for each byte of footage.

Makes an ext4 file system in a file behind a loop device, lets the real ring write
segments as a camera at 4 Mbit/s would, one fragment each 0.9 s, and compares what the
block device counted with the segments' lengths. Needs root. The page cache makes pace
matter: a second is long for a disk, so an unpaced run leaves out some of the journal's
checkpoints; `--paced` waits as a camera does.

    python -m tests.tools.device_bytes [--segments 20] [--paced] [--block-bytes 1024] [--journal fast_commit]
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from agent.adapters.ring import Ring, RingSettings
from agent.core.sealing.recipients import PostQuantumIdentity
from agent.core.sealing.segment import SegmentSealer
from agent.core.video import Fragment, Layer
from tests.fakes.sealed import NOON

SECTOR_BYTES = 512  # /sys/block/*/stat counts in these, whatever the device's own are
RATE_BYTES_S = 4_000_000 // 8
FRAGMENT_S = 0.9
SEGMENT_S = 10


@contextlib.contextmanager
def loop_file_system(folder: Path, *, options: tuple[str, ...] = ()) -> Iterator[tuple[Path, str]]:
    """Mount a fresh 1 GiB ext4 file system; yield where, and the loop device's name.

    Raises:
        CalledProcessError: Not permitted here.
    """
    image, mount = folder / "disk.img", folder / "mnt"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(1 << 30)
    # Whole tables at once: ext4 would otherwise zero them in the background while we count.
    lazy = ("-E", "lazy_itable_init=0,lazy_journal_init=0")
    subprocess.run(["mkfs.ext4", "-q", "-F", *lazy, *options, str(image)], check=True)
    losetup = ["losetup", "--direct-io=on", "--find", "--show", str(image)]
    device = subprocess.run(losetup, check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run(["mount", "-o", "noatime", device, str(mount)], check=True, capture_output=True)
        try:
            yield mount, Path(device).name
        finally:
            subprocess.run(["umount", str(mount)], check=True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def written_bytes(device: str) -> int:
    """Return what a block device has been made to write since it exists."""
    return int(Path(f"/sys/block/{device}/stat").read_text().split()[6]) * SECTOR_BYTES


def record(ring: Ring, *, segments: int, pace: threading.Event | None) -> int:
    """Write segments at 4 Mbit/s and return their total length."""
    recipient = PostQuantumIdentity.generate().recipient
    total_bytes = 0
    for number in range(segments):
        started_at = NOON + timedelta(seconds=number * SEGMENT_S)
        sealer = SegmentSealer([recipient])
        running = ring.start(Layer.MASKED, started_at)
        whole, rest_s = divmod(SEGMENT_S, FRAGMENT_S)
        for _ in range(int(whole)):
            if pace:
                pace.wait(FRAGMENT_S)
            running.append(sealer.push(_fragment(FRAGMENT_S)))
        if pace:
            pace.wait(rest_s)
        total_bytes += running.finish(sealer.finish(_fragment(rest_s))).size_bytes
    return total_bytes


def measure(*, segments: int = 20, paced: bool = False, options: tuple[str, ...] = ()) -> float:
    """Return bytes to the device per byte of footage."""
    with tempfile.TemporaryDirectory() as folder, loop_file_system(Path(folder), options=options) as (mount, device):
        settings = RingSettings(
            capacity_bytes=1 << 29, keep_free_bytes=0, segment_bytes=RATE_BYTES_S * SEGMENT_S * 21 // 20
        )
        with Ring(mount / "footage", "pole-7", settings) as ring:
            os.sync()
            before_bytes = written_bytes(device)
            footage_bytes = record(ring, segments=segments, pace=threading.Event() if paced else None)
            os.sync()
            return (written_bytes(device) - before_bytes) / footage_bytes


def _fragment(duration_s: float) -> Fragment:
    clear = os.urandom(int(RATE_BYTES_S * duration_s))
    return Fragment(clear=clear, frames=1, first_captured_at=NOON, last_captured_at=NOON)


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--segments", type=int, default=20)
    parser.add_argument("--paced", action="store_true")
    parser.add_argument("--journal", choices=["ordinary", "fast_commit"], default="ordinary")
    parser.add_argument("--block-bytes", type=int, choices=[1024, 2048, 4096], default=4096)
    chosen = parser.parse_args()
    options: tuple[str, ...] = ("-b", str(chosen.block_bytes))
    if chosen.journal == "fast_commit":
        options += ("-O", "fast_commit")
    ratio = measure(segments=chosen.segments, paced=chosen.paced, options=options)
    sys.stdout.write(f"{ratio:.4f}\n")


if __name__ == "__main__":
    main()
