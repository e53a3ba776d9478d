"""A clip of somebody, magenta from head to foot, who crosses a street of grey blocks, and whether they can be seen."""

import io
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from provisioning.demo.sheet import Picture

WIDTH, HEIGHT = 640, 360
MAGENTA = (255, 0, 255)  # BGR; nothing on this street is like it


def film(*, seconds: int, rate_hz: int) -> bytes:
    """Return the clip as MP4, with a little noise; they walk from the first frame on."""
    dice = np.random.default_rng(2026)
    ground = np.kron(dice.integers(70, 170, (HEIGHT // 20, WIDTH // 20), np.uint8), np.ones((20, 20), np.uint8))
    clip = io.BytesIO()
    with av.open(clip, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate_hz, options={"preset": "superfast", "crf": "16"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, rate_hz)
        for number in range(rate_hz * seconds):
            noisy = ground + dice.integers(0, 4, ground.shape, np.uint8)
            picture = cv2.cvtColor(noisy, cv2.COLOR_GRAY2BGR)
            left = 140 + 6 * number % (WIDTH - 180)
            picture[180:300, left : left + 40] = MAGENTA
            frame = VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return clip.getvalue()


def is_in(picture: Picture) -> bool:
    """Return whether any pixel of a BGR picture has their colour."""
    blue, green, red = (picture[:, :, plane].astype(int) for plane in range(3))
    return bool(((red - green > 60) & (blue - green > 60)).any())
