"""Every store keeps what was appended, in order, and gives up only what it is told to."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.adapters.ring import Ring, RingSettings
from agent.core.video import Layer
from agent.errors import StorageError, StorageFullError
from agent.ports import Store
from tests.fakes.sealed import NOON, sealed_fragments
from tests.fakes.store import MemoryStore

MakeStore = Callable[[int], Store]
SEGMENT_BYTES = 1000
ROOMY_BYTES = 10**9


@pytest.fixture(params=["ring", "memory"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """Return a function that makes an empty store of a capacity."""
    rings: list[Ring] = []

    def make(capacity_bytes: int) -> Store:
        if request.param == "memory":
            return MemoryStore(capacity_bytes=capacity_bytes, segment_bytes=SEGMENT_BYTES)
        settings = RingSettings(capacity_bytes=capacity_bytes, keep_free_bytes=0, segment_bytes=SEGMENT_BYTES)
        rings.append(Ring(tmp_path / "footage", "pole-7", settings))
        return rings[-1]

    yield make
    for ring in rings:
        ring.close()


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store(ROOMY_BYTES)


def test_a_finished_segment_is_stored_with_its_name_and_size(store: Store) -> None:
    first, *middle, last = sealed_fragments(3)
    running = store.start(Layer.SEALED, NOON)

    for fragment in (first, *middle):
        running.append(fragment)
    stored = running.finish(last)

    assert store.segments() == [stored]
    assert stored.path == f"2026/11/28/pole-7-20261128T120000.000000Z-{stored.sequence:08d}.sealed.mp4.age"
    assert stored.size_bytes == sum(len(each.sealed) for each in (first, *middle, last))
    assert (stored.camera_id, stored.layer, stored.started_at) == ("pole-7", Layer.SEALED, NOON)
    assert not stored.truncated


def test_a_running_segment_is_not_stored_yet(store: Store) -> None:
    store.start(Layer.MASKED, NOON).append(sealed_fragments(1)[0])

    assert store.segments() == []


def test_sequence_numbers_rise_by_one_over_both_layers_and_steps_of_the_clock(store: Store) -> None:
    starts = [(Layer.MASKED, NOON), (Layer.SEALED, NOON), (Layer.MASKED, NOON - timedelta(hours=3))]

    for layer, started_at in starts:
        store.start(layer, started_at).finish(sealed_fragments(0)[0])

    sequences = [segment.sequence for segment in store.segments()]
    assert sequences == [sequences[0], sequences[0] + 1, sequences[0] + 2]
    assert [(segment.layer, segment.started_at) for segment in store.segments()] == starts


def test_an_abandoned_segment_with_a_whole_chunk_is_kept_and_marked(store: Store) -> None:
    running = store.start(Layer.MASKED, NOON)
    running.append(sealed_fragments(1)[0])

    running.abandon()
    running.abandon()

    (kept,) = store.segments()
    assert kept.truncated
    assert kept.path.endswith(".truncated.mp4.age")
    assert store.use().truncated == 1


def test_an_abandoned_segment_that_nobody_could_open_is_gone(store: Store) -> None:
    running = store.start(Layer.MASKED, NOON)
    running.append(sealed_fragments(1, size_bytes=400)[0])

    running.abandon()

    assert store.segments() == []


def test_a_segment_that_is_over_takes_nothing_more(store: Store) -> None:
    fragment, last = sealed_fragments(1)
    running = store.start(Layer.MASKED, NOON)
    running.append(fragment)
    running.abandon()
    before = store.segments()

    with pytest.raises(StorageError, match="over"):
        running.append(last)
    with pytest.raises(StorageError, match="over"):
        running.finish()

    assert store.segments() == before


def test_only_what_is_named_is_removed(store: Store) -> None:
    kept, gone = (store.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]) for _ in range(2))

    store.remove([gone])

    assert store.segments() == [kept]
    assert store.use().stored_bytes == kept.size_bytes


def test_a_segment_the_store_does_not_have_is_refused_and_nothing_removed(store: Store) -> None:
    kept, gone = (store.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]) for _ in range(2))
    store.remove([gone])

    with pytest.raises(ValueError, match="not in the"):
        store.remove([kept, gone])

    assert store.segments() == [kept]


def test_use_tells_how_full_it_is(store: Store) -> None:
    first = store.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])
    second = store.start(Layer.MASKED, NOON + timedelta(seconds=10)).finish(sealed_fragments(0)[0])

    use = store.use()

    assert (use.segments, use.stored_bytes) == (2, first.size_bytes + second.size_bytes)
    assert (use.oldest_at, use.truncated) == (NOON, 0)
    assert 0 < use.capacity_bytes <= ROOMY_BYTES
    assert use.reserved_bytes >= SEGMENT_BYTES


def test_an_empty_store_has_no_oldest_footage(store: Store) -> None:
    assert store.use().oldest_at is None


def test_a_full_store_refuses_to_start_and_says_so_until_there_is_room(make_store: MakeStore) -> None:
    store = make_store(SEGMENT_BYTES)
    stored = store.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0])

    with pytest.raises(StorageFullError):
        store.start(Layer.MASKED, NOON)
    with pytest.raises(StorageFullError):
        store.probe()
    assert store.segments() == [stored]
    store.remove([stored])

    store.probe()
    assert store.start(Layer.MASKED, NOON).finish(sealed_fragments(0)[0]).sequence > stored.sequence
