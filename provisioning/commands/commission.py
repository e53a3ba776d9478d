"""`lamppost commission`: aim a camera, draw what must never be seen, and sign what was found.

lamppost commission CAMERA …        open the page for half an hour
lamppost commission show FILE       say what a proposal or a record says
lamppost commission verify FILE     the same, if a given technician signed it
lamppost commission zones PROPOSAL  its areas, as TOML for `grant draft` and `restrict --zones`
lamppost commission lines PROPOSAL  its counting lines, as TOML for the camera's configuration
"""

import ipaddress
import secrets
import socket
import sys
from datetime import datetime, timedelta
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from agent.core.aiming import LONGEST
from agent.core.messages.aiming import Act, AimingRequest
from agent.errors import AimingRefusedError, CommissioningFormatError, LamppostError, SignatureError, UsageError
from provisioning.authority import desk, files
from provisioning.authority.keys import KeyCard, open_key
from provisioning.clock import utc_now
from provisioning.commands.work_order import CameraArgument
from provisioning.commissioning import proposal as proposals
from provisioning.commissioning import record as records
from provisioning.commissioning.bench import Bench
from provisioning.commissioning.camera_side import CameraSide, behind_ssh, here
from provisioning.commissioning.certificate import make_certificate
from provisioning.commissioning.signed import MAX_BYTES, SignedStatement
from provisioning.commissioning.street import NOTHING_MEASURED, read_street
from provisioning.screen import show_end
from provisioning.ssh import Remembered, unreachable
from provisioning.words import words

FIRST_UPDATE_WITHIN_S = 60.0  # ssh, and a small board that starts a program


class _OpenByDefault(TyperGroup):
    """`lamppost commission cam-07` is `lamppost commission open cam-07`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - click's types are typer's private copy
        """Return the command that the first word names, or `open` if it names none."""
        return super().resolve_command(ctx, args if args and args[0] in self.commands else ["open", *args])


app = typer.Typer(cls=_OpenByDefault, no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help=words("commission.options.file"))]
ProposalArgument = Annotated[Path, typer.Argument(help=words("commission.options.proposal"))]


@app.command("open", help=words("commission.open"))
def open_page(  # noqa: PLR0913 - one parameter for each word of the command
    camera: CameraArgument,
    key: Annotated[Path, typer.Option("--key", help=words("commission.options.key"))],
    *,
    config: Annotated[Path | None, typer.Option(help=words("commission.options.config"), show_default=False)] = None,
    host: Annotated[str | None, typer.Option(help=words("commission.options.host"))] = None,
    out: Annotated[Path, typer.Option(help=words("commission.options.out"))] = Path(),
    street: Annotated[Path | None, typer.Option(help=words("commission.options.street"))] = None,
    listen: Annotated[str, typer.Option(help=words("commission.options.listen"))] = "127.0.0.1",
    port: Annotated[int, typer.Option(help=words("commission.options.port"), min=0, max=65_535)] = 0,
    minutes: Annotated[
        int, typer.Option(help=words("commission.options.minutes"), min=1, max=LONGEST // timedelta(minutes=1))
    ] = 30,
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Open a local page that shows what the camera sees, masked, for half an hour at most.

    The window is in the camera's log, with your name. Your key stays on this machine.
    """
    if host is None and config is None:
        raise UsageError(words("cable.which"), hint=words("commission.which_hint"))
    remembered = Remembered.of_camera(camera)
    child = here(config) if host is None and config is not None else behind_ssh(host or "", config, remembered)
    measured = NOTHING_MEASURED if street is None else read_street(street)
    with _bound(listen, port) as listening:  # before a window is opened that nobody could look through
        signer = open_key(key, desk.passphrase_from(passphrase_file))
        files.make_folder(out)
        bench = Bench(out, signer, utc_now(), utc_now, measured)
        asked = AimingRequest(
            act=Act.OPEN,
            window=f"w-{secrets.token_hex(8)}",
            who=signer.card.name,
            until=utc_now() + timedelta(minutes=minutes),
        )
        with CameraSide(child, asked) as side:
            first = side.wait_newer(0, FIRST_UPDATE_WITHIN_S)
            if first is None:
                if host is not None and (said := side.out_of_reach()) is not None:
                    raise unreachable(host, said, remembered)
                raise AimingRefusedError(
                    side.over() or words("commission.nothing_shown"), hint=words("commission.nothing_shown_hint")
                )
            if first.update.camera_id != camera:
                raise UsageError(
                    words("commission.other", name=first.update.camera_id, camera=camera),
                    hint=words("commission.other_hint"),
                )
            bench.resume(first.update)
            _serve(side, bench, listening, until=first.update.until)
    for path in bench.written:
        sys.stdout.write(f"{path}\n")
    where = f"--host {quote(host)}" if host is not None else f"--config {quote(str(config))}"
    _end_screen(camera, bench, words("commission.next_again", camera=camera, where=where, key=quote(str(key))))


