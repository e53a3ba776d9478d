"""Streams are cut so that no file mixes two decisions, and no power cut costs more than promised."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.cutting import FRAGMENT, Span, begins_fragment, begins_segment, frames_per_fragment
from agent.core.policy.decision import Decision
from agent.core.video import FrameSize, StreamMode

DECISION = Decision(recording=True, reason="a test")
MODE = StreamMode(size=FrameSize(640, 480), rate_hz=Fraction(10))
RUNNING = Span(decision=DECISION, mode=MODE, first_pts_us=1_000_000, last_pts_us=2_000_000)


@pytest.mark.parametrize(
    ("rate_hz", "frames"),
    [("30", 27), ("30000/1001", 26), ("25", 22), ("15", 13), ("10", 9), ("2", 1), ("10/9", 1), ("1", 1), ("1/5", 1)],
)
def test_a_fragment_holds_the_frames_of_nine_tenths_of_a_second_and_at_least_one(rate_hz: str, frames: int) -> None:
    assert frames_per_fragment(Fraction(rate_hz)) == frames


def test_the_first_frame_begins_a_fragment() -> None:
    assert begins_fragment(frames=0, first_pts_us=0, pts_us=5, rate_hz=Fraction(10))


def test_a_full_fragment_ends() -> None:
    assert not begins_fragment(frames=8, first_pts_us=0, pts_us=800_000, rate_hz=Fraction(10))
    assert begins_fragment(frames=9, first_pts_us=0, pts_us=800_000, rate_hz=Fraction(10))


def test_a_slow_cameras_fragment_ends_by_the_clock() -> None:
    assert not begins_fragment(frames=2, first_pts_us=7, pts_us=900_006, rate_hz=Fraction(10))
    assert begins_fragment(frames=2, first_pts_us=7, pts_us=900_007, rate_hz=Fraction(10))


@given(
    rate_hz=st.fractions(min_value=Fraction(1, 10), max_value=120),
    gaps_us=st.lists(st.integers(1, 3_000_000), min_size=1, max_size=60),
)
def test_the_frames_of_a_fragment_never_start_more_than_its_length_apart(rate_hz: Fraction, gaps_us: list[int]) -> None:
    at_us = first_us = frames = 0

    for gap_us in gaps_us:
        if begins_fragment(frames=frames, first_pts_us=first_us, pts_us=at_us, rate_hz=rate_hz):
            first_us, frames = at_us, 0
        frames += 1

        assert timedelta(microseconds=at_us - first_us) < FRAGMENT
        assert 1 <= frames <= frames_per_fragment(rate_hz)
        at_us += gap_us


def test_the_first_frame_begins_a_segment() -> None:
    assert begins_segment(None, decision=DECISION, mode=MODE, pts_us=0)


def test_a_frame_like_those_before_goes_on_with_the_segment() -> None:
    assert not begins_segment(RUNNING, decision=DECISION, mode=MODE, pts_us=2_100_000)


def test_an_equal_decision_is_no_new_one() -> None:
    again = Decision(recording=True, reason="a test")

    assert not begins_segment(RUNNING, decision=again, mode=MODE, pts_us=2_100_000)


def test_a_segment_ends_when_it_is_as_long_as_asked_for() -> None:
    length = timedelta(seconds=2)

    assert not begins_segment(RUNNING, decision=DECISION, mode=MODE, pts_us=2_999_999, length=length)
    assert begins_segment(RUNNING, decision=DECISION, mode=MODE, pts_us=3_000_000, length=length)


def test_a_segment_is_ten_seconds_unless_asked_otherwise() -> None:
    late = replace(RUNNING, last_pts_us=10_000_000)

    assert not begins_segment(late, decision=DECISION, mode=MODE, pts_us=10_999_999)
    assert begins_segment(late, decision=DECISION, mode=MODE, pts_us=11_000_000)


def test_a_new_decision_begins_a_segment_at_once() -> None:
    assert begins_segment(RUNNING, decision=replace(DECISION, policy_digest="0a"), mode=MODE, pts_us=2_100_000)


def test_a_new_mode_begins_a_segment_at_once() -> None:
    faster = replace(MODE, rate_hz=Fraction(15))

    assert begins_segment(RUNNING, decision=DECISION, mode=faster, pts_us=2_100_000)


@pytest.mark.parametrize("pts_us", [2_000_000, 1_500_000, 0])
def test_a_time_that_does_not_rise_begins_a_segment(pts_us: int) -> None:
    assert begins_segment(RUNNING, decision=DECISION, mode=MODE, pts_us=pts_us)


@pytest.mark.parametrize("seconds", [0, 1.999, 60.001, 3600])
def test_a_length_outside_two_to_sixty_seconds_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="expected 2 to 60 s"):
        begins_segment(None, decision=DECISION, mode=MODE, pts_us=0, length=timedelta(seconds=seconds))
