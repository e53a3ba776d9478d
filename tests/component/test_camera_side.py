"""Whatever the camera's side of a window sends or does, the technician's side ends in words."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.messages.aiming import Act, AimingRequest, AimingUpdate, Shown
from agent.errors import AimingRefusedError
from provisioning.commissioning.camera_side import CameraSide, behind_ssh, here
from provisioning.ssh import Remembered

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ASKED = AimingRequest(act=Act.OPEN, window="w-1", who="Terry Technician", until=NOW + timedelta(minutes=30))
WAIT_S = 60.0

PLAY = """
import sys
asked = sys.stdin.buffer.readline()
sys.stdout.buffer.write(open(sys.argv[1], "rb").read())
sys.stdout.buffer.flush()
sys.stderr.write(sys.argv[2])
rest = sys.stdin.buffer.read() if sys.argv[3] == "stay" else b""
open(sys.argv[1] + ".asked", "wb").write(asked + rest)
"""


def update(**changes: object) -> AimingUpdate:
    return AimingUpdate(
        window="w-1",
        until=ASKED.until,
        number=1,
        captured_at=NOW,
        camera_id="cam-07",
        software="0.1.0",
        width_px=1280,
        height_px=720,
        rotation_degrees=0,
        shown=Shown.NOTHING,
        reason="no policy has arrived yet",
    ).model_copy(update=changes)


def camera(folder: Path, stream: bytes, *, said: str = "", then: str = "leave") -> CameraSide:
    (folder / "stream").write_bytes(stream)
    return CameraSide((sys.executable, "-c", PLAY, str(folder / "stream"), said, then), ASKED)


def test_updates_and_pictures_are_taken_in_order_and_the_latest_is_kept(tmp_path: Path) -> None:
    first = update(picture_bytes=3).to_bytes() + b"\nABC"
    second = update(number=2).to_bytes() + b"\n"

    with camera(tmp_path, first + second, then="stay") as side:
        seen = side.wait_newer(1, WAIT_S)
        nothing_newer = side.wait_newer(2, 0.0)
        side.ask(Act.APPROVE_VIEW)

        assert seen is not None
        assert (seen.update.number, seen.picture) == (2, b"")
        assert seen.hidden_now() is None
        assert nothing_newer is None
        assert side.over() == ""

    asked = (tmp_path / "stream.asked").read_bytes().splitlines()
    assert [AimingRequest.from_bytes(line).act for line in asked] == [Act.OPEN, Act.APPROVE_VIEW]


@pytest.mark.parametrize(
    ("stream", "over"),
    [
        (b"", "the recorder closed the window"),
        (b"HTTP/1.1 400\n", "the camera sent what is no update"),
        (b"x" * 2_000_000, "the camera sent what is no update"),
        (update(window="w-2").to_bytes() + b"\n", "the recorder closed the window"),
        (update(picture_bytes=10).to_bytes() + b"\nABC", "the recorder closed the window"),
    ],
)
def test_a_stream_that_is_none_ends_the_window(tmp_path: Path, stream: bytes, over: str) -> None:
    with camera(tmp_path, stream) as side:
        assert side.wait_newer(0, WAIT_S) is None

        assert over in side.over()
        assert side.latest() is None


def test_what_the_cameras_side_complains_of_is_passed_on(tmp_path: Path) -> None:
    with camera(tmp_path, b"", said="lamppost-agent: error: the camera was revoked\n") as side:
        side.wait_newer(0, WAIT_S)

        assert side.over() == "the camera was revoked"


def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(AimingRefusedError, match="cannot start"):
        CameraSide(("/nonexistent/ssh",), ASKED)


def test_nothing_can_be_asked_after_the_end(tmp_path: Path) -> None:
    side = camera(tmp_path, b"")
    side.close()
    side.close()

    with pytest.raises(AimingRefusedError, match="the window is over"):
        side.ask(Act.APPROVE_VIEW)


def test_over_the_cable_ssh_asks_nobody_and_knows_the_board_by_the_cameras_name(tmp_path: Path) -> None:
    words = behind_ssh("10.55.0.1", None, Remembered.of_camera("cam-07"))

    assert words[-3:] == ("--", "10.55.0.1", "lamppost-agent aim")
    assert {"BatchMode=yes", "ForwardAgent=no", "HostKeyAlias=lamppost-cam-07"} < set(words)
    assert here(tmp_path / "lamppost.toml")[-1] == str(tmp_path / "lamppost.toml")


@pytest.mark.parametrize(("status", "told"), [(255, True), (1, False)])
def test_a_cable_that_is_not_there_is_told_from_a_camera_that_refuses(tmp_path: Path, status: int, told: bool) -> None:
    program = tmp_path / "ssh"
    program.write_text(f"#!/bin/sh\necho 'No route to host' >&2\nexit {status}\n", encoding="ascii")
    program.chmod(0o755)

    with CameraSide((str(program),), ASKED) as side:
        side.wait_newer(0, WAIT_S)

        assert side.over() == "No route to host"
        assert (side.out_of_reach() is not None) == told
