"""The simulated street is deterministic, and its truth is exactly what was drawn."""

from dataclasses import replace

import numpy as np
import pytest

from agent.adapters.street.figures import draw_person
from agent.adapters.street.scenario import Conditions, Kind, Path, Person, Placement, Scenario, Waypoint, preset
from agent.adapters.street.view import View
from agent.adapters.streetscene import PRESET_NAMES, PRIVATE_ZONES, Street, StreetTruth
from agent.core.video import FrameSize

SIZE = FrameSize(640, 360)
QUIET = Conditions(noise_sigma=0.0)


@pytest.fixture(scope="module")
def busy() -> Street:
    return Street(SIZE, replace(preset("busy"), conditions=QUIET))


@pytest.fixture(scope="module")
def standing() -> Street:
    return Street(SIZE, preset("standing"))


def everything(truth: StreetTruth) -> np.ndarray:
    """Return all pixels that people, vehicles, their shadows and lights may have changed."""
    union = truth.people() | truth.spill
    for vehicle in truth.vehicles:
        union |= vehicle.visible.on(truth.size)
    return union


def test_the_same_seed_and_instant_give_the_same_bytes(standing: Street) -> None:
    again = Street(SIZE, preset("standing"))

    first, second = standing.draw(3.2), again.draw(3.2)

    assert first.packed is not None
    assert second.packed is not None
    assert first.packed is not second.packed
    assert np.array_equal(first.packed, second.packed)


def test_what_was_drawn_before_does_not_show(busy: Street) -> None:
    first = busy.draw_bgr(6.0)
    busy.draw_bgr(11.0)
    busy.truth(2.0)

    second = busy.draw_bgr(6.0)

    assert np.array_equal(first, second)


def test_noise_differs_from_frame_to_frame_though_nothing_moves(standing: Street) -> None:
    one, other = standing.draw(4.0), standing.draw(4.1)

    assert np.array_equal(standing.draw_bgr(4.0)[:60], standing.draw_bgr(4.1)[:60])
    assert not np.array_equal(one.y[:60], other.y[:60])


@pytest.mark.parametrize("t", [0.0, 5.4, 8.0, 14.5, 33.0])
def test_outside_the_truth_nothing_differs_from_the_empty_street(busy: Street, t: float) -> None:
    untouched = ~everything(busy.truth(t))

    drawn, empty = busy.draw_bgr(t), busy.draw_empty_bgr(t)

    assert np.array_equal(drawn[untouched], empty[untouched])
    assert untouched.mean() > 0.5


@pytest.mark.parametrize("name", ["night", "rain"])
def test_the_truth_holds_under_lamps_rain_noise_and_a_shaking_pole(name: str) -> None:
    scenario = preset(name)
    street = Street(SIZE, replace(scenario, conditions=replace(scenario.conditions, shake_px=9.0)))

    for t in (2.3, 9.1):
        untouched = ~everything(street.truth(t))
        drawn, empty = street.draw(t), street.draw_empty(t)

        assert np.array_equal(drawn.y[untouched], empty.y[untouched])


def test_a_figure_changes_most_of_the_pixels_said_to_show_it(standing: Street) -> None:
    truth = standing.truth(1.0)
    (figure,) = truth.figures
    mask = figure.visible.on(SIZE)

    changed = (standing.draw_bgr(1.0) != standing.draw_empty_bgr(1.0)).any(axis=2)

    assert changed[mask].mean() > 0.97
    assert mask.sum() > 1000


def test_a_nearer_figure_hides_a_farther_one() -> None:
    def still(name: str, z: float, x: float) -> Person:
        ways = (Waypoint(0, x, z), Waypoint(99, x, z))
        return Person(id=name, kind=Kind.STANDING, path=Path(waypoints=ways), look_seed=3)

    near, far = still("near", 8.0, -2.0), still("far", 10.0, -2.5)
    both = Street(SIZE, Scenario(name="pair", people=(near, far), conditions=QUIET)).truth(1.0)
    alone = Street(SIZE, Scenario(name="alone", people=(far,), conditions=QUIET)).truth(1.0)

    seen = {figure.id: figure for figure in both.figures}

    assert [figure.id for figure in both.figures] == ["far", "near"]
    assert seen["far"].visible.mask.sum() < 0.8 * alone.figures[0].visible.mask.sum()
    assert seen["far"].box == alone.figures[0].box


