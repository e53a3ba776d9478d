"""What the machine says about itself: heat, power, memory, disk, network. What it does not say is None.

Everything is a file of the kernel's; a Raspberry Pi's firmware answers in one too. Nothing here
raises: a board that cannot measure its temperature is still a board.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from agent.core.messages.presence import BoardStatus

# The firmware's `get_throttled`: bits 0 to 3 now, 16 to 19 since boot (Raspberry Pi documentation, vcgencmd).
_UNDER_VOLTAGE, _CAPPED, _THROTTLED, _SOFT_LIMIT = 0x1, 0x2, 0x4, 0x8
_SINCE_BOOT = 16
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_DEFAULT_ROUTE = "00000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The interface that leads out.

    Attributes:
        interface: Its name.
        signal_dbm: Of a wireless one.
    """

    interface: str
    signal_dbm: int | None = None


class Board:
    """This machine.

    Args:
        disk: A path on the file system that footage goes to.
        root: Where /proc and /sys are; another one in tests.
    """

    def __init__(self, disk: Path, *, root: Path = Path("/")) -> None:
        self._disk = disk
        self._proc = root / "proc"
        self._sys = root / "sys"

    def status(self) -> BoardStatus:
        """Return what can be measured now."""
        throttled = self._throttled()
        room = self._room()
        return BoardStatus(
            temperature_celsius=self._temperature(),
            throttled=None if throttled is None else bool(throttled & (_CAPPED | _THROTTLED | _SOFT_LIMIT)),
            under_voltage=None if throttled is None else bool(throttled & _UNDER_VOLTAGE),
            throttled_since_boot=(
                None if throttled is None else bool(throttled >> _SINCE_BOOT & (_CAPPED | _THROTTLED | _SOFT_LIMIT))
            ),
            under_voltage_since_boot=None if throttled is None else bool(throttled >> _SINCE_BOOT & _UNDER_VOLTAGE),
            uptime_s=self.uptime_s(),
            memory_available_bytes=self._memory_available(),
            load_ratio=self._load(),
            disk_free_bytes=None if room is None else room.f_bavail * room.f_frsize,
            disk_total_bytes=None if room is None else room.f_blocks * room.f_frsize,
            disk_read_only=None if room is None else bool(room.f_flag & os.ST_RDONLY),
            disk_life_used_ratio=self._life_used(),
            disk_error=self._disk_error(),
        )

    def serial(self) -> str | None:
        """Return the board's serial number in small hex, as the device tree has it; None where there is none."""
        text = _read(self._sys / "firmware/devicetree/base/serial-number").strip("\x00\n ").lower()
        return text if re.fullmatch(r"[0-9a-f]{8,32}", text) else None

    def uptime_s(self) -> int | None:
        """Return for how long the machine has run."""
        words = _read(self._proc / "uptime").split()
        return int(float(words[0])) if words else None

    def memory_bytes(self) -> int | None:
        """Return what this process takes (resident)."""
        words = _read(self._proc / "self/statm").split()
        return int(words[1]) * _PAGE_BYTES if len(words) > 1 else None

    def route(self) -> Route | None:
        """Return the interface of the default route."""
        for line in _read(self._proc / "net/route").splitlines()[1:]:
            words = line.split()
            if len(words) > 1 and words[1] == _DEFAULT_ROUTE:
                return Route(interface=words[0], signal_dbm=self._signal(words[0]))
        return None

    def _temperature(self) -> float | None:
        text = _read(self._sys / "class/thermal/thermal_zone0/temp").strip()
        return int(text) / 1000 if re.fullmatch(r"-?\d+", text) else None

    def _throttled(self) -> int | None:
        text = _read(self._sys / "devices/platform/soc/soc:firmware/get_throttled").strip()
        return int(text, 16) if re.fullmatch(r"[0-9a-fA-F]{1,8}", text) else None

    def _memory_available(self) -> int | None:
        match = re.search(r"^MemAvailable:\s+(\d+) kB$", _read(self._proc / "meminfo"), re.MULTILINE)
        return int(match[1]) * 1024 if match else None

    def _load(self) -> float | None:
        words = _read(self._proc / "loadavg").split()
        return round(float(words[0]) / (os.cpu_count() or 1), 3) if words else None

    def _room(self) -> os.statvfs_result | None:
        try:
            return os.statvfs(self._disk)
        except OSError:
            return None

    def _life_used(self) -> float | None:
        """Return the wear an eMMC reports: JEDEC 84-B51 DEVICE_LIFE_TIME_EST, in tenths, the worse of its two kinds."""
        for path in self._sys.glob("block/mmcblk[0-9]/device/life_time"):
            tenths = max((int(word, 16) for word in re.findall(r"0x[0-9a-fA-F]{2}\b", _read(path))), default=0)
            if tenths:  # 0x00: not defined
                return min(tenths / 10, 1.0)
        return None

    def _disk_error(self) -> str | None:
        """Return what ext4 counted on this file system, by its device number."""
        try:
            device = self._disk.stat().st_dev
        except OSError:
            return None
        name = (self._sys / f"dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        text = _read(self._sys / "fs/ext4" / name / "errors_count").strip()
        if not text.isdecimal():
            return None
        return "" if text == "0" else f"{text} errors on {name} since it was last checked"

    def _signal(self, interface: str) -> int | None:
        match = re.search(
            rf"^\s*{re.escape(interface)}:\s+\S+\s+\S+\s+(-?\d+)\.?\s", _read(self._proc / "net/wireless"), re.MULTILINE
        )
        return int(match[1]) if match else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
