"""Seal to recipients and open with identities: whole age v1 files, as streams.

The bytes of a file are the header, a payload nonce, and the chunks. The file key
that joins them is made here, lives in memory only, and is gone with the object that
holds it.
"""

import os
from collections.abc import Iterable, Iterator, Sequence

from agent.core.sealing.chunks import PAYLOAD_NONCE_BYTES, ChunkWriter, open_chunks, payload_key
from agent.core.sealing.header import MAX_HEADER_BYTES, Header, SealedBytes, make_header, parse_header
from agent.core.sealing.recipients import FILE_KEY_BYTES, Identity, Profile, Recipient, check_profile
from agent.errors import HeaderError, KeyFormatError, UnsupportedSealError, WrongIdentityError


class Sealer:
    """Writes one age file while its clear bytes are made.

    Attributes:
        header: What stands before the chunks: the age header and the payload nonce.

    Raises:
        KeyFormatError: No recipient, two types of them, or more than a header holds.
    """

    def __init__(self, recipients: Sequence[Recipient]) -> None:
        file_key = os.urandom(FILE_KEY_BYTES)
        nonce = os.urandom(PAYLOAD_NONCE_BYTES)
        self.header = bytes(_header_for(recipients, file_key)) + nonce
        self._chunks = ChunkWriter(payload_key(file_key, nonce))

    @property
    def pending_bytes(self) -> int:
        """Clear bytes taken but not yet sealed, 0 to 65,536."""
        return self._chunks.pending_bytes

    def push(self, clear: bytes) -> bytes:
        """Take clear bytes; return the sealed chunks they completed, often none."""
        return self._chunks.push(clear)

    def commit(self) -> bytes:
        """Seal a full chunk that waits; the caller vows that more bytes will follow."""
        return self._chunks.commit()

    def finish(self) -> bytes:
        """Return the last chunk."""
        return self._chunks.finish()


def read_header(blocks: Iterable[bytes]) -> Header:
    """Return the header of a file without opening it; its MAC is not checked, which needs the file key.

    Raises:
        HeaderError: It is malformed.
    """
    return parse_header(SealedBytes(blocks))


def open_stream(blocks: Iterable[bytes], identities: Sequence[Identity]) -> Iterator[bytes]:
    """Check the header at once, then yield the clear bytes as they are authenticated.

    Args:
        blocks: The file, in pieces of any size.
        identities: Keys to try, in order.

    Raises:
        HeaderError: The header is malformed or was changed.
        WrongIdentityError: No identity opens it.
        PayloadError: From the iterator, after everything authentic before the fault.
        TruncatedError: Likewise, where the file is cut off.
    """
    source = SealedBytes(blocks)
    _, file_key = _unlock(source, identities)
    nonce = source.take(PAYLOAD_NONCE_BYTES)
    if len(nonce) < PAYLOAD_NONCE_BYTES:
        raise HeaderError(f"the file ends after {len(nonce)} of the {PAYLOAD_NONCE_BYTES} bytes of its payload nonce")
    return open_chunks(source.rest(), payload_key(file_key, nonce))


def rewrap(blocks: Iterable[bytes], identities: Sequence[Identity], recipients: Sequence[Recipient]) -> Iterator[bytes]:
    """Yield the same file sealed to other recipients: a new header, then the payload as it is.

    The file key stays, so whoever could open the old file could open the new one with a
    kept file key; what changes is whose identity is needed. The payload is neither opened
    nor checked.

    Raises:
        HeaderError: The header is malformed or was changed.
        WrongIdentityError: No identity opens it.
        KeyFormatError: No recipient, two types of them, or X25519 for a file whose
            header was post-quantum: the payload would then be worth the weaker key.
    """
    profile = check_profile(recipients)
    source = SealedBytes(blocks)
    old, file_key = _unlock(source, identities)
    if profile is Profile.X25519 and any(stanza.kind == Profile.POST_QUANTUM for stanza in old.stanzas):
        raise KeyFormatError(
            "the file is sealed to post-quantum recipients and the new ones are X25519, expected age1pq1…"
        )
    new = bytes(_header_for(recipients, file_key))
    return _chain(new, source.rest())


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _header_for(recipients: Sequence[Recipient], file_key: bytes) -> Header:
    check_profile(recipients)
    header = make_header([recipient.wrap(file_key) for recipient in recipients], file_key)
    if len(bytes(header)) > MAX_HEADER_BYTES:
        raise KeyFormatError(f"{len(recipients)} recipients make a header of more than {MAX_HEADER_BYTES} bytes")
    return header


def _unlock(source: SealedBytes, identities: Sequence[Identity]) -> tuple[Header, bytes]:
    """Return the verified header and the file key; `source` then stands at the payload nonce."""
    header = parse_header(source)
    if any(stanza.kind == "scrypt" for stanza in header.stanzas):
        raise UnsupportedSealError(
            "the file is sealed to a passphrase; lamppost opens files sealed to recipients only",
            hint="`age --decrypt` opens it; sealed footage never has a passphrase",
        )
    for identity in identities:
        file_key = identity.unwrap(header.stanzas)
        if file_key is not None:
            header.verify(file_key)
            return header, file_key
    raise WrongIdentityError(
        f"none of {len(identities)} identities opens this file, which has {len(header.stanzas)} recipients",
        hint="footage of a day opens with that day's identity; check the date of the file",
    )
