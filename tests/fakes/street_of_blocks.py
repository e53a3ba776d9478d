"""A made-up scene for the people mask: textured ground, noise, and rectangles that come and go."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from agent.core.masking.blocks import BlockMask
from agent.core.masking.people import NotSafeError, PeopleMask
from agent.core.masking.sightings import Kind, Look, Region, Sighting
from agent.core.video import I420, FrameSize

SIZE = FrameSize(640, 360)
FACTOR = 4
RATE_HZ = 5  # the mask learns five times a second; more frames would only take longer
STEP_US = 1_000_000 // RATE_HZ
EVERYWHERE = (Region(0.0, 0.0, 1.0, 1.0),)

Analysis = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, right, bottom in frame pixels, multiples of FACTOR


class Scene:
    """A textured ground that a camera with noise looks at; every picture is another one."""

    def __init__(self, *, seed: int = 0) -> None:
        self._dice = np.random.default_rng(seed)
        coarse = self._dice.integers(70, 170, (9, 16))
        self._ground = np.kron(coarse, np.ones((10, 10)))

    def picture(self, *people: Box, light: float = 1.0, luma: int = 215) -> Analysis:
        """Return the analysis plane with people standing where the boxes are."""
        scene = self._ground.copy()
        for left, top, right, bottom in people:
            scene[top // FACTOR : bottom // FACTOR, left // FACTOR : right // FACTOR] = luma
        noise = self._dice.normal(0, 0.8, scene.shape)
        return np.clip(scene * light + noise, 0, 255).astype(np.uint8)


class Watch:
    """A people mask, the time, and a detector that says what it is told to."""

    def __init__(self, mask: PeopleMask | None = None) -> None:
        self.mask = mask or PeopleMask()
        self.pts_us = 1_000_000
        self.sees: tuple[Sighting, ...] = ()
        self.silent = False
        self.why = ""

    def show(self, analysis: Analysis, size: FrameSize = SIZE) -> BlockMask | None:
        """Show one frame; return its mask, or None if all of it is hidden (`why` says the reason)."""
        self.pts_us += STEP_US
        try:
            shown = self.mask.hide(enlarged(analysis, size), analysis, self.pts_us)
        except NotSafeError as error:
            self.why = str(error)
            shown = None
        if not self.silent and self.pts_us % 500_000 < STEP_US:
            self.mask.seen(Look(pts_us=self.pts_us, regions=EVERYWHERE, sightings=self.sees))
        return shown

    def watch(self, scene: Scene, *people: Box, seconds: float, light: float = 1.0) -> BlockMask | None:
        """Show an unchanging scene for a while; return the last mask."""
        last = None
        for _ in range(round(seconds * RATE_HZ)):
            last = self.show(scene.picture(*people, light=light))
        return last


def enlarged(analysis: Analysis, size: FrameSize = SIZE) -> I420:
    """Return a grey frame of `size` whose reduction `analysis` is, as far as it reaches."""
    frame = I420.blank(size)
    frame.y[...], frame.u[...], frame.v[...] = 0, 128, 128
    if analysis.ndim == 2:
        large = analysis.repeat(FACTOR, axis=1).repeat(FACTOR, axis=0)[: size.height_px, : size.width_px]
        frame.y[: large.shape[0], : large.shape[1]] = large
    return frame


def walk(start: Box, *, step_px: int, frames: int) -> Iterator[Box]:
    """Yield where somebody is who walks to the right."""
    left, top, right, bottom = start
    for n in range(frames):
        yield (left + n * step_px, top, right + n * step_px, bottom)


def person_at(box: Box, *, score: float = 0.6, kind: Kind = Kind.PERSON) -> Sighting:
    """Return what a detector says of somebody."""
    left, top, right, bottom = box
    where = Region(left / SIZE.width_px, top / SIZE.height_px, right / SIZE.width_px, bottom / SIZE.height_px)
    return Sighting(where=where, kind=kind, score=score)


def hidden_share(mask: BlockMask | None, box: Box) -> float:
    """Return how much of a box the mask hides, 0 to 1; None hides everything."""
    if mask is None:
        return 1.0
    pixels = np.kron(mask.grid, np.ones((16, 16), bool))
    left, top, right, bottom = box
    return float(pixels[top:bottom, left:right].mean())
