"""The last lines of the diagnostic log, for whoever asks from afar."""

import logging
from collections import deque

MOST_LINES = 100
_MOST_CHARACTERS = 512


class RecentLines(logging.Handler):
    """Keeps the last lines in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record, without a traceback: those name files and values."""
        self._lines.append(f"{record.levelname.lower()}: {record.getMessage()}"[:_MOST_CHARACTERS])

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines, oldest first."""
        return tuple(self._lines)
