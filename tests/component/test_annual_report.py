"""The yearly report of ten cameras says what the raw logs say, number by number, and what is missing first.

`LAMPPOST_YEAR=full pytest --timeout=3600 tests/component/test_annual_report.py` does it for a year of 400,000 leaves.
"""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.core.log.note import KeyKind, VerifierKey
from provisioning import __main__ as program
from provisioning.evidence.paper import printed
from tests.fakes.exhibits import WITNESS_KEY
from tests.fakes.recomputed_year import numbers_in, recompute
from tests.fakes.simulated_year import POLES, YEAR, SimulatedYear, make_year

NOTES = f"""
year = {YEAR}
entered_by = "the Office of the City Clerk"
entered_on = {YEAR + 1}-01-20

[breaches]
count = 0

[complaints]
count = 2
words = "One about the ramp, one about Market Square."

[cost]
currency = "USD"
hardware = 14200
licences = 0
installation = 18650
storage = 6100

[[metrics]]
grant = "g-{YEAR}-004"
metric = "damage-found"
value = 14
source = "Parks division"
"""


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> SimulatedYear:
    made = make_year(tmp_path_factory.mktemp("year"))
    (made.logs.parent / "keys").write_text("\n".join(made.keys))
    return made


@pytest.fixture(scope="module")
def written(year: SimulatedYear, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report in a folder, with what people entered."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "notes.toml").write_text(NOTES)
    with pytest.MonkeyPatch.context() as patch:
        code, out, _ = run(
            patch, "annual", *words(year, notes=folder / "notes.toml", out=folder / "out"), "--json", "--no-pdf"
        )
    assert code == 0
    assert out == (folder / "out" / f"annual-{YEAR}.json").read_text()
    return folder / "out"


@pytest.fixture(scope="module")
def told(written: Path) -> dict[str, Any]:
    """Its numbers."""
    said: dict[str, Any] = json.loads((written / f"annual-{YEAR}.json").read_text())
    return said


@pytest.fixture(scope="module")
def page(written: Path) -> str:
    return html.unescape((written / f"annual-{YEAR}.html").read_text())


def run(patch: pytest.MonkeyPatch, *given: str | Path) -> tuple[int, str, str]:
    """Run the program as its entry point does, in this process."""
    out, err = Heard(), Heard()
    patch.setattr(sys, "argv", ["lamppost", "report", *map(str, given)])
    patch.setattr(sys, "stdout", out)
    patch.setattr(sys, "stderr", err)
    with pytest.raises(SystemExit) as exit_:
        program.main()
    return int(exit_.value.code or 0), out.text, err.text


class Heard:
    """A stream that only remembers."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, words: str) -> int:
        self.text += words
        return len(words)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def words(made: SimulatedYear, **changes: Any) -> list[str | Path]:
    options: dict[str, Any] = {
        "year": YEAR,
        "city": made.city.path,
        "logs": made.logs,
        "log-key": made.logs.parent / "keys",
        "witness": WITNESS_KEY,
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    return [str(word) for name, value in options.items() if value is not None for word in (f"--{name}", value)]


def from_machines(told: dict[str, Any]) -> dict[tuple[Any, ...], int]:
    """Return all numbers but those that people entered."""
    by_people = {
        ("effects", index, "value")
        for index, effect in enumerate(told["effects"])
        if effect["source"] not in {"camera log", "city log"}
    }
    return {where: number for where, number in numbers_in(told) if where[0] != "entered" and where not in by_people}


def test_every_number_is_what_the_raw_logs_and_documents_say(year: SimulatedYear, told: dict[str, Any]) -> None:
    said, anew = from_machines(told), dict(numbers_in(recompute(year.city.path, year.logs, YEAR)))

    assert len(said) > 1000
    assert said == anew


def test_another_leaf_gives_another_number(year: SimulatedYear, told: dict[str, Any], tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    shutil.copytree(year.logs, logs)
    said = from_machines(told)
    path, line = next(
        (path, line)
        for path in sorted((logs / "cam-02").glob("events-*.jsonl"))[3:]
        for line in path.read_text().splitlines()
        if '"kind":"segment-stored"' in line and '"layer":"masked"' in line
    )
    stored = json.loads(line)["frames_stored"]
    other = line.replace(f'"frames_stored":{stored}', f'"frames_stored":{stored - 1}')
    path.write_text(path.read_text().replace(line, other))

    anew = dict(numbers_in(recompute(year.city.path, logs, YEAR)))

    assert {where for where in said if said[where] != anew[where]} == {
        ("cameras", 1, "frames_stored"),
        ("totals", "frames_stored"),
    }


# --- pages --------------------------------------------------------------------


def test_the_first_page_says_what_is_missing(page: str) -> None:
    first = page[: page.index("Use: where, what for, how much")]

    for camera, words_of_it in (
        ("cam-03", "it logged nothing from 11 May to 17 May"),
        ("cam-04", "are lost; what they said is in no number here"),
        ("cam-09", "its log ends on 20 October, and it was granted until 31 December"),
        ("cam-10", "a witness saw another log of the same name, with 100 leaves"),
    ):
        assert re.search(rf"<b>{camera}</b>: [^<]*{re.escape(words_of_it)}", first)
    assert "contradicted: see above" in first


def test_a_number_that_a_hole_makes_too_small_says_at_least_and_misses_nothing(page: str) -> None:
    station = page[page.index("Union Station, east entrance: Public safety") :]
    hours = station[station.index("Hours recorded") : station.index("Originals opened")]

    assert "at least" in hours
    assert "not known" in hours


def test_what_nobody_told_is_a_marked_blank_and_no_zero(page: str) -> None:
    audits = page[page.index("Audits and violations") : page.index("<h2>Breaches")]

    assert audits.count("To be entered by the city") == 2
    assert "No audit was made" not in audits
    assert page.count("to be entered</span>") == 3  # collisions, at three bridges


def test_what_people_entered_stands_with_who_entered_it(page: str) -> None:
    breaches = page[page.index("<h2>Breaches") : page.index("<h2>Effect")]

    assert "No breach is known." in breaches
    assert "2 complaints were received. One about the ramp, one about Market Square." in breaches
    assert breaches.count("From what the Office of the City Clerk entered on 20 January") == 2
    assert "4,328 USD" in page  # 38,950 for nine locations
    assert re.search(r"Damage found</th><td[^>]*>14</td>.*?reached.*?Parks division", page)


def test_no_case_and_no_person_is_in_it(written: Path) -> None:
    told = "".join((written / f"annual-{YEAR}.{kind}").read_text() for kind in ("html", "json"))

    assert not re.search(r"\bC-\d\d\b|\bV-2\d\d\b|OVS-|Jo Vega|A\. Holder|civilian oversight", told)


def test_the_page_fetches_nothing_and_runs_nothing(page: str) -> None:
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not re.search(r"<script|<link|https?:|url\(|@import", page)


def test_what_is_missing_and_what_it_rests_on_fit_on_the_first_page(page: str, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed: apt-get install poppler-utils")
    front = page[: page.index("<h2>Use: where, what for, how much")] + "</main></body></html>"
    (tmp_path / "front.pdf").write_bytes(printed(front.encode()))

    done = subprocess.run(["pdftotext", "-layout", tmp_path / "front.pdf", "-"], capture_output=True, check=True)

    paper = " ".join(done.stdout.decode().split())
    assert f"Surveillance cameras: annual report {YEAR}" in paper
    assert all(pole.camera in paper for pole in POLES)
    assert "page 1 of 1" in paper


# --- refusals -----------------------------------------------------------------


@pytest.fixture
def refused(year: SimulatedYear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Run the command with changes, which must fail and leave nothing."""

    def fail(**changes: Any) -> tuple[int, str]:
        code, out, err = run(monkeypatch, "annual", *words(year, **({"out": tmp_path / "out"} | changes)))
        assert not (tmp_path / "out").exists()
        assert out == ""
        return code, err

    return fail


Refused = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def one_log(year: SimulatedYear, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the log of one camera."""
    logs = tmp_path_factory.mktemp("one") / "logs"
    shutil.copytree(year.logs / "cam-05", logs / "cam-05")
    return logs


@pytest.mark.parametrize(
    ("number", "says"),
    [(2999, "2999 has not begun"), (YEAR - 2, f"the city was founded after {YEAR - 2}")],
)
def test_a_year_of_which_nothing_is_known_is_refused(refused: Refused, one_log: Path, number: int, says: str) -> None:
    assert refused(year=number, logs=one_log) == (os.EX_USAGE, f"lamppost: error: {says}\n")


def test_a_year_without_a_leaf_is_refused_with_the_date_of_the_first(refused: Refused, one_log: Path) -> None:
    code, err = refused(year=YEAR - 1, logs=one_log)

    assert code == os.EX_USAGE
    assert f"no log has a leaf of {YEAR - 1}; the oldest is of {YEAR}-02-28" in err


def test_a_log_that_was_changed_is_refused(refused: Refused, year: SimulatedYear, tmp_path: Path) -> None:
    shutil.copytree(year.logs / "cam-06", tmp_path / "logs" / "cam-06")
    path = sorted((tmp_path / "logs" / "cam-06").glob("events-*.jsonl"))[2]
    path.write_text(re.sub(r'"frames_stored":\d', '"frames_stored":9', path.read_text()))

    code, err = refused(logs=tmp_path / "logs")

    assert code == os.EX_IOERR
    assert "was altered" in err


def test_a_log_under_another_key_is_refused(refused: Refused, year: SimulatedYear, tmp_path: Path) -> None:
    name, _, rest = year.keys[0].partition("+")
    stranger = VerifierKey(name=name, kind=KeyKind.ED25519, public=bytes(range(32)))
    assert rest

    code, err = refused(log_key=stranger)

    assert code == os.EX_NOPERM
    assert name in err


@pytest.mark.parametrize(
    ("notes", "says"),
    [
        (NOTES.replace("[breaches]", "[breeches]"), "breeches"),
        (NOTES.replace(f"year = {YEAR}", "year = 2024"), "the notes are of 2024"),
        (NOTES.replace("damage-found", "hours-recorded"), "which the camera log knows"),
        (NOTES.replace("damage-found", "smiles"), "which promised damage-found, hours-recorded"),
        (NOTES.replace(f"g-{YEAR}-004", f"g-{YEAR}-099"), "was not in force"),
    ],
)
def test_notes_that_will_not_do_are_refused_with_what_is_wrong(
    refused: Refused, one_log: Path, tmp_path: Path, notes: str, says: str
) -> None:
    (tmp_path / "notes.toml").write_text(notes)

    code, err = refused(logs=one_log, notes=tmp_path / "notes.toml")

    assert code == os.EX_DATAERR
    assert says in err


def test_without_the_city_log_nothing_is_said_of_exports(refused: Refused, one_log: Path, tmp_path: Path) -> None:
    code, err = refused(logs=one_log, city_log=tmp_path)

    assert code == os.EX_USAGE
    assert "holds no log of the city" in err


def test_logs_come_from_one_place(refused: Refused, tmp_path: Path) -> None:
    assert refused(logs=None)[0] == os.EX_USAGE
    assert refused(backend=tmp_path)[0] == os.EX_USAGE


def test_a_log_that_is_there_twice_does_not_count_twice(refused: Refused, year: SimulatedYear, tmp_path: Path) -> None:
    shutil.copytree(year.logs / "cam-05", tmp_path / "logs" / "one")
    shutil.copytree(year.logs / "cam-05", tmp_path / "logs" / "two")

    code, err = refused(logs=tmp_path / "logs")

    assert code == os.EX_USAGE
    assert "is there twice" in err


def test_the_file_to_fill_in_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notes.toml"

    first, again = (run(monkeypatch, "notes", "--year", str(YEAR), "--out", path) for _ in range(2))

    assert first[0] == 0
    assert f"year = {YEAR}" in path.read_text()
    assert again[0] == os.EX_USAGE
    assert "exists already" in again[2]
