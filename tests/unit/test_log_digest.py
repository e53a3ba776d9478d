"""Equal values have one digest, and it is the SHA-256 of a spelling that other languages can make."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest

from agent.core.log.digest import digest_of
from agent.core.policy.decision import Decision, PeopleMode
from agent.core.zones import View, Zone

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
DECISION = Decision(
    recording=True,
    reason="grant g-1",
    zones=(Zone(name="windows of No. 14", polygon=((0, 0), (0.25, 0), (0.1, 1))),),
    view=View(),
    retention=timedelta(days=30),
)


@dataclass(frozen=True)
class Sample:
    name: str
    at: datetime
    lasts: timedelta
    mode: PeopleMode
    ratio: float
    pairs: tuple[tuple[int, bool], ...]
    nothing: None = None
    aside: int = field(default=0, compare=False)


SAMPLE = Sample("é", NOON, timedelta(seconds=1.5), PeopleMode.HEADS, 0.1, ((1, True),))


def test_a_digest_is_of_this_spelling() -> None:
    spelled = (
        '{"at":"2026-11-28T12:00:00.000000Z","lasts":1500000,"mode":"heads","name":"é","nothing":null,'
        '"pairs":[[1,true]],"ratio":"0.1"}'
    )

    assert digest_of(SAMPLE) == sha256(spelled.encode()).hexdigest()


def test_what_does_not_count_for_equality_does_not_count_here() -> None:
    assert digest_of(replace(SAMPLE, aside=1)) == digest_of(SAMPLE)
    assert digest_of(replace(SAMPLE, at=NOON.astimezone(timezone(timedelta(hours=-6))))) == digest_of(SAMPLE)
    assert digest_of((0.0, 1.0)) == digest_of([0, 1])
    assert digest_of(replace(DECISION, changes_at=NOON)) == digest_of(DECISION)


@pytest.mark.parametrize(
    "other",
    [replace(DECISION, reason="another"), replace(DECISION, zones=()), replace(DECISION, retention=timedelta(days=31))],
    ids=["reason", "zones", "retention"],
)
def test_another_decision_has_another_digest(other: Decision) -> None:
    assert digest_of(other) != digest_of(DECISION)


def test_what_has_no_spelling_has_no_digest() -> None:
    with pytest.raises(TypeError, match="bytes"):
        digest_of((b"",))
    with pytest.raises(TypeError, match="type"):
        digest_of(Sample)
