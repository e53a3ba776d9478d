"""Images with one FAT, as a stock image's boot partition is."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fakes.disks import mbr

FIRST, SECTORS = 2048, 40_000
PLACE = f"@@{FIRST * 512}"

needs_mtools = pytest.mark.skipif(shutil.which("mcopy") is None, reason="needs mtools (apt)")


def make_image(path: Path, *names: str) -> Path:
    """Write an image with one FAT that holds `names`."""
    table = mbr((0x0C, FIRST, SECTORS))
    path.write_bytes(table + bytes((FIRST + SECTORS) * 512 - len(table)))
    subprocess.run(["mformat", "-i", f"{path}{PLACE}", "-T", str(SECTORS), "-v", "bootfs", "::"], check=True)
    for name in names:
        subprocess.run(["mcopy", "-i", f"{path}{PLACE}", "-", f"::{name}"], input=b"stock\n", check=True)
    return path


def read_from(image: Path, name: str) -> bytes:
    """Return a file from an image, or from a card."""
    return subprocess.run(["mtype", "-i", f"{image}{PLACE}", f"::{name}"], check=True, capture_output=True).stdout
