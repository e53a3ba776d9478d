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
from provisioning.commissioning import proposal as proposals
from provisioning.commissioning import record as records
from provisioning.commissioning.bench import Bench
from provisioning.commissioning.camera_side import CameraSide, behind_ssh, here
from provisioning.commissioning.certificate import make_certificate
from provisioning.commissioning.signed import MAX_BYTES, SignedStatement
from provisioning.ssh import Remembered, unreachable

FIRST_UPDATE_WITHIN_S = 60.0  # ssh, and a small board that starts a program


class _OpenByDefault(TyperGroup):
    """`lamppost commission cam-07` is `lamppost commission open cam-07`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - click's types are typer's private copy
        """Return the command that the first word names, or `open` if it names none."""
        return super().resolve_command(ctx, args if args and args[0] in self.commands else ["open", *args])


app = typer.Typer(cls=_OpenByDefault, no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="A proposal or a commissioning record.")]
ProposalArgument = Annotated[Path, typer.Argument(help="A proposal that the page saved.")]


@app.command("open")
def open_page(  # noqa: PLR0913 - one parameter for each word of the command
    camera: Annotated[str, typer.Argument(help="The camera's id.")],
    key: Annotated[Path, typer.Option("--key", help="Your key folder: it signs what you propose and find.")],
    *,
    config: Annotated[
        Path | None, typer.Option(help="The camera's lamppost.toml: here, or on the host.", show_default=False)
    ] = None,
    host: Annotated[str | None, typer.Option(help="The camera, as ssh knows it: its address over the cable.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for proposals and the record.")] = Path(),
    listen: Annotated[str, typer.Option(help="Serve the page there; TLS where it is not this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="On that port; 0 takes a free one.", min=0, max=65_535)] = 0,
    minutes: Annotated[int, typer.Option(help="For how long.", min=1, max=LONGEST // timedelta(minutes=1))] = 30,
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Open a local page that shows what the camera sees, masked, for half an hour at most.

    The window is in the camera's log, with your name. Your key stays on this machine.
    """
    if host is None and config is None:
        raise UsageError("which camera?", hint="--host ADDRESS over the cable, or --config FILE on this machine")
    remembered = Remembered.of_camera(camera)
    child = here(config) if host is None and config is not None else behind_ssh(host or "", config, remembered)
    with _bound(listen, port) as listening:  # before a window is opened that nobody could look through
        signer = open_key(key, desk.passphrase_from(passphrase_file))
        files.make_folder(out)
        bench = Bench(out, signer, utc_now(), utc_now)
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
                    side.over() or "the camera shows nothing", hint="lamppost-agent status says more"
                )
            if first.update.camera_id != camera:
                raise UsageError(
                    f"this is {first.update.camera_id}, not {camera}", hint="look at the label on the pole"
                )
            _serve(side, bench, listening, until=first.update.until)
    for path in bench.written:
        sys.stdout.write(f"{path}\n")
    if not any(path.name.endswith(".record.json") for path in bench.written):
        desk.say("no record was signed: the camera counts as not commissioned")


def _serve(side: CameraSide, bench: Bench, listening: socket.socket, *, until: datetime) -> None:
    from provisioning.web.commission.gate import Gate  # noqa: PLC0415 - the other commands need no web server
    from provisioning.web.commission.server import Listening, PageServer, application  # noqa: PLC0415

    address, bound_port = listening.getsockname()[:2]
    local = ipaddress.ip_address(address).is_loopback
    shown = f"[{address}]" if ":" in address else address
    origin = f"{'http' if local else 'https'}://{shown}:{bound_port}"
    with TemporaryDirectory(prefix="lamppost-") as scratch:  # 0700, for the certificate's key
        certificate = None
        if not local:
            certificate = Path(scratch) / "page.pem"
            fingerprint = make_certificate(certificate, address, now=utc_now(), until=until)
            desk.say(f"the browser will warn; its certificate must have SHA-256 {fingerprint}")
        gate = Gate(origin=origin, token=secrets.token_urlsafe(24), session=secrets.token_urlsafe(24))
        page = application(side, bench, gate, lambda: server.stop())  # noqa: PLW0108 - made below; it needs the page
        server = PageServer(page, Listening(socket=listening, origin=origin, certificate=certificate))
        desk.say(f"open this, once, until {until:%H:%M:%S} UTC:")
        desk.say(f"  {origin}/?token={gate.token}")
        server.run(lambda: bool(side.over()))
    if side.over():
        desk.say(f"the window is over: {side.over()}")


def _bound(listen: str, port: int) -> socket.socket:
    try:
        address = ipaddress.ip_address(listen)
    except ValueError as error:
        raise UsageError(
            f"{listen!r} is no IP address", hint="127.0.0.1, or this machine's own over the cable"
        ) from error
    if address.is_unspecified:
        raise UsageError("the page is not served to every network", hint="name the one address it is for")
    bound = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)  # noqa: PLR2004 - IPv6
    try:
        bound.bind((str(address), port))
        bound.listen(16)
    except OSError as error:
        bound.close()
        raise UsageError(f"cannot serve on {listen} port {port}: {error.strerror}") from error
    return bound


@app.command()
def show(file: FileArgument, *, as_json: desk.JsonOption = False) -> None:
    """Say what a proposal or a record says, and who signed it. Its signature must hold."""
    _show(*_read(file), as_json=as_json)


@app.command()
def verify(
    file: FileArgument,
    card: Annotated[Path, typer.Option("--card", help="The technician's key card, as the city knows it.")],
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
            f"{statement.camera} is not commissioned: {failed}", hint="lamppost commission says what is missing"
        )


@app.command()
def zones(proposal: ProposalArgument) -> None:
    """Write the areas of a proposal as TOML."""
    drawn, _ = proposals.parse_proposal(files.read_capped(proposal, max_bytes=MAX_BYTES))
    sys.stdout.write(drawn.zones_toml())


@app.command()
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
    desk.say(f"{signed.kind} of {statement.camera}, signed by {signed.card.name} ({signed.card.office})")
    desk.say(f"key {signed.card.fingerprint}")
    if isinstance(statement, proposals.Proposal):
        rows = [(zone.name, f"{len(zone.polygon)} corners") for zone in statement.zones]
        rows += [(line.name, "counting line") for line in statement.lines]
        desk.show_table(f"drawn at {statement.drawn_at:%Y-%m-%d %H:%M} UTC", ("name", "what"), rows)
        hidden = statement.grid()
        desk.say(statement.no_zones_statement or f"hides {int(hidden.sum())} of {hidden.size} blocks")
        return
    words = {True: "yes", False: "NO", None: "not looked at"}
    checks = [(check.what, words[check.passed], check.found) for check in statement.checks]
    desk.show_table(f"done at {statement.done_at:%Y-%m-%d %H:%M} UTC", ("check", "passed", "found"), checks)
    if statement.remark is not None:
        desk.say(f"remark: {statement.remark}")
