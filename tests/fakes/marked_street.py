"""A recorder whose camera sees somebody covered with a pattern found nowhere else, and which stops to be searched.

Run as a program: `python -m tests.fakes.marked_street FOLDER`. It records into FOLDER, says a word at each stop
and goes on when it is given a line. The pattern is made in the frame itself and never
anywhere else: whoever searches this process's memory finds it in a picture or nowhere.

* `raw`: the camera has given a frame with the pattern; nobody has looked at it yet.
* `gone`: the frame in hand is the first without it.
* `later`: some frames after that.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np

from agent.adapters.analysis import shrink
from agent.adapters.clock import SystemClock
from agent.adapters.detector import ThreadedDetector
from agent.adapters.libav_encoder import EncoderSettings, LibavEncoder
from agent.adapters.process_exit import leave
from agent.adapters.ring import Ring, RingSettings
from agent.core.masking.masker import Masker
from agent.core.policy.decision import ApprovedModel, Decision, PeopleMode
from agent.core.sealing.recipients import X25519Identity
from agent.core.video import I420, FrameSize, Layer, RawFrame, StreamMode
from agent.core.zones import View
from agent.recorder import pipeline
from agent.recorder.narrowing import Narrowing
from agent.recorder.people_stage import PeopleStage
from agent.recorder.segment import SegmentMaker
from agent.recorder.supervision import SupervisedCamera, Vigilance
from agent.recorder.tally import Tally
from tests.fakes.event_log import MemoryLog
from tests.fakes.nets import FakeNet

SIZE = FrameSize(960, 540)
TOP, LEFT, HEIGHT, WIDTH = 160, 400, 256, 96
RATE_HZ = 5
EMPTY_FRAMES, MARKED_FRAMES, LATER_FRAMES = 14 * RATE_HZ, 8, 8
STOPS = {
    EMPTY_FRAMES + 2: "raw",
    EMPTY_FRAMES + MARKED_FRAMES: "gone",
    EMPTY_FRAMES + MARKED_FRAMES + LATER_FRAMES - 1: "later",
}
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def seeds() -> tuple[np.ndarray, np.ndarray]:
    """Return what the pattern is made of, a number for each row and column; neither is a part of it."""
    dice = np.random.default_rng(2026)
    return dice.integers(1, 255, HEIGHT, np.uint8), dice.integers(0, 255, WIDTH, np.uint8)


class MarkedStreet:
    """A camera."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._dice = np.random.default_rng(1)
        coarse = self._dice.integers(70, 170, (SIZE.height_px // 20, SIZE.width_px // 20), np.uint8)
        self._ground = np.kron(coarse, np.ones((20, 20), np.uint8))

    def open(self) -> StreamMode:
        return StreamMode(size=SIZE, rate_hz=Fraction(RATE_HZ))

    def frames(self) -> Iterator[RawFrame]:
        rows, columns = seeds()
        for number in range(EMPTY_FRAMES + MARKED_FRAMES + LATER_FRAMES):
            pixels = I420.blank(SIZE)
            pixels.y[...] = self._ground + self._dice.integers(0, 3, self._ground.shape, np.uint8)
            pixels.u[...] = pixels.v[...] = 128
            if EMPTY_FRAMES <= number < EMPTY_FRAMES + MARKED_FRAMES:
                np.bitwise_xor.outer(rows, columns, out=pixels.y[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH])
            yield RawFrame(
                pixels=pixels,
                pts_us=1_000_000 * number // RATE_HZ,
                captured_at=NOON + timedelta(seconds=number / RATE_HZ),
                analysis=shrink(pixels.y),
            )

    def close(self) -> None:
        pass


def stop(word: str) -> None:
    """Say where the program is, and wait for a line."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()
    sys.stdin.readline()


def main() -> None:
    """Record the street."""
    clock, log = SystemClock(), MemoryLog()
    tally = Tally(log)
    decision = Decision(
        recording=True,
        reason="marked street",
        view=View(16, 9),
        people=PeopleMode.SCENE,
        recipients=(str(X25519Identity(bytes(range(32))).recipient),),
        retention=timedelta(days=1),
        max_height_px=1080,
        max_rate_hz=60,
        models=(ApprovedModel("a" * 64, ("boxes", "classes")),),
    )
    seen = 0

    def glance(frame: RawFrame, _decision: Decision) -> None:
        nonlocal seen
        if seen in STOPS:
            stop(STOPS[seen])
        seen += 1

    people = PeopleStage(lambda _models: ThreadedDetector(FakeNet, clock))
    room = RingSettings(capacity_bytes=2**28, keep_free_bytes=0, segment_bytes=2_000_000)
    with Ring(Path(sys.argv[1]), "marked", room) as ring:
        pipeline.run(
            SupervisedCamera(MarkedStreet, clock, lambda _event: None, vigilance=Vigilance.of_a_recording()),
            Narrowing(lambda: decision),
            SegmentMaker("marked", {Layer.MASKED: LibavEncoder(EncoderSettings())}, ring, tally),
            tally,
            make_masker=lambda mode: Masker(mode, [people]),
            length=timedelta(seconds=10),
            glance=glance,
        )
    people.close()


if __name__ == "__main__":
    main()
    leave(0)  # as the recorder ends: a thread may be left inside a library
