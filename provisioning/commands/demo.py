"""`lamppost demo`: play a city on a simulated camera, and leave pictures."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table

PIPED_WIDTH = 120  # rich would fold what goes to a file or a log to 80 columns

app = typer.Typer(invoke_without_command=True)


@app.callback()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")] = Path("demo"),
    source: Annotated[
        str, typer.Option("--source", help="A video file or /dev/videoN instead of the simulated street.")
    ] = "streetscene",
    nets: Annotated[
        Path, typer.Option("--nets", help="Folder of the net that finds people; without it, motion alone hides them.")
    ] = Path("models"),
) -> None:
    """Play a city in a minute: sign, record, restrict, fail, waive, revoke; then look at what was kept."""
    from provisioning.demo.play import play  # noqa: PLC0415 - a video library, which --help does not need

    console = Console(stderr=True, width=None if sys.stderr.isatty() else PIPED_WIDTH)
    with console.status("starting") as status:

        def say(told: RenderableType) -> None:
            console.print(Padding(told, (0, 0, 0, 2)))
            if isinstance(told, str):
                status.update(told)

        told = play(out, source=_named(source), say=say, nets=nets)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    for label, value in told.rows:
        table.add_row(label, value)
    console.print(table)
    sys.stdout.write(f"{told.sheet}\n{told.movie}\n{told.evidence}\n{told.report}\n{told.register}\n")


def _named(source: str) -> str:
    """Return a source as `lamppost.toml` names it, from what a person types."""
    if source.startswith("/dev/video"):
        return f"v4l2:{source}"
    if Path(source).exists():
        return f"file:{Path(source).resolve()}"
    return source
