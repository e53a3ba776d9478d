"""The textual header of an age file: version line, stanzas, MAC.

Only the grammar and the MAC are here; what a stanza means is known to
`agent.core.sealing.recipients`. Section names in comments are those of the C2SP
age specification. Each line has exactly one spelling, so a header that was read and
printed again is the same bytes.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.core.sealing.derivation import derive
from agent.errors import HeaderError, HeaderMacError, UnsupportedSealError

VERSION_LINE = b"age-encryption.org/v1\n"
BODY_COLUMNS = 64  # "Recipient stanza": a body ends at its first shorter line
MAC_BYTES = 32

# The specification sets no limit. Ours bounds the memory a hostile file can take
# while nothing of it is authenticated, and still leaves room for 10,000 recipients.
MAX_HEADER_BYTES = 16 * 1024 * 1024

_ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
_ARGUMENTS = re.compile(rb"-> ([!-~]+(?: [!-~]+)*)\n")  # argument = 1*VCHAR
_BODY_LINE = re.compile(rb"([A-Za-z0-9+/]{0,64})\n")
_MAC_LINE = re.compile(rb"--- ([A-Za-z0-9+/]{43})\n")


@dataclass(frozen=True, slots=True)
class Stanza:
    """The file key, wrapped for one recipient.

    Attributes:
        kind: The first argument: the recipient type.
        arguments: The others.
        body: What they are about; usually the wrapped file key.
    """

    kind: str
    arguments: tuple[str, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """A header that is well formed; its MAC is checked once the file key is known.

    Attributes:
        stanzas: In the order of the file, at least one.
        mac: The 32 bytes of its last line.
    """

    stanzas: tuple[Stanza, ...]
    mac: bytes

    def verify(self, file_key: bytes) -> None:
        """Check the MAC over all stanzas.

        Raises:
            HeaderMacError: The header was changed after it was written.
        """
        if not hmac.compare_digest(self.mac, _mac(self.stanzas, file_key)):
            raise HeaderMacError("the header's authentication code does not match: the header was changed")

    def __bytes__(self) -> bytes:
        return _authenticated_part(self.stanzas) + b" " + encode_base64(self.mac).encode() + b"\n"


def make_header(stanzas: Sequence[Stanza], file_key: bytes) -> Header:
    """Return the header of these stanzas, authenticated with the file key they wrap."""
    return Header(tuple(stanzas), _mac(stanzas, file_key))


def encode_base64(raw: bytes) -> str:
    """Return standard Base64 without padding characters."""
    return base64.b64encode(raw).rstrip(b"=").decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return the bytes of unpadded Base64 in its one canonical spelling.

    Raises:
        HeaderError: It is spelled otherwise.
    """
    try:
        raw = binascii.a2b_base64(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise HeaderError("the header holds text that is not Base64") from error
    if encode_base64(raw) != text:  # padding, spaces, or stray bits in the last character
        raise HeaderError("the header holds Base64 that is not in canonical form")
    return raw


class SealedBytes:
    """The bytes of an age file as they arrive: lines first, then whatever follows."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._held = bytearray()
        self._header_bytes = 0

    def line(self) -> bytes:
        """Return the next header line with its line feed."""
        searched = 0
        while (end := self._held.find(b"\n", searched)) < 0:
            searched = len(self._held)
            if self._header_bytes + searched > MAX_HEADER_BYTES:
                raise HeaderError(f"the header is longer than {MAX_HEADER_BYTES} bytes")
            if not self._more():
                raise HeaderError("the file ends within its header")
        line = bytes(self._held[: end + 1])
        del self._held[: end + 1]
        self._header_bytes += len(line)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise HeaderError(f"the header is longer than {MAX_HEADER_BYTES} bytes")
        return line

    def peek(self, length: int) -> bytes:
        """Return the next `length` bytes without taking them; fewer if the file ends."""
        while len(self._held) < length and self._more():
            pass
        return bytes(self._held[:length])

    def take(self, length: int) -> bytes:
        """Return the next `length` bytes; fewer if the file ends."""
        taken = self.peek(length)
        del self._held[: len(taken)]
        return taken

    def rest(self) -> Iterator[bytes]:
        """Yield what follows, in blocks of the size they arrived in."""
        if self._held:
            held, self._held = bytes(self._held), bytearray()
            yield held
        yield from self._blocks

    def _more(self) -> bool:
        block = next(self._blocks, None)
        if block is None:
            return False
        self._held += block
        return True


def parse_header(source: SealedBytes) -> Header:
    """Take a header off the front of `source`, which then stands at the payload.

    Raises:
        HeaderError: It departs from the grammar in any byte, or is too long.
        UnsupportedSealError: It is armored.
    """
    _check_version(source)
    stanzas: list[Stanza] = []
    while (line := source.line()).startswith(b"-> "):
        stanzas.append(_parse_stanza(line, source))
    if not stanzas:
        raise HeaderError("the header has no stanza")
    if not (match := _MAC_LINE.fullmatch(line)):
        raise HeaderError("a header line is neither a stanza nor an authentication code")
    return Header(tuple(stanzas), decode_base64(match[1].decode()))


def _check_version(source: SealedBytes) -> None:
    # Looked at before a whole line is read, so that a foreign file is refused at once.
    start = source.peek(len(VERSION_LINE))
    if start == VERSION_LINE:
        source.line()
        return
    if not start:
        raise HeaderError("the file is empty")
    if source.peek(len(_ARMOR)).startswith(_ARMOR):
        raise UnsupportedSealError(
            "the file is armored (text); lamppost opens binary age files only",
            hint="`age --decrypt` opens it; sealed footage is never armored",
        )
    if start.startswith(b"age-encryption.org/"):
        raise HeaderError("the file is of another version of age, or its first line was changed; expected v1")
    raise HeaderError("this is not an age file")


def _parse_stanza(line: bytes, source: SealedBytes) -> Stanza:
    if not (match := _ARGUMENTS.fullmatch(line)):
        raise HeaderError("the first line of a stanza is malformed")
    kind, *arguments = match[1].decode().split(" ")
    body: list[bytes] = []
    while True:
        if not (part := _BODY_LINE.fullmatch(source.line())):
            raise HeaderError(f"a line in the body of a {_shown(kind)} stanza is not up to {BODY_COLUMNS} of Base64")
        body.append(part[1])
        if len(part[1]) < BODY_COLUMNS:
            return Stanza(kind, tuple(arguments), decode_base64(b"".join(body).decode()))


def _shown(kind: str) -> str:
    return kind if len(kind) <= BODY_COLUMNS else kind[:BODY_COLUMNS] + "…"


def _authenticated_part(stanzas: Iterable[Stanza]) -> bytes:
    """Return the header up to and including the three dashes ("Header MAC")."""
    lines = [VERSION_LINE]
    for stanza in stanzas:
        lines.append(f"-> {' '.join((stanza.kind, *stanza.arguments))}\n".encode("ascii"))
        text = encode_base64(stanza.body)
        # One line more than the full ones: the last is shorter, and may be empty.
        lines += [f"{text[at : at + BODY_COLUMNS]}\n".encode() for at in range(0, len(text) + 1, BODY_COLUMNS)]
    lines.append(b"---")
    return b"".join(lines)


def _mac(stanzas: Iterable[Stanza], file_key: bytes) -> bytes:
    key = derive(file_key, salt=b"", info=b"header")
    return hmac.digest(key, _authenticated_part(stanzas), "sha256")
