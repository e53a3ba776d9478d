"""What a net says becomes boxes within the frame, or is refused; nothing it says can be anything but a box."""

from dataclasses import fields

import numpy as np
import pytest

from agent.core.masking.sightings import Kind, NonsenseError, Region, Sighting
from agent.core.masking.ssd import ANCHORS, CLASSES, RawBoxes, sightings_in
from tests.fakes.nets import PERSON, VEHICLE, raw

WHOLE = Region(0.0, 0.0, 1.0, 1.0)
SMALL = 600  # an anchor of the finest layer: 10 x 10 % of the picture
BOTTLE = 16


def test_a_confident_person_becomes_one_sighting() -> None:
    (seen,) = sightings_in(raw((SMALL, PERSON, 2.0)), WHOLE)

    assert seen.kind is Kind.PERSON
    assert seen.score == pytest.approx(0.88, abs=0.01)
    assert 0 <= seen.where.left < seen.where.right <= 1
    assert 0 <= seen.where.top < seen.where.bottom <= 1


def test_boxes_lie_in_the_part_of_the_frame_that_was_looked_at() -> None:
    part = Region(0.5, 0.25, 0.75, 0.5)

    (seen,) = sightings_in(raw((SMALL, VEHICLE, 2.0)), part)

    assert seen.kind is Kind.VEHICLE
    assert part.left <= seen.where.left < seen.where.right <= part.right
    assert part.top <= seen.where.top < seen.where.bottom <= part.bottom


def test_the_same_thing_seen_twice_is_one_sighting_and_of_two_kinds_two() -> None:
    assert len(sightings_in(raw((SMALL, PERSON, 2.0), (SMALL, PERSON, 1.0)), WHOLE)) == 1
    assert len(sightings_in(raw((SMALL, PERSON, 2.0), (SMALL, VEHICLE, 1.0)), WHOLE)) == 2


def test_other_classes_and_doubtful_scores_are_not_seen() -> None:
    assert sightings_in(raw((SMALL, BOTTLE, 5.0), (SMALL, PERSON, -3.0)), WHOLE) == ()


def test_a_box_that_fills_the_picture_counts_only_when_it_is_certain() -> None:
    largest = ANCHORS - 1

    assert sightings_in(raw((largest, PERSON, -0.5)), WHOLE) == ()
    assert len(sightings_in(raw((largest, PERSON, 1.0)), WHOLE)) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    broken = raw((SMALL, PERSON, 2.0))
    broken.encodings[7, 2] = bad

    with pytest.raises(NonsenseError, match="which are none"):
        sightings_in(broken, WHOLE)


def test_logits_that_are_none_are_refused() -> None:
    with pytest.raises(NonsenseError, match="which are none"):
        sightings_in(raw((SMALL, PERSON, float("nan"))), WHOLE)


def test_a_net_that_sees_people_everywhere_is_refused() -> None:
    classes = np.full((ANCHORS, CLASSES), 9.0, np.float32)

    with pytest.raises(NonsenseError, match="things in one picture"):
        sightings_in(RawBoxes(np.zeros((ANCHORS, 4), np.float32), classes), WHOLE)


def test_more_separate_boxes_than_a_street_holds_are_refused() -> None:
    everywhere = raw(*((anchor, PERSON, 2.0) for anchor in range(1083)))

    with pytest.raises(NonsenseError, match="things in one picture"):
        sightings_in(everywhere, WHOLE)


def test_ten_thousand_boxes_are_refused_by_their_shape() -> None:
    with pytest.raises(NonsenseError, match="outputs of"):
        sightings_in(raw(shape=(10_000, CLASSES)), WHOLE)


def test_boxes_outside_the_picture_are_cut_or_dropped() -> None:
    outside = raw((SMALL, PERSON, 2.0), (SMALL + 1, PERSON, 2.0))
    outside.encodings[SMALL] = (-1e6, -1e6, 0, 0)
    outside.encodings[SMALL + 1] = (0, 0, 1e6, 1e6)

    seen = sightings_in(outside, WHOLE)

    assert all(
        0 <= one.where.left < one.where.right <= 1 and 0 <= one.where.top < one.where.bottom <= 1 for one in seen
    )
    assert len(seen) == 1


def test_a_sighting_has_a_place_a_kind_and_a_score_and_nothing_to_tell_people_apart() -> None:
    assert {field.name for field in fields(Sighting)} == {"where", "kind", "score"}
    assert {field.name for field in fields(Region)} == {"left", "top", "right", "bottom"}
