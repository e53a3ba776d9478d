"""The score counts what can be seen in a picture, and nothing that cannot."""

import numpy as np
import pytest

from agent.core.masking.blocks import fill_whole
from agent.core.video import I420, FrameSize
from tests.privacy.scoring import Mask, Score, Seen, masked_pixels

SIZE = FrameSize(64, 48)
NOTHING: Mask = np.zeros((48, 64), np.bool_)


def picture(*, shown: tuple[slice, slice] | None = None, noise: int = 0) -> I420:
    pixels = I420.blank(SIZE)
    fill_whole(pixels)
    pixels.y[::2] += np.uint8(noise)
    if shown is not None:
        pixels.y[shown] = 150
    return pixels


def somebody(name: str = "a", rows: slice = slice(16, 48)) -> Seen:
    pixels = NOTHING.copy()
    pixels[rows, 16:32] = True
    head = NOTHING.copy()
    head[rows.start : rows.start + 5, 16:32] = True
    return Seen(name, pixels, head, pixels)


def scored(*pictures: I420, people: list[Seen]) -> Score:
    score = Score()
    for number, one in enumerate(pictures):
        masked = masked_pixels(one)
        score.add(number, number // 10, masked, people, [], ~people[0].pixels, whole=bool(masked.all()))
    return score


@pytest.mark.parametrize("noise", [0, 8])
def test_a_filled_picture_is_masked_whatever_the_codec_did_to_the_fill(noise: int) -> None:
    assert masked_pixels(picture(noise=noise)).all()


def test_a_block_in_which_one_pixel_can_be_seen_is_not_masked() -> None:
    masked = masked_pixels(picture(shown=(slice(20, 21), slice(20, 21))))

    assert not masked[16:32, 16:32].any()
    assert masked.sum() == 64 * 48 - 256


def test_colour_alone_is_enough_to_be_seen() -> None:
    pixels = picture()
    pixels.u[0, 0] = 90

    assert not masked_pixels(pixels)[:16, :16].any()


def test_who_is_masked_costs_nothing_and_who_is_not_counts_as_bare_after_three_frames() -> None:
    hidden = scored(*[picture()] * 5, people=[somebody()])
    seen = scored(*[picture(shown=(slice(0, 48), slice(0, 64)))] * 5, people=[somebody()])
    blinking = scored(*[picture(), picture(shown=(slice(0, 48), slice(0, 64)))] * 5, people=[somebody()])

    assert hidden.row()["person pixels left"] == 0
    assert hidden.row()["persons masked"] == hidden.row()["heads masked"] == 1
    assert seen.row()["person pixels left"] == seen.row()["worst second"] == 1
    assert seen.bare_events == ["a at frame 2"]
    assert blinking.bare_events == []


def test_a_head_that_shows_is_a_head_that_shows_though_most_of_the_person_is_masked() -> None:
    row = scored(picture(shown=(slice(16, 32), slice(16, 32))), people=[somebody(rows=slice(27, 48))]).row()

    assert row["heads masked"] == 0
    assert 0 < row["person pixels left"] < 0.5
    assert row["bare events"] == 0


def test_what_is_masked_needlessly_is_counted_where_the_frame_is_shown() -> None:
    row = scored(picture(shown=(slice(0, 48), slice(32, 64))), people=[somebody()]).row()

    assert row["falsely masked"] == pytest.approx((32 * 48 - 16 * 32) / (64 * 48))
    assert row["hidden whole"] == 0
