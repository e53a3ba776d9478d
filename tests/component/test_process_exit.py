"""A recorder that is told to stop ends with its own status, though its camera is still inside a library."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from provisioning.clock import precise_now, wait
from tests.fakes.desk import Desk

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = timedelta(seconds=60)

# The simulated street's camera, whose opening never comes back from OpenCV, as a slow one's does not in time.
STUCK = """
import sys
from pathlib import Path
import cv2, numpy
from agent import __main__
from agent.adapters.streetscene import StreetSceneCamera

inside = Path(sys.argv.pop())

def draw_for_ever(self):
    canvas = numpy.zeros((3000, 3000), numpy.uint8)
    inside.touch()
    while True:
        cv2.GaussianBlur(canvas, (31, 31), 0)

StreetSceneCamera.open = draw_for_ever
__main__.main()
"""


def test_a_stop_while_the_camera_draws_is_no_abort(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "card", source="streetscene")
    inside = tmp_path / "inside"
    recorder = subprocess.Popen(
        [sys.executable, "-c", STUCK, "run", "--config", desk.camera.config, inside],
        cwd=ROOT,
        env=desk.camera.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = precise_now() + PATIENCE
    while not inside.exists() and recorder.poll() is None and precise_now() < until:
        wait(timedelta(milliseconds=50))

    recorder.send_signal(signal.SIGTERM)
    _, said = recorder.communicate(timeout=PATIENCE.total_seconds())

    assert recorder.returncode == 0, said  # without `leave` -6: SIGABRT
    assert "left there" in said
    assert '"kind":"stopped"' in "".join(path.read_text() for path in desk.camera.log.glob("events-*.jsonl"))
