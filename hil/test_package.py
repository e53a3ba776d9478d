"""An upgrade keeps state and policy, a half-done one is mended, a bad downgrade refused; purge leaves no key."""

from datetime import timedelta

from hil.strategy import CameraStrategy
from provisioning.clock import wait

# --force-confold: nobody answers a question on a pole; what was set there stays.
INSTALL = "dpkg --install --force-confold /var/cache/lamppost-agent.deb"
SECONDS = 900.0  # a package of 120 MB, unpacked on a busy machine


def state_of(camera: CameraStrategy) -> list[str]:
    """Return digests of everything that an upgrade must not touch."""
    return camera.shell.run_check(
        "cd /var/lib/lamppost && sha256sum state/policy/* state/keys/* link/credential.pem /etc/lamppost/lamppost.toml"
    )


def test_an_upgrade_keeps_policy_keys_and_configuration_and_records_on(camera: CameraStrategy) -> None:
    camera.transition("recording")
    before, segments = state_of(camera), camera.shell.run_check("ls /var/lib/lamppost/footage/*/*/*/")

    camera.shell.run_check(INSTALL, timeout=SECONDS)

    assert [line for line in state_of(camera) if "floors" not in line] == [
        line for line in before if "floors" not in line
    ]
    camera.wait_for("recording after the upgrade", lambda status: status.state.value == "recording")
    assert {one.removesuffix(".part") for one in segments} <= {
        one.removesuffix(".part") for one in camera.shell.run_check("ls /var/lib/lamppost/footage/*/*/*/")
    }
    assert camera.shell.run_check("systemctl is-active lamppost-link") == ["active"]


def test_a_power_cut_in_the_middle_of_an_upgrade_is_mended_by_the_next_one(camera: CameraStrategy) -> None:
    before = [line for line in state_of(camera) if "floors" not in line]
    camera.shell.run_check(f"nohup {INSTALL} > /root/upgrade.log 2>&1 &")
    assert camera.shell.poll_until_success("grep -q Unpacking /root/upgrade.log", timeout=120.0, sleepduration=0.2)
    wait(timedelta(seconds=5))

    camera.restart()

    half_done = camera.shell.run_check("dpkg-query --show --showformat='${db:Status-Status}' lamppost-agent")
    camera.shell.run("dpkg --configure -a", timeout=SECONDS)
    camera.shell.run_check(INSTALL, timeout=SECONDS)
    print(f"\ncut while the package was {half_done[0]}")
    assert [line for line in state_of(camera) if "floors" not in line] == before
    camera.wait_for("recording after the mended upgrade", lambda status: status.state.value == "recording")


def test_a_version_that_cannot_read_the_policy_is_refused_and_nothing_changes(camera: CameraStrategy) -> None:
    floors = "/var/lib/lamppost/state/policy/floors.json"
    # A recorder of this version writes its own format when it stops; one that wrote a newer format is what is meant.
    camera.shell.run_check(f"systemctl stop lamppost-recorder && cp -a {floors} /root/floors.json")
    camera.shell.run_check(f"""sed -i 's/"format": *1/"format": 2/' {floors} && grep -q '"format": *2' {floors}""")

    _, said, status = camera.shell.run(INSTALL, timeout=SECONDS)

    running = camera.shell.run_check("systemctl is-active lamppost-recorder lamppost-link; true")
    camera.shell.run_check(f"systemctl stop lamppost-recorder && cp -a /root/floors.json {floors}")
    assert status != 0
    assert running == ["active", "active"]  # what was there before goes on
    assert "the policy in use has format 2, this version understands up to 1" in "\n".join(said)
    assert camera.shell.run_check("dpkg-query --show --showformat='${db:Status-Status}' lamppost-agent") == [
        "installed"
    ]
    camera.shell.run_check("systemctl restart lamppost-recorder")
    camera.wait_for("recording as before", lambda status: status.state.value == "recording")


def test_purge_leaves_no_key_and_keeps_what_a_hold_may_protect(camera: CameraStrategy) -> None:
    camera.wait_for("a whole segment", lambda status: status.storage.segments > 0)

    camera.shell.run_check("dpkg --purge lamppost-agent", timeout=SECONDS)

    left = camera.shell.run_check("find /var/lib/lamppost /etc/lamppost /run/lamppost -type f 2>/dev/null; true")
    assert any(path.endswith(".mp4.age") for path in left)
    assert [
        path for path in left if not path.startswith(("/var/lib/lamppost/footage", "/var/lib/lamppost/state/log"))
    ] == [path for path in left if path == "/var/lib/lamppost/state/starts"]
    assert (
        camera.shell.run_check("grep -rlE 'PRIVATE KEY|AGE-SECRET' /var/lib/lamppost /etc/lamppost 2>/dev/null; true")
        == []
    )
    assert camera.shell.run_check("ls -d /opt/lamppost 2>/dev/null; true") == []
