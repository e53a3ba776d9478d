"""What a technician's command shows before it begins, and the one screen at its end.

People read stderr, programs stdout. A plan says what will be done; the end says what was done and what to do
next. Both fit a terminal of 80 columns, and a phone.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provisioning.authority import desk
from provisioning.words import words

WIDEST_LABEL = 20  # of a terminal's 80 columns


def plan_only(title: str, plan: Sequence[tuple[str, str]], *, dry_run: bool, as_json: bool) -> bool:
    """Show a plan; return whether that was all that was asked for.

    Args:
        title: Which camera, and where.
        plan: What is done, and to what.
        dry_run: Nothing is to be done.
        as_json: A program reads: it gets the plan only if it asked for no more.
    """
    if as_json:
        if dry_run:
            desk.write_json({"plan": [{"what": what, "words": said} for what, said in plan]})
        return dry_run
    console().print(Text(title, style="bold"))
    console().print(_lines(plan))
    return dry_run


def show_end(
    title: str,
    done: Iterable[tuple[str, str]] = (),
    *,
    following: Iterable[str] = (),
    took: timedelta | None = None,
    good: bool = True,
    beware: bool = False,
) -> None:
    """Show what was done, and what to do next.

    Args:
        title: What came of it, in one line.
        done: What was done, and to what.
        following: What a person does next.
        took: How long it took.
        good: Whether it is as it should be.
        beware: It was done, and something about it wants a person's eye.
    """
    shown = console()
    spent = "" if took is None else f"  {words('end.took', seconds=f'{took.total_seconds():.0f}')}"
    shown.print()
    mark, style = ("✗", "bold red") if not good else ("!", "bold yellow") if beware else ("✓", "bold green")
    shown.print(Text(f"{mark} {title}", style=style) + Text(spent, style="dim"))
    rows = list(done)
    if rows:
        shown.print(_lines(rows))
    steps = list(following)
    if steps:
        shown.print(Text(f"\n{words('end.next')}", style="bold"))
        bullets = Table(show_header=False, box=None, padding=(0, 1, 0, 0))
        bullets.add_column(no_wrap=True, style="dim")
        bullets.add_column(overflow="fold")
        for step in steps:
            bullets.add_row(" •", step)
        shown.print(bullets)


def console() -> Console:
    """Return where people read. What a file or a camera says is shown as it is: brackets are brackets."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def _lines(rows: Iterable[tuple[str, str]]) -> Table:
    """Return two columns; or, where the first would leave no room for the second, one below the other."""
    told = list(rows)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    if max((len(what) for what, _ in told), default=0) > WIDEST_LABEL:
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        for number, (what, said) in enumerate(told, start=1):
            table.add_row(f"  {number}", Text(what) + Text(f"\n{said}", style="dim"))
        return table
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for what, said in told:
        table.add_row(f"  {what}", said)
    return table
