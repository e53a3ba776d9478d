"""Whether the camera still looks where its fixed zones were drawn.

At commissioning the scene leaves a *fingerprint*: on a raster 160 cells wide, where an edge
stood still in every frame, and in which of eight directions it ran. It is no picture. It
has no brightness, no colour, no contrast and no side of an edge that is lighter; a face ten
metres away is two cells wide. What moved while it was made left no trace, for its edges did
not stay. Somebody who stood like a statue all the while would leave a silhouette of some sixty
strokes, from which nobody can be told; the technician is asked for an empty street all the same.

Directions of edges outlast what brightness does not: night, wet streets, a cloud. Each frame's
edges are compared with the fingerprint's in three ways:

* *moved*: parts of the picture fit better a little aside than where they were, most of them
  (a shift moves them all, a rotation those far from its centre), or the whole fits far aside;
* *lost*: it fits nowhere. A bag, spray, a hand, another street, or darkness without a lamp:
  these cannot be told apart, and in none of them can it be said what a zone covers;
* *blurred*: it fits, and its edges are not as sharp as they were.

Pure: numpy in, values out; time is a parameter.
"""

import hashlib
import struct
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from agent.core.video import Plane
from agent.errors import FeaturelessError, FingerprintFormatError, OtherShapeError

COLUMNS = 160  # cells across: 1 % of the picture's width is 1.6 of them, and a face in the street none
DIRECTIONS = 8
MOST_ROWS = 320  # a picture twice as tall as wide; more is no picture, or not ours
LEAST_EDGES = 200  # cells; a wall of one colour has no fingerprint
MOST_BYTES = 64 * 1024  # of a fingerprint as bytes

_MAGIC, _VERSION = b"LPVIEW", 1
_HEAD = struct.Struct(">6sBHHHH")  # magic, version, columns, rows, sharpness in thousandths, frames
_DIGEST_BYTES = hashlib.sha256().digest_size

_NOISE_STEPS = 1.5  # luma steps per cell, of an average over frames; gradients below it are believed by less than half
_STAYS = 0.5  # of 1: how much of an edge must stay in its direction all through commissioning

_TILES_DOWN, _TILES_ACROSS = 3, 4
_TILE_EDGES = 40  # cells; fewer cannot say where they are
_REACH_CELLS = 3  # how far aside a tile is looked for
_FAR_RATIO = 0.16  # of the width: how far aside the whole picture is looked for
_BLUR_CELLS = 4  # sharpness is the gradient over one cell against that over four

EVERY_US = 400_000  # between comparisons; one costs 6 ms of an x86-64 core
AVERAGED = 4  # frames in a comparison: noise, rain and headlights do not stay where they are
DRIFTED_AFTER_US = 3_000_000  # a bus before the lens is gone by then, or it is no bus
TRUST_AFTER_US = 2_000_000
RETURN_AFTER_US = 10_000_000
_GAP_US = 3_000_000

Field = NDArray[np.float32]  # (2, rows, columns): an edge's direction as a doubled angle, its length 0 to 1
Small = NDArray[np.float32]  # (rows, columns): luma on the fingerprint's raster


