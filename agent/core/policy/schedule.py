"""Weekly hours as a set of minutes, so that schedules join and meet like any other set.

A week is an integer of 10,080 bits, one for each minute of the city's wall clock
from Monday 00:00; `|` joins two schedules, `&` narrows one by the other. When the
clocks change, the wall clock decides: an hour that happens twice is open twice, an
hour that does not happen is not.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from agent.core.policy.documents import WEEKDAYS, Opening

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
ALL_WEEK = (1 << WEEK_MINUTES) - 1
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@lru_cache(maxsize=1024)
def week_of(schedule: Sequence[Opening]) -> int:
    """Return the minutes of a week that `schedule` opens."""
    week = 0
    for opening in schedule:
        opens, closes = _minute(opening.opens), _minute(opening.closes)
        day = (1 << closes) - (1 << opens)
        for weekday in opening.days:
            week |= day << (WEEKDAYS.index(weekday) * DAY_MINUTES)
    return week


def is_open(week: int, at: datetime, zone: ZoneInfo) -> bool:
    """Whether the minute that the city's wall clock shows at `at` is in `week`."""
    return bool(week >> _minute_of_week(at, zone) & 1)


def next_flip(week: int, after: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first instant later than `after` at which `is_open` differs from `after`; None if it never does."""
    if week in {0, ALL_WEEK}:
        return None
    now_open = is_open(week, after, zone)
    at = after
    while True:
        flip = _next_in_steady_time(week, at, zone)
        change = _offset_change(at, flip, zone)
        if change is None:
            return flip
        if is_open(week, change, zone) != now_open:
            return change
        at = change


def _minute(time_of_day: str) -> int:
    hours, minutes = time_of_day.split(":")
    return int(hours) * 60 + int(minutes)


def _minute_of_week(at: datetime, zone: ZoneInfo) -> int:
    local = at.astimezone(zone)
    return local.weekday() * DAY_MINUTES + local.hour * 60 + local.minute


def _next_in_steady_time(week: int, at: datetime, zone: ZoneInfo) -> datetime:
    """Return the next flip after `at` as if the clocks never changed."""
    minute = _minute_of_week(at, zone)
    rotated = (week >> minute) | (week << (WEEK_MINUTES - minute)) & ALL_WEEK  # bit 0 is now
    others = rotated ^ ALL_WEEK if rotated & 1 else rotated
    ahead = (others & -others).bit_length() - 1
    return at.replace(second=0, microsecond=0) + ahead * MINUTE  # offsets are whole minutes, so UTC minutes align


def _offset_change(start: datetime, end: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first instant after `start`, up to `end`, with another UTC offset; None if there is none.

    The two lie at most a week apart, within which no city changes its clocks twice.
    """
    offset = start.astimezone(zone).utcoffset()
    if end.astimezone(zone).utcoffset() == offset:
        return None
    before, after = start.replace(microsecond=0), end
    while after - before > SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
