"""Turn the clear fragments of one segment into the sealed bytes that may be stored.

The only maker of `SealedFragment`, which is the only thing a `Store` accepts.

age seals in chunks of 64 KiB, and a chunk opens only when all of it was written. At a
low bit rate a fragment would then wait in memory, seconds long, for the chunk to fill,
and a power cut would take it. So the bytes of a fragment wait at most until the next
one comes: if bytes older than the newest fragment are still in an unfinished chunk,
the chunk is filled up with an MP4 `free` box, which players skip.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.mp4 import free_box
from agent.core.sealing.age_file import Sealer
from agent.core.sealing.chunks import CHUNK_BYTES, PAYLOAD_NONCE_BYTES
from agent.core.sealing.recipients import Recipient
from agent.core.video import Fragment

_BOX_HEADER_BYTES = 8  # ISO/IEC 14496-12, 4.2: a 32-bit size, then the type


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFragment:
    """Ciphertext to append to a segment.

    Attributes:
        sealed: age bytes, in order; may be empty while all new bytes wait in a chunk.
        frames: How many frames become recoverable from disk with them.
    """

    sealed: bytes
    frames: int


class SegmentSealer:
    """Seals one segment; push each fragment as it comes, then finish.

    The file key lives in this object only. The first thing it returns starts with the
    age header.

    Raises:
        KeyFormatError: No recipient, or two types of them.
    """

    def __init__(self, recipients: Sequence[Recipient]) -> None:
        self._sealer = Sealer(recipients)
        self._unsent = self._sealer.header
        self._waiting_frames = 0

    @property
    def header(self) -> bytes:
        """The age header, without the payload nonce."""
        return self._sealer.header[:-PAYLOAD_NONCE_BYTES]

    def push(self, fragment: Fragment) -> SealedFragment:
        """Take a fragment; what is older than it is recoverable from what this returns."""
        sealed = self._take_header() + self._sealer.push(fragment.clear) + self._sealer.commit()
        if self._sealer.pending_bytes > len(fragment.clear):
            sealed += self._sealer.push(free_box(_gap_bytes(self._sealer.pending_bytes))) + self._sealer.commit()
        if self._sealer.pending_bytes:
            recoverable, self._waiting_frames = self._waiting_frames, fragment.frames
        else:
            recoverable, self._waiting_frames = self._waiting_frames + fragment.frames, 0
        return SealedFragment(sealed=sealed, frames=recoverable)

    def finish(self, last: Fragment | None = None) -> SealedFragment:
        """Take the last fragment, if there is one more, and close the file."""
        sealed = self._take_header()
        frames, self._waiting_frames = self._waiting_frames, 0
        if last is not None:
            sealed += self._sealer.push(last.clear)
            frames += last.frames
        if not self._sealer.pending_bytes:  # the last chunk of an age file may not be empty
            sealed += self._sealer.push(free_box(_BOX_HEADER_BYTES))
        return SealedFragment(sealed=sealed + self._sealer.finish(), frames=frames)

    def _take_header(self) -> bytes:
        header, self._unsent = self._unsent, b""
        return header


def _gap_bytes(pending_bytes: int) -> int:
    """Return the size of the box that fills the chunk; one chunk more where no box is so small."""
    gap = CHUNK_BYTES - pending_bytes
    return gap if gap >= _BOX_HEADER_BYTES else gap + CHUNK_BYTES
