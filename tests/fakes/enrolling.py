"""A city that enrols cameras on this desk, and a camera's folders."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.core.enrolment.claim import Address, Claim
from agent.core.enrolment.exchange import Order
from agent.core.policy.documents import Location, Site
from provisioning.backend.ca import FleetAuthority
from provisioning.backend.installation import BackendFolder, Listening, install
from provisioning.enrolment.desk import EnrolmentDesk, SitesOf, pin_of
from provisioning.enrolment.service import EnrolmentServer
from tests.fakes.claims import Office, claim, order_key

HOST = "localhost"
ADDRESS = "127.0.0.1"
SITE = Site(
    id="market-street",
    public_name="Market Street",
    location=Location(latitude=38.627, longitude=-90.1994, public_precision_m=50),
    site_kind="intersection",
    basis="sustained-criminal-activity",
    statement="Nineteen robberies in 24 months.",
    purchase_reference=None,
)


def utc_now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@dataclass
class EnrollingCity:
    """A backend's folder, an office, and the service."""

    place: Path
    office: Office = field(default_factory=Office)
    sites_of: SitesOf = lambda _: frozenset()
    now: Callable[[], datetime] = utc_now

    def __post_init__(self) -> None:
        self.folder = BackendFolder(path=self.place / "backend")
        listening = Listening(hosts=(HOST, ADDRESS), address=ADDRESS, port=8883)
        self.authority: FleetAuthority = install(
            self.folder, self.place / "stick", listening, city="Demo", passphrase="four words nobody joins",
            now=self.now(),
        )  # fmt: skip
        self.desk = EnrolmentDesk(self.folder, [self.office.public], self.sites_of)
        self.port = 8884

    @contextmanager
    def serving(self) -> Iterator[None]:
        server = EnrolmentServer(
            self.desk, self.now, address=ADDRESS, port=0,
            certificate=self.folder.broker / "server.pem", key=self.folder.broker / "server.key",
        )  # fmt: skip
        with server:
            self.port = server.port
            yield

    def claim(self, number: int = 1, **other: Any) -> Claim:
        usual: dict[str, Any] = {
            "authority_pin": pin_of(self.desk.root),
            "broker": Address(host=HOST, port=8883),
            "enrol": Address(host=HOST, port=self.port),
        }
        return claim(number, now=self.now(), **{**usual, **other})

    def order(self, number: int = 1, *, key: bool = True, **other: Any) -> Order:
        sealed = self.office.sign(self.claim(number, **other))
        return Order(claim=sealed, key=order_key(number) if key else None)

    def later(self, duration: timedelta) -> datetime:
        return self.now() + duration


def camera_config(folder: Path, office: Office, **camera: Any) -> Config:
    """Return the configuration of an unenrolled camera whose card is `folder`."""
    (folder / "networks").mkdir(parents=True, exist_ok=True)
    (folder / "offices").write_text(office.public.public_bytes_raw().hex() + "\n", encoding="ascii")
    sections: dict[str, Any] = {
        "camera": {"id": "unenrolled", "source": "streetscene", **camera},
        "storage": {"footage": folder / "footage"},
        "state": {"folder": folder / "state", "runtime": folder / "run"},
        "policy": {"root": folder / "root.json", "inbox": folder / "inbox", "outbox": folder / "outbox"},
        "link": {
            "authority": folder / "etc" / "authority.pem",
            "credential": folder / "link" / "credential.pem",
            "folder": folder / "link",
        },
        "enrolment": {
            "offices": folder / "offices",
            "folder": folder / "link" / "enrolment",
            "card": folder / "boot" / "order.json",
            "networks": folder / "networks",
        },
    }
    return Config(**sections)


CONFIG = """\
[camera]
source = "{source}"
width_px = 640
height_px = 480
[storage]
footage = "{folder}/footage"
capacity_mib = 64
keep_free_mib = 0
[state]
folder = "{folder}/state"
runtime = "{folder}/run"
[policy]
root = "{folder}/root.json"
inbox = "{folder}/inbox"
outbox = "{folder}/outbox"
[link]
authority = "{folder}/etc/authority.pem"
credential = "{folder}/link/credential.pem"
folder = "{folder}/link"
[enrolment]
offices = "{folder}/offices"
folder = "{folder}/link/enrolment"
card = "{folder}/boot/order.json"
"""


def write_config(folder: Path, office: Office, *, source: str, root: bytes) -> Path:
    """Write what is in an unenrolled camera's image; return its configuration file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "offices").write_text(office.public.public_bytes_raw().hex() + "\n", encoding="ascii")
    (folder / "root.json").write_bytes(root)
    path = folder / "lamppost.toml"
    path.write_text(CONFIG.format(folder=folder, source=source), encoding="utf-8")
    return path
