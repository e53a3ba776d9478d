"""A year's logs come from copies on disk or from the backend that gathered them, and say the same."""

import shutil
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.adapters.log_files import read_leaves
from agent.adapters.tile_log import TileLog
from agent.core.log.checkpoint import log_key
from agent.core.log.leaf import Event
from agent.core.log.merkle import Frontier
from agent.core.log.note import VerifierKey
from agent.errors import LogForkedError, LogGapError, UsageError
from provisioning.annual.camera_year import Year
from provisioning.annual.logs import LogCopy, copies_in, gathered_in, in_order
from provisioning.backend.records import LogRecord
from provisioning.backend.store import Store
from provisioning.backend.witness import Witness, add_leaves
from provisioning.footage.accounting import Hole
from tests.fakes.exhibits import WITNESS_KEY, MemoryKeyring
from tests.fakes.simulated_year import HastyDisk

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
YEAR = Year(number=2025, as_of=NEW_YEAR + timedelta(days=400))
LEAVES = 600  # two whole tiles and a part of one
CAMERA = "cam-07"
LOG_ID = "5f0c9a1be24d7780"
KEY = log_key(CAMERA, MemoryKeyring(b"c" * 32).public)


def make_log(folder: Path, *, begins: datetime = NEW_YEAR, seed: bytes = b"c" * 32) -> VerifierKey:
    """Write a log of one camera and return its key."""
    with TileLog(folder, CAMERA, MemoryKeyring(seed), max_file_bytes=32 * 1024, disk=HastyDisk()) as log:
        log.append("started", begins, start=1, log_key=str(log.key))
        for number in range(1, LEAVES):
            log.append("policy-applied", begins + number * MINUTE, timestamp=number, bundle="0" * 64)
        log.publish()
        return log.key


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    make_log(tmp_path / "logs" / "a card")
    return tmp_path / "logs"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    yield made
    made.close()


@pytest.fixture
def backend_witness(tmp_path: Path) -> Witness:
    (tmp_path / "witness").mkdir()
    return Witness(tmp_path / "witness", WITNESS_KEY.name, Ed25519PrivateKey.from_private_bytes(b"w" * 32))


def gather(store: Store, log: Path, seen_by: Witness, *, without: Collection[int] = ()) -> None:
    """Have the backend gather a log, some leaves of which never came, and its witness cosign it."""
    leaves = dict(read_leaves(log))
    frontier = add_leaves(Frontier(), list(leaves.values()), first=0)
    with store.transaction() as fleet:
        fleet.cameras.meet(CAMERA, now=NEW_YEAR)
        lost = LogRecord(camera_id=CAMERA, log_id=LOG_ID, next=LEAVES, camera_next=LEAVES, lost=len(without))
        fleet.logs.begin(lost, now=NEW_YEAR)
        kept = ((number, leaf) for number, leaf in leaves.items() if number not in without)
        fleet.logs.append(CAMERA, LOG_ID, kept, now=NEW_YEAR)
        fleet.frontiers.keep(CAMERA, LOG_ID, KEY, frontier)
    seen_by.cosign_by_leaves((log / "checkpoint").read_bytes(), KEY, frontier=frontier, now=NEW_YEAR)


def only(copies: Iterator[LogCopy]) -> LogCopy:
    (copy,) = copies
    return copy


def test_the_backend_tells_the_same_leaves_as_the_card(logs: Path, store: Store, backend_witness: Witness) -> None:
    gather(store, logs / "a card", backend_witness)

    card = only(copies_in(logs, (), ()))
    gathered = only(gathered_in(store, backend_witness, YEAR))

    assert list(gathered.leaves()) == list(card.leaves())
    assert len(list(card.leaves())) == LEAVES
    assert (gathered.origin.name, gathered.origin.witnessed) == (card.origin.name, LEAVES)


def test_the_card_alone_is_believed_on_its_own_word_and_that_is_told(logs: Path) -> None:

    assert not only(copies_in(logs, (), ())).origin.key_known
    assert only(copies_in(logs, (KEY,), ())).origin.key_known


def test_leaves_that_never_came_are_a_hole_that_no_signature_covers(
    logs: Path, store: Store, backend_witness: Witness
) -> None:
    gather(store, logs / "a card", backend_witness, without={7, 8, LEAVES - 1})

    copy = only(gathered_in(store, backend_witness, YEAR))

    assert [one for one in copy.leaves() if isinstance(one, Hole)] == [Hole(7, 9), Hole(LEAVES - 1, LEAVES)]
    assert copy.origin.witnessed == 0
    assert "3 leaves never came" in copy.origin.faults[0]


