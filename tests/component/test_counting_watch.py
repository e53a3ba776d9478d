"""Rows of counts reach the log, from the mask's detector or one of their own; a counts-only site keeps no picture."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agent.config import AreaSection, CountingSection, GroundPointSection, LineSection
from agent.core.log.leaf import Event, encode_leaf
from agent.core.masking.sightings import Kind, Look, Region, Sighting
from agent.core.policy.decision import ApprovedModel, Decision, PeopleMode
from agent.core.video import I420, FrameSize, RawFrame
from agent.core.zones import Zone
from agent.errors import ConfigurationError, ModelRefusedError
from agent.recorder.counting_watch import RETRY_EVERY_US, CountingWatch, Models, counting_places
from tests.fakes.event_log import MemoryLog

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
STEP = timedelta(milliseconds=500)
NET = ApprovedModel("a" * 64, ("boxes", "classes"))
COUNTS = Decision(recording=False, reason="counts only", people=PeopleMode.COUNTS_ONLY, models=(NET,))
RECORDED = Decision(recording=True, reason="test", models=(NET,))
KERB = CountingSection(lines=(LineSection(name="kerb", start=(0.5, 1.0), end=(0.5, 0.0)),))
GROUND = tuple(
    GroundPointSection(at=at, metres=metres)
    for at, metres in (((0, 1), (0, 0)), ((1, 1), (8, 0)), ((1, 0), (8, 4.5)), ((0, 0), (0, 4.5)))
)  # seen from straight above, eight metres across
PIXELS = I420(*(np.zeros(shape, np.uint8) for shape in ((64, 64), (32, 32), (32, 32))))


def somebody(x: float) -> Sighting:
    return Sighting(where=Region(x - 0.03, 0.4, x + 0.03, 0.6), kind=Kind.PERSON, score=0.9)


class WalkersDetector:
    """Sees somebody walk from left to right, again and again, one step in each frame."""

    def __init__(self) -> None:
        self.offered = 0
        self.closed = 0
        self._looks: list[Look] = []

    def offer(self, frame: RawFrame) -> None:
        step = self.offered % 12  # five steps, and seven looks at nobody
        self.offered += 1
        seen = (somebody(0.42 + 0.04 * step),) if step < 5 else ()
        self._looks.append(Look(pts_us=frame.pts_us, regions=(Region(0, 0, 1, 1),), sightings=seen))

    def looks(self) -> Sequence[Look]:
        ended, self._looks = self._looks, []
        return ended

    def close(self) -> None:
        self.closed += 1


class Rig:
    def __init__(self, section: CountingSection = KERB) -> None:
        self.log = MemoryLog()
        self.detectors: list[WalkersDetector] = []
        self.refusing = False
        self.asked = 0
        self.watch = CountingWatch(counting_places(section), self._open, self.log)
        self.pts_us = 0
        self.at = NOON

    def _open(self, models: Models) -> WalkersDetector:
        assert models == (NET,)
        self.asked += 1
        if self.refusing:
            raise ModelRefusedError("no approved model")
        self.detectors.append(WalkersDetector())
        return self.detectors[-1]

    def frame(self) -> RawFrame:
        self.pts_us += STEP // timedelta(microseconds=1)
        self.at += STEP
        return RawFrame(pixels=PIXELS, pts_us=self.pts_us, captured_at=self.at)

    def glance(self, decision: Decision, *, frames: int) -> None:
        for _ in range(frames):
            self.watch.glance(self.frame(), decision)


def test_a_counts_only_site_has_rows() -> None:
    rig = Rig()

    rig.glance(COUNTS, frames=1801)

    assert rig.log.kinds == ["counts"]
    facts = rig.log.events[0][1]
    assert facts == {
        "place": "kerb",
        "interval_at": "2026-06-01T12:00:00+00:00",
        "interval_s": 900,
        "watched_s": 899,
        "suppressed_below": 5,
        "person_left_to_right": 150,
        "person_right_to_left": None,
        "vehicle_left_to_right": None,
        "vehicle_right_to_left": None,
    }
    assert encode_leaf(Event(number=0, at=NOON, kind="counts", facts=facts))


def test_where_the_ground_is_calibrated_a_row_has_speeds_and_cyclists() -> None:
    rig = Rig(CountingSection(lines=KERB.lines, ground=GROUND))

    rig.glance(COUNTS, frames=1801)

    facts = rig.log.events[0][1]
    assert (facts["person_left_to_right"], facts["person_left_to_right_kmh"]) == (150, 2)  # 0.32 m each half second
    assert (facts["cyclist_left_to_right"], facts["cyclist_left_to_right_kmh"]) == (None, None)
    assert encode_leaf(Event(number=0, at=NOON, kind="counts", facts=facts))


def test_what_is_counted_at_the_end_is_told_for_as_long_as_it_was_watched() -> None:
    rig = Rig()
    rig.glance(COUNTS, frames=121)

    rig.watch.close()
    rig.watch.close()

    assert [(facts["person_left_to_right"], facts["watched_s"]) for _, facts in rig.log.events] == [(10, 60)]
    assert rig.detectors[0].closed == 1


def test_the_looks_of_the_people_mask_are_counted_as_they_pass() -> None:
    rig = Rig()
    detector = rig.watch.tapped((NET,))
    passed = 0
    for _ in range(120):
        frame = rig.frame()
        rig.watch.glance(frame, RECORDED)
        detector.offer(frame)
        passed += len(detector.looks())
    detector.close()
    rig.watch.close()

    assert passed == 120
    assert len(rig.detectors) == 1  # no second net beside it
    assert rig.detectors[0].closed == 1
    assert rig.log.events[0][1]["person_left_to_right"] == 10


@pytest.mark.parametrize(
    "decision",
    [
        Decision.dark("nothing permits it"),
        replace(COUNTS, models=()),
        replace(COUNTS, people=PeopleMode.SCENE),
        RECORDED,
    ],
)
def test_a_camera_that_may_not_count_alone_has_no_detector_of_its_own(decision: Decision) -> None:
    rig = Rig()

    rig.glance(decision, frames=20)
    rig.watch.close()

    assert rig.asked == 0
    assert rig.log.events == []


def test_without_places_nothing_is_looked_at() -> None:
    rig = Rig(CountingSection())

    rig.glance(COUNTS, frames=20)

    assert rig.asked == 0


def test_the_detector_stops_with_the_permission() -> None:
    rig = Rig()
    rig.glance(COUNTS, frames=5)
    rig.glance(Decision.dark("paused"), frames=5)

    assert rig.detectors[0].closed == 1
    assert rig.detectors[0].offered == 5


def test_a_refused_net_is_told_once_and_tried_again_once_a_minute() -> None:
    rig = Rig()
    rig.refusing = True
    minute = RETRY_EVERY_US * timedelta(microseconds=1) // STEP

    rig.glance(COUNTS, frames=2 * minute + 1)

    assert rig.log.kinds == ["model-refused"]
    assert rig.asked == 3


def test_who_is_in_a_private_area_is_not_counted() -> None:
    rig = Rig()
    window = Zone(name="window", polygon=((0.3, 0.1), (0.7, 0.1), (0.7, 0.9), (0.3, 0.9)))
    rig.glance(replace(COUNTS, zones=(window,)), frames=240)
    rig.watch.close()

    assert rig.log.events[0][1]["person_left_to_right"] is None


@pytest.mark.parametrize(
    "section",
    [
        CountingSection(lines=KERB.lines * 2),
        CountingSection(lines=(LineSection(name="dot", start=(0.5, 0.5), end=(0.5, 0.5)),)),
        CountingSection(areas=(AreaSection(name="two corners", polygon=((0, 0), (1, 1))),)),
        CountingSection(
            areas=(
                AreaSection(name="plaza", polygon=((0, 0), (1, 0), (1, 1), (0, 1))),
                AreaSection(name="its half", polygon=((0, 0), (0.5, 0), (0.5, 1), (0, 1))),
            )
        ),
        CountingSection(ground=GROUND[:3]),
        CountingSection(ground=GROUND[:3] * 2),
    ],
)
def test_places_that_are_none_are_refused(section: CountingSection) -> None:
    with pytest.raises(ConfigurationError, match="counting"):
        counting_places(section)


def test_the_size_of_a_place_is_in_the_picture() -> None:
    with pytest.raises(ValueError, match="less than or equal to 1"):
        LineSection(name="far", start=(0, 0), end=(1.5, 0))


def test_frames_are_not_kept() -> None:
    rig = Rig()
    rig.glance(COUNTS, frames=3)

    held = [value for value in vars(rig.watch).values() if isinstance(value, (RawFrame, I420, np.ndarray))]
    assert held == []
    assert FrameSize(64, 64) == PIXELS.size
