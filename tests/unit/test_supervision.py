"""A camera that fails is noticed, told of, and opened again; its time never runs backwards."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain, pairwise

import pytest

from agent.core.status import CameraState
from agent.core.video import FrameSize, RawFrame, StreamMode
from agent.errors import CameraError, CameraGoneError, CameraStalledError
from agent.recorder.supervision import MOST_STUCK, CameraEvent, CameraEventKind, SupervisedCamera, Vigilance
from tests.fakes.camera import SMALL, Fail, FakeCamera, Hang, Show, Step, picture, raw_frame
from tests.fakes.clock import FakeClock

OPENED, ENDED = CameraEventKind.OPENED, CameraEventKind.ENDED
GOOD = (Show(frames=30),)
LEAVE_WITHIN = "agent.recorder.supervision._LEAVE_WITHIN_S"
GENEROUS_S = 60.0  # real time; bounds a hang and measures nothing


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that ends on a busy machine is not stuck."""
    monkeypatch.setattr(LEAVE_WITHIN, GENEROUS_S)


class Bench:
    """A supervised fake camera that plays one script a session; after the last, it ends."""

    def __init__(self, *scripts: Sequence[Step], vigilance: Vigilance | None = None, absent_first: int = 0) -> None:
        self.clock = FakeClock()
        self.events: list[CameraEvent] = []
        self.cameras: list[FakeCamera] = []
        self._scripts = list(scripts)
        self._absent = absent_first
        self.camera = SupervisedCamera(
            self._make, self.clock, self.events.append, vigilance=vigilance, uniform=lambda: 1.0
        )

    def _make(self) -> FakeCamera:
        self._absent -= 1
        absent = self._absent >= 0
        script = () if absent or not self._scripts else self._scripts.pop(0)
        self.cameras.append(FakeCamera(self.clock, script, present=lambda: not absent))
        return self.cameras[-1]

    def play(self) -> list[list[RawFrame]]:
        """Return the frames of all sessions."""
        return [list(session.frames()) for session in self.camera.sessions()]

    @property
    def kinds(self) -> list[CameraEventKind]:
        return [event.kind for event in self.events]


def test_a_source_with_an_end_ends() -> None:
    bench = Bench([Show(frames=25)])

    (frames,) = bench.play()

    assert len(frames) == 25
    assert bench.kinds == [OPENED, ENDED]
    assert bench.camera.status().state is CameraState.CLOSED
    assert bench.cameras[0].closed


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (Hang(), CameraEventKind.SILENT),
        (Show(frames=60, noisy=False), CameraEventKind.FROZEN),
        (Show(frames=60, luma=16, noisy=False), CameraEventKind.BLACK),
        (Show(size=FrameSize(128, 96)), CameraEventKind.CHANGED),
        (Fail(CameraGoneError("unplugged")), CameraEventKind.GONE),
        (Fail(CameraError("no signal")), CameraEventKind.FAILED),
    ],
)
def test_a_failing_camera_is_told_of_and_opened_again(step: Step, kind: CameraEventKind) -> None:
    bench = Bench([Show(frames=5), step], GOOD)

    first, second = bench.play()

    assert len(first) >= 5
    assert len(second) == 30
    assert kind in bench.kinds
    assert bench.kinds[0] is OPENED
    assert bench.kinds[-2:] == [OPENED, ENDED]
    assert bench.camera.status().reopened == 1
    assert all(camera.closed for camera in bench.cameras)


def test_silence_is_noticed_after_three_seconds() -> None:
    bench = Bench([Show(frames=5), Hang()], GOOD)

    bench.play()

    opened, silent = bench.events[:2]
    assert silent.at - opened.at >= timedelta(seconds=3)
    assert silent.reason == "nothing for 3 s"


def test_no_frame_of_another_size_gets_through() -> None:
    bench = Bench([Show(frames=2), Show(frames=1, size=FrameSize(128, 96))], GOOD)

    sessions = bench.play()

    assert {frame.pixels.size for frames in sessions for frame in frames} == {SMALL}


def test_a_camera_that_hangs_while_opening_is_given_up() -> None:
    clock = FakeClock()
    events: list[CameraEvent] = []
    cameras = iter([_HangsWhileOpening(clock), FakeCamera(clock, GOOD)])
    camera = SupervisedCamera(lambda: next(cameras), clock, events.append, uniform=lambda: 1.0)

    (frames,) = [list(session.frames()) for session in camera.sessions()]

    assert len(frames) == 30
    assert [event.kind for event in events] == [CameraEventKind.SILENT, OPENED, ENDED]


