"""A commissioning window shows what the recorder would record, or an outline, and never for longer than it may."""

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.adapters.aiming_files import put_request, read_refusal, request_path, socket_path
from agent.adapters.aiming_relay import relay
from agent.adapters.aiming_socket import AimingSocket
from agent.adapters.libav_encoder import EncoderSettings, LibavEncoder
from agent.adapters.reference_view import ReferenceView
from agent.core.aiming import EVERY_US, LONGEST, lean_degrees, sharpness
from agent.core.masking.blocks import FILL_Y
from agent.core.masking.masker import Masker
from agent.core.messages.aiming import Act, AimingRequest, AimingUpdate, Approval, Shown
from agent.core.policy.decision import Decision, Revocation
from agent.core.video import I420, FrameSize, Layer, MaskedFrame, RawFrame, StreamMode
from agent.core.zones import View, Zone
from agent.errors import AimingRefusedError, LamppostError, MessageFormatError, StorageError
from agent.ports import SegmentTags
from agent.recorder.aiming import LOOK_FOR_REQUESTS_EVERY_US, Aiming, RenewableStage
from agent.recorder.commissioning import EVERY_US as LOOK_EVERY_US
from agent.recorder.commissioning import FRAMES
from tests.fakes.clock import FakeClock
from tests.fakes.event_log import MemoryLog
from tests.fakes.view_of_blocks import HEIGHT, WIDTH, view

SIZE = FrameSize(WIDTH, HEIGHT)
MODE = StreamMode(size=SIZE, rate_hz=Fraction(5))
LEFT = Zone(name="left", polygon=((0, 0), (0.24, 0), (0.24, 1), (0, 1)))
LEFT_COLUMNS = 80  # pixels: 0.24 of 320, outward to a block
ALLOWED = Decision(recording=True, reason="grant g-1", zones=(LEFT,), view=View(16, 9))
UNGRANTED = Decision.dark("no policy has arrived yet")
OFF_HOURS = Decision(recording=False, reason="closed on Sundays", zones=(LEFT,), view=View(16, 9))
REVOKED = Decision(recording=False, reason="revoked", revocation=Revocation.STOP)
MINUTE = timedelta(minutes=1)


@cache
def _street(grain: int) -> Any:
    return view(grain=grain)


class Shop:
    """What an outlet shows, kept."""

    def __init__(self) -> None:
        self.shown: list[tuple[AimingUpdate, I420 | None]] = []
        self.closed = False

    def offer(self, update: AimingUpdate, picture: MaskedFrame | None) -> None:
        pixels = None if picture is None else I420.from_packed(np.array(picture.pixels.packed))
        self.shown.append((update, pixels))

    def close(self) -> None:
        self.closed = True


class Pole:
    """A recorder's aiming, and the data path around it, frame by frame."""

    def __init__(self, folder: Path, outlet: Callable[[Path], Any] | None = None) -> None:
        self.folder = folder / "commissioning"
        self.folder.mkdir()
        self.clock = FakeClock()
        self.log = MemoryLog()
        self.shops: list[Shop] = []
        self.reference = ReferenceView(folder / "state")
        self.renewed = 0
        self.aiming = Aiming(
            camera_id="cam-07",
            software="0.1.0",
            folder=self.folder,
            clock=self.clock,
            log=self.log,
            reference=self.reference,
            renewed=[self._renew],
            open_outlet=outlet or self._shop,
        )
        self._masker = Masker(MODE)
        self.aiming.begin_session(MODE)
        self._encoder = self.aiming.tapped(LibavEncoder(EncoderSettings())).start(
            MODE, SegmentTags(camera_id="cam-07", layer=Layer.MASKED, first_captured_at=self.clock.now())
        )
        self._grain = 0

    def ask(self, act: Act = Act.OPEN, *, window: str = "w-1", within: timedelta = 30 * MINUTE) -> None:
        put_request(
            self.folder,
            AimingRequest(act=act, window=window, who="Terry Technician", until=self.clock.now() + within),
        )

    def pass_frames(self, count: int, decision: Decision, *, picture: Any = None) -> None:
        """Let frames pass as the pipeline does, one update's interval apart."""
        for _ in range(count):
            self.clock.advance(timedelta(microseconds=EVERY_US))
            self._grain += 1
            luma = _street(self._grain % 8) if picture is None else picture
            pixels = I420.blank(SIZE)
            pixels.y[...] = luma
            pixels.u[...] = pixels.v[...] = 128
            frame = RawFrame(
                pixels=pixels, pts_us=self.clock.monotonic_us(), captured_at=self.clock.now(), analysis=np.array(luma)
            )
            self.aiming.tick()
            self.aiming.glance(frame, decision)
            if decision.recording:
                self._encoder.push(self._masker.mask(frame, decision))

    @property
    def shown(self) -> list[tuple[AimingUpdate, I420 | None]]:
        return [each for shop in self.shops for each in shop.shown]

    def close(self) -> None:
        self._encoder.abandon()
        self.aiming.close()

    def _shop(self, path: Path) -> Shop:
        assert path.parent == self.folder
        self.shops.append(Shop())
        return self.shops[-1]

    def _renew(self) -> None:
        self.renewed += 1


