"""`lamppost`: what people run.

The rules every command keeps: stdout is for programs, stderr for people; an error
is one line `lamppost: error: …` and, where it helps, one line `lamppost: hint: …`;
the exit status says what kind of failure it was (sysexits); a command that changes
something shows its plan first, does nothing the second time, and leaves no
half-written file when it fails. A command's module is imported when it is called.
"""

import importlib
import sys

import typer

from agent.errors import LamppostError

# name → (module under provisioning.commands, one line for --help)
COMMANDS = {
    "keys": ("keys", "Make the keys that open footage."),
    "footage": ("footage", "List, open, play and verify sealed footage."),
    "evidence": ("evidence", "Hand footage to those the law names; verify what was handed over."),
    "log": ("log", "Verify a camera's log, and its footage against it."),
    "charter": ("charter", "Check and compare charters: a city's law as data."),
    "city": ("city", "Found a city: its root, its officials' keys, its charter."),
    "commission": ("commission", "Aim a camera, draw its private areas, sign what was found."),
    "grant": ("grant", "Draft, show, sign and publish what a camera may do."),
    "restrict": ("restrict", "Narrow what a camera may do; any one official may."),
    "waive": ("waive", "Widen one named thing for less than 30 days."),
    "hold": ("hold", "Stop the removal of named footage."),
    "lift": ("lift", "Draft the grant that lifts a restriction or hold."),
    "revoke": ("revoke", "Pause, stop or erase a camera."),
    "epochs": ("epochs", "Make, publish, hold and destroy the keys of each day."),
    "release": ("release", "Open the sealed layer, several offices together, for a case."),
    "policy": ("policy", "Say what a camera may do, when, and which clause says so."),
    "backend": ("backend", "Make and run the backend, and the fleet's authority."),
    "fleet": ("fleet", "See every camera, what is wrong first; ask one to do something."),
    "site": ("site", "Record where cameras hang, and why there."),
    "work-order": ("work_order", "Make all that a technician needs for one camera."),
    "enrol": ("enrol", "Let cameras into the fleet; confirm the code that one shows."),
    "card": ("card", "Prepare the card of a camera."),
    "provision": ("provision", "Bring one camera from its work order to a recording, over a cable."),
    "replace": ("replace", "Let another board take a camera's place."),
    "retire": ("retire", "Take a camera down for good."),
    "diagnose": ("diagnose", "Ask a camera what is wrong with it; one file, no secrets."),
    "recover": ("recover", "Copy and verify what is on a card that was pulled."),
    "practice": ("practice", "Run a city to practise in, on this desk."),
    "label": ("label", "Draw what is stuck on a camera."),
    "demo": ("demo", "Play a city on a simulated camera."),
}


def _application(wanted: str | None) -> typer.Typer:
    """Return the command tree with the one module that is `wanted` imported, the others as names."""
    app = typer.Typer(
        name="lamppost",
        help="Provision cameras, sign what they may do, open what they recorded.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    for name, (module, summary) in COMMANDS.items():
        if name == wanted:
            command: typer.Typer = importlib.import_module(f"provisioning.commands.{module}").app
            if len(command.registered_commands) == 1 and command.registered_callback is None:
                only = command.registered_commands[0]  # `lamppost restrict …`, not `lamppost restrict restrict …`
                app.command(name, help=summary)(only.callback or (lambda: None))
                continue
        else:
            command = typer.Typer()
            command.callback(invoke_without_command=True)(lambda: None)
        app.add_typer(command, name=name, help=summary)
    return app


def complain(error: LamppostError) -> int:
    """Tell a person what went wrong and what to do; return the exit status."""
    sys.stderr.write(f"lamppost: error: {error}\n")
    if error.hint:
        sys.stderr.write(f"lamppost: hint: {error.hint}\n")
    return error.exit_status


def main() -> None:
    """Run one command and exit with its status."""
    wanted = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    try:
        _application(wanted)()
    except LamppostError as error:
        sys.exit(complain(error))


if __name__ == "__main__":
    main()
