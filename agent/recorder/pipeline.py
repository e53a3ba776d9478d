"""The data path, on one page: capture, mask, encode, seal, store.

The line that keeps a private area out of the file is the one that calls the masker
for its `layers`: nothing else makes what an encoder accepts.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import groupby

from agent.core.cutting import Span, begins_segment
from agent.core.masking.masker import Masker
from agent.core.policy.decision import Decision
from agent.core.thinning import Thinning
from agent.core.video import RawFrame, StreamMode
from agent.errors import EncoderError, SealError, StorageError
from agent.recorder.narrowing import Narrowing
from agent.recorder.segment import SegmentMaker
from agent.recorder.snapshots import NobodyAsks, SnapshotTaker
from agent.recorder.supervision import SupervisedCamera
from agent.recorder.tally import Tally

Judged = tuple[Decision, RawFrame]
NOBODY_ASKS = NobodyAsks()


def run(  # noqa: PLR0913 - all that the data path is made of, once
    camera: SupervisedCamera,
    narrowing: Narrowing,
    segments: SegmentMaker,
    tally: Tally,
    *,
    make_masker: Callable[[StreamMode], Masker] = Masker,
    length: timedelta,
    between_frames: Callable[[], None] = lambda: None,
    glance: Callable[[RawFrame, Decision], None] = lambda _frame, _decision: None,
    snapshots: SnapshotTaker = NOBODY_ASKS,
) -> None:
    """Move pictures from `camera` to storage, as far as the decision of each moment allows, until the camera closes."""
    for session in camera.sessions():
        masker = make_masker(session.mode)
        judged = _judge(session.mode, session.frames(), narrowing, tally, between_frames, glance, snapshots)
        cut = _Cut(session.mode, length, snapshots)
        for _, take in groupby(judged, key=cut):
            if not _record(take, session.mode, masker, narrowing, segments, tally, snapshots):
                cut.begin_anew()


def _judge(
    mode: StreamMode,
    frames: Iterator[RawFrame],
    narrowing: Narrowing,
    tally: Tally,
    between_frames: Callable[[], None],
    glance: Callable[[RawFrame, Decision], None],
    snapshots: SnapshotTaker,
) -> Iterator[Judged]:
    """Put beside each frame the decision of its moment; leave out frames beyond the rate that a grant allows."""
    thinning = Thinning()
    for frame in frames:
        between_frames()
        tally.captured()
        decision = narrowing.decide(mode, frame.pts_us)
        glance(frame, decision)
        if decision.recording and thinning.keeps(frame.pts_us, rate_hz=decision.max_rate_hz):
            yield decision, frame
        elif decision.recording:
            tally.unwanted()
        else:
            tally.unwanted()
            snapshots.dark(decision.reason)
            yield decision, frame  # ends the running segment, and is looked at no further


def _record(
    take: Iterator[Judged],
    mode: StreamMode,
    masker: Masker,
    narrowing: Narrowing,
    segments: SegmentMaker,
    tally: Tally,
    snapshots: SnapshotTaker,
) -> bool:
    """Write one segment; return whether all went well.

    A failure ends it, and the back-off in `narrowing` decides when the next may start.
    """
    decision, frame = next(take)
    if not decision.recording:
        return True
    began_us = frame.pts_us
    try:
        with segments.start(mode, decision, frame) as segment:
            segment.push(masker.layers(frame, decision))
            for decision, frame in take:
                segment.push(masker.layers(frame, decision))
    except StorageError as error:
        tally.storage_failed(error, frame.captured_at)
        snapshots.failed(began_us, error)
        narrowing.failed(error, frame.pts_us)
    except (EncoderError, SealError) as error:
        tally.encoder_failed(error)
        snapshots.failed(began_us, error)
        narrowing.failed(error, frame.pts_us)
    else:
        snapshots.stored(began_us, *segment.kept)
        return True
    return False


class _Cut:
    """Numbers the segments of one camera session: frames with the same number belong together."""

    def __init__(self, mode: StreamMode, length: timedelta, snapshots: SnapshotTaker) -> None:
        self._mode = mode
        self._length = length
        self._snapshots = snapshots
        self._alone = False  # whether the frame before was to be the only one of its segment
        self._running: Span | None = None
        self._number = 0

    def begin_anew(self) -> None:
        """Let the next frame begin a segment: what would have followed in a failed one belongs to no other."""
        self._running = None

    def __call__(self, judged: Judged) -> int:
        decision, frame = judged
        first = self._running.first_pts_us if self._running is not None else frame.pts_us
        alone = decision.recording and self._snapshots.begins(frame.pts_us)
        if (
            alone
            or self._alone
            or begins_segment(
                self._running, decision=decision, mode=self._mode, pts_us=frame.pts_us, length=self._length
            )
        ):
            self._number += 1
            first = frame.pts_us
        self._alone = alone
        self._running = Span(decision=decision, mode=self._mode, first_pts_us=first, last_pts_us=frame.pts_us)
        return self._number
