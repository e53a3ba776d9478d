"""Count what of people, heads and plates can be seen in decoded pictures, against the truth.

A macroblock of the output counts as masked if every pixel of it is the fill, as far as a
codec can keep it. What is not masked is seen.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.core.masking.blocks import FILL_U, FILL_V, FILL_Y
from agent.core.video import I420, MACROBLOCK_PX

Mask = NDArray[np.bool_]

LUMA_TOLERANCE, CHROMA_TOLERANCE = 12, 10  # largest seen inside a mask at 8 Mbit/s: 5 and 4
CORE_RATIO, HEAD_RATIO, BARE_RATIO = 0.95, 0.95, 0.2
BARE_FRAMES = 3
LEAST_PX = 24  # fewer visible pixels of somebody are no person to anyone


def masked_pixels(picture: I420) -> Mask:
    """Return which pixels of a decoded picture lie in masked macroblocks, (height, width) bool."""
    height, width = picture.y.shape
    rows, columns = -(-height // MACROBLOCK_PX), -(-width // MACROBLOCK_PX)
    off = np.abs(picture.y.astype(np.int16) - FILL_Y) > LUMA_TOLERANCE
    chroma = (np.abs(picture.u.astype(np.int16) - FILL_U) > CHROMA_TOLERANCE) | (
        np.abs(picture.v.astype(np.int16) - FILL_V) > CHROMA_TOLERANCE
    )
    off |= np.repeat(np.repeat(chroma, 2, axis=0), 2, axis=1)[:height, :width]
    whole = np.zeros((rows * MACROBLOCK_PX, columns * MACROBLOCK_PX), np.bool_)
    whole[:height, :width] = off
    blocks = ~whole.reshape(rows, MACROBLOCK_PX, columns, MACROBLOCK_PX).any(axis=(1, 3))
    return np.repeat(np.repeat(blocks, MACROBLOCK_PX, axis=0), MACROBLOCK_PX, axis=1)[:height, :width]


@dataclass(frozen=True, slots=True)
class Seen:
    """One person in one frame.

    Attributes:
        name: Who, in the truth.
        pixels: (height, width) bool, what of them the camera saw.
        head: Likewise of the head; empty if hidden.
        core: Likewise of what must be hidden to 95 %.
    """

    name: str
    pixels: Mask
    head: Mask
    core: Mask


@dataclass(slots=True)
class Score:
    """Sums over frames."""

    frames: int = 0
    whole: int = 0
    person_px: int = 0
    bare_px: int = 0
    by_second: dict[int, tuple[int, int]] = field(default_factory=dict)
    pairs: int = 0
    good_pairs: int = 0
    heads: int = 0
    good_heads: int = 0
    plates: int = 0
    good_plates: int = 0
    false_ratio: float = 0.0
    shown_frames: int = 0
    bare_events: list[str] = field(default_factory=list)
    worst: list[tuple[float, int]] = field(default_factory=list)
    _bare_runs: dict[str, int] = field(default_factory=dict)

    def add(
        self,
        number: int,
        second: int,
        masked: Mask,
        people: list[Seen],
        plates: list[Mask],
        elsewhere: Mask,
        *,
        whole: bool,
    ) -> None:
        """Score one frame.

        Args:
            number: Of the frame.
            second: Of the film.
            masked: What the output hides.
            people: Who is there.
            plates: Number plates, each (height, width) bool.
            elsewhere: Where nothing is that should be hidden.
            whole: Whether the frame failed closed.
        """
        self.frames += 1
        self.whole += whole
        bare_now = set()
        worst = 0.0
        for one in people:
            if int(one.pixels.sum()) >= LEAST_PX:
                bare = self._add_person(one, second, masked)
                worst = max(worst, bare)
                if 1 - bare < BARE_RATIO:
                    bare_now.add(one.name)
        self.worst.append((worst, number))
        self._add_bare(bare_now, number)
        visible_plates = [plate for plate in plates if plate.any()]
        self.plates += len(visible_plates)
        self.good_plates += sum(_share(plate, masked) >= CORE_RATIO for plate in visible_plates)
        if not whole:
            self.shown_frames += 1
            self.false_ratio += float((masked & elsewhere).mean())

    def _add_person(self, one: Seen, second: int, masked: Mask) -> float:
        """Score one person in one frame; return which share of them can be seen."""
        size, bare = int(one.pixels.sum()), int((one.pixels & ~masked).sum())
        self.person_px += size
        self.bare_px += bare
        total, seen = self.by_second.get(second, (0, 0))
        self.by_second[second] = total + size, seen + bare
        self.pairs += 1
        self.good_pairs += _share(one.core, masked) >= CORE_RATIO
        if one.head.any():
            self.heads += 1
            self.good_heads += _share(one.head, masked) >= HEAD_RATIO
        return bare / size

    def _add_bare(self, names: set[str], number: int) -> None:
        for name in names:
            self._bare_runs[name] = self._bare_runs.get(name, 0) + 1
            if self._bare_runs[name] == BARE_FRAMES:
                self.bare_events.append(f"{name} at frame {number}")
        for name in set(self._bare_runs) - names:
            del self._bare_runs[name]

    def row(self) -> dict[str, float | int]:
        """Return the numbers of the table."""
        return {
            "frames": self.frames,
            "hidden whole": self.whole,
            "person pixels left": _ratio(self.bare_px, self.person_px, 0.0),
            "worst second": max((_ratio(seen, total, 0.0) for total, seen in self.by_second.values()), default=0.0),
            "persons masked": _ratio(self.good_pairs, self.pairs, 1.0),
            "heads masked": _ratio(self.good_heads, self.heads, 1.0),
            "bare events": len(self.bare_events),
            "plates masked": _ratio(self.good_plates, self.plates, 1.0),
            "falsely masked": self.false_ratio / max(self.shown_frames, 1),
        }


def _share(part: Mask, masked: Mask) -> float:
    size = int(part.sum())
    return 1.0 if size == 0 else float((part & masked).sum()) / size


def _ratio(part: int, whole: int, empty: float) -> float:
    return part / whole if whole else empty
