"""The wall clock of the commands; everything below them takes `now` as a parameter."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the wall clock as aware UTC, to the second: signed times carry no more."""
    return datetime.now(UTC).replace(microsecond=0)
