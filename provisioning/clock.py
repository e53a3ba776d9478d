"""The wall clock of the commands; everything below them takes `now` as a parameter."""

import threading
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """Return the wall clock as aware UTC, to the second: signed times carry no more."""
    return datetime.now(UTC).replace(microsecond=0)


def precise_now() -> datetime:
    """Return the wall clock as aware UTC, to the microsecond: for looking at pictures, not for signing."""
    return datetime.now(UTC)


def wait(duration: timedelta) -> None:
    """Block for `duration`."""
    threading.Event().wait(duration.total_seconds())
