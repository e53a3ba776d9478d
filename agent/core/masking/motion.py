"""What the scene looks like when nothing is before it, and where the picture differs from that.

For each cell there is at most one *proved* appearance, the scene, and one *candidate*: what
has been there lately and may become scene when `agent.core.masking.release` says so.
The scene is learned only where the frame shows it: never under a mask, so nothing that
stands still long enough turns into scene by being looked at.

All of it is low-resolution luma (at most 480x270), in memory only.

Pure: numpy in, numpy out; time is a parameter.
"""

import numpy as np
from numpy.typing import NDArray

from agent.core.masking.cells import CELL_PX, CellGrid, Luma, Raster, Tints, count_in_cells, mean_of_cells, over_pixels
from agent.core.masking.release import RELEASE, ReleaseRule

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
_CANDIDATE_TINT_STEPS = 5.0

# When so much of the scene differs for one frame only, it rains (a tenth does on the simulated street, a
# fiftieth where it is busy and dry): what differs counts when it does so in two frames.
_WEATHER_RATIO, _WEATHER_RATE = 0.08, 0.1
_PIXELS_OF_A_BODY = 9  # of 16 in one frame: no drop or flake does that, somebody who steps out from behind a car does

Counters = NDArray[np.int64]

TICK_US = 200_000  # learning and ageing happen at this pace; comparing happens every frame
_LONGEST_STEP_US = 500_000  # of ageing: a gap in the stream is not time in which anything was seen
_STANDING_US = 1_000_000  # what differed for so long before the scene was forgotten was no part of the change
_SCENE_RATE = 0.02  # per tick, so ten seconds: a shadow is followed, a person is not
_CANDIDATE_RATE = 0.1
_NOISE_RATE = 0.05
_LIGHT_STEP = 0.02  # largest change of brightness per tick that is taken for exposure or a cloud


