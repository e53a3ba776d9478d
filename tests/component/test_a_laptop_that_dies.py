"""A laptop that dies between any two steps of a technician's command, or has no network: run again, it goes on."""

import contextlib
import errno
import functools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.adapters.clock import SystemClock
from agent.adapters.qr import read_codes
from agent.core.enrolment.signs import Stage
from agent.errors import EnrolmentUnreachableError, LamppostError
from agent.link.enrol import Enrolment
from provisioning.authority import files
from provisioning.authority.keys import OfficialKey, open_key
from provisioning.commands import card, retire, work_order
from provisioning.enrolment import flashing
from provisioning.enrolment.card import ORDER_FILE
from provisioning.enrolment.desk_folder import read_work_order
from provisioning.enrolment.fat import FatPartition
from tests.fakes.boot_images import make_image, needs_mtools, read_from
from tests.fakes.cabled import all_bytes
from tests.fakes.exhibits import NOON, SECOND, Pole
from tests.fakes.power_cut import PowerCut
from tests.fakes.town import PASSPHRASE, Town, enrol, run


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    made = Town(tmp_path_factory.mktemp("town"))
    with made.city.serving():
        made.prepare()
        yield made


@pytest.fixture(autouse=True)
def _a_key_that_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """To open the office's key takes a while on purpose; once is enough here."""
    monkeypatch.setattr(work_order, "open_key", lambda key, _: _opened(key))


@functools.cache
def _opened(key: Path) -> OfficialKey:
    return open_key(key, lambda: PASSPHRASE)


