"""Nobody is ever seen: in no decoded frame, from the first after each start to the steady state, is anyone's colour.

The camera films a clip of a street on which somebody, magenta from head to foot, walks from the first frame on. Where
the street itself can be seen, and its zone cannot, the mask lets through what it should.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from hil.strategy import CameraStrategy
from provisioning.demo.look import decode, open_all

WIDTH, HEIGHT, RATE_HZ, SECONDS = 640, 360, 10, 150
WALKER = (255, 0, 255)  # BGR; nothing on this street is like it
STARTS = 3  # the last one long enough for the scene to be learned
ZONE = 5  # the left fifth, as `tests.fakes.desk.LEFT` draws it


def walking() -> bytes:
    """Return the clip: a street of grey blocks with a little noise, and somebody who crosses it again and again."""
    dice = np.random.default_rng(2026)
    ground = np.kron(dice.integers(70, 170, (HEIGHT // 20, WIDTH // 20), np.uint8), np.ones((20, 20), np.uint8))
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ, options={"preset": "superfast", "crf": "16"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, RATE_HZ)
        for number in range(RATE_HZ * SECONDS):
            noisy = ground + dice.integers(0, 4, ground.shape, np.uint8)
            picture = cv2.cvtColor(noisy, cv2.COLOR_GRAY2BGR)
            left = 140 + 6 * number % (WIDTH - 180)
            picture[180:300, left : left + 40] = WALKER
            frame = VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return film.getvalue()


@pytest.fixture
def walked_past(camera: CameraStrategy) -> Iterator[CameraStrategy]:
    """A camera that films somebody who walks; the tests after it film the street again."""
    camera.transition("booted")
    with camera.filming(walking()):
        yield camera


def test_nobody_is_in_any_frame_from_the_first_to_the_steady_state(walked_past: CameraStrategy, pictures: Path) -> None:
    camera = walked_past
    camera.transition("recording")
    for _ in range(STARTS - 1):
        camera.restart()
        camera.wait_for("recording", lambda status: status.state.value == "recording" and status.frames.stored > 0)
    camera.wait_for(
        "a steady state", lambda status: status.frames.stored - status.frames.failed_closed > 30 * RATE_HZ // 2
    )
    camera.transition("off")

    frames = shown = 0
    with camera.files() as root:
        for segment in open_all(root / "var/lib/lamppost/footage", [camera.identity]):
            for frame in decode(segment, [camera.identity]):
                blue, green, red = (frame.picture[:, :, plane].astype(int) for plane in range(3))
                assert not ((red - green > 60) & (blue - green > 60)).any(), segment.segment
                zone = cv2.cvtColor(frame.picture, cv2.COLOR_BGR2GRAY)[:, : frame.picture.shape[1] // ZONE]
                assert np.ptp(zone) <= 12, segment.segment
                frames += 1
                seen = bool(np.ptp(frame.picture) > 60)
                shown += seen
                if seen and shown % 100 == 1:
                    cv2.imwrite(str(pictures / f"{frame.captured_at:%H%M%S.%f}.png"), frame.picture)
    print(f"\n{frames} frames of {STARTS} starts; {shown} of them show the street")
    assert shown > 0, "something must be shown, or nothing is proved"
