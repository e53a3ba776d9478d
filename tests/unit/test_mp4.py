"""Boxes are built to the byte, and reading them survives whatever a card may hold."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from struct import pack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.mp4 import Box, Movie, free_box, prft_box, read_movie, walk, whole_boxes
from agent.errors import MovieFormatError

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def box(kind: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return pack(">I4s", 8 + len(body), kind.encode("latin-1")) + body


def full(kind: str, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, pack(">I", version << 24 | flags), *parts)


def u32(*numbers: int) -> bytes:
    return pack(f">{len(numbers)}I", *numbers)


def u64(*numbers: int) -> bytes:
    return pack(f">{len(numbers)}Q", *numbers)


FTYP = box("ftyp", b"isom", u32(512))
TKHD = full("tkhd", u32(0, 0, 1), bytes(68))
MDHD = full("mdhd", u32(0, 0, 1000, 0), bytes(4))
TREX = full("trex", u32(1, 1, 40, 0, 0))
TRAK = box("trak", TKHD, box("mdia", MDHD))
MVEX = box("mvex", TREX)
MOOV = box("moov", TRAK, MVEX)


def tag(kind: str, text: bytes, type_code: int = 1) -> bytes:
    return box(kind, full("data", u32(0), text, flags=type_code))


def udta(*items: bytes) -> bytes:
    return box("udta", full("meta", full("hdlr", bytes(20)), box("ilst", *items)))


def traf(trun: bytes, *, tfhd: bytes | None = None, tfdt: bytes | None = None) -> bytes:
    return box("traf", tfhd or full("tfhd", u32(1), flags=0x020000), tfdt or full("tfdt", u64(0), version=1), trun)


def fragment(
    frames: int = 9, *, at: int = 0, captured_at: datetime | None = NOON, picture: bytes = b"picture", **boxes: bytes
) -> bytes:
    trun = boxes.get("trun") or full("trun", u32(frames))
    tfdt = boxes.get("tfdt") or full("tfdt", u64(at), version=1)
    prft = prft_box(track_id=1, captured_at=captured_at, media_time=at) if captured_at else b""
    return (
        prft + box("moof", full("mfhd", u32(1)), traf(trun, tfhd=boxes.get("tfhd"), tfdt=tfdt)) + box("mdat", picture)
    )


# --- building -----------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 9, 65_536])
def test_a_free_box_has_exactly_the_size_asked_for(size: int) -> None:
    built = free_box(size)

    assert len(built) == size
    assert list(walk(built)) == [Box(b"free", 0, 8, size)]


@pytest.mark.parametrize("size", [-1, 0, 7, 2**32])
def test_a_free_box_that_cannot_be_told_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="a free box of"):
        free_box(size)


def test_a_prft_box_is_as_the_standard_draws_it() -> None:
    """ISO/IEC 14496-12:2024 8.16.5; NTP seconds count from 1900, 2_208_988_800 s before 1970."""
    built = prft_box(track_id=7, captured_at=datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC), media_time=90)

    assert built == full("prft", u32(7), u32(2_208_988_800, 0x80000000), u64(90), version=1, flags=24)


@given(
    at=st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants them naive
)
@example(at=datetime(2036, 2, 7, 6, 28, 15, 999_999, tzinfo=UTC))  # the last microsecond of NTP's first era
@example(at=datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC))
def test_a_capture_time_reads_back_to_the_microsecond(at: datetime) -> None:
    (read,) = read_movie(FTYP + MOOV + fragment(captured_at=at)).fragments

    assert read.captured_at == at


# --- walking ------------------------------------------------------------------


def test_walking_yields_each_box_where_it_lies() -> None:
    large = pack(">I4sQ", 1, b"mdat", 20) + b"data"
    found = list(walk(FTYP + large + free_box(8)))

    assert found == [
        Box(b"ftyp", 0, 8, len(FTYP)),
        Box(b"mdat", len(FTYP), len(FTYP) + 16, len(FTYP) + 20),
        Box(b"free", len(FTYP) + 20, len(FTYP) + 28, len(FTYP) + 28),
    ]


@pytest.mark.parametrize(
    "tail",
    [
        b"\0",  # no header
        pack(">I4s", 9, b"mdat"),  # one byte short
        pack(">I4s", 2**32 - 1, b"mdat") + b"data",
        pack(">I4s", 1, b"mdat") + b"\0\0\0",  # half a large size
        pack(">I4sQ", 1, b"mdat", 2**64 - 1) + b"data",
    ],
)
def test_a_box_that_runs_past_its_end_is_refused_inside_and_ends_the_whole_boxes_at_the_top(tail: bytes) -> None:
    data = FTYP + tail

    with pytest.raises(MovieFormatError, match=f"the box at byte {len(FTYP)} runs past byte {len(data)}"):
        list(walk(data))
    assert [found.kind for found in whole_boxes(data)] == [b"ftyp"]


@pytest.mark.parametrize(
    ("header", "claim"),
    [
        (pack(">I4s", 0, b"mdat"), "to the end of the file"),
        (pack(">I4s", 7, b"mdat"), "of 7 bytes"),
        (pack(">I4sQ", 1, b"mdat", 15), "of 15 bytes"),
    ],
)
def test_a_box_smaller_than_its_header_is_refused(header: bytes, claim: str) -> None:
    for reader in (walk, whole_boxes):
        with pytest.raises(MovieFormatError, match=f"a box {claim} at byte 0"):
            list(reader(header + bytes(8)))


# --- reading ------------------------------------------------------------------


def test_a_segment_tells_its_fragments_tags_and_times() -> None:
    head = FTYP + box("moov", TRAK, MVEX, udta(tag("\xa9nam", b"pole-17"), tag("covr", b"\xff\xd8", 13)))
    first, second = fragment(9), fragment(3, at=360, captured_at=NOON + timedelta(seconds=1))
    data = head + first + free_box(100) + second

    movie = read_movie(data)

    assert movie.tags == {"\xa9nam": "pole-17"}  # the picture of a cover is no text
    assert (movie.track_id, movie.timescale, movie.header_end) == (1, 1000, len(head))
    assert [f.start for f in movie.fragments] == [len(head), len(head) + len(first) + 100]
    assert [f.end for f in movie.fragments] == [len(head) + len(first), len(data)]
    assert [f.captured_at for f in movie.fragments] == [NOON, NOON + timedelta(seconds=1)]
    assert [f.decode_time for f in movie.fragments] == [0, 360]
    assert movie.frames == 12
    assert movie.duration == timedelta(milliseconds=480)
    assert movie.whole_bytes == len(data)


def test_a_movie_without_fragments_lasts_no_time() -> None:
    movie = read_movie(FTYP + MOOV)

    assert (movie.frames, movie.duration, movie.whole_bytes) == (0, timedelta(0), len(FTYP + MOOV))


def test_a_fragment_without_prft_starts_at_its_moof_and_knows_no_time() -> None:
    (read,) = read_movie(FTYP + MOOV + fragment(captured_at=None)).fragments

    assert (read.start, read.captured_at) == (len(FTYP + MOOV), None)


def test_a_cut_at_any_byte_leaves_the_whole_fragments_before_it() -> None:
    pieces = [FTYP + MOOV, fragment(9), free_box(16), fragment(9, at=360), fragment(4, at=720)]
    data = b"".join(pieces)
    ends = [len(b"".join(pieces[: n + 1])) for n in range(len(pieces))]

    for size in range(ends[0], len(data) + 1):
        movie = read_movie(data[:size])

        assert movie.whole_bytes == max(end for end in ends if end <= size)
        assert len(movie.fragments) == sum(end <= size for end in (ends[1], ends[3], ends[4]))


@pytest.mark.parametrize(
    ("trun", "tfhd", "duration"),
    [
        (full("trun", u32(3)), full("tfhd", u32(1)), 3 * 40),  # the movie's default
        (full("trun", u32(3)), full("tfhd", u32(1, 33), flags=0x8), 3 * 33),  # the fragment's
        (full("trun", u32(3)), full("tfhd", u32(1), u64(5), u32(1, 33), flags=0xB), 3 * 33),  # among its other fields
        (full("trun", u32(3, 0, 10, 20, 30), flags=0x101), full("tfhd", u32(1)), 60),  # each frame's own
        (full("trun", u32(2, 0, 0, 10, 5, 6, 7, 20, 5, 6, 7), flags=0xF05), full("tfhd", u32(1)), 30),
    ],
)
def test_a_fragments_duration_is_found_wherever_the_standard_lets_it_be(
    trun: bytes, tfhd: bytes, duration: int
) -> None:
    (read,) = read_movie(FTYP + MOOV + fragment(trun=trun, tfhd=tfhd)).fragments

    assert read.duration == duration


def test_old_32_bit_decode_times_are_read() -> None:
    (read,) = read_movie(FTYP + MOOV + fragment(tfdt=full("tfdt", u32(77)))).fragments

    assert read.decode_time == 77


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "does not start with a whole ftyp"),
        (b"age-encryption.org/v1\n", "does not start with a whole ftyp"),
        (FTYP[:-1], "does not start with a whole ftyp"),
        (MOOV, "does not start with a whole ftyp"),
        (FTYP, "not followed by a whole moov"),
        (FTYP + MOOV[:-1], "not followed by a whole moov"),
        (FTYP + free_box(8) + MOOV, "not followed by a whole moov"),
        (FTYP + box("moov", MVEX), "no trak box in the moov box"),
        (FTYP + box("moov", TRAK), "no mvex box in the moov box"),
        (FTYP + box("moov", TRAK[:-4]), "runs past"),
        (FTYP + box("moov", box("trak", full("tkhd", u32(0, 0))), MVEX), "the tkhd box at byte 32 is cut short"),
        (FTYP + box("moov", box("trak", TKHD, box("mdia", full("mdhd", u32(0, 0, 0)))), MVEX), "a timescale of 0"),
        (FTYP + MOOV + box("mdat"), "has no moof box before it"),
        (FTYP + MOOV + box("moof") + box("mdat"), "no traf box in the moof box"),
        (
            FTYP + MOOV + fragment(trun=full("trun", u32(2**32 - 1), flags=0x100)),
            "the trun box at byte .* is cut short",
        ),
        (FTYP + box("moov", TRAK, MVEX, box("udta", full("meta"))), "no ilst box in the meta box"),
        (FTYP + box("moov", TRAK, MVEX, udta(box("\xa9nam"))), r"no data box in the \\xa9nam box"),
    ],
)
def test_what_is_no_segment_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(MovieFormatError, match=complaint):
        read_movie(data)


def test_a_count_of_four_thousand_million_frames_without_fields_costs_nothing() -> None:
    (read,) = read_movie(FTYP + MOOV + fragment(trun=full("trun", u32(2**32 - 1)))).fragments

    assert read.frames == 2**32 - 1


def test_text_that_is_no_unicode_is_shown_as_far_as_it_goes() -> None:
    movie = read_movie(FTYP + box("moov", TRAK, MVEX, udta(tag("\xa9nam", b"pole\xff"))))

    assert movie.tags == {"\xa9nam": "pole\N{REPLACEMENT CHARACTER}"}


# --- whatever a card may hold ---------------------------------------------------

SEGMENT = (
    FTYP
    + box("moov", TRAK, MVEX, udta(tag("\xa9nam", b"pole-17")))
    + fragment(trun=full("trun", u32(2, 0, 10, 20), flags=0x101))
    + free_box(12)
    + fragment(at=30)
)


def outcome(data: bytes) -> Movie | None:
    """Read; a refusal is an outcome, any other exception is not."""
    try:
        return read_movie(data)
    except MovieFormatError:
        return None


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_read_or_be_refused(data: bytes) -> None:
    for head in (b"", FTYP, FTYP + MOOV):
        outcome(head + data)


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(SEGMENT) - 4),
            st.sampled_from([0, 1, 7, 8, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_no_number_put_anywhere_in_a_segment_makes_the_reader_look_outside_it(edits: list[tuple[int, int]]) -> None:
    data = bytearray(SEGMENT)
    for at, number in edits:
        data[at : at + 4] = u32(number)

    movie = outcome(bytes(data))

    if movie is not None:
        ends = [movie.header_end, *(f.end for f in movie.fragments)]
        assert ends == sorted(ends)
        assert ends[-1] <= movie.whole_bytes <= len(data)


@pytest.mark.parametrize("view", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_will_do(view: Callable[[bytes], bytes]) -> None:
    assert read_movie(view(SEGMENT)) == read_movie(SEGMENT)
