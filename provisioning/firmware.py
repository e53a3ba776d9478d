"""Check what the boards boot with: every key known, every line with its reason, every promise of the table kept.

    python -m provisioning.firmware firmware-config           as `make check` runs it: findings, or nothing
    python -m provisioning.firmware firmware-config --write   renew the table of boards in its README.md

A Raspberry Pi's firmware ignores what it does not know, and so does a kernel. A misspelt
`dtparam=watchdog` is found on the day the camera hangs; here it is found before. What may
be said is in `keys.toml`, each key with its reason.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

# The firmware reads config.txt by lines of at most 98 characters, and autoboot.txt of at most 512 bytes in all.
CONFIG_LINE_CHARACTERS = 98
AUTOBOOT_BYTES = 512
AUTOBOOT_FILTERS = {"all", "tryboot"}
TABLE = re.compile(r"(?<=<!-- boards -->\n).*(?=<!-- /boards -->)", re.DOTALL)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Key(_Strict):
    """One thing that may be said."""

    why: str
    value: str
    boards: tuple[str, ...] = ()
    required: bool = False


class Keys(_Strict):
    """`keys.toml`."""

    filters: Mapping[str, str]
    config: Mapping[str, Key]
    autoboot: Mapping[str, Key]
    overlays: Mapping[str, Key]
    parameters: Mapping[str, Key]
    cmdline: Mapping[str, Key]


class Board(_Strict):
    """One board of `boards.toml`."""

    name: str
    model: str
    memory: str
    suites: tuple[str, ...]
    encoder: str
    picture: str
    rate_hz: str
    net: str
    slots: str
    clock: str
    estimate: str
    measured: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong, and where."""

    path: Path
    line: int
    words: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.words}"


def check(folder: Path) -> list[Finding]:
    """Return everything that is wrong in a firmware-config folder."""
    try:
        keys = Keys(**tomllib.loads((folder / "keys.toml").read_text(encoding="utf-8")))
        boards = read_boards(folder)
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        return [Finding(path=folder, line=0, words=f"keys.toml or boards.toml: {error}")]
    findings: list[Finding] = []
    for board in boards:
        place = folder / "boot" / board
        findings += check_config(place / "config.txt", board, keys)
        findings += check_cmdline(place / "cmdline.txt", board, keys)
        if (place / "autoboot.txt").exists():
            findings += check_autoboot(place / "autoboot.txt", board, keys)
    for strange in {path.name for path in (folder / "boot").iterdir()} - boards.keys():
        findings.append(Finding(path=folder / "boot" / strange, line=0, words="no such board in boards.toml"))
    for path in sorted((folder / "etc").rglob("*")):
        if path.is_file():
            findings += check_reasons(path)
    for path in sorted((folder / "image/layer").glob("*.yaml")):
        findings += check_layer(path)
    readme = folder / "README.md"
    if with_table(readme.read_text(encoding="utf-8"), boards) != readme.read_text(encoding="utf-8"):
        findings.append(
            Finding(path=readme, line=0, words="the table of boards is not boards.toml's: run with --write")
        )
    return findings


def read_boards(folder: Path) -> Mapping[str, Board]:
    """Return the boards by their short names."""
    written = tomllib.loads((folder / "boards.toml").read_text(encoding="utf-8"))
    return {name: Board(**board) for name, board in written.items()}


def check_config(path: Path, board: str, keys: Keys) -> Iterator[Finding]:
    """Yield what is wrong in a config.txt."""
    reasoned = False
    seen: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):

        def found(words: str, number: int = number) -> Finding:
            return Finding(path=path, line=number, words=words)

        if len(line) > CONFIG_LINE_CHARACTERS:
            yield found(f"{len(line)} characters, the firmware reads {CONFIG_LINE_CHARACTERS}")
        if not line.strip():
            reasoned = False
        elif line.startswith("#"):
            reasoned = True
        elif line.startswith("["):
            if line.strip("[]") not in keys.filters:
                yield found(f"unknown filter {line}")
        else:
            if not reasoned:
                yield found(f"{line}: no reason above it")
            if line in seen:
                yield found(f"{line}: said already in line {seen[line]}")
            seen[line] = number
            yield from map(found, _config_line(line, board, keys))


def _config_line(line: str, board: str, keys: Keys) -> Iterator[str]:
    name, sign, value = line.partition("=")
    if not sign or name != name.strip() or value != value.strip():
        yield f"{line}: expected key=value without spaces: the firmware takes them for part of it"
    elif name == "dtoverlay":
        overlay, _, parameters = value.partition(",")
        yield from _known("overlay", keys.overlays, overlay, parameters, board)
    elif name == "dtparam":
        parameter, _, setting = value.partition("=")
        yield from _known("parameter", keys.parameters, parameter, setting, board)
    else:
        yield from _known("key", keys.config, name, value, board)


