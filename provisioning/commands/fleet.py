"""`lamppost fleet`: see every camera, what is wrong first, and ask one to do something.

What is shown is what the backend has in its store; a command goes into the store too,
with the name of who asked, and the backend sends it.
"""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.core.messages.commands import Command, Outcome
from agent.core.messages.wire import printable
from agent.core.status import summary_lines
from agent.errors import LinkError, UsageError
from provisioning import clock
from provisioning.authority import desk, files, pkcs8
from provisioning.backend.ca import FleetAuthority
from provisioning.backend.counts import CountedRow, counted_since
from provisioning.backend.health import Finding, Severity, assess, span, worst
from provisioning.backend.installation import BackendFolder, open_folder
from provisioning.backend.orders import ask, make_command
from provisioning.backend.records import CameraRecord, CommandRecord, Incident
from provisioning.backend.store import Store
from provisioning.commands.backend import BackendOption, StoreOption, operator

app = typer.Typer(no_args_is_help=True)

LOOK_EVERY = timedelta(seconds=1)
ANSWER_EVERY = timedelta(milliseconds=100)
MAX_KEY_BYTES = 4096
NAME_TITLE = "camera"
TITLES = ("does", "policy", "frames", "log", "heard")
MOST_WANTED_FIRST = (0, 4, 1, 3, 2)
LEAST_HEALTH = 30
GAP = 2
ABSENT = frozenset({"offline", "stopped", "silent", "recorder silent"})  # what it told last is how it was
STYLES = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.NOTICE: "cyan", Severity.WELL: "green"}

CameraArgument = Annotated[str, typer.Argument(help="The camera's id.")]


@app.command("list")
def list_cameras(backend: BackendOption, *, store: StoreOption = None, as_json: desk.JsonOption = False) -> None:
    """List every camera, what is wrong first."""
    now = clock.precise_now()
    cameras = _cameras(backend, store)
    if as_json:
        desk.write_json([_as_json(camera, now=now) for camera in _worst_first(cameras, now=now)])
    else:
        Console(stderr=True).print(FleetTable(cameras=cameras, now=now))


@app.command()
def show(
    camera: CameraArgument, backend: BackendOption, *, store: StoreOption = None, as_json: desk.JsonOption = False
) -> None:
    """Show all that is known about one camera."""
    now = clock.precise_now()
    with closing(_open(backend, store)) as kept, kept.transaction() as fleet:
        found = fleet.cameras.get(camera)
        incidents = fleet.incidents.all(camera)
        commands = fleet.commands.of(camera)
    if found is None:
        raise UsageError(f"no camera {camera} was ever heard of", hint="lamppost fleet list")
    (known,) = _marked((found,), backend)
    if as_json:
        detail = {
            "incidents": [_incident_json(one) for one in incidents],
            "commands": [_command_json(one) for one in commands],
        }
        desk.write_json({**_as_json(known, now=now), **detail})
        return
    console = Console(stderr=True)
    for finding in assess(known, now=now):
        console.print(_finding_text(finding), soft_wrap=True)
    for line in _detail_lines(known, now=now):
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    for incident in incidents:
        when = span(now - incident.last_at)
        words = f"incident: {incident.kind}, {incident.count} times, {when} ago: {incident.words}"
        console.print(printable(words), markup=False, highlight=False, soft_wrap=True)
    for one in commands[:5]:
        words = f"command: {one.name} by {one.asked_by}, {span(now - one.asked_at)} ago: {_outcome(one)}"
        console.print(printable(words), markup=False, highlight=False, soft_wrap=True)


@app.command()
def watch(
    backend: BackendOption,
    *,
    store: StoreOption = None,
    as_json: desk.JsonOption = False,
    times: Annotated[int | None, typer.Option(help="Stop after so many looks.")] = None,
) -> None:
    """Watch the fleet as it changes; with --json, one line for each camera that changed."""
    kept = _open(backend, store)

    def cameras() -> tuple[CameraRecord, ...]:
        with kept.transaction() as fleet:
            found = fleet.cameras.all()
        return _marked(found, backend)

    try:
        (_watch_as_json if as_json else _watch_as_table)(cameras, times)
    except KeyboardInterrupt:
        return
    finally:
        kept.close()


