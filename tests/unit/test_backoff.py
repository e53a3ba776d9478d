"""The wait grows up to a bound and is spread over all of it."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from agent.core.backoff import Backoff

BACKOFF = Backoff(first=timedelta(seconds=1), most=timedelta(seconds=30))


def test_the_longest_wait_doubles_up_to_its_bound() -> None:
    longest = [BACKOFF.delay(failures, lambda: 1.0).total_seconds() for failures in range(1, 8)]

    assert longest == [1, 2, 4, 8, 16, 30, 30]


def test_the_wait_is_spread_from_zero() -> None:
    assert BACKOFF.delay(3, lambda: 0.0) == timedelta(0)
    assert BACKOFF.delay(3, lambda: 0.25) == timedelta(seconds=1)


@given(failures=st.integers(1, 10**9), drawn=st.floats(0, 1))
def test_no_wait_is_ever_longer_than_the_bound(failures: int, drawn: float) -> None:
    assert timedelta(0) <= BACKOFF.delay(failures, lambda: drawn) <= BACKOFF.most
