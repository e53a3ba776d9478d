"""Nobody is ever seen: in no decoded frame, from the first after each start to the steady state, is anyone's colour.

The camera films a clip of a street on which somebody, magenta from head to foot, walks from the first frame on. Where
the street itself can be seen, and its zone cannot, the mask lets through what it should.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from hil import walker
from hil.strategy import CameraStrategy
from provisioning.demo.look import decode, open_all

RATE_HZ, SECONDS = 10, 150
STARTS = 3  # the last one long enough for the scene to be learned
ZONE = 5  # the left fifth, as `tests.fakes.desk.LEFT` draws it


@pytest.fixture
def walked_past(camera: CameraStrategy) -> Iterator[CameraStrategy]:
    """A camera that films somebody who walks; the tests after it film the street again."""
    camera.transition("booted")
    with camera.filming(walker.film(seconds=SECONDS, rate_hz=RATE_HZ)):
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
                assert not walker.is_in(frame.picture), segment.segment
                zone = cv2.cvtColor(frame.picture, cv2.COLOR_BGR2GRAY)[:, : frame.picture.shape[1] // ZONE]
                assert np.ptp(zone) <= 12, segment.segment
                frames += 1
                seen = bool(np.ptp(frame.picture) > 60)
                shown += seen
                if seen and shown % 100 == 1:
                    cv2.imwrite(str(pictures / f"{frame.captured_at:%H%M%S.%f}.png"), frame.picture)
    print(f"\n{frames} frames of {STARTS} starts; {shown} of them show the street")
    assert shown > 0, "something must be shown, or nothing is proved"
