"""The table of the fleet keeps what matters at any width: whose line it is, and what is wrong."""

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from agent.core.messages.policy import BundleReceipt, Reported
from agent.core.policy.clock import ClockQuality
from agent.core.status import FrameCounts, RecordingState, StorageState, StorageStatus
from provisioning.backend.records import CameraRecord
from provisioning.commands.fleet import FleetTable
from tests.fakes.payloads import NOON, birth, recorder, status

DIGEST = "cd" * 32
FULL = StorageStatus(state=StorageState.FULL, last_error="no room is left, and every segment in the ring is held")


def camera(camera_id: str, **changes: Any) -> CameraRecord:
    told = status(camera_id, recording=recorder(camera_id, **changes))
    return CameraRecord(
        camera_id=camera_id,
        first_seen_at=NOON,
        birth=birth(camera_id),
        birth_received_at=NOON,
        status=told,
        status_received_at=NOON,
        reported=Reported(
            camera_id=camera_id, at=NOON, desired=BundleReceipt(digest=DIGEST, size_bytes=9, received_at=NOON)
        ),
        desired_digest=DIGEST,
        desired_at=NOON,
    )


FLEET = (
    camera("market-street-at-fifth-1"),
    camera("b-2", storage=FULL, clock_quality=ClockQuality.UNKNOWN),
    camera("c-3", state=RecordingState.DARK),
)


def lines(width: int, fleet: tuple[CameraRecord, ...] = FLEET) -> list[str]:
    told = io.StringIO()
    Console(file=told, width=width).print(FleetTable(cameras=fleet, now=NOON + timedelta(seconds=5)))
    return told.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_name_is_cut_and_a_camera_is_one_line(width: int) -> None:
    shown = lines(width)

    assert shown[0] == "3 cameras, 3 online, 1 critical"
    assert [line.split()[0] for line in shown[2:]] == ["b-2", "c-3", "market-street-at-fifth-1"]
    assert "storage full (+1): no ro" in shown[2]
    assert max(map(len, shown)) <= width


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (60, "camera health"),
        (80, "camera health does"),
        (100, "camera health does policy log heard"),
        (200, "camera health does policy frames log heard"),
    ],
)
def test_what_there_is_no_room_for_is_left_out_as_a_whole_column(width: int, titles: str) -> None:
    assert " ".join(lines(width)[1].split()) == titles


def test_what_a_camera_did_is_told_as_past_once_it_is_away() -> None:
    away = (camera("a-1"),)

    later = FleetTable(cameras=away, now=NOON + timedelta(hours=1))
    told = io.StringIO()
    Console(file=told, width=120).print(later)

    assert "was recording" in told.getvalue()


def test_a_retired_camera_does_nothing_any_more() -> None:
    (line,) = lines(80, (replace(camera("a-1"), revoked=True),))[2:]

    assert line.split()[:2] == ["a-1", "retired:"]
    assert "recording" not in line


def test_a_camera_that_learns_the_scene_says_so_where_only_a_few_words_are_shown() -> None:
    hidden = FrameCounts(captured=100, stored=100, failed_closed=100, failed_closed_reason="warming up")
    learning = camera("market-street-1", frames=hidden, started_at=NOON, clock_quality=ClockQuality.UNKNOWN)

    (line,) = lines(80, (learning,))[2:]

    assert "learning (+1): hides all" in line


@pytest.mark.parametrize("width", range(60, 140))
def test_no_column_is_cut_where_names_are_shorter_than_their_title(width: int) -> None:
    titles, line = lines(width, (replace(camera("c-1"), log_id="log", log_next=37, log_camera_next=39),))[1:]

    assert ("heard" in titles) == line.rstrip().endswith("5 s ago")


def test_one_camera_is_one_and_none_is_none() -> None:
    assert lines(80, FLEET[2:])[0] == "1 camera, 1 online"
    assert lines(80, ())[0] == "0 cameras, 0 online"
