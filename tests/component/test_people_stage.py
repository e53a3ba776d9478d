"""The stage obeys the decision and its list of nets, and a detector in any state never bares a person."""

import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from agent.adapters.detector import InStepDetector
from agent.core.masking.blocks import FILL_Y
from agent.core.masking.masker import Masker
from agent.core.masking.sightings import Look, Sighting
from agent.core.masking.ssd import ANCHORS, CLASSES, RawBoxes
from agent.core.policy.decision import ApprovedModel, Decision, PeopleMode
from agent.core.video import I420, MaskedFrame, Plane, RawFrame, StreamMode
from agent.core.zones import View
from agent.errors import ModelRefusedError
from agent.ports import Fact
from agent.recorder.people_stage import RETRY_EVERY_US, Models, PeopleStage
from tests.fakes.nets import PERSON, VEHICLE, FakeNet, failing, raw
from tests.fakes.street_of_blocks import EVERYWHERE, SIZE, STEP_US, Analysis, Box, Scene, enlarged, person_at, walk

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MODE = StreamMode(size=SIZE, rate_hz=Fraction(10))
NET = ApprovedModel("a" * 64, ("boxes", "classes"))
LISTED = Decision(recording=True, reason="test", view=View(16, 9), people=PeopleMode.SCENE, models=(NET,))
SOMEBODY = (304, 120, 336, 220)
LUMA = 215
LEARNED_FRAMES = 120


class ScriptedDetector:
    """Looks at every fifth frame at once, unless it is made to be otherwise.

    Attributes:
        sees: What it sees.
        silent: Whether it says nothing.
        late: Looks kept back, to be said later.
        closed: How often it was closed.
    """

    def __init__(self) -> None:
        self.sees: tuple[Sighting, ...] = ()
        self.silent = False
        self.closed = 0
        self._offered = 0
        self._looks: list[Look] = []

    def offer(self, frame: RawFrame) -> None:
        self._offered += 1
        if not self.silent and self._offered % 5 == 1:
            self._looks.append(Look(pts_us=frame.pts_us, regions=EVERYWHERE, sightings=self.sees))

    def looks(self) -> Sequence[Look]:
        ended, self._looks = self._looks, []
        return ended

    def close(self) -> None:
        self.closed += 1


class Rig:
    """A masker with the stage, and a detector that the test holds."""

    def __init__(self) -> None:
        self.detector = ScriptedDetector()
        self.refuse = False
        self.opened: list[Models] = []
        self.refusals: list[str] = []
        self.stage = PeopleStage(self._open, lambda error, _frame: self.refusals.append(str(error)))
        self.masker = Masker(MODE, [self.stage])
        self.scene = Scene()
        self.pts_us = 0

    def _open(self, models: Models) -> ScriptedDetector:
        self.opened.append(models)
        if self.refuse:
            raise ModelRefusedError("no approved model")
        return self.detector

    def show(self, *people: Box, decision: Decision = LISTED, analysis: Analysis | None = None) -> MaskedFrame:
        """Mask one frame; its main picture shows exactly what the analysis plane shows."""
        self.pts_us += STEP_US
        small = self.scene.picture(*people, luma=LUMA) if analysis is None else analysis
        frame = RawFrame(pixels=enlarged(small), pts_us=self.pts_us, captured_at=NOON, analysis=small)
        return self.masker.mask(frame, decision)

    def learn(self, decision: Decision = LISTED, frames: int = LEARNED_FRAMES) -> None:
        """Look at the empty street until it is proved."""
        for _ in range(frames):
            self.show(decision=decision)


def bare(frame: MaskedFrame, box: Box) -> float:
    """Return the share of somebody's pixels that can be seen."""
    left, top, right, bottom = box
    return float((frame.pixels.y[top:bottom, left:right] != FILL_Y).mean())


@pytest.mark.parametrize("people", [PeopleMode.SCENE, PeopleMode.PEOPLE, PeopleMode.HEADS])
def test_with_a_listed_net_the_street_is_shown_and_who_walks_is_not(people: PeopleMode) -> None:
    rig = Rig()
    decision = replace(LISTED, people=people)
    rig.learn(decision)

    empty = rig.show(decision=decision)
    walking = [bare(rig.show(box, decision=decision), box) for box in walk((100, 120, 132, 220), step_px=4, frames=40)]

    assert empty.failed_closed is None
    assert (empty.pixels.y != FILL_Y).mean() > 0.97
    assert max(walking) == 0


def test_scene_without_a_listed_net_shows_nothing_ever() -> None:
    rig = Rig()
    rig.refuse = True
    nothing_listed = replace(LISTED, models=())

    shown = [rig.show(decision=nothing_listed) for _ in range(200)]

    assert all(frame.failed_closed and (frame.pixels.y == FILL_Y).all() for frame in shown)
    assert rig.refusals == ["no approved model"]


def test_people_without_a_listed_net_hides_who_moves() -> None:
    rig = Rig()
    decision = replace(LISTED, people=PeopleMode.PEOPLE, models=())
    rig.learn(decision, frames=170)

    walking = [bare(rig.show(box, decision=decision), box) for box in walk((100, 120, 132, 220), step_px=4, frames=40)]

    assert rig.opened == []
    assert max(walking) == 0


