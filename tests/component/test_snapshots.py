"""A picture on request is the next frame that may be stored anyway, in a sealed segment of its own; never another."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from agent.adapters.libav_encoder import EncoderSettings, LibavEncoder
from agent.adapters.snapshot_files import ANSWER_FILE, REQUEST_FILE, put_answer, put_request, read_answer
from agent.core.masking.blocks import FILL_Y
from agent.core.masking.masker import Masker
from agent.core.messages.commands import Outcome, Refusal, Reply, SnapshotResult
from agent.core.messages.snapshot import SnapshotAnswer, SnapshotRequest
from agent.core.policy.decision import Decision
from agent.core.sealing.age_file import open_stream
from agent.core.sealing.recipients import X25519Identity
from agent.core.topics import Leaf, topic
from agent.core.video import Layer
from agent.core.zones import View, Zone
from agent.errors import StorageError
from agent.link.snapshots import ANSWER_WITHIN
from agent.link.snapshots import Snapshots as Asking
from agent.ports import Outgoing
from agent.recorder import pipeline
from agent.recorder.narrowing import Narrowing
from agent.recorder.segment import SegmentMaker
from agent.recorder.snapshots import AT_MOST_EVERY_US, Snapshots
from agent.recorder.supervision import SupervisedCamera
from agent.recorder.tally import Tally
from tests.fakes.broker import FakeBroker
from tests.fakes.camera import FakeCamera, Hang, Show, Step
from tests.fakes.clock import FakeClock
from tests.fakes.event_log import MemoryLog
from tests.fakes.linked import CAMERA, ask, link_config, replies, running_link, until
from tests.fakes.store import MemoryStore

IDENTITY = X25519Identity(bytes(range(32)))
LEFT = Zone(name="left", polygon=((0, 0), (0.24, 0), (0.24, 1), (0, 1)))
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
DARK = Decision.dark("revoked by the police chief")
SECOND = timedelta(seconds=1)
TOLERANCE = 12  # x264 over flat pictures


class Recorder:
    """A recorder in memory that a request reaches through its folders, at a frame of the test's choice."""

    def __init__(self, folder: Path, *, decision: Callable[[int], Decision] = lambda _: ALLOWED) -> None:
        self.inbox, self.outbox = folder / "inbox", folder / "outbox"
        self.inbox.mkdir()
        self.outbox.mkdir()
        self.clock = FakeClock()
        self.log = MemoryLog()
        self.tally = Tally(self.log)
        self.store = MemoryStore()
        self.answers: list[SnapshotAnswer] = []
        self._narrowing = Narrowing(lambda: decision(self.frame), uniform=lambda: 1.0)
        self._snapshots = Snapshots(self.inbox, self.outbox, self.clock, self.log)

    @property
    def frame(self) -> int:
        """How many frames the camera delivered so far."""
        return self.tally.counts().captured

    def ask(self, command_id: str = "c1", *, within: timedelta = 20 * SECOND) -> None:
        put_request(self.inbox, SnapshotRequest(id=command_id, until=self.clock.now() + within))

    def play(self, script: Sequence[Step], asking: Callable[[int], None] = lambda _: None) -> None:
        """Record `script` to its end; `asking` is called before each frame with its number."""

        def between_frames() -> None:
            asking(self.frame)
            self._snapshots.tick()
            answer = read_answer(self.outbox)
            if answer is not None and answer not in self.answers:
                self.answers.append(answer)

        camera = SupervisedCamera(
            lambda: FakeCamera(self.clock, [*script, Hang()]),
            self.clock,
            lambda _: None,
            on_wait=lambda: camera.close(),  # noqa: PLW0108 - made by this very call
        )
        encoder = LibavEncoder(EncoderSettings())
        pipeline.run(
            camera,
            self._narrowing,
            SegmentMaker("pole-7", dict.fromkeys(Layer, encoder), self.store, self.tally),
            self.tally,
            make_masker=lambda mode: Masker(mode, ()),
            length=10 * SECOND,
            between_frames=between_frames,
            snapshots=self._snapshots,
        )

    def pictures(self) -> list[int]:
        """Return how many frames each stored segment opens to."""
        return [len(decoded(bytes(self.store.files[one.path]))) for one in self.store.segments()]


