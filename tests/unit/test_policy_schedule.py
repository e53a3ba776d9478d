"""Hours follow the city's wall clock, through both changes of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.policy.civil_time import zone_of
from agent.core.policy.documents import ALWAYS, WEEKDAYS, Opening
from agent.core.policy.schedule import ALL_WEEK, is_open, next_flip, week_of

ST_LOUIS = zone_of("CST6CDT,M3.2.0,M11.1.0")
SPRING = datetime(2026, 3, 8, 8, tzinfo=UTC)  # 02:00 CST becomes 03:00 CDT, a Sunday
AUTUMN = datetime(2026, 11, 1, 7, tzinfo=UTC)  # 02:00 CDT becomes 01:00 CST, a Sunday
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def on_sundays(opens: str, closes: str) -> int:
    return week_of((Opening(days=("sun",), opens=opens, closes=closes),))


def test_always_is_every_minute_of_the_week() -> None:
    assert week_of((ALWAYS,)) == ALL_WEEK
    assert next_flip(ALL_WEEK, SPRING, ST_LOUIS) is None
    assert next_flip(0, SPRING, ST_LOUIS) is None


def test_openings_join() -> None:
    halves = (
        Opening(days=WEEKDAYS, opens="00:00", closes="12:30"),
        Opening(days=WEEKDAYS, opens="12:30", closes="24:00"),
    )

    assert week_of(halves) == ALL_WEEK


def test_hours_are_half_open() -> None:
    week = on_sundays("06:00", "07:00")
    opens = datetime(2026, 11, 29, 12, tzinfo=UTC)

    assert not is_open(week, opens - timedelta(microseconds=1), ST_LOUIS)
    assert is_open(week, opens, ST_LOUIS)
    assert is_open(week, opens + HOUR - timedelta(microseconds=1), ST_LOUIS)
    assert not is_open(week, opens + HOUR, ST_LOUIS)


def test_an_hour_that_does_not_happen_is_not_open() -> None:
    week = on_sundays("02:15", "02:45")

    assert next_flip(week, SPRING - 2 * HOUR, ST_LOUIS) == datetime(2026, 3, 15, 7, 15, tzinfo=UTC)


def test_hours_that_begin_in_the_gap_open_after_it() -> None:
    week = on_sundays("02:30", "04:00")

    assert next_flip(week, SPRING - 2 * HOUR, ST_LOUIS) == SPRING
    assert next_flip(week, SPRING, ST_LOUIS) == SPRING + HOUR


def test_an_hour_that_happens_twice_is_open_twice() -> None:
    week = on_sundays("01:00", "01:30")
    first = AUTUMN - HOUR

    assert next_flip(week, first - 2 * HOUR, ST_LOUIS) == first
    assert next_flip(week, first, ST_LOUIS) == first + 30 * MINUTE
    assert next_flip(week, first + 30 * MINUTE, ST_LOUIS) == AUTUMN
    assert next_flip(week, AUTUMN, ST_LOUIS) == AUTUMN + 30 * MINUTE


@given(
    st.integers(0, 2**20 - 1).map(lambda bits: sum(1 << (n * 503) for n in range(20) if bits >> n & 1)),
    st.sampled_from([SPRING, AUTUMN, datetime(2026, 7, 1, tzinfo=UTC)]),
    st.integers(-4 * 24 * 60, 4 * 24 * 60),
    st.sampled_from(["CST6CDT,M3.2.0,M11.1.0", "UTC0", "NZST-12NZDT,M9.5.0,M4.1.0/3"]),
)
def test_the_next_flip_is_the_first(week: int, near: datetime, minutes: int, rule: str) -> None:
    zone, start = zone_of(rule), near + minutes * MINUTE + timedelta(seconds=30)

    flip = next_flip(week, start, zone)

    at = start.replace(second=0) + MINUTE
    while flip is not None and at < flip:
        assert is_open(week, at, zone) == is_open(week, start, zone)
        at += MINUTE
    assert flip is None or is_open(week, flip, zone) != is_open(week, start, zone)


NO_RULES = [
    "", "America/Chicago", "CST6CDT", "CST6CDT,M13.2.0,M11.1.0", "CST6CDT,J60,J300", "CST99", "CST6:30:15", "é",
    "UTC0\n",
]  # fmt: skip


@pytest.mark.parametrize("rule", NO_RULES)
def test_a_time_zone_is_a_rule_and_nothing_else(rule: str) -> None:
    with pytest.raises(ValueError, match="POSIX rule"):
        zone_of(rule)


def test_a_rule_needs_no_tables_on_disk() -> None:
    assert datetime(2026, 7, 1, 12, tzinfo=UTC).astimezone(ST_LOUIS).isoformat() == "2026-07-01T07:00:00-05:00"
    assert datetime(2026, 12, 1, 12, tzinfo=UTC).astimezone(ST_LOUIS).isoformat() == "2026-12-01T06:00:00-06:00"
