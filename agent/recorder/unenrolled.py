"""A camera that nobody knows: it looks for a claim, and records nothing.

There is no policy and no name to record under. Of each frame the luma is searched for a
QR code, up to three times a second; the frame is then dropped. A claim that one of the
image's offices signed goes to the network process, which does the rest and brings it
back once the city has answered; the recorder verifies it again, keeps it for good, and
begins its real work under the name in it.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from agent.adapters.atomic_files import make_folders, write_atomically
from agent.adapters.board import Board
from agent.adapters.clock import SystemClock
from agent.adapters.identity import FOUND_FILE, REFUSED_FILE, Offices, take_name
from agent.adapters.process_hardening import harden_process
from agent.adapters.qr import read_codes
from agent.adapters.status_file import StatusFile
from agent.adapters.systemd_notify import SystemdNotify
from agent.config import Config
from agent.core.enrolment.claim import MAGIC, check_claim
from agent.core.policy.clock import ClockQuality
from agent.core.status import DecisionStatus, RecorderStatus, RecordingState, StorageState, StorageStatus
from agent.core.video import Plane, RawFrame
from agent.errors import EnrolmentError, StorageError
from agent.ports import Clock
from agent.recorder.caretaker import SOFTWARE_VERSION
from agent.recorder.sources import camera_factory
from agent.recorder.supervision import CameraEvent, SupervisedCamera

# A person holds a phone still for seconds. A look at 1280x720 costs 6 ms of one x86-64 core, at 1920x1080 15 ms.
LOOK_EVERY_US = 333_000
REFUSE_EVERY_US = 10_000_000  # the same useless code is told of again after this
_TICK_US = 250_000
_LOOK_EVERY_S = 0.25

_log = logging.getLogger(__name__)


class ClaimSearch:
    """Looks at frames for a claim.

    Args:
        config: Where everything lies.
        offices: Whose claims count.
        board: This board's serial number, or None.
        clock: Wall and monotonic time.
        read: Returns what the codes in a luma plane hold.
    """

    def __init__(
        self,
        config: Config,
        offices: Offices,
        board: str | None,
        clock: Clock,
        read: Callable[[Plane], tuple[bytes, ...]] = read_codes,
    ) -> None:
        self._outbox = config.policy.outbox
        self._offices = offices
        self._board = board
        self._clock = clock
        self._read = read
        self._next_pts_us: int | None = None
        self._found = b""
        self._refused: tuple[bytes, int] = (b"", 0)

    def look(self, frame: RawFrame) -> None:
        """Search a frame, unless the last one was searched just now. Raises StorageError."""
        if self._next_pts_us is not None and frame.pts_us < self._next_pts_us:
            return
        self._next_pts_us = frame.pts_us + LOOK_EVERY_US
        for code in self._read(frame.pixels.y):
            if code.startswith(MAGIC) and code != self._found:
                self._judge(code)

    def _judge(self, code: bytes) -> None:
        known = self._clock.quality() is ClockQuality.SYNCHRONISED
        try:
            claim = self._offices.verify(code)
            check_claim(claim, board=self._board, now=self._clock.now(), clock_known=known)
        except EnrolmentError as error:
            self._refuse(code, error)
            return
        write_atomically(self._outbox / FOUND_FILE, code, mode=0o640)
        self._found = code
        _log.info("saw a claim for %s", claim.camera_id)

    def _refuse(self, code: bytes, error: EnrolmentError) -> None:
        told, at_us = self._refused
        now_us = self._clock.monotonic_us()
        if code == told and now_us - at_us < REFUSE_EVERY_US:
            return
        self._refused = (code, now_us)
        _log.warning("saw a claim that is no use here: %s", error)
        write_atomically(self._outbox / REFUSED_FILE, f"{error}\n{self._clock.now()}\n".encode(), mode=0o640)


class _Turn:
    """What is done between two frames, four times a second; `named` says how it ended."""

    def __init__(self, config: Config, clock: Clock, notifier: SystemdNotify) -> None:
        self._config = config
        self._clock = clock
        self._notifier = notifier
        self._status_file = StatusFile(config.state.runtime / "status.json")
        self._began_at = clock.now()
        self._next_us = 0
        self.named = False

    def __call__(self) -> None:
        if self._clock.monotonic_us() < self._next_us:
            return
        self._next_us = self._clock.monotonic_us() + _TICK_US
        self._notifier.alive()
        try:
            self._status_file.write(_status(self._config, self._clock.now(), self._began_at))
            self.named = take_name(self._config)
        except StorageError as error:
            _log.error("%s", error)


def wait_for_name(config: Config, *, stop: threading.Event) -> None:
    """Look for a claim until this camera has a name, or `stop` is set.

    Raises:
        ConfigurationError: There is no file that says whose claims count, or no such camera.
        StorageError: The folders cannot be made.
    """
    if config.enrolment.offices is None:
        raise ValueError("a camera that looks for a claim has offices")
    harden_process()
    clock, notifier = SystemClock(), SystemdNotify()
    for folder in (config.state.folder, config.state.runtime, config.policy.inbox, config.policy.outbox):
        make_folders(folder)
    offices = Offices(config.enrolment.offices)
    turn = _Turn(config, clock, notifier)
    search = ClaimSearch(config, offices, Board(config.storage.footage).serial(), clock)
    factory, vigilance = camera_factory(config.camera, clock)
    camera = SupervisedCamera(factory, clock, _tell, vigilance=vigilance, on_wait=turn)
    notifier.ready()
    notifier.status("not enrolled: looking for a claim")
    with closed_when(lambda: turn.named or stop.is_set(), camera):
        for session in camera.sessions():
            for frame in session.frames():
                turn()
                try:
                    search.look(frame)
                except StorageError as error:
                    _log.error("%s", error)
    while not (turn.named or stop.wait(_LOOK_EVERY_S)):  # a source that ends: a clip
        turn()


@contextmanager
def closed_when(condition: Callable[[], bool], camera: SupervisedCamera) -> Iterator[None]:
    """Run a block that consumes `camera`, which is closed as soon as `condition` holds."""
    left = threading.Event()

    def watch() -> None:
        while not left.wait(_LOOK_EVERY_S):
            if condition():
                camera.close()

    thread = threading.Thread(target=watch, name="name", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


def _tell(event: CameraEvent) -> None:
    _log.info("camera %s: %s", event.kind, event.reason)


def _status(config: Config, now: datetime, began_at: datetime) -> RecorderStatus:
    return RecorderStatus(
        camera_id=config.camera.id,
        state=RecordingState.DARK,
        decision=DecisionStatus(reason="not enrolled: looking for a claim"),
        storage=StorageStatus(state=StorageState.OK),
        software_version=SOFTWARE_VERSION,
        started_at=began_at,
        updated_at=now,
    )
