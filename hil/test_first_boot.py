"""A card from the van, a first start: the camera enrols by itself, joins its network, hears its policy and records.

The city is a whole one (`lamppost practice`), in the network of the container; the card is an image
that `lamppost card prepare` wrote.
"""

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hil.strategy import CameraStrategy
from provisioning.clock import precise_now, wait
from tests.fakes.disks import mbr

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = timedelta(seconds=300)
NAME = "market-street-1"
GUIDE = (ROOT / "provisioning/TECHNICIAN.md").read_text(encoding="utf-8")
FIRST_SECTOR, SECTORS = 2048, 40_000
# The image is for a board with a module and a data partition.
BENCH_HAS = {
    'source = "picamera"': 'source = "streetscene"',
    "width_px = 1280": "width_px = 640",
    "height_px = 720": "height_px = 360",
    "capacity_mib = 20000": "capacity_mib = 200",
    "separate_file_system = true": "separate_file_system = false",
}
KEYFILE = "/run/NetworkManager/system-connections/lamppost.nmconnection"


class PractisingCity:
    """A city that runs beside the container, and its desk.

    Attributes:
        place: Where it lies; `practice` in it is the city's folder.
    """

    def __init__(self, camera: CameraStrategy, place: Path) -> None:
        self._camera = camera
        self.place = place

    def start(self) -> subprocess.Popen[bytes]:
        """Start it and return once it is ready."""
        said = self.place / "said"
        command = self._camera.power.beside(sys.executable, "-m", "provisioning", "practice", "practice")
        running = subprocess.Popen(command, cwd=self.place, stderr=said.open("wb"), env=environment())
        until = precise_now() + PATIENCE
        while b"ready" not in said.read_bytes():
            assert running.poll() is None, said.read_text()
            assert precise_now() < until, said.read_text()
            wait(timedelta(milliseconds=200))
        return running

    def run(self, *words: str) -> str:
        """Run one of its commands; return what it said."""
        command = self._camera.power.beside(sys.executable, "-m", "provisioning", *words)
        done = subprocess.run(command, cwd=self.place, capture_output=True, text=True, env=environment(), check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


def environment() -> dict[str, str]:
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "160", "HOME": "/root"}


@pytest.fixture(scope="module")
def city(camera: CameraStrategy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PractisingCity]:
    """Yield the city, which knows where the camera will hang."""
    if not hasattr(camera.power, "beside"):
        pytest.skip("this tier has no network of its own for a city")
    place = tmp_path_factory.mktemp("city")
    city = PractisingCity(camera, place)
    running = city.start()
    try:
        site = next(line for line in GUIDE.splitlines() if line.startswith("lamppost site add"))
        city.run(*shlex.split(site)[1:])
        yield city
    finally:
        running.terminate()
        running.wait(60)


def card_of(city: PractisingCity) -> dict[str, bytes]:
    """Write a card as in the van; return what is on it by name."""
    image, secret = city.place / "card.img", city.place / "secret"
    table = mbr((0x0C, FIRST_SECTOR, SECTORS))
    image.write_bytes(table + bytes((FIRST_SECTOR + SECTORS) * 512 - len(table)))
    part = f"{image}@@{FIRST_SECTOR * 512}"
    subprocess.run(["mformat", "-i", part, "-T", str(SECTORS), "-v", "bootfs", "::"], check=True)
    subprocess.run(["mcopy", "-i", part, "-", "::cmdline.txt"], input=b"console=tty1\n", check=True)
    secret.write_text("four words nobody joins\n")
    city.run(
        "work-order", "create", NAME, "--site", "market-street", "--desk", "practice/desk", "--key", "practice/office",
        "--passphrase-file", "practice/office/passphrase", "--wifi", "City", "--wifi-secret-file", str(secret),
    )  # fmt: skip
    city.run("card", "prepare", "--order", f"practice/desk/orders/{NAME}.order", "--image", str(image), "--yes")
    return {
        name: subprocess.run(["mtype", "-i", part, f"::{name}"], check=True, capture_output=True).stdout
        for name in ("cmdline.txt", "lamppost-order.json")
    }


