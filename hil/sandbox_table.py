"""Put what the bench saw into systemd/README.md: scores, and from inside each half what was tried and how it ended.

python -m hil.sandbox_table build/hil/sandbox.json systemd/README.md
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

UNITS = Path(__file__).resolve().parents[1] / "systemd" / "system"
SCORE = re.compile(r"Overall exposure level for (\S+): ([0-9.]+)")


def scores() -> Mapping[str, str]:
    """Return what systemd-analyze gives each service, 0.0 (closed) to 10.0."""
    found = {}
    for unit in sorted(UNITS.glob("*.service")):
        said = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        if match := SCORE.search(said):
            found[unit.name] = match[2]
    return found


def table(found: Mapping[str, Mapping[str, Mapping[str, str]]]) -> str:
    """Return the tables."""
    lines = ["| service | exposure, 0 to 10 |", "|---|---|"]
    lines += [f"| `{name}` | {score} |" for name, score in scores().items()]
    tries = {words: None for half in found.values() for words in half["must_not"]}
    lines += ["", "| tried from inside, and must not go | recorder | link |", "|---|---|---|"]
    for words in tries:
        ends = [found[half]["must_not"].get(words, "-") for half in ("recorder", "link")]
        lines.append(f"| {words} | {ends[0]} | {ends[1]} |")
    for half in ("recorder", "link"):
        goes = ", ".join(words for words, end in found[half]["may"].items() if end.startswith("did it"))
        lines += ["", f"And goes, because it must, in the {half}: {goes}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Renew the part of the README between its two marks."""
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    readme = Path(sys.argv[2])
    text = readme.read_text(encoding="utf-8")
    new = re.sub(r"(?<=<!-- sandbox -->\n).*(?=<!-- /sandbox -->)", lambda _: table(found), text, flags=re.DOTALL)
    readme.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
