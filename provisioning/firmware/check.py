"""Check a firmware-config folder as a whole."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from provisioning.firmware.boot import check_autoboot, check_cmdline, check_config, check_tryboot
from provisioning.firmware.recipe import check_first_boot, check_recipe
from provisioning.firmware.tables import Finding, Keys, read_boards, with_table


def check(folder: Path) -> list[Finding]:
    """Return everything that is wrong in a firmware-config folder."""
    try:
        keys = Keys(**tomllib.loads((folder / "keys.toml").read_text(encoding="utf-8")))
        boards = read_boards(folder)
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        return [Finding(path=folder, line=0, words=f"keys.toml or boards.toml: {error}")]
    findings: list[Finding] = []
    for board in boards:
        findings += check_board(folder / "boot" / board, keys)
    for strange in {path.name for path in (folder / "boot").iterdir()} - boards.keys():
        findings.append(Finding(path=folder / "boot" / strange, line=0, words="no such board in boards.toml"))
    for path in (
        *sorted((folder / "etc").rglob("*")),
        *sorted((folder / "image/layer").glob("*.d/*.overlay/etc/**/*")),
    ):
        if path.is_file():
            findings += check_reasons(path)
    findings += check_recipe(folder / "image", keys)
    findings += check_first_boot(folder / "first-boot", keys)
    readme = folder / "README.md"
    if with_table(readme.read_text(encoding="utf-8"), boards) != readme.read_text(encoding="utf-8"):
        findings.append(
            Finding(path=readme, line=0, words="the table of boards is not boards.toml's: run with --write")
        )
    return findings


def check_board(place: Path, keys: Keys) -> Iterator[Finding]:
    """Yield what is wrong in what a board's firmware reads."""
    board = place.name
    yield from check_config(place / "config.txt", board, keys)
    yield from check_cmdline(place / "cmdline.txt", board, keys)
    if (place / "autoboot.txt").exists():
        yield from check_autoboot(place / "autoboot.txt", board, keys)
    elif (place / "tryboot.txt").exists():
        yield from check_tryboot(place / "tryboot.txt", board, keys)
    else:
        yield Finding(path=place, line=0, words="neither autoboot.txt nor tryboot.txt: no update could be tried")


def check_reasons(path: Path) -> Iterator[Finding]:
    """Yield a finding for a file of settings that says nothing about why."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = sum(line.lstrip().startswith("#") or ' comment "' in line for line in lines)
    settings = sum(bool(line.strip()) and not line.lstrip().startswith(("#", "[")) for line in lines)
    if settings and (not lines[0].startswith("#") or comments * 4 < settings):
        yield Finding(path=path, line=1, words=f"{settings} settings and {comments} lines of reasons")
