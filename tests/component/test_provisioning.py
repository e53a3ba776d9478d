"""A camera is provisioned in the end, whatever failed in between; and the laptop keeps no secret."""

import base64
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.adapters.enrolment_service import EnrolmentService
from agent.core.enrolment.claim import Wifi
from agent.core.enrolment.exchange import Order, Place, Request
from agent.errors import EnrolmentError, EnrolmentUnreachableError, LamppostError, TransportError, UsageError
from provisioning.clock import precise_now
from provisioning.enrolment import steps
from provisioning.enrolment.desk_folder import read_work_order
from provisioning.enrolment.steps import CarryError, Carrying, Journal, Provisioning, Step, Told
from provisioning.enrolment.transport import Half, SshTransport
from provisioning.enrolment.work_order import WorkOrder
from provisioning.ssh import OPTIONS, Remembered
from tests.fakes.cabled import CabledCamera, all_bytes
from tests.fakes.claims import order_key
from tests.fakes.enrolling import SITE, EnrollingCity, camera_config
from tests.fakes.power_cut import PowerCut

SECRET = "a passphrase of the city"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnrollingCity]:
    made = EnrollingCity(tmp_path_factory.mktemp("city"))
    with made.serving():
        yield made


def work_order(city: EnrollingCity, laptop: Path, number: int, camera_id: str) -> Path:
    """Write a work order with a network, as the desk makes it."""
    claim = city.claim(number, camera_id=camera_id, wifi=Wifi(ssid="City"))
    order = WorkOrder(
        camera_id=camera_id, site=SITE, mounting="pole 4", claim=city.office.sign(claim),
        office=city.office.public.public_bytes_raw().hex(), key=order_key(number),
        wifi=Place(ssid="City", secret=SECRET), root=city.desk.root.decode(), made_at=city.now(),
    )  # fmt: skip
    laptop.mkdir(parents=True, exist_ok=True)
    path = laptop / f"{camera_id}.order"
    path.write_bytes(order.to_bytes())
    path.with_suffix(".html").write_text("code", encoding="utf-8")
    return path


def provisioning(path: Path, camera: Any, carrying: Carrying | None = None) -> Provisioning:
    clock = iter(range(10_000))
    start = precise_now()
    return Provisioning(
        path,
        camera,
        now=lambda: start + timedelta(seconds=30 * next(clock)),  # half a minute a look: patience costs no time here
        wait=lambda _: None,
        carrying=carrying,
    )


def run(path: Path, camera: Any, carrying: Carrying | None = None) -> list[Told]:
    return list(provisioning(path, camera, carrying).run(lambda _: None))


def no_secret_is_left(laptop: Path, number: int) -> None:
    lying = all_bytes(laptop)
    key = order_key(number)
    for secret in (SECRET.encode(), key, base64.b64encode(key), key.hex().encode(), b"PRIVATE KEY"):
        assert secret not in lying


def test_a_camera_goes_from_a_work_order_to_a_recording(city: EnrollingCity, tmp_path: Path) -> None:
    camera = CabledCamera(camera_config(tmp_path / "camera", city.office))
    path = work_order(city, tmp_path / "laptop", 1, "straight")

    told = run(path, camera)

    assert [one.step for one in told] == list(Step)
    assert camera.running == {Half.RECORDER, Half.LINK}
    assert told[-1].facts["state"] == "recording"
    assert read_work_order(path).key is None
    no_secret_is_left(tmp_path / "laptop", 1)


def test_a_second_run_changes_nothing(city: EnrollingCity, tmp_path: Path) -> None:
    camera = CabledCamera(camera_config(tmp_path / "camera", city.office))
    path = work_order(city, tmp_path / "laptop", 2, "twice")
    run(path, camera)
    key = Journal(path.with_suffix(".journal")).key(read_work_order(path).claimed().id)
    before = all_bytes(tmp_path / "camera" / "state") + camera.config.link.credential.read_bytes()

    told = run(path, camera)

    assert not [one.step for one in told if one.changed]
    assert re.fullmatch(r"[0-9a-f]{4}( [0-9a-f]{4}){3}", key)
    assert next(one for one in told if one.step is Step.ENROL).facts["key"] == key
    assert all_bytes(tmp_path / "camera" / "state") + camera.config.link.credential.read_bytes() == before


