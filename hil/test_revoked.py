"""A camera that was revoked while it was off never records again, however it is started."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from hil.strategy import CameraStrategy
from provisioning.clock import precise_now, wait
from provisioning.demo.look import open_all
from tests.fakes.desk import CAMERA
from tests.fakes.documents import revocation

FOOTAGE = "var/lib/lamppost/footage"
A_WHILE = timedelta(seconds=15)


def test_policy_revoked_while_off_counts_from_the_first_frame(camera: CameraStrategy) -> None:
    if not hasattr(camera.power, "prepared"):
        pytest.skip("this tier's card cannot be written while the camera is off")
    camera.transition("recording")
    camera.wait_for("a segment", lambda status: status.storage.segments > 0)
    camera.power.off()
    revoked_at = precise_now()
    now = revoked_at.replace(microsecond=0)
    camera.city.now = now
    camera.city.put(
        revocation(cameras=(CAMERA,), issued_at=now - timedelta(hours=1), starts_at=now - timedelta(hours=1))
    )
    put_into_inbox(camera.power.prepared(), camera.city.publish(after=timedelta(seconds=1)))

    for _ in range(2):  # and a second time, without anything in the inbox
        camera.power.on()
        told = camera.wait_for("a revoked camera", lambda status: status.state.value == "dark")
        wait(A_WHILE)
        after = camera.recorder()

        assert after is not None
        assert (after.state.value, after.frames.stored) == ("dark", 0)
        assert told.decision.reason
        print(f"\n{told.decision.reason}")
        camera.power.off()
    with camera.power.files() as root:
        kept = open_all(root / FOOTAGE, [camera.identity])
    assert max(one.ends_at for one in kept) <= revoked_at


def put_into_inbox(root: Path, bundle: bytes) -> None:
    """Leave a bundle where the link would, on a card that lies on the table."""
    path = root / "var/lib/lamppost/inbox/policy.bundle"
    path.write_bytes(bundle)
    owner = path.parent.stat()
    os.chown(path, owner.st_uid, owner.st_gid)
    path.chmod(0o640)
