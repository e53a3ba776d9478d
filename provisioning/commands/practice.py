"""`lamppost practice`: a city to practise in, until Ctrl-C."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from provisioning.authority import desk
from provisioning.enrolment.practice import Practice
from provisioning.words import words

app = typer.Typer()


@app.command(help=words("practice.help"))
def practice(
    folder: Annotated[Path, typer.Argument(help=words("practice.options.folder"))] = Path("practice"),
) -> None:
    """Make a city with broker, backend and enrolment on this desk, and run it until Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Practice(folder, desk.say):
        desk.say(words("practice.ready", folder=folder))
        stop.wait()
    desk.say(words("practice.over", folder=folder))