@app.command()
def counts(
    camera: CameraArgument,
    backend: BackendOption,
    *,
    hours: Annotated[int, typer.Option(help="How far back.", min=1)] = 24,
    store: StoreOption = None,
    as_json: desk.JsonOption = False,
) -> None:
    """Show what one camera counted: who passed, who was there, how fast. Fewer than five are not told."""
    since = clock.precise_now() - timedelta(hours=hours)
    with closing(_open(backend, store)) as kept, kept.transaction() as fleet:
        if fleet.cameras.get(camera) is None:
            raise UsageError(f"no camera {camera} was ever heard of", hint="lamppost fleet list")
        rows = counted_since(fleet, camera, since=since)
    if as_json:
        desk.write_json([_counted_json(row) for row in rows])
        return
    table = Table("from", "place", "watched", "what", "told", box=None, pad_edge=False, header_style="dim")
    for row in rows:
        for what, count in row.cells.items():
            told = "not told" if count is None else str(count)
            words = (f"{row.interval_at:%Y-%m-%d %H:%M}", printable(row.place), span(timedelta(seconds=row.watched_s)))
            table.add_row(*map(Text, (*words, what.replace("_", " "), told)))
    Console(stderr=True).print(table if rows else Text("nothing was counted"))


@app.command()
def command(  # noqa: PLR0913 - each is an option of the command
    camera: CameraArgument,
    name: Annotated[str, typer.Argument(help="Which command, such as ping or footage.list.")],
    backend: BackendOption,
    *,
    args: Annotated[str, typer.Option(help="Arguments, as a JSON object.")] = "{}",
    key: Annotated[
        Path | None, typer.Option(help="Operator's Ed25519 key (PEM), for commands that the camera wants signed.")
    ] = None,
    passphrase_file: desk.PassphraseOption = None,
    life_s: Annotated[int, typer.Option(help="After how many seconds it expires.", min=1, max=120)] = 60,
    store: StoreOption = None,
    as_json: desk.JsonOption = False,
) -> None:
    """Ask one camera to do something, and wait for its answer."""
    made = make_command(camera, name, _parse_args(args), now=clock.utc_now(), life=timedelta(seconds=life_s))
    if key is not None:
        made = _signed(made, key, passphrase_file)
    with closing(_open(backend, store)) as kept:
        with kept.transaction() as fleet:
            if fleet.cameras.get(camera) is None:
                raise UsageError(f"no camera {camera} was ever heard of", hint="lamppost fleet list")
            ask(fleet, made, by=operator())
        answered = _wait_for_answer(kept, made)
    reply = answered.reply
    if reply is None:
        hint = "is the backend running?" if answered.sent_at is None else f"lamppost fleet show {camera}"
        raise LinkError(f"{camera} did not answer {name}", hint=hint)
    if as_json:
        desk.write_json(reply.model_dump(mode="json"))
    elif reply.result:
        desk.write_json(reply.result)
    if reply.outcome in {Outcome.REFUSED, Outcome.FAILED}:
        raise LinkError(printable(f"{camera} {reply.outcome.value} {name}: {reply.reason or reply.refusal}"))
    if not as_json:
        failed = reply.result is not None and reply.result.get("passed") is False
        desk.say(f"{camera}: {name}: {reply.outcome.value}{', and not passed' if failed else ''}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTable:
    """The fleet as a table with a headline, what is wrong first; as many columns as there is room for.

    A camera's name is never cut, and what is wrong with it gets what room the rest leaves.

    Attributes:
        cameras: Every camera.
        now: Current UTC time.
    """

    cameras: tuple[CameraRecord, ...]
    now: datetime

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _headline(self.cameras, now=self.now)
        rows = [(camera, assess(camera, now=self.now)) for camera in _worst_first(self.cameras, now=self.now)]
        cells = [_cells(camera, findings, now=self.now) for camera, findings in rows]
        names = max(map(len, (NAME_TITLE, *(camera.camera_id for camera in self.cameras))))
        widths = [
            max(cell_len(text) for text in (title, *column))
            for title, column in zip(TITLES, zip(*cells, strict=True), strict=False)
        ]
        shown = _columns_that_fit(widths, options.max_width - names)
        left = options.max_width - names - sum(widths[place] + GAP for place in shown) - GAP
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
        table.add_column(NAME_TITLE, no_wrap=True, min_width=names)
        # `fleet show` says all of what is wrong; here one line a camera keeps the table a table.
        table.add_column("health", no_wrap=True, overflow="ellipsis", max_width=max(left, LEAST_HEALTH))
        for place in shown:
            table.add_column(TITLES[place], no_wrap=True, min_width=widths[place])
        for (camera, findings), texts in zip(rows, cells, strict=True):
            table.add_row(
                Text(camera.camera_id, style=STYLES[worst(findings)]),
                _finding_text(findings[0], more=len(findings) - 1) if findings else Text("well", style="green"),
                *(texts[place] for place in shown),
            )
        yield table


def _columns_that_fit(widths: list[int], room: int) -> list[int]:
    """Return the places of the columns there is room for beside the health of a camera, in their order."""
    room -= LEAST_HEALTH + GAP
    shown = []
    for place in MOST_WANTED_FIRST[: len(widths)]:
        if place < len(widths) and widths[place] + GAP <= room:
            shown.append(place)
            room -= widths[place] + GAP
    return sorted(shown)


def _headline(cameras: tuple[CameraRecord, ...], *, now: datetime) -> Text:
    levels = [worst(assess(camera, now=now)) for camera in cameras]
    online = sum(camera.birth is not None and camera.birth.online for camera in cameras)
    text = Text(f"{len(cameras)} camera{'' if len(cameras) == 1 else 's'}, {online} online")
    for level in (Severity.CRITICAL, Severity.WARNING, Severity.NOTICE):
        if count := levels.count(level):
            text.append(f", {count} {level.name.lower()}", style=STYLES[level])
    return text


def _cells(camera: CameraRecord, findings: tuple[Finding, ...], *, now: datetime) -> tuple[str, str, str, str, str]:
    """Return what `TITLES` names."""
    recorder = None if camera.status is None else camera.status.recorder
    does, frames = "—", "—"
    if recorder is not None and not camera.revoked:
        does = recorder.state.value
        if recorder.decision.intended_use:
            does += f" for {recorder.decision.intended_use}"
        if ABSENT & {one.what for one in findings}:
            does = f"was {does}"
        frames = f"{recorder.frames.stored}/{recorder.frames.captured}"
    reported = None if camera.reported is None else camera.reported.desired
    policy = "—" if reported is None else "current" if reported.digest == camera.desired_digest else "older"
    lag = camera.log_camera_next - camera.log_next
    log = "—" if camera.log_id is None else f"{camera.log_next}" + (f" (+{lag})" if lag > 0 else "")
    heard_at = max(filter(None, (camera.status_received_at, camera.birth_received_at)), default=None)
    return does, policy, frames, log, "never" if heard_at is None else f"{span(now - heard_at)} ago"


def _finding_text(finding: Finding, *, more: int = 0) -> Text:
    count = f" (+{more})" if more else ""  # before the words, which may be cut
    return Text(printable(f"{finding.what}{count}: {finding.words}"), style=STYLES[finding.severity])


def _detail_lines(camera: CameraRecord, *, now: datetime) -> list[str]:
    lines = []
    if camera.birth is not None and camera.birth_received_at is not None:
        how = "online" if camera.birth.online else f"not online ({camera.birth.reason})"
        lines.append(f"{camera.camera_id}: {how} for {span(now - camera.birth_received_at)}")
    if camera.status is not None and camera.status.recorder is not None:
        # Ages in it are by the camera's clock; the backend's may be another.
        lines += summary_lines(camera.status.recorder, now=camera.status.recorder.updated_at)
    if camera.status is not None:
        link = camera.status.link
        lines.append(f"link: {link.software_version}, connection {link.network.connections}")
        if link.network.last_failure:
            lines.append(f"link, last failure: {link.network.last_failure}")
        if link.certificate_expires_at is not None:
            lines.append(f"certificate: ends in {span(link.certificate_expires_at - now)}")
    if camera.log_id is not None:
        lines.append(f"log {camera.log_id}: {camera.log_next} leaves here, {camera.log_lost} lost")
    return lines


def _counted_json(row: CountedRow) -> dict[str, JsonValue]:
    return {
        "place": row.place,
        "interval_at": row.interval_at.isoformat(),
        "watched_s": row.watched_s,
        "cells": dict(row.cells),
    }


def _worst_first(cameras: tuple[CameraRecord, ...], *, now: datetime) -> list[CameraRecord]:
    def rank(camera: CameraRecord) -> tuple[int, int, str]:
        findings = assess(camera, now=now)
        return -worst(findings), -len(findings), camera.camera_id

    return sorted(cameras, key=rank)


def _watch_as_table(cameras: Callable[[], tuple[CameraRecord, ...]], times: int | None) -> None:
    looks = 0
    with Live(console=Console(stderr=True), auto_refresh=False, transient=False) as live:
        while times is None or looks < times:
            if looks:
                clock.wait(LOOK_EVERY)
            live.update(FleetTable(cameras=cameras(), now=clock.precise_now()), refresh=True)
            looks += 1


def _watch_as_json(cameras: Callable[[], tuple[CameraRecord, ...]], times: int | None) -> None:
    looks, told = 0, dict[str, str]()
    while times is None or looks < times:
        if looks:
            clock.wait(LOOK_EVERY)
        now = clock.precise_now()
        for camera in cameras():
            line = json.dumps(_as_json(camera, now=now), ensure_ascii=False)
            if told.get(camera.camera_id) != line:
                told[camera.camera_id] = line
                typer.echo(line)
        looks += 1


def _as_json(camera: CameraRecord, *, now: datetime) -> dict[str, Any]:
    findings = assess(camera, now=now)
    parts = {"birth": camera.birth, "status": camera.status, "reported": camera.reported}
    return {
        "camera_id": camera.camera_id,
        "health": worst(findings).name.lower(),
        "findings": [{"severity": one.severity.name.lower(), "what": one.what, "words": one.words} for one in findings],
        **{name: None if part is None else part.model_dump(mode="json") for name, part in parts.items()},
        "desired_digest": camera.desired_digest,
        "log": None
        if camera.log_id is None
        else {
            "id": camera.log_id,
            "next": camera.log_next,
            "camera_next": camera.log_camera_next,
            "lost": camera.log_lost,
        },
    }


def _incident_json(incident: Incident) -> dict[str, Any]:
    return {
        "kind": incident.kind,
        "count": incident.count,
        "first_at": incident.first_at.isoformat(),
        "last_at": incident.last_at.isoformat(),
        "words": incident.words,
    }


def _command_json(one: CommandRecord) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "asked_by": one.asked_by,
        "asked_at": one.asked_at.isoformat(),
        "outcome": _outcome(one),
        "reply": None if one.reply is None else one.reply.model_dump(mode="json"),
    }


