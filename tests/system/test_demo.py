"""The demo plays a city, and its pictures show what it says."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from agent.adapters.streetscene import PRIVATE_ZONES
from agent.core.masking.blocks import FILL_Y
from provisioning.clock import precise_now
from provisioning.demo.city import CAMERA, GARDEN, GRANT, OTHER_CAMERA
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.judging import judge, verdict
from provisioning.register.placing import read_register
from provisioning.register.verifying import verify

DEADLINE_S = 600  # a minute here; an upper bound for a machine that does ten other things


def test_the_zones_that_the_demo_signs_are_the_streets_private_areas() -> None:
    grant = tomllib.loads(GRANT.read_text(encoding="utf-8"))
    signed = {zone["name"]: zone["polygon"] for zone in [*grant["zones"], *GARDEN["zones"]]}

    assert signed == {zone.name: [list(corner) for corner in zone.polygon] for zone in PRIVATE_ZONES}


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S + 60)
def test_the_demo_leaves_a_sheet_and_a_movie_in_which_private_windows_are_never_seen(tmp_path: Path) -> None:
    played = subprocess.run(
        [sys.executable, "-m", "provisioning", "demo", "--out", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )

    assert played.returncode == 0, played.stderr
    sheet, movie, evidence, report, register = (Path(line) for line in played.stdout.split())
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.shape[1] > 1000
    assert (movie.stat().st_mode & 0o777) == 0o600
    frames = 0
    with av.open(str(movie), "r") as container:
        for frame in container.decode(video=0):
            luma = frame.to_ndarray(format="yuv420p")[: frame.height].astype(int)
            windows = luma[
                int(0.34 * frame.height) : int(0.48 * frame.height), int(0.06 * frame.width) : int(0.21 * frame.width)
            ]
            assert np.abs(windows - FILL_Y).max() <= 12
            frames += 1
    assert frames > 10
    assert verdict(judge(Exhibit(evidence), now=precise_now())) is None
    assert report.read_text(encoding="utf-8").count("data:image/jpeg") > 0
    published = verify(read_register(str(register.parent)), software=version("lamppost"), now=precise_now())
    assert [one.camera for one in published.claims.cameras if one.account is not None] == [CAMERA, OTHER_CAMERA]
    assert published.claims.cameras[0].exports == {"law-enforcement": 1}
