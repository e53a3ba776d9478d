"""The units start, are fed, come back, give up with a report, and hand credentials over."""

from datetime import timedelta

import pytest

from hil.strategy import CameraStrategy
from provisioning.clock import wait

RECORDER = "lamppost-recorder.service"
LINK = "lamppost-link.service"
PATIENCE = timedelta(seconds=120)


def shown(camera: CameraStrategy, unit: str, *keys: str) -> dict[str, str]:
    """Return what systemd says of a unit."""
    lines = camera.shell.run_check(f"systemctl show {unit} --property={','.join(keys)}")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def until(camera: CameraStrategy, command: str, expected: str) -> None:
    """Wait until a command says what is expected."""
    assert camera.shell.poll_until_success(
        f'[ "$({command})" = "{expected}" ]', timeout=PATIENCE.total_seconds(), sleepduration=0.5
    ), camera.shell.run(command)[0]


def drop_in(camera: CameraStrategy, unit: str, text: str, name: str = "90-test") -> None:
    """Change a unit until the next start of the machine."""
    folder = f"/run/systemd/system/{unit}.d"
    camera.shell.run_check(f"mkdir -p {folder}")
    camera.put(f"{folder}/{name}.conf", text.encode())
    camera.shell.run_check("systemctl daemon-reload")


def undo(camera: CameraStrategy, unit: str) -> None:
    """Take the changes back."""
    camera.shell.run_check(f"rm -rf /run/systemd/system/{unit}.d; systemctl daemon-reload; systemctl reset-failed")


def test_it_boots_with_nothing_failed_but_what_waits_for_a_city(camera: CameraStrategy) -> None:
    camera.transition("booted")

    failed = " ".join(
        camera.shell.run_check("systemctl list-units --failed --plain --no-legend 'lamppost*' | cut -d' ' -f1")
    )

    # No root.json: the recorder cannot verify anything, says so with status 78, and is not started again and again.
    told = shown(camera, RECORDER, "ExecMainStatus", "NRestarts", "Result")
    assert failed == RECORDER
    assert (told["ExecMainStatus"], told["NRestarts"]) == ("78", "0")
    assert shown(camera, LINK, "ConditionResult")["ConditionResult"] == "no"  # no credential: nothing to connect with


def test_giving_up_is_told_in_the_journal_and_marked_for_the_led(camera: CameraStrategy) -> None:
    until(camera, "cat /run/lamppost-failed/lamppost-recorder > /dev/null && echo there", "there")

    said = "\n".join(camera.shell.run_check("journalctl --no-pager -u 'lamppost-failed@*'"))
    assert "lamppost-recorder.service gave up" in said
    assert "the configuration is refused" in said


def test_enrolled_both_halves_run_as_two_users(camera: CameraStrategy) -> None:
    camera.transition("enrolled")

    for unit, user in ((RECORDER, "lamppost-recorder"), (LINK, "lamppost-link")):
        until(camera, f"systemctl is-active {unit}", "active")
        told = shown(camera, unit, "MainPID", "StatusText")
        owner = camera.shell.run_check(f"stat -c %U /proc/{told['MainPID']}")
        assert owner == [user]
    assert "dark" in shown(camera, RECORDER, "StatusText")["StatusText"]


def test_it_records_once_the_city_permits_it(camera: CameraStrategy) -> None:
    camera.transition("recording")

    status = camera.recorder()

    assert status is not None
    assert status.storage.state.value == "ok"
    until(camera, "ls /var/lib/lamppost/footage/*/*/*/*.mp4.age | head -n 1 | wc -l", "1")


def test_what_the_link_must_read_it_can_and_no_more(camera: CameraStrategy) -> None:
    modes = dict(
        reversed(line.split(" ", 1))
        for line in camera.shell.run_check(
            "stat -c '%a:%U:%G %n' /var/lib/lamppost/* /var/lib/lamppost/state/* /run/lamppost/status.json"
            " /var/lib/lamppost/state/keys/log.pem $(ls /var/lib/lamppost/footage/*/*/*/*.age | head -n 1)"
            " /var/lib/lamppost/outbox/policy-verdict.json $(ls /var/lib/lamppost/state/log/events-* | head -n 1)"
        )
    )

    recorder, link = "lamppost-recorder:lamppost", "lamppost-link:lamppost"
    assert modes["/var/lib/lamppost/footage"] == f"750:{recorder}"
    assert modes["/var/lib/lamppost/state/policy"] == f"700:{recorder}"
    assert modes["/var/lib/lamppost/state/keys/log.pem"] == f"600:{recorder}"
    assert modes["/var/lib/lamppost/inbox"] == f"770:{link}"
    assert modes["/var/lib/lamppost/link"] == f"700:{link}"
    for path in ("/run/lamppost/status.json", "/var/lib/lamppost/outbox/policy-verdict.json"):
        assert modes[path] == f"640:{recorder}"
    for path, mode in modes.items():
        if path.endswith(".age") or "/events-" in path:
            assert mode == f"640:{recorder}", path


