"""What the recorder does beside recording: status, watchdog, retention, erasure.

Runs on the pipeline's own thread, between two frames or while there is none, so
that nothing touches the ring from two sides, and a watchdog that is fed proves that
the pipeline moves. A call when nothing is due costs one look at the clock.
"""

from collections.abc import Callable
from datetime import date, datetime
from importlib.metadata import version

from agent.adapters.status_file import StatusFile
from agent.adapters.systemd_notify import SystemdNotify
from agent.core.policy.clock import ClockState
from agent.core.policy.decision import Decision, Revocation
from agent.core.status import (
    CameraStatus,
    DecisionStatus,
    FrameCounts,
    RecorderStatus,
    RecordingState,
    StorageState,
    StorageStatus,
    keys_end_in,
)
from agent.errors import StorageError, StorageFullError
from agent.ports import Clock, EventLog
from agent.recorder.housekeeping import keep_house
from agent.recorder.narrowing import Narrowing
from agent.recorder.storage import PatientStore
from agent.recorder.tally import Tally

STATUS_EVERY_US = 1_000_000
TIDY_EVERY_US = 30_000_000
STARVED_AFTER_US = 5_000_000  # two seconds longer than a camera may be silent before it is reopened
SOFTWARE_VERSION = version("lamppost")


class Caretaker:
    """Does what is due, whenever the pipeline has a moment.

    Args:
        camera_id: Whose status it is.
        clock: Both clocks.
        clock_state: What is believed about the time.
        policy_heard: Whether the watch over policy lives; if not, the watchdog starves and systemd starts us anew.
        camera_status: How the camera is.
        store: The ring.
        log: Where removals are recorded.
        narrowing: Told when holds leave no room; asked what is recorded.
        tally: What was counted.
        status_file: Where the status goes; failing to write it stops nothing.
        notifier: systemd.
        log_key: What keeps the log's key, for the status.
    """

    def __init__(  # noqa: PLR0913 - it looks at everything once a second, and decides nothing about it
        self,
        *,
        camera_id: str,
        clock: Clock,
        clock_state: Callable[[], ClockState],
        policy_heard: Callable[[], bool],
        camera_status: Callable[[], CameraStatus],
        store: PatientStore,
        log: EventLog,
        narrowing: Narrowing,
        tally: Tally,
        status_file: StatusFile,
        notifier: SystemdNotify,
        log_key: str = "",
    ) -> None:
        self._camera_id = camera_id
        self._clock = clock
        self._clock_state = clock_state
        self._policy_heard = policy_heard
        self._camera_status = camera_status
        self._store = store
        self._log = log
        self._narrowing = narrowing
        self._tally = tally
        self._status_file = status_file
        self._notifier = notifier
        self._log_key = log_key
        self._started_at = clock.now()
        self._status_due_us = 0
        self._tidy_due_us = 0
        self._tidied: Decision | None = None
        self._warned_on: date | None = None
        self._evicted = 0
        self._left = 0  # segments in the ring after it was tidied
        self._storage_state = StorageState.OK
        self._captured, self._captured_us = -1, 0

    def tick(self) -> None:
        """Do what is due. Never raises: each failure ends up in the status, and narrows."""
        now_us = self._clock.monotonic_us()
        decision = self._narrowing.policy()
        due = now_us >= self._tidy_due_us or decision is not self._tidied
        if due or self._must_make_room() or self._must_erase(decision):
            self._tidy_due_us = now_us + TIDY_EVERY_US
            self._tidied = decision
            self._tidy(decision)
            self._warn_of_keys(decision)
            self._left = self._store.use().segments
        if now_us >= self._status_due_us:
            self._status_due_us = now_us + STATUS_EVERY_US
            self.tell()

    def _must_make_room(self) -> bool:
        """Return whether the next segments lack room; not after it could not be made, or every frame would try."""
        return self._storage_state is StorageState.OK and self._store.use().crowded

    def _must_erase(self, decision: Decision) -> bool:
        """Return whether a segment came to the ring after the erasure: the one that was running when it was ordered."""
        return decision.revocation is Revocation.ERASE and self._store.use().segments != self._left

    def _tidy(self, decision: Decision) -> None:
        if not decision.recording:  # no segment is started that would look for a card that came late
            self._store.try_to_open()
        try:
            if decision.revocation is Revocation.ERASE:
                self._store.settle()
            kept = keep_house(self._store, self._log, decision=decision, clock=self._clock_state())
        except StorageFullError as error:
            self._storage_state = StorageState.FULL
            self._tally.storage_failed(error, self._clock.now())
        except StorageError as error:
            self._storage_state = StorageState.FAILED
            self._tally.storage_failed(error, self._clock.now())
        else:
            self._evicted += kept.evicted
            self._storage_state = StorageState.HELD if kept.must_go_dark else StorageState.OK
            self._narrowing.block(
                f"holds alone exceed the ring by {kept.excess_bytes} bytes" if kept.must_go_dark else ""
            )

    def _warn_of_keys(self, decision: Decision) -> None:
        """Put into the log, once a day, that the camera will soon be dark because nobody published recipients."""
        now = self._clock.now()
        if keys_end_in(decision.keys_until, now) is None or self._warned_on == now.date():
            return
        self._warned_on = now.date()
        try:
            self._log.append("keys-ending", now, until=str(decision.keys_until))
        except StorageError as error:
            self._tally.storage_failed(error, now)

    def _starved(self, captured: int) -> bool:
        """Return whether the camera has delivered nothing for so long that "recording" would be a lie."""
        now_us = self._clock.monotonic_us()
        if captured != self._captured:
            self._captured, self._captured_us = captured, now_us
        return now_us - self._captured_us > STARVED_AFTER_US

    def tell(self) -> None:
        """Write the status and feed the watchdog. Never raises."""
        if self._policy_heard():
            self._notifier.alive()
        status = self.status(self._clock.now())
        self._notifier.status(f"{status.state.value}: {status.decision.reason}")
        try:
            self._status_file.write(status)
        except StorageError as error:
            self._tally.storage_failed(error, self._clock.now())

    def status(self, now: datetime) -> RecorderStatus:
        """Return everything the recorder says about itself."""
        permitted = self._narrowing.policy()
        actual = self._narrowing.latest()
        counts = self._tally.counts()
        use = self._store.use()
        if actual.recording and not self._starved(counts.captured):
            state = RecordingState.RECORDING
        else:
            state = RecordingState.FAILED if permitted.recording else RecordingState.DARK
        storage = self._storage_state
        if self._narrowing.failing and counts.storage_error and storage is StorageState.OK:
            storage = StorageState.FAILED
        return RecorderStatus(
            camera_id=self._camera_id,
            state=state,
            decision=DecisionStatus(
                reason=actual.reason,
                policy_digest=actual.policy_digest,
                intended_use=actual.intended_use,
                changes_at=actual.changes_at,
                keys_until=permitted.keys_until,
            ),
            camera=self._camera_status(),
            frames=FrameCounts(
                captured=counts.captured,
                stored=counts.stored,
                failed_closed=counts.failed_closed,
                dropped=counts.lost,
                failed_closed_reason=counts.failed_closed_reason,
            ),
            storage=StorageStatus(
                state=storage,
                fragments=counts.fragments,
                written_bytes=counts.written_bytes,
                segments=use.segments,
                ring_bytes=use.stored_bytes,
                capacity_bytes=use.capacity_bytes,
                oldest_at=use.oldest_at,
                truncated=use.truncated,
                evicted=self._evicted,
                last_error=counts.storage_error,
                last_error_at=counts.storage_error_at,
            ),
            encoder_errors=counts.encoder_errors,
            encoder_error=counts.encoder_error,
            clock_quality=self._clock_state().quality,
            log_key=self._log_key,
            software_version=SOFTWARE_VERSION,
            started_at=self._started_at,
            updated_at=now,
        )
