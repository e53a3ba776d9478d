"""Give memory back: a small board has little, and glibc keeps what it once had."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # mallopt(3)
_THRESHOLD_BYTES = 128 * 1024  # glibc's own first value; setting it stops it from growing


def return_large_blocks() -> None:
    """Have large blocks mapped one by one, so that each is gone when it is freed.

    Without this, glibc takes the first freed bundle of 2 MiB, or the first freed frame, as a sign to
    keep such blocks, in an arena of each thread; what is in use stays the same, and the arenas around
    it grow for hours: 31 MB of the recorder's 75 lay idle after two minutes of 640x360. Mappings are
    paid for in page faults: 1,800 a frame of 1080p, 7 ms of 38 on a virtual x86-64 with much to do.
    Elsewhere than on glibc, this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl
        return
    mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _THRESHOLD_BYTES)
    mallopt(_M_ARENA_MAX, 1)  # two threads need no arena each
