"""What the README quotes is what the programs say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PROGRAMS = {
    "lamppost-agent": [sys.executable, "-m", "agent", "--help"],
    "lamppost": [sys.executable, "-m", "provisioning", "--help"],
}


def help_of(program: str) -> str:
    environment = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "TERMINAL_WIDTH": "100"}
    said = subprocess.run(PROGRAMS[program], check=True, capture_output=True, text=True, env=environment).stdout
    return words_of(said)


def words_of(text: str) -> str:
    """Only the words: argparse and rich break lines and draw boxes as the terminal is wide."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def quoted(program: str) -> str:
    match = re.search(
        rf"<!-- help: {program} -->\n```\n(.*?)```\n<!-- /help -->", README.read_text(encoding="utf-8"), re.DOTALL
    )
    assert match is not None
    return match[1]


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_is_quoted_with_the_words_of_its_help(program: str) -> None:
    said = help_of(program)

    lines = [line.strip() for line in quoted(program).splitlines() if line.strip()]

    assert lines
    for line in lines:
        assert words_of(line) in said


def named(program: str) -> set[str]:
    return {line.split()[0] for line in quoted(program).splitlines() if line.strip()}


def test_every_command_of_the_table_is_quoted() -> None:
    from provisioning.__main__ import COMMANDS  # noqa: PLC0415 - the table, not the program

    assert named("lamppost") == set(COMMANDS)


def test_every_command_of_the_agent_is_quoted() -> None:
    said = subprocess.run(PROGRAMS["lamppost-agent"], check=True, capture_output=True, text=True).stdout

    assert named("lamppost-agent") == set(re.findall(r"^    ([a-z]+) ", said, re.MULTILINE))


def test_every_file_the_readme_points_to_exists() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text(encoding="utf-8"))

    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
