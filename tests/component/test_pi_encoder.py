"""The Pi's own encoder takes the masked buffer, and what it makes plays; on a fake board, for want of a real one."""

import io
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest

from agent.adapters.pi_encoder import PiHardwareEncoder
from agent.adapters.picamera import PiCamera, PiCameraSettings
from agent.core.masking.masker import Masker
from agent.core.policy.decision import Decision
from agent.core.video import Fragment, FrameSize, Layer, MaskedFrame, StreamMode
from agent.core.zones import View, Zone
from agent.errors import EncoderError
from agent.ports import SegmentTags
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.libcamera import FakeBoard, FakeH264Encoder

SIZE = FrameSize(600, 400)
TAGS = SegmentTags(camera_id="lamp-7", layer=Layer.MASKED, first_captured_at=NOON)
LEFT = Zone(name="left half", polygon=((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
DECISION = replace(Decision.dark("a test"), recording=True, zones=(LEFT,), view=View(3, 2))


class Line:
    """Camera, masker and encoder, as the pipeline puts them together."""

    def __init__(self, board: FakeBoard) -> None:
        self.camera = PiCamera(board.clock, PiCameraSettings(size=SIZE, rate_hz=10))
        self.mode = self.camera.open()
        self.masker = Masker(self.mode)
        self.segment = PiHardwareEncoder(bitrate_kbit=1000).start(self.mode, TAGS)

    def push(self, frames: int) -> list[Fragment]:
        pictures = islice(self.camera.frames(), frames)
        pushed = [self.segment.push(self.masker.mask(frame, DECISION)) for frame in pictures]
        return [fragment for fragment in pushed if fragment is not None]


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    class Ticking(FakeClock):
        def monotonic_us(self) -> int:
            self.tick()
            return super().monotonic_us()

        def tick(self) -> None:
            with self._lock:
                self._monotonic_us += 50_000  # asked twice for each picture

    board = FakeBoard(Ticking())
    board.install(monkeypatch)
    return board


def decoded(fragments: list[Fragment]) -> list["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"]:
    with av.open(io.BytesIO(b"".join(fragment.clear for fragment in fragments))) as movie:
        return [frame.to_ndarray(format="yuv420p") for frame in movie.decode(video=0)]


def test_every_picture_comes_out_masked_and_in_order(board: FakeBoard) -> None:
    line = Line(board)

    fragments = line.push(40)
    last = line.segment.finish()
    assert last is not None
    pictures = decoded([*fragments, last])

    assert len(pictures) == 40
    for number, picture in enumerate(pictures, start=1):
        assert np.abs(picture[:400, :296].astype(int) - 60).max() < 8
        assert np.abs(picture[:400, 320:].astype(int) - (130 + number)).max() < 12
    assert board.misuses == []


def test_fragments_are_short_and_told_apart(board: FakeBoard) -> None:
    line = Line(board)

    fragments = line.push(40)
    last = line.segment.finish()

    assert last is not None
    assert [fragment.frames for fragment in fragments] == [9, 9, 9, 9]
    assert sum(fragment.frames for fragment in [*fragments, last]) == 40
    assert all(fragment.first_captured_at <= fragment.last_captured_at for fragment in fragments)


def test_all_buffers_are_back_when_the_segment_is_finished(board: FakeBoard) -> None:
    line = Line(board)

    line.push(10)
    held = board.devices[0].out
    line.segment.finish()

    assert held == 2
    assert board.devices[0].out == 0


def test_a_codec_that_returns_nothing_is_an_error_before_it_blocks(
    board: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeH264Encoder, "stuck", True)
    monkeypatch.setattr("agent.adapters.pi_encoder._MOST_IN_CODEC", 4)  # the fake camera has six buffers in all
    line = Line(board)

    with pytest.raises(EncoderError, match="keeps 4 frames"):
        line.push(10)
    line.segment.abandon()

    assert board.devices[0].out == 0


def test_a_frame_of_another_camera_is_refused(board: FakeBoard) -> None:
    line = Line(board)
    frame = next(iter(line.camera.frames()))
    masked = line.masker.mask(replace(frame, native=None), DECISION)

    with pytest.raises(EncoderError, match="the Pi's camera only"):
        line.segment.push(masked)


def test_a_frame_of_another_size_is_refused(board: FakeBoard) -> None:
    line = Line(board)
    frame = next(iter(line.camera.frames()))
    other = PiHardwareEncoder(bitrate_kbit=1000).start(
        StreamMode(size=FrameSize(640, 480), rate_hz=line.mode.rate_hz), TAGS
    )
    masked: MaskedFrame = line.masker.mask(frame, DECISION)

    with pytest.raises(EncoderError, match="600x400 in a segment of 640x480"):
        other.push(masked)
    other.abandon()


def test_a_machine_without_picamera2_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)

    with pytest.raises(EncoderError, match="not installed"):
        PiHardwareEncoder(bitrate_kbit=1000).start(StreamMode(size=SIZE, rate_hz=Fraction(10)), TAGS)
