"""The lamp says what the camera does, as the technician's table has it. For a board with a photodiode on its LED."""

from datetime import timedelta

import pytest

from hil.board import PhotodiodeDriver
from hil.strategy import CameraStrategy
from provisioning.clock import precise_now, wait
from tests.fakes.desk import CAMERA
from tests.fakes.documents import revocation

LOOK = timedelta(seconds=9)
LED_FOLLOWS = timedelta(seconds=5)  # it looks at the status every two


@pytest.fixture
def eye(camera: CameraStrategy) -> PhotodiodeDriver:
    """Return what sees the LED of a camera that records."""
    if camera.eye is None:
        pytest.skip("nothing looks at a LED in this tier")
    camera.transition("recording")
    camera.target.activate(camera.eye)
    return camera.eye


def test_recording_is_a_steady_light_and_dark_is_a_short_flash_every_three_seconds(
    camera: CameraStrategy, eye: PhotodiodeDriver
) -> None:
    wait(LED_FOLLOWS)
    lit, _ = eye.seen(LOOK)
    assert lit > 0.98

    now = precise_now().replace(microsecond=0)
    camera.city.put(revocation(cameras=(CAMERA,), issued_at=now, starts_at=now))
    camera.publish()
    camera.wait_for("a revoked camera", lambda status: status.state.value == "dark")
    wait(LED_FOLLOWS)

    lit, flashes = eye.seen(LOOK)
    assert 0 < lit < 0.15
    assert flashes in {2, 3, 4}
