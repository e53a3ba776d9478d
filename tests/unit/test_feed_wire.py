"""What a feed sends is cut into messages, and whatever else comes is refused before memory is taken for it."""

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.feed_wire import (
    MAX_EXTRADATA_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_REASON_BYTES,
    Farewell,
    FeedPacket,
    Header,
    Message,
    WireReader,
    encode,
)
from agent.errors import CameraError

U32 = st.integers(1, 2**32 - 1)
HEADERS = st.builds(
    Header,
    codec=st.sampled_from(["h264", "hevc", "mjpeg"]),
    rate_hz=st.none() | st.builds(Fraction, U32, U32),
    extradata=st.binary(max_size=200),
)
PACKETS = st.builds(
    FeedPacket,
    pts_us=st.integers(-(2**63), 2**63 - 1),
    keyframe=st.booleans(),
    payload=st.binary(min_size=1, max_size=200),
)
REASONS = st.text(st.characters(categories=["L", "N", "P"]), max_size=200).map(lambda text: Farewell(reason=text))


@given(messages=st.lists(HEADERS | PACKETS | REASONS), cut=st.integers(1, 40))
def test_messages_come_out_as_they_went_in_however_the_bytes_were_cut(messages: list[Message], cut: int) -> None:
    sent = b"".join(map(encode, messages))
    reader = WireReader()

    received = [message for at in range(0, len(sent), cut) for message in reader.push(sent[at : at + cut])]

    assert received == messages


@given(st.binary(max_size=64))
def test_no_bytes_crash_the_reader(received: bytes) -> None:
    try:
        messages = list(WireReader().push(received))
    except CameraError:
        return
    assert all(isinstance(message, Header | FeedPacket | Farewell) for message in messages)


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    ("received", "reason"),
    [
        (struct.pack(">I", MAX_MESSAGE_BYTES + 1), "announces"),
        (struct.pack(">I", 0), "announces"),
        (framed(b"X"), "unknown kind"),
        (framed(b"H"), "only 0 bytes"),
        (framed(b"HLPF2\x01" + bytes(8)), "speaks b'LPF2'"),
        (framed(b"HLPF1\x09" + bytes(8)), "codec number 9"),
        (framed(b"HLPF1\x01" + bytes(8 + MAX_EXTRADATA_BYTES + 1)), "extradata"),
        (framed(b"P" + bytes(8)), "only 8 bytes"),
        (framed(b"P" + bytes(9)), "empty packet"),
        (framed(b"P" + bytes(8) + b"\x82" + b"payload"), "unknown flags"),
    ],
)
def test_what_is_not_of_the_format_is_refused(received: bytes, reason: str) -> None:
    with pytest.raises(CameraError, match=reason):
        list(WireReader().push(received))


def test_the_sizes_around_the_largest_message() -> None:
    largest = FeedPacket(pts_us=0, keyframe=True, payload=bytes(MAX_MESSAGE_BYTES - 10))
    one_more = FeedPacket(pts_us=0, keyframe=True, payload=bytes(MAX_MESSAGE_BYTES - 9))

    assert list(WireReader().push(encode(largest))) == [largest]
    with pytest.raises(CameraError, match="expected at most"):
        encode(one_more)


def test_a_rate_that_is_not_told_is_none() -> None:
    (header,) = WireReader().push(encode(Header(codec="h264", rate_hz=None, extradata=b"")))

    assert isinstance(header, Header)
    assert header.rate_hz is None


def test_a_codec_off_the_list_is_not_sent() -> None:
    with pytest.raises(CameraError, match="vp9"):
        encode(Header(codec="vp9", rate_hz=None, extradata=b""))


def test_a_reason_is_short_and_printable() -> None:
    (farewell,) = WireReader().push(framed(b"E\x1b[2J\xff" + b"x" * 5000))

    assert isinstance(farewell, Farewell)
    assert farewell.reason.startswith("?[2J")
    assert farewell.reason.isprintable()
    assert len(farewell.reason) <= MAX_REASON_BYTES
