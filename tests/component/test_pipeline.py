"""What flows through the data path comes out masked, sealed and cut by decision, whatever fails on the way."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from io import BytesIO

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from agent.adapters.libav_encoder import EncoderSettings, LibavEncoder
from agent.core.log.digest import digest_of
from agent.core.masking.blocks import FILL_Y, BlockMask
from agent.core.masking.masker import Masker, Stage
from agent.core.policy.decision import ApprovedModel, Decision, Originals, PeopleMode
from agent.core.sealing.age_file import open_stream, read_header
from agent.core.sealing.recipients import X25519Identity
from agent.core.video import Fragment, FrameSize, Layer, MaskedFrame, RawFrame, StreamMode
from agent.core.zones import View, Zone
from agent.errors import CameraError, EncoderError, StorageError, StorageFullError, TruncatedError, WrongIdentityError
from agent.ports import Encoder, Fact, SegmentEncoder, SegmentTags
from agent.recorder import pipeline
from agent.recorder.narrowing import Narrowing
from agent.recorder.segment import SegmentMaker
from agent.recorder.supervision import CameraEvent, SupervisedCamera
from agent.recorder.tally import Tally
from tests.fakes.camera import Fail, FakeCamera, Hang, Show, Step
from tests.fakes.clock import FakeClock
from tests.fakes.event_log import MemoryLog
from tests.fakes.store import MemoryStore

IDENTITY = X25519Identity(bytes(range(32)))
LEFT = Zone(name="left", polygon=((0, 0), (0.24, 0), (0.24, 1), (0, 1)))
RIGHT = Zone(name="right", polygon=((0.76, 0), (1, 0), (1, 1), (0.76, 1)))
ALLOWED = Decision(
    recording=True,
    reason="grant g-1",
    zones=(LEFT,),
    view=View(4, 3),
    recipients=(str(IDENTITY.recipient),),
    retention=timedelta(days=30),
    max_height_px=1080,
    max_rate_hz=30,
)
LUMA = 120
TOLERANCE = 12  # x264 at its fastest, over flat pictures


class Rig:
    """A recorder in memory: a scripted camera, a real masker, encoder and sealer, a store that forgets."""

    def __init__(
        self,
        *,
        encoder: Encoder | None = None,
        store: MemoryStore | None = None,
        stages: Sequence[Stage] = (),
        decision: Callable[[], Decision] = lambda: ALLOWED,
        jitter: float = 1.0,
    ) -> None:
        self.clock = FakeClock()
        self.log = MemoryLog()
        self.tally = Tally(self.log)
        self.store = store or MemoryStore()
        self.narrowing = Narrowing(decision, uniform=lambda: jitter)
        self.events: list[CameraEvent] = []
        self.decisions: list[str] = []
        self._encoder = encoder or LibavEncoder(EncoderSettings())
        self._stages = stages

    def play(
        self,
        *sessions: Sequence[Step],
        between_frames: Callable[[], None] = lambda: None,
        glance: Callable[[RawFrame, Decision], None] = lambda _frame, _decision: None,
    ) -> None:
        """Run the pipeline over one camera session after another, then stop."""
        left = [list(script) for script in sessions]

        def next_camera() -> FakeCamera:
            script = left.pop(0)
            if not left:
                script = [*script, Hang()]
            return FakeCamera(self.clock, script)

        camera = SupervisedCamera(
            next_camera, self.clock, self.events.append, on_wait=lambda: None if left else camera.close()
        )
        pipeline.run(
            camera,
            self.narrowing,
            SegmentMaker("pole-7", dict.fromkeys(Layer, self._encoder), self.store, self.tally),
            self.tally,
            make_masker=lambda mode: Masker(mode, self._stages),
            length=timedelta(seconds=10),
            between_frames=between_frames,
            glance=glance,
        )

    def footage(self) -> list[NDArray[np.uint8]]:
        """Open and decode every stored segment: a (frames, height, width) luma array each."""
        return [decoded(bytes(self.store.files[segment.path])) for segment in self.store.segments()]


def decoded(sealed: bytes, identity: X25519Identity = IDENTITY) -> NDArray[np.uint8]:
    clear = b""
    try:
        for part in open_stream(iter([sealed]), [identity]):
            clear += part
    except TruncatedError:
        pass  # what came before is authentic, and is what a power cut leaves
    with av.open(BytesIO(clear)) as container:
        return np.stack([frame.to_ndarray(format="yuv420p")[: frame.height] for frame in container.decode(video=0)])


def hidden(picture: NDArray[np.uint8], columns: slice) -> bool:
    return bool((np.abs(picture[..., columns].astype(int) - FILL_Y) <= TOLERANCE).all())


def visible(picture: NDArray[np.uint8], columns: slice) -> bool:
    return bool((picture[..., columns].astype(int) > LUMA - 2 * TOLERANCE).all())


def test_frames_come_out_masked_exactly_in_the_zone() -> None:
    rig = Rig()

    rig.play([Show(frames=15, luma=LUMA)])

    (segment,) = rig.footage()
    assert len(segment) == 15
    assert hidden(segment, slice(0, 16))
    assert visible(segment, slice(16, 64))
    assert rig.tally.counts().stored == 15


def segment_leaves(rig: Rig) -> list[dict[str, Fact]]:
    return [facts for kind, facts in rig.log.events if kind == "segment-stored"]


def test_each_segment_is_logged_with_the_digest_of_what_is_stored_and_what_it_holds() -> None:
    rig = Rig()

    rig.play([Show(frames=150, luma=LUMA)])

    first, second = segment_leaves(rig)
    for facts, segment in zip((first, second), rig.store.segments(), strict=True):
        content = bytes(rig.store.files[segment.path])
        header = bytes(read_header(iter([content])))
        assert facts["file"] == segment.path.rpartition("/")[2]
        assert facts["size_bytes"] == len(content)
        assert facts["sha256"] == sha256(content).hexdigest()
        assert facts["header_sha256"] == sha256(header).hexdigest()
        assert facts["payload_sha256"] == sha256(content[len(header) :]).hexdigest()
        assert facts["decision"] == digest_of(ALLOWED)
    assert (first["frames_in"], first["frames_stored"], first["frames_dropped"]) == (100, 100, 0)
    assert (second["frames_in"], second["sequence"], second["truncated"]) == (50, 2, False)
    assert first["ends_at"] == second["starts_at"]
    assert int(str(second["first_pts_us"])) - int(str(first["last_pts_us"])) == 100_000


def test_a_segment_that_fails_is_logged_as_far_as_it_is_on_the_disk() -> None:
    rig = Rig(encoder=HeavyEncoder())

    rig.play([Show(frames=60, luma=LUMA)])

    kept = {segment.path.rpartition("/")[2]: segment for segment in rig.store.segments()}
    leaves = segment_leaves(rig)
    assert any(segment.truncated for segment in kept.values())
    assert {str(facts["file"]) for facts in leaves} == kept.keys()
    for facts in leaves:
        segment = kept[str(facts["file"])]
        assert facts["truncated"] == segment.truncated
        assert facts["sha256"] == sha256(bytes(rig.store.files[segment.path])).hexdigest()


def test_a_segment_that_cannot_be_logged_stops_recording() -> None:
    rig = Rig()

    def between_frames() -> None:
        rig.log.failing = StorageError("the log is read-only") if rig.tally.counts().captured > 90 else None

    rig.play([Show(frames=120, luma=LUMA)], between_frames=between_frames)

    assert rig.tally.counts().storage_error == "the log is read-only"
    assert segment_leaves(rig) == []
    assert rig.tally.counts().unwanted > 0  # until the next try


def test_no_segment_mixes_two_decisions_and_the_new_one_holds_from_the_next_frame() -> None:
    both = replace(ALLOWED, zones=(LEFT, RIGHT))
    rig = Rig(decision=lambda: both if rig.tally.counts().captured > 10 else ALLOWED)

    rig.play([Show(frames=20, luma=LUMA)])

    before, after = rig.footage()
    assert (len(before), len(after)) == (10, 10)
    assert visible(before, slice(48, 64))
    assert hidden(after, slice(48, 64))


def test_a_counts_only_site_is_looked_at_and_stores_no_picture() -> None:
    counts_only = Decision(
        recording=False, reason="counts only", people=PeopleMode.COUNTS_ONLY, models=(ApprovedModel("a" * 64),)
    )
    rig = Rig(decision=lambda: counts_only)
    looked: list[Decision] = []

    rig.play([Show(frames=30, luma=LUMA)], glance=lambda _frame, decision: looked.append(decision))

    assert looked == [counts_only] * 30
    assert rig.store.segments() == []
    assert rig.tally.counts().stored == 0


def test_what_is_captured_while_dark_is_nowhere() -> None:
    dark = Decision.dark("revoked")
    rig = Rig(decision=lambda: dark if rig.tally.counts().captured > 10 else ALLOWED)

    rig.play([Show(frames=25, luma=LUMA)])

    (segment,) = rig.footage()
    assert len(segment) == 10
    assert rig.tally.counts().unwanted == 15


def test_a_segment_is_as_long_as_configured() -> None:
    rig = Rig()

    rig.play([Show(frames=250, luma=LUMA)])

    assert [len(segment) for segment in rig.footage()] == [100, 100, 50]


def test_no_more_frames_are_kept_than_granted() -> None:
    rig = Rig(decision=lambda: replaced)
    replaced = replace(ALLOWED, max_rate_hz=5)

    rig.play([Show(frames=40, luma=LUMA)])

    assert sum(map(len, rig.footage())) in range(19, 22)


def test_a_failing_mask_stage_hides_whole_frames_and_says_when_it_began_and_ended() -> None:
    seen = []

    def moody(raw: RawFrame, _: Decision) -> BlockMask | None:
        seen.append(raw)
        if 5 < len(seen) <= 8:
            raise ZeroDivisionError("nonsense from the net")
        return None

    rig = Rig(stages=[moody])

    rig.play([Show(frames=12, luma=LUMA)])

    (segment,) = rig.footage()
    assert hidden(segment[5:8], slice(0, 64))
    assert visible(segment[:5], slice(16, 64))
    assert visible(segment[8:], slice(16, 64))
    assert rig.tally.counts().failed_closed == 3
    assert [(kind, facts.get("frames")) for kind, facts in rig.log.events if kind.startswith("mask")] == [
        ("mask-failed-closed", None),
        ("mask-recovered", 3),
    ]


@pytest.mark.parametrize("error", [StorageFullError("no room"), StorageError("read-only file system")])
def test_a_disk_that_fails_stops_recording_with_a_reason_and_recording_returns_by_itself(error: StorageError) -> None:
    rig = Rig()
    reasons = set()

    def between_frames() -> None:
        captured = rig.tally.counts().captured
        rig.store.failing = error if 20 <= captured < 60 else None
        reasons.add(rig.narrowing.latest().reason)

    rig.play([Show(frames=200, luma=LUMA)], between_frames=between_frames)

    footage = rig.footage()
    assert 1 <= len(footage[0]) <= 20
    assert sum(map(len, footage[1:])) >= 100
    assert f"permitted, but not possible: {error}" in reasons
    assert rig.tally.counts().storage_error == str(error)
    assert all(hidden(segment, slice(0, 16)) for segment in footage)


class HeavyEncoder:
    """Makes a fragment of more than a chunk of each frame, and fails at every twentieth."""

    def __init__(self) -> None:
        self.frames = 0

    def start(self, mode: StreamMode, tags: SegmentTags) -> SegmentEncoder:
        return self

    def push(self, frame: MaskedFrame) -> Fragment:
        self.frames += 1
        if self.frames % 20 == 0:
            raise EncoderError("the codec gave up")
        return Fragment(
            clear=bytes(100_000), frames=1, first_captured_at=frame.captured_at, last_captured_at=frame.captured_at
        )

    def finish(self) -> None:
        return None

    def abandon(self) -> None:
        pass


class MoodyEncoder:
    """Fails at every twentieth frame."""

    def __init__(self) -> None:
        self._real = LibavEncoder(EncoderSettings())
        self.frames = 0

    def start(self, mode: StreamMode, tags: SegmentTags) -> SegmentEncoder:
        outer, inner = self, self._real.start(mode, tags)

        class Moody:
            finish = inner.finish
            abandon = inner.abandon

            def push(self, frame: MaskedFrame):  # noqa: ANN202 - a Fragment or None
                outer.frames += 1
                if outer.frames % 20 == 0:
                    raise EncoderError("the codec gave up")
                return inner.push(frame)

        return Moody()


def test_an_encoder_that_fails_costs_a_segment_and_not_the_recorder() -> None:
    rig = Rig(encoder=MoodyEncoder())

    rig.play([Show(frames=100, luma=LUMA)])

    counts = rig.tally.counts()
    assert counts.encoder_errors >= 2
    assert counts.encoder_error == "the codec gave up"
    assert counts.captured == 100
    assert counts.lost > 0


def test_a_back_off_of_no_length_costs_no_more_than_the_frame_that_failed() -> None:
    rig = Rig(encoder=MoodyEncoder(), jitter=0.0)

    rig.play([Show(frames=39, luma=LUMA)])

    counts = rig.tally.counts()
    assert counts.encoder_errors == 1
    assert counts.stored + counts.lost == counts.captured == 39


def test_a_camera_that_is_lost_ends_its_segment_and_the_next_session_starts_another() -> None:
    rig = Rig()

    rig.play([Show(frames=12, luma=LUMA), Fail(CameraError("unplugged"))], [Show(frames=8, luma=LUMA)])

    assert [len(segment) for segment in rig.footage()] == [12, 8]
    assert not rig.store.segments()[0].truncated


def test_a_frame_of_another_size_is_never_recorded() -> None:
    rig = Rig()

    rig.play([Show(frames=5, luma=LUMA), Show(frames=1, size=FrameSize(32, 32))], [Show(frames=3, luma=LUMA)])

    assert [len(segment) for segment in rig.footage()] == [5, 3]


@pytest.mark.parametrize("hours", [5, -5])
def test_a_stepped_clock_never_reorders_segments_or_frames(hours: int) -> None:
    rig = Rig()

    def between_frames() -> None:
        if rig.tally.counts().captured == 150:
            rig.clock.step(timedelta(hours=hours))

    rig.play([Show(frames=300, luma=LUMA)], between_frames=between_frames)

    segments = rig.store.segments()
    assert [segment.sequence for segment in segments] == [1, 2, 3]
    assert sum(map(len, rig.footage())) == 300


def test_what_the_people_mask_hides_is_in_the_sealed_layer_and_nowhere_else() -> None:
    middle = np.zeros((3, 4), bool)
    middle[1, 2] = True
    official = X25519Identity(bytes(range(1, 33)))
    keeping = replace(ALLOWED, originals=Originals.SEALED, originals_recipients=(str(official.recipient),))
    rig = Rig(
        stages=[lambda raw, _: BlockMask.from_grid(raw.pixels.size, middle)],
        decision=lambda: keeping,
    )

    rig.play([Show(frames=15, luma=LUMA)])

    masked, sealed = rig.store.segments()
    assert (masked.layer, sealed.layer) == (Layer.MASKED, Layer.SEALED)
    work = decoded(bytes(rig.store.files[masked.path]))
    kept = decoded(bytes(rig.store.files[sealed.path]), official)
    assert len(work) == len(kept) == 15
    assert hidden(work[:, 16:32], slice(32, 48))
    assert visible(kept[:, 16:32], slice(32, 48))
    assert hidden(kept[:, 16:32], slice(0, 32))  # fixed zones are in neither layer
    assert hidden(kept[:, 16:32], slice(48, 64))
    assert rig.tally.counts().stored == 15
    with pytest.raises(WrongIdentityError):
        decoded(bytes(rig.store.files[sealed.path]))


def test_a_frame_that_failed_closed_is_in_no_layer() -> None:
    def broken(_: RawFrame, __: Decision) -> BlockMask | None:
        raise ZeroDivisionError

    keeping = replace(ALLOWED, originals=Originals.SEALED, originals_recipients=ALLOWED.recipients)
    rig = Rig(stages=[broken], decision=lambda: keeping)

    rig.play([Show(frames=5, luma=LUMA)])

    for segment in rig.footage():
        assert hidden(segment, slice(0, 64))


def test_a_decision_with_recipients_of_two_profiles_records_nothing() -> None:
    mixed = replace(ALLOWED, recipients=("age1notakey",))
    rig = Rig(decision=lambda: mixed)

    rig.play([Show(frames=10, luma=LUMA)])

    assert rig.store.files == {}
    assert rig.tally.counts().stored == 0


def test_a_log_that_cannot_be_written_stops_recording_rather_than_hiding_unsaid() -> None:
    def broken(_: RawFrame, __: Decision) -> BlockMask | None:
        raise ZeroDivisionError

    rig = Rig(stages=[broken])
    rig.log.failing = StorageError("the log is read-only")

    rig.play([Show(frames=5, luma=LUMA)])

    assert rig.tally.counts().storage_error == "the log is read-only"
    assert rig.tally.counts().stored == 0
