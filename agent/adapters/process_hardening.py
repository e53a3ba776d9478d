"""Keep what is in memory in memory: no core dumps, no readable files, no swap unnoticed.

Raw frames and file keys live in this process's memory only. The systemd unit says most
of this, too; a desk or a demo has no unit, and one of two locks may be forgotten.
"""

import ctypes
import os
import resource
from pathlib import Path

_PR_SET_DUMPABLE = 4  # linux/prctl.h
_SWAPS = Path("/proc/swaps")


def harden_process(*, swaps: Path = _SWAPS) -> tuple[str, ...]:
    """Close the ways by which memory reaches storage, and return warnings about those left open.

    Core dumps are turned off by limit and by flag (a core_pattern that pipes ignores
    the limit; the flag also keeps other processes of the same user from attaching), and
    a new file is private unless whoever makes it says otherwise.

    Args:
        swaps: Where the kernel lists its swap areas.

    Returns:
        One sentence for each way that stays open; empty is good.
    """
    warnings = []
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        warnings.append(f"core dumps may be piped to a program: {os.strerror(ctypes.get_errno()).lower()}")
    os.umask(0o077)
    if areas := _storage_swaps(swaps):
        warnings.append(f"swap is on ({', '.join(areas)}): frames and keys in memory may reach storage")
    return tuple(warnings)


def _storage_swaps(swaps: Path) -> list[str]:
    """Return the swap areas that are not compressed memory; unreadable means that nothing is known of any."""
    try:
        lines = swaps.read_text(encoding="utf-8").splitlines()[1:]  # the first line is a heading
    except OSError:  # a kernel without swap has no such file
        return []
    areas = [line.split()[0] for line in lines if line.strip()]
    return [area for area in areas if not Path(area).name.startswith("zram")]  # zram is memory, not storage
