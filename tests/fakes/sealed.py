"""Sealed fragments for tests of the store: real age bytes, which one identity opens."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from agent.core.sealing.age_file import open_stream
from agent.core.sealing.recipients import X25519Identity
from agent.core.sealing.segment import SealedFragment, SegmentSealer
from agent.core.video import Fragment
from agent.errors import TruncatedError

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
IDENTITY = X25519Identity(bytes(range(32)))
CLEAR_BYTES = 100_000


def clear_fragment(number: int, size_bytes: int = CLEAR_BYTES) -> Fragment:
    """Return a "fragment" of `size_bytes` that all say `number`."""
    word = number.to_bytes(4, "big")
    clear = word * (size_bytes // len(word))
    return Fragment(clear=clear, frames=1, first_captured_at=NOON, last_captured_at=NOON)


def sealed_fragments(count: int, size_bytes: int = CLEAR_BYTES) -> Sequence[SealedFragment]:
    """Return the sealed bytes of `count` fragments; the last one closes the file."""
    sealer = SegmentSealer([IDENTITY.recipient])
    pushed = [sealer.push(clear_fragment(number, size_bytes)) for number in range(count)]
    return [*pushed, sealer.finish()]


def opened(path: Path) -> tuple[bytes, bool]:
    """Return all that authenticates of a sealed file, and whether its end was there."""
    with path.open("rb") as file:
        clear = bytearray()
        try:
            for part in open_stream(iter(lambda: file.read(1 << 16), b""), [IDENTITY]):
                clear += part
        except TruncatedError:
            return bytes(clear), False
    return bytes(clear), True
