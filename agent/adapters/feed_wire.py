"""What crosses the Unix socket between a network feed and the recorder.

FORMAT, version 1. Integers are big-endian. Only the feed sends; a connection is one
session, and begins with one header or one farewell:

    message   = length:u32 kind:u8 body       length counts kind and body, 1 to 8 MiB
    header    = "H" "LPF1" codec:u8 rate_num:u32 rate_den:u32 extradata
                codec 1 = h264, 2 = hevc, 3 = mjpeg; rate 0/0 = not told
                extradata: the rest, at most 64 KiB, as libav's `AVCodecContext.extradata`
    packet    = "P" pts_us:i64 flags:u8 payload
                pts_us on the source's own clock; flags bit 0 = keyframe, others 0
                payload: the rest, one access unit, at least 1 byte
    farewell  = "E" reason                    UTF-8, at most 1 KiB; the feed then hangs up

The feed talks to the network, so the recorder reads this as hostile: every length is
checked before memory is taken, every codec is on a list, no text is ever more than shown.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from agent.errors import CameraError

MAX_MESSAGE_BYTES = 8 * 1024 * 1024  # a 4K keyframe at the highest quality is about 2 MiB
MAX_EXTRADATA_BYTES = 64 * 1024
MAX_REASON_BYTES = 1024

CODECS = {1: "h264", 2: "hevc", 3: "mjpeg"}
_CODEC_NUMBERS = {name: number for number, name in CODECS.items()}

_LENGTH = struct.Struct(">I")
_HEADER = struct.Struct(">4sBII")
_PACKET = struct.Struct(">qB")
_MAGIC = b"LPF1"
_KEYFRAME = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the packets to come are.

    Attributes:
        codec: libav's name, one of `CODECS`.
        rate_hz: Frames a second; None if the source does not say.
        extradata: What the decoder must know before the first packet.
    """

    codec: str
    rate_hz: Fraction | None
    extradata: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPacket:
    """One compressed access unit.

    Attributes:
        pts_us: On the source's own clock, from any zero.
    """

    pts_us: int
    keyframe: bool
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """Why the feed hangs up."""

    reason: str


Message: TypeAlias = Header | FeedPacket | Farewell


def encode(message: Message) -> bytes:
    """Return `message` as it crosses the socket.

    Raises:
        CameraError: It is larger than the format allows, or of a codec it does not know.
    """
    match message:
        case Header():
            number = _CODEC_NUMBERS.get(message.codec)
            if number is None:
                raise CameraError(f"the source sends {message.codec}, expected one of {', '.join(_CODEC_NUMBERS)}")
            if len(message.extradata) > MAX_EXTRADATA_BYTES:
                raise CameraError(f"the source's extradata has {len(message.extradata)} bytes")
            rate = message.rate_hz
            numbers = (0, 0) if rate is None else (rate.numerator, rate.denominator)
            body = b"H" + _HEADER.pack(_MAGIC, number, *numbers) + message.extradata
        case FeedPacket():
            body = b"P" + _PACKET.pack(message.pts_us, _KEYFRAME * message.keyframe) + message.payload
        case Farewell():
            body = b"E" + message.reason.encode()[:MAX_REASON_BYTES]
    if len(body) > MAX_MESSAGE_BYTES:
        raise CameraError(f"a packet of {len(body)} bytes, expected at most {MAX_MESSAGE_BYTES}")
    return _LENGTH.pack(len(body)) + body


class WireReader:
    """Cuts the stream of bytes into messages. Does no I/O."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def push(self, received: bytes) -> Iterator[Message]:
        """Yield the messages that `received` completes.

        Raises:
            CameraError: The bytes are not of this format; the connection is of no more use.
        """
        self._waiting += received
        while len(self._waiting) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._waiting)
            if not 1 <= length <= MAX_MESSAGE_BYTES:
                raise CameraError(f"the feed announces a message of {length} bytes, at most {MAX_MESSAGE_BYTES} go")
            if len(self._waiting) < _LENGTH.size + length:
                return
            body = bytes(self._waiting[_LENGTH.size : _LENGTH.size + length])
            del self._waiting[: _LENGTH.size + length]
            yield _decode(body[:1], body[1:])


def _decode(kind: bytes, body: bytes) -> Message:
    try:
        match kind:
            case b"H":
                return _header(body)
            case b"P":
                return _packet(body)
            case b"E":
                return Farewell(reason=_printable(body))
    except struct.error as error:
        raise CameraError(f"the feed sends a message {kind!r} of only {len(body)} bytes") from error
    raise CameraError(f"the feed sends a message of unknown kind {kind!r}")


def _header(body: bytes) -> Header:
    magic, number, rate_num, rate_den = _HEADER.unpack_from(body)
    if magic != _MAGIC:
        raise CameraError(f"the feed speaks {magic!r}, expected {_MAGIC!r}")
    if number not in CODECS:
        raise CameraError(f"the feed sends codec number {number}, expected one of {', '.join(map(str, CODECS))}")
    extradata = body[_HEADER.size :]
    if len(extradata) > MAX_EXTRADATA_BYTES:
        raise CameraError(f"the feed sends {len(extradata)} bytes of extradata, at most {MAX_EXTRADATA_BYTES} go")
    rate_hz = Fraction(rate_num, rate_den) if rate_num and rate_den else None
    return Header(codec=CODECS[number], rate_hz=rate_hz, extradata=extradata)


def _packet(body: bytes) -> FeedPacket:
    pts_us, flags = _PACKET.unpack_from(body)
    payload = body[_PACKET.size :]
    if not payload:  # libav takes an empty packet for the end of the stream
        raise CameraError("the feed sends an empty packet")
    if flags & ~_KEYFRAME:
        raise CameraError(f"the feed sets unknown flags {flags:#x}")
    return FeedPacket(pts_us=pts_us, keyframe=bool(flags & _KEYFRAME), payload=payload)


def _printable(text: bytes) -> str:
    decoded = text[:MAX_REASON_BYTES].decode(errors="replace")
    return "".join(letter if letter.isprintable() else "?" for letter in decoded)
