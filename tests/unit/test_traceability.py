"""Every clause of the cities' rules has a row that names what enforces it, and every named test exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "provisioning" / "charters" / "TRACEABILITY.md").read_text(encoding="utf-8")

# All there are. A clause that is added to the cities' rules is added here first.
CLAUSES = [
    *(f"RB-{n}" for n in range(1, 9)),
    "SL-1",
    *(f"SL-2.{n}" for n in range(2, 7)),
    *(f"SL-T1-{n}" for n in range(1, 9)),
    *(f"SL-T2-{n}" for n in range(1, 7)),
    *(f"SL-3.{n}" for n in range(2, 13)),
    "SL-5.1",
    "SL-5.2",
    *(f"JC-{n}" for n in (1, 8, 11, 12, 19, 23, 24, 25, 28)),
]
ROWS = re.findall(r"^\| ((?:RB|SL|JC)-\S+) \| (.+?) \| (.+?) \|$", TABLE, re.MULTILINE)


def existing_tests() -> set[str]:
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_clause_has_one_row() -> None:
    assert sorted(clause for clause, _, _ in ROWS) == sorted(CLAUSES)


@pytest.mark.parametrize("clause", CLAUSES)
def test_a_row_names_a_test_or_a_person(clause: str) -> None:
    [(mechanism, shown)] = [(mechanism, shown) for found, mechanism, shown in ROWS if found == clause]

    assert len(mechanism) > 10
    assert "`test_" in shown or ":" in shown


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", TABLE))

    assert named
    assert named - existing_tests() == set()


def test_the_charters_cite_clauses_that_exist() -> None:
    for name in ("st-louis", "redondo-beach"):
        text = (ROOT / "provisioning" / "charters" / f"{name}.toml").read_text(encoding="utf-8")
        cited = set(re.findall(r"\b(?:RB-\d+|SL-(?:T\d-)?\d+(?:\.\d+)?|JC-\d+)\b", text))

        assert cited
        assert cited - set(CLAUSES) == set()
