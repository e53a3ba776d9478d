"""Whoever reads how bad input is met finds, for each case, a test that exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "agent" / "core" / "masking" / "BAD-INPUT.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| .+? \| (.+?) \|$", TABLE, re.MULTILINE)[1:]


def test_every_case_names_tests_that_exist() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    existing = {name for source in sources for name in re.findall(r"^def (test_\w+)\(", source, re.MULTILINE)}

    assert len(ROWS) > 15
    for case, tests in ROWS:
        named = set(re.findall(r"`(test_\w+)`", tests))
        assert named, case
        assert named <= existing, case
