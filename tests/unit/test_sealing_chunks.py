"""A payload opens to what was sealed, and no byte of it is released before it is authentic."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.sealing.chunks import (
    CHUNK_BYTES,
    PAYLOAD_NONCE_BYTES,
    SEALED_CHUNK_BYTES,
    ChunkWriter,
    clear_size_bytes,
    open_chunks,
)
from agent.errors import PayloadError, TruncatedError

KEY = bytes(range(32))
CLEAR = os.urandom(4 * CHUNK_BYTES)
SIZES = [0, 1]
SIZES += [chunks * CHUNK_BYTES + step for chunks in (1, 2, 3) for step in (-1, 0, 1)]


def seal(clear: bytes, piece_bytes: int = 1 << 30) -> bytes:
    writer = ChunkWriter(KEY)
    sealed = [writer.push(clear[at : at + piece_bytes]) for at in range(0, len(clear), piece_bytes)]
    return b"".join([*sealed, writer.finish()])


def pieces(sealed: bytes, size: int) -> Iterator[bytes]:
    return (sealed[at : at + size] for at in range(0, len(sealed), size))


def released(sealed: bytes, expected: type[PayloadError]) -> bytes:
    """Return what is released before the failure that must come."""
    clear: list[bytes] = []
    with pytest.raises(expected):
        clear.extend(open_chunks([sealed], KEY))
    return b"".join(clear)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece_bytes", [4093, CHUNK_BYTES, 1 << 30])
def test_every_size_goes_round_in_pieces_of_any_size(size: int, piece_bytes: int) -> None:
    sealed = seal(CLEAR[:size], piece_bytes)

    assert sealed == seal(CLEAR[:size])
    assert b"".join(open_chunks(pieces(sealed, piece_bytes), KEY)) == CLEAR[:size]
    assert clear_size_bytes(PAYLOAD_NONCE_BYTES + len(sealed)) == size


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2 * CHUNK_BYTES + 2), max_size=6))
def test_the_writer_holds_back_at_most_one_chunk(lengths: list[int]) -> None:
    writer = ChunkWriter(KEY)
    sealed = bytearray()
    taken = 0

    for length in lengths:
        sealed += writer.push(CLEAR[:length])
        taken += length
        assert 0 <= writer.pending_bytes <= CHUNK_BYTES
        assert len(sealed) // SEALED_CHUNK_BYTES * CHUNK_BYTES + writer.pending_bytes == taken

    sealed += writer.finish()
    assert b"".join(open_chunks([bytes(sealed)], KEY)) == b"".join(CLEAR[:length] for length in lengths)


def test_a_full_chunk_can_be_sealed_early_if_more_follows() -> None:
    writer = ChunkWriter(KEY)

    sealed = writer.push(CLEAR[:CHUNK_BYTES]) + writer.commit()

    assert len(sealed) == SEALED_CHUNK_BYTES
    assert writer.pending_bytes == 0
    with pytest.raises(ValueError, match="must not be empty"):
        writer.finish()
    sealed += writer.push(CLEAR[CHUNK_BYTES : CHUNK_BYTES + 1]) + writer.commit() + writer.finish()
    assert sealed == seal(CLEAR[: CHUNK_BYTES + 1])


@pytest.mark.parametrize("size", SIZES)
def test_a_cut_anywhere_releases_the_whole_chunks_before_it(size: int) -> None:
    sealed = seal(CLEAR[:size])
    edges = {0, 1, 15, 16, 17, len(sealed) - 1}
    edges |= {chunks * SEALED_CHUNK_BYTES + step for chunks in (1, 2, 3) for step in (-1, 0, 1, 16)}

    for length in sorted(edges):
        if 0 <= length < len(sealed):
            whole = length // SEALED_CHUNK_BYTES * CHUNK_BYTES
            assert released(sealed[:length], TruncatedError) == CLEAR[:whole]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1]), st.data())
def test_a_flipped_bit_anywhere_releases_only_the_chunks_before_it(size: int, data: st.DataObject) -> None:
    sealed = bytearray(seal(CLEAR[:size]))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))

    assert released(bytes(sealed), PayloadError) == CLEAR[: place // SEALED_CHUNK_BYTES * CHUNK_BYTES]


def test_chunks_swapped_doubled_or_dropped_are_noticed() -> None:
    sealed = seal(CLEAR[: 3 * CHUNK_BYTES])
    one, two, three = pieces(sealed, SEALED_CHUNK_BYTES)
    first = CLEAR[:CHUNK_BYTES]

    assert released(two + one + three, PayloadError) == b""
    assert released(one + one + two + three, PayloadError) == first
    assert released(one + three, PayloadError) == first
    assert released(one + two + three + b"x", PayloadError) == CLEAR[: 3 * CHUNK_BYTES]
    assert released(one + two + three + three, PayloadError) == CLEAR[: 3 * CHUNK_BYTES]


def test_an_empty_last_chunk_is_refused_after_others_and_allowed_alone() -> None:
    # A writer of ours cannot make it, so this one is made to forget its own rule.
    writer = ChunkWriter(KEY)
    sealed = writer.push(CLEAR[:CHUNK_BYTES]) + writer.commit()
    empty_last = writer._cipher.encrypt(b"\0" * 10 + b"\x01\x01", b"", None)

    assert released(sealed + empty_last, PayloadError) == CLEAR[:CHUNK_BYTES]
    assert b"".join(open_chunks([seal(b"")], KEY)) == b""


@pytest.mark.parametrize("tail", [0, 1, 15, 16])
@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_a_size_no_payload_has_is_called_cut_off(tail: int, chunks: int) -> None:
    payload_bytes = PAYLOAD_NONCE_BYTES + chunks * SEALED_CHUNK_BYTES + tail
    if (tail == 0 and chunks) or (tail == 16 and not chunks):
        assert clear_size_bytes(payload_bytes) == chunks * CHUNK_BYTES
    else:
        with pytest.raises(TruncatedError):
            clear_size_bytes(payload_bytes)


@pytest.mark.parametrize("payload_bytes", [-1, 0, PAYLOAD_NONCE_BYTES])
def test_less_than_a_nonce_and_a_tag_is_cut_off(payload_bytes: int) -> None:
    with pytest.raises(TruncatedError):
        clear_size_bytes(payload_bytes)