class Cut:
    """Ends the laptop before the n-th of the things that were named; counts them if it never comes to that."""

    def __init__(self, patched: pytest.MonkeyPatch, at: int) -> None:
        self._patched = patched
        self._left = at
        self._thread = threading.get_ident()
        self.done = False

    def before(self, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def doing(*args: Any, **kwargs: Any) -> Any:
            self._left -= threading.get_ident() == self._thread  # the city has a disk of its own
            if self._left == 0 and not self.done:
                self.done = True
                raise PowerCut
            return real(*args, **kwargs)

        self._patched.setattr(owner, name, doing)


def dying(attempt: Callable[[], object], *things: tuple[Any, str], again: Callable[[int], None]) -> int:
    """Run `attempt` with the laptop dying before each of `things`, and `again` each time; return how often it died."""
    for at in range(1, 60):
        with pytest.MonkeyPatch.context() as patched:
            cut = Cut(patched, at)
            for owner, name in things:
                cut.before(owner, name)
            with contextlib.suppress(PowerCut):
                attempt()
        if not cut.done:
            return at - 1
        again(at)
    pytest.fail("it never comes to an end")


def test_a_work_order_that_was_half_made_is_finished(town: Town) -> None:
    order = town.order("half-made")
    words = ["work-order", "create", "half-made", "--site", "market-street", *town.signing]

    def again(_: int) -> None:
        claims = [read_work_order(order).claim] if order.exists() else []
        run(*map(str, words))

        assert claims in ([], [read_work_order(order).claim])  # what was made is not made twice
        assert read_codes(_gray(order.with_suffix(".png"))) == (read_work_order(order).claim,)
        assert "half-made" in order.with_suffix(".html").read_text(encoding="utf-8")
        for path in order.parent.glob("half-made.*"):
            path.unlink()

    assert dying(lambda: run(*map(str, words)), (files, "write_whole"), again=again) == 3


def test_a_replacement_that_was_half_made_is_finished_and_the_stolen_camera_is_off(town: Town, tmp_path: Path) -> None:
    backend = town.city.folder.path
    name = "stolen"
    order = town.order(name)
    run("work-order", "create", name, "--site", "market-street", *town.signing)
    enrol(town.camera(tmp_path / "0"), order)
    words = ["replace", name, *town.signing, "--backend", backend, "--yes"]

    def again(at: int) -> None:
        run(*map(str, words))
        claim = read_work_order(order).claim
        run(*map(str, words))

        assert read_work_order(order).claim == claim
        assert read_work_order(order).claimed().replaces
        assert read_codes(_gray(order.with_suffix(".png"))) == (claim,)
        assert name in town.city.authority.barred()
        new = town.camera(tmp_path / str(at))
        enrol(new, order)
        assert name not in town.city.authority.barred()

    assert dying(lambda: run(*map(str, words)), (files, "write_whole"), again=again) >= 5
    assert read_work_order(order).claimed().replaces


class Fragile:
    """A cable to a camera, each use of which can be cut."""

    def __init__(self, camera: Any) -> None:
        self.camera = camera
        self.name = camera.name

    def agent(self, *args: Any, **kwargs: Any) -> Any:
        return self.camera.agent(*args, **kwargs)

    def stop(self, *args: Any) -> None:
        self.camera.stop(*args)


def test_a_retirement_that_ended_half_way_is_finished(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "tired"
    order = town.order(name)
    run("work-order", "create", name, "--site", "market-street", "--replaces", *town.signing)
    cable = Fragile(town.camera(tmp_path / "0"))
    enrol(cable.camera, order)
    monkeypatch.setattr(retire, "transport_to", lambda *_: cable)
    words = ["retire", name, "--backend", str(town.city.folder.path), "--host", "the-cable", "--yes"]
    told = []
    monkeypatch.setattr("provisioning.backend.installation.reload_broker", lambda _: told.append(True))

    def again(at: int) -> None:
        told.clear()
        run(*words)

        assert name in town.city.authority.barred()
        assert told == [True]  # also where the list had it already
        assert not cable.camera.config.link.credential.exists()
        assert cable.camera.running == set()
        run("work-order", "create", name, "--site", "market-street", "--replaces", "--again", *town.signing)
        cable.camera = town.camera(tmp_path / str(at))
        enrol(cable.camera, order)

    things = ((cable, "agent"), (cable, "stop"), (files, "write_whole"))
    assert dying(lambda: run(*words), *things, again=again) >= 7


@needs_mtools
def test_a_card_that_was_pulled_out_half_way_is_written_again(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image(tmp_path / "image", "cmdline.txt", "user-data", "network-config")
    device = tmp_path / "sdx"
    device.write_bytes(bytes(image.stat().st_size + 512))
    run("work-order", "create", "carded", "--site", "market-street", *town.signing)
    described = {"path": str(device), "size": 32_000_000_000, "rm": True, "type": "disk", "model": "SD"}
    monkeypatch.setattr(card, "describe_disks", lambda: {"blockdevices": [described]})
    words = ["card", "prepare", "--order", town.order("carded"), "--image", image, "--device", device, "--yes"]

    def again(_: int) -> None:
        run(*map(str, words))
        assert read_from(device, ORDER_FILE) == read_work_order(town.order("carded")).for_camera().to_bytes()
        assert b"hostname: carded" in read_from(device, "user-data")
        device.write_bytes(bytes(device.stat().st_size))

    things = ((flashing, "_write_all"), (flashing, "_settle"), (FatPartition, "write"))
    assert dying(lambda: run(*map(str, words)), *things, again=again) >= 8


def test_a_copy_of_a_card_that_broke_off_is_finished(tmp_path: Path) -> None:
    place = tmp_path / "card"
    place.mkdir()
    pole = Pole(place)
    pole.append("started", NOON + 20 * SECOND, log_key=str(pole.log_key))
    out = tmp_path / "out"

    def again(_: int) -> None:
        assert "vouches for all of it" in run("recover", place, "--out", out, "--key", str(pole.log_key))
        assert not list(out.rglob("*.copying"))
        for path in list(out.rglob("*.age"))[:1]:
            path.unlink()

    assert dying(lambda: run("recover", place, "--out", out), (os, "fsync"), again=again) >= 1


def test_the_code_of_a_camera_is_confirmed_though_the_laptop_dies_before_it_forgets(town: Town, tmp_path: Path) -> None:
    run("work-order", "create", "flashing", "--site", "market-street", *town.signing)
    order = town.order("flashing")
    camera = town.camera(tmp_path)
    camera.config.policy.outbox.mkdir()
    (camera.config.policy.outbox / "found.claim").write_bytes(read_work_order(order).claim)
    code = Enrolment(camera.config, board=None, clock=SystemClock()).step().code
    key = read_work_order(order).key or b""

    for _ in range(3):
        with pytest.MonkeyPatch.context() as patched:
            Cut(patched, 1).before(files, "write_whole")
            with pytest.raises(PowerCut):
                run("enrol", "confirm", code, "--order", order)
    (order.parent / ".flashing.order.0a0b0c0d.new").write_bytes(order.read_bytes())  # cut while it was written
    run("enrol", "confirm", code, "--order", order)

    assert read_work_order(order).key is None
    assert sorted(path.name for path in order.parent.glob("*flashing*")) == ["flashing.order"]
    assert key not in all_bytes(order.parent)
    assert Enrolment(camera.config, board=None, clock=SystemClock()).step().stage is Stage.ENROLLED


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)


@needs_mtools
@pytest.mark.usefixtures("nowhere")
def test_all_but_enrolment_needs_no_network(town: Town, tmp_path: Path) -> None:
    image = make_image(tmp_path / "image", "cmdline.txt")
    order = town.order("remote")

    run("work-order", "create", "remote", "--site", "market-street", *town.signing)
    run("card", "prepare", "--order", order, "--image", image, "--yes")
    run("label", "remote", "--url", "https://city.example/{site}", "--key", "0123 4567", "--out", tmp_path,
        "--desk", town.desk)  # fmt: skip
    run("replace", "remote", *town.signing, "--yes")
    with pytest.raises(EnrolmentUnreachableError) as failed:
        run("enrol", "confirm", "123456", "--order", order)

    assert "telephone" in str(failed.value.hint)
    assert read_work_order(order).key is not None  # nothing was forgotten that is still needed
    assert read_work_order(order).claimed().replaces
    assert (tmp_path / "remote-label.pdf").exists()


def _gray(path: Path) -> Any:
    import cv2  # noqa: PLC0415 - for this alone
    import numpy as np  # noqa: PLC0415

    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)


def test_a_command_that_fails_says_so_by_its_status(town: Town) -> None:
    with pytest.raises(LamppostError) as refused:
        run("work-order", "create", "No_Name", "--site", "market-street", *town.signing)

    assert refused.value.exit_status == os.EX_USAGE
