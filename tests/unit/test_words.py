"""Every sentence that is asked for is in the one file, none lies there unused, and another file can take its place."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.enrolment.signs import Stage
from agent.errors import UsageError
from provisioning import words as texts
from provisioning.__main__ import COMMANDS, TRANSLATED, summary_of
from provisioning.enrolment.steps import Step
from provisioning.words import differences, gaps, language, section, words

ROOT = Path(__file__).resolve().parents[2] / "provisioning"
FOLDER = ROOT / "words"
FIRST = (FOLDER / "en.toml").read_text(encoding="utf-8")
BROWSER = {"editor", "turned-away"}  # told to the page, whose own test says whether it asks for each


def flat(table: dict[str, object], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            assert isinstance(value, str), name
            yield f"{before}{name}", value


SENTENCES = dict(flat(tomllib.loads(FIRST)))


def calls() -> Iterator[ast.Call]:
    sources = [path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))]
    for source in sources:
        for node in ast.walk(ast.parse(source)) if "from provisioning.words import" in source else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"words", "section"}:
                yield node


def asked_by(name: ast.expr) -> Iterator[str]:
    """Yield the names that an argument may be; one that ends in a dot stands for all that begin so."""
    match name:
        case ast.Constant(value=str(key)):
            yield key
        case ast.IfExp(body=one, orelse=other):
            yield from asked_by(one)
            yield from asked_by(other)
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
            yield start
        case _:
            pytest.fail(f"line {name.lineno}: {ast.unparse(name)} can be anything")


ASKED = [(call, list(asked_by(call.args[0]))) for call in calls()]


def test_what_is_asked_for_is_there_with_the_values_that_it_has_places_for() -> None:
    for call, keys in ASKED:
        for key in keys:
            assert any(one == key or (one.startswith(key) and key.endswith(".")) or one.startswith(f"{key}.")
                       for one in SENTENCES), key  # fmt: skip
            if key in SENTENCES:
                given = {one.arg for one in call.keywords}
                assert given == gaps(SENTENCES[key]), f"{key}: given {given}"


def test_what_is_there_is_asked_for() -> None:
    asked = {key for _, keys in ASKED for key in keys}
    whole = {key for key in asked if key not in SENTENCES}  # a table, or the beginning of a name

    assert [
        key
        for key in SENTENCES
        if key not in asked and key.partition(".")[0] not in BROWSER and not key.startswith(tuple(whole))
    ] == []


def test_a_technician_reads_nothing_that_is_written_elsewhere() -> None:
    technicians = ["site", "work_order", "enrol", "card", "provision", "replace", "retire", "diagnose", "recover",
                   "practice", "label", "commission"]  # fmt: skip
    paths = {ROOT / "commands" / f"{name}.py" for name in technicians} | set((ROOT / "enrolment").glob("*.py"))
    paths -= {ROOT / "enrolment/desk.py"}  # the city's answers: they travel, are logged, and are in one language
    for path in paths:
        source = path.read_text(encoding="utf-8")

        said = re.findall(
            r'(?:help|hint|title)=f?"|desk\.say\(f?"|(?:Usage|Card|Transport|WrongDisk)Error\(f?"', source
        )

        assert not said, f"{path.name}: {said}"


def test_every_command_stage_and_step_has_its_sentence() -> None:
    assert set(section("lamp")) == {stage.value for stage in Stage}
    assert set(section("steps")) == {step.value for step in Step}
    assert set(section("commands")) == {name for name, (_, said) in COMMANDS.items() if said == TRANSLATED}
    assert all(summary_of(name) for name in COMMANDS)


def test_values_stand_in_their_places() -> None:
    assert words("provision.done", camera="cam-07") == "cam-07 is provisioned"
    assert words("label.no_page_hint") == "https://cameras.city.example/sites/{site}"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_translation_is_whole(path: Path) -> None:
    assert differences(path) == []


@pytest.fixture
def backwards(tmp_path: Path) -> Path:
    """A translation into a language that has every sentence in brackets."""
    path = tmp_path / "xx.toml"
    path.write_text(re.sub(r'^([\w-]+) = "(.*)"$', r'\1 = "«\2»"', FIRST, flags=re.MULTILINE), encoding="utf-8")
    return path


def test_another_file_with_the_same_names_is_a_translation(backwards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(texts.VARIABLE, str(backwards))

    assert differences(backwards) == []
    assert words("provision.done", camera="cam-07") == "«cam-07 is provisioned»"
    assert section("lamp")["enrolled"] == "«lit: enrolled»"
    assert language() == "xx"


def test_what_a_translation_lacks_is_said_in_english_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "yy.toml"
    path.write_text('[end]\nnext = "Weiter"\ntook = "({s})"\nnever = "nie"\n', encoding="utf-8")
    monkeypatch.setenv(texts.VARIABLE, str(path))

    found = differences(path)

    assert words("end.next") == "Weiter"
    assert words("ask.go_on") == "Go on?"
    assert "lacks ask.go_on" in found
    assert "has end.never, which nobody asks for" in found
    assert "end.took: other braces" in found


@pytest.mark.parametrize(("name", "content"), [("zz", None), ("zz.toml", "no = table ]")])
def test_a_language_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str | None
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
        name = str(tmp_path / name)
    monkeypatch.setenv(texts.VARIABLE, name)

    with pytest.raises(UsageError, match="translation"):
        words("ask.go_on")
