"""Every proof a tree makes verifies, nothing else does, and tiles tell the same tree as the definition."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.log.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from agent.core.log.tiles import TILE_BYTES, TiledTree, TileId, entries_path, entry_bundle, parent_tile, tiles_of
from agent.errors import ProofError

WIDTHS = (0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 700)
MOST = 700
LEAVES = [leaf_hash(b"%d" % number) for number in range(MOST)]


def by_definition(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(by_definition(hashes[:split]), by_definition(hashes[split:]))


def grown(size: int, kept: dict[TileId, bytes] | None = None) -> TiledTree:
    kept = {} if kept is None else kept
    tree = TiledTree(0, [], kept.__getitem__)
    for leaf in LEAVES[:size]:
        kept.update((whole.id, whole.content) for whole in tree.append(leaf))
    return tree


TREE = grown(MOST)
ROOTS = [root(TREE, size) for size in range(MOST + 1)]


@pytest.mark.parametrize("size", WIDTHS)
def test_the_root_is_that_of_the_definition(size: int) -> None:
    assert root(grown(size), size) == ROOTS[size] == by_definition(LEAVES[:size])


def test_an_empty_tree_has_the_root_of_nothing() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.integers(1, MOST), st.data())
def test_every_leaf_is_shown_to_be_in_every_tree_that_has_it(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))

    proof = inclusion_proof(TREE, index, size)

    verify_inclusion(index=index, size=size, leaf=LEAVES[index], proof=proof, root=ROOTS[size])


@given(st.integers(1, MOST), st.integers(1, MOST))
def test_every_tree_is_shown_to_begin_with_every_smaller_one(one: int, other: int) -> None:
    old, new = sorted((one, other))

    proof = consistency_proof(TREE, old, new)

    verify_consistency(old=old, new=new, old_root=ROOTS[old], new_root=ROOTS[new], proof=proof)


@given(st.integers(1, MOST), st.data())
def test_no_other_leaf_place_size_or_proof_passes(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = list(inclusion_proof(TREE, index, size))
    place, in_size, leaf = index, size, LEAVES[index]
    match data.draw(st.sampled_from(["leaf", "place", "longer", "shorter", "bit", "width"])):
        case "leaf":
            leaf = leaf_hash(b"another")
        case "place":
            place = data.draw(st.integers(-1, size).filter(lambda other: other != index))
        case "longer":
            proof.append(EMPTY_ROOT)
        case "shorter":
            proof, in_size = proof[:-1], size + (not proof)
        case "bit":
            changed = data.draw(st.integers(0, len(proof)))
            flipped = bytes([([*proof, leaf][changed][0]) ^ 1]) + [*proof, leaf][changed][1:]
            *proof, leaf = [*proof[:changed], flipped, *[*proof, leaf][changed + 1 :]]
        case "width":
            leaf += b"\0"

    with pytest.raises(ProofError):
        verify_inclusion(index=place, size=in_size, leaf=leaf, proof=proof, root=ROOTS[size])


@given(st.integers(1, MOST), st.integers(1, MOST), st.data())
def test_no_other_tree_is_shown_to_be_the_beginning(one: int, other: int, data: st.DataObject) -> None:
    old, new = sorted((one, other))
    proof = list(consistency_proof(TREE, old, new))
    old_root, new_root = ROOTS[old], ROOTS[new]
    match data.draw(st.sampled_from(["old", "new", "longer", "shorter", "swapped"])):
        case "old":
            old_root = ROOTS[old - 1]
        case "new":
            new_root = ROOTS[new - 1]
        case "longer":
            proof.append(EMPTY_ROOT)
        case "shorter":
            proof, new = proof[:-1], new + (not proof)
        case "swapped":
            old_root, new_root, old, new = new_root, old_root, new + (old == new), old

    with pytest.raises(ProofError):
        verify_consistency(old=old, new=new, old_root=old_root, new_root=new_root, proof=proof)


def test_a_frontier_has_the_root_of_every_tree_it_grows_through() -> None:
    frontier = Frontier()

    for size, leaf in enumerate(LEAVES[:300]):
        assert frontier.root == ROOTS[size]
        assert len(frontier.hashes) == size.bit_count()
        frontier = frontier.append(leaf)

    assert (frontier.size, frontier.root) == (300, ROOTS[300])


@pytest.mark.parametrize(("size", "count"), [(-1, 1), (0, 1), (3, 1)])
def test_a_frontier_that_is_no_tree_is_refused(size: int, count: int) -> None:
    with pytest.raises(ValueError, match="subtrees of a tree"):
        Frontier(size, (EMPTY_ROOT,) * count)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 1), (1, 1)])
def test_nothing_is_proven_of_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(TREE, index, size)


@pytest.mark.parametrize(("old", "new"), [(0, 1), (0, 0), (2, 1)])
def test_nothing_is_proven_from_an_empty_tree_or_backwards(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="nothing leads"):
        consistency_proof(TREE, old, new)
    with pytest.raises(ProofError, match="nothing leads"):
        verify_consistency(old=old, new=new, old_root=EMPTY_ROOT, new_root=EMPTY_ROOT, proof=[])


# --- tiles --------------------------------------------------------------------


@pytest.mark.parametrize("size", WIDTHS)
def test_a_tree_taken_up_again_is_the_same_and_grows_the_same(size: int) -> None:
    kept: dict[TileId, bytes] = {}
    grown(size, kept)

    again = TiledTree(size, LEAVES[size - size % 256 : size], kept.__getitem__)
    for leaf in LEAVES[size:]:
        kept.update((whole.id, whole.content) for whole in again.append(leaf))

    assert root(again, MOST) == ROOTS[MOST]


def test_a_third_level_begins_where_it_must() -> None:
    size = 256 * 256 + 257
    kept: dict[TileId, bytes] = {}
    tree = TiledTree(0, [], kept.__getitem__)
    for number in range(size):
        kept.update((whole.id, whole.content) for whole in tree.append(leaf_hash(b"%d" % number)))

    again = TiledTree(size, [leaf_hash(b"%d" % number) for number in range(size - size % 256, size)], kept.__getitem__)

    last = size - 1
    proof = inclusion_proof(again, last, size)
    verify_inclusion(index=last, size=size, leaf=leaf_hash(b"%d" % last), proof=proof, root=root(tree, size))
    assert {tile for tile in tiles_of(size) if tile.width == 256} == kept.keys()


@pytest.mark.parametrize("size", WIDTHS)
def test_the_tiles_of_a_tree_hold_the_hashes_the_specification_says(size: int) -> None:
    kept: dict[TileId, bytes] = {}
    tree = grown(size, kept)

    for tile in tiles_of(size):
        first, step = tile.index * 256, 256**tile.level
        spans = [LEAVES[at * step : (at + 1) * step] for at in range(first, first + tile.width)]
        assert tree.tile(tile) == b"".join(map(by_definition, spans))


def test_a_tree_of_seventy_thousand_has_the_tiles_the_specification_counts() -> None:
    tiles = list(tiles_of(70_000))

    counted = {level: [tile.width for tile in tiles if tile.level == level] for level in (0, 1, 2)}
    assert counted == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}


@pytest.mark.parametrize(
    "missing", [TileId(0, 3), TileId(0, 2, 189), TileId(0, 2, 0), TileId(1, 0, 3), TileId(2, 0, 1)]
)
def test_a_tile_that_is_not_there_yet_is_refused(missing: TileId) -> None:
    with pytest.raises(ValueError, match="no "):
        TREE.tile(missing)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (TileId(0, 0), "tile/0/000"),
        (TileId(0, 273, 112), "tile/0/273.p/112"),
        (TileId(2, 1_234_067), "tile/2/x001/x234/067"),
        (TileId(1, 1000, 1), "tile/1/x001/000.p/1"),
    ],
)
def test_a_tile_lies_where_the_specification_says(tile: TileId, path: str) -> None:
    assert tile.path == path


def test_a_bundle_holds_each_entry_behind_its_length() -> None:
    assert entry_bundle([b"", b"ab", bytes(300)]) == b"\0\0" + b"\0\2ab" + b"\1\x2c" + bytes(300)
    assert entries_path(1000, 7) == "tile/entries/x001/000.p/7"
    assert entries_path(2) == "tile/entries/002"
    with pytest.raises(ValueError, match="longer"):
        entry_bundle([bytes(2**16)])


def test_hashes_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(ValueError, match="behind the last whole tile"):
        TiledTree(3, LEAVES[:2], {}.__getitem__)


def test_a_tile_is_made_of_the_tiles_below_it() -> None:
    below = {TileId(0, index): bytes([index]) * TILE_BYTES for index in range(256)}

    content = parent_tile(TileId(1, 0), below.__getitem__)

    assert content == b"".join(by_definition([bytes([index]) * 32] * 256) for index in range(256))


def test_a_whole_tile_that_is_not_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 8192"):
        TiledTree(256, [], lambda _: bytes(TILE_BYTES - HASH_BYTES))
