"""`lamppost practice`: a city to practise in, until Ctrl-C."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from provisioning.authority import desk
from provisioning.enrolment.practice import Practice

app = typer.Typer()


@app.command()
def practice(
    folder: Annotated[Path, typer.Argument(help="Where; must not exist yet.")] = Path("practice"),
) -> None:
    """Make a city with broker, backend and enrolment on this desk, and run it until Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Practice(folder, desk.say):
        desk.say(f"ready: go on in another terminal (provisioning/TECHNICIAN.md); Ctrl-C ends it, {folder} stays")
        stop.wait()
