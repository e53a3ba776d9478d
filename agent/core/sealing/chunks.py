"""The binary payload: 64 KiB chunks, each sealed with ChaCha20-Poly1305.

A chunk's nonce is its number and whether it is the last. The last chunk holds 1 to
65,536 bytes (none only when the payload is empty), so a writer cannot know that a
full chunk is not the last before more arrives, and holds it back until then.
Section names in comments are those of the C2SP age specification.
"""

from collections.abc import Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from agent.core.sealing.derivation import derive
from agent.errors import PayloadError, TruncatedError

CHUNK_BYTES = 64 * 1024  # "Payload"
TAG_BYTES = 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
PAYLOAD_NONCE_BYTES = 16


def payload_key(file_key: bytes, nonce: bytes) -> bytes:
    """Return the key of all chunks of one payload."""
    return derive(file_key, salt=nonce, info=b"payload")


def _chunk_nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


class ChunkWriter:
    """Seals a payload while it is made."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._waiting = bytearray()
        self._sealed_chunks = 0
        # Ciphertext of one push, kept to be written over: fresh pages would cost as much as the cipher.
        self._sealed = bytearray()

    @property
    def pending_bytes(self) -> int:
        """Clear bytes taken but not yet sealed, 0 to 65,536."""
        return len(self._waiting)

    def push(self, clear: bytes) -> bytes:
        """Take clear bytes; return the chunks that are now known not to be the last."""
        room = CHUNK_BYTES - len(self._waiting)
        if len(clear) <= room:
            self._waiting += clear
            return b""
        view = memoryview(clear)
        self._waiting += view[:room]
        ends_at = room + (len(clear) - room - 1) // CHUNK_BYTES * CHUNK_BYTES
        chunks: list[bytearray | memoryview] = [self._waiting]
        chunks += [view[at : at + CHUNK_BYTES] for at in range(room, ends_at, CHUNK_BYTES)]
        if len(self._sealed) < len(chunks) * SEALED_CHUNK_BYTES:
            self._sealed = bytearray(len(chunks) * SEALED_CHUNK_BYTES)
        target = memoryview(self._sealed)[: len(chunks) * SEALED_CHUNK_BYTES]
        for place, chunk in enumerate(chunks):
            into = target[place * SEALED_CHUNK_BYTES : (place + 1) * SEALED_CHUNK_BYTES]
            self._cipher.encrypt_into(self._next_nonce(), chunk, None, into)
        self._waiting = bytearray(view[ends_at:])
        return bytes(target)

    def commit(self) -> bytes:
        """Seal a full chunk that waits, as one that is not the last; return nothing otherwise.

        The caller vows to push at least one byte more: the last chunk must not be empty.
        """
        if len(self._waiting) < CHUNK_BYTES:
            return b""
        sealed = self._cipher.encrypt(self._next_nonce(), self._waiting, None)
        self._waiting.clear()
        return sealed

    def finish(self) -> bytes:
        """Return the last chunk.

        Raises:
            ValueError: The vow given with `commit` was not kept.
        """
        if self._sealed_chunks and not self._waiting:
            raise ValueError("the last chunk of a payload must not be empty")
        return self._cipher.encrypt(_chunk_nonce(self._sealed_chunks, last=True), self._waiting, None)

    def _next_nonce(self) -> bytes:
        nonce = _chunk_nonce(self._sealed_chunks, last=False)
        self._sealed_chunks += 1
        return nonce


def open_chunks(blocks: Iterable[bytes], key: bytes) -> Iterator[bytes]:
    """Yield the clear chunks of a payload, each only after it has been authenticated.

    Args:
        blocks: The payload after its nonce, in pieces of any size.
        key: What `payload_key` returned.

    Raises:
        TruncatedError: The payload stops before its last chunk. An altered last chunk
            that is not full cannot be told from one cut off, and is reported so, too.
        PayloadError: A chunk does not authenticate, or bytes follow the last one.
    """
    reader = _ChunkReader(key)
    held = bytearray()
    for block in blocks:
        held += block
        # One byte more than a chunk: then this chunk is not the one that ends the file.
        while len(held) > SEALED_CHUNK_BYTES:
            with memoryview(held) as whole, whole[:SEALED_CHUNK_BYTES] as chunk:
                clear = reader.open(chunk, last=False)
                ended = clear is None
                if clear is None:
                    clear = reader.open(chunk, last=True)
            if clear is None:
                raise PayloadError(f"chunk {reader.number} of the payload was altered")
            yield clear
            if ended:
                raise PayloadError("bytes follow the last chunk of the payload")
            del held[:SEALED_CHUNK_BYTES]
    yield from _open_tail(reader, bytes(held))


def _open_tail(reader: "_ChunkReader", tail: bytes) -> Iterator[bytes]:
    """Yield what the last bytes of the file, at most one chunk, hold."""
    clear = reader.open(tail, last=True)
    if clear is not None:
        if not clear and reader.number:
            raise PayloadError("the last chunk of the payload is empty")
        yield clear
        return
    if len(tail) < SEALED_CHUNK_BYTES:
        raise TruncatedError(f"the payload ends in {len(tail)} bytes that are not its last chunk: it was cut off")
    clear = reader.open(tail, last=False)
    if clear is None:
        raise PayloadError(f"chunk {reader.number} of the payload was altered")
    yield clear
    raise TruncatedError("the payload ends after a chunk that is not its last: it was cut off")


class _ChunkReader:
    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self.number = 0

    def open(self, sealed: bytes | memoryview, *, last: bool) -> bytes | None:
        """Return the next chunk's clear bytes, or None if it is not that chunk."""
        try:
            clear = self._cipher.decrypt(_chunk_nonce(self.number, last=last), sealed, None)
        except InvalidTag:  # also for fewer than 16 bytes
            return None
        if not last:
            self.number += 1
        return clear


def clear_size_bytes(payload_bytes: int) -> int:
    """Return how many clear bytes a whole payload of this many bytes (nonce included) holds.

    Raises:
        TruncatedError: No whole payload has that size.
    """
    sealed = payload_bytes - PAYLOAD_NONCE_BYTES
    full, tail = divmod(sealed, SEALED_CHUNK_BYTES)
    if sealed < TAG_BYTES or 0 < tail < TAG_BYTES or (full and tail == TAG_BYTES):
        raise TruncatedError(f"a payload of {payload_bytes} bytes is cut off: it does not end with a whole chunk")
    return sealed - TAG_BYTES * (full + (tail > 0))
