"""A picture that shows nothing is told from one that shows the street, day or night."""

from collections.abc import Iterable
from datetime import timedelta

import numpy as np

from agent.core.liveness import Liveness, Look, sample
from agent.core.video import I420, FrameSize, Plane, RawFrame
from tests.fakes.clock import NOON

SECONDS_3 = timedelta(seconds=3)
SIZE = FrameSize(64, 48)
RATE_HZ = 10


def frame(luma: Plane, number: int, *, analysis: bool = True) -> RawFrame:
    pixels = I420.blank(SIZE)
    pixels.y[:] = luma
    return RawFrame(
        pixels=pixels,
        pts_us=number * 1_000_000 // RATE_HZ,
        captured_at=NOON,
        analysis=pixels.y.copy() if analysis else None,
    )


def flat(luma: int) -> Plane:
    return np.full((48, 64), luma, np.uint8)


def looks(pictures: Iterable[Plane], *, liveness: Liveness | None = None) -> list[Look]:
    judge = liveness or Liveness(frozen_after=SECONDS_3, black_after=SECONDS_3)
    return [judge.look(frame(picture, number)) for number, picture in enumerate(pictures)]


def noise(seed: int, *, mean: int, spread: int) -> Plane:
    drawn = np.random.default_rng(seed).normal(mean, spread, (48, 64))
    return drawn.clip(16, 235).astype(np.uint8)


def test_a_changing_picture_is_live() -> None:
    seen = looks(flat(100 + number % 7) for number in range(100))

    assert set(seen) == {Look.LIVE}


def test_the_same_picture_for_three_seconds_is_frozen() -> None:
    seen = looks(flat(100) for _ in range(40))

    assert seen.index(Look.FROZEN) == 3 * RATE_HZ


def test_a_picture_that_moves_again_is_live_again() -> None:
    seen = looks([*[flat(100)] * 35, *(flat(100 + number % 9) for number in range(1, 12))])

    assert seen[34] is Look.FROZEN
    assert seen[-1] is Look.LIVE


def test_a_covered_lens_is_black_although_its_noise_moves() -> None:
    seen = looks(noise(number, mean=18, spread=3) for number in range(40))

    assert seen.index(Look.BLACK) == 3 * RATE_HZ


def test_black_counts_before_frozen() -> None:
    seen = looks(flat(16) for _ in range(40))

    assert set(seen) == {Look.LIVE, Look.BLACK}


def test_night_with_one_lamp_is_not_black() -> None:
    def night(number: int) -> Plane:
        picture = noise(number, mean=18, spread=3)
        picture[10:14, 20:24] = 200
        return picture

    assert set(looks(night(number) for number in range(60))) == {Look.LIVE}


def test_night_at_full_gain_is_not_black() -> None:
    assert set(looks(noise(number, mean=28, spread=10) for number in range(60))) == {Look.LIVE}


def test_light_ends_the_darkness() -> None:
    seen = looks([*[flat(16)] * 20, flat(120), *[flat(16)] * 25])

    assert Look.BLACK not in seen[:46]


def test_a_drawn_scene_may_stand_still_and_be_black() -> None:
    never = Liveness(frozen_after=None, black_after=None)

    assert set(looks((flat(16) for _ in range(100)), liveness=never)) == {Look.LIVE}


def test_without_an_analysis_plane_the_picture_itself_is_sampled() -> None:
    one, same, other = (sample(frame(flat(luma), 0, analysis=False)) for luma in (90, 90, 91))

    assert one == same
    assert one != other
