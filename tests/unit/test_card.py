"""Only a card is written to, and every other disk is refused for its own reason."""

import struct
from typing import Any

import pytest

from agent.core.enrolment.exchange import Order, Place
from agent.errors import CardError, WrongDiskError
from provisioning.enrolment.card import (
    ORDER_FILE,
    SECTOR_BYTES,
    TABLE_BYTES,
    Partition,
    fat_partitions,
    first_boot,
    judge_disk,
)
from tests.fakes.claims import Office, claim, order_key
from tests.fakes.disks import mbr

CARD: dict[str, Any] = {
    "path": "/dev/sdb", "size": 64_000_000_000, "rm": True, "hotplug": True, "ro": False, "type": "disk",
    "model": "SD Reader ", "mountpoints": [None], "children": [{"path": "/dev/sdb1", "mountpoints": [None]}],
}  # fmt: skip


def described(**other: Any) -> dict[str, Any]:
    return {"blockdevices": [{**CARD, **other}]}


def test_a_card_is_taken() -> None:
    assert judge_disk(described(), "/dev/sdb").model == "SD Reader"


def test_a_card_in_a_laptops_own_slot_is_taken_though_it_says_it_is_not_removable() -> None:
    slot = described(path="/dev/mmcblk0", rm=False, hotplug=False)

    assert judge_disk(slot, "/dev/mmcblk0").path == "/dev/mmcblk0"


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"mountpoints": ["/media/usb"]}, "is mounted at /media/usb"),
        ({"children": [{"path": "/dev/sdb1", "mountpoints": ["/mnt"]}]}, "is mounted at /mnt"),
        ({"children": [{"path": "/dev/sdb1", "children": [{"mountpoints": ["/"]}]}]}, "holds the system"),
        ({"children": [{"path": "/dev/sdb2", "mountpoints": ["[SWAP]"]}]}, "holds the system"),
        ({"size": 1_000_204_886_016}, "no card is larger"),
        ({"size": 1_000_000_000}, "at least 4.0 GB"),
        ({"size": None}, "at least 4.0 GB"),
        ({"rm": False, "hotplug": False}, "not removable"),
        ({"ro": True}, "read-only"),
        ({"type": "loop"}, "is a loop"),
    ],
)
def test_what_is_no_card_is_refused_for_its_reason(other: dict[str, Any], why: str) -> None:
    with pytest.raises(WrongDiskError, match=why):
        judge_disk(described(**other), "/dev/sdb")


@pytest.mark.parametrize(("path", "why"), [("/dev/sdb1", "part of a disk"), ("/dev/sdz", "no disk")])
def test_what_is_no_whole_disk_is_refused(path: str, why: str) -> None:
    with pytest.raises(WrongDiskError, match=why):
        judge_disk(described(), path)


def gpt(*partitions: tuple[int, int]) -> bytes:
    table = bytearray(mbr((0xEE, 1, 1000)))
    table[512:520] = b"EFI PART"
    struct.pack_into("<QII", table, 512 + 72, 2, 128, 128)
    for number, (first, last) in enumerate(partitions):
        at = 2 * SECTOR_BYTES + 128 * number
        table[at : at + 16] = b"\x01" * 16
        struct.pack_into("<QQ", table, at + 32, first, last)
    return bytes(table)


def test_boot_partitions_are_found_in_both_kinds_of_table() -> None:
    expected = Partition(offset_bytes=8192 * 512, size_bytes=1000 * 512)

    assert fat_partitions(mbr((0x0C, 8192, 1000), (0x83, 10_000, 9))) == [expected]
    assert fat_partitions(gpt((8192, 9191), (20_000, 20_009)))[0] == expected


@pytest.mark.parametrize(
    "start", [b"", bytes(TABLE_BYTES), gpt()[:512] + bytes(TABLE_BYTES - 512)], ids=["nothing", "zeroes", "half a GPT"]
)
def test_a_card_without_a_table_says_what_to_do(start: bytes) -> None:
    with pytest.raises(CardError) as refused:
        fat_partitions(start)

    assert refused.value.hint is not None
    assert "flash" in refused.value.hint


def test_first_boot_knows_its_name_and_its_network() -> None:
    order = Order(claim=Office().sign(claim()), key=order_key(), wifi=Place(ssid='Caf\\"e', secret='pass "word" \\'))

    files = first_boot(order, "cam-07", {"user-data": "#cloud-config\n", "network-config": "version: 2\n"})

    assert Order.from_bytes(files[ORDER_FILE]) == order
    assert files["user-data"].endswith(b"hostname: cam-07\n")
    assert b'"Caf\\\\\\"e":\n        password: "pass \\"word\\" \\\\"\n' in files["network-config"]


def test_an_image_without_cloud_init_gets_the_order_alone() -> None:
    assert set(first_boot(Order(claim=Office().sign(claim())), "cam-07", {})) == {ORDER_FILE}
