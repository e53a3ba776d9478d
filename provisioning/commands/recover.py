"""`lamppost recover`: what is on a card that was pulled, copied and verified."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from agent.core.log.note import parse_verifier_key
from agent.errors import EvidenceError, LogError, StorageError, UsageError
from provisioning.authority import desk
from provisioning.commands.log import own_word
from provisioning.enrolment.recovery import FOOTAGE, LOG, Fate, Recovered, plan, recover
from provisioning.footage.accounting import account, disagreements
from provisioning.footage.catalogue import find_segments
from provisioning.footage.verifying import verify

app = typer.Typer()


@app.command("recover")
def recover_card(
    card: Annotated[Path, typer.Argument(metavar="DIR", help="Where the card's data partition is mounted, read-only.")],
    out: Annotated[Path, typer.Option(help="Folder for the copy; a second run copies what is missing.")],
    *,
    key: Annotated[
        str | None, typer.Option("--key", help="The log's key, name+id+base64; else its own word is taken.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what is there and copy nothing.")] = False,
    as_json: desk.JsonOption = False,
) -> None:
    """Copy sealed footage and log from a card that was pulled, read the copy back, and hold it against the log."""
    wanted = list(plan(card, out))
    segments = sum(target.is_relative_to(out / FOOTAGE) for _, target in wanted)
    size = sum(source.stat().st_size for source, _ in wanted)
    if not wanted:
        raise UsageError(f"there is no footage and no log in {card}", hint="is it the data partition?")
    desk.say(f"{card}: {segments} segments, {len(wanted) - segments} files of the log, {size / 1e6:,.1f} MB")
    if dry_run:
        return
    done: list[Recovered] = []
    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("copying and reading back", total=len(wanted))
        for source, target in wanted:
            done.append(recover(source, target))
            shown.advance(task)
    wrong = [f"{one.source}: lost: {one.words}" for one in done if one.fate is Fate.LOST]
    wrong += _verified(out, key)
    counts = {fate.value: sum(one.fate is fate for one in done) for fate in Fate}
    if as_json:
        desk.write_json({**counts, "faults": wrong})
    else:
        for line in wrong:
            desk.say(line)
        desk.say(", ".join(f"{count} {fate}" for fate, count in counts.items()) + f" in {out}")
        desk.say(
            "the camera's log vouches for all of it"
            if not wrong
            else f"{len(wrong)} {'fault' if len(wrong) == 1 else 'faults'}"
        )
        if key is None:
            desk.say("the key is the log's own word; give the one you know with --key")
    if wrong:
        raise typer.Exit(os.EX_DATAERR)


def _verified(out: Path, key: str | None) -> list[str]:
    """Return what is wrong with the copy: each file by itself, and all of them against the log."""
    faults = []
    if (out / FOOTAGE).exists():
        faults += [str(fault) for fault in verify(find_segments(out / FOOTAGE), []).faults]
    if not (out / LOG).exists():
        return [*faults, "there is no log on the card: nothing vouches for the footage"]
    try:
        found = account(out / LOG, own_word(out / LOG) if key is None else parse_verifier_key(key))
    except (LogError, StorageError, EvidenceError, UsageError) as error:  # LogDamagedError is a StorageError
        return [*faults, f"the log does not hold: {error}"]
    if (out / FOOTAGE).exists():
        faults += [f"{one.file}: {one.words}" for one in disagreements(found, out / FOOTAGE)]
    return faults
