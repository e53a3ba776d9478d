"""What hiding people costs, without a net: against encoding alone, against copying the frame, and in milliseconds."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from agent.adapters.analysis import shrink
from agent.adapters.libav_encoder import LibavEncoder
from agent.core.masking.drift import Commissioning, Fingerprint
from agent.core.masking.masker import Masker
from agent.core.policy.decision import ApprovedModel, PeopleMode
from agent.core.video import Layer, MaskedFrame, RawFrame
from agent.errors import ModelRefusedError
from agent.ports import Detector, SegmentTags
from agent.recorder.people_stage import PeopleStage
from tests.bench.measuring import Result, compare, cpu_of
from tests.bench.recorder import ALLOWED, FRAMES, MODE, NOON, RATE_HZ, SETTINGS, Street720

UNAIDED = replace(ALLOWED, people=PeopleMode.PEOPLE)
RUNS_TO_LEARN = 2  # of four seconds each; the mask wants to have seen the scene for four
TAGS = SegmentTags(camera_id="bench", layer=Layer.MASKED, first_captured_at=NOON)


def _no_detector(_: tuple[ApprovedModel, ...]) -> Detector:
    raise ModelRefusedError("the bench runs without a net")


def _frames(street: Street720, *, after: int = 0) -> Iterator[RawFrame]:
    """Yield the street's frames with their analysis planes, as if `after` runs of it had gone before."""
    shift_us = after * FRAMES * 1_000_000 // RATE_HZ
    return (replace(raw, analysis=shrink(raw.pixels.y), pts_us=raw.pts_us + shift_us) for raw in street.frames())


def commissioned(frames: Iterator[RawFrame]) -> Fingerprint:
    """Return the reference view of the street: with it the mask has learned it in five seconds."""
    commissioning = Commissioning()
    for raw in frames:
        commissioning.add(shrink(raw.pixels.y))
    return commissioning.finish()


def _learned(street: Street720) -> Masker:
    """Return a masker that has seen the street long enough to show it: what is hidden whole costs nothing to encode."""
    reference = commissioned(islice(street.frames(), 0, None, 10))
    masker = Masker(MODE, [PeopleStage(_no_detector, read_reference=lambda: reference)])
    for after in range(RUNS_TO_LEARN):
        for raw in _frames(street, after=after):
            masker.mask(raw, UNAIDED)
    return masker


def against_encoding() -> Result:
    """(j) Motion masks and encoding against encoding alone, frames per CPU second."""
    street = Street720()

    def encode_only() -> float:
        def work() -> None:
            encoder = LibavEncoder(SETTINGS).start(MODE, TAGS)
            for raw in street.frames():
                encoder.push(MaskedFrame(pixels=raw.pixels, pts_us=raw.pts_us, captured_at=raw.captured_at))
            encoder.finish()

        return cpu_of(work)

    def masked() -> float:
        masker = _learned(street)

        def work() -> None:
            encoder = LibavEncoder(SETTINGS).start(MODE, TAGS)
            for raw in _frames(street, after=RUNS_TO_LEARN):
                encoder.push(masker.mask(raw, UNAIDED))
            encoder.finish()

        return cpu_of(work)

    return compare(
        "j",
        "motion masks and encoding against encoding alone, frames per CPU second",
        masked,
        encode_only,
        target="≥ 0.90",
        met=lambda value: value >= 0.90,
        invert=True,
    )


def against_memcpy() -> Result:
    """(k) The dynamic mask stage, with its analysis plane, against one memcpy of the frame."""
    street = Street720()
    frames = list(street.frames())
    packed = frames[0].pixels.packed
    assert packed is not None
    target = np.empty_like(packed)

    def copy() -> float:
        return cpu_of(lambda: [np.copyto(target, packed) for _ in range(10 * FRAMES)] and None) / 10

    def mask() -> float:
        masker = _learned(street)
        learned = list(street.frames())

        def work() -> None:
            for raw in learned:
                pts_us = raw.pts_us + RUNS_TO_LEARN * FRAMES * 1_000_000 // RATE_HZ
                masker.mask(replace(raw, analysis=shrink(raw.pixels.y), pts_us=pts_us), UNAIDED)

        return cpu_of(work)

    return compare(
        "k",
        "dynamic mask stage against one memcpy of the frame",
        mask,
        copy,
        target="≤ 5.5",
        met=lambda value: value <= 5.5,
    )
