"""The tree cut into tiles, as C2SP tlog-tiles cuts it, and the right edge that still grows.

A *tile* is up to 256 consecutive hashes of one level, where a level is eight levels of
the tree: at level 0 they are leaf hashes, at level 1 each is the root of a whole tile of
level 0, and so on. A *whole* tile never changes again. The *edge* is the last, partial
tile of each level; it is all that an append needs, so that a log of any size grows
in a few kilobytes of memory.

Pure: whole tiles come from, and go to, whoever keeps them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agent.core.log.merkle import HASH_BYTES, whole_root

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_BYTES
_MAX_ENTRY_BYTES = 2**16 - 1


@dataclass(frozen=True, slots=True, order=True)
class TileId:
    """Which tile, and how wide: 256 if it is whole."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Where it is served, and where it lies, such as `tile/0/x001/234.p/17`."""
        return f"tile/{self.level}/{_split_index(self.index)}{_partial(self.width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return where the bundle with the entries of the level 0 tile `index` is served."""
    return f"tile/entries/{_split_index(index)}{_partial(width)}"


def entry_bundle(leaves: Sequence[bytes]) -> bytes:
    """Return a bundle: the leaves of one tile, each after its length in two bytes.

    Raises:
        ValueError: One of them is longer than two bytes can say.
    """
    if any(len(leaf) > _MAX_ENTRY_BYTES for leaf in leaves):
        raise ValueError(f"an entry is longer than {_MAX_ENTRY_BYTES} bytes")
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def parent_tile(tile: TileId, whole_tile: Callable[[TileId], bytes]) -> bytes:
    """Return the content of a whole tile above level 0, made of the 256 whole tiles below it."""
    first = tile.index * TILE_WIDTH
    return b"".join(
        whole_root(_cut(whole_tile(TileId(tile.level - 1, index)))) for index in range(first, first + TILE_WIDTH)
    )


def tiles_of(size: int) -> Iterator[TileId]:
    """Yield the tiles of a tree of `size` leaves, level by level, partial ones last."""
    level = 0
    while size:
        yield from (TileId(level, index) for index in range(size // TILE_WIDTH))
        if size % TILE_WIDTH:
            yield TileId(level, size // TILE_WIDTH, size % TILE_WIDTH)
        size //= TILE_WIDTH
        level += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeTile:
    """A tile that has just become whole."""

    id: TileId
    content: bytes


class TiledTree:
    """A tree that grows at its right edge, and tells the hash of any whole subtree.

    Args:
        size: How many leaves it has.
        tail: The hashes of the last `size % 256` leaves.
        whole_tile: Returns the content of a whole tile by level and index. Asked for the tiles on the edge now, and
            for any tile later, when a proof needs it.

    Raises:
        ValueError: `tail` has another length.
    """

    def __init__(self, size: int, tail: Sequence[bytes], whole_tile: Callable[[TileId], bytes]) -> None:
        if len(tail) != size % TILE_WIDTH:
            raise ValueError(f"{len(tail)} hashes behind the last whole tile of {size} leaves")
        self.size = size
        self._whole_tile = whole_tile
        self._edge = [list(tail)]
        below = size // TILE_WIDTH
        while below:
            level = len(self._edge)
            first = below - below % TILE_WIDTH
            self._edge.append([whole_root(self._hashes(level - 1, index)) for index in range(first, below)])
            below //= TILE_WIDTH

    def append(self, leaf: bytes) -> tuple[WholeTile, ...]:
        """Add the hash of one leaf; return the tiles that it made whole, to be kept from now on."""
        whole: list[WholeTile] = []
        hashed, level, index = leaf, 0, self.size
        while True:
            if level == len(self._edge):
                self._edge.append([])
            tile = self._edge[level]
            tile.append(hashed)
            if len(tile) < TILE_WIDTH:
                break
            self._edge[level] = []
            index //= TILE_WIDTH
            whole.append(WholeTile(id=TileId(level, index), content=b"".join(tile)))
            hashed = whole_root(tile)
            level += 1
        self.size += 1
        return tuple(whole)

    def subtree(self, height: int, index: int) -> bytes:
        """Return the hash of a whole subtree; see `agent.core.log.merkle.Subtrees`."""
        level, above = divmod(height, TILE_HEIGHT)
        first = index << above  # of the hashes of this level
        tile, offset = divmod(first, TILE_WIDTH)
        return whole_root(self._hashes(level, tile)[offset : offset + (1 << above)])

    def tile(self, wanted: TileId) -> bytes:
        """Return the content of a whole or partial tile.

        Raises:
            ValueError: The tree has no such tile yet.
        """
        in_level = self.size >> (TILE_HEIGHT * wanted.level)
        if not 0 < wanted.width <= min(TILE_WIDTH, in_level - wanted.index * TILE_WIDTH):
            raise ValueError(f"a tree of {self.size} leaves has no {wanted.path}")
        return b"".join(self._hashes(wanted.level, wanted.index)[: wanted.width])

    def _hashes(self, level: int, tile: int) -> Sequence[bytes]:
        if tile == self.size >> (TILE_HEIGHT * (level + 1)):
            return self._edge[level]
        return _cut(self._whole_tile(TileId(level, tile)))


def _cut(content: bytes) -> list[bytes]:
    if len(content) != TILE_BYTES:
        raise ValueError(f"a whole tile of {len(content)} bytes, expected {TILE_BYTES}")
    return [content[at : at + HASH_BYTES] for at in range(0, TILE_BYTES, HASH_BYTES)]


def _split_index(index: int) -> str:
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])


def _partial(width: int) -> str:
    if not 0 < width <= TILE_WIDTH:
        raise ValueError(f"no tile is {width} wide")
    return "" if width == TILE_WIDTH else f".p/{width}"
