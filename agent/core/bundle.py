"""A bundle: one policy release as one map of names to bytes, and nothing else.

On the wire it is one canonical CBOR map (RFC 8949 4.2.1) from text to byte strings.
The names are the relative addresses a TUF client asks for, so that a bundle is a
repository that needs no server:

    metadata/2.root.json  metadata/timestamp.json  metadata/7.snapshot.json
    metadata/3.grants.json  targets/grants/<sha256>.g-2026-001.json

Nothing here is verified: a bundle is a package, its content proves itself later.
What is refused here is refused because of its shape alone, before a byte of it is
interpreted: size first, then the one shape, then the names.

Pure: bytes in, a map out, and back.
"""

import re
from collections.abc import Mapping

import cbor2

from agent.core.bundle_size import MAX_BUNDLE_BYTES as MAX_BUNDLE_BYTES  # noqa: PLC0414 - exported from here too
from agent.errors import BundleFormatError

MAX_ENTRIES = 2048
MAX_DOCUMENT_BYTES = 64 * 1024  # what one target may weigh; the largest real grant is under 8 KiB
MAX_METADATA_BYTES = 512 * 1024  # python-tuf's own bound for root, the largest of its kind

METADATA = "metadata/"
TARGETS = "targets/"

# Segments start with a letter or digit, so that neither "..", nor a hidden or an absolute name can be spelled.
_NAME = re.compile(r"(?:metadata|targets)(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){1,3}", re.ASCII)
_MAP = 5  # CBOR major type, the top three bits of the first byte


def decode_bundle(packed: bytes) -> dict[str, bytes]:
    """Return the map that `packed` is.

    Args:
        packed: What arrived; the caller has not read more than `MAX_BUNDLE_BYTES` + 1 of it.

    Raises:
        BundleFormatError: It is anything but one canonical map of allowed names to byte strings.
    """
    if len(packed) > MAX_BUNDLE_BYTES:
        raise BundleFormatError(f"the bundle has more than the {MAX_BUNDLE_BYTES} bytes allowed")
    if not packed or packed[0] >> 5 != _MAP:
        raise BundleFormatError("the bundle is not a CBOR map (RFC 8949 3.1, major type 5)")
    try:
        # Depth 1 refuses every array, map and tag inside: no tag ever gets to build a date, a regular
        # expression or a number of a million digits.
        entries: dict[object, object] = cbor2.loads(
            packed, max_depth=1, allow_indefinite=False, allow_duplicate_keys=False
        )
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise BundleFormatError(f"the bundle is not a CBOR map of text to bytes: {_one_line(error)}") from error
    return _checked(entries, packed)


def encode_bundle(entries: Mapping[str, bytes]) -> bytes:
    """Return the one byte string that `decode_bundle` accepts for `entries`.

    Raises:
        BundleFormatError: A name or a size is not allowed.
    """
    packed = cbor2.dumps(dict(entries), canonical=True)
    if len(packed) > MAX_BUNDLE_BYTES:
        raise BundleFormatError(f"the bundle has {len(packed)} bytes, more than the {MAX_BUNDLE_BYTES} allowed")
    _checked(dict(entries), packed)
    return packed


def _checked(entries: Mapping[str, object] | Mapping[object, object], packed: bytes) -> dict[str, bytes]:
    """Return `entries` with its type proved, if it keeps every rule."""
    if len(entries) > MAX_ENTRIES:
        raise BundleFormatError(f"the bundle has {len(entries)} entries, more than the {MAX_ENTRIES} allowed")
    proved: dict[str, bytes] = {}
    for name, content in entries.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise BundleFormatError(f"the bundle has an entry named {name!r:.80}, which is not allowed")
        if not isinstance(content, bytes):
            raise BundleFormatError(f"the bundle's entry {name} is not a byte string")
        limit = MAX_METADATA_BYTES if name.startswith(METADATA) else MAX_DOCUMENT_BYTES
        if len(content) > limit:
            raise BundleFormatError(f"the bundle's entry {name} has {len(content)} bytes, more than {limit}")
        proved[name] = content
    # One map, one spelling: refuses trailing bytes, longer lengths than needed and entries out of order.
    if cbor2.dumps(proved, canonical=True) != packed:
        raise BundleFormatError("the bundle is not canonical CBOR (RFC 8949 4.2.1)")
    return proved


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
