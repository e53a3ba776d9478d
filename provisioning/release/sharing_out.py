"""Split an identity among several, so that fewer than the threshold learn nothing of it.

Shamir's scheme is pycryptodome's, over GF(2^128); an identity has 256 bits, so each
half has a polynomial of its own, and a share is one point of each. That a joined
identity is the right one is seen from its recipient, which is public.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from Crypto.Protocol.SecretSharing import Shamir

from agent.core.sealing.recipients import PostQuantumIdentity
from agent.errors import SharesError

MAX_SHARES = 16  # offices of one city
_HALF_BYTES = 16  # what pycryptodome splits


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Share:
    """One share of an identity: a secret, shown in no `repr`.

    Attributes:
        index: Its place on the polynomials, from 1.
        value: Both points, 32 bytes.
    """

    index: int
    value: bytes

    def __post_init__(self) -> None:
        if not 1 <= self.index <= MAX_SHARES or len(self.value) != 2 * _HALF_BYTES:
            raise SharesError("this is no share of an identity")


def split(identity: PostQuantumIdentity, *, threshold: int, count: int) -> tuple[Share, ...]:
    """Return `count` shares of `identity`, of which any `threshold` give it back.

    Raises:
        ValueError: One share alone would do, or there are too few or too many.
    """
    if not 1 < threshold <= count <= MAX_SHARES:
        raise ValueError(f"{threshold} of {count} is no threshold, expected 2 to {MAX_SHARES}")
    secret = identity.secret_bytes
    first, second = (Shamir.split(threshold, count, half) for half in (secret[:_HALF_BYTES], secret[_HALF_BYTES:]))
    return tuple(Share(index, one + other) for (index, one), (_, other) in zip(first, second, strict=True))


def join(shares: Iterable[Share], *, threshold: int, recipient: str) -> PostQuantumIdentity:
    """Return the identity whose recipient is `recipient`.

    Args:
        shares: At least `threshold`, each of another index; more than that are not looked at.
        threshold: How many it was split for.
        recipient: What the identity's recipient must be.

    Raises:
        SharesError: There are too few, or they do not belong together.
    """
    distinct = sorted({share.index: share for share in shares}.values())
    if len(distinct) < threshold:
        raise SharesError(f"there are {len(distinct)} shares, expected {threshold}")
    chosen = distinct[:threshold]
    halves = (
        Shamir.combine([(share.index, share.value[start : start + _HALF_BYTES]) for share in chosen])
        for start in (0, _HALF_BYTES)
    )
    identity = PostQuantumIdentity(b"".join(halves))
    if str(identity.recipient) != recipient:
        raise SharesError("the shares do not belong together: the key that they give is another one")
    return identity
