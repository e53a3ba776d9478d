"""Begin again and again until the card lets us.

A card that is full, read-only or failing at the start would end the process; systemd would
start it anew, a few times, and then leave the pole silent. So the daemon waits instead: it records
nothing, says why, feeds the watchdog, and begins by itself once the card can be written.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from agent.adapters.status_file import StatusFile
from agent.adapters.systemd_notify import SystemdNotify
from agent.core.status import DecisionStatus, RecorderStatus, RecordingState, StorageState, StorageStatus
from agent.errors import StorageError
from agent.ports import Clock
from agent.recorder.caretaker import SOFTWARE_VERSION

TRY_EVERY_S = 2.0  # well below any watchdog's patience

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def begin_patiently(
    begin: Callable[[], _T], tell: Callable[[StorageError], None], *, stop: threading.Event
) -> _T | None:
    """Return what `begin` returns once it does not raise a StorageError; None if `stop` was set before.

    Args:
        begin: To be tried; it leaves nothing open behind when it raises.
        tell: Told of each failure, often.
        stop: Ends the waiting.

    Raises:
        LamppostError: What else `begin` raises: waiting does not mend a configuration.
    """
    said = ""
    while not stop.is_set():
        try:
            return begin()
        except StorageError as error:
            if str(error) != said:
                said = str(error)
                _log.error("cannot begin, nothing is recorded: %s", said)
            tell(error)
        stop.wait(TRY_EVERY_S)
    return None


class WaitingStatus:
    """Tells, in the place where the recorder's status is looked for, that it cannot begin.

    Args:
        camera_id: Whose status it is.
        clock: Wall clock.
        status_file: Where the status goes; that it cannot be written there either stops nothing.
        notifier: systemd.
    """

    def __init__(self, camera_id: str, clock: Clock, status_file: StatusFile, notifier: SystemdNotify) -> None:
        self._camera_id = camera_id
        self._clock = clock
        self._status_file = status_file
        self._notifier = notifier
        self._since = clock.now()

    def __call__(self, error: StorageError) -> None:
        """Tell why the recorder cannot begin, and that it is alive. Never raises."""
        self._notifier.ready()  # or systemd would give up on a unit that is alive and knows what it waits for
        self._notifier.alive()
        self._notifier.status(f"{RecordingState.FAILED.value}: {error}")
        try:
            self._status_file.write(self._status(str(error), self._clock.now()))
        except StorageError as worse:
            _log.error("%s", worse)

    def _status(self, why: str, now: datetime) -> RecorderStatus:
        return RecorderStatus(
            camera_id=self._camera_id,
            state=RecordingState.FAILED,
            decision=DecisionStatus(reason=f"the recorder cannot begin: {why}"),
            storage=StorageStatus(state=StorageState.FAILED, last_error=why, last_error_at=now),
            software_version=SOFTWARE_VERSION,
            started_at=self._since,
            updated_at=now,
        )
