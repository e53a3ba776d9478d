"""`lamppost`: what people run.

The rules every command keeps: stdout is for programs, stderr for people; an error
is one line `lamppost: error: …` and, where it helps, one line `lamppost: hint: …`;
the exit status says what kind of failure it was (sysexits); a command that changes
something shows its plan first, does nothing the second time, and leaves no
half-written file when it fails. A command's module is imported when it is called.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

import typer

from agent.errors import LamppostError, StoppedError
from provisioning.words import words

TRANSLATED = ""  # the line is in provisioning/words, with everything else that a technician reads

# name → (module under provisioning.commands, one line for --help)
COMMANDS = {
    "keys": ("keys", "Make the keys that open footage."),
    "footage": ("footage", "List, open, play and verify sealed footage."),
    "evidence": ("evidence", "Hand footage to those the law names; verify what was handed over."),
    "log": ("log", "Verify a camera's log, and its footage against it."),
    "charter": ("charter", "Check and compare charters: a city's law as data."),
    "city": ("city", "Found a city: its root, its officials' keys, its charter."),
    "commission": ("commission", TRANSLATED),
    "grant": ("grant", "Draft, show, sign and publish what a camera may do."),
    "restrict": ("restrict", "Narrow what a camera may do; any one official may."),
    "waive": ("waive", "Widen one named thing for less than 30 days."),
    "hold": ("hold", "Stop the removal of named footage."),
    "lift": ("lift", "Draft the grant that lifts a restriction or hold."),
    "revoke": ("revoke", "Pause, stop or erase a camera."),
    "epochs": ("epochs", "Make, publish, hold and destroy the keys of each day."),
    "release": ("release", "Open the sealed layer, several offices together, for a case."),
    "report": ("report", "Draft the yearly report that councils ask for."),
    "register": ("register", "Publish what every camera may do and did; verify what was published."),
    "policy": ("policy", "Say what a camera may do, when, and which clause says so."),
    "backend": ("backend", "Make and run the backend, and the fleet's authority."),
    "fleet": ("fleet", "See every camera, what is wrong first; ask one to do something."),
    "site": ("site", TRANSLATED),
    "work-order": ("work_order", TRANSLATED),
    "enrol": ("enrol", TRANSLATED),
    "card": ("card", TRANSLATED),
    "provision": ("provision", TRANSLATED),
    "replace": ("replace", TRANSLATED),
    "retire": ("retire", TRANSLATED),
    "diagnose": ("diagnose", TRANSLATED),
    "recover": ("recover", TRANSLATED),
    "practice": ("practice", TRANSLATED),
    "label": ("label", TRANSLATED),
    "demo": ("demo", "Play a city on a simulated camera."),
}


def summary_of(name: str) -> str:
    """Return a command's one line for --help."""
    _, summary = COMMANDS[name]
    return summary or words(f"commands.{name}")


def _application(wanted: str | None) -> typer.Typer:
    """Return the command tree with the one module that is `wanted` imported, the others as names."""
    app = typer.Typer(
        name="lamppost",
        help="Provision cameras, sign what they may do, open what they recorded.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    for name, (module, _) in COMMANDS.items():
        summary = summary_of(name)
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


def _wanted(words: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Return the command that is called, or whose words a shell wants to complete."""
    if "_LAMPPOST_COMPLETE" in environment:  # bash tells what was typed in its own way, zsh and fish in typer's
        typed = environment.get("COMP_WORDS") or environment.get("_TYPER_COMPLETE_ARGS", "")
        words = typed.split()[1:]
    return next((word for word in words if not word.startswith("-")), None)


def complain(error: LamppostError) -> int:
    """Tell a person what went wrong and what to do; return the exit status."""
    sys.stderr.write(f"lamppost: error: {error}\n")
    if error.hint:
        sys.stderr.write(f"lamppost: hint: {error.hint}\n")
    return error.exit_status


def stopped(command: str | None) -> StoppedError:
    """Return what to tell of a command that a person stopped. What a technician runs goes on when it is run again."""
    goes_on = command in COMMANDS and COMMANDS[command][1] == TRANSLATED
    return StoppedError(words("end.stopped"), hint=words("end.again") if goes_on else None)


def main() -> None:
    """Run one command and exit with its status."""
    wanted = _wanted(sys.argv[1:], os.environ)
    try:
        _application(wanted)()
    except LamppostError as error:
        sys.exit(complain(error))
    except SystemExit as end:
        if end.code == StoppedError.exit_status:  # Ctrl-C, of which typer says nothing
            complain(stopped(wanted))
        raise


if __name__ == "__main__":
    main()
