"""`lamppost backend`: make, run and look after the reference backend and the fleet's authority."""

import getpass
import logging
import signal
import socket
import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.authority.city import CityFolder
from provisioning.backend.ca import MAX_REQUEST_BYTES, FleetAuthority, renew_issuer
from provisioning.backend.home_assistant import READER_NAME
from provisioning.backend.installation import (
    EVERY_ADDRESS,
    MQTTS_PORT,
    BackendFolder,
    Listening,
    announce_to_home_assistant,
    configure_broker,
    configure_cluster,
    install,
    issue_own,
    reload_broker,
    revoke_camera,
    write_acl,
)
from provisioning.backend.metrics import LOOPBACK, FleetCollector, serve_metrics
from provisioning.backend.service import Backend
from provisioning.backend.session import BrokerAccess, BrokerSession
from provisioning.backend.store import Store
from provisioning.clock import utc_now

METRICS_PORT = 9464  # what the OpenTelemetry exporter for Prometheus took; nothing else of ours listens there

app = typer.Typer(no_args_is_help=True)


class BrokerKind(StrEnum):
    """Which broker to write the configuration of."""

    MOSQUITTO = "mosquitto"
    EJABBERD = "ejabberd"


BackendOption = Annotated[Path, typer.Option("--backend", help="The backend's folder.")]
RootOption = Annotated[Path, typer.Option("--root", help="Folder of the root's key: a stick that is put away.")]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", envvar="LAMPPOST_STORE", help="The store's address; fleet.db in the backend's folder."),
]


