"""`lamppost enrol`: the city's side of enrolment: serve it, confirm what a camera shows, or carry it by file."""

import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.core.enrolment.exchange import Outcome, Request, sign_confirmation
from agent.errors import EnrolmentError, UsageError
from provisioning.authority import desk, files
from provisioning.authority.city import CityFolder
from provisioning.authority.keys import KeyCard
from provisioning.backend.installation import BackendFolder
from provisioning.clock import utc_now
from provisioning.commands.backend import BackendOption, operator
from provisioning.enrolment.client import confirm_online
from provisioning.enrolment.desk import Confirmed, EnrolmentDesk
from provisioning.enrolment.desk_folder import forget_secrets, read_work_order
from provisioning.enrolment.granted import granted_sites
from provisioning.enrolment.service import ENROL_PORT, EnrolmentServer
from provisioning.screen import show_end
from provisioning.words import words

app = typer.Typer(no_args_is_help=True)

OfficeOption = Annotated[list[Path], typer.Option("--office", help=words("enrol.options.office"))]
CityOption = Annotated[Path | None, typer.Option("--city", help=words("enrol.options.city"))]


@app.command(help=words("enrol.serve"))
def serve(
    backend: BackendOption,
    office: OfficeOption,
    *,
    city: CityOption = None,
    address: Annotated[str, typer.Option(help=words("enrol.options.address"))] = "0.0.0.0",  # noqa: S104 - cameras are outside
    port: Annotated[int, typer.Option(help=words("enrol.options.port"))] = ENROL_PORT,
) -> None:
    """Answer cameras that enrol, until stopped."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    folder = BackendFolder(path=backend)
    server = EnrolmentServer(
        _desk(backend, office, city),
        utc_now,
        address=address,
        port=port,
        certificate=folder.broker / "server.pem",
        key=folder.broker / "server.key",
    )
    with server:
        desk.say(words("enrol.serving", address=address, port=server.port))
        stop.wait()


@app.command(help=words("enrol.pending"))
def pending(
    backend: BackendOption,
    *,
    every: Annotated[bool, typer.Option("--all", help=words("enrol.options.every"))] = False,
    as_json: desk.JsonOption = False,
) -> None:
    """List cameras that wait for somebody to read their code. Only a camera shows its code; this does not."""
    city_desk = EnrolmentDesk(BackendFolder(path=backend), [])
    shown = city_desk.records() if every else city_desk.pending()
    if as_json:
        desk.write_json(
            [
                {
                    "camera_id": one.camera_id,
                    "site": one.site,
                    "state": one.state.value,
                    "asked": len(one.asks),
                    "confirmed_by": one.confirmed_by,
                    "issued_at": None if one.issued_at is None else one.issued_at.isoformat(),
                }
                for one in shown
            ]
        )
        return
    rows = ((one.camera_id, one.site, one.state.value, str(len(one.asks)), one.confirmed_by or "—") for one in shown)
    columns = [words(f"enrol.columns.{name}") for name in ("camera", "site", "state", "asked", "confirmed_by")]
    desk.show_table(words("enrol.claims" if every else "enrol.waiting", count=len(shown)), columns, rows)


@app.command(help=words("enrol.confirm"))
def confirm(
    code: Annotated[str, typer.Argument(help=words("enrol.options.code"))],
    *,
    order: Annotated[Path | None, typer.Option(help=words("enrol.options.order"))] = None,
    camera: Annotated[str | None, typer.Option(help=words("enrol.options.camera"))] = None,
    backend: Annotated[Path | None, typer.Option(help=words("enrol.options.backend"))] = None,
    office: Annotated[list[Path] | None, typer.Option(help=words("enrol.options.office_there"))] = None,
    as_json: desk.JsonOption = False,
) -> None:
    """Say that the camera which shows this code is the right one."""
    digits = code.replace(" ", "")
    if not (digits.isascii() and digits.isdecimal() and len(digits) == 6):  # noqa: PLR2004 - a code has six digits
        raise UsageError(words("enrol.no_code", code=repr(code)))
    if order is not None:
        work = read_work_order(order)
        confirmed = confirm_online(
            work.claimed(), sign_confirmation(work.for_camera().key or b"", work.claim, digits), work.root
        )
        forget_secrets(order, now=utc_now())  # the claim is used up; the certificate is the camera's
    elif camera is not None and backend is not None and office:
        confirmed = _desk(backend, office, None).confirm_as_operator(camera, digits, by=operator(), now=utc_now())
    else:
        raise UsageError(words("enrol.who"), hint=words("enrol.who_hint"))
    _tell(confirmed, order, as_json=as_json)


@app.command(help=words("enrol.offline"))
def offline(
    request: Annotated[Path, typer.Argument(help=words("enrol.options.request"))],
    out: Annotated[Path, typer.Option(help=words("enrol.options.out"))],
    backend: BackendOption,
    office: OfficeOption,
    *,
    city: CityOption = None,
) -> None:
    """Answer a request that was carried here by file, as the service would."""
    if out.exists():
        raise UsageError(words("disk.exists", path=out), hint=words("disk.exists_hint"))
    asked = Request.from_bytes(files.read_capped(request, max_bytes=Request.MAX_BYTES))
    city_desk = _desk(backend, office, city)
    answer = city_desk.enrol(asked, now=utc_now())
    if answer.outcome is not Outcome.ISSUED:
        raise EnrolmentError(answer.reason or answer.outcome.value, hint=words("enrol.no_proof_hint"))
    # The camera may never have spoken to the service: it knows the root by the claim's pin.
    files.write_new(out, answer.model_copy(update={"root": city_desk.root.decode("ascii")}).to_bytes())
    desk.say(words("enrol.carry_back", path=out))


@app.command(help=words("enrol.offices"))
def offices(
    card: Annotated[list[Path], typer.Argument(help=words("enrol.options.cards"))],
    out: Annotated[Path, typer.Option(help=words("enrol.options.offices_out"))],
) -> None:
    """Write the file that tells a camera whose claims count; it belongs in the image."""
    cards = [KeyCard.read(path) for path in card]
    lines = [f"{one.key.keyval['public']}  # {one.name}, {one.office}\n" for one in cards]
    files.write_whole(out, "".join(lines).encode())
    desk.say(words("enrol.offices_written", path=out, offices=", ".join(one.office for one in cards)))


def _desk(backend: Path, office: list[Path], city: Path | None) -> EnrolmentDesk:
    keys = [
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(KeyCard.read(card).key.keyval["public"])) for card in office
    ]
    folder = BackendFolder(path=backend)
    if city is None:
        return EnrolmentDesk(folder, keys)
    place = CityFolder(path=city)
    return EnrolmentDesk(folder, keys, lambda camera_id: granted_sites(place, camera_id))


def _tell(confirmed: Confirmed, order: Path | None, *, as_json: bool) -> None:
    if as_json:
        desk.write_json({"camera_id": confirmed.camera_id, "others": confirmed.others})
        return
    done = []
    if order is not None:
        done.append((words("enrol.forgotten"), words("enrol.forgotten_words", path=order)))
    if confirmed.others:
        done.append((words("enrol.others"), words("enrol.others_words", count=confirmed.others)))
    following = [words("next.commission", camera=confirmed.camera_id, where="--host ADDRESS")]
    show_end(words("enrol.done", camera=confirmed.camera_id), done, following=following)
