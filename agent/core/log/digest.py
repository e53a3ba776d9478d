"""One digest for a value of ours: what a leaf says instead of a decision or a list of private areas.

The value is spelled as JSON with sorted names: a dataclass as an object of the fields that count
for equality, an instant as RFC 3339, a duration in whole microseconds, a fraction as text in its
shortest decimal form, unless it is whole. So equal values have one digest, in any language that follows FORMAT.md.

Pure.
"""

import json
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

_MICROSECOND = timedelta(microseconds=1)


def digest_of(value: object) -> str:
    """Return the SHA-256, in hex, of the canonical spelling of `value`.

    Raises:
        TypeError: It holds something that has no spelling.
    """
    spelled = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return sha256(spelled.encode("utf-8", "replace")).hexdigest()


def _plain(value: object) -> object:
    plain: object
    match value:
        case None | int():
            plain = value
        case str():
            plain = str(value)
        case float():
            plain = int(value) if value.is_integer() else repr(value)  # 1 and 1.0 are equal
        case datetime():
            plain = value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        case timedelta():
            plain = value // _MICROSECOND
        case tuple() | list():
            plain = [_plain(each) for each in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            plain = {field.name: _plain(getattr(value, field.name)) for field in fields(value) if field.compare}
        case _:
            raise TypeError(f"no canonical spelling of a {type(value).__name__}")
    return plain
