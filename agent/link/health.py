"""What the camera says about itself, and when: once a minute, and at once when something changes.

What changes all the time (counters, temperatures) waits for the minute; what a person would
want to be told (dark, failed, too hot, a weak supply) does not.
"""

import importlib.metadata
from collections import deque
from datetime import datetime, timedelta

from agent.adapters.board import Board
from agent.adapters.credential import DeviceCredential
from agent.adapters.status_file import StatusFile
from agent.core.messages.presence import LinkStatus, NetworkStatus, QueueStatus, Status
from agent.core.policy.clock import ClockQuality
from agent.core.status import RecorderStatus, is_stale
from agent.errors import StorageError
from agent.ports import Clock

EVERY = timedelta(minutes=1)
AT_MOST_EVERY = timedelta(seconds=1)
SOFTWARE_VERSION = importlib.metadata.version("lamppost")
_MOST_ERRORS = 8


class Health:
    """Makes one camera's statuses. For one thread; outlives sessions."""

    def __init__(
        self, camera_id: str, status_file: StatusFile, board: Board, credential: DeviceCredential, clock: Clock
    ) -> None:
        self._camera_id = camera_id
        self._status_file = status_file
        self._board = board
        self._credential = credential
        self._clock = clock
        self._started_at = clock.now()
        self._errors: deque[str] = deque(maxlen=_MOST_ERRORS)
        self._connections = 0
        self._connected_at = self._started_at
        self._expires_at: datetime | None = None
        self._last_failure = ""
        self._told_us: int | None = None
        self._told: object = None
        self._recorder: RecorderStatus | None = None
        self._recorder_problem = ""

    def clock_quality(self) -> ClockQuality:
        """Return how far the clock can be believed: as the kernel says, or as the recorder, which knows the floor."""
        own = self._clock.quality()
        if own is ClockQuality.UNKNOWN and self._recorder is not None and not self._recorder_problem:
            return self._recorder.clock_quality
        return own

    @property
    def booted_at(self) -> datetime | None:
        """When the machine started, as far as its clock knows now."""
        uptime_s = self._board.uptime_s()
        return None if uptime_s is None else self._clock.now().replace(microsecond=0) - timedelta(seconds=uptime_s)

    @property
    def policy_digest(self) -> str:
        """Digest of the policy in force, as far as the recorder says."""
        return self._recorder.decision.policy_digest if self._recorder is not None else ""

    def connected(self) -> None:
        """Take note of a new connection; a status is due."""
        self._connections += 1
        self._connected_at = self._clock.now()
        self._expires_at = self._credential.expires_at()
        self._told_us = None

    def failed(self, words: str) -> None:
        """Take note of what ended a connection, or kept it from being."""
        self._last_failure = words[:1024]
        self.note(words)

    def note(self, words: str) -> None:
        """Keep an error for the next status; the same one again is not kept twice."""
        text = words[:1024]
        if text and (not self._errors or self._errors[-1] != text):
            self._errors.append(text)

    def look(self) -> None:
        """Read what the recorder says."""
        try:
            self._recorder = self._status_file.read()
        except StorageError as error:
            self._recorder, self._recorder_problem = None, str(error)
            return
        stale = is_stale(self._recorder, now=self._clock.now())
        self._recorder_problem = "the recorder does not run, or hangs: its status is old" if stale else ""

    def due(self, queue: QueueStatus) -> Status | None:
        """Return a status if one is due now, else None."""
        now_us = self._clock.monotonic_us()
        waited = None if self._told_us is None else timedelta(microseconds=now_us - self._told_us)
        if waited is not None and waited < AT_MOST_EVERY:
            return None
        if waited is not None and waited < EVERY and self._essence() == self._told:
            return None
        self._told_us = now_us
        self._told = self._essence()
        return self.status(queue)

    def status(self, queue: QueueStatus) -> Status:
        """Return how everything is now."""
        route = self._board.route()
        return Status(
            camera_id=self._camera_id,
            at=self._clock.now(),
            recorder=self._recorder,
            recorder_problem=self._recorder_problem,
            board=self._board.status(),
            link=LinkStatus(
                software_version=SOFTWARE_VERSION,
                started_at=self._started_at,
                memory_bytes=self._board.memory_bytes(),
                certificate_expires_at=self._expires_at,
                network=NetworkStatus(
                    interface=None if route is None else route.interface,
                    signal_dbm=None if route is None else route.signal_dbm,
                    connected_at=self._connected_at,
                    connections=self._connections,
                    last_failure=self._last_failure,
                ),
                queue=queue,
                last_errors=tuple(self._errors),
            ),
        )

    def _essence(self) -> tuple[object, ...]:
        """Return what a person would want to be told at once when it changes."""
        board = self._board.status()
        machine = (board.throttled, board.under_voltage, board.disk_read_only, board.disk_error, len(self._errors))
        recorder = self._recorder
        if recorder is None:
            return (self._recorder_problem, machine)
        decision = recorder.decision
        return (
            self._recorder_problem,
            machine,
            recorder.state,
            (decision.reason, decision.policy_digest, decision.intended_use, decision.changes_at),
            (recorder.camera.state, recorder.camera.reopened),
            (recorder.storage.state, recorder.storage.last_error),
            (recorder.encoder_error, recorder.frames.failed_closed_reason, recorder.clock_quality),
            (recorder.started_at, recorder.software_version),
        )
