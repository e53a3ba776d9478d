"""One segment while it is recorded: every layer of it, each with its encoder, sealer and file.

All layers start, are cut and end at the same frames. If one of them fails, all are
abandoned: what is on disk then is a truncated segment, which opens up to its last
whole chunk, and recovery marks it so.
"""

import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from agent.core.policy.decision import Decision, Originals
from agent.core.retention import StoredSegment
from agent.core.sealing.recipients import parse_recipients
from agent.core.sealing.segment import SealedFragment, SegmentSealer
from agent.core.video import Layer, MaskedFrame, RawFrame, StreamMode
from agent.errors import StorageError
from agent.ports import Encoder, RunningSegment, SegmentEncoder, SegmentTags, Store
from agent.recorder.account import SegmentAccount
from agent.recorder.tally import Tally

_log = logging.getLogger(__name__)


class LayerTrack:
    """One layer of one running segment: masked frames in, sealed bytes on disk."""

    def __init__(
        self,
        encoder: SegmentEncoder,
        sealer: SegmentSealer,
        file: RunningSegment,
        account: SegmentAccount,
        tally: Tally,
        *,
        counting: bool,
    ) -> None:
        self._encoder = encoder
        self._sealer = sealer
        self._file = file
        self._account = account
        self._tally = tally
        self._counting = counting  # in the masked layer only: a frame in two layers is one frame
        self.pushed = 0
        self.stored = 0
        self.kept: tuple[StoredSegment, str] | None = None

    def push(self, frame: MaskedFrame) -> None:
        """Encode one frame, and seal and store the fragment it completed, if any."""
        self.pushed += 1
        self._account.frame(frame)
        fragment = self._encoder.push(frame)
        if fragment is not None:
            self._store(self._sealer.push(fragment))

    def finish(self) -> None:
        """Bring all that is left to disk under the segment's final name."""
        sealed = self._sealer.finish(self._encoder.finish())
        stored = self._file.finish(sealed)
        self._count(sealed)
        self._log(stored)
        self.kept = stored, self._account.digest

    def abandon(self) -> None:
        """Let go of everything as it is. Never raises."""
        self._encoder.abandon()
        kept = self._file.abandon()
        if self._counting:
            self._tally.lost(self.pushed - self.stored)
        if kept is None:
            return
        try:
            self._log(kept)
        except StorageError as error:
            _log.error("%s is not in the log: %s", kept.path, error)

    def _log(self, stored: StoredSegment) -> None:
        facts = self._account.facts(stored, pushed=self.pushed, frames=self.stored)
        self._tally.segment(self._account.ends_at or stored.started_at, facts)

    def _store(self, sealed: SealedFragment) -> None:
        self._file.append(sealed)
        self._count(sealed)

    def _count(self, sealed: SealedFragment) -> None:
        self.stored += sealed.frames
        self._account.confirmed(sealed)
        if self._counting:
            self._tally.stored(sealed)


class Segment:
    """A running segment; a context that finishes it, or abandons it on any error."""

    def __init__(self, tracks: Mapping[Layer, LayerTrack], tally: Tally) -> None:
        self._tracks = tracks
        self._tally = tally

    def push(self, layers: Mapping[Layer, MaskedFrame]) -> None:
        """Record one frame, each of its layers in its own file."""
        self._tally.masked(layers[Layer.MASKED])
        for layer, track in self._tracks.items():
            track.push(layers[layer])

    @property
    def kept(self) -> tuple[StoredSegment, str]:
        """The finished masked layer, and the SHA-256 (hex) of its file.

        Raises:
            ValueError: It is not finished.
        """
        kept = self._tracks[Layer.MASKED].kept
        if kept is None:
            raise ValueError("the segment is not finished")
        return kept

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            for track in self._tracks.values():
                track.finish()
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        for track in self._tracks.values():
            track.abandon()


class SegmentMaker:
    """Starts segments of one camera on one store."""

    def __init__(self, camera_id: str, encoders: Mapping[Layer, Encoder], store: Store, tally: Tally) -> None:
        self._camera_id = camera_id
        self._encoders = encoders
        self._store = store
        self._tally = tally

    def start(self, mode: StreamMode, decision: Decision, first: RawFrame) -> Segment:
        """Open the files of a segment that begins with `first`, one for each layer, sealed to its own recipients.

        Raises:
            KeyFormatError: The recipients of a layer are not age recipients of one profile.
            EncoderError: The codec cannot do this mode.
            StorageError: No file can be made.
        """
        recipients = {Layer.MASKED: decision.recipients}
        if decision.originals is Originals.SEALED:
            recipients[Layer.SEALED] = decision.originals_recipients
        tracks: dict[Layer, LayerTrack] = {}
        try:
            for layer, sealed_to in recipients.items():
                tracks[layer] = self._track(layer, sealed_to, mode, decision, first)
        except BaseException:
            for track in tracks.values():
                track.abandon()
            raise
        return Segment(tracks, self._tally)

    def _track(
        self, layer: Layer, recipients: Sequence[str], mode: StreamMode, decision: Decision, first: RawFrame
    ) -> LayerTrack:
        sealer = SegmentSealer(parse_recipients(recipients))
        tags = SegmentTags(camera_id=self._camera_id, layer=layer, first_captured_at=first.captured_at)
        encoder = self._encoders[layer].start(mode, tags)
        try:
            file = self._store.start(layer, first.captured_at)
        except BaseException:
            encoder.abandon()
            raise
        account = SegmentAccount(mode, decision, sealer.header)
        return LayerTrack(encoder, sealer, file, account, self._tally, counting=layer is Layer.MASKED)
