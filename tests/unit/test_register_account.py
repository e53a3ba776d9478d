"""What a camera did adds up: days to months, runs to uptime, and no count tells of the few."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agent.core.log.leaf import Event
from provisioning.register.account import account_of

MIDNIGHT = datetime(2026, 11, 28, tzinfo=UTC)
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


def event(kind: str, at: datetime, **facts: object) -> Event:
    return Event(number=0, at=at, kind=kind, facts=facts)  # type: ignore[arg-type]


def segment(starts_at: datetime, lasts: timedelta = 10 * SECOND, layer: str = "masked", **facts: object) -> Event:
    ends_at = starts_at + lasts
    span = {"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()}
    frames = {"frames_stored": 150, "frames_failed_closed": 0, "frames_dropped": 0, "truncated": False}
    return event("segment-stored", ends_at + SECOND, **{"layer": layer, **span, **frames, **facts})


def test_a_recording_over_midnight_belongs_to_both_days() -> None:
    account = account_of([segment(MIDNIGHT - 4 * SECOND)], since=MIDNIGHT - DAY, until=MIDNIGHT + DAY)

    assert account.recorded_by_day == {(MIDNIGHT - DAY).date(): 4 * SECOND, MIDNIGHT.date(): 6 * SECOND}
    assert account.recorded == 10 * SECOND


def test_frames_that_failed_closed_are_counted_once() -> None:
    events = [segment(MIDNIGHT - 4 * SECOND, frames_failed_closed=15), segment(MIDNIGHT + HOUR, truncated=True)]

    before = account_of(events, since=MIDNIGHT - DAY, until=MIDNIGHT)
    after = account_of(events, since=MIDNIGHT, until=MIDNIGHT + DAY)

    assert (before.frames_failed_closed, after.frames_failed_closed) == (0, 15)
    assert (after.segments, after.truncated, after.frames_stored) == (2, 1, 300)


def test_the_sealed_layer_is_no_second_recording() -> None:
    events = [segment(MIDNIGHT), segment(MIDNIGHT, layer="sealed")]

    account = account_of(events, since=MIDNIGHT, until=MIDNIGHT + DAY)

    assert (account.segments, account.sealed_segments, account.recorded) == (1, 1, 10 * SECOND)


def test_it_ran_from_each_start_to_its_stop_or_to_its_last_sign() -> None:
    events = [
        event("started", MIDNIGHT - HOUR),
        event("stopped", MIDNIGHT + HOUR),
        event("started", MIDNIGHT + 2 * HOUR),
        event("policy-applied", MIDNIGHT + 4 * HOUR),  # the power fails
        event("started", MIDNIGHT + 12 * HOUR),
        event("policy-refused", MIDNIGHT + 30 * HOUR),
    ]

    account = account_of(events, since=MIDNIGHT, until=MIDNIGHT + DAY)

    assert account.ran == (1 + 2 + 12) * HOUR
    assert account.uptime_ratio == 15 / 24
    assert (account.starts, account.policies_applied, account.policies_refused) == (2, 1, 0)


def test_removals_are_told_by_reason() -> None:
    events = [
        event("removal", MIDNIGHT, reason="expired", segments=3),
        event("removal", MIDNIGHT + HOUR, reason="expired", segments=4),
        event("erasure-done", MIDNIGHT + 2 * HOUR, segments=9),
    ]

    assert account_of(events, since=MIDNIGHT, until=MIDNIGHT + DAY).removed == {"erased": 9, "expired": 7}


def test_a_suppressed_count_stays_suppressed_and_is_said_to_be() -> None:
    quarter = {"place": "crossing", "interval_s": 900, "watched_s": 890, "suppressed_below": 5}
    events = [
        event("counts", MIDNIGHT + n * HOUR, **quarter, interval_at=(MIDNIGHT + n * HOUR).isoformat(), person_in=told)
        for n, told in enumerate((12, None, 7))
    ]

    (counted,) = account_of(events, since=MIDNIGHT, until=MIDNIGHT + DAY).counted

    assert (counted.place, counted.what, counted.told) == ("crossing", "person_in", 2)
    assert (counted.total.at_least, counted.total.suppressed) == (19, 1)


def test_a_leaf_that_does_not_say_when_covers_no_time() -> None:
    untold = event("segment-stored", MIDNIGHT + SECOND, layer="masked", frames_stored=150)

    account = account_of([untold], since=MIDNIGHT, until=MIDNIGHT + DAY)

    assert (account.segments, account.recorded) == (1, timedelta(0))


MOMENTS = st.integers(0, 3 * 86_400).map(lambda s: MIDNIGHT + s * SECOND)


@given(segments=st.lists(st.tuples(MOMENTS, st.integers(1, 4000)), max_size=12), cut=MOMENTS)
def test_two_spans_that_meet_add_up_to_the_whole(segments: list[tuple[datetime, int]], cut: datetime) -> None:
    events = sorted((segment(at, lasts * SECOND) for at, lasts in segments), key=lambda one: one.at)
    since, until = MIDNIGHT - DAY, MIDNIGHT + 5 * DAY

    whole, first, second = (
        account_of(events, since=start, until=end) for start, end in ((since, until), (since, cut), (cut, until))
    )

    assert first.recorded + second.recorded == whole.recorded
    assert first.segments + second.segments == whole.segments == len(events)
    assert first.frames_stored + second.frames_stored == whole.frames_stored
