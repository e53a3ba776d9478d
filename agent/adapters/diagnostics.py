"""What a running agent says beside its event log: to journald under systemd, to people on a terminal.

journald reads a severity from the front of each line (sd-daemon(3)) and keeps process,
unit and time by itself. Acts that must be kept are in the event log; this is for whoever
looks for the reason of one. A message carries no picture, key or password.
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import TextIO

_SEVERITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


class JournalFormatter(logging.Formatter):
    """`<4>agent.recorder.app: the message`, on one line whatever the message holds."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for journald."""
        severity = _SEVERITIES.get(record.levelno, 6)
        words = super().format(record).replace("\n", " | ")
        return f"<{severity}>{record.name}: {words}"


def say_to(stream: TextIO = sys.stderr, *, environment: Mapping[str, str] = os.environ) -> None:
    """Send all diagnostics of this process to `stream`, in the form its reader understands."""
    handler = logging.StreamHandler(stream)
    if "JOURNAL_STREAM" in environment:
        handler.setFormatter(JournalFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