def test_a_refused_net_hides_everything_is_told_once_and_tried_again_later() -> None:
    rig = Rig()
    rig.refuse = True
    refused = rig.show()
    rig.show()

    rig.refuse = False
    rig.pts_us += RETRY_EVERY_US
    rig.learn()

    assert refused.failed_closed is not None
    assert "no approved model" in refused.failed_closed
    assert rig.refusals == ["no approved model"]
    assert rig.show().failed_closed is None


def test_another_list_of_nets_starts_another_detector_and_learns_anew() -> None:
    rig = Rig()
    rig.learn()
    other = replace(LISTED, models=(ApprovedModel("b" * 64, ("boxes", "classes")),))

    first = rig.show(decision=other)

    assert rig.detector.closed == 1
    assert rig.opened == [LISTED.models, other.models]
    assert first.failed_closed is not None


def test_a_decision_that_lists_no_net_any_more_stops_the_one_that_runs() -> None:
    rig = Rig()
    rig.learn()

    rig.refuse = True
    frame = rig.show(decision=replace(LISTED, models=()))

    assert rig.detector.closed == 1
    assert frame.failed_closed is not None


def test_a_camera_without_an_analysis_plane_is_hidden() -> None:
    rig = Rig()
    rig.learn()
    pixels = I420.blank(SIZE)

    masked = rig.masker.mask(RawFrame(pixels=pixels, pts_us=rig.pts_us + STEP_US, captured_at=NOON), LISTED)

    assert masked.failed_closed is not None
    assert "no analysis plane" in masked.failed_closed


def test_an_analysis_plane_that_lags_behind_the_picture_hides_the_frame() -> None:
    rig = Rig()
    rig.learn()
    stale = rig.scene.picture()

    frames = []
    for box in walk((100, 120, 164, 320), step_px=8, frames=15):
        rig.pts_us += STEP_US
        pixels = enlarged(rig.scene.picture(box))
        raw = RawFrame(pixels=pixels, pts_us=rig.pts_us, captured_at=NOON, analysis=stale)
        frames.append((rig.masker.mask(raw, LISTED), box))

    assert max(bare(frame, box) for frame, box in frames) == 0


def talking_nonsense(*seen: tuple[int, int, float]) -> RawBoxes:
    """Return the outputs of a net that has lost its mind: things seen everywhere, or numbers that are none."""
    return raw(*(seen or [(anchor, kind, 6.0) for anchor in range(0, ANCHORS, 2) for kind in (PERSON, VEHICLE, 18)]))


@pytest.mark.parametrize(
    "answer",
    [
        talking_nonsense(),
        talking_nonsense((600, PERSON, float("nan"))),
        raw(shape=(10_000, CLASSES)),
        failing,
    ],
    ids=["a thousand boxes", "not a number", "ten thousand rows", "fails"],
)
def test_a_net_that_begins_to_talk_nonsense_hides_the_whole_frame_within_two_seconds(
    answer: RawBoxes | Callable[[Plane], RawBoxes],
) -> None:
    rig = Rig()
    net = FakeNet()
    rig.detector = InStepDetector(net)  # type: ignore[assignment] - the stage cannot tell
    rig.learn()
    sane = rig.show()

    net.answer = answer
    shown = [rig.show().failed_closed is None for _ in range(20)]

    assert sane.failed_closed is None
    assert not any(shown[2_000_000 // STEP_US + 1 :])


def test_what_is_released_is_told_once_a_minute_and_at_the_end() -> None:
    told: list[tuple[str, Mapping[str, Fact]]] = []
    rig = Rig()
    rig.stage = PeopleStage(rig._open, tell=lambda kind, _at, facts: told.append((kind, facts)))
    rig.masker = Masker(MODE, [rig.stage])

    rig.learn()
    before = list(told)
    rig.stage.close()

    assert before == []
    ((kind, facts),) = told
    assert kind == "scene-released"
    assert facts["reason"] == "no-reference-view"
    assert facts["area_permille"] == pytest.approx(1000, abs=30)
    assert facts["stood_for_s"] == 16  # a look a second here, and sixteen of them are asked for


# Four minutes at 5 Hz; LAMPPOST_CHAOS_FRAMES=6000 is twenty.
CHAOS_FRAMES = int(os.environ.get("LAMPPOST_CHAOS_FRAMES", "1200"))


def test_killed_hanging_or_lying_at_random_the_detector_never_bares_who_walks() -> None:
    dice = random.Random(7)
    rig = Rig()
    rig.learn()

    worst, shown = 0.0, 0
    for n in range(CHAOS_FRAMES):
        if n % 40 == 0:
            rig.detector.silent = dice.random() < 0.4
            rig.detector.sees = dice.choice([(), (person_at((0, 0, 600, 340)),), (person_at((8, 8, 16, 16)),)])
        box = (60 + 4 * (n % 100), 120, 92 + 4 * (n % 100), 220)
        frame = rig.show(box)
        worst = max(worst, bare(frame, box))
        shown += frame.failed_closed is None

    assert worst == 0
    assert 0 < shown < CHAOS_FRAMES  # some of it was hidden whole, and not all
