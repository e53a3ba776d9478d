"""What the recorder did, counted as it happens: for the status and the log.

One thread, the pipeline's, writes; others read a consistent copy. A run of frames
that failed closed becomes two log entries, its beginning and its end, not one a frame.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from agent.core.sealing.segment import SealedFragment
from agent.core.video import MaskedFrame
from agent.ports import EventLog, Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Totals since the recorder started.

    Attributes:
        captured: Frames the camera delivered.
        unwanted: Frames delivered while dark, or beyond the rate that the grant allows.
        stored: Frames whose bytes the disk confirmed.
        failed_closed: Frames filled whole because the masker could not vouch for them.
        failed_closed_reason: Why the last one was.
        lost: Frames that should have been stored and were not.
        fragments: Fragments the disk confirmed.
        written_bytes: Sealed bytes the disk confirmed.
        storage_error: The last storage error, and when.
        encoder_errors: Segments the encoder lost.
        encoder_error: The last of those errors.
    """

    captured: int = 0
    unwanted: int = 0
    stored: int = 0
    failed_closed: int = 0
    failed_closed_reason: str = ""
    lost: int = 0
    fragments: int = 0
    written_bytes: int = 0
    storage_error: str = ""
    storage_error_at: datetime | None = None
    encoder_errors: int = 0
    encoder_error: str = ""


class Tally:
    """Counts, and logs what a count alone would not tell.

    Args:
        log: Where to.
        circumstances: What each segment's leaf says besides, such as the software and the clock.
    """

    def __init__(self, log: EventLog, circumstances: Callable[[], Mapping[str, Fact]] = dict) -> None:
        self._log = log
        self._circumstances = circumstances
        self._lock = threading.Lock()
        self._counts = Counts()
        self._hidden_since: datetime | None = None  # start of the running span of frames failed closed
        self._hidden_reason = ""
        self._hidden_frames = 0

    def counts(self) -> Counts:
        """Return the totals of one instant."""
        with self._lock:
            return self._counts

    def captured(self) -> None:
        """Count a frame that the camera delivered."""
        self._add(captured=1)

    def unwanted(self) -> None:
        """Count a frame that nothing permits to be stored."""
        self._add(unwanted=1)

    def masked(self, frame: MaskedFrame) -> None:
        """Count a masked frame; log when a span of frames failed closed begins or ends."""
        reason = frame.failed_closed
        if reason is not None:
            with self._lock:
                self._counts = replace(
                    self._counts, failed_closed=self._counts.failed_closed + 1, failed_closed_reason=reason
                )
        if (reason or "") != self._hidden_reason:
            self._end_hidden_span(frame.captured_at)
            if reason is not None:
                self._hidden_since, self._hidden_reason = frame.captured_at, reason
                self._log.append("mask-failed-closed", frame.captured_at, reason=reason)
        if reason is not None:
            self._hidden_frames += 1

    def stored(self, fragment: SealedFragment) -> None:
        """Count what the disk confirmed."""
        self._add(stored=fragment.frames, fragments=1, written_bytes=len(fragment.sealed))

    def segment(self, at: datetime, facts: Mapping[str, Fact]) -> None:
        """Log a segment that is on the disk for good.

        Raises:
            StorageError: It could not be logged.
        """
        self._log.append("segment-stored", at, **facts, **self._circumstances())

    def lost(self, frames: int) -> None:
        """Count frames that were to be stored and will not be."""
        self._add(lost=frames)

    def storage_failed(self, error: Exception, at: datetime) -> None:
        """Remember why the disk ended a segment."""
        with self._lock:
            self._counts = replace(self._counts, storage_error=str(error), storage_error_at=at)

    def encoder_failed(self, error: Exception) -> None:
        """Count a segment that the encoder lost."""
        with self._lock:
            self._counts = replace(
                self._counts, encoder_errors=self._counts.encoder_errors + 1, encoder_error=str(error)
            )

    def _end_hidden_span(self, at: datetime) -> None:
        if self._hidden_since is not None:
            self._log.append(
                "mask-recovered",
                at,
                reason=self._hidden_reason,
                frames=self._hidden_frames,
                hidden_since=self._hidden_since.isoformat(),
            )
        self._hidden_since, self._hidden_reason, self._hidden_frames = None, "", 0

    def _add(self, **steps: int) -> None:
        with self._lock:
            self._counts = replace(
                self._counts, **{name: getattr(self._counts, name) + step for name, step in steps.items()}
            )