class Scene:
    """The proved appearance of each cell, and its candidate for it."""

    def __init__(self, raster: Raster, rule: ReleaseRule = RELEASE) -> None:
        self._rule = rule
        shape = (raster.rows * CELL_PX, raster.columns * CELL_PX)
        self.proved: CellGrid = np.zeros(raster.shape, np.bool_)
        self._guarded: CellGrid = np.zeros(raster.shape, np.bool_)  # something stood here when the scene was forgotten
        self._scene: Luma = np.zeros(shape, np.float32)
        self._noise: Luma = np.full(shape, _FIRST_NOISE_STEPS, np.float32)
        self._limit: Luma = _limits(self._noise)
        self._candidate: Luma = np.zeros(shape, np.float32)
        self._candidate_noise: Luma = np.full(shape, _FIRST_NOISE_STEPS, np.float32)
        self._age_us: Counters = np.full(raster.shape, -1, np.int64)
        self._credit: Counters = np.zeros(raster.shape, np.int64)
        self._present: CellGrid = np.zeros(raster.shape, np.bool_)  # the candidate, or else the scene, was there last
        self._means: NDArray[np.float32] = np.zeros(raster.shape, np.float32)  # of the last difference, signed
        self._mean_noise: NDArray[np.float32] = np.full(raster.shape, _FIRST_MEAN_NOISE_STEPS, np.float32)
        self._tints: Tints = np.zeros((2, *raster.shape), np.float32)  # of the scene
        self._tint_noise: Tints = np.full((2, *raster.shape), _FIRST_MEAN_NOISE_STEPS, np.float32)
        self._candidate_tints: Tints = np.zeros((2, *raster.shape), np.float32)
        self._tints_now: Tints = np.zeros((2, *raster.shape), np.float32)
        self._over_before: NDArray[np.bool_] = np.zeros(shape, np.bool_)
        self._weather = 0.0
        self._difference: Luma = np.empty(shape, np.float32)
        self._last_tick_us: int | None = None
        self._last_luma: Luma | None = None

    def differing(self, luma: Luma, tints: Tints) -> CellGrid:
        """Return the proved cells in which the picture is not the scene; `learn` learns from the same picture."""
        self._tints_now = tints
        difference = np.subtract(luma, self._scene, out=self._difference)
        self._means = mean_of_cells(difference)
        np.abs(difference, out=difference)
        over = difference > self._limit
        lasting = over & self._over_before if self._weather > _WEATHER_RATIO else over
        differing = (count_in_cells(lasting) >= _PIXELS_DIFFER) & self.proved
        if self._weather > _WEATHER_RATIO:
            differing |= (count_in_cells(over) >= _PIXELS_OF_A_BODY) & self.proved
        else:
            differing |= (count_in_cells(difference > self._limit * _STRONGLY) > 0) & self.proved
            differing |= self._faint() & self.proved
        differing |= self._tinted() & self.proved
        self._notice_weather(over)
        return differing

    def _faint(self) -> CellGrid:
        """Return the cells that differ by little, but as one."""
        if not self.proved.any():
            return self.proved
        means = self._means - np.median(self._means[self.proved])  # a cloud moves all of them
        faint: CellGrid = np.abs(means) > _LEAST_MEAN_STEPS + _MEAN_DEVIATIONS * self._mean_noise
        return faint

    def _tinted(self) -> CellGrid:
        """Return the cells whose colour differs: a green coat before a grey wall that is as bright."""
        limit = _LEAST_MEAN_STEPS + _MEAN_DEVIATIONS * self._tint_noise
        tinted: CellGrid = (np.abs(self._tints_now - self._tints) > limit).any(axis=0)
        return tinted

    def _notice_weather(self, over: NDArray[np.bool_]) -> None:
        """Follow how much of the scene differs for one frame only: rain and snow do, people do not."""
        came_and_went = (count_in_cells(self._over_before & ~over) >= _PIXELS_DIFFER) & self.proved
        share = float(came_and_went.sum()) / max(int(self.proved.sum()), 1)
        self._weather += (share - self._weather) * _WEATHER_RATE
        self._over_before = over

    def forget(self) -> None:
        """Prove everything anew; what was standing before the scene is released by the slow rule."""
        self._guarded |= self.proved & (self._age_us >= _STANDING_US)
        self.proved[:] = False
        self._begin_candidates(np.ones_like(self.proved))

    def learn(self, luma: Luma, now_us: int, *, shown: CellGrid, differing: CellGrid) -> None:
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
        # A frozen camera repeats itself to the bit. That is no time in which anything stood still.
        frozen = self._last_luma is not None and np.array_equal(luma, self._last_luma)
        self._last_luma = luma
        if frozen:
            return
        self._follow(luma, shown)
        self._age(luma, step_us, differing)
        self._release()

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

    def _follow(self, luma: Luma, shown: CellGrid) -> None:
        if not shown.any():
            return
        pixels = over_pixels(shown)
        # Exposure and clouds change everything by one factor; the median does not see people. Of cell means, because
        # the median of whole luma steps is off by up to half a step, which would add up where nothing is shown.
        level = float(np.median(self._scene[::CELL_PX, ::CELL_PX][shown])) + 1
        factor = 1 + min(max(float(np.median(self._means[shown])) / level, -_LIGHT_STEP), _LIGHT_STEP)
        if abs(factor - 1) > _LIGHT_STEP / 10:
            self._scene *= np.float32(factor)
        step = luma - self._scene
        np.multiply(step, pixels, out=step)
        self._scene += step * np.float32(_SCENE_RATE)
        deviation = np.abs(step)
        self._noise += (deviation - self._noise) * pixels * np.float32(_NOISE_RATE)
        np.clip(self._noise, *_NOISE_STEPS, out=self._noise)
        self._limit = _limits(self._noise)
        self._mean_noise[shown] += (np.abs(self._means[shown]) - self._mean_noise[shown]) * np.float32(_NOISE_RATE)
        np.clip(self._mean_noise, *_MEAN_NOISE_STEPS, out=self._mean_noise)
        tint_step = (self._tints_now - self._tints) * shown
        self._tints += tint_step * np.float32(_SCENE_RATE)
        self._tint_noise += (np.abs(tint_step) - self._tint_noise) * shown * np.float32(_NOISE_RATE)
        np.clip(self._tint_noise, *_MEAN_NOISE_STEPS, out=self._tint_noise)

    def _age(self, luma: Luma, step_us: int, differing: CellGrid) -> None:
        scene_is_there = self.proved & ~differing
        open_cells = ~scene_is_there
        difference = np.abs(luma - self._candidate)
        tinted = (np.abs(self._tints_now - self._candidate_tints) > _CANDIDATE_TINT_STEPS).any(axis=0)
        there = ~_differ(difference, _limits(self._candidate_noise)) & ~tinted & open_cells
        gone = open_cells & ~there
        self._age_us[there] += step_us
        self._age_us[gone] -= step_us
        pixels = over_pixels(there)
        self._candidate += (luma - self._candidate) * pixels * np.float32(_CANDIDATE_RATE)
        self._candidate_tints += (self._tints_now - self._candidate_tints) * there * np.float32(_CANDIDATE_RATE)
        self._candidate_noise += (difference - self._candidate_noise) * pixels * np.float32(_NOISE_RATE)
        np.clip(self._candidate_noise, *_NOISE_STEPS, out=self._candidate_noise)
        self._begin_candidates(gone & (self._age_us < 0), luma)
        # Before proved scene a candidate is what stands there now; once the scene is seen again it was no candidate.
        back = scene_is_there & (self._age_us >= 0)
        self._age_us[back] = -1
        self._credit[back] = np.maximum(self._credit[back], 0)
        self._present = there | scene_is_there

    def _begin_candidates(self, cells: CellGrid, luma: Luma | None = None) -> None:
        self._age_us[cells] = 0 if luma is not None else -1
        self._credit[cells] = np.minimum(self._credit[cells], 0)  # a person found here is not forgiven by moving a hand
        if luma is not None:
            pixels = over_pixels(cells)
            np.copyto(self._candidate, luma, where=pixels)
            np.copyto(self._candidate_tints, self._tints_now, where=cells)
            np.copyto(self._candidate_noise, np.float32(_FIRST_NOISE_STEPS), where=pixels)

    def _release(self) -> None:
        rule = self._rule
        slow = self.proved | self._guarded
        old_enough = self._age_us >= np.where(slow, rule.later_us, rule.at_start_us)
        trusted = self._credit >= np.where(slow, rule.later_credit, rule.at_start_credit)
        released = old_enough & trusted & self._present
        if not released.any():
            return
        pixels = over_pixels(released)
        np.copyto(self._scene, self._candidate, where=pixels)
        np.copyto(self._tints, self._candidate_tints, where=released)
        np.copyto(self._noise, self._candidate_noise, where=pixels)
        self._limit = _limits(self._noise)
        self.proved |= released
        self._guarded &= ~released
        self._age_us[released] = -1


def _limits(noise: Luma) -> Luma:
    return _LEAST_STEPS + _DEVIATIONS * noise


def _differ(difference: Luma, limit: Luma) -> CellGrid:
    """Return the cells of which enough pixels exceed their limit, or one exceeds it by far."""
    return (count_in_cells(difference > limit) >= _PIXELS_DIFFER) | (count_in_cells(difference > limit * _STRONGLY) > 0)