def decoded(sealed: bytes) -> list["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"]:
    clear = b"".join(open_stream(iter([sealed]), [IDENTITY]))
    with av.open(BytesIO(clear), "r") as container:
        return [frame.to_ndarray(format="yuv420p").astype(np.uint8) for frame in container.decode(video=0)]


def test_a_picture_is_a_masked_segment_of_one_frame_and_no_other_frame_is_lost(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    recorder.play([Show(frames=20)], lambda frame: recorder.ask() if frame == 10 else None)

    assert recorder.pictures() == [10, 1, 9]
    (answer,) = recorder.answers
    assert answer.result is not None
    segment = recorder.store.segments()[1]
    content = bytes(recorder.store.files[segment.path])
    assert answer == SnapshotAnswer(
        id="c1",
        outcome=Outcome.DONE,
        result=SnapshotResult(
            file=segment.path.rpartition("/")[2], size_bytes=len(content), digest=sha256(content).hexdigest()
        ),
    )
    (picture,) = decoded(content)
    assert np.abs(picture[:48, :15].astype(int) - FILL_Y).max() <= TOLERANCE
    assert picture[:48, 20:].min() > FILL_Y + TOLERANCE
    stored = [facts["sha256"] for kind, facts in recorder.log.events if kind == "segment-stored"]
    assert answer.result.digest in stored
    assert ("snapshot-taken", {"request": "c1", "file": answer.result.file}) in recorder.log.events


def test_a_dark_camera_refuses_with_the_decisions_reason_and_stores_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, decision=lambda _: DARK)

    recorder.play([Show(frames=30)], lambda frame: recorder.ask() if frame == 10 else None)

    assert recorder.answers == [
        SnapshotAnswer(id="c1", outcome=Outcome.REFUSED, refusal=Refusal.DARK, reason="revoked by the police chief")
    ]
    assert recorder.store.files == {}
    assert recorder.log.events == []


def test_a_revocation_between_request_and_frame_wins(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, decision=lambda frame: DARK if frame > 10 else ALLOWED)

    recorder.play([Show(frames=30)], lambda frame: recorder.ask() if frame == 10 else None)

    assert [answer.refusal for answer in recorder.answers] == [Refusal.DARK]
    assert recorder.pictures() == [10]


@pytest.mark.parametrize("allowed_again_at", [12, 15])
def test_a_picture_belongs_to_the_decision_of_its_own_moment(tmp_path: Path, allowed_again_at: int) -> None:
    other = replace(ALLOWED, zones=())
    recorder = Recorder(tmp_path, decision=lambda frame: other if frame >= allowed_again_at else ALLOWED)

    recorder.play([Show(frames=20)], lambda frame: recorder.ask() if frame == allowed_again_at - 1 else None)

    (answer,) = recorder.answers
    assert answer.result is not None
    (segment,) = [one for one in recorder.store.segments() if one.path.endswith(answer.result.file)]
    (picture,) = decoded(bytes(recorder.store.files[segment.path]))
    assert picture[40:48, :15].min() > FILL_Y + TOLERANCE  # the zone that the other decision does not have


