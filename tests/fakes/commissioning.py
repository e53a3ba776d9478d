"""A technician at a simulated camera: a recorder, `lamppost commission`, and the address it prints."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provisioning.authority.keys import KeyCard, make_key
from tests.fakes.desk import CAMERA, Desk

PASSPHRASE = "a ladder in the rain"


@dataclass(frozen=True, slots=True)
class Technician:
    """Who commissions.

    Attributes:
        key: Their key folder.
        card: Their card.
        passphrase: A file with their passphrase.
    """

    key: Path
    card: KeyCard
    passphrase: Path


@dataclass(slots=True)
class OpenPage:
    """A running `lamppost commission`.

    Attributes:
        address: What it printed; good once.
        out: Where proposals and the record go.
        process: The command.
    """

    address: str
    out: Path
    process: "subprocess.Popen[str]"

    @property
    def origin(self) -> str:
        """The page's origin."""
        return self.address.partition("/?")[0]

    def saved(self, kind: str) -> list[Path]:
        """Return the files of a kind that were saved: "proposal" or "record"."""
        return sorted(self.out.glob(f"*.{kind}.json"))


def technician(folder: Path) -> Technician:
    """Make a technician's key."""
    card = make_key(folder / "key", office="technician", name="Terry Technician", passphrase=PASSPHRASE)
    (folder / "passphrase").write_text(PASSPHRASE + "\n", encoding="utf-8")
    return Technician(folder / "key", card, folder / "passphrase")


@contextmanager
def open_page(
    desk: Desk, who: Technician, out: Path, *more: str, camera: str = CAMERA, programs: Path | None = None
) -> Iterator[OpenPage]:
    """Run `lamppost commission` at the desk's camera for as long as the block runs.

    Args:
        desk: Whose camera.
        who: Who runs it.
        out: Where proposals and the record go.
        more: Further words of the command.
        camera: The id that is asked for.
        programs: A folder that is looked in first for programs, such as a fake `ssh`.

    Raises:
        AssertionError: It printed no address; the text is what it said.
    """
    command = [sys.executable, "-m", "provisioning", "commission", camera, "--config", str(desk.camera.config)]
    command += ["--key", str(who.key), "--passphrase-file", str(who.passphrase), "--out", str(out), *more]
    path = os.environ["PATH"] if programs is None else f"{programs}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PATH": path}
    )
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"https?://\S+/\?token=\S+", line):
                yield OpenPage(found[0], out, process)
                break
        else:
            raise AssertionError("".join(said))
    finally:
        process.terminate()
        process.communicate(timeout=60)
