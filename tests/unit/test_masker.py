"""The masker hides the zones of the decision, and the whole frame whenever it is not sure."""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest

from agent.adapters.caption import Caption
from agent.core.masking.blocks import FILL_Y, BlockMask
from agent.core.masking.masker import Masker
from agent.core.policy.decision import Decision, Originals
from agent.core.video import I420, FrameSize, Layer, RawFrame, StreamMode
from agent.core.zones import View, Zone

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SIZE = FrameSize(640, 360)
MODE = StreamMode(size=SIZE, rate_hz=Fraction(25))
WIDE = View(16, 9)
LEFT = Zone(name="left half", polygon=((0, 0), (0.49, 0), (0.49, 1), (0, 1)))
TOP = Zone(name="top", polygon=((0, 0), (1, 0), (1, 0.2), (0, 0.2)))


def decision(*zones: Zone, view: View | None = WIDE) -> Decision:
    return Decision(recording=True, reason="test", zones=zones, view=view)


def frame(size: FrameSize = SIZE) -> RawFrame:
    pixels = I420.blank(size)
    for plane in (pixels.y, pixels.u, pixels.v):
        plane[...] = 200
    return RawFrame(pixels=pixels, pts_us=7, captured_at=NOON)


def test_zones_are_filled_and_the_rest_is_left_as_it_was() -> None:
    raw = frame()

    masked = Masker(MODE).mask(raw, decision(LEFT))

    assert masked.failed_closed is None
    assert (masked.pixels.y[:, :313] == FILL_Y).all()
    assert (masked.pixels.y[:, 320:] == 200).all()
    assert (masked.pts_us, masked.captured_at) == (7, NOON)


def test_masking_happens_in_place_so_that_no_unmasked_copy_remains() -> None:
    raw = frame()

    masked = Masker(MODE).mask(raw, decision(LEFT))

    assert masked.pixels.y is raw.pixels.y


def test_a_new_decision_takes_effect_on_the_very_next_frame() -> None:
    masker = Masker(MODE)
    masker.mask(frame(), decision(LEFT))

    masked = masker.mask(frame(), decision(LEFT, TOP))

    assert (masked.pixels.y[:72] == FILL_Y).all()


@pytest.mark.parametrize(
    ("mode", "view", "reason"),
    [
        (MODE, None, "does not say which view"),
        (MODE, View(4, 3), "drawn over a view of 4:3"),
        (StreamMode(size=SIZE, rate_hz=Fraction(25), rotation_degrees=90), View(16, 9), "9:16"),
        (StreamMode(size=SIZE, rate_hz=Fraction(25), rotation_degrees=45), View(16, 9), "45 degrees"),
        (StreamMode(size=FrameSize(1280, 720), rate_hz=Fraction(25)), View(16, 9), "agreed to 1280x720"),
    ],
)
def test_zones_that_do_not_fit_the_stream_hide_the_whole_frame(
    mode: StreamMode, view: View | None, reason: str
) -> None:
    masked = Masker(mode).mask(frame(), decision(LEFT, view=view))

    assert masked.failed_closed is not None
    assert reason in masked.failed_closed
    assert (masked.pixels.y == FILL_Y).all()


def test_zones_follow_a_stream_that_is_upside_down() -> None:
    turned = StreamMode(size=SIZE, rate_hz=Fraction(25), rotation_degrees=180)

    masked = Masker(turned).mask(frame(), decision(TOP))

    assert masked.failed_closed is None
    assert (masked.pixels.y[-72:] == FILL_Y).all()
    assert (masked.pixels.y[:270] == 200).all()


def test_zones_follow_a_stream_that_is_on_its_side() -> None:
    size = FrameSize(360, 640)
    turned = StreamMode(size=size, rate_hz=Fraction(25), rotation_degrees=90)

    masked = Masker(turned).mask(frame(size), decision(TOP))

    assert masked.failed_closed is None
    assert (masked.pixels.y[:, -72:] == FILL_Y).all()
    assert (masked.pixels.y[:, :270] == 200).all()


def test_what_a_stage_finds_is_hidden_too() -> None:
    corner = np.zeros((23, 40), bool)
    corner[0, 0] = True

    masked = Masker(MODE, [lambda _frame, _decision: BlockMask.from_grid(SIZE, corner), lambda _f, _d: None]).mask(
        frame(), decision()
    )

    assert (masked.pixels.y[:16, :16] == FILL_Y).all()
    assert (masked.pixels.y[16:] == 200).all()


def test_stages_see_the_frame_before_anything_is_filled() -> None:
    seen = []

    Masker(MODE, [lambda raw, _decision: seen.append(raw.pixels.y.min())]).mask(frame(), decision(LEFT))

    assert seen == [200]


def test_an_exception_in_a_stage_hides_the_whole_frame_and_says_why() -> None:
    def broken(raw: RawFrame, rules: Decision) -> BlockMask | None:
        raise ZeroDivisionError("the net returned nonsense")

    masked = Masker(MODE, [broken]).mask(frame(), decision(LEFT))

    assert masked.failed_closed == "ZeroDivisionError: the net returned nonsense"
    assert (masked.pixels.y == FILL_Y).all()


def test_a_caption_is_written_over_a_filled_strip_and_nowhere_else() -> None:
    masked = Masker(MODE, caption=Caption("pole-7")).mask(frame(), decision())

    top = 360 // 16 * 16 - 16
    strip, above = masked.pixels.y[top : top + 16], masked.pixels.y[:top]
    assert (above == 200).all()
    assert strip.max() > 150
    assert np.median(strip) == FILL_Y
    assert masked.failed_closed is None


def test_a_caption_that_fails_hides_the_whole_frame() -> None:
    def broken(pixels: I420, captured_at: datetime) -> None:
        raise OSError("no font")

    masked = Masker(MODE, caption=broken).mask(frame(), decision())

    assert masked.failed_closed == "OSError: no font"
    assert (masked.pixels.y == FILL_Y).all()


def test_a_frame_that_cannot_be_filled_never_becomes_a_masked_frame() -> None:
    raw = frame()
    raw.pixels.y.setflags(write=False)

    with pytest.raises(ValueError, match="read-only"):
        Masker(MODE).mask(raw, decision(LEFT))


@pytest.mark.parametrize("fails", [False, True])
def test_the_analysis_plane_is_wiped_when_the_frame_is_masked(*, fails: bool) -> None:
    raw = replace(frame(), analysis=np.full((90, 160), 77, np.uint8))

    def stage(seen: RawFrame, _: Decision) -> None:
        assert seen.analysis is not None
        assert seen.analysis.max() == 77
        if fails:
            raise ValueError("no")

    Masker(MODE, [stage]).mask(raw, decision(LEFT))

    assert raw.analysis is not None
    assert not raw.analysis.any()


def test_what_the_sealed_layer_held_is_wiped_when_no_decision_keeps_it_any_more() -> None:
    everything = BlockMask.from_grid(SIZE, np.ones((23, 40), np.bool_))
    masker = Masker(MODE, [lambda _frame, _decision: everything])
    sealed = masker.layers(frame(), replace(decision(), originals=Originals.SEALED))[Layer.SEALED]
    held = int(sealed.pixels.y.max())

    masker.mask(frame(), decision())

    assert held == 200
    assert (sealed.pixels.y == FILL_Y).all()
