"""A card that refuses to write, and one that says it wrote and did not: told, survived, and nothing older is lost.

Both by the guest's own dm-flakey, below the file system and above the disk; so it needs a kernel of its own.
"""

from datetime import timedelta

import pytest

from agent.core.status import RecorderStatus
from hil.strategy import CameraStrategy
from provisioning.clock import wait
from provisioning.demo.look import open_all

DISK = "/dev/disk/by-label/lamppost-data"
CARD, PLACE = "/dev/mapper/card", "/var/lib/lamppost"
LEAVES = f"cat {PLACE}/state/log/events-*.jsonl"
A_START_S = 900
LIE = timedelta(seconds=8)
# Never well for an hour; the feature says how it fails (dm-flakey: seconds up, seconds down, how many words follow).
GOOD, REFUSES, LIES = "linear {} 0", "flakey {} 0 0 3600 1 error_writes", "flakey {} 0 0 3600 1 drop_writes"


@pytest.fixture
def recording(camera: CameraStrategy) -> CameraStrategy:
    """Return a camera that records on a card that can be made to fail, until its power is cut."""
    if not hasattr(camera.power, "rtc"):
        pytest.skip("this tier has no kernel of its own")
    camera.transition("recording")
    camera.shell.run_check(
        f"disk=$(readlink -f {DISK}) && echo $disk > /run/disk && modprobe dm-flakey"
        f" && systemctl stop lamppost.target var-lib-lamppost.mount && dmsetup create card {table(GOOD)}"
        f" && mount -o noatime,noexec,errors=remount-ro {CARD} {PLACE} && systemctl start lamppost.target",
        timeout=A_START_S,
    )
    camera.wait_for("recording on it", records)
    return camera


def records(status: RecorderStatus) -> bool:
    return status.state.value == "recording" and status.frames.stored > 0


def table(behaviour: str) -> str:
    return f'--table "0 $(blockdev --getsz $(cat /run/disk)) {behaviour.format("$(cat /run/disk)")}"'


def behave(camera: CameraStrategy, behaviour: str) -> None:
    """Let the card behave otherwise; before, the file system puts all that it holds onto it."""
    camera.shell.run_check(f"dmsetup load card {table(behaviour)} && dmsetup suspend card && dmsetup resume card")


def test_a_card_that_refuses_is_told_and_the_next_start_records(recording: CameraStrategy) -> None:
    leaves = recording.shell.run_check(LEAVES)
    behave(recording, REFUSES)

    told = recording.wait_for("a card that failed", lambda status: status.state.value == "failed")
    assert told.storage.state.value == "failed"
    assert recording.shell.run_check("systemctl is-active lamppost-recorder") == ["active"]  # it waits, it does not die

    recording.restart()  # on the bare disk

    recording.wait_for("recording again", records)
    assert recording.shell.run_check(LEAVES)[: len(leaves) - 1] == leaves[:-1]


def test_a_card_that_lies_loses_nothing_older_than_its_lie(recording: CameraStrategy) -> None:
    before = recording.wait_for("recording", records)
    leaves = recording.shell.run_check(LEAVES)
    behave(recording, LIES)
    wait(LIE)

    recording.restart()

    after = recording.wait_for("recording after the lie", records)
    assert after.decision.policy_digest == before.decision.policy_digest
    assert recording.shell.run_check(LEAVES)[: len(leaves) - 1] == leaves[:-1]
    with recording.files() as root:
        kept = open_all(root / f"{PLACE[1:]}/footage", [recording.identity])
    assert sum(one.frames for one in kept if one.starts_at < before.updated_at) >= before.frames.stored
