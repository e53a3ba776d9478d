"""Enough shares give the identity back; fewer tell nothing, and a wrong one is noticed."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.sealing.recipients import PostQuantumIdentity
from agent.errors import SharesError
from provisioning.release.sharing_out import MAX_SHARES, Share, join, split

IDENTITY = PostQuantumIdentity(bytes(range(32)))
RECIPIENT = str(IDENTITY.recipient)
HALF = bytes(range(100, 132))


@pytest.mark.parametrize(("threshold", "count"), [(2, 2), (2, 3), (3, 5), (5, 5)])
def test_any_threshold_of_them_give_the_identity_back(threshold: int, count: int) -> None:
    shares = split(IDENTITY, HALF, threshold=threshold, count=count)

    for chosen in combinations(shares, threshold):
        assert join(chosen, HALF, threshold=threshold, recipient=RECIPIENT) == IDENTITY
    assert join(reversed(shares), HALF, threshold=threshold, recipient=RECIPIENT) == IDENTITY


def test_all_but_one_are_too_few_and_no_other_threshold_makes_them_enough() -> None:
    shares = split(IDENTITY, HALF, threshold=3, count=5)

    for chosen in combinations(shares, 2):
        with pytest.raises(SharesError, match="there are 2 shares, expected 3"):
            join(chosen, HALF, threshold=3, recipient=RECIPIENT)
        with pytest.raises(SharesError, match="do not belong together"):
            join(chosen, HALF, threshold=2, recipient=RECIPIENT)


def test_all_but_one_fit_every_secret_alike() -> None:
    """With two of three shares, a third one can be made up for any identity: so the two favour none."""
    first, second, _ = split(IDENTITY, HALF, threshold=3, count=3)
    given = {first.index, second.index}

    for number in range(4):
        other = PostQuantumIdentity(bytes([number]) * 32)
        # The polynomial through both shares and another secret at 0 exists: interpolate it, and read it off at 3.
        shared = bytes(a ^ b for a, b in zip(other.secret_bytes, HALF, strict=True))
        blocks = [_at(3, {0: shared[n : n + 16], first.index: first.value[n : n + 16],
                          second.index: second.value[n : n + 16]}) for n in (0, 16)]  # fmt: skip
        made_up = Share(3, b"".join(blocks))

        assert join([first, second, made_up], HALF, threshold=3, recipient=str(other.recipient)) == other
    assert 3 not in given


def test_all_shares_without_the_custodians_half_fit_every_secret_alike() -> None:
    """So letters with shares that somebody kept are worth nothing once the half is destroyed."""
    shares = split(IDENTITY, HALF, threshold=3, count=3)

    for number in range(4):
        other = PostQuantumIdentity(bytes([number]) * 32)
        shared = bytes(a ^ b for a, b in zip(IDENTITY.secret_bytes, HALF, strict=True))
        half = bytes(a ^ b for a, b in zip(other.secret_bytes, shared, strict=True))
        assert join(shares, half, threshold=3, recipient=str(other.recipient)) == other
    with pytest.raises(SharesError):
        join(shares, bytes(32), threshold=3, recipient=RECIPIENT)


def _at(x: int, points: dict[int, bytes]) -> bytes:
    """Return the polynomial through `points` at `x`: pycryptodome's own field, the other way round."""
    from Crypto.Protocol.SecretSharing import _Element  # noqa: PLC0415 - the library's field, for this alone

    result = _Element(0)
    for index, value in points.items():
        numerator, denominator = _Element(1), _Element(1)
        for other in points:
            if other != index:
                numerator *= _Element(x) + _Element(other)
                denominator *= _Element(index) + _Element(other)
        result += _Element(value) * numerator * denominator.inverse()
    encoded: bytes = result.encode()
    return encoded


@given(secret=st.binary(min_size=32, max_size=32), place=st.integers(0, 2), bit=st.integers(0, 255))
@settings(max_examples=20, deadline=None)
def test_a_share_that_was_altered_in_one_bit_is_always_noticed(secret: bytes, place: int, bit: int) -> None:
    identity = PostQuantumIdentity(secret)
    shares = list(split(identity, HALF, threshold=3, count=3))
    value = bytearray(shares[place].value)
    value[bit // 8] ^= 1 << bit % 8
    shares[place] = Share(shares[place].index, bytes(value))

    with pytest.raises(SharesError):
        join(shares, HALF, threshold=3, recipient=str(identity.recipient))


def test_shares_of_two_splits_do_not_belong_together() -> None:
    one, other = (split(IDENTITY, HALF, threshold=2, count=2) for _ in range(2))

    with pytest.raises(SharesError, match="do not belong together"):
        join([one[0], other[1]], HALF, threshold=2, recipient=RECIPIENT)


@pytest.mark.parametrize(("threshold", "count"), [(1, 3), (0, 2), (4, 3), (2, MAX_SHARES + 1)])
def test_a_threshold_that_protects_nothing_is_refused(threshold: int, count: int) -> None:
    with pytest.raises(ValueError, match="is no threshold"):
        split(IDENTITY, HALF, threshold=threshold, count=count)


@pytest.mark.parametrize(("index", "value"), [(0, bytes(32)), (17, bytes(32)), (1, bytes(31)), (1, b"")])
def test_what_is_no_share_is_refused(index: int, value: bytes) -> None:
    with pytest.raises(SharesError):
        Share(index, value)


def test_a_share_is_not_shown() -> None:
    share = split(IDENTITY, HALF, threshold=2, count=2)[0]

    assert share.value.hex() not in repr(share)
    assert str(list(share.value))[1:20] not in repr(share)
