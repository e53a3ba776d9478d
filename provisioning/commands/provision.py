"""`lamppost provision`: one camera over a cable, from its work order to a recording.

Run it again after anything: it goes on where it stopped. Exit statuses: 0 done, 64 wrong
words, 69 the camera or the city cannot be reached, 74 the disk, 75 the request was written
and waits for its answer, 77 the city refuses.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from agent.errors import UsageError
from provisioning.authority import desk
from provisioning.clock import precise_now, wait
from provisioning.enrolment.desk_folder import read_work_order
from provisioning.enrolment.steps import Carrying, Provisioning, Step, Told, plan
from provisioning.enrolment.transport import FolderTransport, SshTransport, Transport
from provisioning.ssh import Remembered
from provisioning.words import words

app = typer.Typer()


@app.command()
def provision(  # noqa: PLR0913 - one option for each way to go
    order: Annotated[Path, typer.Argument(help="The camera's work order.")],
    *,
    host: Annotated[
        str | None, typer.Option(help="The camera, as ssh takes it: over the cable or the network.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="A folder that plays a camera instead; made if missing.")
    ] = None,
    image: Annotated[Path, typer.Option(help="With --dir: what a camera's image holds.")] = Path("practice/image"),
    source: Annotated[str, typer.Option(help="With --dir: what it looks at.")] = "streetscene",
    carry: Annotated[
        Path | None, typer.Option(help="No network: write the camera's request here, for `lamppost enrol offline`.")
    ] = None,
    answer: Annotated[Path | None, typer.Option(help="The answer that was carried back.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and touch nothing.")] = False,
    as_json: desk.JsonOption = False,
    yes: desk.YesOption = False,
) -> None:
    """Provision a camera; run it again after anything, it goes on where it stopped."""
    if (host is None) == (folder is None):
        raise UsageError("which camera?", hint="either --host USER@HOST or --dir FOLDER")
    if answer is not None and carry is None:
        carry = answer.with_suffix(".request")
    work = read_work_order(order)
    planned = plan(work, host or str(folder), carry=carry is not None)
    if as_json and dry_run:
        desk.write_json(
            {"camera_id": work.camera_id, "plan": [{"step": step, "words": said} for step, said in planned]}
        )
        return
    if not as_json:
        rows = ((words(f"steps.{step}"), said) for step, said in planned)
        desk.show_table(f"{work.camera_id}, {work.site.public_name}: {work.mounting}", ("", ""), rows)
    if dry_run:
        return
    desk.confirm("Go on?", yes=yes or as_json)
    carrying = None if carry is None else Carrying(out=carry, back=answer)
    provisioning = Provisioning(
        order,
        _transport(host, folder, order, work.claimed().id, image, source),
        now=precise_now,
        wait=wait,
        carrying=carrying,
    )
    began = precise_now()
    done = list(_run(provisioning, quiet=as_json))
    if as_json:
        desk.write_json(_as_json(work.camera_id, done, precise_now() - began))
    else:
        _end_screen(work.camera_id, done, precise_now() - began)


def _transport(
    host: str | None, folder: Path | None, order: Path, claim_id: str, image: Path, source: str
) -> Transport:
    if host is not None:
        # A board that takes another's place comes with another work order, under the same name.
        remembered = Remembered(file=order.with_suffix(".known-hosts").absolute(), name=claim_id)
        return SshTransport(host, remembered)
    return FolderTransport(folder or Path(), image, source)


def _run(provisioning: Provisioning, *, quiet: bool) -> list[Told]:
    if quiet:
        return list(provisioning.run(lambda _: None))
    console = Console(stderr=True)
    done: list[Told] = []
    with console.status("") as working:

        def tell(step: Step) -> None:
            working.update(f"{words(f'steps.{step.value}')} …")

        for told in provisioning.run(tell):
            mark = "[green]✓[/green]" if told.changed else "[dim]·[/dim]"
            console.print(f"{mark} {words(f'steps.{told.step.value}')}[dim]: {told.words}[/dim]", highlight=False)
            done.append(told)
    return done


def _end_screen(camera_id: str, done: list[Told], took: timedelta) -> None:
    report = next(told for told in done if told.step is Step.REPORT)
    recording = report.facts["state"] == "recording"
    console = Console(stderr=True)
    console.print()
    console.print(f"[bold green]{words('end.done', camera=camera_id)}[/bold green] ({took.total_seconds():.0f} s)")
    console.print(words("end.recording" if recording else "end.dark", reason=report.words), highlight=False)
    following = Table(title=words("end.next"), title_justify="left", show_header=False, box=None)
    following.add_column(overflow="fold")
    steps = ["next_commission", "next_label", "next_fleet"]
    if not recording:
        steps.insert(0, "next_grant")
    for step in steps:
        following.add_row(f"• {words(f'end.{step}', camera=camera_id)}")
    console.print(following)


def _as_json(camera_id: str, done: list[Told], took: timedelta) -> dict[str, Any]:
    return {
        "camera_id": camera_id,
        "took_s": round(took.total_seconds(), 1),
        "steps": [
            {"step": told.step.value, "changed": told.changed, "words": told.words, **told.facts} for told in done
        ],
    }
