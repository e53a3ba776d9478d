"""What provisioning/README.md and those of some of its parts tell people to type exists, and its grant is one."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from click import Command, Context, Group

from provisioning import __main__ as lamppost
from provisioning.authority.city import read_city
from provisioning.authority.compose import compose_grant
from provisioning.authority.desk import draft_of
from tests.fakes.documents import NOON
from tests.fakes.officials import found

PROVISIONING = Path(__file__).resolve().parents[2] / "provisioning"
README = (PROVISIONING / "README.md").read_text(encoding="utf-8")
OTHERS = [(PROVISIONING / part / "README.md").read_text(encoding="utf-8") for part in ("epochs", "register", "release")]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", "\n".join([README, *OTHERS]), re.MULTILINE | re.DOTALL)
LINES = list(dict.fromkeys(line for language, block in BLOCKS if not language for line in block.splitlines()))


def test_every_block_was_found() -> None:
    assert len(LINES) > 15
    assert all(line.startswith("lamppost ") for line in LINES)


@pytest.mark.parametrize("line", LINES)
def test_every_line_parses_as_the_program_parses_it(line: str) -> None:
    _, *words = shlex.split(line)
    command: Command = typer.main.get_command(lamppost._application(words[0]))
    context = Context(command, info_name="lamppost")
    while isinstance(command, Group):
        name, *words = words
        found_command = command.get_command(context, name)
        assert found_command is not None, f"there is no {name} in {line}"
        command = found_command
        context = Context(command, parent=context, info_name=name)

    command.parse_args(context, words)


def test_the_grant_shown_is_one_that_example_city_can_sign(tmp_path: Path) -> None:
    (toml,) = (block for language, block in BLOCKS if language == "toml")
    city = read_city(found(tmp_path / "city"))

    granted = compose_grant(toml, city, now=NOON)

    assert granted.id == "g-2026-001"
    assert draft_of(city, [granted]).documents
