"""`lamppost report`: what a city tells its council once a year."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from agent.core.log.note import VerifierKey, parse_verifier_key
from agent.errors import UsageError
from provisioning.annual.camera_year import Year
from provisioning.annual.logs import LogCopy, copies_in, gathered_in
from provisioning.annual.making import Sources, make_report, write_report
from provisioning.annual.notes import notes_to_fill_in
from provisioning.annual.numbers import as_text
from provisioning.annual.report import AnnualReport
from provisioning.authority import desk, files
from provisioning.authority.city import CityFolder
from provisioning.backend.installation import BackendFolder
from provisioning.backend.store import Store
from provisioning.backend.witness import open_witness
from provisioning.clock import utc_now

app = typer.Typer(no_args_is_help=True)

MAX_KEY_FILE_BYTES = 256 * 1024
YearOption = Annotated[int, typer.Option("--year", min=2000, max=9998, help="The calendar year, in UTC.")]


@app.callback()
def _report() -> None:
    """Draft what councils ask for, from logs and signed documents."""


@app.command()
def annual(  # noqa: PLR0913 - one option for each source of the report
    year: YearOption,
    *,
    city: desk.CityOption,
    backend: Annotated[
        Path | None, typer.Option("--backend", help="The backend's folder, which gathered the cameras' logs.")
    ] = None,
    logs: Annotated[
        Path | None, typer.Option("--logs", help="Instead: a folder with a copy of each log, LOGS/cam-07/checkpoint.")
    ] = None,
    log_key: Annotated[
        list[str] | None,
        typer.Option("--log-key", help="Keys of logs, or a file of them; else their own word."),
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option("--witness", help="Keys of witnesses whose word counts, or a file of them.")
    ] = None,
    city_log: Annotated[Path | None, typer.Option("--city-log", help="The city's log; CITY/log if not given.")] = None,
    notes: Annotated[
        Path | None, typer.Option("--notes", help="What people entered; `lamppost report notes` makes the file.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the report; annual-report-YEAR.")] = None,
    pdf: Annotated[bool, typer.Option(help="The report as a PDF too.")] = True,
    as_json: desk.JsonOption = False,
) -> None:
    """Write the report of one year: use, sharing, audits, breaches, complaints, effect, cost.

    What logs and documents know is computed; what people know is entered in a file; the
    rest is a marked blank. With --json and no --out, nothing is written.
    """
    span = Year(number=year, as_of=utc_now())
    with _copies(backend, logs, log_key or (), witness or (), span) as copies:
        sources = Sources(
            city=CityFolder(path=city),
            city_log=city_log or (city if city.is_dir() else city.parent) / "log",
            copies=copies,
            notes=notes,
        )
        report = make_report(sources, span)
    if not as_json or out is not None:
        write_report(report, out or Path(f"annual-report-{year}"), pdf=pdf, say=desk.say)
    if as_json:
        sys.stdout.write(as_text(report))
    _tell(report)


@app.command()
def notes(
    year: YearOption,
    *,
    out: Annotated[Path | None, typer.Option("--out", help="The file to make; stdout if not given.")] = None,
) -> None:
    """Write the file in which people enter what no machine can know of a year."""
    text = notes_to_fill_in(year)
    if out is None:
        sys.stdout.write(text)
        return
    files.write_new(out, text.encode())
    desk.say(f"wrote {out}: fill it in, then lamppost report annual --year {year} --notes {out}")


@contextmanager
def _copies(
    backend: Path | None, logs: Path | None, log_keys: Iterable[str], witnesses: Iterable[str], year: Year
) -> Iterator[tuple[LogCopy, ...]]:
    """Find the cameras' logs in the one place that was named, for as long as they are read."""
    if (backend is None) == (logs is None):
        raise UsageError("the cameras' logs come from one place", hint="--backend BACKEND or --logs FOLDER")
    if logs is not None:
        yield tuple(copies_in(logs, tuple(_keys(log_keys)), tuple(_keys(witnesses))))
        return
    folder = BackendFolder(path=backend or Path())
    if not folder.path.is_dir():
        raise UsageError(f"there is no folder {folder.path}")
    store = Store(folder.store_url)
    try:
        own = open_witness(folder.witness) if folder.witness.is_dir() else None
        yield tuple(gathered_in(store, own, year))
    finally:
        store.close()


def _keys(words: Iterable[str]) -> Iterator[VerifierKey]:
    for one in words:
        if "+" in one and not Path(one).exists():
            yield parse_verifier_key(one)
            continue
        text = files.read_capped(Path(one), max_bytes=MAX_KEY_FILE_BYTES).decode("utf-8", "replace")
        yield from (parse_verifier_key(line.strip()) for line in text.splitlines() if line.strip())


def _tell(report: AnnualReport) -> None:
    for one in report.missing:
        desk.say(f"missing: {one.camera}: {one.words}")
    if not report.year.is_over:
        desk.say(f"remark: {report.year.number} is not over; this is what it was so far")
    if blanks := report.blanks:
        desk.say(f"blank, to be entered by people: {', '.join(blanks)}")
