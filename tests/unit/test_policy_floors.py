"""What a camera has accepted once is the least it accepts again, and what narrows is never forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.policy import ledger as ledger_module
from agent.core.policy.clock import SIGNING_SLACK, ClockQuality, ClockState, believe
from agent.core.policy.floors import Floors
from agent.core.policy.ledger import remember
from agent.core.policy.release import TOP_LEVEL, Release, SignedDocument, SigningRule
from agent.errors import PolicyError, RollbackError

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def release(*, at: datetime = NOON, online: str = "online", **versions: int) -> Release:
    """Return a release signed `at` in which every role not named is at version 1."""
    every = {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1, "grants": 1} | versions
    return Release(
        versions=every,
        listed={role: version for role, version in every.items() if role not in {"root", "timestamp", "snapshot"}},
        expires_at=dict.fromkeys(every, at + 7 * DAY),
        signed_at=at,
        top_level={role: SigningRule(role=role, keys=frozenset({online}), listed=1, threshold=1) for role in TOP_LEVEL},
        delegations=(),
        documents=(),
    )


versions = st.fixed_dictionaries(
    {role: st.integers(1, 5) for role in ("root", "timestamp", "snapshot", "targets", "grants")}
)


@given(st.lists(st.tuples(versions, st.integers(0, 5)), max_size=8))
def test_no_accepted_version_ever_falls(offers: list[tuple[dict[str, int], int]]) -> None:
    floors = Floors()
    for offered, hours in offers:
        candidate = release(at=NOON + hours * HOUR, **offered)
        before = floors
        try:
            floors.refuse_older(candidate)
        except RollbackError:
            continue
        floors = floors.raised_by(candidate)
        assert all(floors.versions[role] >= version for role, version in before.versions.items())
        assert before.time is None or floors.time >= before.time


@given(st.lists(st.tuples(versions, st.integers(0, 5)), min_size=1, max_size=8))
def test_replaying_anything_accepted_before_never_moves_a_floor(offers: list[tuple[dict[str, int], int]]) -> None:
    floors = Floors()
    accepted = []
    for offered, hours in offers:
        candidate = release(at=NOON + hours * HOUR, **offered)
        try:
            floors.refuse_older(candidate)
        except RollbackError:
            continue
        floors = floors.raised_by(candidate)
        accepted.append(candidate)

    for replayed in accepted:
        try:
            floors.refuse_older(replayed)
        except RollbackError:
            continue
        assert floors.raised_by(replayed).versions == floors.versions


def test_a_role_that_is_no_longer_delegated_keeps_its_floor_in_the_snapshot() -> None:
    floors = Floors().raised_by(release(grants=3))
    without = release(timestamp=2, at=NOON + HOUR)
    delegated = {role: version for role, version in without.versions.items() if role != "grants"}

    floors.refuse_older(replace(without, versions=delegated, listed={"targets": 1, "grants": 3}))
    with pytest.raises(RollbackError, match="grants is at version 2"):
        floors.refuse_older(replace(without, versions=delegated, listed={"targets": 1, "grants": 2}))
    with pytest.raises(RollbackError, match="no longer lists it"):
        floors.refuse_older(replace(without, versions=delegated, listed={"targets": 1}))


def test_new_online_keys_without_a_new_root_recover_nothing() -> None:
    floors = Floors().raised_by(release(timestamp=9))

    with pytest.raises(RollbackError):
        floors.refuse_older(release(timestamp=1, online="stolen", at=NOON + HOUR))
    floors.refuse_older(release(timestamp=1, root=2, online="new", at=NOON + HOUR))


# --- after a loss -----------------------------------------------------------------


def test_a_loss_ends_when_grants_are_signed_anew() -> None:
    lost = Floors().raised_by(release(grants=3)).after_loss()

    same = lost.raised_by(release(grants=3, timestamp=2))
    newer = same.raised_by(release(grants=4, timestamp=3))

    assert (lost.lost, lost.grants_above) == (True, 3)
    assert (same.lost, same.grants_above) == (True, 3)
    assert (newer.lost, newer.grants_above) == (False, None)


def test_after_a_total_loss_the_first_release_counts_as_the_old_one() -> None:
    lost = Floors().after_loss()

    first = lost.raised_by(release(grants=8))
    second = first.raised_by(release(grants=9, timestamp=2))

    assert (first.lost, first.grants_above) == (True, 8)
    assert not second.lost


# --- time -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall", "quality", "floor", "now", "believed"),
    [
        (NOON, ClockQuality.UNKNOWN, None, NOON, ClockQuality.UNKNOWN),
        (NOON, ClockQuality.FLOOR, None, NOON, ClockQuality.UNKNOWN),
        (NOON, ClockQuality.SYNCHRONISED, None, NOON, ClockQuality.SYNCHRONISED),
        (NOON, ClockQuality.UNKNOWN, NOON - HOUR, NOON, ClockQuality.FLOOR),
        (NOON, ClockQuality.SYNCHRONISED, NOON - HOUR, NOON, ClockQuality.SYNCHRONISED),
        (NOON, ClockQuality.SYNCHRONISED, NOON + SIGNING_SLACK, NOON, ClockQuality.SYNCHRONISED),
        (NOON, ClockQuality.SYNCHRONISED, NOON + HOUR, NOON + HOUR - SIGNING_SLACK, ClockQuality.FLOOR),
        (NOON, ClockQuality.UNKNOWN, NOON + HOUR, NOON + HOUR - SIGNING_SLACK, ClockQuality.FLOOR),
    ],
)
def test_a_clock_is_believed_above_its_floor(
    wall: datetime, quality: ClockQuality, floor: datetime | None, now: datetime, believed: ClockQuality
) -> None:
    assert believe(wall, quality, floor) == ClockState(now=now, quality=believed, proven=floor)


def test_a_time_floor_goes_on_with_the_monotonic_clock() -> None:
    floors = Floors().raised_by(release())

    later = floors.carried_on(30 * DAY, wall=NOON, quality=ClockQuality.UNKNOWN)

    assert later.time == NOON + 30 * DAY


def test_a_synchronised_clock_raises_the_floor_up_to_the_end_of_the_release() -> None:
    floors = Floors().raised_by(release())

    seen = floors.carried_on(HOUR, wall=NOON + DAY, quality=ClockQuality.SYNCHRONISED)
    forged = seen.carried_on(HOUR, wall=NOON + 3650 * DAY, quality=ClockQuality.SYNCHRONISED)
    back = forged.carried_on(HOUR, wall=NOON, quality=ClockQuality.SYNCHRONISED)

    assert seen.time == NOON + DAY
    assert forged.time == NOON + 7 * DAY
    assert back.time == NOON + 7 * DAY


def test_a_floor_that_was_never_set_goes_nowhere() -> None:
    assert Floors().carried_on(HOUR, wall=NOON, quality=ClockQuality.SYNCHRONISED) == Floors()


# --- the ledger -------------------------------------------------------------------


def entry(path: str, raw: bytes = b"x", version: int = 1, role: str = "restrictions-a") -> SignedDocument:
    return SignedDocument(path=path, role=role, role_version=version, raw=raw)


documents = st.lists(st.builds(entry, st.sampled_from("abc"), st.sampled_from([b"x", b"y"]), st.integers(1, 3)))


@given(documents, documents)
def test_the_ledger_only_grows(before: list[SignedDocument], seen: list[SignedDocument]) -> None:
    ledger = remember((), before)

    after = remember(ledger, seen)

    assert after[: len(ledger)] == ledger
    assert {(one.path, one.raw) for one in after} == {(one.path, one.raw) for one in [*before, *seen]}
    assert remember(after, seen) == after


def test_a_ledger_that_is_full_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_LEDGER_BYTES", 10)  # 8 MiB would take the test a while
    ledger = remember((), [entry("a", bytes(10))])

    with pytest.raises(PolicyError, match="would take 11 bytes"):
        remember(ledger, [entry("b", bytes(1))])


def test_an_official_who_signs_without_end_leaves_room_for_the_others() -> None:
    flood = [entry(f"a{number}", bytes(64 * 1024)) for number in range(8)]
    ledger = remember((), flood)

    with pytest.raises(PolicyError, match="what restrictions-a ever narrowed would take 524289 bytes") as refused:
        remember(ledger, [entry("one-more", b"x")])

    assert "publish without the newest version of that role" in str(refused.value.hint)
    assert len(remember(ledger, [entry("b", role="revocations-b")])) == len(flood) + 1