def test_whoever_asks_all_the_time_gets_one_picture_in_ten_seconds(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    recorder.play([Show(frames=300)], lambda frame: recorder.ask(f"c{frame}"))

    taken = [answer for answer in recorder.answers if answer.outcome is Outcome.DONE]
    refused = [answer for answer in recorder.answers if answer.outcome is not Outcome.DONE]
    assert len(taken) == 300 * 100_000 // AT_MOST_EVERY_US
    assert {answer.refusal for answer in refused} == {Refusal.BUSY}
    assert sum(recorder.pictures()) == 300


def test_a_picture_that_the_disk_refuses_is_told_to_have_failed(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    def asking(frame: int) -> None:
        if frame == 10:
            recorder.ask()
            recorder.store.failing = StorageError("the card is read-only")

    recorder.play([Show(frames=20)], asking)

    assert [(answer.outcome, answer.reason) for answer in recorder.answers] == [
        (Outcome.FAILED, "the card is read-only")
    ]


def test_a_request_that_nobody_waits_for_any_more_takes_no_picture(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.ask(within=SECOND)
    recorder.clock.advance(SECOND)

    recorder.play([Show(frames=20)])

    assert recorder.pictures() == [20]
    assert recorder.answers == []
    assert list(recorder.inbox.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"v":1,"id":"../../etc","until":"2030-01-01T00:00:00Z"}', bytes(2000)]
)
def test_what_is_no_request_is_thrown_away(tmp_path: Path, content: bytes) -> None:
    recorder = Recorder(tmp_path)
    (recorder.inbox / REQUEST_FILE).write_bytes(content)

    recorder.play([Show(frames=20)])

    assert recorder.pictures() == [20]
    assert recorder.answers == []
    assert list(recorder.inbox.iterdir()) == []


def test_the_link_gives_up_a_recorder_that_does_not_answer(tmp_path: Path) -> None:
    clock = FakeClock()
    asking = Asking(tmp_path, tmp_path, clock)
    put_answer(tmp_path, SnapshotAnswer(id="an-older-one", outcome=Outcome.DONE))

    asking.ask("c1", b"corr")
    clock.advance(ANSWER_WITHIN - SECOND)
    assert asking.ended() is None
    clock.advance(SECOND)
    ended = asking.ended()

    assert ended is not None
    assert ended.correlation == b"corr"
    assert ended.answer == SnapshotAnswer(
        id="c1", outcome=Outcome.FAILED, reason="the recorder did not answer within 20 s"
    )
    assert not asking.waiting


def test_the_link_says_why_an_answer_cannot_be_read(tmp_path: Path) -> None:
    clock = FakeClock()
    asking = Asking(tmp_path, tmp_path, clock)
    (tmp_path / ANSWER_FILE).write_bytes(b"no answer")

    asking.ask("c1", b"")
    clock.advance(ANSWER_WITHIN)
    ended = asking.ended()

    assert ended is not None
    assert "did not answer within 20 s: snapshotanswer: invalid JSON" in ended.answer.reason


def asked_over_the_broker(folder: Path, answer: SnapshotAnswer) -> list[Reply]:
    """Ask a link for a picture and for another while the first is taken; return the replies, in order."""
    broker = FakeBroker()
    config = link_config(folder)
    request = config.policy.inbox / REQUEST_FILE
    with running_link(config, broker, FakeClock()):
        until(broker, lambda: bool(broker.payloads("/up/reported")))
        for command_id in ("c1", "c2"):
            command = ask("snapshot", command_id=command_id)
            command = command.model_copy(
                update={"issued_at": FakeClock().now(), "expires_at": FakeClock().now() + SECOND}
            )
            broker.publish(
                Outgoing(
                    topic=topic(CAMERA, Leaf.COMMAND, "snapshot"),
                    payload=command.to_bytes(),
                    correlation=command_id.encode(),
                )
            )
        until(broker, lambda: len(replies(broker)) == 1)
        assert SnapshotRequest.from_bytes(request.read_bytes()).id == "c1"
        put_answer(config.policy.outbox, answer)
        until(broker, lambda: len(replies(broker)) > 1)
    return replies(broker)


@pytest.mark.parametrize(
    "answer",
    [
        SnapshotAnswer(
            id="c1",
            outcome=Outcome.DONE,
            result=SnapshotResult(
                file="pole-7-20260601T120000.000000Z-00000001.mp4.age", size_bytes=5000, digest="ab" * 32
            ),
        ),
        SnapshotAnswer(id="c1", outcome=Outcome.REFUSED, refusal=Refusal.DARK, reason="nothing is granted"),
        SnapshotAnswer(id="c1", outcome=Outcome.FAILED, reason="the card is read-only"),
    ],
)
def test_the_reply_is_what_the_recorder_answered(tmp_path: Path, answer: SnapshotAnswer) -> None:
    busy, reply = asked_over_the_broker(tmp_path, answer)

    assert (busy.command_id, busy.outcome, busy.refusal) == ("c2", Outcome.REFUSED, Refusal.BUSY)
    assert (reply.command_id, reply.outcome, reply.refusal, reply.reason) == (
        "c1",
        answer.outcome,
        answer.refusal,
        answer.reason,
    )
    assert reply.result == (None if answer.result is None else answer.result.model_dump(mode="json"))
