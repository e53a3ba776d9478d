"""The provisioning desk's folder: sites, work orders, and what every claim says of the fleet.

    DESK/fleet.json               the fleet's name, root, broker and enrolment service
    DESK/sites/SITE.json          why there is a camera there (RB-2, RB-3, RB-5)
    DESK/orders/CAMERA.order      work order; holds a key until it is carried out (0600)
    DESK/orders/CAMERA.html, .png the page to print or to show
    DESK/policy.bundle            what the city published, if somebody put it there; a name it does not grant is told

Everything works offline once the fleet's facts are in it.
"""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from cryptography import x509
from pydantic import ValidationError

from agent.core.enrolment.claim import Address
from agent.core.enrolment.exchange import Pem
from agent.core.messages.wire import KIB, Message, Text
from agent.core.policy.documents import Site
from agent.core.topics import CAMERA_ID
from agent.errors import MessageFormatError, StorageError, UsageError
from provisioning.authority import files
from provisioning.backend.ca import common_name
from provisioning.enrolment.work_order import MAX_WORK_ORDER_BYTES, WorkOrder
from provisioning.words import words

MAX_SITE_BYTES = 64 * KIB
ORDERS = "orders"
_ROOT_SUFFIX = " camera fleet root"


class Fleet(Message):
    """What every claim of this desk says.

    Attributes:
        root: The fleet's root certificate, PEM.
        broker: Where cameras report, `host:port`.
        enrol: Where they ask for a certificate.
    """

    MAX_BYTES: ClassVar[int] = 32 * KIB

    root: Pem
    broker: Text
    enrol: Text

    @property
    def city(self) -> str:
        """The fleet's name, as its certificates call it."""
        return common_name(x509.load_pem_x509_certificate(self.root.encode())).removesuffix(_ROOT_SUFFIX)

    def addresses(self) -> tuple[Address, Address]:
        """Return broker and enrolment service."""
        return Address.parse(self.broker), Address.parse(self.enrol)


class DeskFolder:
    """One desk's.

    Args:
        path: Made when something is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def fleet(self) -> Fleet:
        """Return the fleet's facts.

        Raises:
            UsageError: Nobody has told them yet.
        """
        file = self.path / "fleet.json"
        if not file.exists():
            raise UsageError(words("site.no_fleet", folder=self.path), hint=words("site.no_fleet_hint"))
        return Fleet.from_bytes(files.read_capped(file, max_bytes=Fleet.MAX_BYTES))

    def keep_fleet(self, fleet: Fleet) -> bool:
        """Keep the fleet's facts; return whether they are new."""
        return self._keep(self.path / "fleet.json", fleet.to_bytes(), mode=files.PUBLIC)

    def sites(self) -> tuple[Site, ...]:
        """Return every site, by id."""
        return tuple(self.site(path.stem) for path in sorted((self.path / "sites").glob("*.json")))

    def site(self, site_id: str) -> Site:
        """Return one site.

        Raises:
            UsageError: There is none of that name, or its record was edited into something else.
        """
        path = self.path / "sites" / f"{site_id}.json"
        if not path.exists():
            raise UsageError(words("site.unknown", site=site_id), hint=words("site.unknown_hint"))
        try:
            return Site.model_validate_json(files.read_capped(path, max_bytes=MAX_SITE_BYTES))
        except ValidationError as error:
            raise UsageError(words("site.edited", path=path, why=error.errors()[0]["msg"])) from error

    def keep_site(self, site: Site) -> bool:
        """Keep a site; return whether it is new or changed."""
        written = site.model_dump_json(indent=1).encode() + b"\n"
        return self._keep(self.path / "sites" / f"{site.id}.json", written, mode=files.PUBLIC)

    def order_path(self, camera_id: str) -> Path:
        """Return where a camera's work order lies.

        Raises:
            UsageError: The camera's name is none.
        """
        if not CAMERA_ID.fullmatch(camera_id):
            raise UsageError(words("work-order.no_camera_id", camera=repr(camera_id)))
        return self.path / ORDERS / f"{camera_id}.order"

    def order(self, camera_id: str) -> WorkOrder:
        """Return a camera's work order.

        Raises:
            UsageError: There is none at this desk.
        """
        path = self.order_path(camera_id)
        if not path.exists():
            raise UsageError(
                words("work-order.none", camera=camera_id, folder=self.path), hint=words("work-order.none_hint")
            )
        return read_work_order(path)

    def orders(self) -> Iterator[tuple[Path, WorkOrder]]:
        """Yield every work order, by camera; what is none is passed over."""
        for path in sorted((self.path / ORDERS).glob("*.order")):
            with contextlib.suppress(MessageFormatError):
                yield path, read_work_order(path)

    def _keep(self, path: Path, content: bytes, *, mode: int) -> bool:
        if path.exists() and path.read_bytes() == content:
            return False
        files.make_folder(path.parent, mode=files.PRIVATE_FOLDER)
        files.write_whole(path, content, mode=mode)
        return True


def desk_of(order: Path) -> Path:
    """Return the desk that a work order's file lies at, or what stands for one if it was carried elsewhere."""
    return order.parent.parent if order.parent.name == ORDERS else Path(words("options.some_desk"))


def read_work_order(path: Path) -> WorkOrder:
    """Return the work order in a file.

    Raises:
        MessageFormatError: It is none.
        StorageError: It is not there.
    """
    try:
        return WorkOrder.from_bytes(files.read_capped(path, max_bytes=MAX_WORK_ORDER_BYTES))
    except MessageFormatError as error:
        said = words("work-order.no_order", path=path, why=error)
        raise MessageFormatError(said, hint=words("work-order.no_order_hint")) from error


def forget_secrets(path: Path, *, now: datetime) -> None:
    """Take the secrets out of a work order that was carried out, and remove its page and its code.

    A used code is only confusing, and may hold a passphrase. What a laptop that died left half-written goes, too.

    Raises:
        StorageError: The disk refuses; the order is as it was, or without its secrets.
    """
    for spent in (path.with_suffix(".html"), path.with_suffix(".png"), *path.parent.glob(f".{path.stem}.*.new")):
        remove(spent)
    # Last, so that an order without secrets says that nothing else is left either.
    files.write_whole(path, read_work_order(path).done(now=now).to_bytes(), mode=files.PRIVATE)


def remove(path: Path) -> None:
    """Remove a file, if it is there. Raises StorageError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(words("disk.cannot_remove", path=path, why=error.strerror)) from error
