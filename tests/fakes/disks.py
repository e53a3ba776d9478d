"""Partition tables."""

import struct

from provisioning.enrolment.card import TABLE_BYTES


def mbr(*partitions: tuple[int, int, int]) -> bytes:
    """Return the start of a disk with an MBR of (type, first sector, sectors)."""
    table = bytearray(TABLE_BYTES)
    for number, (kind, first, sectors) in enumerate(partitions):
        struct.pack_into("<B3xB3xII", table, 446 + 16 * number, 0, kind, first, sectors)
    table[510:512] = b"\x55\xaa"
    return bytes(table)
