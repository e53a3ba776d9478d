"""An unenrolled camera looks for a claim and at nothing else; the first name that counts is its name for good."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.adapters.clock import SystemClock
from agent.adapters.enrolment_files import EnrolmentFiles
from agent.adapters.identity import Offices, identify, kept_claim, take_name
from agent.adapters.led import SysfsLamp
from agent.adapters.log_files import read_events
from agent.config import Config
from agent.core.enrolment.exchange import Order
from agent.core.enrolment.signs import Stage
from agent.core.video import I420, Plane, RawFrame
from agent.errors import ConfigurationError
from agent.link.enrol import Enrolment, LampPlayer, Standing, enrol
from agent.recorder.retirement import retire
from agent.recorder.unenrolled import LOOK_EVERY_US, ClaimSearch
from tests.fakes.claims import Office, claim
from tests.fakes.clock import FakeClock
from tests.fakes.enrolling import camera_config

OFFICE = Office()
STRANGER = Office(key=Ed25519PrivateKey.from_private_bytes(b"\x55" * 32))
BOARD = "10000000abcdef01"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = camera_config(tmp_path, OFFICE)
    for folder in (made.policy.inbox, made.policy.outbox, made.state.folder, made.link.folder):
        folder.mkdir(parents=True, exist_ok=True)
    return made


def frame(pts_us: int) -> RawFrame:
    return RawFrame(pixels=_grey(), pts_us=pts_us, captured_at=SystemClock().now(), analysis=None)


def _grey() -> I420:
    return I420(
        y=np.full((48, 64), 90, np.uint8), u=np.full((24, 32), 128, np.uint8), v=np.full((24, 32), 128, np.uint8)
    )


def search(config: Config, *shown: bytes, clock: FakeClock | None = None, board: str | None = BOARD) -> ClaimSearch:
    assert config.enrolment.offices is not None
    return ClaimSearch(
        config, Offices(config.enrolment.offices), board, clock or FakeClock(), read=lambda _: tuple(shown)
    )


def test_a_claim_goes_to_the_network_process_and_to_no_other_place(config: Config) -> None:
    sealed = OFFICE.sign(claim(board=BOARD))

    search(config, b"https://example.org/menu", sealed).look(frame(0))

    assert [path.name for path in config.policy.outbox.iterdir()] == ["found.claim"]
    assert (config.policy.outbox / "found.claim").read_bytes() == sealed


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (STRANGER.sign(claim()), "not signed by an office"),
        (OFFICE.sign(claim(board="00000000deadbeef")), "for board"),
        (OFFICE.sign(claim(now=FakeClock().now() - timedelta(days=60))), "ended at"),
    ],
)
def test_a_claim_that_is_no_use_here_is_told_with_its_reason(config: Config, shown: bytes, why: str) -> None:
    search(config, shown).look(frame(0))

    assert not (config.policy.outbox / "found.claim").exists()
    assert why in (config.policy.outbox / "refused-code.txt").read_text(encoding="utf-8")
    camera = Enrolment(config, board=BOARD, clock=FakeClock())
    assert camera.step().stage is Stage.CLAIM_BAD
    assert camera.step().stage is Stage.LOOKING


def test_it_looks_three_times_a_second_whatever_the_camera_delivers(config: Config) -> None:
    looks: list[Plane] = []
    assert config.enrolment.offices is not None

    def read(y: Plane) -> tuple[bytes, ...]:
        looks.append(y)
        return ()

    looking = ClaimSearch(config, Offices(config.enrolment.offices), None, FakeClock(), read=read)
    for number in range(60):
        looking.look(frame(number * 1_000_000 // 30))

    assert len(looks) == 6
    assert LOOK_EVERY_US * 3 < 1_000_000


def test_the_first_name_stays(config: Config) -> None:
    first, second = OFFICE.sign(claim(camera_id="first")), OFFICE.sign(claim(2, camera_id="second"))
    (config.policy.inbox / "enrolled.claim").write_bytes(first)
    assert take_name(config)
    (config.policy.inbox / "enrolled.claim").write_bytes(second)

    assert take_name(config)

    assert kept_claim(config.state.folder) == first
    named = identify(config, config.state.folder)
    assert named is not None
    assert named.camera.id == "first"


def test_a_forged_name_is_thrown_away(config: Config) -> None:
    (config.policy.inbox / "enrolled.claim").write_bytes(STRANGER.sign(claim()))

    assert not take_name(config)

    assert identify(config, config.state.folder) is None
    assert not list(config.policy.inbox.iterdir())


def test_a_kept_name_that_counts_no_more_is_an_error_and_no_other_name(config: Config) -> None:
    (config.state.folder / "enrolled.claim").write_bytes(STRANGER.sign(claim()))

    with pytest.raises(ConfigurationError, match="not signed"):
        identify(config, config.state.folder)


def test_a_name_that_contradicts_the_configuration_is_refused(tmp_path: Path) -> None:
    config = camera_config(tmp_path, OFFICE, id="written-down")
    config.state.folder.mkdir()
    (config.state.folder / "enrolled.claim").write_bytes(OFFICE.sign(claim()))

    with pytest.raises(ConfigurationError, match="written-down"):
        identify(config, config.state.folder)


def test_a_code_that_is_shown_ends_the_wait_after_a_refusal(config: Config) -> None:
    files = EnrolmentFiles(config.enrolment.folder, config.enrolment.card, config.policy.outbox)
    files.keep_order(Order(claim=STRANGER.sign(claim())))
    camera = Enrolment(config, board=None, clock=FakeClock())
    assert camera.step().stage is Stage.CLAIM_BAD
    assert not camera.news()

    (config.policy.outbox / "found.claim").write_bytes(OFFICE.sign(claim()))

    assert camera.news()
    assert camera.step().stage is not Stage.CLAIM_BAD
    assert not camera.news()


def test_what_is_written_down_twice_a_second_does_not_wear_the_card(config: Config) -> None:
    camera = Enrolment(config, board=None, clock=FakeClock())
    camera.step()
    stage = config.enrolment.folder / "stage.json"
    before = stage.stat().st_ino

    for _ in range(5):
        camera.step()

    assert stage.stat().st_ino == before  # a new content is a new file


def test_the_last_act_under_a_name_is_in_the_log(config: Config) -> None:
    (config.policy.inbox / "enrolled.claim").write_bytes(OFFICE.sign(claim()))
    take_name(config)
    named = identify(config, config.state.folder)
    assert named is not None

    removed = retire(named)

    assert removed == ["enrolled.claim"]
    assert identify(config, config.state.folder) is None
    events = list(read_events(config.state.folder / "log"))
    assert [(event.kind, event.facts["camera"]) for event in events] == [("retired", "market-street-1")]


class RecordingLamp:
    """Implements `Lamp`."""

    def __init__(self) -> None:
        self.seen: list[bool] = []
        self.told: Callable[[], None] = lambda: None

    def light(self, *, lit: bool) -> None:
        self.seen.append(lit)
        self.told()


def test_the_lamp_flashes_and_is_dark_in_the_end(config: Config) -> None:
    lamp, flashed = RecordingLamp(), threading.Event()
    lamp.told = lambda: flashed.set() if lamp.seen.count(True) >= 3 else None
    with LampPlayer(lamp, SystemClock()) as player:
        player.show(Standing(stage=Stage.PENDING, code="123456"))
        assert flashed.wait(60)

    assert lamp.seen[-1] is False


def test_a_stopped_enrolment_is_not_done(config: Config) -> None:
    stop = threading.Event()
    with LampPlayer(RecordingLamp(), SystemClock()) as player:
        stop.set()

        assert not enrol(Enrolment(config, board=None, clock=FakeClock()), player, stop)


def test_an_led_is_written_and_one_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "ACT").mkdir()
    lamp = SysfsLamp("ACT", tmp_path)

    lamp.light(lit=True)

    assert (tmp_path / "ACT" / "trigger").read_text(encoding="ascii") == "none"
    assert (tmp_path / "ACT" / "brightness").read_text(encoding="ascii") == "1"
    SysfsLamp("gone", tmp_path).light(lit=True)
    assert not (tmp_path / "gone").exists()
