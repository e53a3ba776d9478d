"""`lamppost charter` reads a law back and says what a new one changes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.errors import LamppostError
from provisioning.commands.charter import app
from tests.fakes.documents import CHARTERS

Run = Callable[..., str]


@pytest.fixture
def run() -> Run:
    def call(*words: str) -> str:
        result = CliRunner().invoke(app, words, catch_exceptions=True)
        if isinstance(result.exception, LamppostError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


@pytest.mark.parametrize("name", ["example", "st-louis", "redondo-beach"])
def test_a_charter_is_read_back(run: Run, name: str) -> None:
    told = run("check", str(CHARTERS / f"{name}.toml"))

    assert "A grant is signed by" in told
    assert "may not open footage (SL-3.2)" in told


def test_a_program_gets_the_same_as_json(run: Run) -> None:
    stated = json.loads(run("check", "--json", str(CHARTERS / "st-louis.toml")))

    assert stated["id"] == "st-louis"
    assert len(stated["sections"]) == 2 + 8 + 1


def test_a_wider_charter_is_called_so(run: Run, tmp_path: Path) -> None:
    old = CHARTERS / "example.toml"
    new = tmp_path / "new.toml"
    new.write_text(old.read_text(encoding="utf-8").replace("default_days = 30", "default_days = 60"), encoding="utf-8")

    told = run("diff", str(old), str(new))
    stated = json.loads(run("diff", "--json", str(old), str(new)))

    assert "It permits more." in told
    assert stated["permits_more"]
    assert stated["changes"] == [
        {"effect": "widens", "where": "retention.default_days", "was": "30", "becomes": "60"},
    ]


def test_the_same_charter_is_called_so(run: Run) -> None:
    told = run("diff", str(CHARTERS / "example.toml"), str(CHARTERS / "example.toml"))

    assert "say the same" in told
    assert "Not a substantive revision" in told


def test_a_narrower_charter_is_called_so(run: Run, tmp_path: Path) -> None:
    old = CHARTERS / "example.toml"
    new = tmp_path / "new.toml"
    new.write_text(old.read_text(encoding="utf-8").replace("default_days = 30", "default_days = 7"), encoding="utf-8")

    assert "It permits no more than before." in run("diff", str(old), str(new))


def test_a_file_that_is_no_charter_is_an_error(run: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("kind = 'charter'\ncolour = 'blue'\n", encoding="utf-8")

    for path in (wrong, tmp_path / "missing.toml"):
        with pytest.raises(LamppostError):
            run("check", str(path))
