"""What a camera did is read from the latest part of its log; what its log says of itself is shown at any length."""

from datetime import timedelta
from pathlib import Path

import pytest

from agent.core.log.checkpoint import open_checkpoint
from agent.core.log.leaf import Event
from agent.core.log.merkle import verify_inclusion
from provisioning.register.deeds import ACCOUNTED, deeds_of
from tests.fakes.documents import DAY, NOON
from tests.fakes.registered import LOG, make_backend

HOUR = timedelta(hours=1)


def told(count: int, *, every: timedelta = HOUR) -> list[Event]:
    """Return a log whose last entry was written an hour before noon, in which the recorder started once."""
    first = NOON - HOUR - (count - 1) * every
    kinds = ["started", *["policy-applied"] * (count - 1)]
    return [Event(number=n, at=first + n * every, kind=kind, facts={}) for n, kind in enumerate(kinds)]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 7, 8, 12, 20])
def test_the_last_entry_is_shown_to_be_in_a_log_of_any_length(size: int, tmp_path: Path) -> None:
    attested = deeds_of(["cam-07"], make_backend(tmp_path / "backend", told(size)), NOON)["cam-07"].attestation

    assert attested is not None
    checkpoint = open_checkpoint(attested.checkpoint.encode(), LOG)
    proof = [bytes.fromhex(one) for one in attested.proof]
    leaf = bytes.fromhex(attested.leaf_hash)
    verify_inclusion(index=size - 1, size=checkpoint.size, leaf=leaf, proof=proof, root=checkpoint.root)


def test_a_log_of_months_is_read_from_where_the_span_begins(tmp_path: Path) -> None:
    backend = make_backend(tmp_path / "backend", told(2_000))

    account = deeds_of(["cam-07"], backend, NOON)["cam-07"].account

    assert account is not None
    assert account.since == NOON - ACCOUNTED
    assert (account.leaves, account.starts) == (720, 0)
    assert account.ran_s == (ACCOUNTED - HOUR).total_seconds()


def test_a_recorder_that_stopped_before_the_span_did_not_run_in_it(tmp_path: Path) -> None:
    events = told(600)
    early = [Event(number=one.number, at=one.at - 60 * DAY, kind=one.kind, facts={}) for one in events]
    early.append(Event(number=600, at=early[-1].at, kind="stopped", facts={}))
    kinds = ["started", *["counts"] * 299]
    later = [Event(number=601 + n, at=NOON - (300 - n) * HOUR, kind=kind, facts={}) for n, kind in enumerate(kinds)]

    account = deeds_of(["cam-07"], make_backend(tmp_path / "backend", [*early, *later]), NOON)["cam-07"].account

    assert account is not None
    assert account.starts == 1
    assert account.ran_s == (299 * HOUR).total_seconds()


def test_a_camera_that_nobody_heard_of_did_nothing_that_is_known(tmp_path: Path) -> None:
    assert deeds_of(["cam-99"], make_backend(tmp_path / "backend", told(3)), NOON) == {}