def check_autoboot(path: Path, board: str, keys: Keys) -> Iterator[Finding]:
    """Yield what is wrong in an autoboot.txt."""
    text = path.read_text(encoding="utf-8")
    if len(text.encode()) > AUTOBOOT_BYTES:
        yield Finding(path=path, line=0, words=f"larger than the {AUTOBOOT_BYTES} bytes the firmware reads")
    slots: dict[str, str] = {}
    section = "all"
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("["):
            section = line.strip("[]")
            if section not in AUTOBOOT_FILTERS:
                yield Finding(path=path, line=number, words=f"{line}: only [all] and [tryboot] count here")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            for words in _known("key", keys.autoboot, name, value, board):
                yield Finding(path=path, line=number, words=words)
            if name == "boot_partition":
                slots[section] = value
    if len(set(slots.values())) != len(AUTOBOOT_FILTERS):
        yield Finding(path=path, line=0, words="an update must be tried from another partition than the usual one")


def check_cmdline(path: Path, board: str, keys: Keys) -> Iterator[Finding]:
    """Yield what is wrong in a cmdline.txt."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) != 1:
        yield Finding(path=path, line=0, words=f"{len(lines)} lines, the kernel gets the first one only")
    words = [word.partition("=") for word in lines[0].split()] if lines else []
    for name, _, value in words:
        for wrong in _known("word", keys.cmdline, name, value, board):
            yield Finding(path=path, line=1, words=wrong)
    said = {name for name, _, _ in words}
    for name, key in keys.cmdline.items():
        if key.required and name not in said:
            yield Finding(path=path, line=1, words=f"{name} is missing: {key.why}")


def check_reasons(path: Path) -> Iterator[Finding]:
    """Yield a finding for a file of settings that says nothing about why."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = sum(line.lstrip().startswith("#") or ' comment "' in line for line in lines)
    settings = sum(bool(line.strip()) and not line.lstrip().startswith(("#", "[")) for line in lines)
    if settings and (not lines[0].startswith("#") or comments * 4 < settings):
        yield Finding(path=path, line=1, words=f"{settings} settings and {comments} lines of reasons")


def check_layer(path: Path) -> Iterator[Finding]:
    """Yield what rpi-image-gen would refuse in a layer's metadata."""
    text = path.read_text(encoding="utf-8")
    told = dict(re.findall(r"^# X-Env-Layer-(\w+): (.+)$", text, re.MULTILINE))
    if not (text.startswith("# METABEGIN\n") and "\n# METAEND\n---\n" in text):
        yield Finding(path=path, line=1, words="the metadata must stand first, between METABEGIN and METAEND")
    if told.get("Name") != path.stem:
        yield Finding(path=path, line=1, words=f"calls itself {told.get('Name')}, expected {path.stem}")
    for name in {"Version", "Category", "Desc"} - told.keys():
        yield Finding(path=path, line=1, words=f"X-Env-Layer-{name} is missing")


def _known(kind: str, table: Mapping[str, Key], name: str, value: str, board: str) -> Iterator[str]:
    key = table.get(name)
    if key is None:
        yield f"unknown {kind} {name}: the firmware would ignore it; if it is right, add it to keys.toml, with why"
        return
    if not re.fullmatch(key.value, value):
        yield f"{name}={value}: expected {key.value} ({key.why})"
    if key.boards and board not in key.boards:
        yield f"{name} has no effect on {board} ({key.why})"


def with_table(readme: str, boards: Mapping[str, Board]) -> str:
    """Return a README with the table of boards as `boards` has it."""
    rows = [
        "| board | memory | encoder | asked for, estimated | net, estimated | slots | clock | measured |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {board.name} | {board.memory} | {board.encoder} | {board.picture} at {board.rate_hz} Hz | {board.net}"
        f" | {board.slots} | {board.clock} | {board.measured or 'no'} |"
        for board in boards.values()
    ]
    return TABLE.sub(lambda _: "\n".join(rows) + "\n", readme)


def main() -> None:
    """Say what is wrong in the folder given, and exit with 1 if anything is."""
    folder = Path(sys.argv[1])
    if "--write" in sys.argv[2:]:
        readme = folder / "README.md"
        readme.write_text(with_table(readme.read_text(encoding="utf-8"), read_boards(folder)), encoding="utf-8")
    findings = check(folder)
    for finding in findings:
        sys.stderr.write(f"{finding}\n")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
