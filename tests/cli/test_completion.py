"""A shell completes commands, options and the cameras of a desk; a script finds the words that it needs."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from provisioning import __main__ as lamppost
from tests.fakes.town import Town, run


def completed(*typed: str, cwd: Path | None = None) -> list[str]:
    """Return what bash would offer after `typed`, the last word of which is not finished."""
    environment = {
        "_LAMPPOST_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["lamppost", *typed]),
        "COMP_CWORD": str(len(typed)),
        **({} if cwd is None else {"LAMPPOST_DESK": str(cwd)}),
    }
    app = lamppost._application(lamppost._wanted([], environment))
    return CliRunner().invoke(app, [], prog_name="lamppost", env=environment).stdout.split()


def test_commands_and_their_commands_are_offered() -> None:
    assert completed("wo") == ["work-order"]
    assert completed("work-order", "") == ["create", "list", "show"]
    assert completed("card", "prepare", "--d") == ["--device", "--dry-run"]
    assert set(completed("provision", "--")) > {"--host", "--carry", "--answer", "--dry-run", "--json", "--yes"}


def test_zsh_and_fish_tell_what_was_typed_in_another_way() -> None:
    told = {"_LAMPPOST_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "lamppost --help card "}

    assert lamppost._wanted([], told) == "card"
    assert lamppost._wanted(["--help", "card"], {}) == "card"


def test_the_cameras_of_the_desk_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path)
    town.prepare()
    for name in ("cam-07", "cam-08", "pole-1"):
        run("work-order", "create", name, "--site", "market-street", *town.signing)
    monkeypatch.chdir(tmp_path)  # whose desk is `desk`

    assert completed("retire", "cam") == ["cam-07", "cam-08"]
    assert completed("work-order", "show", "p") == ["pole-1"]


SCRIPTED = {
    "work-order create": {"--dry-run", "--json"},  # makes files of its own, and asks nothing
    "card prepare": {"--dry-run", "--json", "--yes"},
    "provision": {"--dry-run", "--json", "--yes"},
    "replace": {"--dry-run", "--json", "--yes"},
    "retire": {"--dry-run", "--json", "--yes"},
    "recover": {"--dry-run", "--json"},  # a copy; the card is only read
    "site add": {"--dry-run"},
    "label": {"--json"},
    "diagnose": {"--json"},
    "enrol confirm": {"--json"},
}


@pytest.mark.parametrize("command", SCRIPTED)
def test_what_changes_something_has_a_plan_for_people_and_words_for_scripts(command: str) -> None:
    name, *rest = command.split()
    found = typer.main.get_command(lamppost._application(name))
    for word in (name, *rest):
        found = found.commands[word]  # type: ignore[attr-defined]  # a group, each time

    options = {option for parameter in found.params for option in parameter.opts}

    assert options >= SCRIPTED[command]
