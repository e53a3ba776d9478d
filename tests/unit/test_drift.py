"""A view that moved, went blind or lost its focus is told from one that is only darker, wetter or busier."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.masking.drift import (
    AVERAGED,
    COLUMNS,
    DRIFTED_AFTER_US,
    EVERY_US,
    RETURN_AFTER_US,
    TRUST_AFTER_US,
    Change,
    Commissioning,
    Comparer,
    Comparison,
    Fingerprint,
    View,
    ViewWatch,
    reduced,
)
from agent.errors import FeaturelessError, FingerprintFormatError, OtherShapeError
from tests.fakes.view_of_blocks import HEIGHT, WIDTH, Luma, view


def commissioned(*frames: Luma) -> Fingerprint:
    commissioning = Commissioning()
    for frame in frames or [view(grain=n) for n in range(8)]:
        commissioning.add(frame)
    return commissioning.finish()


REFERENCE = commissioned()
COMPARER = Comparer(REFERENCE)


def found(frame: Luma) -> Comparison:
    return COMPARER.compare(reduced(frame))


def fog(frame: Luma) -> Luma:
    return (frame * 0.3 + 130).astype(np.uint8)


def headlights(frame: Luma) -> Luma:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    glow = 400 * np.exp(-((x - 120) ** 2 + (y - 110) ** 2) / (2 * 25**2))
    return np.clip(frame + glow, 0, 255).astype(np.uint8)


def negative(frame: Luma) -> Luma:
    return (255 - frame).astype(np.uint8)


def with_a_bus(frame: Luma) -> Luma:
    changed = frame.copy()
    changed[60:150, 40:150] = 60
    return changed


@pytest.mark.parametrize("change", [fog, headlights, negative, with_a_bus])
def test_weather_lamps_and_a_bus_are_no_drift(change: Callable[[Luma], Luma]) -> None:
    assert found(change(view(grain=99))).view is View.SAME


@pytest.mark.parametrize("light", [0.1, 0.35, 1.1])
def test_light_is_no_drift(light: float) -> None:
    assert found(view(light=light, grain=99)).view is View.SAME


def test_a_gust_of_wind_is_no_drift() -> None:
    assert found(view(across=0.002, grain=99)).view is View.SAME


@pytest.mark.parametrize(("across", "down"), [(0.01, 0), (0, -0.01), (0.03, 0), (0, 0.03), (-0.1, 0), (0.07, 0.07)])
@pytest.mark.parametrize("light", [1.0, 0.35])
def test_a_shift_is_found_and_measured(across: float, down: float, light: float) -> None:
    comparison = found(view(across=across, down=down, light=light, grain=99))

    assert comparison.view is View.MOVED
    assert comparison.shift == pytest.approx((across, down), abs=1 / COLUMNS)


@pytest.mark.parametrize("degrees", [2, -2])
def test_a_rotation_is_found(degrees: float) -> None:
    comparison = found(view(degrees=degrees, grain=99))

    assert comparison.view is View.MOVED
    assert comparison.tiles_moved >= 0.5


@pytest.mark.parametrize("level", [0, 18, 255])
def test_a_bag_over_the_lens_is_found(level: int) -> None:
    noise = np.random.default_rng(3).normal(0, 2, (HEIGHT, WIDTH))

    assert found(np.clip(level + noise, 0, 255).astype(np.uint8)).view is View.LOST


def test_another_street_is_not_this_one() -> None:
    assert found(view(street=2)).view in {View.LOST, View.MOVED}


def test_a_lens_out_of_focus_is_found() -> None:
    comparison = found(view(blur_px=7, grain=99))

    assert comparison.view is View.BLURRED
    assert "blurred" in str(comparison)


def test_what_moves_at_commissioning_leaves_no_trace() -> None:
    def passing(n: int) -> Luma:
        frame = view(grain=n)
        frame[50:150, 20 + 14 * n : 50 + 14 * n] = 250  # somebody, a step further in each frame
        return frame

    with_somebody = commissioned(*(passing(n) for n in range(16)))

    kept, empty = (np.frombuffer(each.codes, np.uint8) > 0 for each in (with_somebody, REFERENCE))
    assert (kept & ~empty).mean() < 0.002


def test_a_fingerprint_is_no_picture() -> None:
    """Brighter, darker and inverted streets have the same one but for noise: there is no brightness in it."""
    inverted = commissioned(*(negative(view(grain=n)) for n in range(8)))

    same = np.frombuffer(inverted.codes, np.uint8) == np.frombuffer(REFERENCE.codes, np.uint8)
    assert same.mean() > 0.97
    assert len(REFERENCE.to_bytes()) * 8 / (WIDTH * HEIGHT) < 1.1  # bits a pixel of the small plane


def test_bytes_give_the_fingerprint_back() -> None:
    assert Fingerprint.from_bytes(REFERENCE.to_bytes()) == replace(
        REFERENCE, sharpness=round(REFERENCE.sharpness * 1000) / 1000
    )
    assert REFERENCE.to_bytes().hex().endswith(REFERENCE.digest)
    assert REFERENCE.edges > 1000


@given(st.integers(0, len(REFERENCE.to_bytes()) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused(where: int, change: int) -> None:
    content = bytearray(REFERENCE.to_bytes())
    content[where] ^= change

    with pytest.raises(FingerprintFormatError):
        Fingerprint.from_bytes(bytes(content))


def resigned(content: bytearray) -> bytes:
    return bytes(content) + hashlib.sha256(content).digest()


@pytest.mark.parametrize("cut", [0, 5, 40, 1000])
def test_a_cut_fingerprint_is_refused(cut: int) -> None:
    with pytest.raises(FingerprintFormatError):
        Fingerprint.from_bytes(REFERENCE.to_bytes()[:cut])


@pytest.mark.parametrize(("where", "value"), [(6, 2), (8, 1), (10, 1), (200, 0xFF)])
def test_a_fingerprint_of_another_kind_is_refused(where: int, value: int) -> None:
    body = bytearray(REFERENCE.to_bytes()[:-32])
    body[where] = value

    with pytest.raises(FingerprintFormatError):
        Fingerprint.from_bytes(resigned(body))


def test_a_blank_wall_has_no_fingerprint() -> None:
    with pytest.raises(FeaturelessError):
        commissioned(np.full((HEIGHT, WIDTH), 90, np.uint8))
    with pytest.raises(FeaturelessError):
        Commissioning().finish()


def test_a_picture_of_another_shape_is_not_compared() -> None:
    with pytest.raises(OtherShapeError):
        found(view()[:120])


def test_the_size_of_the_analysis_plane_does_not_matter() -> None:
    larger = view(grain=99).repeat(2, axis=0).repeat(2, axis=1)

    assert found(larger).view is View.SAME


class Stream:
    """Shows a watch one frame after the other, at its own pace."""

    def __init__(self) -> None:
        self.watch = ViewWatch(COMPARER)
        self.pts_us = 0

    def show(self, frame: Luma, *, seconds: float) -> list[Change]:
        changes = []
        for _ in range(int(seconds * 1_000_000 / EVERY_US)):
            self.pts_us += EVERY_US
            change = self.watch.look(frame, self.pts_us)
            changes += [] if change is None else [change]
        return changes


SAME, ASIDE = view(grain=50), view(across=0.03, grain=51)


def test_a_watch_trusts_the_approved_view_from_its_first_frame() -> None:
    stream = Stream()
    assert not stream.watch.trusted

    assert stream.show(SAME, seconds=EVERY_US / 1e6) == []

    assert stream.watch.trusted


def test_a_watch_doubts_at_once_and_tells_once() -> None:
    stream = Stream()
    stream.show(SAME, seconds=4)

    assert stream.show(ASIDE, seconds=AVERAGED * EVERY_US / 1e6) == []
    assert not stream.watch.trusted
    assert stream.show(ASIDE, seconds=30) == [Change.DRIFTED]
    assert not stream.watch.trusted


def test_a_watch_tells_once_that_the_view_is_back() -> None:
    stream = Stream()
    stream.show(ASIDE, seconds=10)

    assert stream.show(SAME, seconds=RETURN_AFTER_US / 1e6 - 1) == []
    assert not stream.watch.trusted
    assert stream.show(SAME, seconds=10) == [Change.RETURNED]
    assert stream.watch.trusted


def test_a_short_doubt_is_told_to_nobody() -> None:
    stream = Stream()
    stream.show(SAME, seconds=4)
    doubted = DRIFTED_AFTER_US / 1e6 - 1.5

    changes = stream.show(ASIDE, seconds=doubted) + stream.show(SAME, seconds=TRUST_AFTER_US / 1e6 + 4)

    assert changes == []
    assert stream.watch.trusted


def test_between_two_comparisons_nothing_is_looked_at() -> None:
    stream = Stream()
    stream.show(SAME, seconds=1)
    before = stream.watch.latest

    assert stream.watch.look(ASIDE, stream.pts_us + 1) is None

    assert stream.watch.latest is before


@pytest.mark.parametrize("gap_us", [5_000_000, -5_000_000])
def test_after_a_gap_the_view_is_compared_before_it_is_trusted(gap_us: int) -> None:
    stream = Stream()
    stream.show(SAME, seconds=4)

    stream.watch.look(ASIDE, stream.pts_us + gap_us)

    assert not stream.watch.trusted


def test_a_drifted_view_stays_so_over_a_gap() -> None:
    stream = Stream()
    stream.show(ASIDE, seconds=10)
    stream.pts_us += 60_000_000

    assert stream.show(ASIDE, seconds=10) == []
    assert stream.show(SAME, seconds=5) == []
    assert not stream.watch.trusted


def test_a_plane_that_changes_its_shape_is_not_mixed_with_those_before() -> None:
    stream = Stream()
    stream.show(SAME, seconds=2)

    with pytest.raises(OtherShapeError):
        stream.watch.look(SAME[:120], stream.pts_us + EVERY_US)
    assert not stream.watch.trusted
