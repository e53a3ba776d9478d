"""From inside each half: what must not go does not, what must go does. systemd/README.md has what this saw."""

import json
import os
from pathlib import Path

import pytest

from hil.strategy import CameraStrategy

PROBE = Path(__file__).with_name("probe.py").read_bytes()
FOUND = Path(__file__).resolve().parents[1] / "build" / "hil" / "sandbox.json"
PLACES = {"recorder": "/var/lib/lamppost/state/probe.json", "link": "/var/lib/lamppost/link/probe.json"}
WALLS_ONLY = """\
[Service]
# The unit as it is, with another program in it.
Type=oneshot
ExecStart=
ExecStart=/opt/lamppost/bin/python3 -I /usr/local/lib/lamppost-probe.py {half} {out}
Restart=no
WatchdogSec=0
"""


@pytest.fixture(scope="module")
def tried(camera: CameraStrategy) -> dict[str, dict[str, dict[str, str]]]:
    """Return how every try ended, by half."""
    camera.transition("recording")
    camera.wait_for("a whole segment", lambda status: status.storage.segments > 0)
    camera.put("/usr/local/lib/lamppost-probe.py", PROBE)
    camera.shell.run_check("echo secret > /tmp/left-by-the-test && chmod 644 /tmp/left-by-the-test")
    _device_nodes(camera)
    found = {}
    for half, out in PLACES.items():
        unit = f"lamppost-{half}.service"
        folder = f"/run/systemd/system/{unit}.d"
        camera.shell.run_check(f"systemctl stop {unit}; mkdir -p {folder}")
        camera.put(f"{folder}/99-probe.conf", WALLS_ONLY.format(half=half, out=out).encode())
        camera.shell.run_check(f"systemctl daemon-reload && systemctl start {unit}")
        found[half] = json.loads("\n".join(camera.shell.run_check(f"cat {out}")))
        camera.shell.run_check(f"rm -rf {folder} {out}; systemctl daemon-reload; systemctl start {unit}")
        camera.wait_for("a recorder that says something", lambda _: True)
    FOUND.parent.mkdir(parents=True, exist_ok=True)
    FOUND.write_text(json.dumps(found, indent=2) + "\n")
    return found


def _device_nodes(camera: CameraStrategy) -> None:
    """Put a camera and a disk before the container's door; on a board there are real ones."""
    if not hasattr(camera.power, "fresh"):
        return
    inside = camera.power.inside
    for name, kind, device in (
        ("lamppost-test-camera", 0o020666, os.makedev(81, 0)),
        ("test-disk", 0o060666, os.makedev(7, 0)),
        ("mem", 0o020666, os.makedev(1, 1)),
    ):
        path = inside / "dev" / name
        if not path.exists():
            os.mknod(path, kind, device)
            path.chmod(0o666)  # so that only the walls can be what refuses


@pytest.mark.parametrize("half", PLACES)
def test_nothing_that_must_not_go_goes(tried: dict[str, dict[str, dict[str, str]]], half: str) -> None:
    went = {words: end for words, end in tried[half]["must_not"].items() if end.startswith("did it")}

    assert went == {}


@pytest.mark.parametrize("half", PLACES)
def test_every_refusal_is_one_and_no_accident_of_the_test(
    tried: dict[str, dict[str, dict[str, str]]], half: str
) -> None:
    strange = {
        words: end
        for words, end in tried[half]["must_not"].items()
        if "Error" in end.split(":")[0] or end == "Connection refused"
    }

    assert strange == {}


@pytest.mark.parametrize("half", PLACES)
def test_what_must_go_goes(tried: dict[str, dict[str, dict[str, str]]], half: str) -> None:
    allowed = {"No such device or address"}  # the walls let it through to a driver that is not there
    failed = {
        words: end for words, end in tried[half]["may"].items() if not end.startswith("did it") and end not in allowed
    }

    if "open a device of the camera's kind" in failed and "video4linux" not in Path("/proc/devices").read_text():
        del failed["open a device of the camera's kind"]  # this kernel knows no cameras, so no rule can name them
    assert failed == {}
