"""Everything is hidden that is not proved to be scene: who moves, who stands, and all of it when in doubt."""

import numpy as np
import pytest

from agent.core.masking.cells import AnalysisMismatchError
from agent.core.masking.people import NotSafeError, PeopleMask
from agent.core.masking.release import UNAIDED
from agent.core.masking.sightings import Kind
from agent.core.video import FrameSize
from tests.fakes.street_of_blocks import RATE_HZ, STEP_US, Scene, Watch, enlarged, hidden_share, person_at, walk

SOMEBODY = (304, 120, 336, 220)
LEARNED_S = 12


def learned(*, seed: int = 0) -> tuple[Watch, Scene]:
    """Return a mask that has seen an empty street for long enough."""
    watch, scene = Watch(), Scene(seed=seed)
    watch.watch(scene, seconds=LEARNED_S)
    return watch, scene


def test_nothing_is_shown_before_the_scene_is_proved() -> None:
    watch, scene = Watch(), Scene()

    shown = [watch.show(scene.picture()) for _ in range(3 * RATE_HZ)]

    assert shown == [None] * len(shown)
    assert watch.why == "the scene is being learned"


def test_an_empty_street_is_shown_whole() -> None:
    watch, scene = learned()

    mask = watch.show(scene.picture())

    assert mask is not None
    assert mask.hidden_ratio <= 0.02


def test_who_walks_is_hidden_in_every_frame() -> None:
    watch, scene = learned()

    shares = [
        hidden_share(watch.show(scene.picture(box)), box) for box in walk((100, 120, 130, 220), step_px=4, frames=80)
    ]

    assert min(shares) == 1.0


