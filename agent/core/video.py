"""Frames, before and after masking, and what a camera says about them.

No I/O. Pixels are planar YUV 4:2:0 (I420), 8 bits: a luma plane and two chroma
planes of half its width and height. A `RawFrame` is a picture nobody may keep;
`agent.core.masking.masker` turns it into the only thing an encoder accepts, a
`MaskedFrame`. tests/test_architecture.py fails if another module makes one.
"""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.core.layer import Layer as Layer  # noqa: PLC0414 - exported from here too

Plane: TypeAlias = NDArray[np.uint8]  # `type` statements need Python 3.12

MACROBLOCK_PX = 16  # H.264 predicts and transforms in these; a mask edge elsewhere bleeds


@dataclass(frozen=True, slots=True, order=True)
class FrameSize:
    """Width and height of a frame, both even."""

    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        if self.width_px < 2 or self.height_px < 2 or self.width_px % 2 or self.height_px % 2:  # noqa: PLR2004
            raise ValueError(f"a 4:2:0 frame needs even, positive sides, not {self}")

    def __str__(self) -> str:
        return f"{self.width_px}x{self.height_px}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMode:
    """What a camera agreed to deliver.

    Attributes:
        size: Of every frame, after rotation.
        rate_hz: Frames a second, nominal.
        rotation_degrees: Rotation already applied to the frames, clockwise.
    """

    size: FrameSize
    rate_hz: Fraction
    rotation_degrees: int = 0
    pixel_format: str = "I420"


@dataclass(frozen=True, slots=True)
class I420:
    """Three planes of one picture.

    Attributes:
        y: Luma, (height, width) uint8.
        u: Blue difference, (height / 2, width / 2) uint8.
        v: Red difference, (height / 2, width / 2) uint8.
        packed: The (height * 3 / 2, width) array that the planes are views of, if they
            are; an encoder can then take the picture without a copy.
    """

    y: Plane
    u: Plane
    v: Plane
    packed: Plane | None = None

    @classmethod
    def from_packed(cls, packed: Plane) -> Self:
        """Return views of a contiguous (height * 3 / 2, width) uint8 array."""
        rows, width = packed.shape
        height = rows * 2 // 3
        quarter = (height // 2) * (width // 2)
        flat = packed.reshape(-1)
        luma = height * width
        half = (height // 2, width // 2)
        return cls(
            y=packed[:height],
            u=flat[luma : luma + quarter].reshape(half),
            v=flat[luma + quarter : luma + 2 * quarter].reshape(half),
            packed=packed,
        )

    @classmethod
    def blank(cls, size: FrameSize) -> Self:
        """Return an uninitialised packed picture of `size`."""
        return cls.from_packed(np.empty((size.height_px * 3 // 2, size.width_px), np.uint8))

    @property
    def size(self) -> FrameSize:
        """Width and height of the luma plane."""
        height, width = self.y.shape
        return FrameSize(width, height)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFrame:
    """One picture as the sensor gave it. Never stored, never encoded, never sent.

    Attributes:
        pixels: The planes; the masker writes into them.
        pts_us: Capture instant on the monotonic clock, microseconds; strictly rising
            within one camera session, untouched by clock steps.
        captured_at: The same instant on the wall clock, aware UTC.
        analysis: A small luma plane of the same view, (h, w) uint8, for motion and
            detection; None where the camera gives none.
        native: The library's own handle of this picture (a picamera2 request), for
            encoders that take it without the pixels passing through Python.
    """

    pixels: I420
    pts_us: int
    captured_at: datetime
    analysis: Plane | None = None
    native: object | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedFrame:
    """One picture in which everything that must be hidden is gone.

    Made by `agent.core.masking.masker` only.

    Attributes:
        pixels: The planes, masked in place.
        pts_us: As in `RawFrame`.
        captured_at: As in `RawFrame`.
        native: As in `RawFrame`; its buffer is the masked one.
        failed_closed: Why the whole frame was filled, or None.
    """

    pixels: I420
    pts_us: int
    captured_at: datetime
    native: object | None = None
    failed_closed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """One `moof` + `mdat` (the first also carries the `ftyp` + `moov`), clear, in memory only.

    Attributes:
        clear: The bytes of the MP4, in order; they leave memory only through the sealer.
        frames: How many frames it holds.
        first_captured_at: Capture time of its first frame.
        last_captured_at: Capture time of its last frame.
    """

    clear: bytes
    frames: int
    first_captured_at: datetime
    last_captured_at: datetime