def _end_screen(camera: str, bench: Bench, again: str) -> None:
    proposal = next((path for path in reversed(bench.written) if path.name.endswith(".proposal.json")), None)
    rows = [(words("commission.saved"), path.name) for path in bench.written]
    following = []
    complete = bench.record is not None and bench.record.complete
    if bench.record is None:
        rows.append(("", words("commission.no_record")))
    elif not complete:
        failed = ", ".join(check.what for check in bench.record.checks if not check.passed)
        rows.append((words("commission.not_in_order"), failed))
    if not complete:
        following.append(again)
    if proposal is not None:
        following.append(words("commission.next_proposal", path=proposal))
    if complete:
        following.append(words("next.label", camera=camera, desk=words("options.some_desk")))
    show_end(words("commission.done", camera=camera), rows, following=following, good=complete)


def _serve(side: CameraSide, bench: Bench, listening: socket.socket, *, until: datetime) -> None:
    from provisioning.web.commission.gate import Gate  # noqa: PLC0415 - the other commands need no web server
    from provisioning.web.commission.server import Listening, PageServer, application  # noqa: PLC0415

    served_at, bound_port = listening.getsockname()[:2]
    local = ipaddress.ip_address(served_at).is_loopback
    shown = f"[{served_at}]" if ":" in served_at else served_at
    origin = f"{'http' if local else 'https'}://{shown}:{bound_port}"
    with TemporaryDirectory(prefix="lamppost-") as scratch:  # 0700, for the certificate's key
        certificate = None
        if not local:
            certificate = Path(scratch) / "page.pem"
            fingerprint = make_certificate(certificate, served_at, now=utc_now(), until=until)
            desk.say(words("commission.fingerprint", fingerprint=fingerprint))
        gate = Gate(origin=origin, token=secrets.token_urlsafe(24), session=secrets.token_urlsafe(24))
        page = application(side, bench, gate, lambda: server.stop())  # noqa: PLW0108 - made below; it needs the page
        server = PageServer(page, Listening(socket=listening, origin=origin, certificate=certificate))
        address = f"{origin}/?token={gate.token}"
        desk.say(words("commission.address", end=f"{until:%H:%M:%S}", address=address))
        server.run(lambda: bool(side.over()))
    if side.over():
        desk.say(words("commission.over", why=side.over()))


def _bound(listen: str, port: int) -> socket.socket:
    try:
        address = ipaddress.ip_address(listen)
    except ValueError as error:
        raise UsageError(
            words("commission.no_address", listen=repr(listen)), hint=words("commission.no_address_hint")
        ) from error
    if address.is_unspecified:
        raise UsageError(words("commission.every_network"), hint=words("commission.every_network_hint"))
    bound = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)  # noqa: PLR2004 - IPv6
    try:
        bound.bind((str(address), port))
        bound.listen(16)
    except OSError as error:
        bound.close()
        raise UsageError(words("commission.cannot_serve", listen=listen, port=port, why=error.strerror)) from error
    return bound