def test_the_first_start_enrols_by_itself_and_records(camera: CameraStrategy, city: PractisingCity) -> None:
    root = camera.power.prepared()
    for name, content in card_of(city).items():
        write(root / "boot/firmware" / name, content)
    # What the city's image holds: its configuration, its root, whose claims count.
    image = (ROOT / "firmware-config/etc/lamppost/lamppost.toml").read_text(encoding="utf-8")
    for board, here in BENCH_HAS.items():
        assert board in image
        image = image.replace(board, here)
    write(root / "etc/lamppost/lamppost.toml", image.encode())
    for name in ("root.json", "offices"):
        write(root / "usr/share/lamppost" / name, (city.place / "practice/image" / name).read_bytes())
    # As fstab mounts it: the group reads.
    for path in (root / "boot/firmware", *(root / "boot/firmware").iterdir()):
        os.chown(path, 0, group_of(root, "lamppost"))
        path.chmod(0o750 if path.is_dir() else 0o640)

    began = precise_now()
    camera.transition("booted")
    status = camera.wait_for(
        "a camera that enrolled, heard its policy and records",
        lambda status: status.state.value == "recording" and status.frames.stored > 0,
    )

    print(f"\nfrom power to recording: {(precise_now() - began).total_seconds():.0f} s")
    assert status.camera_id == NAME
    assert camera.shell.run_check("systemctl is-active lamppost-link") == ["active"]
    assert "1 online" in city.run("fleet", "list", "--backend", "practice/fleet/backend")


def test_the_network_of_the_claim_is_handed_over_as_root(camera: CameraStrategy, city: PractisingCity) -> None:
    assert camera.shell.poll_until_success(f"test -e {KEYFILE}", timeout=60.0, sleepduration=0.5)

    assert camera.shell.run_check(f"stat -c '%a %U:%G' {KEYFILE}") == ["600 root:root"]
    assert "ssid=67;105;116;121;" in camera.shell.run_check(f"cat {KEYFILE}")


def test_nothing_secret_of_the_order_stays(camera: CameraStrategy, city: PractisingCity) -> None:
    left = camera.shell.run_check("ls /var/lib/lamppost/link/enrolment")

    assert "order.json" not in left
    assert "request.pem" not in left


def test_after_a_power_cut_it_is_who_it_was_and_goes_on(camera: CameraStrategy, city: PractisingCity) -> None:
    camera.restart()

    status = camera.wait_for("recording again", lambda status: status.state.value == "recording")
    assert status.camera_id == NAME
    assert camera.shell.run_check("systemctl show lamppost-enrol --property=ConditionResult --value") == ["no"]
    assert camera.shell.poll_until_success(f"test -e {KEYFILE}", timeout=60.0, sleepduration=0.5)


@contextlib.contextmanager
def lost(camera: CameraStrategy, *, percent: int) -> Iterator[None]:
    """Lose so many of the packets that the camera's link sends, for as long as the context lasts."""
    link = camera.shell.run_check("id -u lamppost-link")[0]
    rule = f"oif lo meta skuid {link} numgen random mod 100 <= {percent - 1} drop"
    network(camera, f"table inet bad {{ chain out {{ type filter hook output priority 0; {rule}; }}; }}")
    try:
        yield
    finally:
        network(camera, "delete table inet bad")


def network(camera: CameraStrategy, rules: str) -> None:
    subprocess.run(camera.power.beside("nft", "-f", "-"), input=rules, text=True, check=True)


def online(camera: CameraStrategy, city: PractisingCity, number: int) -> None:
    """Wait until the fleet has so many cameras that are heard, and see that this one went on recording meanwhile."""
    before = camera.recorder()
    assert before is not None
    until = precise_now() + PATIENCE
    while f"{number} online" not in (fleet := city.run("fleet", "list", "--backend", "practice/fleet/backend")):
        assert precise_now() < until, fleet
        wait(timedelta(seconds=2))
    camera.wait_for(
        "more frames",
        lambda status: status.state.value == "recording" and status.frames.stored > before.frames.stored + 50,
    )


def test_a_bad_network_and_none_cost_no_frame_and_the_link_comes_back(
    camera: CameraStrategy, city: PractisingCity
) -> None:
    started = camera.shell.run_check("systemctl show lamppost-link --property=MainPID")

    with lost(camera, percent=30):
        online(camera, city, 1)
    with lost(camera, percent=100):
        online(camera, city, 0)
    online(camera, city, 1)

    assert camera.shell.run_check("systemctl show lamppost-link --property=MainPID") == started


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def group_of(root: Path, name: str) -> int:
    """Return the number that a group has on the camera."""
    lines = (root / "etc/group").read_text().splitlines()
    return next(int(line.split(":")[2]) for line in lines if line.startswith(f"{name}:"))
