"""Whatever the device cannot do narrows the decision; nothing here ever widens it."""

from fractions import Fraction

from agent.core.policy.decision import Decision
from agent.core.video import FrameSize, StreamMode
from agent.errors import StorageFullError
from agent.recorder.narrowing import Narrowing

MODE = StreamMode(size=FrameSize(1280, 720), rate_hz=Fraction(25))
ALLOWED = Decision(recording=True, reason="grant g-1", max_height_px=720, max_rate_hz=25)
SECOND_US = 1_000_000


def longest() -> float:
    return 1.0


def test_without_an_obstacle_the_policy_decides() -> None:
    assert Narrowing(lambda: ALLOWED).decide(MODE, 0) is ALLOWED


def test_a_dark_decision_stays_dark_with_its_own_reason() -> None:
    dark = Decision.dark("no grant covers this camera")

    assert Narrowing(lambda: dark).decide(MODE, 0) is dark


def test_a_picture_larger_than_granted_is_not_recorded() -> None:
    tall = StreamMode(size=FrameSize(1920, 1080), rate_hz=Fraction(25))

    decision = Narrowing(lambda: ALLOWED).decide(tall, 0)

    assert not decision.recording
    assert decision.reason == "the camera delivers 1080 lines, the grant allows 720"


def test_a_grant_without_a_rate_allows_nothing() -> None:
    none = Decision(recording=True, reason="", max_height_px=720, max_rate_hz=0)

    assert not Narrowing(lambda: none).decide(MODE, 0).recording


def test_a_failure_is_waited_out_and_then_tried_again_by_itself() -> None:
    narrowing = Narrowing(lambda: ALLOWED, uniform=longest)

    narrowing.failed(StorageFullError("no room"), 0)

    assert narrowing.decide(MODE, SECOND_US // 2).reason == "permitted, but not possible: no room"
    assert narrowing.failing
    assert narrowing.decide(MODE, SECOND_US) is ALLOWED
    assert not narrowing.failing


def test_failures_in_a_row_wait_longer_and_never_more_than_half_a_minute() -> None:
    narrowing = Narrowing(lambda: ALLOWED, uniform=longest)
    now_us, waits = 0, []

    for _ in range(8):
        narrowing.failed(StorageFullError("no room"), now_us)
        start = now_us
        while not narrowing.decide(MODE, now_us).recording:
            now_us += SECOND_US
        waits.append((now_us - start) // SECOND_US)

    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_without_failure_is_forgiven() -> None:
    narrowing = Narrowing(lambda: ALLOWED, uniform=longest)
    for _ in range(5):
        narrowing.failed(StorageFullError("no room"), 0)

    narrowing.failed(StorageFullError("no room"), 61 * SECOND_US)

    assert narrowing.decide(MODE, 62 * SECOND_US).recording


def test_while_nothing_changes_the_narrowed_decision_is_one_value() -> None:
    narrowing = Narrowing(lambda: ALLOWED, uniform=longest)
    narrowing.failed(StorageFullError("no room"), 0)

    assert narrowing.decide(MODE, 1) is narrowing.decide(MODE, 2)
