"""From the raw outputs of the SSD net to sightings, refusing what cannot be true.

The net is MediaPipe's object detector of 2023, an SSD over MobileNetV2 with 24 classes of
Open Images, 300x300. Anchors and scales are those of its published graph
(`SsdAnchorsCalculator`, `TensorsToDetectionsCalculator`). Only three classes are read.

Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.core.masking.sightings import MOST_SIGHTINGS, Kind, NonsenseError, Region, Sighting

INPUT_PX = 300
ANCHORS = 1917
CLASSES = 24
OUTPUTS = ("boxes", "classes")  # what this reads and all it can make: no vectors, no identities
KIND_OF = {4: Kind.PERSON, 18: Kind.VEHICLE, 23: Kind.VEHICLE}  # Person, Vehicle, Car in the net's label map
LEAST_SCORE = 0.15  # below this nobody asks

_STRIDES_PX = (16, 32, 64, 128, 256, 512)
_SMALLEST, _LARGEST = 0.2, 0.95
_CENTRE_SCALE, _SIDE_SCALE = 10.0, 5.0
_SAME_OVERLAP = 0.5
# Before an even surface the net answers with boxes that fill its picture. People that near are seen in another square
# whole, and move; only certainty counts here.
_FILLS_RATIO, _FILLS_SCORE = 0.7, 0.5
_LARGEST_EXPONENT = 4.0  # a box fifty times its anchor is larger than any tile

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RawBoxes:
    """What the net says of one square picture.

    Attributes:
        encodings: (1917, 4) float32: y, x, height, width against the anchors.
        classes: (1917, 24) float32: logits.
    """

    encodings: Floats
    classes: Floats


def sightings_in(raw: RawBoxes, part: Region) -> tuple[Sighting, ...]:
    """Return what the net saw in one part of the frame, in the frame's 0-1 coordinates, best first.

    Raises:
        NonsenseError: Shapes, values or the number of boxes are not those of a net that works.
    """
    if raw.encodings.shape != (ANCHORS, 4) or raw.classes.shape != (ANCHORS, CLASSES):
        raise NonsenseError(f"a net with outputs of {raw.encodings.shape} and {raw.classes.shape}")
    if not (np.isfinite(raw.encodings).all() and np.isfinite(raw.classes).all()):
        raise NonsenseError("a net that returns numbers which are none")
    columns = list(KIND_OF)
    scores = 1 / (1 + np.exp(-np.clip(raw.classes[:, columns], -30, 30)))
    which = np.argwhere(scores >= LEAST_SCORE)
    if len(which) > 10 * MOST_SIGHTINGS:
        raise NonsenseError(f"a net that sees {len(which)} things in one picture")
    boxes = _decoded(raw.encodings)
    found = [
        (float(scores[row, column]), KIND_OF[columns[column]], boxes[row])
        for row, column in which
        if boxes[row, 0] < boxes[row, 2]
        and boxes[row, 1] < boxes[row, 3]
        and (_area(boxes[row]) < _FILLS_RATIO or scores[row, column] >= _FILLS_SCORE)
    ]
    kept = tuple(_best(found))
    if len(kept) > MOST_SIGHTINGS:
        raise NonsenseError(f"a net that sees {len(kept)} things in one picture")
    wide, high = part.right - part.left, part.bottom - part.top
    return tuple(
        Sighting(
            where=Region(
                part.left + wide * float(box[0]),
                part.top + high * float(box[1]),
                part.left + wide * float(box[2]),
                part.top + high * float(box[3]),
            ),
            kind=kind,
            score=score,
        )
        for score, kind, box in kept
    )


def _best(found: list[tuple[float, Kind, Floats]]) -> Iterator[tuple[float, Kind, Floats]]:
    """Yield, best first, what does not mostly overlap a better one of its kind."""
    kept: list[tuple[Kind, Floats]] = []
    for score, kind, box in sorted(found, key=lambda one: -one[0]):
        if all(kind is not other or _overlap(box, better) < _SAME_OVERLAP for other, better in kept):
            kept.append((kind, box))
            yield score, kind, box


def _overlap(a: Floats, b: Floats) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = float(wide * high)
    return both / (_area(a) + _area(b) - both)


def _area(box: Floats) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _decoded(encodings: Floats) -> Floats:
    """Return (n, 4) left, top, right, bottom within the picture, 0-1."""
    centre_y = encodings[:, 0] / _CENTRE_SCALE * _ANCHORS[:, 2] + _ANCHORS[:, 0]
    centre_x = encodings[:, 1] / _CENTRE_SCALE * _ANCHORS[:, 3] + _ANCHORS[:, 1]
    height = np.exp(np.minimum(encodings[:, 2] / _SIDE_SCALE, _LARGEST_EXPONENT)) * _ANCHORS[:, 2]
    width = np.exp(np.minimum(encodings[:, 3] / _SIDE_SCALE, _LARGEST_EXPONENT)) * _ANCHORS[:, 3]
    edges = [centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2]
    boxes: Floats = np.clip(np.stack(edges, axis=1), 0, 1).astype(np.float32)
    return boxes


def _anchors() -> Floats:
    """Return (1917, 4) centre y, centre x, height, width."""
    rows = []
    layers = len(_STRIDES_PX)
    scales = [_SMALLEST + (_LARGEST - _SMALLEST) * n / (layers - 1) for n in range(layers)] + [1.0]
    for layer, stride in enumerate(_STRIDES_PX):
        if layer == 0:
            kinds = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
        else:
            kinds = [(scales[layer], ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 1 / 3)]
            kinds.append(((scales[layer] * scales[layer + 1]) ** 0.5, 1.0))
        across = -(-INPUT_PX // stride)
        rows += [
            ((y + 0.5) / across, (x + 0.5) / across, scale / ratio**0.5, scale * ratio**0.5)
            for y in range(across)
            for x in range(across)
            for scale, ratio in kinds
        ]
    return np.array(rows, np.float32)


_ANCHORS = _anchors()
