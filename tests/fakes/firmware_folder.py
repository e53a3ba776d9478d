"""A copy of `firmware-config/` with a mistake in it, and what its check says."""

import shutil
from collections.abc import Callable
from pathlib import Path

from provisioning.firmware.check import check

FOLDER = Path(__file__).resolve().parents[2] / "firmware-config"


def copied(into: Path) -> Path:
    """Return a copy of the folder in which a test may change what it likes."""
    return Path(shutil.copytree(FOLDER, into / FOLDER.name))


def replaced(old: str, new: str) -> Callable[[str], str]:
    """Return the change of a text that puts `new` in place of `old`."""
    return lambda text: text.replace(old, new)


def findings_after(change: Callable[[str], str], path: Path, folder: Path) -> list[str]:
    """Return what is found in `folder` once `path` in it was changed, which it must have been."""
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before, path
    path.write_text(after, encoding="utf-8")
    return [str(finding) for finding in check(folder)]
