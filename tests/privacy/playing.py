"""Play frames through the recorder as it is and get back what somebody sees who opens the footage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from itertools import islice
from pathlib import Path

import av

from agent.adapters.clock import SystemClock
from agent.adapters.libav_encoder import EncoderSettings, LibavEncoder
from agent.core.layer import Layer
from agent.core.masking.drift import Fingerprint
from agent.core.masking.masker import Masker
from agent.core.policy.decision import ApprovedModel, Decision, PeopleMode
from agent.core.sealing.age_file import open_stream
from agent.core.sealing.recipients import X25519Identity
from agent.core.video import I420, RawFrame, StreamMode
from agent.core.zones import View
from agent.ports import Camera
from agent.recorder import pipeline
from agent.recorder.detectors import detector_factory
from agent.recorder.narrowing import Narrowing
from agent.recorder.people_stage import PeopleStage
from agent.recorder.segment import SegmentMaker
from agent.recorder.supervision import SupervisedCamera, Vigilance
from agent.recorder.tally import Tally
from tests.fakes.event_log import MemoryLog
from tests.fakes.store import MemoryStore

IDENTITY = X25519Identity(bytes(range(32)))
MODEL = ApprovedModel("d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6", ("boxes", "classes"))
MODELS = Path(__file__).resolve().parents[2] / "models"
BITRATE_KBIT = 8000  # generous, so that what is scored is the mask and not the codec


class FirstFrames:
    """A camera that ends after so many frames, and shows each to a witness before anyone else."""

    def __init__(self, camera: Camera, frames: int, witness: Callable[[RawFrame], None]) -> None:
        self._camera = camera
        self._frames = frames
        self._witness = witness

    def open(self) -> StreamMode:
        return self._camera.open()

    def frames(self) -> Iterator[RawFrame]:
        for frame in islice(self._camera.frames(), self._frames):
            self._witness(frame)
            yield frame

    def close(self) -> None:
        self._camera.close()


@dataclass(frozen=True, slots=True)
class Played:
    """What came out.

    Attributes:
        pictures: The decoded output, lazily, in order.
        log: The recorder's events.
        failed_closed: Frames hidden whole.
    """

    pictures: Iterator[I420]
    log: MemoryLog
    failed_closed: int


def play(
    make_camera: Callable[[], Camera],
    *,
    frames: int,
    view: View,
    people: PeopleMode,
    witness: Callable[[RawFrame], None] = lambda _frame: None,
    reference: Fingerprint | None = None,
) -> Played:
    """Record the first `frames` of a camera under a decision that lists the model; its view may be commissioned."""
    clock, log, store = SystemClock(), MemoryLog(), MemoryStore(capacity_bytes=10**9)
    tally = Tally(log)
    decision = Decision(
        recording=True,
        reason="privacy",
        view=view,
        people=people,
        recipients=(str(IDENTITY.recipient),),
        retention=timedelta(days=1),
        max_height_px=2160,
        max_rate_hz=60,
        models=(MODEL,),
    )
    people_stage = PeopleStage(
        detector_factory(MODELS, clock, threads=1, in_step=True), read_reference=lambda: reference
    )
    camera = SupervisedCamera(
        lambda: FirstFrames(make_camera(), frames, witness),
        clock,
        lambda _event: None,
        vigilance=Vigilance.of_a_recording(),
    )
    pipeline.run(
        camera,
        Narrowing(lambda: decision),
        SegmentMaker("privacy", {Layer.MASKED: LibavEncoder(EncoderSettings(bitrate_kbit=BITRATE_KBIT))}, store, tally),
        tally,
        make_masker=lambda mode: Masker(mode, [people_stage]),
        length=timedelta(seconds=10),
    )
    people_stage.close()
    sealed = [bytes(store.files[segment.path]) for segment in store.segments()]
    return Played(_decoded(sealed), log, tally.counts().failed_closed)


def _decoded(segments: list[bytes]) -> Iterator[I420]:
    for sealed in segments:
        clear = b"".join(open_stream(iter([sealed]), [IDENTITY]))
        with av.open(BytesIO(clear)) as container:
            for frame in container.decode(video=0):
                yield I420.from_packed(frame.to_ndarray(format="yuv420p"))
