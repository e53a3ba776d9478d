"""The field types that charter and documents share, each with its one meaning.

Strict: nothing is coerced, nothing unknown is ignored, nothing can be changed
after it was read.
"""

import re
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

from agent.core.policy.strict_json import check_text

MAX_TEXT_CHARACTERS = 2_000  # a written reason is a paragraph
MAX_LIST = 256  # cameras of one grant, days of one document: bounds the work a signed document can ask for

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Strict(BaseModel):
    """A frozen value in which an unknown or mistyped field is an error."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("text is blank")
    if text != text.strip():
        raise ValueError("text starts or ends with a space")
    return check_text(text)


def _read_instant(value: object) -> object:
    """Read RFC 3339 in UTC to the second; one instant has one spelling."""
    if not isinstance(value, str):
        return value
    if not _INSTANT.fullmatch(value):
        raise ValueError("expected an instant such as 2026-11-28T12:00:00Z")
    return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _whole_second_utc(instant: datetime) -> datetime:
    if instant.tzinfo is not UTC or instant.microsecond:
        raise ValueError("expected a whole second in UTC")
    return instant


def write_instant(instant: datetime) -> str:
    """Return `instant` as documents spell it."""
    # Not strftime: its %Y has no leading zeros on some systems.
    return instant.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _read_day(value: object) -> object:
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("expected a day such as 2026-11-28")
    return date.fromisoformat(value) if isinstance(value, str) else value


# Not Literal[1]: to Python, True and 1.0 equal 1, and a signed document has one spelling.
VersionOne = Annotated[int, Field(ge=1, le=1)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARACTERS), AfterValidator(_not_blank)]
Clause = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,4}-[A-Z0-9][A-Z0-9.-]{0,15}$")]
Instant = Annotated[
    datetime,
    BeforeValidator(_read_instant),
    AfterValidator(_whole_second_utc),
    PlainSerializer(write_instant, when_used="json"),
]
Day = Annotated[date, BeforeValidator(_read_day)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
HeightPx = Annotated[int, Field(ge=2, le=8_640)]  # 16K, the most lines any level of H.264 or its successors knows
RateHz = Annotated[int, Field(ge=1, le=240)]
Days = Annotated[int, Field(ge=1, le=3_650)]
