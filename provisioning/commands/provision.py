"""`lamppost provision`: one camera over a cable, from its work order to a recording.

Run it again after anything: it goes on where it stopped. Exit statuses: TECHNICIAN.md.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer
from rich.text import Text

from agent.errors import StoppedError, UsageError
from provisioning.authority import desk
from provisioning.clock import precise_now, wait
from provisioning.enrolment.desk_folder import desk_of, read_work_order
from provisioning.enrolment.steps import Carrying, Provisioning, Step, Told, plan
from provisioning.enrolment.transport import FolderTransport, SshTransport, Transport
from provisioning.screen import console, plan_only, show_end
from provisioning.ssh import Remembered
from provisioning.words import words

app = typer.Typer()


@app.command(help=words("provision.help"))
def provision(  # noqa: PLR0913 - one option for each way to go
    order: Annotated[Path, typer.Argument(help=words("provision.options.order"))],
    *,
    host: Annotated[str | None, typer.Option(help=words("options.host"))] = None,
    folder: Annotated[Path | None, typer.Option("--dir", help=words("options.virtual"))] = None,
    image: Annotated[Path, typer.Option(help=words("provision.options.image"))] = Path("practice/image"),
    source: Annotated[str, typer.Option(help=words("provision.options.source"))] = "streetscene",
    carry: Annotated[Path | None, typer.Option(help=words("provision.options.carry"))] = None,
    answer: Annotated[Path | None, typer.Option(help=words("provision.options.answer"))] = None,
    dry_run: desk.DryRunOption = False,
    as_json: desk.JsonOption = False,
    yes: desk.YesOption = False,
) -> None:
    """Provision a camera; run it again after anything, it goes on where it stopped."""
    if (host is None) == (folder is None):
        raise UsageError(words("cable.which"), hint=words("cable.which_hint"))
    if answer is not None and carry is None:
        carry = answer.with_suffix(".request")
    work = read_work_order(order)
    claim = work.claimed()
    planned = [
        (step if as_json else words(f"steps.{step}"), said)
        for step, said in plan(work, host or str(folder), carry=carry is not None)
    ]
    title = words("provision.plan_title", camera=work.camera_id, site=work.site.public_name, mounting=work.mounting)
    if plan_only(title, planned, dry_run=dry_run, as_json=as_json):
        return
    desk.confirm(words("ask.go_on"), yes=yes)
    transport = _transport(host, folder, order, claim.id, image, source)
    carrying = None if carry is None else Carrying(out=carry, back=answer)
    provisioning = Provisioning(order, transport, now=precise_now, wait=wait, carrying=carrying)
    began = precise_now()
    done = list(_run(provisioning, quiet=as_json))
    if as_json:
        desk.write_json(_as_json(work.camera_id, done, precise_now() - began))
    else:
        cable = f"--host {quote(host)}" if host is not None else f"--config {quote(f'{folder}/lamppost.toml')}"
        _end_screen(work.camera_id, done, precise_now() - began, cable=cable, at=quote(str(desk_of(order))))


def _transport(
    host: str | None, folder: Path | None, order: Path, claim_id: str, image: Path, source: str
) -> Transport:
    if host is not None:
        # A board that takes another's place comes with another work order, under the same name.
        remembered = Remembered(file=order.with_suffix(".known-hosts").absolute(), name=claim_id)
        return SshTransport(host, remembered)
    return FolderTransport(folder or Path(), image, source)


def _run(provisioning: Provisioning, *, quiet: bool) -> list[Told]:
    done: list[Told] = []
    try:
        for told in provisioning.run(lambda _: None) if quiet else _shown(provisioning):
            done.append(told)  # noqa: PERF402 - what is done is told, if a person stops it
    except KeyboardInterrupt as stop:
        said = words("provision.stopped", done=len(done), steps=len(Step))
        raise StoppedError(said, hint=words("end.again")) from stop
    return done


def _shown(provisioning: Provisioning) -> Iterator[Told]:
    shown, numbers = console(), count(1)
    with shown.status("") as working:

        def tell(step: Step) -> None:
            working.update(f"{next(numbers)}/{len(Step)} {words(f'steps.{step.value}')} …")

        for told in provisioning.run(tell):
            mark = Text("✓ ", style="green") if told.changed else Text("· ", style="dim")
            shown.print(mark + Text(words(f"steps.{told.step.value}")) + Text(f": {told.words}", style="dim"))
            yield told


def _end_screen(camera_id: str, done: list[Told], took: timedelta, *, cable: str, at: str) -> None:
    told = {one.step: one for one in done}
    report = told[Step.REPORT]
    recording, reason = report.facts["state"] == "recording", report.facts["reason"]
    steps = [words("next.commission", camera=camera_id, where=cable)]
    if not recording:
        steps.insert(0, words("provision.next_grant", camera=camera_id))
    key = told[Step.ENROL].facts["key"]
    steps.append(
        words("provision.next_label", camera=camera_id, key=key, desk=at)
        if key
        else words("next.label", camera=camera_id, desk=at)  # another laptop enrolled it
    )
    steps.append(words("provision.next_fleet"))
    now = reason if recording else words("provision.dark", reason=reason)
    title = words("provision.done" if recording else "provision.done_dark", camera=camera_id)
    show_end(title, [(words("provision.now"), now)], following=steps, took=took, beware=not recording)


def _as_json(camera_id: str, done: list[Told], took: timedelta) -> dict[str, Any]:
    return {
        "camera_id": camera_id,
        "took_s": round(took.total_seconds(), 1),
        "steps": [
            {"step": told.step.value, "changed": told.changed, "words": told.words, **told.facts} for told in done
        ],
    }
