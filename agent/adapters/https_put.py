"""PUT a part of a file to a presigned address, no faster than allowed.

https only, with a certificate that a known authority vouches for; plain http to this
machine itself, for tests and for a store beside the camera. No redirects: a presigned
address is for one host, and another one was not allowed. The address is a secret (its
query carries the signature) and appears in no message and no error.
"""

import http.client
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import FileIO
from pathlib import Path
from urllib.parse import urlsplit

from agent.errors import UploadError, UploadRefusedError
from agent.ports import Clock

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
PATIENCE_S = 60.0
_CHUNK_BYTES = 16 * 1024
_MAX_ETAG = 256


def check_address(url: str, *, hosts: frozenset[str]) -> None:
    """Raise UploadRefusedError if this camera may not send to `url`."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise UploadRefusedError("not an address") from None  # the error quotes it
    if host not in hosts:
        raise UploadRefusedError(
            f"this camera may not send to {host or 'nowhere'}; its configuration names who may receive"
        )
    if parts.username is not None or parts.password is not None:
        raise UploadRefusedError("an address with a password in it")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise UploadRefusedError(f"{parts.scheme} is not encrypted, expected https")


class HttpsStore:
    """An object store that takes PUT.

    Args:
        clock: For the pace.
        hosts: Which hosts it may be.
        authority: PEM file with who vouches for it, or None for the system's authorities.
    """

    def __init__(self, clock: Clock, *, hosts: frozenset[str], authority: Path | None = None) -> None:
        self._clock = clock
        self._hosts = hosts
        self._authority = authority

    def put(self, url: str, file: FileIO, length_bytes: int, *, bytes_per_s: int, stopped: Callable[[], bool]) -> str:
        """Send the next `length_bytes` of `file`, and return the store's ETag.

        Args:
            url: Where to.
            file: Positioned where to begin.
            length_bytes: How much.
            bytes_per_s: How fast at most.
            stopped: Asked between pieces; True ends it with an UploadError.

        Raises:
            UploadRefusedError: This address, or this store, does not take it; trying again is of no use.
            UploadError: It did not work; trying again may.
        """
        check_address(url, hosts=self._hosts)
        parts = urlsplit(url)
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        try:
            connection.request(
                "PUT",
                path,
                body=self._paced(file, length_bytes, bytes_per_s, stopped),
                headers={"Content-Length": str(length_bytes), "Content-Type": "application/octet-stream"},
            )
            response = connection.getresponse()
            response.read(4096)
        except ssl.SSLCertVerificationError as error:
            raise UploadRefusedError(f"the store does not prove who it is: {error.verify_message}") from None
        except (OSError, http.client.HTTPException) as error:
            raise UploadError(f"the store did not take it: {type(error).__name__}") from None
        finally:
            connection.close()
        if response.status in {200, 201, 204}:
            return (response.getheader("ETag") or "")[:_MAX_ETAG]
        words = f"the store answered {response.status}"
        # 408, 429 and all of 5xx may pass; every other answer is about the address (RFC 9110 15.5).
        if response.status >= 500 or response.status in {408, 429}:  # noqa: PLR2004
            raise UploadError(words)
        raise UploadRefusedError(words)

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
        try:
            context = ssl.create_default_context(cafile=None if self._authority is None else str(self._authority))
        except OSError as error:
            raise UploadError(f"cannot read who vouches for stores: {error.strerror}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # stores are other people's; many have no 1.3 yet
        return http.client.HTTPSConnection(host, port, timeout=PATIENCE_S, context=context)

    def _paced(self, file: FileIO, length_bytes: int, bytes_per_s: int, stopped: Callable[[], bool]) -> Iterator[bytes]:
        began_us = self._clock.monotonic_us()
        sent_bytes = 0
        while sent_bytes < length_bytes:
            if stopped():
                raise UploadError("the link was stopped")
            chunk = file.read(min(_CHUNK_BYTES, length_bytes - sent_bytes))
            if not chunk:
                raise UploadRefusedError("the segment is shorter than it was")
            yield chunk
            sent_bytes += len(chunk)
            ahead_us = sent_bytes * 1_000_000 // bytes_per_s - (self._clock.monotonic_us() - began_us)
            if ahead_us > 0:
                self._clock.wait(timedelta(microseconds=ahead_us))
