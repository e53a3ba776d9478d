"""Check config.txt, tryboot.txt, autoboot.txt and cmdline.txt: every key known, every line with its reason.

A Raspberry Pi's firmware ignores what it does not know, and so does a kernel. A misspelt
`dtparam=watchdog` is found on the day the camera hangs; here it is found before. What may
be said is in `keys.toml`, each key with its reason.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from provisioning.firmware.tables import Finding, Key, Keys

# The firmware reads config.txt by lines of at most 98 characters, and autoboot.txt of at most 512 bytes in all.
CONFIG_LINE_CHARACTERS = 98
AUTOBOOT_BYTES = 512
AUTOBOOT_FILTERS = {"all", "tryboot"}
# What tryboot.txt begins with, so that the trial differs from the usual start in nothing but what is tried.
INCLUDE = "include config.txt"


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
            yield from map(found, _config_line(path.name, line, board, keys))


def check_tryboot(path: Path, board: str, keys: Keys) -> Iterator[Finding]:
    """Yield what is wrong in a tryboot.txt, which the firmware reads in place of config.txt."""
    yield from check_config(path, board, keys)
    lines = path.read_text(encoding="utf-8").splitlines()
    if INCLUDE not in lines or not any(line.startswith("os_prefix=") for line in lines):
        yield Finding(path=path, line=0, words=f"expected {INCLUDE}, and an os_prefix: else nothing is tried")


def _config_line(file: str, line: str, board: str, keys: Keys) -> Iterator[str]:
    if (file, line) == ("tryboot.txt", INCLUDE):
        return
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


def _known(kind: str, table: Mapping[str, Key], name: str, value: str, board: str) -> Iterator[str]:
    key = table.get(name)
    if key is None:
        yield f"unknown {kind} {name}: the firmware would ignore it; if it is right, add it to keys.toml, with why"
        return
    if not re.fullmatch(key.value, value):
        yield f"{name}={value}: expected {key.value} ({key.why})"
    if key.boards and board not in key.boards:
        yield f"{name} has no effect on {board} ({key.why})"
