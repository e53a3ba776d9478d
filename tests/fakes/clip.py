"""Tiny video files whose every frame is known."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame


def write_clip(
    path: Path,
    *,
    frames: int = 5,
    width: int = 64,
    height: int = 48,
    rate_hz: int = 10,
    pixel_format: str = "yuv420p",
    codec: str = "ffv1",
) -> Path:
    """Write a lossless clip whose frame n is a grey of 40 + 8 (n mod 20), with one white block at the top left."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.time_base = Fraction(1, rate_hz)
        for number in range(frames):
            grey = VideoFrame.from_ndarray(_grey(number, width, height), format="gray8")
            frame = grey.reformat(format=pixel_format, dst_color_range="MPEG")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _grey(number: int, width: int, height: int) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    picture = np.full((height, width), 40 + 8 * (number % 20), np.uint8)
    picture[: height // 4, : width // 4] = 235
    return picture


def lumas(pictures: Iterable["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"]) -> list[int]:
    """Return the luma at the bottom right of each."""
    return [int(picture[-1, -1]) for picture in pictures]
