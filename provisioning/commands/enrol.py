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
from provisioning.enrolment.desk_folder import read_work_order
from provisioning.enrolment.granted import granted_sites
from provisioning.enrolment.service import ENROL_PORT, EnrolmentServer

app = typer.Typer(no_args_is_help=True)

OfficeOption = Annotated[
    list[Path], typer.Option("--office", help="Key card of an office whose work orders count; repeat it.")
]
CityOption = Annotated[
    Path | None, typer.Option("--city", help="The city's folder: a camera that a grant names goes to its site only.")
]


@app.command()
def serve(
    backend: BackendOption,
    office: OfficeOption,
    *,
    city: CityOption = None,
    address: Annotated[str, typer.Option(help="What to listen on.")] = "0.0.0.0",  # noqa: S104 - cameras are outside
    port: Annotated[int, typer.Option(help="Likewise.")] = ENROL_PORT,
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
        desk.say(f"cameras enrol at https://{address}:{server.port}")
        stop.wait()


@app.command()
def pending(
    backend: BackendOption,
    *,
    every: Annotated[bool, typer.Option("--all", help="Also those that are settled: enrolled, or spoilt.")] = False,
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
    title = f"{len(shown)} {'claims' if every else 'waiting'}"
    desk.show_table(title, ("camera", "site", "state", "asked with the code", "confirmed by"), rows)


@app.command()
def confirm(
    code: Annotated[str, typer.Argument(help="The six digits that the camera shows.")],
    *,
    order: Annotated[
        Path | None, typer.Option(help="The camera's work order; asks the service over the network.")
    ] = None,
    camera: Annotated[str | None, typer.Option(help="At the backend: the camera's id.")] = None,
    backend: Annotated[Path | None, typer.Option(help="At the backend: its folder.")] = None,
    office: Annotated[list[Path] | None, typer.Option(help="At the backend: as for serve.")] = None,
) -> None:
    """Say that the camera which shows this code is the right one."""
    digits = code.replace(" ", "")
    if not (digits.isascii() and digits.isdecimal() and len(digits) == 6):  # noqa: PLR2004 - a code has six digits
        raise UsageError(f"{code!r} is no code, expected six digits")
    if order is not None:
        work = read_work_order(order)
        confirmed = confirm_online(
            work.claimed(), sign_confirmation(work.for_camera().key or b"", work.claim, digits), work.root
        )
    elif camera is not None and backend is not None and office:
        confirmed = _desk(backend, office, None).confirm_as_operator(camera, digits, by=operator(), now=utc_now())
    else:
        raise UsageError("who asks?", hint="--order FILE, or at the backend --camera ID --backend FOLDER --office CARD")
    _tell(confirmed)


@app.command()
def offline(
    request: Annotated[Path, typer.Argument(help="What the camera wrote: lamppost provision --carry.")],
    out: Annotated[Path, typer.Option(help="Where to write the answer for the camera; must not exist yet.")],
    backend: BackendOption,
    office: OfficeOption,
    *,
    city: CityOption = None,
) -> None:
    """Answer a request that was carried here by file, as the service would."""
    if out.exists():
        raise UsageError(f"{out} exists already", hint="choose another name, or move the old one away first")
    asked = Request.from_bytes(files.read_capped(request, max_bytes=Request.MAX_BYTES))
    city_desk = _desk(backend, office, city)
    answer = city_desk.enrol(asked, now=utc_now())
    if answer.outcome is not Outcome.ISSUED:
        raise EnrolmentError(
            answer.reason or answer.outcome.value, hint="a request with the work order's proof is needed"
        )
    # The camera may never have spoken to the service: it knows the root by the claim's pin.
    files.write_new(out, answer.model_copy(update={"root": city_desk.root.decode("ascii")}).to_bytes())
    desk.say(f"carry {out} back to the camera")


@app.command()
def offices(
    card: Annotated[list[Path], typer.Argument(help="Key cards of the offices whose work orders count.")],
    out: Annotated[Path, typer.Option(help="The file for the cameras' image (enrolment.offices).")],
) -> None:
    """Write the file that tells a camera whose claims count; it belongs in the image."""
    cards = [KeyCard.read(path) for path in card]
    lines = [f"{one.key.keyval['public']}  # {one.name}, {one.office}\n" for one in cards]
    files.write_whole(out, "".join(lines).encode())
    desk.say(f"{out}: {', '.join(one.office for one in cards)}")


def _desk(backend: Path, office: list[Path], city: Path | None) -> EnrolmentDesk:
    keys = [
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(KeyCard.read(card).key.keyval["public"])) for card in office
    ]
    folder = BackendFolder(path=backend)
    if city is None:
        return EnrolmentDesk(folder, keys)
    place = CityFolder(path=city)
    return EnrolmentDesk(folder, keys, lambda camera_id: granted_sites(place, camera_id))


def _tell(confirmed: Confirmed) -> None:
    desk.say(f"{confirmed.camera_id} is enrolled; its lamp stays lit")
    if confirmed.others:
        desk.say(f"{confirmed.others} others asked with a copy of its code and got nothing: who photographed it?")