def test_leaves_in_the_store_that_are_not_those_that_were_witnessed_are_refused(
    logs: Path, store: Store, backend_witness: Witness, tmp_path: Path
) -> None:
    make_log(tmp_path / "another", begins=NEW_YEAR + MINUTE)
    gather(store, tmp_path / "another", backend_witness)
    for kept in (tmp_path / "witness").glob("*.checkpoint"):
        kept.unlink()
    frontier = add_leaves(Frontier(), [leaf for _, leaf in read_leaves(logs / "a card")], first=0)
    note = (logs / "a card" / "checkpoint").read_bytes()
    backend_witness.cosign_by_leaves(note, KEY, frontier=frontier, now=NEW_YEAR)

    with pytest.raises(LogForkedError, match="are not the 600 that were witnessed"):
        list(only(gathered_in(store, backend_witness, YEAR)).leaves())


def test_an_alarm_of_the_year_goes_with_the_log_and_one_of_another_year_does_not(
    logs: Path, store: Store, backend_witness: Witness
) -> None:
    gather(store, logs / "a card", backend_witness)
    with store.transaction() as fleet:
        fleet.incidents.note(CAMERA, "log-forked", "two trees of 9 leaves", now=NEW_YEAR + timedelta(days=9))
        fleet.incidents.note(CAMERA, "log-gap", "leaf 3 never arrived", now=NEW_YEAR - timedelta(days=9))
        fleet.incidents.note(CAMERA, "reply-to-nothing", "a reply", now=NEW_YEAR + timedelta(days=9))

    copy = only(gathered_in(store, backend_witness, YEAR))

    assert copy.origin.faults == ("the backend raised an alarm, log-forked: two trees of 9 leaves",)


def test_what_a_witness_saw_counts_only_if_the_witness_is_known(logs: Path, backend_witness: Witness) -> None:
    folder = logs / "a card"
    frontier = add_leaves(Frontier(), [leaf for _, leaf in read_leaves(folder)], first=0)
    note = (folder / "checkpoint").read_bytes()
    seen = backend_witness.cosign_by_leaves(note, KEY, frontier=frontier, now=NEW_YEAR)
    (folder / "witnessed.checkpoint").write_bytes(seen.note)

    assert only(copies_in(logs, (), (WITNESS_KEY,))).origin.witnessed == LEAVES
    assert only(copies_in(logs, (), ())).origin.witnessed == 0


def test_a_log_that_is_shorter_than_a_witness_saw_says_so(logs: Path, backend_witness: Witness, tmp_path: Path) -> None:
    folder = logs / "a card"
    shutil.copytree(folder, tmp_path / "before")
    with TileLog(tmp_path / "before", CAMERA, MemoryKeyring(b"c" * 32), disk=HastyDisk()) as log:
        log.append("stopped", NEW_YEAR + LEAVES * MINUTE)
        log.publish()
    frontier = add_leaves(Frontier(), [leaf for _, leaf in read_leaves(tmp_path / "before")], first=0)
    note = (tmp_path / "before" / "checkpoint").read_bytes()
    seen = backend_witness.cosign_by_leaves(note, KEY, frontier=frontier, now=NEW_YEAR)
    (folder / "witnessed.checkpoint").write_bytes(seen.note)

    copy = only(copies_in(logs, (), (WITNESS_KEY,)))

    assert copy.origin.faults == ("it is shorter than what a witness saw: 600 leaves of 601",)


def test_text_that_is_lost_is_a_hole_as_long_as_the_tiles_hold_its_hashes(logs: Path) -> None:
    entries = sorted((logs / "a card").glob("events-*.jsonl"))
    first, second = (int(path.stem.removeprefix("events-")) for path in entries[1:3])
    entries[1].unlink()

    leaves = list(only(copies_in(logs, (), ())).leaves())

    assert [one for one in leaves if isinstance(one, Hole)] == [Hole(first, second)]
    assert sum(isinstance(one, Event) for one in leaves) == LEAVES - (second - first)


def test_text_that_is_lost_with_its_hashes_is_no_log_any_more(logs: Path) -> None:
    sorted((logs / "a card").glob("events-*.jsonl"))[1].unlink()
    shutil.rmtree(logs / "a card" / "tile")

    with pytest.raises(LogGapError):
        list(only(copies_in(logs, (), ())).leaves())


def test_the_older_of_two_logs_comes_first_whatever_its_folder_is_called(logs: Path) -> None:
    make_log(logs / "0 the newer", begins=NEW_YEAR + timedelta(days=30), seed=b"d" * 32)

    by_camera = in_order(list(copies_in(logs, (), ())))

    assert [copy.begins_at for copy in by_camera[CAMERA]] == [NEW_YEAR, NEW_YEAR + timedelta(days=30)]


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no folder with a log"):
        list(copies_in(tmp_path, (), ()))