def test_twice_the_depth_is_half_the_height() -> None:
    view = View.of(SIZE)

    near, far = (view.project([(0, 0, z), (0, 1.75, z)]) for z in (8.0, 16.0))

    assert near[0, 1] - near[1, 1] == pytest.approx(2 * (far[0, 1] - far[1, 1]))
    assert near[0, 0] == pytest.approx(near[1, 0])  # verticals stay vertical
    assert view.pixel(0, 1.75, 8.0) == pytest.approx(tuple(near[1]))


def test_a_face_shows_only_while_it_is_turned_to_the_camera(busy: Street) -> None:
    faces = {t: f.face_box for t in np.arange(0, 20, 1.25) for f in busy.truth(t).figures if f.id == "turning"}

    assert any(box is None for box in faces.values())
    assert any(box is not None for box in faces.values())


def test_the_busy_street_has_every_kind_of_figure_and_plates_to_read(busy: Street) -> None:
    truths = [busy.truth(t) for t in range(0, 20, 2)]

    kinds = {figure.kind for truth in truths for figure in truth.figures}
    plates = [v.plate_box for truth in truths for v in truth.vehicles if v.plate_box is not None]

    assert kinds == set(Kind) - {Kind.CYCLIST}
    assert max(box.right - box.left for box in plates) > 20


def test_who_rides_has_a_bicycle_that_is_part_of_them() -> None:
    sideways = Placement(x_m=-2.0, z_m=9.0, heading=(1.0, 0.0), speed_m_s=5.0, travelled_m=3.0)
    rider = next(one for one in preset("cyclists").people if one.kind is Kind.CYCLIST)

    wide = {}
    for kind in (Kind.CYCLIST, Kind.WALKER):
        drawn = draw_person(replace(rider, kind=kind), sideways, View.of(SIZE), (1.0, 1.0, 1.0)).sprite.cropped()
        assert drawn is not None
        wide[kind] = drawn.coverage.shape[1]

    assert wide[Kind.CYCLIST] > 1.5 * wide[Kind.WALKER]


def test_someone_stands_perfectly_still_for_two_minutes_from_the_first_frame(standing: Street) -> None:
    first, last = standing.truth(0.0), standing.truth(119.9)

    assert first.figures[0].box == last.figures[0].box
    assert np.array_equal(first.figures[0].visible.mask, last.figures[0].visible.mask)
    assert not standing.truth(120.0).figures


def test_feet_do_not_slide() -> None:
    path = Path(waypoints=(Waypoint(0, 0, 10), Waypoint(10, 0, 20), Waypoint(12, 0, 20), Waypoint(22, 5, 20)))

    def at(t: float) -> Placement:
        placement = path.at(t)
        assert placement is not None
        return placement

    assert [at(t).travelled_m for t in (0, 5, 10, 11.9, 17)] == pytest.approx([0, 5, 10, 10, 12.5])
    assert [at(t).speed_m_s for t in (5, 11, 17)] == pytest.approx([1, 0, 0.5])
    assert path.at(22.0) is None


def test_a_window_of_the_private_house_lies_in_a_private_zone() -> None:
    names = [zone.name for zone in PRIVATE_ZONES]

    windows = next(zone for zone in PRIVATE_ZONES if zone.name.startswith("ground-floor windows"))
    xs, ys = [x for x, _ in windows.polygon], [y for _, y in windows.polygon]
    left, top = View.of(SIZE).pixel(-9.0, 2.75, 10.0)
    right, bottom = View.of(SIZE).pixel(-9.0, 0.95, 14.2)

    assert len(names) == len(set(names)) == 4
    assert min(xs) < left / 640 < right / 640 < max(xs)
    assert min(ys) < top / 360 < bottom / 360 < max(ys)


def test_an_unknown_scenario_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="expected one of " + ", ".join(PRESET_NAMES)):
        preset("carnival")
