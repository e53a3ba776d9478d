"""(f) What a second of footage makes the disk write."""

import subprocess

from tests.bench.measuring import Result
from tests.tools.device_bytes import measure

MOST = 1.05


def device_bytes() -> Result:
    """Return bytes to the device per byte of footage at 4 Mbit/s on a loop device, for two ways to make an ext4."""
    try:
        default = measure(segments=12)
        small_blocks = measure(segments=12, options=("-b", "1024"))
    except (subprocess.CalledProcessError, OSError) as error:
        return Result(
            key="f", what="bytes to the device per byte of footage", value=float("nan"), target=f"≤ {MOST}", met=False,
            note=f"not measured: {error}",
        )  # fmt: skip
    return Result(
        key="f",
        what="bytes to the device per byte of footage at 4 Mbit/s, ext4",
        value=default,
        target=f"≤ {MOST}",
        met=default <= MOST,
        unit="bytes",
        note=f"{small_blocks:.3f} on an ext4 made with -b 1024",
    )
