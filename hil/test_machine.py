"""What needs a kernel: a camera behind V4L2 that is unplugged, a panic that a watchdog ends, a clock that is wrong.

For the qemu tier. The others have no clock, no kernel and no camera of their own to spoil.
"""

from datetime import UTC, datetime, timedelta

import pytest

from hil.strategy import CameraStrategy
from provisioning.clock import precise_now, wait

PATIENCE = timedelta(seconds=300)
VIVID = "/sys/bus/platform/drivers/vivid"
LEAVES = "cat /var/lib/lamppost/state/log/events-*.jsonl"


@pytest.fixture(autouse=True)
def machine(camera: CameraStrategy) -> None:
    if not hasattr(camera.power, "rtc"):
        pytest.skip("this tier has no kernel of its own")


def test_it_records_from_a_camera_behind_v4l2(camera: CameraStrategy) -> None:
    camera.transition("recording")

    kernel, units = camera.shell.run_check("uname -r")[0], camera.shell.run_check("systemctl is-system-running; true")
    status = camera.wait_for("a segment", lambda status: status.storage.segments > 0)

    print(f"\nLinux {kernel}, {units[0]}, {status.camera.mode}")
    assert status.camera.mode.startswith("320x180")


def test_a_camera_that_is_unplugged_is_told_and_recording_returns_with_it(camera: CameraStrategy) -> None:
    camera.shell.run_check(f"echo vivid.0 > {VIVID}/unbind")

    told = camera.wait_for("a camera that is gone", lambda status: status.state.value == "failed")
    assert told.camera.state.value in {"gone", "stalled"}
    assert camera.shell.run_check("systemctl is-active lamppost-recorder") == ["active"]  # it waits, it does not die

    camera.shell.run_check(f"echo vivid.0 > {VIVID}/bind")
    camera.wait_for(
        "recording again",
        lambda status: status.state.value == "recording" and status.frames.stored > told.frames.stored,
    )


def test_a_panic_is_ended_by_the_watchdog_and_the_next_start_records(camera: CameraStrategy) -> None:
    before = camera.shell.run_check(LEAVES)

    # panic=0: the kernel stands still for ever, and nothing but the watchdog can end that.
    camera.shell.run_check(
        "echo 0 > /proc/sys/kernel/panic; echo 1 > /proc/sys/kernel/sysrq; sync;"
        " (sleep 5; echo c > /proc/sysrq-trigger) > /dev/null 2>&1 < /dev/null &"
    )

    until = precise_now() + PATIENCE
    while not camera.power.ended and precise_now() < until:
        wait(timedelta(seconds=1))
    assert camera.power.ended, "the watchdog did not reset it"
    assert "sysrq triggered crash" in camera.power.console.read_text(errors="replace")
    camera.restart()
    camera.wait_for("recording after a panic", lambda status: status.state.value == "recording")
    assert camera.shell.run_check(LEAVES)[: len(before) - 1] == before[:-1]


def test_a_board_that_forgot_the_time_stays_under_its_policy(camera: CameraStrategy) -> None:
    camera.power.off()
    camera.power.rtc = datetime(2015, 1, 1, tzinfo=UTC)
    try:
        camera.power.on()

        # systemd alone takes it to the day it was built; that the policy is older than that is no excuse.
        status = camera.wait_for(
            "recording by the floor of its clock", lambda status: status.state.value == "recording"
        )
        assert status.clock_quality.value != "synchronised"
        assert status.decision.intended_use
    finally:
        camera.power.off()
        camera.power.rtc = None
        camera.power.on()


def test_a_week_without_a_broker_ends_in_the_dark_and_new_policy_ends_that(camera: CameraStrategy) -> None:
    camera.publish()
    camera.wait_for("recording", lambda status: status.state.value == "recording")
    before = camera.shell.run_check(LEAVES)
    dark_after = None
    for day in range(1, 9):
        camera.shell.run_check("date --set='+1 day' > /dev/null")
        status = camera.wait_for(f"a status on day {day}", lambda status: status.updated_at.tzinfo is not None)
        wait(timedelta(seconds=5))
        status = camera.recorder() or status
        if status.state.value == "dark" and dark_after is None:
            dark_after = day
            assert "the city has not been heard of" in status.decision.reason

    assert dark_after in {7, 8}  # `offline_for` of the charter is a week
    assert camera.shell.run_check(LEAVES)[: len(before) - 1] == before[:-1]
    assert camera.shell.run_check("systemctl is-active lamppost-recorder lamppost-link") == ["active", "active"]
    camera.city.now = (precise_now() + camera.ahead()).replace(microsecond=0)
    camera.publish()
    camera.wait_for("recording under new policy", lambda status: status.state.value == "recording")
