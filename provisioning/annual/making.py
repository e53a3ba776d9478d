"""Read all that a year's report rests on, and write the report: pages, a PDF of them, and the numbers.

Everything is read, verified and set before anything is written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.errors import MissingExtraError, NotesFormatError, UsageError
from provisioning.annual.camera_year import Year
from provisioning.annual.logs import LogCopy, in_order
from provisioning.annual.notes import MAX_NOTES_BYTES, Notes, parse_notes
from provisioning.annual.numbers import as_text
from provisioning.annual.page import render
from provisioning.annual.report import AnnualReport, draft
from provisioning.authority import files
from provisioning.authority.city import CityFolder
from provisioning.authority.history import read_history
from provisioning.evidence.city_log import ENTRIES, CityLog
from provisioning.evidence.paper import printed


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a report is drafted from.

    Attributes:
        city: The city's folder.
        city_log: Its own log.
        copies: The cameras' logs.
        notes: What people entered, or None.
    """

    city: CityFolder
    city_log: Path
    copies: tuple[LogCopy, ...]
    notes: Path | None


def make_report(sources: Sources, year: Year) -> AnnualReport:
    """Return the report of a year.

    Raises:
        UsageError: There is nothing to report of that year, or a source is not there.
        NotesFormatError: What people entered will not do.
        LogError: A log is not what was signed.
        PolicyError: The city's documents are not what was signed.
        StorageError: Something cannot be read, or a log contradicts itself.
    """
    if not (sources.city_log / ENTRIES).exists():
        # Without it, "nothing was handed over" would be an invention.
        raise UsageError(
            f"{sources.city_log} holds no log of the city",
            hint="say where it is: --city-log FOLDER; where nobody has acted yet, an empty entries.jsonl says so",
        )
    copies = in_order(sources.copies)
    return draft(
        read_history(sources.city),
        {camera: [(copy.origin, copy.leaves()) for copy in its] for camera, its in copies.items()},
        CityLog(sources.city_log).read(),
        None if sources.notes is None else _notes(sources.notes),
        year,
    )


def write_report(report: AnnualReport, out: Path, *, pdf: bool, say: Callable[[str], None]) -> None:
    """Write a report into a folder, which is made if missing; one of the same year that lies there is replaced.

    Args:
        report: Which.
        out: The folder.
        pdf: Whether to make a PDF too; where nothing on this machine can, that is told.
        say: Told what was written.

    Raises:
        StorageError: The disk refuses.
    """
    page = render(report)
    name = f"annual-{report.year.number}"
    made = {f"{name}.html": page, f"{name}.json": as_text(report).encode()}
    if pdf:
        try:
            made[f"{name}.pdf"] = printed(page)
        except MissingExtraError as error:
            say(f"{error}; {error.hint}")
    files.make_folder(out)
    for file, content in made.items():
        files.write_whole(out / file, content)
        say(f"wrote {out / file}")


def _notes(path: Path) -> Notes:
    raw = files.read_capped(path, max_bytes=MAX_NOTES_BYTES)
    try:
        return parse_notes(raw.decode())
    except UnicodeDecodeError as error:
        raise NotesFormatError(f"{path} is not UTF-8 text") from error