def test_a_recorder_that_hangs_is_killed_by_its_watchdog_and_comes_back(camera: CameraStrategy) -> None:
    drop_in(camera, RECORDER, "[Service]\nWatchdogSec=8\n")
    camera.shell.run_check(f"systemctl restart {RECORDER}")
    camera.wait_for("recording", lambda status: status.state.value == "recording")
    before = shown(camera, RECORDER, "MainPID", "NRestarts")

    camera.shell.run_check(f"kill -STOP {before['MainPID']}")  # alive, and deaf

    until(camera, f"systemctl show {RECORDER} --property=NRestarts --value", str(int(before["NRestarts"]) + 1))
    camera.wait_for("recording again", lambda status: status.state.value == "recording")
    assert shown(camera, RECORDER, "MainPID")["MainPID"] != before["MainPID"]
    assert "Watchdog timeout" in "\n".join(camera.shell.run_check(f"journalctl --no-pager -u {RECORDER}"))
    undo(camera, RECORDER)


def test_a_link_that_hangs_is_killed_by_its_watchdog_and_the_recorder_goes_on(camera: CameraStrategy) -> None:
    drop_in(camera, LINK, "[Service]\nWatchdogSec=8\n")
    camera.shell.run_check(f"systemctl restart {LINK}")
    until(camera, f"systemctl is-active {LINK}", "active")
    recorder = shown(camera, RECORDER, "MainPID")["MainPID"]

    camera.shell.run_check(f"kill -STOP {shown(camera, LINK, 'MainPID')['MainPID']}")

    until(camera, f"systemctl show {LINK} --property=NRestarts --value", "1")
    assert shown(camera, RECORDER, "MainPID")["MainPID"] == recorder
    undo(camera, LINK)


def test_a_restart_storm_ends_in_a_report_and_the_machine_stays_up(camera: CameraStrategy) -> None:
    booted = camera.shell.run_check("cat /proc/1/stat | cut -d' ' -f22")
    drop_in(camera, RECORDER, "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exit 74'\nType=exec\nRestartSec=100ms\n")

    camera.shell.run(f"systemctl restart {RECORDER}")
    until(camera, f"systemctl is-failed {RECORDER}", "failed")

    assert shown(camera, RECORDER, "Result")["Result"] in {"exit-code", "start-limit-hit"}
    assert int(shown(camera, RECORDER, "NRestarts")["NRestarts"]) <= 10
    until(camera, "systemctl is-active lamppost-link.service", "active")  # one half gave up, the other did not
    assert camera.shell.run_check("cat /proc/1/stat | cut -d' ' -f22") == booted
    undo(camera, RECORDER)
    camera.shell.run_check("systemctl start lamppost-again.service")  # what the timer does after an hour
    camera.wait_for("recording again", lambda status: status.state.value == "recording")


def test_a_credential_is_handed_over_and_only_to_the_recorder(camera: CameraStrategy) -> None:
    key = camera.shell.run_check("cat /var/lib/lamppost/state/keys/log.pem")
    # As a board without a TPM does it: sealed to a key of this machine (systemd-creds(1)).
    camera.shell.run_check(
        "mkdir -p /etc/credstore.encrypted && systemd-creds setup && systemd-creds encrypt --with-key=host"
        " --name=lamppost-log-key /var/lib/lamppost/state/keys/log.pem /etc/credstore.encrypted/lamppost-log-key"
    )
    camera.shell.run_check(f"mv /var/lib/lamppost/state/keys/log.pem /root/log.pem && systemctl restart {RECORDER}")

    camera.wait_for("recording", lambda status: status.state.value == "recording")

    assert camera.shell.run("ls /var/lib/lamppost/state/keys/log.pem")[2] != 0  # none was made: the credential is used
    pid = shown(camera, RECORDER, "MainPID")["MainPID"]
    assert camera.shell.run_check(f"nsenter -t {pid} -m cat /run/credentials/{RECORDER}/lamppost-log-key") == key
    assert (
        camera.shell.run(
            f"setpriv --reuid lamppost-link --clear-groups cat /run/credentials/{RECORDER}/lamppost-log-key"
        )[2]
        != 0
    )
    camera.shell.run_check(
        "rm /etc/credstore.encrypted/lamppost-log-key && mv /root/log.pem /var/lib/lamppost/state/keys/log.pem"
        f" && systemctl restart {RECORDER}"
    )
    camera.wait_for("recording", lambda status: status.state.value == "recording")


@pytest.mark.parametrize("unit", [RECORDER, LINK])
def test_a_stop_is_obeyed_in_time_and_nothing_is_left(camera: CameraStrategy, unit: str) -> None:
    camera.shell.run_check(f"systemctl stop {unit}")

    told = shown(camera, unit, "Result", "ActiveState")
    assert told["Result"] == "success"  # nobody had to kill it, and it did not abort
    assert told["ActiveState"] == "inactive"
    if unit == RECORDER:
        assert camera.shell.run("ls /var/lib/lamppost/footage/*/*/*/*.part")[2] != 0  # finished, not cut
    camera.shell.run_check(f"systemctl start {unit}")
    wait(timedelta(seconds=1))
    until(camera, f"systemctl is-active {unit}", "active")
