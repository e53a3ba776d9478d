"""What stands still becomes scene only by absence over time, texture, and a bounded area, and every release is told."""

from dataclasses import replace

import numpy as np
import pytest

from agent.core.masking.drift import Commissioning
from agent.core.masking.people import PeopleMask
from agent.core.masking.release import RELEASE, UNAIDED, Reason, Release, ReleaseRule
from agent.core.masking.texture import Texture
from agent.core.video import FrameSize
from tests.fakes.street_of_blocks import RATE_HZ, Scene, Watch, hidden_share, person_at

SOMEBODY = (304, 120, 336, 220)
INNER = (308, 128, 332, 212)
QUICK = replace(RELEASE, later_us=20_000_000, later_credit=20)  # the same rule for impatient tests
LORRY = (64, 40, 384, 280)  # a third of the picture


def commissioned(*standing: tuple[int, int, int, int], seed: int = 0) -> Texture:
    """Return the texture of the street, commissioned while somebody may have stood in it."""
    commissioning, scene = Commissioning(), Scene(seed=seed)
    for _ in range(12):
        commissioning.add(scene.picture(*standing))
    return Texture(commissioning.finish())


def watching(rule: ReleaseRule, texture: Texture | None) -> tuple[Watch, Scene]:
    watch = Watch(PeopleMask(rule, texture))
    watch.silent = not rule.needs_detector
    return watch, Scene()


def told(watch: Watch, reason: Reason) -> list[Release]:
    return [one for one in watch.mask.releases() if one.reason is reason]


@pytest.mark.parametrize("rule", [RELEASE, UNAIDED])
def test_a_street_that_looks_as_commissioned_is_shown_within_seconds_and_told(rule: ReleaseRule) -> None:
    watch, scene = watching(rule, commissioned())

    before = watch.watch(scene, seconds=3)
    after = watch.watch(scene, seconds=6)

    assert before is None
    assert after is not None
    assert after.hidden_ratio <= 0.02
    released = told(watch, Reason.AGREES)
    assert sum(one.area_ratio for one in released) == pytest.approx(1, abs=0.02)
    assert min(one.age_us for one in released) >= rule.agreeing_us


def test_who_stands_from_the_first_frame_and_is_never_seen_by_the_net_is_hidden_for_three_minutes() -> None:
    watch, scene = watching(RELEASE, commissioned())

    shares = [hidden_share(watch.show(scene.picture(SOMEBODY)), INNER) for _ in range(170 * RATE_HZ)]

    assert min(shares) == 1.0


def test_without_any_net_who_stands_from_the_first_frame_is_hidden_for_as_long_as_they_stand() -> None:
    watch, scene = watching(UNAIDED, commissioned())

    shares = [hidden_share(watch.show(scene.picture(SOMEBODY)), INNER) for _ in range(60 * RATE_HZ)]
    gone = watch.watch(scene, seconds=25)

    assert min(shares) == 1.0
    assert hidden_share(gone, INNER) == 0.0


def test_without_any_net_what_comes_to_stand_is_hidden_until_it_leaves() -> None:
    watch, scene = watching(replace(UNAIDED, later_us=20_000_000), None)
    watch.watch(scene, seconds=40)

    standing = watch.watch(scene, SOMEBODY, seconds=60)
    gone = watch.watch(scene, seconds=2)

    assert hidden_share(standing, SOMEBODY) == 1.0
    assert hidden_share(gone, SOMEBODY) == 0.0


def test_without_a_reference_view_it_takes_longer() -> None:
    with_it, scene = watching(RELEASE, commissioned())
    without, same = watching(RELEASE, None)

    assert with_it.watch(scene, seconds=8) is not None
    assert without.watch(same, seconds=8) is None
    assert without.watch(same, seconds=6) is not None
    assert told(without, Reason.UNKNOWN)


def test_a_view_of_another_shape_agrees_with_nothing() -> None:
    tall = Commissioning()
    dice = np.random.default_rng(4)
    ground = np.kron(dice.integers(60, 200, (16, 9)), np.ones((20, 10)))
    for _ in range(5):
        tall.add(np.clip(ground + dice.normal(0, 1, ground.shape), 0, 255).astype(np.uint8))
    watch, scene = watching(RELEASE, Texture(tall.finish()))

    assert watch.watch(scene, seconds=60) is None


def test_what_was_commissioned_with_somebody_standing_there_shows_them_as_it_says() -> None:
    watch, scene = watching(RELEASE, commissioned(SOMEBODY))

    last = watch.watch(scene, SOMEBODY, seconds=12)

    assert hidden_share(last, INNER) == 0.0  # the technician is asked for an empty street, and this is why


def test_of_a_lorry_that_parks_no_more_is_shown_at_once_than_the_bound() -> None:
    watch, scene = watching(QUICK, commissioned())
    watch.watch(scene, seconds=12)
    watch.mask.releases()

    parked = hidden_share(watch.watch(scene, LORRY, seconds=35), LORRY)

    later = told(watch, Reason.LATER)
    assert 0 < sum(one.area_ratio for one in later) <= QUICK.later_ratio
    assert 0.5 < parked < 1


def test_a_release_that_is_told_says_where_and_for_how_long_it_stood() -> None:
    watch, scene = watching(QUICK, commissioned())
    watch.watch(scene, seconds=12)
    watch.mask.releases()

    watch.watch(scene, SOMEBODY, seconds=30)

    later = told(watch, Reason.LATER)
    across = sum(one.centre[0] * one.area_ratio for one in later) / sum(one.area_ratio for one in later)
    assert across == pytest.approx(0.5, abs=0.03)
    assert min(one.age_us for one in later) >= QUICK.later_us


def test_a_detector_that_finds_somebody_overrules_the_texture() -> None:
    watch, scene = watching(RELEASE, commissioned(SOMEBODY))

    for frame in range(60 * RATE_HZ):
        watch.sees = (person_at(SOMEBODY, score=0.25),) if (frame // 5) % 8 == 0 else ()
        mask = watch.show(scene.picture(SOMEBODY))

    assert hidden_share(mask, (312, 136, 328, 208)) == 1.0


def test_nothing_hidden_is_remembered_as_a_picture() -> None:
    watch, scene = watching(RELEASE, commissioned())
    watch.watch(scene, seconds=12)
    watch.watch(scene, SOMEBODY, seconds=20)

    state = watch.mask._state
    assert state is not None
    cells = state.raster.rectangle(*(side / size for side, size in zip(INNER, (640, 360, 640, 360), strict=True)))
    pixels = tuple(slice(part.start * 4, part.stop * 4) for part in cells)
    assert not state.luma.any()
    assert not state.scene._ripening[pixels].any()
    assert state.scene._scene[pixels].max() < 200  # the ground; they are at 215


def test_a_stream_of_another_size_begins_with_nothing_proved() -> None:
    watch, scene = watching(RELEASE, commissioned())
    watch.watch(scene, seconds=12)

    with pytest.raises(Exception, match="analysis plane"):
        watch.show(scene.picture(), size=FrameSize(1280, 800))

    assert watch.show(scene.picture()) is None
