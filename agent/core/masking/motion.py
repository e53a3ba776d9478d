"""What the scene looks like when nothing is before it, and where the picture differs from that.

For each cell there is at most one *proved* appearance, the scene, and one *candidate*: what
has been there lately and may become scene when `agent.core.masking.release` says so.
The scene is learned only where the frame shows it: never under a mask, so nothing that
stands still long enough turns into scene by being looked at.

*What is remembered of what is hidden.* The scene is a picture, of low resolution, of what is shown. A candidate is
none: five numbers for each cell (its brightness, its slopes, its colours), so that what stands before the scene
can be known again and not be seen. Only in the last two seconds before a candidate becomes scene, when all else
of the rule holds, are its pixels averaged; if it does not become scene, they are wiped.

What is done for every frame is done on bytes: a pixel differs if it lies outside a span, computed when the
scene is learned, five times a second.

Pure: numpy in, numpy out; time is a parameter.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from agent.core.masking.cells import (
    CELL_PX,
    CellGrid,
    Luma,
    Raster,
    Tints,
    count_in_cells,
    halves_of_lines,
    mean_of_cells,
    over_pixels,
    slopes_of_cells,
)
from agent.core.masking.drift import Field
from agent.core.masking.release import RELEASE, Reason, Release, ReleaseRule
from agent.core.masking.texture import Texture, edges_in
from agent.core.video import Plane

# Luma steps that noise never exceeds: a least one, for codecs and rounding, and so many mean deviations.
_LEAST_STEPS, _DEVIATIONS = 5.0, 3.5
_NOISE_STEPS = (0.6, 6.0)  # believed mean deviations; more than the most is not noise
_FIRST_NOISE_STEPS = 1.5
_PIXELS_DIFFER = 2  # of 16: one alone may be a hot pixel or a drop of rain
_STRONGLY = 3.0  # one alone counts when it differs this many times the limit
# Noise cancels out over a cell, what stands before it does not: at night a dark coat differs by three steps.
_LEAST_MEAN_STEPS, _MEAN_DEVIATIONS = 2.0, 4.0
_MEAN_NOISE_STEPS = (0.1, 2.5)
_FIRST_MEAN_NOISE_STEPS = 0.5
_MEDIAN_OF_EVERY = 5  # cells; a fifth of them tells as well how the light is

_CANDIDATE_LEAST_STEPS, _CANDIDATE_DEVIATIONS = 3.0, 4.0
_CANDIDATE_NOISE_STEPS = (0.1, 3.0)
_FIRST_CANDIDATE_NOISE_STEPS = 0.5

# When so much of the scene differs for one frame only, it rains (a tenth does on the simulated street, a
# fiftieth where it is busy and dry): what differs counts when it does so in two frames.
_WEATHER_RATIO, _WEATHER_RATE = 0.08, 0.1
_PIXELS_OF_A_BODY = 9  # of 16 in one frame: no drop or flake does that, somebody who steps out from behind a car does

Counters = NDArray[np.int64]

TICK_US = 200_000  # learning and ageing happen at this pace; comparing happens every frame
_LONGEST_STEP_US = 500_000  # of ageing: a gap in the stream is not time in which anything was seen
_GONE_US = 10_000_000  # nobody passes by for so long; what was there is gone, however long it had stood
_STANDING_US = 1_000_000  # what differed for so long before the scene was forgotten was no part of the change
_SCENE_RATE = 0.02  # per tick, so ten seconds: a shadow is followed, a person is not
_CANDIDATE_RATE = 0.1
_NOISE_RATE = 0.05
_TEXTURE_EVERY_US, _TEXTURES = 1_000_000, 4  # edges that last for four seconds are of what stands there
_RIPENS_US = 2_000_000  # before it may be scene: so long its pixels are averaged, for a scene of one frame has its rain
_RIPENS_LOOKS = 4  # looks in that time
_LEAST_SAMPLES = 8
_LIGHT_STEP = 0.02  # largest change of brightness per tick that is taken for exposure or a cloud


class Scene:
    """The proved appearance of each cell, and its candidate for it.

    Args:
        raster: Of the stream.
        rule: What counts as proof.
        texture: The reference view, if there is one.
    """

    def __init__(self, raster: Raster, rule: ReleaseRule = RELEASE, texture: Texture | None = None) -> None:
        self._raster = raster
        self._rule = rule
        self._texture = texture
        shape, cells = raster.padded_shape, raster.shape
        self.proved: CellGrid = np.zeros(cells, np.bool_)
        self._guarded: CellGrid = np.zeros(cells, np.bool_)  # something stood here when the scene was forgotten

        self._scene: Luma = np.zeros(shape, np.float32)
        self._noise: Luma = np.full(shape, _FIRST_NOISE_STEPS, np.float32)
        self._scene_means: Luma = np.zeros(cells, np.float32)
        self._mean_noise: Luma = np.full(cells, _FIRST_MEAN_NOISE_STEPS, np.float32)
        self._tints: Tints = np.zeros((2, *cells), np.float32)
        self._tint_noise: Tints = np.full((2, *cells), _FIRST_MEAN_NOISE_STEPS, np.float32)
        self._spans = tuple(_Span(shape, times) for times in (1.0, _STRONGLY))

        self._candidate: NDArray[np.float32] = np.zeros((5, *cells), np.float32)
        self._candidate_noise: NDArray[np.float32] = np.full((5, *cells), _FIRST_CANDIDATE_NOISE_STEPS, np.float32)
        self._age_us: Counters = np.full(cells, -1, np.int64)
        self._absent_us: Counters = np.zeros(cells, np.int64)
        self._credit: Counters = np.zeros(cells, np.int64)
        self._present: CellGrid = np.zeros(cells, np.bool_)  # the candidate, or else the scene, was there last
        self._ripening: Luma = np.zeros(shape, np.float32)
        self._samples: Counters = np.zeros(cells, np.int64)

        self._over: NDArray[np.bool_] = np.zeros(shape, np.bool_)
        self._over_before: NDArray[np.bool_] = np.zeros(shape, np.bool_)
        self._weather = 0.0
        self._halves = halves_of_lines(np.zeros(shape, np.uint8))
        self._means: Luma = np.zeros(cells, np.float32)  # of the last difference, signed
        self._tints_now: Tints = np.zeros((2, *cells), np.float32)
        self._work: Luma = np.empty(shape, np.float32)

        self._last_tick_us: int | None = None
        self._last_means: Luma | None = None
        self._edges: deque[Field] = deque(maxlen=_TEXTURES)
        self._texture_due_us: int | None = None
        self._disagreeing: CellGrid = np.ones(cells, np.bool_)
        self._released_later: list[tuple[int, int]] = []  # when, how many cells
        self._releases: list[Release] = []

    def differing(self, luma: Plane, tints: Tints) -> CellGrid:
        """Return the proved cells in which the picture is not the scene; `learn` learns from the same picture.

        Args:
            luma: The analysis plane, padded to whole cells.
            tints: As `agent.core.masking.cells.tints_of_cells` gives them.
        """
        self._tints_now = tints
        self._halves = halves_of_lines(luma)
        self._means = mean_of_cells(self._halves) - self._scene_means
        self._over, self._over_before = self._over_before, self._over
        usual, strong = self._spans
        over = usual.left_by(luma, self._over)
        if self._weather > _WEATHER_RATIO:
            differing = count_in_cells(over & self._over_before) >= _PIXELS_DIFFER
            differing |= count_in_cells(over) >= _PIXELS_OF_A_BODY
        else:
            # What differs strongly counts twice, so that one such pixel is enough.
            weights = over.view(np.uint8) + strong.left_by(luma).view(np.uint8)
            differing = count_in_cells(weights) >= _PIXELS_DIFFER
            differing |= self._faint()
        differing |= self._tinted()
        differing &= self.proved
        self._notice_weather(over)
        return differing

    def _faint(self) -> CellGrid:
        """Return the cells that differ by little, but as one."""
        sample = self._means[self.proved][::_MEDIAN_OF_EVERY]
        level = np.median(sample) if len(sample) else np.float32(0)  # a cloud moves all of them
        faint: CellGrid = np.abs(self._means - level) > _LEAST_MEAN_STEPS + _MEAN_DEVIATIONS * self._mean_noise
        return faint

    def _tinted(self) -> CellGrid:
        """Return the cells whose colour differs: a green coat before a grey wall that is as bright."""
        limit = _LEAST_MEAN_STEPS + _MEAN_DEVIATIONS * self._tint_noise
        off = np.abs(self._tints_now - self._tints) > limit
        tinted: CellGrid = off[0] | off[1]
        return tinted

    def _notice_weather(self, over: NDArray[np.bool_]) -> None:
        """Follow how much of the scene differs for one frame only: rain and snow do, people do not."""
        came_and_went = (count_in_cells(self._over_before > over) >= _PIXELS_DIFFER) & self.proved
        share = int(np.count_nonzero(came_and_went)) / max(int(np.count_nonzero(self.proved)), 1)
        self._weather += (share - self._weather) * _WEATHER_RATE

    def forget(self) -> None:
        """Prove everything anew; what was standing before the scene is released by the slow rule."""
        self._guarded |= self.proved & (self._age_us >= _STANDING_US)
        self.proved[:] = False
        self._begin_candidates(np.ones_like(self.proved), None)

    def learn(self, luma: Plane, now_us: int, *, shown: CellGrid, differing: CellGrid) -> None:
        """Follow the light where the scene is shown, and age the candidates; does nothing between ticks.

        Args:
            luma: The frame.
            now_us: Its pts.
            shown: Cells that are shown in it.
            differing: What `differing` said of it.
        """
        if self._last_tick_us is not None and now_us - self._last_tick_us < TICK_US:
            return
        step_us = 0 if self._last_tick_us is None else min(now_us - self._last_tick_us, _LONGEST_STEP_US)
        self._last_tick_us = now_us
        features = np.concatenate((slopes_of_cells(self._halves), self._tints_now))
        # A frozen camera repeats itself to the bit. That is no time in which anything stood still.
        frozen = self._last_means is not None and np.array_equal(features[0], self._last_means)
        self._last_means = features[0]
        if frozen:
            return
        self._follow(luma, shown)
        self._age(features, step_us, differing)
        self._release(luma, now_us)
        for span in self._spans:
            span.learn(self._scene, self._noise)

    def releases(self) -> tuple[Release, ...]:
        """Return what was released since the last call."""
        told, self._releases = tuple(self._releases), []
        return told

    def credit(self, looked_at: CellGrid, person: CellGrid) -> None:
        """Count a look: nothing found speaks for what was there last in a cell, a person against it."""
        rule = self._rule
        clear = looked_at & ~person & self._present
        against = person & self._present
        self._credit[clear] += 1
        self._credit[against] -= rule.person_costs
        np.clip(self._credit, rule.lowest_credit, rule.highest_credit, out=self._credit)
        doubted = self.proved & (self._credit <= rule.withdraw_credit)
        if doubted.any():
            self.proved[doubted] = False
            self._guarded[doubted] = True
            self._scene[over_pixels(doubted)] = 0  # a picture of somebody, it seems

    def _follow(self, luma: Plane, shown: CellGrid) -> None:
        if not shown.any():
            return
        # Exposure and clouds change everything by one factor; the median does not see people. Of cell means, because
        # the median of whole luma steps is off by up to half a step, which would add up where nothing is shown.
        level = float(np.median(self._scene_means[shown])) + 1
        factor = 1 + min(max(float(np.median(self._means[shown])) / level, -_LIGHT_STEP), _LIGHT_STEP)
        if abs(factor - 1) > _LIGHT_STEP / 10:
            self._scene *= np.float32(factor)
        pixels = over_pixels(shown).view(np.uint8)
        step = np.subtract(luma, self._scene, out=self._work)
        np.multiply(step, pixels, out=step)
        deviation = np.abs(step)
        np.multiply(step, np.float32(_SCENE_RATE), out=step)
        self._scene += step
        deviation -= self._noise
        np.multiply(deviation, pixels, out=deviation)
        np.multiply(deviation, np.float32(_NOISE_RATE), out=deviation)
        self._noise += deviation
        np.clip(self._noise, *_NOISE_STEPS, out=self._noise)
        self._mean_noise[shown] += (np.abs(self._means[shown]) - self._mean_noise[shown]) * np.float32(_NOISE_RATE)
        np.clip(self._mean_noise, *_MEAN_NOISE_STEPS, out=self._mean_noise)
        tint_step = (self._tints_now - self._tints) * shown
        self._tints += tint_step * np.float32(_SCENE_RATE)
        self._tint_noise += (np.abs(tint_step) - self._tint_noise) * shown * np.float32(_NOISE_RATE)
        np.clip(self._tint_noise, *_MEAN_NOISE_STEPS, out=self._tint_noise)
        self._scene_means = _means_of(self._scene)

    def _age(self, features: NDArray[np.float32], step_us: int, differing: CellGrid) -> None:
        scene_is_there = self.proved & ~differing
        open_cells = ~scene_is_there
        off = features - self._candidate
        limit = _CANDIDATE_LEAST_STEPS + _CANDIDATE_DEVIATIONS * self._candidate_noise
        there = ~(np.abs(off) > limit).any(axis=0) & open_cells
        gone = open_cells & ~there
        self._age_us[there] += step_us
        self._age_us[gone] -= step_us
        self._absent_us[gone] += step_us
        self._absent_us[~gone] = 0
        self._candidate += off * there * np.float32(_CANDIDATE_RATE)
        self._candidate_noise += (np.abs(off) - self._candidate_noise) * there * np.float32(_NOISE_RATE)
        np.clip(self._candidate_noise, *_CANDIDATE_NOISE_STEPS, out=self._candidate_noise)
        self._begin_candidates(gone & ((self._age_us < 0) | (self._absent_us >= _GONE_US)), features)
        # Before proved scene a candidate is what stands there now; once the scene is seen again it was no candidate.
        back = scene_is_there & (self._age_us >= 0)
        self._age_us[back] = -1
        self._credit[back] = np.maximum(self._credit[back], 0)
        self._present = there | scene_is_there

    def _begin_candidates(self, cells: CellGrid, features: NDArray[np.float32] | None) -> None:
        self._age_us[cells] = 0 if features is not None else -1
        self._absent_us[cells] = 0
        self._credit[cells] = np.minimum(self._credit[cells], 0)  # a person found here is not forgiven by moving a hand
        if features is not None:
            np.copyto(self._candidate, features, where=cells)
            np.copyto(self._candidate_noise, np.float32(_FIRST_CANDIDATE_NOISE_STEPS), where=cells)

    def _release(self, luma: Plane, now_us: int) -> None:
        """Average what will soon be scene, and release what may be."""
        rule, known = self._rule, self._texture is not None
        soon_us, soon_credit = (
            (rule.agreeing_us, rule.agreeing_credit) if known else (rule.unknown_us, rule.unknown_credit)
        )
        slow = self.proved | self._guarded
        soon = self._older(soon_us - _RIPENS_US, soon_credit - _RIPENS_LOOKS) & ~slow
        later = self._older(rule.later_us - _RIPENS_US, rule.later_credit - _RIPENS_LOOKS)
        if self._texture is not None:
            agreeing = ~self._disagreements(self._texture, luma, now_us)
            soon &= agreeing
            later &= agreeing | rule.needs_detector
        elif not rule.needs_detector:
            later[:] = False
        later &= ~soon
        self._ripen(luma, soon | later)
        ripe = self._present & (self._samples >= _LEAST_SAMPLES)
        soon &= ripe & self._older(soon_us, soon_credit)
        later = self._within_bounds(later & ripe & self._older(rule.later_us, rule.later_credit), now_us)
        self._tell(soon, Reason.AGREES if known else Reason.UNKNOWN, now_us)
        self._tell(later, Reason.LATER, now_us)
        self._prove(soon | later)

    def _older(self, age_us: int, credit: int) -> CellGrid:
        return (self._age_us >= age_us) & (self._credit >= credit)

    def _disagreements(self, texture: Texture, luma: Plane, now_us: int) -> CellGrid:
        """Return the cells whose lasting appearance has not the texture of the reference view."""
        if self._texture_due_us is None or now_us >= self._texture_due_us:
            self._texture_due_us = now_us + _TEXTURE_EVERY_US
            height, width = self._raster.plane_shape
            self._edges.append(edges_in(luma[:height, :width]))
            self._disagreeing = texture.disagreeing(self._edges, self._raster)
        return self._disagreeing

    def _ripen(self, luma: Plane, cells: CellGrid) -> None:
        """Average the pixels of cells that will soon be scene; wipe those of cells that will not any more."""
        spoilt = ~cells & (self._samples > 0)
        if spoilt.any():
            self._samples[spoilt] = 0
            self._ripening[over_pixels(spoilt)] = 0
        cells = cells & self._present
        if cells.any():
            self._samples += cells
            weights = np.where(cells, 1 / np.maximum(self._samples, 1), 0).astype(np.float32)
            step = np.subtract(luma, self._ripening, out=self._work)
            np.multiply(step, over_pixels(weights), out=step)
            self._ripening += step

    def _within_bounds(self, cells: CellGrid, now_us: int) -> CellGrid:
        """Return those of the cells that may be released now, the longest there first."""
        if not cells.any():
            return cells
        since_us = now_us - self._rule.later_us
        self._released_later = [(at_us, count) for at_us, count in self._released_later if at_us > since_us]
        most = int(self._rule.later_ratio * cells.size) - sum(count for _, count in self._released_later)
        ripe = np.flatnonzero(cells)
        oldest = ripe[np.argsort(-self._age_us.flat[ripe], kind="stable")][: max(most, 0)]
        allowed = np.zeros_like(cells)
        allowed.flat[oldest] = True
        if len(oldest):
            self._released_later.append((now_us, len(oldest)))
        return allowed

    def _tell(self, cells: CellGrid, reason: Reason, now_us: int) -> None:
        if not cells.any():
            return
        rows, columns = np.nonzero(cells)
        centre = (float(columns.mean() + 0.5) / cells.shape[1], float(rows.mean() + 0.5) / cells.shape[0])
        age_us = int(self._age_us[cells].min())
        self._releases.append(
            Release(pts_us=now_us, reason=reason, area_ratio=float(cells.mean()), centre=centre, age_us=age_us)
        )

    def _prove(self, released: CellGrid) -> None:
        if not released.any():
            return
        pixels = over_pixels(released)
        np.copyto(self._scene, self._ripening, where=pixels)
        np.copyto(self._noise, np.float32(_FIRST_NOISE_STEPS), where=pixels)
        self._over[pixels] = False  # it differed from nothing; that is no rain that came and went
        self._ripening[pixels] = 0
        self._samples[released] = 0
        self._scene_means = _means_of(self._scene)
        np.copyto(self._mean_noise, np.float32(_FIRST_MEAN_NOISE_STEPS), where=released)
        np.copyto(self._tints, self._candidate[3:], where=released)
        np.copyto(self._tint_noise, np.float32(_FIRST_MEAN_NOISE_STEPS), where=released)
        self.proved |= released
        self._guarded &= ~released
        self._age_us[released] = -1


class _Span:
    """For each pixel of the scene, which luma it may have."""

    def __init__(self, shape: tuple[int, int], times: float) -> None:
        self._times = times
        self._least: Plane = np.zeros(shape, np.uint8)
        self._reach: Plane = np.zeros(shape, np.uint8)  # above the least
        self._off: Plane = np.empty(shape, np.uint8)
        self._left: NDArray[np.bool_] = np.empty(shape, np.bool_)

    def learn(self, scene: Luma, noise: Luma) -> None:
        """Take over what the scene and its noise are now."""
        limit = noise * np.float32(_DEVIATIONS * self._times)
        limit += np.float32(_LEAST_STEPS * self._times)
        # Whole numbers: above scene + limit is above its floor, below scene - limit below its ceiling.
        most = np.clip(np.floor(scene + limit), 0, 255)
        np.subtract(scene, limit, out=limit)
        np.ceil(limit, out=limit)
        np.clip(limit, 0, most, out=limit)
        most -= limit
        np.copyto(self._least, limit, casting="unsafe")
        np.copyto(self._reach, most, casting="unsafe")

    def left_by(self, luma: Plane, into: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Return which pixels have another luma; the array is written again with the next call."""
        np.subtract(luma, self._least, out=self._off)  # below the least it wraps round and is large
        return np.greater(self._off, self._reach, out=self._left if into is None else into)


def _means_of(pixels: Luma) -> Luma:
    """Return the mean of each cell of a float plane."""
    lines = pixels[0::CELL_PX] + pixels[1::CELL_PX] + pixels[2::CELL_PX] + pixels[3::CELL_PX]
    sums = lines[:, 0::CELL_PX] + lines[:, 1::CELL_PX] + lines[:, 2::CELL_PX] + lines[:, 3::CELL_PX]
    means: Luma = sums * np.float32(1 / (CELL_PX * CELL_PX))
    return means
