"""Never more frames than allowed, evenly spread, and no burst after a gap."""

from hypothesis import given
from hypothesis import strategies as st

from agent.core.thinning import Thinning


def kept(pts: list[int], rate_hz: int) -> list[int]:
    thinning = Thinning()
    return [p for p in pts if thinning.keeps(p, rate_hz=rate_hz)]


def test_a_stream_at_the_allowed_rate_passes_whole_in_spite_of_jitter() -> None:
    pts = [n * 40_000 + (3_000 if n % 2 else -3_000) for n in range(1, 200)]

    assert kept(pts, 25) == pts


def test_a_faster_stream_is_thinned_evenly() -> None:
    pts = [n * 20_000 for n in range(100)]

    assert kept(pts, 25) == pts[::2]


def test_a_gap_is_not_made_up_for() -> None:
    pts = [0, 10_000_000, *(10_000_000 + n * 10_000 for n in range(1, 101))]

    assert len(kept(pts, 10)) <= 13


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=300), st.integers(1, 60))
def test_no_second_holds_more_than_allowed_and_one_for_jitter(gaps_us: list[int], rate_hz: int) -> None:
    pts = [sum(gaps_us[: n + 1]) for n in range(len(gaps_us))]

    passed = kept(pts, rate_hz)

    for start in passed:
        assert sum(start <= p < start + 1_000_000 for p in passed) <= rate_hz + 1
