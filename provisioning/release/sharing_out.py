"""Split an identity between a custodian and several offices, so that neither opens anything without the other.

    seed of the identity  =  the custodian's half  XOR  what the offices share

The custodian's half is 32 random bytes. The rest is shared with Shamir's scheme:
fewer than the threshold learn nothing of it, and all of them together nothing of the
seed, which the custodian's half hides like a one-time pad. So a day is dead when the
custodian has destroyed one half, whoever kept letters with shares.

The scheme is pycryptodome's, over GF(2^128); a seed has 256 bits, so it is two
polynomials, and a share is one point of each. That a joined identity is the right one is
seen from its recipient, which is public.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from Crypto.Protocol.SecretSharing import Shamir

from agent.core.sealing.recipients import PostQuantumIdentity
from agent.errors import SharesError

MAX_SHARES = 16  # offices of one city
SEED_BYTES = 32
_BLOCK_BYTES = 16  # what pycryptodome splits


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
        if not 1 <= self.index <= MAX_SHARES or len(self.value) != SEED_BYTES:
            raise SharesError("this is no share of an identity")


def split(identity: PostQuantumIdentity, half: bytes, *, threshold: int, count: int) -> tuple[Share, ...]:
    """Return `count` shares of `identity`, of which any `threshold` give it back with the custodian's half.

    Args:
        identity: What is split.
        half: The custodian's, 32 random bytes that are used for nothing else.
        threshold: How many shares it takes.
        count: How many there are.

    Raises:
        ValueError: One share alone would do, or there are too few or too many; or the half is of another length.
    """
    if not 1 < threshold <= count <= MAX_SHARES:
        raise ValueError(f"{threshold} of {count} is no threshold, expected 2 to {MAX_SHARES}")
    shared = _xor(identity.secret_bytes, half)
    first, second = (Shamir.split(threshold, count, block) for block in (shared[:_BLOCK_BYTES], shared[_BLOCK_BYTES:]))
    return tuple(Share(index, one + other) for (index, one), (_, other) in zip(first, second, strict=True))


def join(shares: Iterable[Share], half: bytes, *, threshold: int, recipient: str) -> PostQuantumIdentity:
    """Return the identity whose recipient is `recipient`.

    Args:
        shares: At least `threshold`, each of another index; more than that are not looked at.
        half: The custodian's.
        threshold: How many it was split for.
        recipient: What the identity's recipient must be.

    Raises:
        SharesError: There are too few, or they do not belong together, or not to this half.
    """
    distinct = sorted({share.index: share for share in shares}.values())
    if len(distinct) < threshold:
        raise SharesError(f"there are {len(distinct)} shares, expected {threshold}")
    chosen = distinct[:threshold]
    blocks = (
        Shamir.combine([(share.index, share.value[start : start + _BLOCK_BYTES]) for share in chosen])
        for start in (0, _BLOCK_BYTES)
    )
    identity = PostQuantumIdentity(_xor(b"".join(blocks), half))
    if str(identity.recipient) != recipient:
        raise SharesError("the shares do not belong together: the key that they give is another one")
    return identity


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
