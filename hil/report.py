"""Make a page of one run: what passed, what was measured, and the pictures it looked at. Standard library only.

python -m hil.report build/hil/report/junit.xml build/hil/report/index.html
"""

import base64
import html
import sys
import xml.etree.ElementTree as ET  # the bench's own file
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STYLE = """
body { font: 15px/1.45 sans-serif; margin: 2rem auto; max-width: 60rem; color: #222; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .3rem .6rem; text-align: left; vertical-align: top; }
tr { border-top: 1px solid #ddd; } .failed { background: #fdd; } .skipped { color: #777; }
pre { white-space: pre-wrap; font-size: 12px; } img { max-width: 15rem; margin: .2rem; border: 1px solid #999; }
"""
MOST_PICTURES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test of a run."""

    file: str
    name: str
    seconds: float
    outcome: str
    words: str
    said: str


def cases(junit: Path) -> Iterator[Case]:
    """Yield the tests of a JUnit file, in order."""
    for case in ET.parse(junit).iter("testcase"):  # noqa: S314 - written by the run before
        outcome, words = "passed", ""
        for kind in ("failure", "error", "skipped"):
            found = case.find(kind)
            if found is not None:
                outcome, words = ("skipped" if kind == "skipped" else "failed"), found.get("message") or ""
        said = case.find("system-out")
        yield Case(
            file=case.get("classname", ""),
            name=case.get("name", ""),
            seconds=float(case.get("time", "0")),
            outcome=outcome,
            words=words[:2000],
            said="" if said is None else (said.text or "")[-2000:],
        )


def page(junit: Path, pictures: Path) -> str:
    """Return the page."""
    found = list(cases(junit))
    counts = {outcome: sum(case.outcome == outcome for case in found) for outcome in ("passed", "failed", "skipped")}
    rows = []
    for case in found:
        shown = "".join(
            f'<img alt="{html.escape(path.stem)}" src="data:image/png;base64,'
            f'{base64.b64encode(path.read_bytes()).decode("ascii")}">'
            for path in sorted((pictures / case.name).glob("*.png"))[:MOST_PICTURES]
        )
        more = "".join(f"<pre>{html.escape(text)}</pre>" for text in (case.words, case.said) if text.strip())
        rows.append(
            f'<tr class="{case.outcome}"><td>{html.escape(case.name.removeprefix("test_").replace("_", " "))}'
            f"{more}{shown}</td><td>{case.outcome}</td><td>{case.seconds:.0f} s</td></tr>"
        )
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    suite = next(ET.parse(junit).iter("testsuite"))  # noqa: S314 - likewise
    when = html.escape(suite.get("timestamp", ""))
    tried = "".join(
        f"<li>{html.escape(one.get('name', ''))}: {html.escape(one.get('value', ''))}</li>"
        for one in suite.iter("property")
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Lamppost on the bench</title>'
        f"<style>{STYLE}</style><h1>Lamppost on the bench</h1><p>{when}: {summary}</p><ul>{tried}</ul>"
        f"<table><tr><th>what was tried</th><th></th><th></th></tr>{''.join(rows)}</table></html>\n"
    )


def main() -> None:
    """Write the page of the run whose JUnit file is given."""
    junit, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.write_text(page(junit, junit.parent / "pictures"), encoding="utf-8")
    sys.stdout.write(f"{out}\n")


if __name__ == "__main__":
    main()
