"""A city to practise in: founded, granted, with broker, backend and enrolment on this desk.

    PRACTICE/office/     the key that signs work orders, and its passphrase: practice has no secrets
    PRACTICE/image/      what a camera's image holds: the city's root, whose claims count
    PRACTICE/desk/       the provisioning desk, which knows the fleet already
    PRACTICE/fleet/      broker and backend
    PRACTICE/people/     the officials' keys and the city
    PRACTICE/cameras/    where `lamppost provision --dir` puts cameras that a folder plays

Three officials have granted two cameras on Market Street. Everything is on the loopback
address, and ends with the program, cameras too.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.errors import UsageError
from provisioning.authority import files
from provisioning.authority.city import CityFolder
from provisioning.authority.keys import make_key
from provisioning.backend.installation import BackendFolder
from provisioning.clock import precise_now, utc_now
from provisioning.demo.city import DemoCity
from provisioning.demo.fleet import HOST, LOOPBACK, DemoFleet
from provisioning.enrolment.desk import EnrolmentDesk
from provisioning.enrolment.desk_folder import DeskFolder, Fleet
from provisioning.enrolment.granted import granted_sites
from provisioning.enrolment.service import EnrolmentServer
from provisioning.enrolment.transport import stop_process
from provisioning.words import words

PASSPHRASE = "practice makes perfect"  # noqa: S105 - it protects nothing, and says so


class Practice:
    """One city to practise in; a context that ends all its processes.

    Args:
        folder: Must not exist yet, and must not have a space in its path: the broker's configuration cannot say one.
        say: Told of each thing that is made.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        if folder.exists():
            raise UsageError(words("disk.exists", path=folder), hint=words("practice.exists_hint"))
        self._folder = folder.absolute()
        self._say = say
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            starting.callback(self._end_cameras)
            self._say(words("practice.founding"))
            files.make_folder(self._folder, mode=files.PRIVATE_FOLDER)
            city = DemoCity(self._folder / "people", precise_now)
            city.publish_keys()
            city.grant()
            self._say(words("practice.starting"))
            fleet = starting.enter_context(DemoFleet(self._folder / "fleet", city.folder, utc_now))
            server = starting.enter_context(self._enrolment(city))
            root = fleet.authority_file.read_text(encoding="ascii")
            DeskFolder(self._folder / "desk").keep_fleet(
                Fleet(root=root, broker=f"{HOST}:{fleet.port}", enrol=f"{HOST}:{server.port}")
            )
            published = CityFolder(path=city.folder).bundle_path
            (self._folder / "desk" / published.name).symlink_to(published)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _enrolment(self, city: DemoCity) -> EnrolmentServer:
        card = make_key(self._folder / "office", office="it-director", name="Practice", passphrase=PASSPHRASE)
        files.write_whole(self._folder / "office" / "passphrase", f"{PASSPHRASE}\n".encode(), mode=files.PRIVATE)
        public = card.key.keyval["public"]
        files.make_folder(self._folder / "image")
        files.write_whole(self._folder / "image" / "offices", f"{public}  # practice\n".encode())
        files.write_whole(self._folder / "image" / "root.json", city.trusted_root)
        backend, place = BackendFolder(path=self._folder / "fleet" / "backend"), CityFolder(path=city.folder)
        desk = EnrolmentDesk(
            backend,
            [Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))],
            lambda camera_id: granted_sites(place, camera_id),
        )
        return EnrolmentServer(
            desk,
            utc_now,
            address=LOOPBACK,
            port=0,
            certificate=backend.broker / "server.pem",
            key=backend.broker / "server.key",
        )

    def _end_cameras(self) -> None:
        for pid_file in self._folder.glob("cameras/*/*.pid"):
            stop_process(pid_file, str(pid_file.parent / "lamppost.toml"))
