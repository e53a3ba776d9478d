"""`lamppost charter`: read a city's law back to the people who wrote it, and compare two of them.

Changes nothing and needs no key. FILE is TOML as people write it, or the canonical
JSON that was signed.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.core.policy.charter import Charter, parse_charter, read_charter_toml
from agent.core.policy.explain import explain_charter
from agent.core.policy.revision import Change, Effect, Revision, compare
from provisioning.authority import desk

app = typer.Typer(no_args_is_help=True)

COLOUR = {
    Effect.ADDS: "red",
    Effect.WIDENS: "red",
    Effect.ALTERS: "yellow",
    Effect.REMOVES: "green",
    Effect.NARROWS: "green",
    Effect.REWORDS: "dim",
}


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The charter, TOML or JSON.")],
    *,
    as_json: desk.JsonOption = False,
) -> None:
    """Check a charter and explain it back in plain language."""
    charter = _read(file)
    sections = explain_charter(charter)
    if as_json:
        desk.write_json(
            {
                "city": charter.city,
                "id": charter.id,
                "revision": charter.revision,
                "sections": [{"heading": one.heading, "sentences": list(one.sentences)} for one in sections],
            }
        )
        return
    console = Console(highlight=False)
    console.print(f"[bold]{escape(charter.city)}[/], charter {charter.id}, revision {charter.revision}")
    for section in sections:
        console.print(f"\n[bold]{escape(section.heading)}[/]")
        for sentence in section.sentences:
            console.print(f"  {escape(sentence)}", soft_wrap=True)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The charter in force.")],
    new: Annotated[Path, typer.Argument(help="The charter proposed.")],
    *,
    as_json: desk.JsonOption = False,
) -> None:
    """List what a new charter adds, removes, widens and narrows (SL-2.4)."""
    charter = _read(old)
    revision = compare(charter, _read(new))
    if as_json:
        desk.write_json(
            {
                "substantive": revision.substantive,
                "permits_more": revision.permits_more,
                "changes": [_as_json(change) for change in revision.changes],
            }
        )
        return
    console = Console(highlight=False)
    console.print(_table(revision) if revision.changes else "The two charters say the same.")
    console.print(_verdict(charter, revision), soft_wrap=True)


def _read(path: Path) -> Charter:
    text = desk.read_text(path)
    return parse_charter(text.encode()) if text.lstrip().startswith("{") else read_charter_toml(text)


def _table(revision: Revision) -> Table:
    table = Table("effect", "where", "was", "becomes", box=None, pad_edge=False)
    for change in revision.changes:
        table.add_row(
            f"[{COLOUR[change.effect]}]{change.effect}[/]", change.where, escape(change.was), escape(change.becomes)
        )
    return table


def _verdict(charter: Charter, revision: Revision) -> str:
    root = ", ".join(charter.title_of(office) for office in charter.root.offices)
    if not revision.substantive:
        return "Not a substantive revision: only wording changes. It is still signed by the root offices."
    more = "It permits more" if revision.permits_more else "It permits no more than before"
    return (
        f"A substantive revision (SL-2.4). {more}. It needs {charter.root.threshold} of {root}, "
        "and the council is notified."
    )


def _as_json(change: Change) -> dict[str, str]:
    return {"effect": change.effect, "where": change.where, "was": change.was, "becomes": change.becomes}