@app.command(help=words("commission.show"))
def show(file: FileArgument, *, as_json: desk.JsonOption = False) -> None:
    """Say what a proposal or a record says, and who signed it. Its signature must hold."""
    _show(*_read(file), as_json=as_json)


@app.command(help=words("commission.verify"))
def verify(
    file: FileArgument,
    card: Annotated[Path, typer.Option("--card", help=words("commission.options.card"))],
    *,
    as_json: desk.JsonOption = False,
) -> None:
    """Check that a technician signed a proposal or a record, and that every check in a record passed."""
    statement, signed = _read(file)
    signed.by(KeyCard.read(card))
    _show(statement, signed, as_json=as_json)
    if isinstance(statement, records.CommissioningRecord) and not statement.complete:
        failed = ", ".join(check.what for check in statement.checks if not check.passed)
        raise CommissioningFormatError(
            words("commission.not_commissioned", camera=statement.camera, checks=failed),
            hint=words("commission.not_commissioned_hint"),
        )


@app.command(help=words("commission.zones"))
def zones(proposal: ProposalArgument) -> None:
    """Write the areas of a proposal as TOML."""
    drawn, _ = proposals.parse_proposal(files.read_capped(proposal, max_bytes=MAX_BYTES))
    sys.stdout.write(drawn.zones_toml())


@app.command(help=words("commission.lines"))
def lines(proposal: ProposalArgument) -> None:
    """Write the counting lines of a proposal as TOML."""
    drawn, _ = proposals.parse_proposal(files.read_capped(proposal, max_bytes=MAX_BYTES))
    sys.stdout.write(drawn.counting_toml())


def _read(file: Path) -> tuple[proposals.Proposal | records.CommissioningRecord, SignedStatement]:
    raw = files.read_capped(file, max_bytes=MAX_BYTES)
    try:
        return records.parse_record(raw)
    except SignatureError:
        raise
    except LamppostError:
        return proposals.parse_proposal(raw)


def _show(
    statement: proposals.Proposal | records.CommissioningRecord, signed: SignedStatement, *, as_json: bool
) -> None:
    if as_json:
        desk.write_json({"kind": signed.kind, "signed_by": signed.card.name, **signed.statement})
        return
    card = signed.card
    desk.say(
        words("commission.signed_by", kind=signed.kind, camera=statement.camera, name=card.name, office=card.office)
    )
    desk.say(words("commission.key", fingerprint=card.fingerprint))
    if isinstance(statement, proposals.Proposal):
        _show_proposal(statement)
    else:
        _show_record(statement)


def _show_proposal(drawn: proposals.Proposal) -> None:
    rows = [(zone.name, words("commission.corners", count=len(zone.polygon))) for zone in drawn.zones]
    rows += [(line.name, words("commission.line")) for line in drawn.lines]
    rows += [(area.name, words("commission.area")) for area in drawn.street.areas]
    for point in drawn.street.points:
        x, y = point.metres
        rows.append((f"{point.at[0]:.3f}, {point.at[1]:.3f}", words("commission.point", x=x, y=y)))
    columns = (words("commission.columns.name"), words("commission.columns.what"))
    desk.show_table(words("commission.drawn_at", at=f"{drawn.drawn_at:%Y-%m-%d %H:%M}"), columns, rows)
    grid = drawn.grid()
    hides = words("commission.hides", hidden=int(grid.sum()), blocks=grid.size)
    desk.say(drawn.no_zones_statement or hides)


def _show_record(found: records.CommissioningRecord) -> None:
    passed = {True: words("commission.yes"), False: words("commission.no"), None: words("commission.unknown")}
    rows = [(check.what, passed[check.passed], check.found) for check in found.checks]
    columns = [words(f"commission.columns.{name}") for name in ("check", "passed", "found")]
    desk.show_table(words("commission.done_at", at=f"{found.done_at:%Y-%m-%d %H:%M}"), columns, rows)
    if found.remark is not None:
        desk.say(words("commission.remark", remark=found.remark))