@pytest.fixture
def pole(tmp_path: Path) -> Iterator[Pole]:
    pole = Pole(tmp_path)
    yield pole
    pole.close()


# --- what is shown --------------------------------------------------------------------


def test_while_recording_a_window_shows_the_masked_frames_that_are_encoded(pole: Pole) -> None:
    pole.ask()

    pole.pass_frames(8, ALLOWED)

    assert len(pole.shown) == 8
    for update, pixels in pole.shown:
        assert update.shown is Shown.PICTURE
        assert pixels is not None
        assert (pixels.y[:, :LEFT_COLUMNS] == FILL_Y).all()
        assert pixels.y[:, LEFT_COLUMNS:].std() > 20
        assert [zone.name for zone in update.zones] == ["left"]
        assert np.unpackbits(np.frombuffer(update.zones_grid, np.uint8))[:6].tolist() == [1, 1, 1, 1, 1, 0]


def test_before_a_grant_there_is_an_outline_and_never_a_picture(pole: Pole) -> None:
    pole.ask()

    pole.pass_frames(8, UNGRANTED)

    assert [pixels for _, pixels in pole.shown] == [None] * 8
    first, last = pole.shown[0][0], pole.shown[-1][0]
    assert first.shown is Shown.NOTHING
    assert last.shown is Shown.OUTLINE
    assert (last.outline_columns, last.outline_rows) == (160, 90)
    assert len(last.outline) == 160 * 90 // 2
    assert last.reason == "no policy has arrived yet"
    assert last.view is None


def test_the_outline_has_no_more_than_nine_values_a_cell_and_leaves_out_who_walks_by(pole: Pole) -> None:
    pole.ask()
    pole.pass_frames(8, UNGRANTED)
    empty = pole.shown[-1][0].outline

    def with_walker(step: int) -> Any:
        luma = view(grain=step).copy()
        luma[60:120, 40 + 40 * step : 60 + 40 * step] = 250
        return luma

    for step in range(6):
        pole.pass_frames(1, UNGRANTED, picture=with_walker(step))

    cells = np.frombuffer(pole.shown[-1][0].outline, np.uint8)
    assert max(int((cells >> 4).max()), int((cells & 15).max())) <= 8
    changed = np.count_nonzero(cells != np.frombuffer(empty, np.uint8))
    assert changed < 0.12 * cells.size  # noise at doubtful edges; a walker who stayed would be a block of strokes