def test_an_absent_camera_is_tried_with_a_growing_wait() -> None:
    bench = Bench(GOOD, absent_first=7)

    bench.play()

    attempts = bench.events[:8]
    waits = [(b.at - a.at).total_seconds() for a, b in pairwise(attempts)]
    assert bench.kinds[:7] == [CameraEventKind.GONE] * 7
    assert waits == pytest.approx([1, 2, 4, 8, 16, 30, 30], abs=0.2)


def test_the_jitter_is_full() -> None:
    clock = FakeClock()
    cameras = iter([FakeCamera(clock, present=lambda: False), FakeCamera(clock, GOOD)])
    camera = SupervisedCamera(lambda: next(cameras), clock, lambda _: None, uniform=lambda: 0.0)
    before_us = clock.monotonic_us()

    next(camera.sessions())

    assert clock.waits == []
    assert clock.monotonic_us() - before_us <= 100_000 * 2  # frames that the second camera may be ahead


def test_failures_are_forgiven_after_good_pictures() -> None:
    steady = [Show(frames=150), Fail(CameraError("again"))]
    bench = Bench([Fail(CameraError("once"))], [Fail(CameraError("twice"))], steady, GOOD)

    bench.play()

    failed = [event for event in bench.events if event.kind is CameraEventKind.FAILED]
    after = bench.events[bench.events.index(failed[2]) + 1]
    assert CameraEventKind.RECOVERED in bench.kinds
    assert after.at - failed[2].at <= timedelta(seconds=1, milliseconds=300)  # the first wait again, not the third


def test_a_covered_lens_is_recorded_between_ever_rarer_reopenings() -> None:
    black = [Show(frames=600, luma=16)]
    bench = Bench(black, black, black, [Show(frames=150)])

    sessions = bench.play()

    lasted = [(frames[-1].pts_us - frames[0].pts_us) / 1_000_000 for frames in sessions[:3]]
    assert lasted == pytest.approx([3, 6, 12], abs=1)
    assert bench.kinds[-2:] == [CameraEventKind.RECOVERED, ENDED]


def test_a_lens_that_stays_covered_stays_stalled_in_the_status() -> None:
    bench = Bench([Show(frames=60, luma=16)], [Show(frames=20, luma=16)])
    states = []

    for session in bench.camera.sessions():
        states += [bench.camera.status().state for _ in session.frames()]

    assert states[0] is CameraState.DELIVERING
    assert set(states[-20:]) == {CameraState.STALLED}


def test_a_recording_may_stand_still() -> None:
    bench = Bench([Show(frames=100, noisy=False)], vigilance=Vigilance.of_a_recording())

    (frames,) = bench.play()

    assert len(frames) == 100


def test_time_rises_across_sessions_and_clock_steps() -> None:
    bench = Bench([Show(frames=10), Fail(CameraError("x"))], [Show(frames=10), Hang()], GOOD)
    frames: list[RawFrame] = []

    for session in bench.camera.sessions():
        for frame in session.frames():
            frames.append(frame)
            bench.clock.step(timedelta(hours=-5 if len(frames) % 2 else 3))

    assert all(a.pts_us < b.pts_us for a, b in pairwise(frames))
    assert any(a.captured_at > b.captured_at for a, b in pairwise(frames))  # the step is passed on as it is


def test_a_source_that_starts_earlier_when_reopened_is_moved_as_a_whole() -> None:
    clock = FakeClock()
    cameras = iter([_Ahead(clock, fails=True), _Ahead(clock, fails=False)])
    camera = SupervisedCamera(lambda: next(cameras), clock, lambda _: None, uniform=lambda: 0.0)

    first, second = (list(session.frames()) for session in camera.sessions())

    assert second[0].pts_us > first[-1].pts_us
    assert [b.pts_us - a.pts_us for a, b in pairwise(second)] == [40_000] * 9


def test_a_mistake_in_the_camera_is_raised_to_the_consumer() -> None:
    bench = Bench([Show(frames=2), Fail(ZeroDivisionError("ours"))])

    with pytest.raises(ZeroDivisionError, match="ours"):
        bench.play()

    assert bench.cameras[0].closed


def test_closing_from_another_thread_ends_everything() -> None:
    bench = Bench([Show(frames=3), Hang()], vigilance=Vigilance(silent_after=timedelta(days=365)))
    session = next(sessions := bench.camera.sessions())
    frames = session.frames()
    taken = [next(frames) for _ in range(3)]

    threading.Thread(target=bench.camera.close).start()

    assert len(taken) == 3
    assert list(frames) == []
    assert list(sessions) == []
    assert bench.cameras[0].closed


