"""A city that enrols, an office with a key of its own, a desk that knows both; and a person who types commands."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from typer.testing import CliRunner

from agent.adapters.clock import SystemClock
from agent.core.enrolment.signs import Stage
from agent.errors import LamppostError
from agent.link.enrol import Enrolment
from provisioning import __main__ as lamppost
from provisioning.authority.keys import KeyCard, make_key
from provisioning.enrolment.desk import EnrolmentDesk
from provisioning.enrolment.desk_folder import read_work_order
from tests.fakes.cabled import CabledCamera
from tests.fakes.claims import Office
from tests.fakes.enrolling import EnrollingCity, camera_config

PASSPHRASE = "four words nobody joins"


def run(command: str, *words: str | Path) -> str:
    """Run a command as a person would; return all that it said, whatever the width of the terminal."""
    result = CliRunner().invoke(lamppost._application(command), [command, *map(str, words)], env={"COLUMNS": "200"})
    if isinstance(result.exception, LamppostError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def add_site(desk: Path, *words: str | Path) -> str:
    """Record the one site."""
    return run(
        "site", "add", "market-street", "--desk", desk, "--name", 'Market "Street"', "--at", "38.627,-90.1994",
        "--kind", "intersection", "--basis", "sustained-criminal-activity", "--statement", "Nineteen robberies.",
        *words,
    )  # fmt: skip


class Town:
    """The city, the office and the desk.

    Attributes:
        place: Where all of it lies.
        key: The office's key folder.
        city: What enrols.
        desk: The provisioning desk's folder.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.key = place / "office"
        make_key(self.key, office="it-director", name="Ravi", passphrase=PASSPHRASE)
        (place / "passphrase").write_text(PASSPHRASE, encoding="utf-8")
        self.city = EnrollingCity(place)
        self.public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(KeyCard.read(self.key).key.keyval["public"]))
        self.city.desk = EnrolmentDesk(self.city.folder, [self.public])
        self.desk = place / "desk"

    @property
    def signing(self) -> list[str | Path]:
        """The words that say whose key signs, and at which desk."""
        return ["--key", self.key, "--passphrase-file", self.place / "passphrase", "--desk", self.desk]

    def prepare(self) -> None:
        """Tell the desk of the fleet and of the site."""
        root = self.city.folder.authority / "root.pem"
        run("site", "fleet", "--root", root, "--broker", "localhost:8883", "--enrol", f"localhost:{self.city.port}",
            "--desk", self.desk)  # fmt: skip
        add_site(self.desk)

    def order(self, camera_id: str) -> Path:
        """Return where a camera's work order lies."""
        return self.desk / "orders" / f"{camera_id}.order"

    def camera(self, folder: Path) -> CabledCamera:
        """Return a camera that nobody knows, and that obeys the office's claims."""
        config = camera_config(folder, Office())
        assert config.enrolment.offices is not None
        config.enrolment.offices.write_text(self.public.public_bytes_raw().hex(), encoding="ascii")
        return CabledCamera(config)


def enrol(camera: CabledCamera, order: Path) -> None:
    """Have a camera carry out a work order."""
    enrolment = Enrolment(camera.config, board=None, clock=SystemClock())
    enrolment.take(read_work_order(order).for_camera())
    assert enrolment.step().stage is Stage.ENROLLED