def test_who_is_as_bright_as_the_wall_behind_is_hidden_for_their_colour() -> None:
    watch, scene = learned()
    left, top, right, bottom = SOMEBODY

    for _ in range(5):
        watch.pts_us += STEP_US
        small = scene.picture()
        frame = enlarged(small)
        frame.u[top // 2 : bottom // 2, left // 2 : right // 2] = 120
        mask = watch.mask.hide(frame, small, watch.pts_us)

        assert hidden_share(mask, SOMEBODY) == 1.0


def test_where_somebody_was_is_hidden_for_half_a_second_and_shown_again() -> None:
    watch, scene = learned()
    watch.watch(scene, SOMEBODY, seconds=2)

    soon = watch.watch(scene, seconds=0.5)
    later = watch.watch(scene, seconds=1)

    assert hidden_share(soon, SOMEBODY) == 1.0
    assert hidden_share(later, SOMEBODY) == 0.0


def test_who_walks_in_and_stands_still_for_two_minutes_stays_hidden_though_no_detector_sees_them() -> None:
    watch, scene = learned()

    shares = [hidden_share(watch.show(scene.picture(SOMEBODY)), SOMEBODY) for _ in range(120 * RATE_HZ)]

    assert min(shares) == 1.0


def test_who_stands_still_from_the_first_frame_stays_hidden_if_one_look_in_nine_sees_them() -> None:
    watch, scene = Watch(), Scene()

    shares = []
    for frame in range(120 * RATE_HZ):
        watch.sees = (person_at(SOMEBODY, score=0.22),) if (frame // 5) % 8 == 0 else ()
        shares.append(hidden_share(watch.show(scene.picture(SOMEBODY)), SOMEBODY))

    inner = (312, 136, 328, 208)  # the detector's boxes are not exact; their rims may be proved
    assert min(shares) > 0.6
    assert hidden_share(watch.show(scene.picture(SOMEBODY)), inner) == 1.0


def test_a_thing_that_was_left_is_shown_when_the_detector_has_seen_nobody_in_it_for_three_minutes() -> None:
    watch, scene = learned()

    early = watch.watch(scene, SOMEBODY, seconds=170)
    late = watch.watch(scene, SOMEBODY, seconds=15)

    assert hidden_share(early, SOMEBODY) == 1.0
    assert hidden_share(late, SOMEBODY) == 0.0


def test_a_person_who_was_taken_for_scene_is_hidden_once_the_detector_insists() -> None:
    watch, scene = Watch(), Scene()
    watch.watch(scene, SOMEBODY, seconds=LEARNED_S)  # never seen, so proved: the worst that can happen

    watch.sees = (person_at(SOMEBODY, score=0.22),)
    watch.watch(scene, SOMEBODY, seconds=12)
    watch.sees = ()

    assert hidden_share(watch.watch(scene, SOMEBODY, seconds=3), (312, 136, 328, 208)) == 1.0


def test_who_is_detected_before_proved_scene_is_hidden_for_two_seconds() -> None:
    watch, scene = learned()
    watch.sees = (person_at(SOMEBODY),)
    watch.watch(scene, seconds=0.6)
    watch.sees = ()

    assert hidden_share(watch.watch(scene, seconds=1.5), SOMEBODY) == 1.0
    assert hidden_share(watch.watch(scene, seconds=1.5), SOMEBODY) == 0.0


def test_a_vehicle_is_hidden_whole() -> None:
    watch, scene = learned()
    watch.sees = (person_at((100, 200, 400, 340), kind=Kind.VEHICLE),)

    assert hidden_share(watch.watch(scene, seconds=1.1), (100, 200, 400, 340)) == 1.0


def test_a_lamp_that_goes_on_hides_the_whole_frame_until_the_scene_is_proved_again() -> None:
    watch, scene = learned()

    at_once = watch.show(scene.picture(light=1.4))
    why = watch.why
    a_second_later = watch.watch(scene, seconds=1, light=1.4)
    later = watch.watch(scene, seconds=LEARNED_S, light=1.4)

    assert at_once is None
    assert why == "most of the picture changed at once"
    assert a_second_later is None
    assert later is not None
    assert later.hidden_ratio <= 0.02


def test_a_lamp_that_goes_on_does_not_show_who_was_standing_there() -> None:
    watch, scene = learned()
    watch.watch(scene, SOMEBODY, seconds=5)

    watch.watch(scene, SOMEBODY, seconds=60, light=1.15)

    assert hidden_share(watch.show(scene.picture(SOMEBODY, light=1.15)), SOMEBODY) == 1.0


@pytest.mark.parametrize(("bright", "seconds"), [(1.2, 60), (1.6, 30)])  # a blue light, a floodlight
def test_a_flashing_light_does_not_show_who_was_standing_there(bright: float, seconds: int) -> None:
    watch, scene = learned()
    watch.watch(scene, SOMEBODY, seconds=5)

    shares = [
        hidden_share(watch.show(scene.picture(SOMEBODY, light=bright if (n // 3) % 2 == 0 else 1.0)), SOMEBODY)
        for n in range(seconds * RATE_HZ)
    ]

    assert min(shares) == 1.0


def test_slow_light_is_followed() -> None:
    watch, scene = learned()

    last = None
    for n in range(60 * RATE_HZ):
        last = watch.show(scene.picture(light=1 + n / 2000))

    assert last is not None
    assert last.hidden_ratio <= 0.02


@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_picture_is_hidden(level: int) -> None:
    watch, _ = learned()

    assert watch.show(np.full((90, 160), level, np.uint8)) is None
    assert "blank" in watch.why


@pytest.mark.parametrize("level", [0, 255])
def test_a_lens_that_is_covered_for_a_while_does_not_show_who_was_standing_there(level: int) -> None:
    watch, scene = learned()
    watch.watch(scene, SOMEBODY, seconds=5)
    for _ in range(5 * RATE_HZ):
        watch.show(np.full((90, 160), level, np.uint8))

    shares = [hidden_share(watch.show(scene.picture(SOMEBODY)), SOMEBODY) for _ in range(30 * RATE_HZ)]

    assert min(shares) == 1.0


def test_a_silent_detector_hides_the_whole_frame_and_is_forgiven_when_it_speaks() -> None:
    watch, scene = learned()

    watch.silent = True
    watch.watch(scene, seconds=1.5)
    silent = watch.watch(scene, seconds=1)
    why = watch.why
    watch.silent = False
    speaking = watch.watch(scene, seconds=1)

    assert silent is None
    assert why == "the detector has been silent for two seconds"
    assert speaking is not None


def test_no_detector_at_all_proves_nothing() -> None:
    watch, scene = Watch(), Scene()
    watch.silent = True

    assert watch.watch(scene, seconds=60) is None
    assert watch.why == "the detector has not looked yet"


def test_a_frozen_camera_proves_nothing() -> None:
    watch, scene = Watch(), Scene()
    frozen = scene.picture()

    shown = [watch.show(frozen.copy()) for _ in range(20 * RATE_HZ)]

    assert shown == [None] * len(shown)


def test_a_camera_that_freezes_never_shows_who_was_standing_there() -> None:
    watch, scene = learned()
    watch.watch(scene, SOMEBODY, seconds=5)
    frozen = scene.picture(SOMEBODY)

    shares = [hidden_share(watch.show(frozen.copy()), SOMEBODY) for _ in range(240 * RATE_HZ)]

    assert min(shares) == 1.0  # nor after the three minutes in which a street would be proved


def test_unaided_by_a_detector_stillness_alone_proves_and_who_moved_stays_hidden() -> None:
    watch, scene = Watch(PeopleMask(UNAIDED)), Scene()
    watch.silent = True

    soon = watch.watch(scene, seconds=25)
    empty = watch.watch(scene, seconds=10)
    standing = watch.watch(scene, SOMEBODY, seconds=240)

    assert soon is None

    assert empty is not None
    assert empty.hidden_ratio <= 0.02
    assert hidden_share(standing, SOMEBODY) == 1.0


def test_a_gap_in_the_stream_begins_anew() -> None:
    watch, scene = learned()
    watch.pts_us += 3_000_000

    assert watch.show(scene.picture()) is None


def test_time_that_runs_backwards_hides_the_frame_and_begins_anew() -> None:
    watch, scene = learned()
    watch.pts_us -= 10 * STEP_US

    assert watch.show(scene.picture()) is None
    assert watch.show(scene.picture()) is None


@pytest.mark.parametrize("shape", [(180, 320), (90, 161), (0, 160), (90,), (400, 720)])
def test_an_analysis_plane_of_another_size_is_refused_in_mid_stream(shape: tuple[int, ...]) -> None:
    watch, scene = learned()

    with pytest.raises((AnalysisMismatchError, NotSafeError)):
        watch.mask.hide(
            enlarged(scene.picture()), np.arange(np.prod(shape), dtype=np.uint8).reshape(shape), watch.pts_us + STEP_US
        )

    assert watch.show(scene.picture()) is None  # and what was learned is gone


def test_frames_of_another_size_are_refused() -> None:
    watch, scene = learned()

    with pytest.raises(AnalysisMismatchError):
        watch.show(scene.picture(), size=FrameSize(1280, 800))