class Failing:
    """A camera, or a laptop, that fails at the n-th thing that is done, before or after it is done."""

    def __init__(self, camera: CabledCamera, at: int, error: type[BaseException], *, after: bool) -> None:
        self._camera = camera
        self._at = at
        self._error = error
        self._after = after
        self._thread = threading.get_ident()
        self.failed = False

    @property
    def name(self) -> str:
        return self._camera.name

    def do(self, real: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != self._thread:  # the city
            return real(*args, **kwargs)
        self._at -= 1
        mine = self._at == 0  # what is done inside of this is counted, too
        if mine and not self._after:
            self._fail()
        result = real(*args, **kwargs)
        if mine:
            self._fail()
        return result

    def _fail(self) -> None:
        self.failed = True
        raise self._error("now")

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.do(getattr(self._camera, name), *args, **kwargs)


# To fail after a thing is done is to fail before the next, but for its answer, which a cable may lose.
@pytest.mark.parametrize(
    ("name", "error", "first", "after"),
    [("laptop", PowerCut, 1000, False), ("cable", TransportError, 2000, True)],
    ids=["laptop", "cable"],
)
def test_laptop_and_cable_may_fail_at_any_step(
    city: EnrollingCity, tmp_path: Path, name: str, error: type[BaseException], first: int, after: bool
) -> None:
    failures = 0
    for at in range(1, 40):
        number = first + at
        camera = CabledCamera(camera_config(tmp_path / str(at) / "camera", city.office))
        path = work_order(city, tmp_path / str(at) / "laptop", number, f"{name}-{at}")
        failing = Failing(camera, at, error, after=after)
        with pytest.MonkeyPatch.context() as patched:
            if error is PowerCut:  # the laptop's disk may also be where it ends
                real = steps.files.write_whole
                doing = partial(failing.do, real)
                patched.setattr(steps.files, "write_whole", doing)
            try:
                run(path, failing)
            except (PowerCut, LamppostError):
                failures += 1
        if not failing.failed:
            break

        run(path, camera)

        assert camera.running == {Half.RECORDER, Half.LINK}, at
        assert read_work_order(path).key is None
        no_secret_is_left(tmp_path / str(at) / "laptop", number)
    assert failures >= 8


def test_without_the_city_it_says_so_and_goes_on_later(tmp_path: Path) -> None:
    city = EnrollingCity(tmp_path / "city")
    camera = CabledCamera(camera_config(tmp_path / "camera", city.office))
    with city.serving():
        path = work_order(city, tmp_path / "laptop", 3, "later")
        port = city.port

    with pytest.raises(TransportError, match="does not reach the city"):
        run(path, camera)
    assert read_work_order(path).key is not None

    assert port
    carried = tmp_path / "carried.json"
    answer = _carry(city, path, camera, carried, tmp_path / "answer.json")
    run(path, camera, Carrying(out=carried, back=answer))
    assert camera.running == {Half.RECORDER, Half.LINK}
    assert not carried.exists()
    no_secret_is_left(tmp_path / "laptop", 3)


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("contact", [1, 2])
def test_the_network_may_go_at_any_contact_with_the_city(
    city: EnrollingCity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contact: int, lost: str
) -> None:
    number = 3000 + 10 * contact + (lost == "answer")
    camera = CabledCamera(camera_config(tmp_path / "camera", city.office))
    path = work_order(city, tmp_path / "laptop", number, f"gone-{number}")
    gone = iter(range(contact - 1))

    def cut(real: Callable[..., Any]) -> Callable[..., Any]:
        def reach(*args: Any, **kwargs: Any) -> Any:
            if next(gone, None) is not None:
                return real(*args, **kwargs)
            if lost == "answer":
                real(*args, **kwargs)
            raise EnrolmentUnreachableError("no route to the city")

        return reach

    with monkeypatch.context() as patched:
        for name in ("fetch_root", "ask"):
            patched.setattr(EnrolmentService, name, cut(getattr(EnrolmentService, name)))
        with pytest.raises(TransportError, match="no route to the city") as failed:
            run(path, camera)

    assert "--carry" in str(failed.value.hint)
    assert read_work_order(path).key is not None
    run(path, camera)
    assert camera.running == {Half.RECORDER, Half.LINK}
    no_secret_is_left(tmp_path / "laptop", number)


def _carry(city: EnrollingCity, path: Path, camera: CabledCamera, out: Path, back: Path) -> Path:
    with pytest.raises(CarryError):
        run(path, camera, Carrying(out=out))
    answer = city.desk.enrol(Request.from_bytes(out.read_bytes()), now=city.now())
    back.write_bytes(answer.model_copy(update={"root": city.desk.root.decode()}).to_bytes())
    return back


def test_an_answer_of_another_city_is_not_installed(tmp_path: Path) -> None:
    city, other = EnrollingCity(tmp_path / "city"), EnrollingCity(tmp_path / "other")
    camera = CabledCamera(camera_config(tmp_path / "camera", city.office))
    path = work_order(city, tmp_path / "laptop", 4, "misled")
    answer = _carry(city, path, camera, tmp_path / "out.json", tmp_path / "answer.json")
    changed = answer.read_bytes().replace(
        city.desk.root.decode().replace("\n", "\\n").encode(), other.desk.root.decode().replace("\n", "\\n").encode()
    )
    assert changed != answer.read_bytes()
    answer.write_bytes(changed)

    with pytest.raises(TransportError, match="another city"):
        run(path, camera, Carrying(out=tmp_path / "out.json", back=answer))

    assert not camera.config.link.credential.exists()
    assert not camera.config.link.authority.exists()


def test_a_city_that_refuses_ends_it_with_the_reason(city: EnrollingCity, tmp_path: Path) -> None:
    first, second = (CabledCamera(camera_config(tmp_path / name, city.office)) for name in ("first", "second"))
    run(work_order(city, tmp_path / "one", 5, "refused"), first)
    path = work_order(city, tmp_path / "two", 6, "refused")

    with pytest.raises(EnrolmentError, match="enrolled already"):
        run(path, second)

    assert read_work_order(path).key is not None
    assert not second.config.link.credential.exists()


def test_a_camera_that_fails_its_self_test_does_not_go_on_the_pole(city: EnrollingCity, tmp_path: Path) -> None:
    camera = CabledCamera(camera_config(tmp_path / "camera", city.office))
    camera.findings = [{"part": "camera", "passed": False, "found": "no such device", "hint": "the ribbon"}]
    path = work_order(city, tmp_path / "laptop", 7, "broken")

    with pytest.raises(TransportError, match="no such device") as failed:
        run(path, camera)

    assert failed.value.hint == "the ribbon"
    assert Half.LINK not in camera.running


def test_a_broker_that_is_away_is_told_as_that_when_nothing_secret_is_left(city: EnrollingCity, tmp_path: Path) -> None:
    camera = CabledCamera(camera_config(tmp_path / "camera", city.office))
    camera.policy = ""
    path = work_order(city, tmp_path / "laptop", 9, "unheard")

    with pytest.raises(TransportError, match="hears nothing from the city"):
        run(path, camera)

    no_secret_is_left(tmp_path / "laptop", 9)
    camera.policy = "5" * 64
    assert run(path, camera)[-1].facts["state"] == "recording"


def test_an_order_that_was_carried_out_is_no_order_for_another_camera(city: EnrollingCity, tmp_path: Path) -> None:
    path = work_order(city, tmp_path / "laptop", 8, "once-only")
    run(path, CabledCamera(camera_config(tmp_path / "first", city.office)))

    begun = list[Step]()
    second = provisioning(path, CabledCamera(camera_config(tmp_path / "second", city.office)))
    with pytest.raises(UsageError, match="carried out") as refused:
        list(second.run(begun.append))

    assert begun == [Step.REACH]  # before anything that takes long
    assert "this board is not the one that did it" in str(refused.value.hint)


def remembered(place: Path) -> Remembered:
    return Remembered(file=place / "known hosts", name="of-the-order")


def test_ssh_is_asked_with_nothing_but_what_is_pinned(tmp_path: Path) -> None:
    program = tmp_path / "ssh"
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" > "$(dirname "$0")/words"\ncat > "$(dirname "$0")/given"\nprintf "{}"\n',
        encoding="ascii",
    )
    program.chmod(0o755)
    camera = SshTransport("tech@10.55.0.1", remembered(tmp_path), str(program))

    done = camera.agent(Half.LINK, ["enrol", "--take-order"], given=Order(claim=b"x").to_bytes())

    words = (tmp_path / "words").read_text(encoding="ascii").splitlines()
    assert done.json() == {}
    assert set(OPTIONS) < set(words)
    assert f'UserKnownHostsFile="{tmp_path}/known hosts"' in words
    assert "HostKeyAlias=of-the-order" in words
    assert words[-3:-1] == ["--", "tech@10.55.0.1"]
    assert words[-1].startswith("sudo -n -u lamppost-link /opt/lamppost/bin/lamppost-agent enrol --take-order")
    assert b"claim" in (tmp_path / "given").read_bytes()


@pytest.mark.parametrize("host", ["-oProxyCommand=evil", "two words", ""])
def test_a_host_that_ssh_would_take_for_something_else_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError):
        SshTransport(host, remembered(tmp_path))


def test_a_cable_that_was_pulled_is_told_as_that(tmp_path: Path) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\necho 'No route to host' >&2\nexit 255\n", encoding="ascii")
    program.chmod(0o755)

    with pytest.raises(TransportError, match="No route to host"):
        SshTransport("camera", remembered(tmp_path), str(program)).restart(Half.LINK)


def test_another_board_in_the_place_of_one_that_was_known_is_told_as_that(tmp_path: Path) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\necho 'Host key verification failed.' >&2\nexit 255\n", encoding="ascii")
    program.chmod(0o755)

    with pytest.raises(TransportError, match="another board") as failed:
        SshTransport("camera", remembered(tmp_path), str(program)).stop(Half.LINK)

    assert "ssh-keygen -R of-the-order" in str(failed.value.hint)
