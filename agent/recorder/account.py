"""What one layer of one segment came to, in the words of its leaf.

The digests are made of the bytes on their way to the disk: nothing is read again, so what
the log vouches for is what the sealer made, whatever the disk made of it. They cover as many
bytes as the disk confirmed; behind them a truncated file may hold more. The header has a
digest of its own, and so has what follows it, because a header may be written anew for
another recipient while what it opens stays the same.
"""

from datetime import datetime, timedelta
from hashlib import sha256

from agent.core.log.digest import digest_of
from agent.core.policy.decision import Decision
from agent.core.retention import StoredSegment
from agent.core.sealing.segment import SealedFragment
from agent.core.video import MaskedFrame, StreamMode
from agent.ports import Fact


class SegmentAccount:
    """Counts frames and bytes of one layer while its segment is recorded.

    Args:
        mode: What the camera delivers.
        decision: What permits it.
        header: The age header of its file, without the payload nonce.

    Attributes:
        size_bytes: How many bytes the disk confirmed.
        ends_at: End of the last frame, or None before the first.
    """

    def __init__(self, mode: StreamMode, decision: Decision, header: bytes) -> None:
        self._mode = mode
        self._decision = decision
        self._header = header
        self._file = sha256()
        self._payload = sha256()
        self._pts_us: tuple[int, int] = (0, 0)
        self._starts_at: datetime | None = None
        self._failed_closed = 0
        self.size_bytes = 0
        self.ends_at: datetime | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the bytes that the disk confirmed."""
        return self._file.hexdigest()

    def frame(self, frame: MaskedFrame) -> None:
        """Count a frame that was given to the encoder."""
        first = frame.pts_us if self._starts_at is None else self._pts_us[0]
        self._pts_us = (first, frame.pts_us)
        if self._starts_at is None:
            self._starts_at = frame.captured_at
        self.ends_at = frame.captured_at + timedelta(seconds=float(1 / self._mode.rate_hz))
        self._failed_closed += frame.failed_closed is not None

    def confirmed(self, sealed: SealedFragment) -> None:
        """Take in bytes that are on the disk."""
        self._file.update(sealed.sealed)
        in_header = max(0, len(self._header) - self.size_bytes)
        self._payload.update(memoryview(sealed.sealed)[in_header:])
        self.size_bytes += len(sealed.sealed)

    def facts(self, stored: StoredSegment, *, pushed: int, frames: int) -> dict[str, Fact]:
        """Return what the log says about the segment that was stored as `stored`.

        Args:
            stored: As the store has it.
            pushed: Frames given to the encoder.
            frames: Frames the disk confirmed.
        """
        return {
            "file": stored.path.rpartition("/")[2],
            "sha256": self.digest,
            "header_sha256": sha256(self._header).hexdigest(),
            "payload_sha256": self._payload.hexdigest(),
            "size_bytes": self.size_bytes,
            "layer": stored.layer.value,
            "sequence": stored.sequence,
            "starts_at": _moment(self._starts_at),
            "ends_at": _moment(self.ends_at),
            "first_pts_us": self._pts_us[0],
            "last_pts_us": self._pts_us[1],
            "frames_in": pushed,
            "frames_stored": frames,
            "frames_dropped": pushed - frames,
            "frames_failed_closed": self._failed_closed,
            "decision": digest_of(self._decision),
            "zones": digest_of((self._decision.view, self._decision.zones)),
            "policy": self._decision.policy_digest,
            "documents": self._decision.sources,
            "models": [model.sha256 for model in self._decision.models],
            "truncated": stored.truncated,
        }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
