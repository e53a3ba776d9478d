"""`lamppost card prepare` makes an image whose first start enrols by itself, and leaves nothing half said."""

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.adapters.clock import SystemClock
from agent.core.enrolment.exchange import Place
from agent.core.enrolment.signs import Stage
from agent.errors import CardError, LamppostError, UsageError
from agent.link.enrol import Enrolment
from provisioning import __main__ as lamppost
from provisioning.commands import card
from provisioning.enrolment import fat
from provisioning.enrolment.card import ORDER_FILE, Partition
from provisioning.enrolment.desk_folder import forget_secrets
from provisioning.enrolment.flashing import flash
from provisioning.enrolment.work_order import WorkOrder
from tests.fakes.boot_images import PLACE, make_image, needs_mtools, read_from
from tests.fakes.claims import order_key
from tests.fakes.enrolling import SITE, EnrollingCity, camera_config

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., str]


@pytest.fixture
def run() -> Run:
    def run(*words: str | Path) -> str:
        result = CliRunner().invoke(lamppost._application("card"), ["card", "prepare", *map(str, words)])
        if isinstance(result.exception, LamppostError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())  # lines are as long as the terminal is wide

    return run


def work_order(city: EnrollingCity, path: Path, camera_id: str) -> Path:
    order = WorkOrder(
        camera_id=camera_id, site=SITE, mounting="pole 4", claim=city.office.sign(city.claim(1, camera_id=camera_id)),
        office=city.office.public.public_bytes_raw().hex(), key=order_key(1), root=city.desk.root.decode(),
        wifi=Place(ssid="City", secret="a passphrase"), made_at=city.now(),
    )  # fmt: skip
    path.write_bytes(order.to_bytes())
    return path


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> EnrollingCity:
    return EnrollingCity(tmp_path_factory.mktemp("city"))


@needs_mtools
def test_what_is_on_the_card_enrols_a_camera_by_itself(city: EnrollingCity, tmp_path: Path, run: Run) -> None:
    image = make_image(tmp_path / "image", "cmdline.txt", "user-data", "network-config", "meta-data")
    with city.serving():
        order = work_order(city, tmp_path / "cam.order", "from-the-card")

        said = run("--order", order, "--image", image, "--yes")

        assert "read back" in said
        assert read_from(image, "user-data").startswith(b"#cloud-config")
        assert b"hostname: from-the-card" in read_from(image, "user-data")
        assert b'"City":' in read_from(image, "network-config")
        config = camera_config(tmp_path / "camera", city.office)
        config.enrolment.card.parent.mkdir()
        config.enrolment.card.write_bytes(read_from(image, ORDER_FILE))
        assert Enrolment(config, board=None, clock=SystemClock()).step().stage is Stage.ENROLLED


@needs_mtools
def test_a_second_run_writes_the_same(city: EnrollingCity, tmp_path: Path, run: Run) -> None:
    image = make_image(tmp_path / "image", "cmdline.txt")
    order = work_order(city, tmp_path / "cam.order", "twice")
    run("--order", order, "--image", image, "--yes")
    first = read_from(image, ORDER_FILE)

    run("--order", order, "--image", image, "--yes")

    assert read_from(image, ORDER_FILE) == first


@needs_mtools
def test_where_there_are_slots_the_order_is_on_the_partition_that_selects_one(
    city: EnrollingCity, tmp_path: Path, run: Run
) -> None:
    selector = make_image(tmp_path / "image", "autoboot.txt")
    order = work_order(city, tmp_path / "cam.order", "slots")

    run("--order", order, "--image", selector, "--yes")

    assert read_from(selector, ORDER_FILE)


@needs_mtools
def test_nothing_is_written_without_a_word(city: EnrollingCity, tmp_path: Path, run: Run) -> None:
    image = make_image(tmp_path / "image", "cmdline.txt")
    before = image.read_bytes()
    order = work_order(city, tmp_path / "cam.order", "asked")

    run("--order", order, "--image", image, "--dry-run")
    with pytest.raises(UsageError, match="nobody to ask"):
        run("--order", order, "--image", image)

    assert image.read_bytes() == before


@needs_mtools
@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "writes the order alone: this image starts without cloud-init; then reads back"),
        (("user-data",), "writes the order, the host name planned; then"),
        (("user-data", "network-config"), "writes the order, the host name planned, the network City; then"),
    ],
    ids=["order", "host", "network"],
)
def test_the_plan_names_what_this_image_can_take(
    city: EnrollingCity, tmp_path: Path, run: Run, names: tuple[str, ...], said: str
) -> None:
    image = make_image(tmp_path / "image", "cmdline.txt", *names)
    order = work_order(city, tmp_path / "cam.order", "planned")

    assert said in run("--order", order, "--image", image, "--dry-run")


