"""A metric is held against the target that its grant set, and nothing is called missed that may have been reached."""

from dataclasses import replace

import pytest

from agent.core.policy.documents import Target
from provisioning.annual.effect import Effect, Verdict

EFFECT = Effect(
    grant="g-2025-001",
    site="Main Street at 5th",
    clause="SL-T1-1",
    metric="hours-recorded",
    value=100,
    source="camera log",
    target=None,
    asked=None,
)
AT_LEAST = Target(metric="hours-recorded", at_least=100)
AT_MOST = Target(metric="hours-recorded", at_most=100)


@pytest.mark.parametrize(
    ("target", "value", "partial", "verdict"),
    [
        (None, 100, False, Verdict.NO_TARGET),
        (AT_LEAST, None, False, Verdict.UNKNOWN),
        (AT_LEAST, 100, False, Verdict.REACHED),
        (AT_LEAST, 99, False, Verdict.MISSED),
        (AT_LEAST, 99, True, Verdict.UNKNOWN),
        (AT_LEAST, 100, True, Verdict.REACHED),
        (AT_MOST, 100, False, Verdict.REACHED),
        (AT_MOST, 101, False, Verdict.MISSED),
        (AT_MOST, 100, True, Verdict.UNKNOWN),
        (AT_MOST, 101, True, Verdict.MISSED),
    ],
)
def test_what_a_number_says_of_its_target(
    target: Target | None, value: int | None, partial: bool, verdict: Verdict
) -> None:
    asked = None if target is None else 100

    assert replace(EFFECT, target=target, asked=asked, value=value, partial=partial).verdict is verdict
