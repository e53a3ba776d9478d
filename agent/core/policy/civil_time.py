"""A city's wall clock as a rule, without tables on disk.

`zoneinfo` reads the operating system's tables, which no official signed and which
differ between an official's laptop and a camera. A charter states the POSIX TZ
rule instead; it is wrapped here as the footer of an otherwise empty RFC 8536 file
in memory, so that the standard library still does the arithmetic.
"""

import re
import struct
from functools import lru_cache
from io import BytesIO
from zoneinfo import ZoneInfo

# Names of letters, offsets in whole minutes, and the Mm.w.d form that every city in use today needs.
_RULE = re.compile(
    r"[A-Z]{3,5}[+-]?\d{1,2}(:\d\d)?"
    r"([A-Z]{3,5}([+-]?\d{1,2}(:\d\d)?)?(,M\d{1,2}\.\d\.\d(/\d{1,2}(:\d\d)?)?){2})?",
    re.ASCII,
)


def _tzif(rule: str) -> bytes:
    """Return a version 2 TZif of no transitions, one placeholder type and the footer `rule` (RFC 8536 3)."""
    header = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    block = struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    return (header + block) * 2 + b"\n" + rule.encode("ascii") + b"\n"


@lru_cache(maxsize=8)
def zone_of(rule: str) -> ZoneInfo:
    """Return the time zone that follows the POSIX TZ `rule` for ever.

    Raises:
        ValueError: It is not such a rule.
    """
    if not _RULE.fullmatch(rule):
        raise ValueError(f"time zone {rule!a} is not a POSIX rule such as CST6CDT,M3.2.0,M11.1.0")
    try:
        return ZoneInfo.from_file(BytesIO(_tzif(rule)), key=rule)
    except ValueError as error:
        raise ValueError(f"time zone {rule!a} is not a POSIX rule: {error}") from error
