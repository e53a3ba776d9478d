"""`lamppost recover`: what is on a card that was pulled, copied and verified."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from agent.core.log.note import parse_verifier_key
from agent.errors import EvidenceError, LogError, StorageError, UsageError
from provisioning.authority import desk
from provisioning.commands.log import own_word
from provisioning.enrolment.recovery import FOOTAGE, LOG, Fate, Recovered, plan, recover, strangers
from provisioning.footage.accounting import Disagreement, account, disagreements
from provisioning.footage.catalogue import find_segments
from provisioning.footage.verifying import verify
from provisioning.screen import console, plan_only, show_end
from provisioning.words import words

app = typer.Typer()


@app.command("recover", help=words("recover.help"))
def recover_card(
    card: Annotated[Path, typer.Argument(metavar="DIR", help=words("recover.options.card"))],
    out: Annotated[Path, typer.Option(help=words("recover.options.out"))],
    *,
    key: Annotated[str | None, typer.Option("--key", help=words("recover.options.key"))] = None,
    dry_run: desk.DryRunOption = False,
    as_json: desk.JsonOption = False,
) -> None:
    """Copy sealed footage and log from a card that was pulled, read the copy back, and hold it against the log."""
    wanted = list(plan(card, out))
    if not wanted:
        raise UsageError(words("recover.nothing", card=card), hint=words("recover.nothing_hint"))
    if others := strangers(card, out):
        said = words("recover.other", out=out, held=", ".join(others))
        raise UsageError(said, hint=words("recover.other_hint"))
    segments = sum(target.is_relative_to(out / FOOTAGE) for _, target in wanted)
    size = sum(source.stat().st_size for source, _ in wanted)
    planned = [
        (words("recover.plan_segments"), str(segments)),
        (words("recover.plan_log"), str(len(wanted) - segments)),
        (words("recover.plan_size"), f"{size / 1e6:,.1f} MB"),
    ]
    if plan_only(str(card), planned, dry_run=dry_run, as_json=as_json):
        return
    done: list[Recovered] = []
    with Progress(console=console(), transient=True, disable=as_json) as shown:
        task = shown.add_task(words("recover.copying"), total=len(wanted))
        for source, target in wanted:
            done.append(recover(source, target))
            shown.advance(task)
    wrong = [
        Disagreement(str(one.source), words("recover.lost", why=one.words)) for one in done if one.fate is Fate.LOST
    ]
    wrong += _verified(out, key)
    counts = {fate: sum(one.fate is fate for one in done) for fate in Fate}
    if as_json:
        desk.write_json(
            {**{fate.value: count for fate, count in counts.items()}, "faults": [_line(one) for one in wrong]}
        )
    else:
        _end_screen(out, counts, wrong, own_word_taken=key is None)
    if wrong:
        raise typer.Exit(os.EX_DATAERR)


def _end_screen(out: Path, counts: dict[Fate, int], wrong: list[Disagreement], *, own_word_taken: bool) -> None:
    for line in _summed(wrong):
        desk.say(line)
    rows = [
        (words("recover.copied"), str(counts[Fate.COPIED])),
        (words("recover.there"), str(counts[Fate.THERE])),
        (words("recover.lost_count"), str(counts[Fate.LOST])),
    ]
    if own_word_taken:
        rows.append((words("recover.own_word"), words("recover.own_word_words")))
    following = [words("recover.next_list", folder=out / FOOTAGE)]
    if counts[Fate.LOST]:
        following.insert(0, words("recover.next_again"))
    well = words("recover.fits" if own_word_taken else "recover.vouched")
    title = words("recover.faults", count=len(wrong)) if wrong else well
    show_end(title, rows, following=following, good=not wrong)


def _summed(wrong: Iterable[Disagreement]) -> Iterator[str]:
    """Yield a line for each thing that is wrong, however many files it is wrong with."""
    alike: dict[str, list[Disagreement]] = {}
    for one in wrong:
        alike.setdefault(one.words, []).append(one)
    for what, found in alike.items():
        many = len(found) > 1
        yield words("recover.many", count=len(found), what=what, first=found[0].file) if many else _line(found[0])


def _line(one: Disagreement) -> str:
    return f"{one.file}: {one.words}" if one.file else one.words


def _verified(out: Path, key: str | None) -> list[Disagreement]:
    """Return what is wrong with the copy: each file by itself, and all of them against the log."""
    faults = list[Disagreement]()
    if (out / FOOTAGE).exists():
        faults += [Disagreement("", str(fault)) for fault in verify(find_segments(out / FOOTAGE), []).faults]
    if not (out / LOG).exists():
        return [*faults, Disagreement("", words("recover.no_log"))]
    try:
        found = account(out / LOG, own_word(out / LOG) if key is None else parse_verifier_key(key))
    except (LogError, StorageError, EvidenceError, UsageError) as error:  # LogDamagedError is a StorageError
        return [*faults, Disagreement("", words("recover.log_fails", why=error))]
    if (out / FOOTAGE).exists():
        faults += disagreements(found, out / FOOTAGE)
    return faults
