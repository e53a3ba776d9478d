"""The Raspberry Pi camera is driven by picamera2's rules; on a fake board, for want of a real one."""

import sys
from datetime import timedelta
from itertools import islice

import pytest

from agent.adapters.picamera import LentPicture, PiCamera, PiCameraSettings
from agent.core.video import FrameSize
from agent.errors import CameraError, CameraGoneError, ConfigurationError
from tests.fakes.clock import FakeClock
from tests.fakes.libcamera import FakeBoard, FakePicamera2, FakeTransform

PADDED = FrameSize(600, 400)  # lines of 600 are padded to 640
PACKED = FrameSize(640, 400)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    board = FakeBoard(FakeClock())
    board.install(monkeypatch)
    return board


def opened(board: FakeBoard, settings: PiCameraSettings) -> FakePicamera2:
    PiCamera(board.clock, settings).open()
    return board.devices[-1]


@pytest.mark.parametrize("size", [PADDED, PACKED])
def test_masks_land_in_the_memory_the_hardware_reads_when_the_access_is_ended(
    board: FakeBoard, size: FrameSize
) -> None:
    camera = PiCamera(board.clock, PiCameraSettings(size=size))
    camera.open()
    frames = camera.frames()
    frame = next(frames)
    picture = frame.native
    assert isinstance(picture, LentPicture)

    frame.pixels.y[:16, :16] = 7
    frame.pixels.u[:8, :8] = 8
    frame.pixels.v[:8, :8] = 9
    before = picture.request.memory["main"].copy()
    request = picture.settle()

    stride, rows = 640, 400
    after = request.memory["main"]
    luma = after[: stride * rows].reshape(rows, stride)
    chroma = after[stride * rows :].reshape(2, rows // 2, stride // 2)
    assert 7 not in before
    assert (luma[:16, :16] == 7).all()
    assert (chroma[0, :8, :8] == 8).all()
    assert (chroma[1, :8, :8] == 9).all()
    assert (luma[16:, : size.width_px] == 131).all()
    assert (frame.pixels.packed is not None) == (size == PACKED)
    frames.close()  # type: ignore[attr-defined]
    assert board.misuses == []


def test_a_picture_goes_back_when_the_next_is_asked_for(board: FakeBoard) -> None:
    camera = PiCamera(board.clock, PiCameraSettings(size=PADDED))
    camera.open()
    frames = camera.frames()

    out = [board.devices[0].out for _ in islice(frames, 20)]

    assert out == [1] * 20
    assert board.misuses == []


def test_an_encoder_keeps_the_picture_until_it_is_done(board: FakeBoard) -> None:
    camera = PiCamera(board.clock, PiCameraSettings(size=PADDED))
    camera.open()
    frames = camera.frames()
    picture = next(frames).native
    assert isinstance(picture, LentPicture)

    kept = picture.settle()
    kept.acquire()
    next(frames)
    while_kept = board.devices[0].out
    kept.release()

    assert while_kept == 2
    assert board.devices[0].out == 1


def test_analysis_outlives_the_picture(board: FakeBoard) -> None:
    camera = PiCamera(board.clock, PiCameraSettings(size=PADDED))
    camera.open()

    first, second = (frame.analysis for frame in islice(camera.frames(), 2))

    assert first is not None
    assert second is not None
    assert first.shape == (270, 404)
    assert set(first.flat) == {131}
    assert set(second.flat) == {132}


def test_closing_while_a_picture_is_out_waits_for_it(board: FakeBoard) -> None:
    camera = PiCamera(board.clock, PiCameraSettings(size=PADDED))
    camera.open()
    frames = camera.frames()
    next(frames)

    camera.close()
    closed_early = board.devices[0].closed
    rest = list(frames)

    assert not closed_early
    assert rest == []
    assert board.devices[0].closed
    assert board.misuses == []


def test_time_is_the_sensors_where_it_can_be_believed(board: FakeBoard) -> None:
    camera = PiCamera(board.clock, PiCameraSettings(size=PADDED))
    camera.open()
    now_us = board.clock.monotonic_us()
    frames = camera.frames()

    believed = next(frames)
    board.wrong_timestamps = True
    board.clock.wait(timedelta(seconds=1))
    not_believed = next(frames)

    assert believed.pts_us == now_us - 10_000
    assert (board.clock.now() - believed.captured_at).total_seconds() == pytest.approx(1.01)
    assert not_believed.pts_us == now_us + 1_000_000


def test_the_rate_may_fall_for_a_long_exposure_at_night(board: FakeBoard) -> None:
    device = opened(board, PiCameraSettings(rate_hz=20, max_exposure_us=200_000, exposure="short", brightness_ev=-0.5))

    assert device.controls["FrameDurationLimits"] == (50_000, 200_000)
    assert device.controls["AeExposureMode"] == 1
    assert device.controls["ExposureValue"] == -0.5


@pytest.mark.parametrize(("dioptres", "expected"), [(None, {"AfMode": 2}), (0.1, {"AfMode": 0, "LensPosition": 0.1})])
def test_focus_is_the_lens_own_or_fixed(board: FakeBoard, dioptres: float | None, expected: dict[str, float]) -> None:
    device = opened(board, PiCameraSettings(focus_dioptres=dioptres))

    assert {name: device.controls.get(name) for name in expected} == expected


def test_a_fixed_lens_is_not_asked_to_focus(board: FakeBoard) -> None:
    board.movable_lens = False

    device = opened(board, PiCameraSettings(focus_dioptres=0.5))

    assert not {"AfMode", "LensPosition"} & set(device.controls)


def test_a_module_upside_down_is_turned_by_the_isp(board: FakeBoard) -> None:
    camera = PiCamera(board.clock, PiCameraSettings(rotation_degrees=180))

    mode = camera.open()

    assert board.devices[0].configuration["transform"] == FakeTransform(hflip=True, vflip=True)
    assert mode.rotation_degrees == 180


@pytest.mark.parametrize("settings", [{"rotation_degrees": 90}, {"rate_hz": 0}, {"max_exposure_us": 0}])
def test_what_the_isp_cannot_do_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        PiCameraSettings(**settings)  # type: ignore[arg-type]


def test_a_board_without_picamera2_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libcamera", None)

    with pytest.raises(CameraError, match="not installed") as refusal:
        PiCamera(FakeClock(), PiCameraSettings()).open()

    assert refusal.value.hint is not None


def test_a_module_that_is_not_plugged_in_is_gone(board: FakeBoard) -> None:
    with pytest.raises(CameraGoneError, match="number 3"):
        PiCamera(board.clock, PiCameraSettings(number=3)).open()


def test_a_module_in_use_is_an_error_and_one_refused_is_closed(board: FakeBoard) -> None:
    too_large = PiCamera(board.clock, PiCameraSettings(size=FrameSize(9000, 400)))
    with pytest.raises(CameraError, match="Size too large"):
        too_large.open()
    first = PiCamera(board.clock, PiCameraSettings(size=PADDED))
    first.open()

    with pytest.raises(CameraError, match="does not open"):
        PiCamera(board.clock, PiCameraSettings(size=PADDED)).open()

    assert [device.closed for device in board.devices] == [True, False]


def test_a_loose_cable_ends_when_closed_and_leaves_no_job_behind(board: FakeBoard) -> None:
    camera = PiCamera(board.clock, PiCameraSettings(size=PADDED))
    camera.open()
    frames = camera.frames()
    next(frames)
    board.delivering.clear()

    camera.close()

    assert list(frames) == []
    assert board.devices[0].jobs == []
    assert board.devices[0].closed