def test_a_lent_buffer_is_kept_until_the_consumer_asks_for_the_next() -> None:
    clock = FakeClock()
    lender = _Lender(clock)
    camera = SupervisedCamera(lambda: lender, clock, lambda _: None)
    kept = []

    for session in camera.sessions():
        for number, _ in enumerate(session.frames()):
            kept.append(lender.given_back == number)

    assert kept == [True] * 20


def test_a_loop_stuck_in_its_driver_is_left_there_and_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    events: list[CameraEvent] = []
    stuck = _Stuck(clock)
    cameras = iter([stuck, FakeCamera(clock, GOOD)])

    def next_camera() -> FakeCamera:
        camera = next(cameras)
        monkeypatch.setattr(LEAVE_WITHIN, 0.01 if camera is stuck else GENEROUS_S)
        return camera

    camera = SupervisedCamera(next_camera, clock, events.append, uniform=lambda: 0.0)

    frames = [frame for session in camera.sessions() for frame in session.frames()]
    stuck.driver.set()

    assert len(frames) == 1 + 30
    kinds = [event.kind for event in events]
    assert kinds == [OPENED, CameraEventKind.SILENT, CameraEventKind.FAILED, OPENED, ENDED]
    assert "stuck" in events[2].reason


def test_a_driver_that_swallows_loop_after_loop_ends_the_process_before_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LEAVE_WITHIN, 0.01)
    clock = FakeClock()
    swallowed: list[_Stuck] = []

    def next_camera() -> FakeCamera:
        swallowed.append(_Stuck(clock))
        return swallowed[-1]

    camera = SupervisedCamera(next_camera, clock, lambda _: None, uniform=lambda: 0.0)

    with pytest.raises(CameraStalledError, match=f"{MOST_STUCK} loops are stuck"):
        deque(chain.from_iterable(session.frames() for session in camera.sessions()), maxlen=0)
    for stuck in swallowed:
        stuck.driver.set()

    assert len(swallowed) == MOST_STUCK


def test_a_waiting_consumer_feeds_its_watchdog() -> None:
    clock = FakeClock()
    fed: list[int] = []
    cameras = iter([FakeCamera(clock, [Hang()]), FakeCamera(clock, GOOD)])
    camera = SupervisedCamera(
        lambda: next(cameras), clock, lambda _: None, on_wait=lambda: fed.append(clock.monotonic_us())
    )

    for session in camera.sessions():
        list(session.frames())

    assert fed


def test_the_mode_is_told_in_the_status() -> None:
    bench = Bench(GOOD)

    bench.play()

    assert bench.camera.status().mode == "64x48 at 10 Hz"


class _HangsWhileOpening(FakeCamera):
    def open(self) -> StreamMode:
        while not self.closed:
            self._clock.wait(timedelta(seconds=1))
            threading.Event().wait(0.001)
        raise CameraError("closed while opening")


class _Stuck(FakeCamera):
    """Delivers one frame, then hangs in its driver whatever is asked of it."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.driver = threading.Event()

    def frames(self) -> Iterator[RawFrame]:
        yield raw_frame(self._clock, picture(100))
        while not self.driver.wait(0.001):
            if not self.closed:
                self._clock.advance(timedelta(milliseconds=100))


class _Ahead(FakeCamera):
    """Ten frames 40 ms apart from the clock's now on, without waiting for their time."""

    def __init__(self, clock: FakeClock, *, fails: bool) -> None:
        super().__init__(clock)
        self._fails = fails

    def frames(self) -> Iterator[RawFrame]:
        first = raw_frame(self._clock, picture(100))
        for number in range(10):
            yield RawFrame(
                pixels=first.pixels, pts_us=first.pts_us + 40_000 * number, captured_at=first.captured_at, analysis=None
            )
        if self._fails:
            raise CameraError("broken in the middle")


class _Lender(FakeCamera):
    """Lends one buffer at a time and counts how many were given back."""

    given_back = 0

    def frames(self) -> Iterator[RawFrame]:
        for number in range(20):
            self._clock.advance(timedelta(milliseconds=100))
            frame = raw_frame(self._clock, picture(100, noise=number))
            yield RawFrame(
                pixels=frame.pixels, pts_us=frame.pts_us, captured_at=frame.captured_at, native=("buffer", number)
            )
            self.given_back += 1
