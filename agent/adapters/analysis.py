"""The small luma plane that motion and detection look at, where the camera gives none itself."""

import numpy as np

from agent.core.video import FrameSize, Plane

# A quarter of 1080p: a person at 40 m still covers some ten pixels, and a look costs a sixteenth.
ANALYSIS_MOST = FrameSize(480, 270)

_LANES = 4  # of 16 bits in 64: the factor of 1080p
_MOST_FACTOR = 16  # 16 x 16 pixels of 255 still fit the 16-bit sums below; 7680x4320 comes out at 480x270


def shrink(y: Plane) -> Plane:
    """Return `y` reduced by the least whole factor that fits `ANALYSIS_MOST`, averaged over squares.

    Averaged and not sampled, so that noise shrinks with the picture and thin things do
    not flicker. By a whole factor, so that analysis pixel n covers picture pixels
    n * factor on; up to factor - 1 columns and rows at the right and bottom are left out.

    In numpy: 1080p takes 0.5 ms of CPU where OpenCV's INTER_AREA takes 1.2 (x86-64, one
    of two cores) and brings 15 MB and a quarter of a second of import with it.

    Args:
        y: Luma, (height, width) uint8; a small one comes back as a copy, because the
            masker writes into the original.
    """
    height, width = y.shape
    factor = max(-(-width // ANALYSIS_MOST.width_px), -(-height // ANALYSIS_MOST.height_px))
    if factor <= 1:
        return y.copy()
    if factor > _MOST_FACTOR:
        raise ValueError(f"a picture of {width}x{height}, expected at most {_MOST_FACTOR} times {ANALYSIS_MOST}")
    rows, columns = height // factor, width // factor
    whole = y[: rows * factor, : columns * factor]
    lines = np.add(whole[::factor], whole[1::factor], dtype=np.uint16)
    for offset in range(2, factor):
        lines += whole[offset::factor]
    if factor == _LANES and lines.flags.c_contiguous:
        # Four sums of 16 bits are one number; multiplied so, its highest 16 bits are the sum of all four.
        lanes = lines.view(np.uint64)
        lanes *= np.uint64(0x0001_0001_0001_0001)
        lanes >>= np.uint64(48 + 4)
        return lanes.astype(np.uint8)
    sums = lines[:, ::factor] + lines[:, 1::factor]
    for offset in range(2, factor):
        sums += lines[:, offset::factor]
    sums //= np.uint16(factor * factor)
    return sums.astype(np.uint8)