def test_signed_areas_are_left_out_of_the_outline(pole: Pole) -> None:
    pole.ask()

    pole.pass_frames(8, OFF_HOURS)

    update, pixels = pole.shown[-1]
    assert pixels is None
    cells = np.frombuffer(update.outline, np.uint8).reshape(90, 80)
    assert not cells[:, : LEFT_COLUMNS // 4].any()
    assert cells[:, LEFT_COLUMNS // 4 :].any()


def test_areas_that_fit_no_picture_hide_the_outline_too(pole: Pole) -> None:
    pole.ask()

    pole.pass_frames(8, replace(OFF_HOURS, view=View(4, 3)))

    update = pole.shown[-1][0]
    assert update.shown is Shown.NOTHING
    assert update.outline == b""
    assert "4:3" in update.mismatch


def test_a_frame_that_failed_closed_is_shown_filled_and_says_why(pole: Pole) -> None:
    pole.ask()

    pole.pass_frames(2, replace(ALLOWED, view=View(4, 3)))

    update, pixels = pole.shown[-1]
    assert pixels is not None
    assert (pixels.y == FILL_Y).all()
    assert "4:3" in update.failed_closed


def test_nothing_is_shown_while_no_window_is_open(pole: Pole) -> None:
    pole.pass_frames(4, ALLOWED)
    pole.pass_frames(4, UNGRANTED)

    assert pole.shown == []
    assert pole.log.events == []


# --- when a window opens and closes ---------------------------------------------------


def test_opening_and_closing_are_in_the_log_with_who_asked(pole: Pole) -> None:
    pole.ask()
    pole.pass_frames(3, ALLOWED)
    pole.pass_frames(2, UNGRANTED)

    pole.ask(Act.CLOSE)
    pole.pass_frames(2, ALLOWED)

    assert pole.shops[0].closed
    assert pole.log.events == [
        ("commissioning-opened", {"window": "w-1", "who": "Terry Technician", "seconds": 1799}),
        (
            "commissioning-closed",
            {
                "window": "w-1",
                "who": "Terry Technician",
                "reason": "the technician closed it",
                "pictures": 3,
                "outlines": 2,
            },
        ),
    ]


def test_a_window_closes_by_itself_after_half_an_hour_whatever_was_asked(pole: Pole) -> None:
    pole.ask(within=timedelta(days=300))
    pole.pass_frames(1, ALLOWED)

    pole.clock.advance(LONGEST)
    pole.pass_frames(2, ALLOWED)

    assert len(pole.shown) == 1
    assert pole.shown[0][0].until - pole.shown[0][0].captured_at == LONGEST
    assert pole.shops[0].closed
    assert pole.log.kinds == ["commissioning-opened", "commissioning-closed"]


def test_a_wall_clock_that_is_set_back_lengthens_no_window(pole: Pole) -> None:
    pole.ask()
    pole.pass_frames(1, ALLOWED)

    pole.clock.step(-timedelta(days=1))
    pole.clock.advance(LONGEST)
    pole.pass_frames(1, ALLOWED)

    assert pole.shops[0].closed


def test_a_revocation_closes_a_window_and_lets_none_be_opened(pole: Pole) -> None:
    pole.ask()
    pole.pass_frames(2, ALLOWED)

    pole.pass_frames(1, REVOKED)
    pole.ask(window="w-2")
    pole.pass_frames(3, REVOKED)

    assert pole.shops[0].closed
    assert len(pole.shops) == 1
    assert len(pole.shown) == 2
    refusal = read_refusal(pole.folder)
    assert refusal is not None
    assert (refusal.window, refusal.reason) == ("w-2", "the camera was revoked")


def test_a_window_that_cannot_be_logged_is_not_opened(pole: Pole) -> None:
    pole.log.failing = StorageError("the card is full")

    pole.ask()
    pole.pass_frames(3, ALLOWED)

    assert pole.shops[0].closed
    assert pole.shown == []
    refusal = read_refusal(pole.folder)
    assert refusal is not None
    assert "the card is full" in refusal.reason


def test_a_request_that_is_over_is_refused(pole: Pole) -> None:
    pole.ask(within=timedelta(microseconds=1))

    pole.pass_frames(3, ALLOWED)

    assert pole.shops == []
    assert pole.log.events == []
    assert read_refusal(pole.folder) is not None


@pytest.mark.parametrize("raw", [b"", b"{}", b"x" * 5000, b'{"v": 1, "act": "open"}'])
def test_what_is_no_request_is_thrown_away(pole: Pole, raw: bytes) -> None:
    request_path(pole.folder, "w-1").write_bytes(raw)

    pole.pass_frames(3, ALLOWED)

    assert not request_path(pole.folder, "w-1").exists()
    assert pole.shops == []


def test_a_second_window_takes_the_place_of_the_first_and_the_first_cannot_close_it(pole: Pole) -> None:
    pole.ask()
    pole.pass_frames(1, ALLOWED)
    pole.ask(window="w-2")
    pole.pass_frames(1, ALLOWED)

    pole.ask(Act.CLOSE, window="w-1")
    pole.pass_frames(1, ALLOWED)

    assert [shop.closed for shop in pole.shops] == [True, False]


def test_requests_are_looked_for_seldom_enough_to_cost_nothing(pole: Pole) -> None:
    pole.aiming.tick()
    pole.ask()

    pole.clock.advance(timedelta(microseconds=LOOK_FOR_REQUESTS_EVERY_US // 2))
    pole.aiming.tick()

    assert pole.shops == []
    assert request_path(pole.folder, "w-1").exists()


# --- approving the view ---------------------------------------------------------------


def test_approving_keeps_and_logs_a_reference_and_renews_the_guard(pole: Pole) -> None:
    pole.ask()
    pole.pass_frames(1, ALLOWED)

    pole.ask(Act.APPROVE_VIEW)
    pole.pass_frames(20, UNGRANTED)  # a view may be approved before anything is granted
    making = pole.shown[-1][0].reference
    pole.pass_frames(FRAMES * LOOK_EVERY_US // EVERY_US, UNGRANTED)

    assert (making.state, making.needed) == (Approval.MAKING, FRAMES)
    kept = pole.reference.read()
    assert kept is not None
    assert pole.shown[-1][0].reference.state is Approval.KEPT
    assert pole.shown[-1][0].reference.digest == kept.digest
    assert pole.renewed == 1
    ((_, facts),) = [event for event in pole.log.events if event[0] == "view-approved"]
    assert facts["reference"] == kept.digest


def test_a_wall_of_one_colour_cannot_be_approved_and_what_was_kept_stays(pole: Pole) -> None:
    pole.ask()
    pole.pass_frames(1, ALLOWED)
    pole.ask(Act.APPROVE_VIEW)

    pole.pass_frames(FRAMES + 2, UNGRANTED, picture=np.full((HEIGHT, WIDTH), 120, np.uint8))

    assert pole.shown[-1][0].reference.state is Approval.FAILED
    assert pole.reference.read() is None
    assert pole.renewed == 0


def test_without_a_window_nothing_can_be_approved(pole: Pole) -> None:
    pole.ask(Act.APPROVE_VIEW)

    pole.pass_frames(FRAMES + 2, UNGRANTED)

    assert pole.reference.read() is None


def test_a_stage_that_is_renewed_is_let_go_and_made_anew() -> None:
    made: list[int] = []
    let_go: list[object] = []

    def make() -> Callable[[RawFrame, Decision], None]:
        made.append(len(made))
        return lambda _frame, _decision: None

    stage = RenewableStage(make, let_go.append)
    first = stage._stage
    stage.renew()

    assert made == [0, 1]
    assert let_go == [first]
    stage.close()
    assert let_go == [first, stage._stage]


def test_what_a_killed_recorder_left_is_taken_away(pole: Pole) -> None:
    left = socket_path(pole.folder, "w-0")
    left.touch()

    pole.ask()
    pole.pass_frames(1, ALLOWED)

    assert not left.exists()
    assert len(pole.shown) == 1


# --- the way out ----------------------------------------------------------------------


class Laptop:
    """The technician's end of the two pipes."""

    def __init__(self, folder: Path, line: bytes) -> None:
        self._requests, self._ask = os.pipe()
        self._shown, self._updates = os.pipe()
        self.failure: LamppostError | None = None
        self.shown = b""
        os.write(self._ask, line)
        self._carrying = threading.Thread(target=self._carry, args=(folder,), daemon=True)
        self._carrying.start()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def hang_up(self) -> None:
        """Close the pipe that requests go through, once."""
        if self._ask >= 0:
            os.close(self._ask)
        self._ask = -1

    def wait(self) -> None:
        self._carrying.join(60)
        self._reading.join(60)
        assert not self._carrying.is_alive()
        self.hang_up()
        os.close(self._requests)
        os.close(self._shown)

    @property
    def carrying(self) -> bool:
        return self._carrying.is_alive()

    def _carry(self, folder: Path) -> None:
        try:
            relay(folder, self._requests, self._updates)
        except LamppostError as error:
            self.failure = error
        finally:
            os.close(self._updates)

    def _read(self) -> None:
        while piece := os.read(self._shown, 65_536):
            self.shown += piece


def opening(pole: Pole, *, within: timedelta = 30 * MINUTE) -> bytes:
    asked = AimingRequest(act=Act.OPEN, window="w-1", who="Terry Technician", until=pole.clock.now() + within)
    return asked.to_bytes() + b"\n"


def pass_frames_until(pole: Pole, condition: Callable[[], bool]) -> None:
    for _ in range(600):
        pole.pass_frames(1, ALLOWED)
        if condition():
            return
        threading.Event().wait(0.1)
    raise AssertionError("it did not come about")


def test_the_relay_carries_updates_and_jpegs_that_show_the_fill(tmp_path: Path) -> None:
    pole = Pole(tmp_path, AimingSocket)
    laptop = Laptop(pole.folder, opening(pole))

    def whole() -> bool:
        line, feed, rest = laptop.shown.partition(b"\n")
        return bool(feed) and len(rest) >= AimingUpdate.from_bytes(line).picture_bytes

    pass_frames_until(pole, whole)
    mode = socket_path(pole.folder, "w-1").stat().st_mode
    pole.close()
    laptop.wait()

    line, _, rest = laptop.shown.partition(b"\n")
    update = AimingUpdate.from_bytes(line)
    assert stat.S_IMODE(mode) == 0o660
    assert update.shown is Shown.PICTURE
    picture = cv2.imdecode(np.frombuffer(rest[: update.picture_bytes], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.shape == (HEIGHT, WIDTH)
    assert np.abs(np.asarray(picture)[:, : LEFT_COLUMNS - 8].astype(int) - 51).max() <= 6  # luma 60, full range
    assert not socket_path(pole.folder, "w-1").exists()
    assert laptop.failure is None


def test_when_the_technicians_end_is_gone_the_window_is_closed(tmp_path: Path) -> None:
    pole = Pole(tmp_path, AimingSocket)
    laptop = Laptop(pole.folder, opening(pole))
    pass_frames_until(pole, lambda: bool(laptop.shown))

    laptop.hang_up()
    pass_frames_until(pole, lambda: "commissioning-closed" in pole.log.kinds)

    laptop.wait()
    assert pole.log.kinds == ["commissioning-opened", "commissioning-closed"]
    pole.close()


def test_a_refusal_reaches_who_asked(tmp_path: Path) -> None:
    pole = Pole(tmp_path, AimingSocket)
    laptop = Laptop(pole.folder, opening(pole, within=-MINUTE))

    pass_frames_until(pole, lambda: not laptop.carrying)

    laptop.wait()
    assert isinstance(laptop.failure, AimingRefusedError)
    assert "the time it was asked for is over" in str(laptop.failure)
    pole.close()


@pytest.mark.parametrize("line", [b"", b"{}\n", b"x" * 5000, b"\n"])
def test_the_relay_asks_for_nothing_that_was_not_asked_of_it(tmp_path: Path, line: bytes) -> None:
    laptop = Laptop(tmp_path / "commissioning", line)

    laptop.hang_up()
    laptop.wait()

    assert isinstance(laptop.failure, MessageFormatError)
    assert list((tmp_path / "commissioning").iterdir()) == []


def test_one_window_s_end_does_not_take_the_place_of_the_next_one_s_beginning(pole: Pole) -> None:
    pole.ask()
    pole.pass_frames(1, ALLOWED)

    pole.ask(window="w-2")
    pole.ask(Act.CLOSE)
    pole.pass_frames(2, ALLOWED)

    assert [shop.closed for shop in pole.shops] == [True, False]
    assert pole.shown[-1][0].window == "w-2"


def test_a_watcher_who_does_not_read_delays_nobody(tmp_path: Path) -> None:
    pole = Pole(tmp_path, AimingSocket)
    pole.ask()
    pole.pass_frames(1, ALLOWED)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lazy:
        lazy.connect(str(socket_path(pole.folder, "w-1")))
        pole.pass_frames(40, ALLOWED)  # a megabyte; a socket holds a fifth of it

    pole.close()
    closed = [facts for kind, facts in pole.log.events if kind == "commissioning-closed"]
    assert closed[0]["pictures"] == 41


# --- what helps to aim ----------------------------------------------------------------


def test_sharpness_falls_with_blur_and_not_with_light() -> None:
    sharp, *blurred = (sharpness(view(blur_px=blur)) for blur in range(4))
    dim = sharpness(view(light=0.5))

    assert sharp is not None
    assert dim is not None
    assert dim == pytest.approx(sharp, abs=0.1)
    for softer in blurred:
        assert softer is not None
        assert softer < sharp - 0.4
    assert sharpness(np.full((180, 320), 90, np.uint8)) is None
    assert sharpness(np.full((4, 4), 90, np.uint8)) is None


def test_the_lean_of_a_turned_camera_has_its_direction() -> None:
    right, upright, left = (lean_degrees(view(degrees=degrees)) for degrees in (5, 0, -5))

    assert right is not None
    assert upright is not None
    assert left is not None
    assert abs(upright) < 0.5
    assert left > 1
    assert right < -1
    assert lean_degrees(np.full((180, 320), 90, np.uint8)) is None
