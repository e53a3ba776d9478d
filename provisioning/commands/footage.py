"""`lamppost footage`: list, open, play and verify sealed footage.

Clear pictures exist in memory, in the pipe to a player, and in the one file that
`open` was asked for; nowhere else.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from agent.core.sealing.recipients import Identity
from agent.core.video import Layer
from agent.errors import FootageError, HeaderError, PlayerError, UsageError
from provisioning.footage.catalogue import (
    Catalogue,
    Envelope,
    FoundSegment,
    find_segments,
    lengths_at_most,
    read_envelope,
    select,
)
from provisioning.footage.composing import compose
from provisioning.footage.joining import Joined, Joiner
from provisioning.footage.opening import cut, open_segment
from provisioning.footage.private_file import private_file
from provisioning.footage.verifying import verdict, verify
from provisioning.identity_file import read_identities

app = typer.Typer(no_args_is_help=True)

# Each reads the MP4 from its standard input and keeps nothing of it.
PLAYERS = {
    "mpv": ("mpv", "--really-quiet", "--cache-on-disk=no", "--save-position-on-quit=no", "-"),
    "ffplay": ("ffplay", "-loglevel", "warning", "-autoexit", "-i", "pipe:0"),
}
_COULD_NOT_PLAY = {1, 2}  # of both; others mean that somebody ended it

Place = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of footage, a card's mount, or one segment.")]
IdentityFile = Annotated[Path, typer.Option("--identity", help="File with the identities that open it.")]
CameraId = Annotated[str | None, typer.Option("--camera", help="Whose footage; needed where several cameras' lies.")]
LayerOption = Annotated[Layer, typer.Option("--layer", help="Which of the recorded layers.")]
Headers = Annotated[
    Path | None, typer.Option("--headers", help="Folder with the headers that a hold keeps (lamppost epochs hold).")
]
From = Annotated[str | None, typer.Option("--from", help="First moment, as 2026-03-01T12:00:00Z; UTC if not said.")]
To = Annotated[str | None, typer.Option("--to", help="Moment to stop before, likewise.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


_HEADINGS = ("camera", "layer", "start (UTC)", "at most", "bytes", "state", "sealed to")
_SAID_ONCE = ("camera", "layer", "sealed to")


@app.command("list")
def list_(place: Place, *, as_json: Json = False) -> None:
    """Show what is there, as far as it can be told without a key."""
    catalogue = find_segments(place)
    lengths = lengths_at_most(catalogue)
    rows = [_row(segment, lengths.get(segment.path)) for segment in catalogue.segments]
    if as_json:
        foreign = [str(path) for path in catalogue.foreign]
        sys.stdout.write(json.dumps({"segments": rows, "foreign": foreign}, indent=2) + "\n")
        return
    columns = dict(zip(_HEADINGS, zip(*map(_cells, rows), strict=True), strict=False)) if rows else {}
    if sys.stdout.isatty():  # a narrow one: what is the same in every row is said once
        same = {heading: cells[0] for heading, cells in columns.items() if heading in _SAID_ONCE and len({*cells}) == 1}
        columns = {heading: cells for heading, cells in columns.items() if heading not in same}
        sys.stdout.write(f"{', '.join(same.values())}\n" if same else "")
    table = Table(box=None, pad_edge=False)
    for heading in columns:
        table.add_column(heading, justify="right" if heading in {"at most", "bytes"} else "left", no_wrap=True)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    # Piped, a table is as wide as it is; rich would fold it to 80 columns.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200).print(table)
    sys.stderr.write(f"{_count(len(rows), 'segment')}, {_count(len(catalogue.foreign), 'other file')} among them\n")


@app.command("open")
def open_(  # noqa: PLR0913 - each is an option of the command
    place: Place,
    identity: IdentityFile,
    out: Annotated[Path, typer.Option("--out", help="The MP4 to write; readable by you only.")],
    *,
    start: From = None,
    end: To = None,
    camera: CameraId = None,
    layer: LayerOption = Layer.MASKED,
    headers: Headers = None,
    keep_gaps: Annotated[bool, typer.Option("--keep-gaps", help="Leave time without footage in the timeline.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: Json = False,
) -> None:
    """Open a span of time into one MP4, without encoding anything again."""
    identities = read_identities(identity)
    segments = _select(find_segments(place, headers=headers), camera, layer, start, end)
    with private_file(out, replace=force) as file:
        joiner = Joiner(file, title=segments[0].name.camera_id, seekable=True, keep_gaps=keep_gaps)
        joined = _join(segments, identities, joiner, start, end)
    _tell(out, segments[0].name.camera_id, joined, as_json=as_json)


@app.command("compose")
def compose_(  # noqa: PLR0913 - each is an option of the command
    place: Place,
    identity: Annotated[list[Path], typer.Option("--identity", help="Identities that open both layers; repeat it.")],
    out: Annotated[Path, typer.Option("--out", help="The MP4 to write; readable by you only.")],
    *,
    start: From = None,
    end: To = None,
    camera: CameraId = None,
    released: Annotated[
        Path | None,
        typer.Option("--released", help="Folder that `lamppost release open` made: the sealed layer, for you."),
    ] = None,
    headers: Headers = None,
    keep_gaps: Annotated[bool, typer.Option("--keep-gaps", help="Leave time without footage in the timeline.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: Json = False,
) -> None:
    """Lay the sealed layer over the masked one: the original picture, for who can open both."""
    identities = [one for file in identity for one in read_identities(file)]
    masked = _select(find_segments(place, headers=headers), camera, Layer.MASKED, start, end)
    sealed = {
        (one.name.camera_id, one.name.started_at): one
        for one in _select(find_segments(released or place), camera, Layer.SEALED, start, end)
    }
    with private_file(out, replace=force) as file, _progress() as progress:
        joiner = Joiner(file, title=masked[0].name.camera_id, seekable=True, keep_gaps=keep_gaps)
        task = progress.add_task("composing", total=_size(masked))
        for segment in masked:
            piece = cut(segment, open_segment(segment, identities), start_at=_moment(start), end_at=_moment(end))
            other = sealed.get((segment.name.camera_id, segment.name.started_at))
            hidden = None
            if other is not None:
                hidden = cut(other, open_segment(other, identities), start_at=_moment(start), end_at=_moment(end))
            if piece is not None:
                joiner.add(compose(piece, hidden))
            progress.advance(task, segment.size_bytes)
        joined = joiner.close()
        if joined is None:
            raise FootageError("no whole fragment of the span asked for is in these segments")
    _tell(out, masked[0].name.camera_id, joined, as_json=as_json)


@app.command()
def play(
    place: Place,
    identity: IdentityFile,
    *,
    start: From = None,
    end: To = None,
    camera: CameraId = None,
    layer: LayerOption = Layer.MASKED,
    player: Annotated[
        str | None, typer.Option("--player", help="mpv or ffplay; whichever is there if not said.")
    ] = None,
) -> None:
    """Play a span of time in a player, through a pipe."""
    command = _player(player)
    identities = read_identities(identity)
    segments = _select(find_segments(place), camera, layer, start, end)
    with _running(command) as pipe:
        joiner = Joiner(_Pipe(pipe), title=segments[0].name.camera_id, seekable=False, keep_gaps=False)
        _join(segments, identities, joiner, start, end)


@app.command("verify")
def verify_(
    place: Place,
    *,
    identity: Annotated[Path | None, typer.Option("--identity", help="Also open everything with these.")] = None,
    as_json: Json = False,
) -> None:
    """Check every segment from end to end; without an identity, as far as that goes."""
    catalogue = find_segments(place)
    identities = read_identities(identity) if identity is not None else ()
    with _progress() as progress:
        task = progress.add_task("verifying", total=_size(catalogue.segments))
        report = verify(catalogue, identities, seen=lambda one: progress.advance(task, one.size_bytes))
    if as_json:
        told = {
            "segments": report.segments,
            "frames": report.frames,
            "faults": [{"message": str(fault), "exit_status": fault.exit_status} for fault in report.faults],
            "remarks": report.remarks,
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        for remark in report.remarks:
            sys.stdout.write(f"remark: {remark}\n")
        for fault in report.faults:
            sys.stdout.write(f"fault: {fault}\n")
        opened = "not opened" if report.frames is None else f"{_count(report.frames, 'frame')} opened"
        sys.stdout.write(f"{_count(report.segments, 'segment')}, {opened}, {_count(len(report.faults), 'fault')}\n")
    if (error := verdict(report)) is not None:
        raise error


# --- what the commands share --------------------------------------------------


def _select(
    catalogue: Catalogue, camera: str | None, layer: Layer, start: str | None, end: str | None
) -> tuple[FoundSegment, ...]:
    start_at, end_at = _moment(start), _moment(end)
    if start_at is not None and end_at is not None and start_at >= end_at:
        raise UsageError(f"--from {start} is not before --to {end}")
    return select(catalogue, camera_id=camera, layer=layer, start_at=start_at, end_at=end_at)


def _join(
    segments: Sequence[FoundSegment],
    identities: Sequence[Identity],
    joiner: Joiner,
    start: str | None,
    end: str | None,
) -> Joined:
    """Open the segments one after the other into `joiner`; one is in memory at a time.

    Raises:
        FootageError: Nothing of the span is in them.
    """
    with _progress() as progress:
        task = progress.add_task("opening", total=_size(segments))
        for segment in segments:
            opened = open_segment(segment, identities)
            piece = cut(segment, opened, start_at=_moment(start), end_at=_moment(end))
            if piece is not None:
                joiner.add(piece)
            progress.advance(task, segment.size_bytes)
    joined = joiner.close()
    if joined is None:
        raise FootageError("no whole fragment of the span asked for is in these segments")
    return joined


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a time, expected one like 2026-03-01T12:00:00Z") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _tell(out: Path, camera_id: str, joined: Joined, *, as_json: bool) -> None:
    gaps = [{"starts_at": _iso(gap.starts_at), "seconds": round(gap.length.total_seconds(), 3)} for gap in joined.gaps]
    if as_json:
        told = {
            "file": str(out),
            "camera": camera_id,
            "starts_at": _iso(joined.starts_at),
            "ends_at": _iso(joined.ends_at),
            "seconds": joined.duration.total_seconds(),
            "frames": joined.frames,
            "segments": joined.pieces,
            "truncated": joined.truncated,
            "gaps": gaps,
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return
    sys.stderr.write(
        f"wrote {out}: {camera_id}, {_iso(joined.starts_at)} to {_iso(joined.ends_at)}, "
        f"{joined.duration.total_seconds():.1f} s, {_count(joined.frames, 'frame')} "
        f"from {_count(joined.pieces, 'segment')}, {joined.truncated} truncated\n"
    )
    for gap in joined.gaps:
        seconds = gap.length.total_seconds()
        what = (
            f"{seconds:.0f} s without footage" if seconds > 0 else f"the camera's clock was put back {-seconds:.0f} s"
        )
        sys.stderr.write(f"gap: {what} from {_iso(gap.starts_at)}\n")


def _row(segment: FoundSegment, at_most: timedelta | None) -> dict[str, str | int | float | None]:
    name = segment.name
    envelope: Envelope | None
    try:
        envelope = read_envelope(segment)
    except HeaderError:
        envelope = None
    return {
        "path": str(segment.path),
        "camera": name.camera_id,
        "layer": name.layer.value,
        "starts_at": _iso(name.started_at),
        "sequence": name.sequence,
        "at_most_s": at_most.total_seconds() if at_most is not None else None,
        "bytes": segment.size_bytes,
        "state": _state(segment, envelope),
        "profile": envelope.profile if envelope is not None else None,
        "recipients": envelope.recipients if envelope is not None else None,
    }


def _state(segment: FoundSegment, envelope: Envelope | None) -> str:
    if segment.name.running:
        return "running"
    if segment.name.truncated:
        return "truncated"
    return "finished" if envelope is not None and not envelope.cut_short else "cut short"


def _cells(row: dict[str, str | int | float | None]) -> Iterator[str]:
    yield from (str(row["camera"]), str(row["layer"]), str(row["starts_at"]))
    yield "-" if row["at_most_s"] is None else f"{row['at_most_s']:.1f} s"
    yield f"{row['bytes']:,}"
    yield str(row["state"])
    yield "no readable header" if row["profile"] is None else f"{row['recipients']} x {row['profile']}"


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _size(segments: Iterable[FoundSegment]) -> int:
    return sum(segment.size_bytes for segment in segments)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),  # a log gets no bar and no blank line in its place
    )


# --- the player ---------------------------------------------------------------


class _Pipe:
    """A pipe as the muxer needs it: without the seek and tell that a pipe only pretends to have."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def write(self, clear: bytes) -> int:
        return self._pipe.write(clear)


def _player(wanted: str | None) -> tuple[str, ...]:
    if wanted is not None and wanted not in PLAYERS:
        raise UsageError(f"{wanted!r} is not a player that lamppost knows, expected {' or '.join(PLAYERS)}")
    for name in (wanted,) if wanted is not None else PLAYERS:
        if shutil.which(name) is not None:
            return PLAYERS[name]
    raise PlayerError(
        f"{wanted or ' and '.join(PLAYERS)} not found", hint="install one, or write a file with `lamppost footage open`"
    )


@contextmanager
def _running(command: Sequence[str]) -> Iterator[IO[bytes]]:
    """Lend the standard input of a player; end when it ends, whoever closes first.

    Raises:
        PlayerError: It could not start, or could not play.
    """
    try:
        player = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0)  # noqa: S603 - from PLAYERS, no shell
    except OSError as error:
        raise PlayerError(f"cannot start {command[0]}: {error.strerror}") from error
    with player:
        assert player.stdin is not None  # noqa: S101 - for the type checker: it was asked for above
        with suppress(BrokenPipeError):  # the person closed the window
            yield player.stdin
    if player.returncode in _COULD_NOT_PLAY:
        raise PlayerError(f"{command[0]} could not play it and ended with status {player.returncode}")
