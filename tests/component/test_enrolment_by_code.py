"""A code that is held before a real recorder becomes a certificate, through real processes, and records nothing."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.core.enrolment.exchange import sign_confirmation
from tests.fakes.city import City
from tests.fakes.claims import Office, order_key
from tests.fakes.enrolling import EnrollingCity, write_config
from tests.tools.qr_scene import MODERATE, draw_code, spoil
from tests.tools.qr_table import measure

PATIENCE_S = 120.0
RATE_HZ = 6
SECONDS = 3


@pytest.mark.parametrize("size", [(640, 480), (1280, 720)], ids=["480", "720"])
def test_a_code_of_half_the_height_is_read_within_three_seconds(size: tuple[int, int]) -> None:
    rate = measure(MODERATE, size, trials=12, seed=7)

    assert rate.read == rate.trials


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_code_that_is_held_before_a_camera_enrols_it(tmp_path: Path) -> None:
    city = EnrollingCity(tmp_path / "city")
    with city.serving():
        order = city.order(1, key=False)
        stranger = EnrollingCity(tmp_path / "stranger", office=Office(key=Ed25519PrivateKey.generate()))
        source = _clip(tmp_path / "clip.mkv", [stranger.order(2).claim, order.claim])
        config = write_config(tmp_path / "camera", city.office, source=f"file:{source}", root=City().trusted_root)
        camera = tmp_path / "camera"
        with _running("run", config), _running("enrol", config):
            _wait_for("a code", lambda: "code" in _stage(camera))
            assert json.loads((camera / "run" / "status.json").read_bytes())["state"] == "dark"
            assert not (camera / "state" / "enrolled.claim").exists()

            city.desk.confirm(sign_confirmation(order_key(1), order.claim, _stage(camera)["code"]), now=city.now())

            _wait_for("a certificate", (camera / "link" / "credential.pem").exists)
            _wait_for("a name", (camera / "state" / "enrolled.claim").exists)
            _wait_for("its name in the status", lambda: _status(camera).get("camera_id") == "market-street-1")

    assert (camera / "state" / "enrolled.claim").read_bytes() == order.claim
    assert not list(camera.rglob("*.age*"))
    assert not (camera / "outbox" / "found.claim").exists()
    assert "not signed by an office" in (camera / "said.run").read_text(encoding="utf-8")


def _clip(path: Path, claims: list[bytes]) -> Path:
    """Write three seconds of each code, held by an unsteady hand."""
    chance = np.random.default_rng(3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        stream.time_base = Fraction(1, RATE_HZ)
        number = 0
        for sealed in claims:
            code = draw_code(sealed)
            for _ in range(SECONDS * RATE_HZ):
                luma = spoil(code, 640, 480, MODERATE, chance)
                frame = VideoFrame.from_ndarray(luma, format="gray8").reformat(format="yuv420p")
                frame.pts, number = number, number + 1
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _stage(camera: Path) -> dict[str, str]:
    return _read(camera / "link" / "enrolment" / "stage.json")


def _status(camera: Path) -> dict[str, str]:
    return _read(camera / "run" / "status.json")


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    said: dict[str, str] = json.loads(path.read_bytes())
    return said


def _wait_for(what: str, condition: Callable[[], bool]) -> None:
    waited, pause = 0.0, threading.Event()
    while not condition():
        assert waited < PATIENCE_S, f"no {what}"
        pause.wait(0.05)
        waited += 0.05


@contextmanager
def _running(command: str, config: Path) -> Iterator[None]:
    with (config.parent / f"said.{command}").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent", command, "--config", str(config)], stdout=said, stderr=said
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
