"""What is older than the newest fragment is always in a chunk that opens from disk."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.mp4 import free_box
from agent.core.sealing.age_file import open_stream
from agent.core.sealing.chunks import CHUNK_BYTES
from agent.core.sealing.recipients import X25519Identity
from agent.core.sealing.segment import SealedFragment, SegmentSealer
from agent.core.video import Fragment
from agent.errors import KeyFormatError, TruncatedError

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
IDENTITY = X25519Identity.generate()


def box(length: int) -> bytes:
    """Return a box of `length` bytes that is not padding."""
    return length.to_bytes(4, "big") + b"mdat" + b"\x5a" * (length - 8)


def fragment(length: int, frames: int = 13) -> Fragment:
    return Fragment(
        clear=box(length), frames=frames, first_captured_at=NOON, last_captured_at=NOON + timedelta(seconds=0.9)
    )


def recovered(stored: bytes) -> bytes:
    """Return what opens of a segment that was cut off after `stored`."""
    clear = bytearray()
    try:
        for chunk in open_stream([stored], [IDENTITY]):
            clear += chunk
    except TruncatedError:
        pass
    return bytes(clear)


def whole_boxes(clear: bytes) -> list[bytes]:
    boxes = []
    while len(clear) >= 8 and len(clear) >= (length := int.from_bytes(clear[:4], "big")):
        boxes.append(clear[:length])
        clear = clear[length:]
    return boxes


def pictures(clear: bytes) -> list[bytes]:
    return [box for box in whole_boxes(clear) if box[4:8] != b"free"]


def record(lengths: list[int], last: int | None = None) -> list[SealedFragment]:
    sealer = SegmentSealer([IDENTITY.recipient])
    sealed = [sealer.push(fragment(length)) for length in lengths]
    return [*sealed, sealer.finish(fragment(last) if last else None)]


LENGTHS = st.one_of(
    st.integers(8, 2000),
    st.integers(CHUNK_BYTES - 20, CHUNK_BYTES + 20),
    st.integers(8, 3 * CHUNK_BYTES),
    st.sampled_from([CHUNK_BYTES // 2 - 4, CHUNK_BYTES // 2, CHUNK_BYTES, 2 * CHUNK_BYTES]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LENGTHS, max_size=8), st.none() | LENGTHS)
def test_a_power_cut_after_any_append_loses_at_most_the_newest_fragment(lengths: list[int], last: int | None) -> None:
    stored = b""
    frames = 0
    sealed = record(lengths, last)

    for count, piece in enumerate(sealed[:-1], start=1):
        stored += piece.sealed
        frames += piece.frames
        kept = pictures(recovered(stored))
        assert kept == [box(length) for length in lengths[: len(kept)]]
        assert len(kept) >= count - 1
        assert frames == 13 * len(kept)

    stored += sealed[-1].sealed
    everything = [*lengths, *([last] if last else [])]
    clear = b"".join(open_stream([stored], [IDENTITY]))
    assert pictures(clear) == [box(length) for length in everything]
    assert b"".join(whole_boxes(clear)) == clear
    assert frames + sealed[-1].frames == 13 * len(everything)


def test_the_first_sealed_fragment_starts_with_the_age_header_and_only_it() -> None:
    first, second, last = record([100, 100])

    assert first.sealed.startswith(b"age-encryption.org/v1\n")
    assert first.frames == 0
    assert b"age-encryption.org" not in second.sealed + last.sealed


def test_a_segment_without_a_fragment_is_a_whole_file_without_a_picture() -> None:
    (only,) = record([])

    assert only.sealed.startswith(b"age-encryption.org/v1\n")
    assert only.frames == 0
    assert pictures(b"".join(open_stream([only.sealed], [IDENTITY]))) == []


def test_fragments_larger_than_a_chunk_are_never_padded() -> None:
    lengths = [CHUNK_BYTES + 1, 450_000, 2 * CHUNK_BYTES]

    clear = b"".join(open_stream([b"".join(piece.sealed for piece in record(lengths))], [IDENTITY]))

    assert clear == b"".join(box(length) for length in lengths)


@pytest.mark.parametrize("gap", [0, 1, 7, 8, 9])
def test_padding_ends_on_a_chunk_boundary_even_where_no_box_is_so_small(gap: int) -> None:
    second = 1000
    sealer = SegmentSealer([IDENTITY.recipient])
    sealer.push(fragment(CHUNK_BYTES - gap - second))

    sealed = sealer.push(fragment(second))

    header_bytes = 0
    chunks = 2 if 0 < gap < 8 else 1
    assert (len(sealed.sealed) - header_bytes) == chunks * (CHUNK_BYTES + 16)
    assert sealed.frames == 26


def test_a_segment_sealed_to_nobody_cannot_be_started() -> None:
    with pytest.raises(KeyFormatError):
        SegmentSealer([])


@pytest.mark.parametrize("length", [8, 9, 65536])
def test_a_free_box_says_its_own_size(length: int) -> None:
    padding = free_box(length)

    assert len(padding) == length
    assert whole_boxes(padding) == [padding]