class View(StrEnum):
    """What a comparison found."""

    SAME = "same"
    MOVED = "moved"
    LOST = "lost"
    BLURRED = "blurred"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on a view is not the same. Measured on the simulated street: tests/privacy/drift.py.

    Attributes:
        lost_below: Agreement, wherever it is best, below which the view is not known again.
        tile_known_from: Agreement from which a tile is believed about where it is.
        moved_gain: How much better a tile, or the whole, must fit aside than in its place.
        moved_tiles: Share of the tiles believed that must have moved.
        blurred_below: Sharpness, as a share of what it was, below which the lens is out of focus.
    """

    lost_below: float = 0.1
    tile_known_from: float = 0.2
    moved_gain: float = 0.06
    moved_tiles: float = 0.4
    blurred_below: float = 0.5


LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What one frame says about the view.

    Attributes:
        view: The verdict.
        agreement: Of the edges with the fingerprint's where they should be, -1 to 1.
        best: The same where they fit best.
        shift: To where that is, as shares of the picture's width, (across, down).
        tiles_moved: Share of the tiles believed that fit better aside.
        sharpness: As a share of the fingerprint's.
    """

    view: View
    agreement: float
    best: float
    shift: tuple[float, float]
    tiles_moved: float
    sharpness: float

    def __str__(self) -> str:
        across, down = self.shift
        return (
            f"{self.view}: agreement {self.agreement:.2f}, at best {self.best:.2f} "
            f"at {across:+.1%} across and {down:+.1%} down, {self.tiles_moved:.0%} of the parts moved, "
            f"sharpness {self.sharpness:.0%}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The edges of a scene that stay.

    Attributes:
        codes: For each cell 0, or 1 + the direction of its edge; (rows, COLUMNS).
        sharpness: How much steeper the edges are over one cell than over four; of the lens's focus.
        frames: Of how many frames it is made.
    """

    codes: bytes
    rows: int
    sharpness: float
    frames: int

    def to_bytes(self) -> bytes:
        """Return it as bytes: a head, two cells a byte, and the SHA-256 of both."""
        cells = np.frombuffer(self.codes, np.uint8)
        packed = (cells[0::2] << 4 | cells[1::2]).astype(np.uint8).tobytes()
        head = _HEAD.pack(_MAGIC, _VERSION, COLUMNS, self.rows, round(self.sharpness * 1000), self.frames)
        return head + packed + hashlib.sha256(head + packed).digest()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Return the fingerprint that `content` spells.

        Raises:
            FingerprintFormatError: None of this version, or not whole.
        """
        if len(content) < _HEAD.size + _DIGEST_BYTES or content[: len(_MAGIC)] != _MAGIC:
            raise FingerprintFormatError("not the fingerprint of a view")
        body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            raise FingerprintFormatError("the fingerprint of the view is damaged")
        _, version, columns, rows, sharpness, frames = _HEAD.unpack_from(body)
        if version != _VERSION or columns != COLUMNS or len(body) - _HEAD.size != rows * COLUMNS // 2:
            raise FingerprintFormatError(f"a fingerprint of version {version}, {columns} cells across and {rows} down")
        packed = np.frombuffer(body, np.uint8, offset=_HEAD.size)
        cells = np.stack((packed >> 4, packed & 15), axis=1)
        if int(cells.max(initial=0)) > DIRECTIONS:
            raise FingerprintFormatError("the fingerprint of the view has a direction that does not exist")
        return cls(codes=cells.tobytes(), rows=rows, sharpness=sharpness / 1000, frames=frames)

    @property
    def digest(self) -> str:
        """SHA-256 over the bytes, hex: its name in the log."""
        return self.to_bytes()[-_DIGEST_BYTES:].hex()

    @property
    def edges(self) -> int:
        """How many cells have an edge."""
        return len(self.codes) - self.codes.count(0)


class Commissioning:
    """Makes the fingerprint of what stays, out of frames that may have people in them."""

    def __init__(self) -> None:
        self._sum: Field | None = None
        self._mean: Small | None = None
        self._frames = 0

    def add(self, analysis: Plane) -> None:
        """Take in a frame. Take many, spread over half a minute or more: what stays that long is scene.

        Args:
            analysis: Its small luma plane, (h, w) uint8; of one shape in all calls.
        """
        small = reduced(analysis)
        field = field_of(small)
        self._sum = field if self._sum is None else self._sum + field
        self._mean = small if self._mean is None else self._mean + small
        self._frames += 1

    def finish(self) -> Fingerprint:
        """Return the fingerprint.

        Raises:
            FeaturelessError: Nothing in the scene can be known again, or there was no frame.
        """
        if self._sum is None or self._mean is None:
            raise FeaturelessError("no frame to make a reference of")
        across, down = self._sum / np.float32(self._frames)
        stays = np.hypot(across, down) >= _STAYS
        if int(stays.sum()) < LEAST_EDGES:
            raise FeaturelessError(
                f"{int(stays.sum())} cells of the picture have an edge that stays, expected {LEAST_EDGES} or more"
            )
        turn = np.arctan2(down, across) / (2 * np.pi) % 1.0  # of the doubled angle, so half a turn of the edge
        codes = np.where(stays, 1 + np.floor(turn * DIRECTIONS + 0.5).astype(np.int64) % DIRECTIONS, 0).astype(np.uint8)
        return Fingerprint(
            codes=codes.tobytes(),
            rows=codes.shape[0],
            sharpness=_sharpness(self._mean / np.float32(self._frames), stays),
            frames=min(self._frames, 0xFFFF),
        )


class Comparer:
    """Compares frames with one fingerprint."""

    def __init__(self, fingerprint: Fingerprint, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._fingerprint = fingerprint
        self._reference: Field = edges_of(fingerprint)
        self._edge: NDArray[np.bool_] = (self._reference != 0).any(axis=0)
        self._tiles = _tile_sums(self._edge.astype(np.float32))
        self._counted = self._tiles >= _TILE_EDGES
        # Padded by as much as is searched, so that what leaves the picture on one side does not come in on the other.
        self._far = round(COLUMNS * _FAR_RATIO)
        self._padded = (fingerprint.rows + self._far, COLUMNS + self._far)
        self._spectrum = np.conj(np.fft.rfft2(self._reference, self._padded))
        self._edges = float(self._edge.sum())

    def compare(self, small: Small) -> Comparison:
        """Return what a frame says about the view.

        Args:
            small: The frame as `reduced` makes it, or the mean of several.

        Raises:
            OtherShapeError: It is of another shape than the fingerprint.
        """
        if small.shape != self._edge.shape:
            raise OtherShapeError(
                f"a picture of {small.shape[0]} rows of cells, the reference view has {self._fingerprint.rows}"
            )
        limits, field = self._limits, field_of(small)
        agreement = float((self._reference * field).sum()) / self._edges
        best, shift = self._best_far(field)
        moved = self._tiles_moved(field)
        sharpness = _sharpness(small, self._edge) / self._fingerprint.sharpness
        aside = max(abs(cells) for cells in shift) > 0 and best - agreement >= limits.moved_gain
        if best < limits.lost_below:
            view = View.LOST
        elif aside or moved >= limits.moved_tiles:
            view = View.MOVED
        elif sharpness < limits.blurred_below:
            view = View.BLURRED
        else:
            view = View.SAME
        return Comparison(
            view=view,
            agreement=agreement,
            best=best,
            shift=(shift[0] / COLUMNS, shift[1] / COLUMNS),
            tiles_moved=moved,
            sharpness=sharpness,
        )

    def _best_far(self, field: Field) -> tuple[float, tuple[int, int]]:
        """Return the best agreement of the whole anywhere near, and the shift, (across, down) in cells."""
        spectrum = (np.fft.rfft2(field, self._padded) * self._spectrum).sum(axis=0)
        scores = np.fft.irfft2(spectrum, self._padded)
        steps = np.arange(-self._far, self._far + 1)
        near = scores[np.ix_(steps % self._padded[0], steps % self._padded[1])] / self._edges
        down, across = np.unravel_index(int(near.argmax()), near.shape)
        return float(near.max()), (int(steps[across]), int(steps[down]))

    def _tiles_moved(self, field: Field) -> float:
        """Return which share of the tiles that know where they are fits better aside."""
        wide = np.pad(field, ((0, 0), (_REACH_CELLS, _REACH_CELLS), (_REACH_CELLS, _REACH_CELLS)))
        rows, columns = self._edge.shape
        offsets = range(2 * _REACH_CELLS + 1)
        scores = np.stack(
            [
                _tile_sums(
                    np.einsum("cij,cij->ij", self._reference, wide[:, down : down + rows, right : right + columns])
                )
                for down in offsets
                for right in offsets
            ]
        ) / np.maximum(self._tiles, 1)
        here, best = scores[len(scores) // 2], scores.max(axis=0)
        known = self._counted & (best >= self._limits.tile_known_from)
        if not known.any():
            return 0.0
        return float((best - here >= self._limits.moved_gain)[known].mean())


class Change(StrEnum):
    """What a watch has to tell, once each time."""

    DRIFTED = "view-drifted"
    RETURNED = "view-returned"


class _State(StrEnum):
    UNKNOWN = "unknown"
    SAME = "same"
    DOUBTED = "doubted"
    GONE = "gone"


class ViewWatch:
    """Follows the view through a stream: doubts at once, says so when it lasts, and trusts again slowly.

    A camera that is put back to where it was approved shows what was approved, so the watch trusts it again
    by itself; anything else needs a new fingerprint.

    Attributes:
        latest: The latest comparison, or None before the first.
    """

    def __init__(self, comparer: Comparer) -> None:
        self._comparer = comparer
        self._recent: deque[Small] = deque(maxlen=AVERAGED)
        self._state = _State.UNKNOWN
        self._since_us = 0  # of the running row of equal verdicts
        self._row_is_same: bool | None = None
        self._last_us: int | None = None
        self.latest: Comparison | None = None

    @property
    def trusted(self) -> bool:
        """Whether the view is the one that was approved, as far as can be told."""
        return self._state is _State.SAME

    def look(self, analysis: Plane, pts_us: int) -> Change | None:
        """Take in a frame; return what changed for good with it.

        Args:
            analysis: Its small luma plane.
            pts_us: Its instant.

        Raises:
            OtherShapeError: It is of another shape than the fingerprint; the view is not trusted.
        """
        if self._last_us is not None and 0 <= pts_us - self._last_us < EVERY_US:
            return None
        if self._last_us is None or not 0 <= pts_us - self._last_us <= _GAP_US:
            self._begin_anew()  # a camera that was away may have been turned meanwhile
        self._last_us = pts_us
        small = reduced(analysis)
        if self._recent and self._recent[-1].shape != small.shape:
            self._begin_anew()
        self._recent.append(small)
        mean: Small = np.stack(self._recent).mean(axis=0)
        self.latest = self._comparer.compare(mean)
        same = self.latest.view is View.SAME
        if same is not self._row_is_same:
            self._row_is_same, self._since_us = same, pts_us
        return self._follow(pts_us - self._since_us, same=same)

    def _begin_anew(self) -> None:
        self._recent.clear()
        self._row_is_same = None
        self._state = _State.GONE if self._state is _State.GONE else _State.UNKNOWN

    def _follow(self, lasting_us: int, *, same: bool) -> Change | None:
        match self._state, same:
            case _State.UNKNOWN, True:
                self._state = _State.SAME
            case _State.DOUBTED, True if lasting_us >= TRUST_AFTER_US:
                self._state = _State.SAME
            case _State.GONE, True if lasting_us >= RETURN_AFTER_US:
                self._state = _State.SAME
                return Change.RETURNED
            case ((_State.UNKNOWN | _State.SAME), False):
                self._state = _State.DOUBTED
            case _State.DOUBTED, False if lasting_us >= DRIFTED_AFTER_US:
                self._state = _State.GONE
                return Change.DRIFTED
            case _:
                pass
        return None


def edges_of(fingerprint: Fingerprint) -> Field:
    """Return the fingerprint's edges, each as long as 1."""
    codes = np.frombuffer(fingerprint.codes, np.uint8).reshape(fingerprint.rows, COLUMNS)
    angle = (codes.astype(np.float32) - 1) * np.float32(2 * np.pi / DIRECTIONS)
    edges: Field = np.stack((np.cos(angle), np.sin(angle))) * (codes > 0)
    return edges


def reduced(analysis: Plane | Small) -> Small:
    """Return an analysis plane on the fingerprint's raster, each cell the mean of what it covers.

    Args:
        analysis: Luma, (h, w) uint8 or float32, as wide as it likes.
    """
    height, width = analysis.shape
    rows = max(min(round(COLUMNS * height / width), MOST_ROWS), 1)
    return _cut_down(_cut_down(analysis.T, COLUMNS).T, rows).astype(np.float32)


def _cut_down(lines: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Return (count, n) means of equal stretches of the (m, n) lines, a line on an edge in parts to both."""
    # By running sums and not by a matrix: a matrix product wakes a thread on every core for a tenth of a millisecond.
    sums = np.zeros((lines.shape[0] + 1, lines.shape[1]))
    np.cumsum(lines, axis=0, out=sums[1:])
    edges = np.linspace(0, lines.shape[0], count + 1)
    whole = np.minimum(edges.astype(np.intp), lines.shape[0] - 1)
    at_edges = sums[whole] + (edges - whole)[:, None] * lines[whole]
    means: NDArray[np.float64] = np.diff(at_edges, axis=0) * (count / lines.shape[0])
    return means


def field_of(small: Small) -> Field:
    """Return the direction of the edge in each cell as a doubled angle; its length is how surely there is one.

    Doubled, so that an edge is the same whichever side of it is the lighter one: walls are lighter than
    windows by day and darker by night.
    """
    down, across = np.zeros_like(small), np.zeros_like(small)
    down[1:-1] = small[2:] - small[:-2]
    across[:, 1:-1] = small[:, 2:] - small[:, :-2]
    strength = across * across + down * down
    noise = max(2 * _NOISE_STEPS, float(np.sqrt(np.median(strength))))
    field = np.stack((across * across - down * down, 2 * across * down)) / (strength + np.float32(noise**2))
    single: Field = field.astype(np.float32, copy=False)
    return single


def _sharpness(small: Small, edge: NDArray[np.bool_]) -> float:
    """Return how steep the edges are over one cell against four: near 1 when sharp, less the more they are blurred."""
    fine, coarse = (_steps(small, cells)[edge].mean() for cells in (1, _BLUR_CELLS))
    return float(fine / max(coarse, 1e-3))


def _steps(small: Small, cells: int) -> Small:
    """Return the largest difference across each cell, between neighbours so many cells from it."""
    wide = np.pad(small, cells, mode="edge")
    rows, columns = small.shape
    middle = slice(cells, cells + rows), slice(cells, cells + columns)
    down = np.abs(wide[2 * cells :, middle[1]] - wide[:rows, middle[1]])
    across = np.abs(wide[middle[0], 2 * cells :] - wide[middle[0], :columns])
    largest: Small = np.maximum(down, across)
    return largest


def _tile_sums(cells: Small) -> Small:
    """Return the sums of `cells` over the tiles of the picture, (_TILES_DOWN, _TILES_ACROSS)."""
    rows, columns = cells.shape
    down = np.arange(_TILES_DOWN) * rows // _TILES_DOWN
    across = np.arange(_TILES_ACROSS) * columns // _TILES_ACROSS
    sums: Small = np.add.reduceat(np.add.reduceat(cells, down, axis=0), across, axis=1)
    return sums
