"""Which part of a frame may hide a person: everything that is not proved to be scene.

The union of what is not proved, what differs from the scene now or did half a second
ago, and what a detector saw in the last two seconds, on the cells of the analysis
plane, then on macroblocks.

Fails closed, by raising: while the scene is being learned, when most of it changes
at once, when the detector is silent, when the picture says nothing.

Pure: time is a parameter.
"""

from dataclasses import dataclass

import numpy as np

from agent.core.masking.agreement import Agreement
from agent.core.masking.blocks import BlockMask
from agent.core.masking.cells import AnalysisMismatchError, CellGrid, Raster, Tints, close_gaps, grow, tints_of_cells
from agent.core.masking.motion import Scene
from agent.core.masking.release import RELEASE, Release, ReleaseRule
from agent.core.masking.sightings import Kind, Look, Sightings, covered, touched
from agent.core.masking.texture import Texture
from agent.core.video import I420, FrameSize, Plane

HOLD_US = 600_000  # the leg that swings back is hidden all the while
SILENCE_US = 2_000_000  # a detector that has said nothing for so long is taken for dead
CHANGED_RATIO = 0.6  # of proved scene: not people, but a lamp, or the camera
LEARNED_RATIO = 0.3  # of the picture proved before any of it is shown
LEAST_CONTRAST = 3  # luma steps between dark and bright; less is a covered lens or a blinded one
_GAP_US = 2_000_000  # a stream that stops for longer may have been turned meanwhile

HIDES_FROM_SCORE = 0.35
DOUBTS_FROM_SCORE = 0.2  # less certainty is enough to delay a release than to hide what is proved
_MIDDLE_ACROSS, _MIDDLE_DOWN = -0.12, -0.05  # the part of a box that is person rather than street


class NotSafeError(Exception):
    """It is not known where people are; the whole frame must be filled. The text says why."""


class Learning(NotSafeError):  # noqa: N818 - a state of the scene, told by raising
    """Too little of the scene is proved yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    since_us: int
    raster: Raster
    scene: Scene
    sightings: Sightings
    agreement: Agreement
    differed_at_us: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
    luma: Plane  # of the frame that is looked at, filled up to whole cells; wiped when the look is over


class PeopleMask:
    """Hides everything in the frames of one camera that is not proved to be scene.

    Args:
        rule: What counts as proof.
        texture: The view that was commissioned, if it was.
    """

    def __init__(self, rule: ReleaseRule = RELEASE, texture: Texture | None = None) -> None:
        self._rule = rule
        self._texture = texture
        self._state: _State | None = None
        self._last_pts_us: int | None = None
        self._last_look_us: int | None = None

    def seen(self, look: Look) -> None:
        """Take in what the detector saw, whenever it comes; looks at frames of before a restart do not count."""
        if self._state is None or look.pts_us < self._state.since_us:
            return
        self._last_look_us = max(self._last_look_us or look.pts_us, look.pts_us)
        state = self._state
        state.sightings.add(look, _hold(state, self._last_pts_us or look.pts_us))
        people = tuple(sighting for sighting in look.sightings if sighting.kind is Kind.PERSON)
        person = touched(state.raster, people, least_score=DOUBTS_FROM_SCORE, across=_MIDDLE_ACROSS, down=_MIDDLE_DOWN)
        state.scene.credit(covered(state.raster, look.regions), person)

    def releases(self) -> tuple[Release, ...]:
        """Return what has become scene since the last call."""
        return () if self._state is None else self._state.scene.releases()

    def hide(self, pixels: I420, analysis: Plane, pts_us: int) -> BlockMask:
        """Return what to hide of a frame.

        Args:
            pixels: The frame; only read.
            analysis: Its small luma plane, (h, w) uint8.
            pts_us: Its instant; rises from call to call.

        Raises:
            NotSafeError: All of it.
            AnalysisMismatchError: The plane is not of this frame.
        """
        size = pixels.size
        state = self._state_for(size, analysis, pts_us)
        state.agreement.check(pixels.y, analysis, state.raster, pts_us)
        if int(analysis.max()) - int(analysis.min()) < LEAST_CONTRAST:
            raise NotSafeError("the picture is blank: the lens is covered or blinded")
        state.raster.pad(analysis, state.luma)
        try:
            hidden = self._hidden(state, tints_of_cells(pixels, state.raster), pts_us)
        finally:
            state.luma[...] = 0  # nothing of a person stays longer than the frame
        self._refuse_if_unsure(state, pts_us)
        return BlockMask.from_grid(size, state.raster.blocks(hidden))

    @staticmethod
    def _hidden(state: _State, tints: Tints, pts_us: int) -> CellGrid:
        differing = state.scene.differing(state.luma, tints)
        proved = np.count_nonzero(state.scene.proved)
        if proved and np.count_nonzero(differing) > CHANGED_RATIO * proved:
            state.scene.forget()
            state.differed_at_us[:] = pts_us
            raise NotSafeError("most of the picture changed at once")
        state.differed_at_us[_whole_bodies(differing)] = pts_us
        hidden = _hold(state, pts_us)
        hidden |= state.sightings.cells(pts_us, least_score=HIDES_FROM_SCORE)
        hidden |= ~state.scene.proved
        state.scene.learn(state.luma, pts_us, shown=~hidden, differing=differing)
        return hidden

    def _state_for(self, size: FrameSize, analysis: Plane, pts_us: int) -> _State:
        last, self._last_pts_us = self._last_pts_us, pts_us
        if last is not None and pts_us <= last:
            self._state = None
            raise NotSafeError("time went backwards in the stream")
        try:
            raster = Raster.of(size, analysis)
        except AnalysisMismatchError:
            self._state = None
            raise
        fresh = self._state is None or (last is not None and pts_us - last > _GAP_US)
        if self._state is not None and self._state.raster != raster:
            self._state = None
            raise AnalysisMismatchError(f"the analysis plane changed its size within a stream of {size}")
        if fresh or self._state is None:
            self._state = _State(
                since_us=pts_us,
                raster=raster,
                scene=Scene(raster, self._rule, self._texture),
                sightings=Sightings(raster),
                agreement=Agreement(),
                differed_at_us=np.full(raster.shape, pts_us - HOLD_US - 1, np.int64),
                luma=np.zeros(raster.padded_shape, np.uint8),
            )
            self._last_look_us = None
        return self._state

    def _refuse_if_unsure(self, state: _State, pts_us: int) -> None:
        if not self._rule.needs_detector:
            pass
        elif self._last_look_us is None:
            raise NotSafeError("the detector has not looked yet")
        elif pts_us - self._last_look_us > SILENCE_US:
            raise NotSafeError("the detector has been silent for two seconds")
        if state.scene.proved.mean() < LEARNED_RATIO:
            raise Learning("the scene is being learned")


def _hold(state: _State, now_us: int) -> CellGrid:
    return (now_us - state.differed_at_us) <= HOLD_US


def _whole_bodies(differing: CellGrid) -> CellGrid:
    """Return differing cells with the gaps of a body filled: a grey coat before a grey wall differs at its edges."""
    if not differing.any():
        return differing
    return grow(close_gaps(differing, rows=3, columns=2), up=2, down=1, sideways=1)
