"""Turn the clear fragments of one segment into the sealed bytes that may be stored.

The only maker of `SealedFragment`, which is the only thing a `Store` accepts.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFragment:
    """Ciphertext to append to a segment.

    Attributes:
        sealed: age bytes, in order.
        frames: How many frames become recoverable from disk with them.
    """

    sealed: bytes
    frames: int
