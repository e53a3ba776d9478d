"""Lay the sealed layer over the masked one: the original picture, as far as it was kept.

A macroblock that is filled in the masked layer is taken from the sealed layer, where the
same frame holds what was hidden; a fixed zone is filled in both and stays filled. Both
layers were coded, so what comes out equals the original up to the codec's loss, and the
result is coded once more, finely, because two pictures cannot be joined as packets.
"""

from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import zip_longest
from typing import TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from agent.core.masking.blocks import FILL_U, FILL_V, FILL_Y
from agent.core.video import MACROBLOCK_PX
from agent.errors import FootageError, MovieFormatError
from provisioning.footage.opening import Piece

Planes: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

# How far x264 at its fastest leaves a filled block from the fill, of 255; the street's own flat greys are textured.
_FILL_TOLERANCE = 8
_FINE = {"preset": "veryfast", "crf": "14"}  # nothing a person could see is lost by it
_HALF_PX = MACROBLOCK_PX // 2


def compose(piece: Piece, sealed: Piece | None) -> Piece:
    """Return the piece that shows what both layers of one segment hold together.

    Args:
        piece: The masked layer of a segment.
        sealed: Its sealed layer; None, or fewer frames, where that was not kept or not opened.

    Raises:
        FootageError: The two are not layers of one segment.
        MovieFormatError: One of them cannot be decoded.
    """
    if sealed is not None and sealed.captured_at != piece.captured_at:
        raise FootageError(
            f"the layers begin at {piece.captured_at:%H:%M:%S.%f} and {sealed.captured_at:%H:%M:%S.%f},"
            " expected the same instant"
        )
    composed = BytesIO()
    try:
        with av.open(BytesIO(piece.clear), "r") as below, av.open(composed, "w", format="mp4") as output:
            above = None if sealed is None else av.open(BytesIO(sealed.clear), "r")
            source = below.streams.video[0]
            stream = output.add_stream("libx264", rate=source.average_rate or 25, options=_FINE)
            stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
            # The encoder's own clock too: at the mean frame rate, two frames that came close together become one time.
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1_000_000)
            hidden = iter(()) if above is None else above.decode(video=0)
            for frame, original in zip_longest(below.decode(video=0), hidden):
                if frame is None:
                    break  # the masked layer was cut off earlier
                whole = frame if original is None else _laid_over(frame, original)
                whole.pts, whole.time_base = frame.pts, frame.time_base
                output.mux(stream.encode(whole))
            output.mux(stream.encode(None))
            if above is not None:
                above.close()
    except (av.FFmpegError, IndexError) as error:
        raise MovieFormatError(f"the segment of {piece.captured_at:%H:%M:%S} cannot be composed: {error}") from error
    return replace(piece, clear=composed.getvalue())


def _laid_over(masked: av.VideoFrame, sealed: av.VideoFrame) -> av.VideoFrame:
    if (masked.width, masked.height) != (sealed.width, sealed.height):
        raise FootageError("the layers are of two sizes")
    below, above = _planes(masked), _planes(sealed)
    hidden = filled_blocks(below)
    packed = np.empty((masked.height * 3 // 2, masked.width), np.uint8)
    flat, start = packed.reshape(-1), 0
    for lower, upper, side in zip(below, above, (MACROBLOCK_PX, _HALF_PX, _HALF_PX), strict=True):
        height, width = lower.shape
        over = np.kron(hidden, np.ones((side, side), np.bool_))[:height, :width]
        flat[start : start + lower.size] = np.where(over, upper, lower).reshape(-1)
        start += lower.size
    return av.VideoFrame.from_ndarray(packed, format="yuv420p")


def filled_blocks(planes: Planes) -> NDArray[np.bool_]:
    """Return the (rows, columns) grid of macroblocks that hold nothing but the fill."""
    grids = [
        _within(plane, fill, side)
        for plane, fill, side in zip(planes, (FILL_Y, FILL_U, FILL_V), (MACROBLOCK_PX, _HALF_PX, _HALF_PX), strict=True)
    ]
    return np.asarray(grids[0] & grids[1] & grids[2])


def _within(plane: NDArray[np.uint8], fill: int, side: int) -> NDArray[np.bool_]:
    height, width = plane.shape
    rows, columns = -(-height // side), -(-width // side)
    deviation = np.abs(plane.astype(np.int16) - fill)
    padded = np.pad(deviation, ((0, rows * side - height), (0, columns * side - width)))
    most = padded.reshape(rows, side, columns, side).max(axis=(1, 3))
    return np.asarray(most <= _FILL_TOLERANCE)


def _planes(frame: av.VideoFrame) -> Planes:
    packed = frame.to_ndarray(format="yuv420p").astype(np.uint8, copy=False).reshape(-1)
    luma, half = frame.height * frame.width, (frame.height // 2, frame.width // 2)
    quarter = half[0] * half[1]
    return (
        packed[:luma].reshape(frame.height, frame.width),
        packed[luma : luma + quarter].reshape(half),
        packed[luma + quarter : luma + 2 * quarter].reshape(half),
    )
