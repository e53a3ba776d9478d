"""`lamppost policy` says what a camera may do, why, and what a draft would change."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.core.policy.decision import PeopleMode
from agent.core.policy.documents import ALWAYS, Document, NarrowPeople
from provisioning import __main__ as lamppost
from provisioning.authority import desk
from provisioning.authority.city import CityFolder
from tests.fakes.documents import epoch_day, epochs, grant, restriction, waiver
from tests.fakes.officials import enact, found, propose

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
APPROVING = ("city-manager", "it-director", "police-chief")


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CityFolder:
    """A city in force at this moment: cam-07 records, and its people are hidden a little more."""
    monkeypatch.setenv("COLUMNS", "200")
    folder = found(tmp_path / "city", now=NOW - DAY)
    keys = epochs(
        starts_at=NOW - DAY,
        ends_at=NOW + 20 * DAY,
        days=tuple(epoch_day((NOW + n * DAY).date()) for n in range(-1, 19)),
    )
    permitted = grant(starts_at=NOW - DAY, ends_at=NOW + 30 * DAY, schedule=(ALWAYS,))
    narrowed = restriction(
        starts_at=NOW - DAY, narrows=(NarrowPeople(what="people", people=PeopleMode.SCENE),), cameras="all"
    )
    enact(folder, permitted, *APPROVING, now=NOW)
    enact(folder, keys, "custodian", now=NOW)
    enact(folder, narrowed, "police-chief", now=NOW)
    return folder


def run(*words: str) -> Any:
    """Run `lamppost policy … --json` and return what it says."""
    result = CliRunner().invoke(lamppost._application("policy"), ["policy", *words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def draft_file(city: CityFolder, tmp_path: Path, document: Document) -> str:
    path = tmp_path / "proposed.draft"
    desk.write_draft(path, propose(city, document, now=NOW))
    return str(path)


def test_status_lists_every_document_and_who_signed_it(city: CityFolder) -> None:
    told = run("status", "--city", str(city.path))

    assert told["cameras"] == ["cam-07"]
    assert {entry["path"]: entry["signed_by"] for entry in told["documents"]} == {
        "grants/g-2026-001.json": list(APPROVING),
        "epochs/e-2026-001.json": ["custodian"],
        "restrictions/police-chief/r-2026-001.json": ["police-chief"],
    }


def test_explain_names_document_and_clause_behind_each_part(city: CityFolder) -> None:
    told = run("explain", "cam-07", "--city", str(city.path))

    assert told["recording"]
    assert told["clause"] == "EX-T1-1"
    behind = {part["label"]: (part["because"], part["clause"]) for part in told["parts"]}
    assert behind["Records"] == (["e-2026-001", "g-2026-001"], "EX-1")
    assert behind["People"] == (["g-2026-001", "r-2026-001"], "EX-T1-1")
    assert behind["Sealed to"] == (["e-2026-001", "g-2026-001"], "EX-1")


def test_explain_looks_into_the_future(city: CityFolder) -> None:
    later = (NOW + 31 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")

    told = run("explain", "cam-07", "--city", str(city.path), "--at", later)

    assert not told["recording"]
    assert "g-2026-001 ended" in next(part["words"] for part in told["parts"] if part["label"] == "Why")


def test_explain_knows_that_a_camera_without_news_goes_dark(city: CityFolder) -> None:
    later = (NOW + 8 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")

    assert run("explain", "cam-07", "--city", str(city.path), "--at", later)["recording"]
    assert not run("explain", "cam-07", "--city", str(city.path), "--at", later, "--offline")["recording"]


def test_simulate_shows_a_restriction_as_less(city: CityFolder, tmp_path: Path) -> None:
    before = city.bundle_path.read_bytes()
    proposed = draft_file(city, tmp_path, restriction(id="r-2026-002", starts_at=NOW - DAY))

    (change,) = run("simulate", proposed, "--city", str(city.path))

    assert (change["camera"], change["permits"]) == ("cam-07", "less")
    assert {"label": "Records", "before": "yes", "after": "no"} in change["differences"]
    assert city.bundle_path.read_bytes() == before


def test_simulate_shows_that_a_waiver_beats_no_restriction(city: CityFolder, tmp_path: Path) -> None:
    proposed = draft_file(city, tmp_path, waiver(starts_at=NOW - DAY, ends_at=NOW + DAY))

    changes = run("simulate", proposed, "--city", str(city.path))

    assert not any(difference["label"] == "People" for change in changes for difference in change["differences"])


@pytest.mark.parametrize("words", [("status",), ("explain", "cam-07"), ("explain", "cam-99")])
def test_people_get_tables(city: CityFolder, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(lamppost._application("policy"), ["policy", *words, "--city", str(city.path)])

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "EX-T1-1" in result.stderr or "no grant covers" in result.stderr or "Holder of custodian" in result.stderr
