"""The other processor's package, installed and tried under qemu-user: its libraries load, and what it records opens.

It says nothing about speed, and nothing about a board. Run by `make hil TIER=arm64`.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.core.sealing.recipients import PostQuantumIdentity
from hil.strategy import CONFIGURATION
from provisioning.clock import precise_now
from provisioning.demo.look import decode, open_all
from tests.fakes.city import City
from tests.fakes.desk import CAMERA, granted_now, keys_now

TREE = Path(__file__).resolve().parents[1] / "build/hil/arm64"
SECONDS = 20
ZONE = 5  # the left fifth, as `tests.fakes.desk.LEFT` draws it


@pytest.fixture(scope="module")
def identity() -> Iterator[PostQuantumIdentity]:
    """Yield what opens the footage of a camera whose policy lies in its inbox."""
    if not (TREE / "opt/lamppost").exists():
        pytest.skip("there is no arm64 tree: make hil TIER=arm64")
    now = precise_now().replace(microsecond=0)
    identity = PostQuantumIdentity.generate()
    city = City(now=now - timedelta(minutes=1))
    city.put(keys_now(now, str(identity.recipient)))
    city.put(granted_now(now))
    card = TREE / "var/lib/lamppost"
    shutil.rmtree(card, ignore_errors=True)
    (card / "inbox").mkdir(parents=True)
    (card / "inbox/policy.bundle").write_bytes(city.publish(after=timedelta(seconds=1)))
    (TREE / "usr/share/lamppost/root.json").write_bytes(city.trusted_root)
    (TREE / "etc/lamppost/lamppost.toml").write_text(
        CONFIGURATION.format(camera=CAMERA, source="streetscene", width_px=320, height_px=180, rate_hz=2)
    )
    yield identity
    shutil.rmtree(card, ignore_errors=True)


def inside(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the tree, as root of a container without a network."""
    return subprocess.run(
        [
            "systemd-nspawn", "--quiet", "--directory", str(TREE), "--register=no", "--keep-unit", "--private-network",
            "--resolv-conf=off", "--timezone=off", "--console=pipe", *command,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def test_it_is_the_other_processors(identity: PostQuantumIdentity) -> None:
    assert inside("uname", "-m").stdout.strip() == "aarch64"
    assert inside("dpkg", "--print-architecture").stdout.strip() == "arm64"
    assert inside("dpkg-query", "--show", "--showformat=${db:Status-Status}", "lamppost-agent").stdout == "installed"


def test_it_records_under_signed_policy_and_what_it_recorded_opens(identity: PostQuantumIdentity) -> None:
    done = inside("lamppost-agent", "record", "--for", f"{SECONDS}s")

    assert done.returncode == 0, done.stderr
    kept = open_all(TREE / "var/lib/lamppost/footage", [identity])
    frames = [frame for segment in kept for frame in decode(segment, [identity])]
    print(f"\n{len(frames)} frames in {SECONDS} s")
    assert frames
    for frame in frames:
        zone = cv2.cvtColor(frame.picture, cv2.COLOR_BGR2GRAY)[:, : frame.picture.shape[1] // ZONE]
        assert np.ptp(zone) <= 12  # one colour, but for what a codec does to it


def test_every_part_but_speed_passes_its_self_test(identity: PostQuantumIdentity) -> None:
    done = inside("lamppost-agent", "selftest", "--json")

    findings = {one["part"]: one for one in json.loads(done.stdout)}
    for part, one in findings.items():
        print(f"\n{part}: {'passed' if one['passed'] else 'failed'}: {one['found']}", end="")
    too_slow = {"encoder", "disk", "camera"}  # a translated processor may be
    assert [part for part, one in findings.items() if not one["passed"] and part not in too_slow] == []
