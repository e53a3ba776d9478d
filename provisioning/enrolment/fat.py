"""Files on a FAT inside an image or on a device, through mtools: no mounting, and no root for an image."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from agent.errors import CardError, UsageError
from provisioning.enrolment.card import Partition
from provisioning.words import words

_PATIENCE_S = 120.0


class FatPartition:
    """One FAT.

    Args:
        path: The image or device it is on.
        partition: Where.
    """

    def __init__(self, path: Path, partition: Partition) -> None:
        self._place = f"{path}@@{partition.offset_bytes}"

    def has(self, name: str) -> bool:
        """Return whether a file of that name is in its root folder; False too where there is no FAT."""
        return self._run("mdir", "-b", f"::{name}").returncode == 0

    def read(self, name: str) -> bytes:
        """Return a file. Raises CardError."""
        done = self._run("mtype", f"::{name}")
        if done.returncode:
            raise CardError(words("card.cannot_read_back", name=name, why=_said(done)), hint=words("card.forgets_hint"))
        return done.stdout

    def write(self, name: str, content: bytes) -> None:
        """Write a file, over one that is there.

        Raises:
            CardError: It cannot: full, damaged, or pulled out.
        """
        done = self._run("mcopy", "-o", "-", f"::{name}", given=content)
        if done.returncode:
            raise CardError(words("card.cannot_write", name=name, why=_said(done)), hint=words("card.still_in_hint"))

    def _run(self, program: str, *arguments: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        found = shutil.which(program)
        if found is None:
            raise missing(program, "mtools")
        try:
            return subprocess.run(  # noqa: S603 - mtools, and arguments of our own
                [found, "-i", self._place, *arguments],
                input=given,
                capture_output=True,
                timeout=_PATIENCE_S,
                check=False,
                env={"MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired as error:
            raise CardError(words("card.no_answer"), hint=words("card.no_answer_hint")) from error


def describe_disks() -> dict[str, Any]:
    """Return what `lsblk` says of every disk.

    Raises:
        UsageError: There is no lsblk.
        CardError: It fails.
    """
    found = shutil.which("lsblk")
    if found is None:
        raise missing("lsblk", "util-linux")
    columns = "PATH,SIZE,RM,HOTPLUG,RO,TYPE,MODEL,MOUNTPOINTS"
    done = subprocess.run(  # noqa: S603 - lsblk, and words of our own
        [found, "--json", "--bytes", "--output", columns], capture_output=True, check=False, timeout=_PATIENCE_S
    )
    if done.returncode:
        raise CardError(words("card.lsblk", why=_said(done)))
    described: dict[str, Any] = json.loads(done.stdout)
    return described


def missing(program: str, package: str) -> UsageError:
    """Return what to tell when a program of this machine is not there."""
    return UsageError(words("card.no_program", program=program), hint=words("card.no_program_hint", package=package))


def _said(done: "subprocess.CompletedProcess[bytes]") -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"
