"""Every leaf reaches the backend, in order; nothing is flooded, and no poison is sent for ever."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from agent.core.delivery import (
    ANSWER_WITHIN_US,
    FIRST_PAUSE_US,
    LONGEST_PAUSE_US,
    WINDOW,
    Batch,
    Delivery,
    Due,
    acknowledged,
    begin,
    disconnected,
    due,
    overdue,
    refused,
    sent,
    taken,
)
from agent.core.messages.log import MAX_LEAVES, MAX_SKIPPED

POISON, NO_ROOM, NOT_AUTHORISED = 0x99, 0x97, 0x87


def send(state: Delivery, token: int, *, following: int, now_us: int = 0, oldest: int = 0) -> Delivery:
    """Send the batch that is due."""
    wanted = due(state, oldest=oldest, following=following, now_us=now_us)
    assert wanted is not None
    return sent(state, Batch(token=token, first=wanted.first, end=wanted.first + wanted.most, sent_at_us=now_us))


def test_sending_begins_behind_the_last_acknowledgement() -> None:
    assert due(begin(7), oldest=0, following=10, now_us=0) == Due(first=7, most=3)
    assert due(begin(10), oldest=0, following=10, now_us=0) is None


def test_what_the_log_no_longer_has_is_passed_over() -> None:
    assert due(begin(7), oldest=9, following=12, now_us=0) == Due(first=9, most=3)


def test_a_batch_holds_no_more_than_the_contract_allows() -> None:
    assert due(begin(0), oldest=0, following=10_000, now_us=0) == Due(first=0, most=MAX_LEAVES)


def test_no_more_batches_wait_than_the_window_or_the_broker_allow() -> None:
    state = begin(0)
    for token in range(WINDOW):
        state = send(state, token, following=10_000)

    assert due(state, oldest=0, following=10_000, now_us=0) is None
    assert due(replace(state, waiting=state.waiting[:2]), oldest=0, following=10_000, now_us=0, untaken_limit=2) is None


def test_that_the_broker_took_a_batch_frees_the_broker_not_the_window() -> None:
    state = send(begin(0), 1, following=10_000)

    state = taken(state, 1)

    assert due(state, oldest=0, following=10_000, now_us=0, untaken_limit=1) is not None
    assert [batch.taken for batch in state.waiting] == [True]
    assert state.acked == 0


def test_an_acknowledgement_moves_everything_on() -> None:
    state = send(send(begin(0), 1, following=1000), 2, following=1000)

    state = acknowledged(state, 256)

    assert (state.acked, state.cursor) == (256, 512)
    assert [batch.token for batch in state.waiting] == [2]


def test_an_acknowledgement_of_what_was_sent_in_another_life_is_believed() -> None:
    state = acknowledged(begin(0), 500)

    assert due(state, oldest=0, following=510, now_us=0) == Due(first=500, most=10)


def test_an_old_acknowledgement_changes_nothing() -> None:
    state = acknowledged(send(begin(0), 1, following=100), 100)

    assert acknowledged(state, 100) is state
    assert acknowledged(state, 40) is state


def test_a_silent_backend_gets_one_batch_at_growing_intervals() -> None:
    state, now_us = send(send(begin(0), 1, following=1000), 2, following=1000), 0
    pauses = []
    for token in range(3, 13):
        assert overdue(state, now_us=now_us) is state
        now_us += ANSWER_WITHIN_US
        state = overdue(state, now_us=now_us)
        pauses.append(state.paused_until_us - now_us)
        assert due(state, oldest=0, following=1000, now_us=state.paused_until_us - 1) is None
        now_us = state.paused_until_us
        state = send(state, token, following=1000, now_us=now_us)
        assert state.waiting[-1].first == 0
        assert due(state, oldest=0, following=1000, now_us=now_us) is None

    assert pauses[:3] == [FIRST_PAUSE_US, 2 * FIRST_PAUSE_US, 4 * FIRST_PAUSE_US]
    assert pauses[-1] == LONGEST_PAUSE_US


def test_an_answer_ends_the_silence() -> None:
    state = overdue(send(begin(0), 1, following=1000), now_us=ANSWER_WITHIN_US)

    state = acknowledged(state, 10)

    assert due(state, oldest=0, following=1000, now_us=ANSWER_WITHIN_US) == Due(first=10, most=MAX_LEAVES)
    assert state.silences == 0


def test_the_one_poison_leaf_is_found_by_halving_and_skipped() -> None:
    poison, state, token, arrived = 37, begin(0), 0, []
    while due(state, oldest=0, following=100, now_us=0) is not None:
        token += 1
        state = send(state, token, following=100)
        batch = state.waiting[-1]
        if batch.first <= poison < batch.end:
            state = refused(state, token, POISON, now_us=0)
        else:
            arrived += list(range(batch.first, batch.end))
            # The backend counts a skipped leaf as missing and acknowledges past it.
            state = acknowledged(taken(state, token), batch.end)

    assert arrived == [index for index in range(100) if index != poison]
    assert state.acked == 100
    assert state.skipped == ()
    assert token < 30


def test_a_skipped_leaf_is_told_until_it_is_acknowledged_and_never_sent_again() -> None:
    state = refused(send(replace(begin(5), most=1), 1, following=10), 1, POISON, now_us=0)

    assert state.skipped == (5,)
    assert due(disconnected(state), oldest=0, following=10, now_us=0) == Due(first=6, most=1)
    assert acknowledged(state, 7).skipped == ()


def test_a_batch_ends_before_a_skipped_leaf() -> None:
    state = replace(begin(0), skipped=(3,))

    assert due(state, oldest=0, following=10, now_us=0) == Due(first=0, most=3)
    assert due(replace(state, cursor=3), oldest=0, following=10, now_us=0) == Due(first=4, most=6)


@pytest.mark.parametrize("reason", [NO_ROOM, NOT_AUTHORISED, 0x80, 0x83])
def test_a_broker_that_refuses_everything_makes_no_leaf_poison(reason: int) -> None:
    state = send(replace(begin(5), most=1), 1, following=10)

    state = refused(state, 1, reason, now_us=50)

    assert state.skipped == ()
    assert (state.cursor, state.paused_until_us) == (5, 50 + FIRST_PAUSE_US)


def test_so_many_poison_leaves_are_none() -> None:
    many = tuple(range(MAX_SKIPPED))
    state = send(replace(begin(0), cursor=200, most=1, skipped=many), 1, following=300)

    state = refused(state, 1, POISON, now_us=0)

    assert state.skipped == many
    assert state.paused_until_us == FIRST_PAUSE_US


def test_what_is_said_about_other_messages_changes_nothing() -> None:
    state = send(begin(0), 1, following=10)

    assert refused(state, 99, POISON, now_us=0) is state
    assert taken(state, 99) == state


def test_a_new_connection_starts_over_behind_the_last_acknowledgement_at_once() -> None:
    state = overdue(acknowledged(send(send(begin(0), 1, following=1000), 2, following=1000), 256), now_us=10**9)

    state = disconnected(state)

    assert state.waiting == ()
    assert due(state, oldest=0, following=1000, now_us=0) == Due(first=256, most=MAX_LEAVES)


class _Backend:
    """Stores leaves in order, and says how far it has got."""

    def __init__(self) -> None:
        self.leaves: list[int] = []

    def take(self, first: int, end: int) -> int:
        for index in range(first, end):
            if index == len(self.leaves):
                self.leaves.append(index)
        return len(self.leaves)


@settings(max_examples=200)
@given(some.lists(some.sampled_from(["send", "lose", "ack", "old", "cut", "wait", "full"]), max_size=60))
def test_whatever_is_lost_every_leaf_arrives_once_and_in_order(happenings: list[str]) -> None:
    state, backend, now_us, token, following, acks = begin(0), _Backend(), 0, 0, 700, [0]
    for happening in [*happenings, "cut", *["send", "ack"] * 20]:
        now_us += 1_000
        match happening:
            case "send" | "lose" | "full":
                wanted = due(state, oldest=0, following=following, now_us=now_us)
                if wanted is not None:
                    token += 1
                    end = wanted.first + wanted.most
                    state = sent(state, Batch(token=token, first=wanted.first, end=end, sent_at_us=now_us))
                    if happening == "full":
                        state = refused(state, token, NO_ROOM, now_us=now_us)
                    elif happening == "send":
                        acks.append(backend.take(wanted.first, end))
            case "ack":
                state = acknowledged(state, acks[-1])
            case "old":
                state = acknowledged(state, acks[0])
            case "cut":
                state = disconnected(state)
            case _:
                now_us += ANSWER_WITHIN_US
                state = overdue(state, now_us=now_us)
        assert state.acked <= len(backend.leaves)
        assert state.acked <= state.cursor

    assert backend.leaves == list(range(following))
    assert state.acked == following
