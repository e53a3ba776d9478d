"""Nets that say what a test wants, in the raw numbers of the real one."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from agent.core.masking.sightings import NonsenseError
from agent.core.masking.ssd import ANCHORS, CLASSES, RawBoxes
from agent.core.video import Plane

PERSON, VEHICLE = 4, 23
NOTHING = -12.0  # a logit nobody believes


def raw(*seen: tuple[int, int, float], shape: tuple[int, int] = (ANCHORS, CLASSES)) -> RawBoxes:
    """Return raw outputs in which anchor, class and logit are as given, and every box is its anchor."""
    classes = np.full(shape, NOTHING, np.float32)
    for anchor, kind, logit in seen:
        classes[anchor, kind] = logit
    return RawBoxes(np.zeros((shape[0], 4), np.float32), classes)


class FakeNet:
    """Says `answer` to every picture.

    Attributes:
        answer: What it says; a function may raise.
        pictures: How many it was shown.
    """

    def __init__(self, answer: RawBoxes | Callable[[Plane], RawBoxes] | None = None) -> None:
        self.answer = answer or raw()
        self.pictures = 0

    def __call__(self, rgb: Plane) -> RawBoxes:
        assert rgb.shape == (300, 300, 3)
        assert rgb.dtype == np.uint8
        self.pictures += 1
        return self.answer(rgb) if callable(self.answer) else self.answer


class HangingNet:
    """Hangs in its first picture until released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()

    def __call__(self, rgb: Plane) -> RawBoxes:
        self.entered.set()
        self.release.wait(60)
        return raw()


def failing(_rgb: Plane) -> RawBoxes:
    """Fail as an interpreter fails."""
    raise NonsenseError("the net failed: out of memory")


def in_turn(nets: Sequence[Callable[[Plane], RawBoxes]]) -> Callable[[], Callable[[Plane], RawBoxes]]:
    """Return a loader that returns one net after the other, the last for ever."""
    left = list(nets)
    return lambda: left.pop(0) if len(left) > 1 else left[0]
