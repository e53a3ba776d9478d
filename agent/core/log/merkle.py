"""The Merkle tree of RFC 6962, section 2.1: hashes, proofs, and what verifies them.

Who *makes* proofs has a `Subtrees`: anything that can tell the hash of a whole
subtree, that is, of 2**h leaves that begin at a multiple of 2**h. Who *verifies*
needs nothing but the proof.

A proof that does not hold raises; there is no flag to forget. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from agent.errors import ProofError

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


class Subtrees(Protocol):
    """The hashes from which a tree is put together."""

    def subtree(self, height: int, index: int) -> bytes:
        """Return the hash of leaves [index * 2**height, (index + 1) * 2**height), all of which exist."""
        ...


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above two others."""
    return sha256(b"\x01" + left + right).digest()


def whole_root(hashes: Sequence[bytes]) -> bytes:
    """Return the hash of a whole subtree from the hashes of one of its levels, 2**h of them."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(*level[at : at + 2]) for at in range(0, len(level), 2)]
    return level[0]


# --- to make ------------------------------------------------------------------


def root(tree: Subtrees, size: int) -> bytes:
    """Return the root of the first `size` leaves."""
    return _span(tree, 0, size) if size else EMPTY_ROOT


def inclusion_proof(tree: Subtrees, index: int, size: int) -> tuple[bytes, ...]:
    """Return what leads from leaf `index` to the root of the first `size` leaves, from the leaf upwards.

    Raises:
        ValueError: There is no such leaf among them.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} among the first {size}")
    proof = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_span(tree, middle, high))
            high = middle
        else:
            proof.append(_span(tree, low, middle))
            low = middle
    return tuple(reversed(proof))


def consistency_proof(tree: Subtrees, old: int, new: int) -> tuple[bytes, ...]:
    """Return what shows that the first `old` leaves are the beginning of the first `new`.

    Raises:
        ValueError: `old` is nothing, or more than `new`.
    """
    if not 0 < old <= new:
        raise ValueError(f"nothing leads from a tree of {old} leaves to one of {new}")
    proof = []
    low, high = 0, new
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_span(tree, middle, high))
            high = middle
        else:
            proof.append(_span(tree, low, middle))
            low = middle
    if low:  # else it is the old root itself, which whoever verifies has
        proof.append(_span(tree, low, high))
    return tuple(reversed(proof))


def _span(tree: Subtrees, low: int, high: int) -> bytes:
    """Return the hash over leaves [low, high), where `low` is a multiple of the next power of two."""
    width = high - low
    if width & (width - 1) == 0:
        return tree.subtree(width.bit_length() - 1, low // width)
    middle = low + _split(width)
    return node_hash(_span(tree, low, middle), _span(tree, middle, high))


def _split(width: int) -> int:
    """Return the largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree reduced to what its root, and the root of every later tree, follows from.

    For whoever gets every leaf and keeps none: a witness, a reader.

    Attributes:
        size: How many leaves the tree has.
        hashes: Of the whole subtrees it is made of, from the left: one for each 1 in the binary form of `size`.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"{len(self.hashes)} subtrees of a tree of {self.size} leaves")

    def append(self, leaf: bytes) -> "Frontier":
        """Return the frontier with the hash of one more leaf."""
        kept, hashed, size = list(self.hashes), leaf, self.size
        while size & 1:
            hashed = node_hash(kept.pop(), hashed)
            size >>= 1
        return Frontier(self.size + 1, (*kept, hashed))

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        if not self.hashes:
            return EMPTY_ROOT
        *others, hashed = self.hashes
        for left in reversed(others):
            hashed = node_hash(left, hashed)
        return hashed


# --- to verify ----------------------------------------------------------------


def verify_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Return if the leaf with hash `leaf` is number `index` of the tree with this size and root (RFC 9162, 2.1.3.2).

    Raises:
        ProofError: It is not, or the proof does not show it.
    """
    if not 0 <= index < size:
        raise ProofError(f"no leaf {index} in a tree of {size}")
    _check_hashes(leaf, root, *proof)
    hashed = leaf
    for sibling, on_the_left in _climb(index, size - 1, proof):
        hashed = node_hash(sibling, hashed) if on_the_left else node_hash(hashed, sibling)
    if hashed != root:
        raise ProofError(f"leaf {index} is not in the tree of {size}: the proof leads to another root")


def verify_consistency(*, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Return if the tree of `old` leaves is the beginning of the tree of `new` leaves (RFC 9162, 2.1.4.2).

    Raises:
        ProofError: It is not, or the proof does not show it. Nothing follows from an empty tree, so that is refused.
    """
    if not 0 < old <= new:
        raise ProofError(f"nothing leads from a tree of {old} leaves to one of {new}")
    _check_hashes(old_root, new_root, *proof)
    if old == new:
        if proof or old_root != new_root:
            raise ProofError(f"two different trees of {old} leaves")
        return
    path = [*proof] if old & (old - 1) else [old_root, *proof]
    if not path:
        raise ProofError("an empty consistency proof")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_hash = new_hash = path[0]
    for sibling, on_the_left in _climb(at, last, path[1:]):
        if on_the_left:
            old_hash, new_hash = node_hash(sibling, old_hash), node_hash(sibling, new_hash)
        else:
            new_hash = node_hash(new_hash, sibling)
    if old_hash != old_root:
        raise ProofError(f"the proof leads to another tree of {old} leaves")
    if new_hash != new_root:
        raise ProofError(f"the tree of {new} leaves does not begin with the tree of {old}")


def _climb(at: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each sibling, and whether it is on the left, from node `at` up to the root.

    Args:
        at: The node's index in its level.
        last: The index of the last node of that level.
        proof: The siblings; where the last node has none, a level is passed over.
    """
    for sibling in proof:
        if last == 0:
            raise ProofError(f"a proof of {len(proof)} hashes is too long")
        on_the_left = bool(at & 1) or at == last
        if on_the_left:
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        yield sibling, on_the_left
        at, last = at >> 1, last >> 1
    if last:
        raise ProofError(f"a proof of {len(proof)} hashes is too short")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise ProofError(f"a hash is not {HASH_BYTES} bytes long")