@app.command()
def init(  # noqa: PLR0913 - each is an option of the command
    out: Annotated[Path, typer.Option(help="The backend's folder to make.")],
    root: RootOption,
    host: Annotated[list[str], typer.Option(help="Name or address that cameras reach the broker under; repeat it.")],
    *,
    fleet: Annotated[str, typer.Option(help="What certificates call the fleet.")] = "Lamppost",
    address: Annotated[str, typer.Option(help="What the broker binds.")] = EVERY_ADDRESS,
    port: Annotated[int, typer.Option(help="Where it listens.")] = MQTTS_PORT,
    run_as: Annotated[str | None, typer.Option(help="Which user the broker becomes if root starts it.")] = None,
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Make a backend: the fleet's authority, its own credential, and the broker's configuration."""
    passphrase = desk.passphrase_from(passphrase_file, of="the fleet's root", twice=True)()
    listening = Listening(hosts=tuple(host), address=address, port=port, run_as=run_as)
    folder = BackendFolder(path=out)
    authority = install(folder, root, listening, city=fleet, passphrase=passphrase, now=utc_now())
    desk.say(f"made a fleet authority; put {root} away, it is needed again in five years")
    desk.say(f"cameras trust {authority.root_file}")
    desk.say(f"start the broker: mosquitto -c {folder.broker / 'mosquitto.conf'}")
    desk.say(f"then: lamppost backend run --backend {out} --city CITY --broker mqtts://{host[0]}:{port}")


@app.command()
def run(
    backend: BackendOption,
    broker: Annotated[str, typer.Option(help="mqtts://HOST or mqtts://HOST:PORT; the broker's certificate has HOST.")],
    *,
    city: Annotated[Path | None, typer.Option(help="The city's folder, with its online keys.")] = None,
    collect_only: Annotated[bool, typer.Option(help="Publish nothing; then no city is needed.")] = False,
    store: StoreOption = None,
    metrics: Annotated[str, typer.Option(help="Port for Prometheus on loopback, HOST:PORT, or off.")] = str(
        METRICS_PORT
    ),
    cluster: Annotated[
        bool, typer.Option(help="The broker's nodes do not share retained messages: publish again at each birth.")
    ] = False,
) -> None:
    """Collect, acknowledge, publish and renew, until stopped."""
    if (city is None) is not collect_only:
        raise UsageError("name the city to publish with --city, or say --collect-only")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    folder = BackendFolder(path=backend)
    kept = Store(store or folder.store_url)
    with BrokerSession(_access(folder, broker)) as session:
        place = None if city is None else CityFolder(path=city)
        working = Backend(folder, place, kept, session, now=utc_now, forgetful=cluster)
        if metrics != "off":
            host, _, port = metrics.rpartition(":")
            collector = FleetCollector(kept, working.counts, lambda: session.connected, utc_now)
            served = serve_metrics(collector, _port(port), address=host or LOOPBACK)
            desk.say(f"metrics: http://{host or LOOPBACK}:{served}/metrics")
        working.run(stop)
    kept.close()


@app.command()
def enrol(
    camera: Annotated[str, typer.Argument(help="The camera's id.")],
    backend: BackendOption,
    request: Annotated[Path, typer.Option(help="PEM certificate request that the camera made.")],
    out: Annotated[Path, typer.Option(help="Where to write the certificate and its issuer; must not exist yet.")],
) -> None:
    """Certify a camera's key for 30 days; it renews by itself from then on."""
    if out.exists():
        raise UsageError(f"{out} exists already", hint="choose another name, or move the old one away first")
    folder = BackendFolder(path=backend)
    authority = FleetAuthority(folder.authority)
    pem = files.read_capped(request, max_bytes=MAX_REQUEST_BYTES)
    issued = authority.issue_device(camera, pem, now=utc_now())
    files.write_new(out, issued.chain)
    write_acl(folder, authority)  # a camera that had been revoked may speak again
    reload_broker(folder)
    desk.say(f"{camera} may connect until {issued.expires_at:%Y-%m-%d %H:%M} UTC")


@app.command()
def revoke(
    camera: Annotated[str, typer.Argument(help="The camera's id.")],
    backend: BackendOption,
    *,
    yes: desk.YesOption = False,
) -> None:
    """End a camera's access to the broker at once. To stop its recording: lamppost revoke."""
    folder = BackendFolder(path=backend)
    authority = FleetAuthority(folder.authority)
    if camera in authority.barred():
        desk.say(f"{camera} was revoked already")
        return
    desk.confirm(f"Cut {camera} off? Somebody must enrol it anew before it is heard again.", yes=yes)
    told = revoke_camera(folder, authority, camera, now=utc_now())
    desk.say(
        f"{camera} is revoked; {'the broker was told' if told else 'no broker runs here: reload it where it runs'}"
    )


@app.command()
def issuer(
    backend: BackendOption,
    root: RootOption,
    host: Annotated[list[str], typer.Option(help="As for init.")],
    *,
    compromised: Annotated[
        bool, typer.Option(help="Somebody may have the former key: every camera must be enrolled anew.")
    ] = False,
    passphrase_file: desk.PassphraseOption = None,
) -> None:
    """Replace the issuing key by a new one from the root."""
    folder = BackendFolder(path=backend)
    passphrase = desk.passphrase_from(passphrase_file, of="the fleet's root")()
    authority = renew_issuer(folder.authority, root, passphrase=passphrase, now=utc_now(), compromised=compromised)
    issue_own(folder, authority, host, now=utc_now())
    write_acl(folder, authority)
    reload_broker(folder)
    desk.say("made a new issuing key; restart the broker and the backend")


@app.command()
def broker(
    backend: BackendOption,
    host: Annotated[list[str], typer.Option(help="As for init.")],
    *,
    address: Annotated[str, typer.Option(help="What the broker binds.")] = EVERY_ADDRESS,
    port: Annotated[int, typer.Option(help="Where it listens.")] = MQTTS_PORT,
    run_as: Annotated[str | None, typer.Option(help="Which user the broker becomes if root starts it.")] = None,
    kind: Annotated[BrokerKind, typer.Option(help="mosquitto, or ejabberd for a cluster.")] = BrokerKind.MOSQUITTO,
    on_nodes: Annotated[Path, typer.Option(help="ejabberd: where the folder written here is on each node.")] = Path(
        "/etc/ejabberd"
    ),
) -> None:
    """Write the broker's configuration and access list anew."""
    folder = BackendFolder(path=backend)
    authority = FleetAuthority(folder.authority)
    listening = Listening(hosts=tuple(host), address=address, port=port, run_as=run_as)
    if kind is BrokerKind.MOSQUITTO:
        written = configure_broker(folder, authority, listening)
    else:
        written = configure_cluster(folder, authority, listening, on_nodes=on_nodes)
    sys.stdout.write(f"{written}\n")


@app.command("home-assistant")
def home_assistant(backend: BackendOption) -> None:
    """Announce cameras to Home Assistant: make its credential, for hearing births and statuses."""
    folder = BackendFolder(path=backend)
    authority = FleetAuthority(folder.authority)
    place = announce_to_home_assistant(folder, authority, now=utc_now())
    desk.say(f"in its MQTT integration: client id and user {READER_NAME}, no password, MQTT 5")
    desk.say(f"broker certificate {authority.root_file}, client certificate and key from {place}")


def operator() -> str:
    """Return who is at this keyboard, for the record."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _access(folder: BackendFolder, broker: str) -> BrokerAccess:
    try:
        parts = urlsplit(broker)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.scheme != "mqtts" or host is None or parts.path not in {"", "/"}:
        raise UsageError(f"not a broker's address: {broker}", hint="mqtts://broker.example:8883; there is no other way")
    authority = FleetAuthority(folder.authority)
    return BrokerAccess(
        host=host,
        port=port or MQTTS_PORT,
        root=authority.root_file,
        certificate=folder.certificate,
        key=folder.key,
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**16:
        raise UsageError(f"not a port: {text!r}")
    return int(text)