def _outcome(one: CommandRecord) -> str:
    if one.reply is not None:
        return one.reply.outcome.value
    return "expired" if one.settled else "waiting" if one.sent_at is None else "sent"


def _wait_for_answer(store: Store, made: Command) -> CommandRecord:
    deadline = made.expires_at + timedelta(seconds=5)  # a reply under way when the command expires is still one
    while True:
        with store.transaction() as fleet:
            record = fleet.commands.get(made.id)
        if record is None or record.settled or clock.precise_now() > deadline:
            break
        if record.reply is not None and record.reply.outcome is Outcome.ACCEPTED:
            break  # begun; its end shows in `fleet show`
        clock.wait(ANSWER_EVERY)
    if record is None:
        raise UsageError("the command left the store while it was waited for")
    return record


def _parse_args(text: str) -> dict[str, JsonValue]:
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--args is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise UsageError("--args is not a JSON object", hint="""--args '{"first": 0, "end": 10}'""")
    return parsed


def _signed(made: Command, key_file: Path, passphrase_file: Path | None) -> Command:
    pem = files.read_capped(key_file, max_bytes=MAX_KEY_BYTES)
    passphrase = desk.passphrase_from(passphrase_file)() if b"ENCRYPTED" in pem else None
    key = pkcs8.open_private_key(pem, passphrase)
    return made.model_copy(update={"signature": key.sign(made.signed_bytes()).hex()})


def _cameras(backend: Path, store: str | None) -> tuple[CameraRecord, ...]:
    with closing(_open(backend, store)) as kept, kept.transaction() as fleet:
        found = fleet.cameras.all()
    return _marked(found, backend)


def _marked(cameras: tuple[CameraRecord, ...], backend: Path) -> tuple[CameraRecord, ...]:
    """Return cameras with what the authority says of them, where it is at hand: with --store it may be elsewhere."""
    authority = BackendFolder(path=backend).authority
    barred = frozenset(FleetAuthority(authority).barred()) if authority.is_dir() else frozenset[str]()
    return tuple(replace(camera, revoked=camera.camera_id in barred) for camera in cameras)


def _open(backend: Path, store: str | None) -> Store:
    return Store(store or open_folder(backend).store_url)
