"""A witness vouches for a log that goes on from where it was, and names what is wrong with any other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.core.log.checkpoint import Checkpoint, log_key, open_checkpoint, sign_checkpoint, witnessed_at
from agent.core.log.merkle import Frontier, consistency_proof, leaf_hash, root
from agent.core.log.tiles import TiledTree
from agent.errors import (
    CheckpointSignatureError,
    LogError,
    LogForkedError,
    LogGapError,
    LogRewoundError,
    ProofError,
)
from provisioning.backend.witness import Witness, add_leaves

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
CAMERA = Ed25519PrivateKey.from_private_bytes(bytes(32))
LOG = log_key("cam-07", CAMERA.public_key().public_bytes_raw())
HONEST = [b"leaf %d" % number for number in range(100)]
FORKED = [*HONEST[:40], b"another", *HONEST[41:]]


class Card:
    """A camera's log, of which the leaves are as somebody wants them."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves
        self._tree = TiledTree(0, [], {}.__getitem__)
        for leaf in leaves:
            self._tree.append(leaf_hash(leaf))

    def note(self, size: int, *, key: Ed25519PrivateKey = CAMERA) -> bytes:
        checkpoint = Checkpoint(origin=LOG.name, size=size, root=root(self._tree, size))
        return sign_checkpoint(checkpoint, LOG, key.sign).to_bytes()

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        return consistency_proof(self._tree, old, new)

    def frontier(self, size: int) -> Frontier:
        return add_leaves(Frontier(), self.leaves[:size], first=0)


CARD, FORK = Card(HONEST), Card(FORKED)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path, "witness.example.org/w1", Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))


@pytest.fixture
def at_50(witness: Witness) -> Witness:
    witness.cosign_by_proof(CARD.note(50), LOG, now=NOON)
    return witness


def refused(witness: Witness, error: type[LogError], words: str, note: bytes, proof: tuple[bytes, ...] = ()) -> None:
    before = witness.seen(LOG)
    with pytest.raises(error, match=words):
        witness.cosign_by_proof(note, LOG, proof=proof, now=LATER)
    assert witness.seen(LOG) == before


def test_a_log_met_for_the_first_time_is_taken_as_it_is(witness: Witness) -> None:
    assert witness.seen(LOG) is None

    seen = witness.cosign_by_proof(CARD.note(50), LOG, now=NOON)

    assert seen == witness.seen(LOG)
    assert (seen.checkpoint.size, seen.at) == (50, NOON)
    assert witnessed_at(seen.note, witness.key) == NOON
    assert open_checkpoint(seen.note, LOG) == seen.checkpoint


@pytest.mark.parametrize("size", [50, 51, 100])
def test_a_log_that_goes_on_is_vouched_for_by_proof_and_by_leaves(at_50: Witness, tmp_path: Path, size: int) -> None:
    by_proof = at_50.cosign_by_proof(CARD.note(size), LOG, proof=CARD.proof(50, size), now=LATER)
    by_leaves = at_50.cosign_by_leaves(CARD.note(size), LOG, frontier=CARD.frontier(size), now=LATER)

    assert by_proof == by_leaves == at_50.seen(LOG)
    assert (by_proof.checkpoint.size, by_proof.at) == (size, LATER)


def test_an_empty_log_needs_no_proof_to_begin(witness: Witness) -> None:
    witness.cosign_by_proof(CARD.note(0), LOG, now=NOON)

    assert witness.cosign_by_proof(CARD.note(3), LOG, now=LATER).checkpoint.size == 3


def test_a_card_put_back_is_a_rewind_that_says_what_is_gone(at_50: Witness) -> None:
    refused(
        at_50,
        LogRewoundError,
        r"has 30 leaves and had 50 at 2026-11-28 12:00:00 UTC; missing: leaves 30 to 49",
        CARD.note(30),
    )
    refused(at_50, LogRewoundError, "missing: leaf 49", CARD.note(49))


def test_a_second_tree_of_one_size_is_a_fork(at_50: Witness) -> None:
    refused(at_50, LogForkedError, "two different trees of 50 leaves", FORK.note(50))


def test_a_longer_fork_has_no_proof_and_is_named_from_its_leaves(at_50: Witness) -> None:
    refused(at_50, ProofError, "does not begin|another tree", FORK.note(80), FORK.proof(50, 80))
    refused(at_50, ProofError, "proof", FORK.note(80))

    before = at_50.seen(LOG)
    with pytest.raises(LogForkedError, match="not the tree of the leaves it sent"):
        at_50.cosign_by_leaves(FORK.note(80), LOG, frontier=CARD.frontier(80), now=LATER)
    with pytest.raises(LogRewoundError):
        at_50.cosign_by_leaves(CARD.note(30), LOG, frontier=CARD.frontier(30), now=LATER)
    assert at_50.seen(LOG) == before


def test_leaves_that_never_arrived_are_a_gap_that_says_which(at_50: Witness) -> None:
    with pytest.raises(LogGapError, match="signed for 80 leaves: leaves 60 to 79 never arrived"):
        at_50.cosign_by_leaves(CARD.note(80), LOG, frontier=CARD.frontier(60), now=LATER)
    with pytest.raises(LogGapError, match="leaf 60 never arrived"):
        add_leaves(CARD.frontier(60), HONEST[61:], first=61)


def test_leaves_that_come_again_change_nothing() -> None:
    assert add_leaves(CARD.frontier(60), HONEST[30:60], first=30) == CARD.frontier(60)
    assert add_leaves(CARD.frontier(60), HONEST[30:70], first=30) == CARD.frontier(70)
    assert add_leaves(CARD.frontier(60), HONEST[:5], first=0) == CARD.frontier(60)


def test_a_frontier_beyond_the_checkpoint_is_a_mistake(at_50: Witness) -> None:
    with pytest.raises(ValueError, match="says nothing about a tree of 60"):
        at_50.cosign_by_leaves(CARD.note(60), LOG, frontier=CARD.frontier(61), now=LATER)


def test_another_key_speaks_for_no_log(at_50: Witness) -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)

    refused(at_50, CheckpointSignatureError, "does not verify", CARD.note(60, key=stranger), CARD.proof(50, 60))


def test_what_is_kept_is_believed_only_under_the_own_signature(at_50: Witness, tmp_path: Path) -> None:
    (kept,) = tmp_path.glob("*.checkpoint")
    kept.write_bytes(CARD.note(10))

    with pytest.raises(CheckpointSignatureError, match="not signed by witness"):
        at_50.cosign_by_proof(CARD.note(20), LOG, proof=CARD.proof(10, 20), now=LATER)


def test_two_independent_witnesses_vouch_on_one_note(at_50: Witness, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    second = Witness(
        tmp_path / "second", "auditor.example.net/w", Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)
    )
    first = at_50.cosign_by_proof(CARD.note(60), LOG, proof=CARD.proof(50, 60), now=NOON)

    both = second.cosign_by_proof(first.note, LOG, now=LATER)

    assert witnessed_at(both.note, at_50.key) == NOON
    assert witnessed_at(both.note, second.key) == LATER