@needs_mtools
@pytest.mark.parametrize("names", [(), ("readme.txt",)], ids=["empty", "another's"])
def test_an_image_that_no_camera_starts_from_is_refused(
    city: EnrollingCity, tmp_path: Path, run: Run, names: tuple[str, ...]
) -> None:
    image = make_image(tmp_path / "image", *names)
    before = image.read_bytes()

    with pytest.raises(CardError, match="no partition that a camera starts from"):
        run("--order", work_order(city, tmp_path / "cam.order", "wrong"), "--image", image, "--yes")

    assert image.read_bytes() == before


@needs_mtools
def test_a_full_card_is_told_as_that(city: EnrollingCity, tmp_path: Path, run: Run) -> None:
    image = make_image(tmp_path / "image", "cmdline.txt")
    for size in (10_000_000, 1_000_000, 100_000, 10_000, 500):  # until not even a small file goes in
        for number in range(30):
            words = ["mcopy", "-i", f"{image}{PLACE}", "-", f"::{size}-{number}"]
            if subprocess.run(words, input=bytes(size), capture_output=True, check=False).returncode:
                break

    with pytest.raises(CardError, match=ORDER_FILE):
        run("--order", work_order(city, tmp_path / "cam.order", "full"), "--image", image, "--yes")


@needs_mtools
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("image", "no partition that a camera starts from"),
        ("size", "is smaller than"),
        ("swapped", "another disk than a moment ago"),
        ("used", "was carried out"),
    ],
)
def test_what_would_come_to_nothing_is_refused_before_anything_is_erased(
    city: EnrollingCity, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, wrong: str, why: str
) -> None:
    image = make_image(tmp_path / "image", *(() if wrong == "image" else ("cmdline.txt",)))
    device = tmp_path / "sdx"
    device.write_bytes(b"holiday pictures" * 1000)
    size = 32_000_000_000
    if wrong == "size":
        monkeypatch.setattr("provisioning.enrolment.card.SMALLEST_BYTES", 1)
    disk = {"path": str(device), "size": 1000 if wrong == "size" else size, "rm": True, "type": "disk"}
    models = iter(["SD", "Backup" if wrong == "swapped" else "SD"])
    monkeypatch.setattr(card, "describe_disks", lambda: {"blockdevices": [{**disk, "model": next(models)}]})
    order = work_order(city, tmp_path / "cam.order", "refused")
    if wrong == "used":
        forget_secrets(order, now=city.now())

    with pytest.raises(LamppostError, match=why):
        run("--order", order, "--image", image, "--device", device, "--yes")

    assert device.read_bytes() == b"holiday pictures" * 1000


def test_this_machines_own_disk_is_refused(city: EnrollingCity, tmp_path: Path, run: Run) -> None:
    with pytest.raises(LamppostError):
        run("--order", work_order(city, tmp_path / "cam.order", "own-disk"), "--device", "/dev/vda", "--yes")


def test_an_image_is_copied_and_read_back(tmp_path: Path) -> None:
    image, device = tmp_path / "image", tmp_path / "device"
    image.write_bytes(os.urandom(5_000_001))
    device.write_bytes(bytes(6_000_000))
    told: list[int] = []

    flash(image, device, told.append)

    assert device.read_bytes()[:5_000_001] == image.read_bytes()
    assert sum(told) == 2 * 5_000_001


def test_a_card_that_is_too_small_is_not_begun(tmp_path: Path) -> None:
    image, device = tmp_path / "image", tmp_path / "device"
    image.write_bytes(b"\x01" * 2000)
    device.write_bytes(bytes(1000))

    with pytest.raises(CardError, match="smaller"):
        flash(image, device, lambda _: None)

    assert device.read_bytes() == bytes(1000)


@pytest.mark.parametrize(("fails", "why"), [("write", "input/output error"), ("forget", "does not give back")])
def test_a_card_that_is_pulled_out_or_forgets_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, why: str
) -> None:
    image, device = tmp_path / "image", tmp_path / "device"
    image.write_bytes(b"\x01" * 2000)
    device.write_bytes(bytes(2000))

    def broken(_descriptor: int, piece: bytes) -> int:
        if fails == "write":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return len(piece)  # takes it, and keeps nothing

    monkeypatch.setattr("provisioning.enrolment.flashing.os.write", broken)

    with pytest.raises(CardError, match=why):
        flash(image, device, lambda _: None)


def test_a_reader_that_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = tmp_path / "mcopy"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(fat, "_PATIENCE_S", 0.2)

    with pytest.raises(CardError, match="does not answer"):
        fat.FatPartition(tmp_path / "card", Partition(offset_bytes=0, size_bytes=512)).write("name", b"")
