"""Whatever arrives, and however often: each leaf is kept once, in order, and a hole is never skipped in silence."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from agent.core.messages.log import LogBatch
from provisioning.backend.log_cursor import Progress, advance

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def leaf(index: int) -> bytes:
    return f"leaf {index}".encode()


def batch(
    first: int,
    end: int,
    *,
    oldest: int = 0,
    total: int = 1000,
    requested: bool = False,
    skipped: tuple[int, ...] = (),
) -> LogBatch:
    return LogBatch(
        camera_id="cam-07",
        log_id="log-1",
        at=NOON,
        first=first,
        leaves=tuple(leaf(index) for index in range(first, end)),
        oldest=oldest,
        next=total,
        requested=requested,
        skipped=skipped,
    )


def test_what_follows_on_is_kept_and_moves_the_cursor() -> None:
    assert advance(5, batch(5, 7), {}) == Progress(leaves=((5, leaf(5)), (6, leaf(6))), next=7)


def test_what_came_before_changes_nothing() -> None:
    kept = {index: leaf(index) for index in range(5)}

    assert advance(5, batch(0, 5), kept) == Progress(next=5)


def test_an_overlap_adds_its_new_part_only() -> None:
    assert advance(5, batch(3, 7), {3: leaf(3), 4: leaf(4)}).leaves == ((5, leaf(5)), (6, leaf(6)))


def test_what_lies_beyond_a_hole_is_left_until_the_hole_is_filled() -> None:
    assert advance(5, batch(8, 10), {}) == Progress(next=5)


def test_what_the_camera_no_longer_has_is_noted_as_lost_and_passed() -> None:
    assert advance(5, batch(8, 10, oldest=8), {}) == Progress(
        leaves=((8, leaf(8)), (9, leaf(9))), lost=((5, 8),), next=10
    )


def test_a_batch_without_leaves_still_says_what_is_lost() -> None:
    assert advance(5, batch(8, 8, oldest=8), {}) == Progress(lost=((5, 8),), next=8)


def test_a_camera_cannot_claim_to_have_lost_what_it_never_wrote() -> None:
    assert advance(5, batch(5, 5, oldest=2**50, total=7), {}) == Progress(lost=((5, 7),), next=7)


def test_a_rewritten_leaf_is_told_and_not_kept() -> None:
    progress = advance(5, batch(4, 6), {4: b"what it said first"})

    assert progress == Progress(leaves=((5, leaf(5)),), next=6, rewritten=(4,))


def test_a_leaf_that_no_broker_carries_is_noted_as_lost_and_passed() -> None:
    assert advance(5, batch(7, 8, skipped=(5, 6)), {}) == Progress(
        leaves=((7, leaf(7)),), lost=((5, 6), (6, 7)), next=8
    )


def test_leaves_that_were_asked_for_fill_gaps() -> None:
    progress = advance(5, batch(1, 5, requested=True), {1: leaf(1), 2: leaf(2)})

    assert progress == Progress(leaves=((3, leaf(3)), (4, leaf(4))), next=5)


def test_leaves_that_were_asked_for_move_the_cursor_where_they_follow_on() -> None:
    assert advance(5, batch(4, 7, requested=True), {4: leaf(4)}).next == 7


def test_leaves_that_were_asked_for_skip_no_hole() -> None:
    assert advance(5, batch(8, 9, requested=True), {}) == Progress(next=5)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), max_size=30),
    st.integers(1, 30),
)
def test_any_order_of_batches_keeps_each_leaf_once_below_the_cursor(sent: list[tuple[int, int]], total: int) -> None:
    cursor, kept = 0, {}
    for first, count in [*sent, *((index, 1) for index in range(total))]:
        end = min(first + count, total)
        kept_now = {index: kept[index] for index in range(first, end) if index in kept}
        progress = advance(cursor, batch(min(first, end), end, total=total), kept_now)
        assert not kept.keys() & dict(progress.leaves).keys()
        assert progress.next >= cursor
        kept.update(progress.leaves)
        cursor = progress.next
        assert kept == {index: leaf(index) for index in range(cursor)}
    assert cursor == total
