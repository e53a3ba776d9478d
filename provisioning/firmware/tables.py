"""What may be said, to which boards: `keys.toml` and `boards.toml` as values, and what a check finds."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

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
    layers: Mapping[str, str]
    settings: Mapping[str, str]
    user_data: Mapping[str, str]


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


def read_boards(folder: Path) -> Mapping[str, Board]:
    """Return the boards by their short names."""
    written = tomllib.loads((folder / "boards.toml").read_text(encoding="utf-8"))
    return {name: Board(**board) for name, board in written.items()}


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
