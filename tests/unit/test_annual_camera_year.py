"""What one camera did in a year: which leaves are of it, what is lost, and when it was silent."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.core.log.leaf import Event
from provisioning.annual.camera_year import CameraYear, LogOrigin, Year, camera_year
from provisioning.footage.accounting import Hole

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)
NEXT = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
YEAR = Year(number=2025, as_of=NEXT + 40 * DAY)
LOG = LogOrigin(camera="cam-07", name="lamppost/cam-07/0000", size=9, key_known=True)


def leaf(number: int, at: datetime, kind: str = "policy-applied", **facts: Any) -> Event:
    return Event(number=number, at=at, kind=kind, facts=facts)


def of(*leaves: Event | Hole, year: Year = YEAR) -> CameraYear:
    return camera_year("cam-07", [(LOG, leaves)], year)


def daily(first: int, begins: datetime, days: int) -> Iterable[Event]:
    return (leaf(first + n, begins + n * DAY) for n in range(days))


def test_the_leaves_of_a_year_are_those_dated_in_it() -> None:
    (part,) = of(
        leaf(0, NEW_YEAR - HOUR), leaf(1, NEW_YEAR), leaf(2, NEW_YEAR + HOUR), leaf(3, NEXT), leaf(4, NEXT + HOUR)
    ).parts

    assert (part.first, part.last) == (1, 2)
    assert (part.begins_at, part.ends_at) == (NEW_YEAR - HOUR, NEXT + HOUR)


def test_a_segment_over_new_year_counts_in_each_year_for_its_part() -> None:
    span = {"starts_at": (NEW_YEAR - HOUR).isoformat(), "ends_at": (NEW_YEAR + 2 * HOUR).isoformat()}

    one = of(leaf(0, NEW_YEAR + 2 * HOUR, "segment-stored", layer="masked", documents=["g-1"], **span))

    assert one.account.recorded == 2 * HOUR
    assert one.recorded_under == {"g-1": 2 * HOUR}
    assert one.recorded_by_month == (2 * HOUR, *[timedelta(0)] * 11)


def test_the_sealed_layer_is_not_counted_twice() -> None:
    span = {"starts_at": NEW_YEAR.isoformat(), "ends_at": (NEW_YEAR + HOUR).isoformat()}

    one = of(leaf(0, NEW_YEAR + HOUR, "segment-stored", layer="sealed", documents=["g-1"], **span))

    assert one.account.recorded == timedelta(0)
    assert one.recorded_under == {}


def test_a_hole_is_of_the_year_if_what_lies_around_it_may_be() -> None:
    before, within, after = Hole(1, 2), Hole(4, 6), Hole(8, 9)

    (part,) = of(
        leaf(0, NEW_YEAR - 9 * DAY),
        before,
        leaf(2, NEW_YEAR - 8 * DAY),
        leaf(3, NEW_YEAR + DAY),
        within,
        leaf(6, NEW_YEAR + 2 * DAY),
        leaf(7, NEXT + DAY),
        after,
    ).parts

    assert part.holes == (within,)


def test_a_log_whose_beginning_is_lost_may_have_told_of_the_year() -> None:
    (part,) = of(Hole(0, 5), leaf(5, NEXT + DAY)).parts

    assert part.holes == (Hole(0, 5),)
    assert part.first is None


def test_a_camera_that_says_nothing_for_days_is_silent_and_one_whose_text_is_lost_is_not() -> None:
    quiet = of(*daily(0, NEW_YEAR, 3), *daily(3, NEW_YEAR + 9 * DAY, 3))
    lost = of(*daily(0, NEW_YEAR, 3), Hole(3, 9), *daily(9, NEW_YEAR + 9 * DAY, 3))

    assert quiet.silent == ((NEW_YEAR + 2 * DAY, NEW_YEAR + 9 * DAY),)
    assert lost.silent == ()


def test_silence_is_told_as_far_as_it_lies_in_the_year() -> None:
    one = of(leaf(0, NEW_YEAR - 9 * DAY), leaf(1, NEW_YEAR + 4 * DAY))

    assert one.silent == ((NEW_YEAR, NEW_YEAR + 4 * DAY),)


def test_of_a_year_that_is_not_over_nothing_is_told_beyond_now() -> None:
    now = NEW_YEAR + 3 * DAY
    running = Year(number=2025, as_of=now)

    one = of(*daily(0, NEW_YEAR, 5), year=running)

    assert not running.is_over
    assert (one.parts[0].first, one.parts[0].last) == (0, 2)
    assert one.account.leaves == 3


def test_reasons_lose_the_name_of_the_error_that_carried_them() -> None:
    one = of(
        leaf(0, NEW_YEAR, "mask-recovered", reason="NotSafeError: the lens is covered", frames=3),
        leaf(1, NEW_YEAR, "mask-recovered", reason="NotSafeError: the lens is covered", frames=4),
        leaf(2, NEW_YEAR, "mask-recovered", reason="something else: it says", frames=9),
    )

    assert one.failed_closed == {"something else: it says": 9, "the lens is covered": 7}


def test_two_logs_of_a_camera_add_up() -> None:
    other = LogOrigin(camera="cam-07", name="lamppost/cam-07/1111", size=2, key_known=True)

    one = camera_year("cam-07", [(LOG, daily(0, NEW_YEAR, 2)), (other, daily(0, NEW_YEAR + 2 * DAY, 2))], YEAR)

    assert one.account.leaves == 4
    assert [(part.first, part.last) for part in one.parts] == [(0, 1), (0, 1)]
    assert one.silent == ()
