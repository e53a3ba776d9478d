"""Which disk may be a camera's card, where its boot partition is, and what is written there.

Pure: what `lsblk` and the first sectors say goes in, a verdict and files come out.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.enrolment.exchange import Order
from agent.errors import CardError, WrongDiskError
from provisioning.words import words

LARGEST_BYTES = 1_000_000_000_000  # no camera's card is larger; most laptops' disks are, or soon will be
SMALLEST_BYTES = 4_000_000_000  # root and boot of the image, and an hour of footage
SYSTEM = frozenset({"/", "/boot", "/usr", "[SWAP]"})  # mounted there: this machine runs from it
SECTOR_BYTES = 512
TABLE_BYTES = 34 * SECTOR_BYTES  # MBR, GPT header, and its 128 entries (UEFI 2.10, 5.3)

ORDER_FILE = "lamppost-order.json"
FIRST_BOOT_FILES = ("user-data", "meta-data", "network-config")

_GPT_PROTECTIVE = 0xEE
_FAT_TYPES = frozenset({0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEF})
_SIGNATURE = b"\x55\xaa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A whole disk, as the kernel describes it.

    Attributes:
        path: Its device.
        size_bytes: How large it is.
        model: What it calls itself.
    """

    path: str
    size_bytes: int
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Where a partition lies on a disk or in an image."""

    offset_bytes: int
    size_bytes: int


def judge_disk(described: Mapping[str, Any], path: str) -> Disk:
    """Return the disk at `path`, if it may be written to.

    Args:
        described: What `lsblk --json --bytes --output-all` says.
        path: The device that a person named.

    Raises:
        WrongDiskError: It is not there, or no card; the message says why, because the next attempt is as quick.
    """
    entry = next((one for one in described.get("blockdevices", ()) if one.get("path") == path), None)
    if entry is None:
        part = any(child.get("path") == path for one in described.get("blockdevices", ()) for child in _all_of(one))
        raise WrongDiskError(
            words("wrong-disk.part" if part else "wrong-disk.absent", path=path), hint=words("wrong-disk.absent_hint")
        )
    mounted = sorted({str(point) for one in _all_of(entry) for point in one.get("mountpoints") or () if point})
    size = int(entry.get("size") or 0)
    has = size_words(size)
    for wrong, said, hint in (
        (entry.get("type") != "disk", words("wrong-disk.kind", path=path, kind=entry.get("type")), None),
        (SYSTEM & set(mounted), words("wrong-disk.system", path=path), words("wrong-disk.system_hint")),
        (
            mounted,
            words("wrong-disk.mounted", path=path, places=", ".join(mounted)),
            words("wrong-disk.mounted_hint"),
        ),
        (
            size > LARGEST_BYTES,
            words("wrong-disk.large", path=path, size=has, most=size_words(LARGEST_BYTES)),
            words("wrong-disk.system_hint"),
        ),
        (
            size < SMALLEST_BYTES,
            words("wrong-disk.small", path=path, size=has, least=size_words(SMALLEST_BYTES)),
            words("wrong-disk.small_hint"),
        ),
        (not _removable(entry), words("wrong-disk.built_in", path=path), words("wrong-disk.system_hint")),
        (entry.get("ro"), words("wrong-disk.read_only", path=path), words("wrong-disk.read_only_hint")),
    ):
        if wrong:
            raise WrongDiskError(said, hint=hint)
    return Disk(path=path, size_bytes=size, model=str(entry.get("model") or words("wrong-disk.model")).strip())


def fat_partitions(start: bytes) -> list[Partition]:
    """Return the partitions that may hold a FAT, in order.

    Args:
        start: The first `TABLE_BYTES` of a disk or image.

    Raises:
        CardError: There is no partition table: nothing was flashed, or only half.
    """
    if len(start) < TABLE_BYTES or start[510:512] != _SIGNATURE:
        raise CardError(words("card.no_table"), hint=words("card.no_table_hint"))
    entries = [start[446 + 16 * number : 462 + 16 * number] for number in range(4)]
    if any(entry[4] == _GPT_PROTECTIVE for entry in entries):
        return list(_gpt(start))
    found = []
    for entry in entries:
        first, sectors = struct.unpack_from("<II", entry, 8)
        if entry[4] in _FAT_TYPES and sectors:
            found.append(Partition(offset_bytes=first * SECTOR_BYTES, size_bytes=sectors * SECTOR_BYTES))
    return found


def first_boot(order: Order, camera_id: str, templates: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files that go onto the boot partition, by name.

    Args:
        order: What the camera is to carry out.
        camera_id: Its host name, too.
        templates: The texts of `firmware-config/first-boot`; none if the image does not start with cloud-init.
    """
    files = {ORDER_FILE: order.to_bytes()}
    for name, text in templates.items():
        files[name] = text.encode()
    if "user-data" in templates:
        files["user-data"] = _with_host_name(templates["user-data"], camera_id).encode()
    if "network-config" in templates and order.wifi is not None:
        files["network-config"] = _with_wifi(templates["network-config"], order.wifi.ssid, order.wifi.secret).encode()
    return files


def _gpt(start: bytes) -> Iterator[Partition]:
    header = start[SECTOR_BYTES : 2 * SECTOR_BYTES]
    if not header.startswith(b"EFI PART"):
        raise CardError(words("card.damaged_table"), hint=words("card.damaged_table_hint"))
    at, count, size = struct.unpack_from("<QII", header, 72)
    for number in range(min(count, 128)):
        begin = at * SECTOR_BYTES + number * size
        entry = start[begin : begin + 128]
        if len(entry) == 128 and any(entry[:16]):  # noqa: PLR2004 - an entry's size, UEFI 2.10, 5.3.3
            first, last = struct.unpack_from("<QQ", entry, 32)
            yield Partition(offset_bytes=first * SECTOR_BYTES, size_bytes=(last - first + 1) * SECTOR_BYTES)


def _with_host_name(user_data: str, camera_id: str) -> str:
    remark = "# Who this is: the order beside this file says the same, signed."
    return f"{user_data.rstrip()}\n\n{remark}\nhostname: {camera_id}\n"


def _with_wifi(network_config: str, ssid: str, secret: str) -> str:
    # JSON strings are YAML strings (YAML 1.2, 10.2), whatever is in them.
    return (
        f"{network_config.rstrip()}\n"
        "wifis:\n"
        "  radio:\n"
        "    match:\n"
        '      name: "wl*"\n'
        "    dhcp4: true\n"
        "    dhcp6: true\n"
        "    optional: true\n"
        "    access-points:\n"
        f"      {_yaml(ssid)}:\n"
        f"        password: {_yaml(secret)}\n"
    )


def _yaml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _all_of(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield entry
    for child in entry.get("children") or ():
        yield from _all_of(child)


def _removable(entry: Mapping[str, Any]) -> bool:
    # A card in a laptop's own slot is an mmcblk that says of itself that it is not removable.
    return bool(entry.get("rm") or entry.get("hotplug")) or bool(
        re.fullmatch(r"/dev/mmcblk\d+", str(entry.get("path")))
    )


def size_words(size_bytes: int) -> str:
    """Return a size as people say it."""
    return f"{size_bytes / 1e9:.1f} GB"
