"""A camera that comes back: watch it, say what is wrong with it, and open it again.

    for session in supervised.sessions():      # ends when the source ends or is closed
        for frame in session.frames():         # ends when this session does, for whatever reason
            ...                                # of session.mode, with pts_us rising across sessions

A *session* is one opening of the camera. It ends when the camera is gone, delivers
nothing, repeats one picture, changes its picture's size, or shows black; then the
next begins after a back-off with full jitter, on a camera made anew, because the
state of a failed one is unknown. Its frames end quietly, so that whoever consumes
them finishes the running segment and asks for the next session.

*Black* is the one fault that opening again rarely mends, for a covered lens stays
covered. It is reported after `black_after` like the others, but each session in a
row may stay black twice as long before it is reopened, up to `black_at_most`: the
black pictures are recorded meanwhile, and so is the moment the cover comes off.

The camera's own loop runs on a thread of the session and hands over one frame at a
time. *Nothing is lost here*: the loop waits until the consumer has taken the frame,
and where the consumer is too slow a live camera drops in its own queue, as it does
without us. A frame that lends the camera's buffer (`native`) holds the loop until
the consumer is done with it, because going on would give the buffer back. An error
of ours on that thread becomes an event; any other is raised to the consumer.

`pts_us` never repeats or falls, within a session or across them; `captured_at` is
passed on as the camera tells it, so a clock step shows there and reorders nothing.
"""

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import TracebackType
from typing import Self

from agent.core.backoff import Backoff
from agent.core.liveness import Liveness, Look
from agent.core.status import CameraState, CameraStatus
from agent.core.video import RawFrame, StreamMode
from agent.errors import CameraChangedError, CameraError, CameraGoneError, CameraStalledError
from agent.ports import Camera, Clock

_GLANCE = timedelta(milliseconds=50)  # how often a waiting consumer looks at the clock; a frame wakes it at once
_LEAVE_WITHIN_S = 2.0  # a loop that is not inside a driver notices `close` within one frame
MOST_STUCK = 8  # each keeps a thread and its buffers; a new process gives them back, and may open what they block


class CameraEventKind(StrEnum):
    """What happened to a camera."""

    OPENED = "opened"
    SILENT = "silent"  # no frame for `silent_after`
    FROZEN = "frozen"  # the same picture for `frozen_after`
    BLACK = "black"  # no light for `black_after`
    CHANGED = "changed"  # the picture has another size
    GONE = "gone"  # the device, file or address is not there
    FAILED = "failed"  # it is there and does not work
    RECOVERED = "recovered"  # good pictures again, for `steady_after`
    ENDED = "ended"  # a source with an end reached it


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraEvent:
    """One thing that happened to a camera.

    Attributes:
        reason: In words a person understands.
        at: Wall clock.
        session: Number of the opening it belongs to, from 1.
    """

    kind: CameraEventKind
    reason: str
    at: datetime
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigilance:
    """How long what may last.

    Attributes:
        open_within: Longest that opening may take.
        silent_after: Longest gap between two frames.
        frozen_after: Longest repetition of one picture; None for a drawn or recorded scene.
        black_after: Longest darkness before it is reported; None for a drawn or recorded scene.
        black_at_most: Longest darkness in one session before the camera is reopened once more.
        steady_after: How long pictures must be good before a failure is forgiven.
        backoff: How long to wait before opening again.
    """

    open_within: timedelta = timedelta(seconds=15)
    silent_after: timedelta = timedelta(seconds=3)
    frozen_after: timedelta | None = timedelta(seconds=3)
    black_after: timedelta | None = timedelta(seconds=3)
    black_at_most: timedelta = timedelta(minutes=10)
    steady_after: timedelta = timedelta(seconds=10)
    backoff: Backoff = field(default_factory=Backoff)

    @classmethod
    def of_a_recording(cls) -> Self:
        """Return what fits a file or a drawn scene, which may rightly stand still or be black."""
        return cls(frozen_after=None, black_after=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSession:
    """One opening of the camera.

    Attributes:
        number: From 1.
        mode: What the camera agreed to; every frame of the session keeps it.
        pictures: The frames; see `frames`.
    """

    number: int
    mode: StreamMode
    pictures: Iterator[RawFrame]

    def frames(self) -> Iterator[RawFrame]:
        """Yield the session's frames once. Ends with the session and raises nothing of the camera's."""
        return self.pictures


class SupervisedCamera:
    """Opens a camera again and again, and tells of it.

    Args:
        factory: Makes an unopened camera.
        clock: Both clocks.
        on_event: Told of each event, on the consumer's thread.
        vigilance: What counts as failing.
        on_wait: Called while there is no frame, many times a second, on the consumer's
            thread: where a watchdog is fed.
        uniform: Random source of the back-off, 0 to 1.
    """

    def __init__(
        self,
        factory: Callable[[], Camera],
        clock: Clock,
        on_event: Callable[[CameraEvent], None],
        *,
        vigilance: Vigilance | None = None,
        on_wait: Callable[[], None] = lambda: None,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._factory = factory
        self._clock = clock
        self._on_event = on_event
        self._vigilance = vigilance or Vigilance()
        self._on_wait = on_wait
        self._uniform = uniform
        self._closed = threading.Event()
        self._session = 0
        self._failures = 0  # in a row
        self._dark_sessions = 0  # in a row
        self._last_pts_us = -1
        self._shift_us = 0  # of the running session
        self._status = CameraStatus()

    def sessions(self) -> Iterator[CameraSession]:
        """Yield one session after another until the source ends or `close`.

        The frames of one must be consumed before the next is asked for.

        Raises:
            CameraStalledError: So many loops are stuck in their driver that only a new process helps.
        """
        stuck: list[_Loop] = []
        while not self._closed.is_set():
            self._session += 1
            self._shift_us = 0
            loop = _Loop(self._factory())
            try:
                mode = self._open(loop)
                if mode is not None:
                    yield CameraSession(number=self._session, mode=mode, pictures=self._watch(loop, mode))
            finally:
                if not loop.leave():
                    stuck = [one for one in (*stuck, loop) if one.running]
                    self._report(CameraEventKind.FAILED, "the camera's loop is stuck in its driver and was left there")
            if len(stuck) >= MOST_STUCK:
                raise CameraStalledError(
                    f"{len(stuck)} loops are stuck in the camera's driver",
                    hint="the recorder must be started anew; if that does not help, the board",
                )
            if self._status.state is CameraState.CLOSED:
                return
            self._back_off()
        self._status = self._status.model_copy(update={"state": CameraState.CLOSED})

    def close(self) -> None:
        """End the running session and all to come. From any thread, at any time; never raises."""
        self._closed.set()

    def status(self) -> CameraStatus:
        """Return how the camera is. From any thread."""
        return self._status

    def _open(self, loop: "_Loop") -> StreamMode | None:
        """Return the mode the camera agreed to; None if it did not open, which was reported, or was closed."""
        if self._status.state is CameraState.CLOSED:
            self._status = self._status.model_copy(update={"state": CameraState.OPENING})
        try:
            if not self._arrives(loop, within=self._vigilance.open_within):
                return None
            mode = loop.take_mode()
        except CameraError as error:
            self._fail(error)
            return None
        shown = f"{mode.size} at {float(mode.rate_hz):g} Hz"
        self._status = self._status.model_copy(update={"mode": shown, "reopened": self._session - 1})
        self._report(CameraEventKind.OPENED, shown)
        return mode

    def _watch(self, loop: "_Loop", mode: StreamMode) -> Iterator[RawFrame]:
        """Yield the frames of one session, up to its failure, which is reported."""
        darkness = _Span()
        goodness = _Span()
        liveness = Liveness(frozen_after=self._vigilance.frozen_after, black_after=self._vigilance.black_after)
        try:
            while self._arrives(loop, within=self._vigilance.silent_after):
                frame = loop.take_frame()
                if frame is None:
                    self._report(CameraEventKind.ENDED, "the source has ended")
                    return
                if frame.pixels.size != mode.size:
                    raise CameraChangedError(f"the picture is now {frame.pixels.size}, was {mode.size}")
                match liveness.look(frame):
                    case Look.FROZEN:
                        raise _FrozenError(f"the same picture for {_seconds(self._vigilance.frozen_after)}")
                    case Look.BLACK:
                        goodness.interrupt()
                        self._darken(darkness.reach(frame.pts_us))
                    case Look.LIVE:
                        darkness.interrupt()
                        self._brighten(goodness.reach(frame.pts_us))
                yield self._in_order(frame)
        except CameraError as error:
            self._fail(error)

    def _darken(self, lasted: timedelta) -> None:
        """Report the beginning of darkness, and end the session when it has lasted for this session's patience.

        Args:
            lasted: Since it was first reported in this session.
        """
        reported_after = self._vigilance.black_after or timedelta(0)
        if not lasted:
            self._dark_sessions += 1
            self._report(CameraEventKind.BLACK, f"black for {_seconds(reported_after)}; the lens may be covered")
        doubled = reported_after * (1 << min(self._dark_sessions - 1, 16))
        if lasted >= min(doubled, self._vigilance.black_at_most) - reported_after:
            raise _BlackError(f"black for {_seconds(reported_after + lasted)}; opening the camera again")

    def _brighten(self, lasted: timedelta) -> None:
        """Forgive the failures before, after enough good pictures."""
        if (self._failures or self._dark_sessions) and lasted >= self._vigilance.steady_after:
            self._failures = self._dark_sessions = 0
            self._report(CameraEventKind.RECOVERED, f"good pictures for {_seconds(lasted)}")

    def _in_order(self, frame: RawFrame) -> RawFrame:
        """Return the frame with a `pts_us` after all before it.

        A source that runs ahead of the clock, such as an unpaced file, starts again at an
        earlier time when it is reopened; its whole session is then moved, distances kept.
        """
        pts_us = frame.pts_us + self._shift_us
        if pts_us <= self._last_pts_us:
            self._shift_us += self._last_pts_us + 1 - pts_us
            pts_us = self._last_pts_us + 1
        self._last_pts_us = pts_us
        return frame if pts_us == frame.pts_us else replace(frame, pts_us=pts_us)

    def _arrives(self, loop: "_Loop", *, within: timedelta) -> bool:
        """Wait until the loop has something to take; False when closed meanwhile.

        Raises:
            CameraStalledError: Nothing came within that time.
        """
        asked_us = self._clock.monotonic_us()
        while not self._closed.is_set():
            if loop.wait(_GLANCE):
                return True
            if timedelta(microseconds=self._clock.monotonic_us() - asked_us) >= within:
                raise CameraStalledError(f"nothing for {_seconds(within)}")
            self._on_wait()
        return False

    def _fail(self, error: CameraError) -> None:
        self._failures += 1
        self._report(_kind_of(error), str(error))

    def _back_off(self) -> None:
        if not self._failures:
            return
        left = self._vigilance.backoff.delay(self._failures, self._uniform)
        until_us = self._clock.monotonic_us() + left // timedelta(microseconds=1)
        while left > timedelta(0) and not self._closed.is_set():
            self._clock.wait(min(left, _GLANCE))
            self._on_wait()
            left = timedelta(microseconds=until_us - self._clock.monotonic_us())

    def _report(self, kind: CameraEventKind, reason: str) -> None:
        now = self._clock.now()
        state = _STATES[kind]
        if kind is CameraEventKind.OPENED and self._dark_sessions:
            state = CameraState.STALLED  # that it opened says nothing about the lens
        self._status = self._status.model_copy(
            update={"state": state, "last_event": f"{kind.value}: {reason}", "last_event_at": now}
        )
        self._on_event(CameraEvent(kind=kind, reason=reason, at=now, session=self._session))


_STATES = {
    CameraEventKind.OPENED: CameraState.DELIVERING,
    CameraEventKind.SILENT: CameraState.STALLED,
    CameraEventKind.FROZEN: CameraState.STALLED,
    CameraEventKind.BLACK: CameraState.STALLED,
    CameraEventKind.CHANGED: CameraState.STALLED,
    CameraEventKind.GONE: CameraState.GONE,
    CameraEventKind.FAILED: CameraState.STALLED,
    CameraEventKind.RECOVERED: CameraState.DELIVERING,
    CameraEventKind.ENDED: CameraState.CLOSED,
}


class _FrozenError(CameraStalledError):
    """One picture, again and again."""


class _BlackError(CameraStalledError):
    """No light."""


def _kind_of(error: CameraError) -> CameraEventKind:
    match error:
        case CameraGoneError():
            return CameraEventKind.GONE
        case CameraChangedError():
            return CameraEventKind.CHANGED
        case _FrozenError():
            return CameraEventKind.FROZEN
        case _BlackError():
            return CameraEventKind.BLACK
        case CameraStalledError():
            return CameraEventKind.SILENT
        case _:
            return CameraEventKind.FAILED


class _Span:
    """How long something has lasted without interruption, on the frames' own time."""

    def __init__(self) -> None:
        self._since_us: int | None = None

    def reach(self, now_us: int) -> timedelta:
        """Say that it lasts at `now_us`; return since when, 0 the first time."""
        if self._since_us is None:
            self._since_us = now_us
        return timedelta(microseconds=now_us - self._since_us)

    def interrupt(self) -> None:
        """Say that it does not last any more."""
        self._since_us = None


class _Loop:
    """The camera's own loop on its own thread, and the one slot in which it hands things over.

    The thread is a daemon: one that hangs in a driver must not keep the process from ending.
    """

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._change = threading.Condition()
        self._slot: StreamMode | RawFrame | None = None
        self._in_use: StreamMode | RawFrame | None = None  # what the consumer took last and may still be using
        self._left = False
        self._over = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    # --- the camera's side ---

    def _run(self) -> None:
        with self:
            self._put(self._camera.open())
            for frame in self._camera.frames():
                if not self._put(frame):
                    return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, failure: BaseException | None, __: TracebackType | None) -> bool:
        # Whatever ended the loop is kept and raised where somebody hears it: on the consumer's thread.
        self._camera.close()
        with self._change:
            self._failure = failure
            self._over = True
            self._change.notify_all()
        return True

    def _put(self, item: StreamMode | RawFrame) -> bool:
        """Hand `item` over; return False when the consumer has left."""
        lent = isinstance(item, RawFrame) and item.native is not None
        with self._change:
            self._change.wait_for(lambda: self._left or self._slot is None)
            if not self._left:
                self._slot = item
                self._change.notify_all()
            if lent:
                self._change.wait_for(lambda: self._left or (self._slot is not item and self._in_use is not item))
            return not self._left

    # --- the consumer's side ---

    def wait(self, timeout: timedelta) -> bool:
        """Say that the last item was used up, and return whether the next, or the end, is there."""
        with self._change:
            self._in_use = None
            self._change.notify_all()
            return self._change.wait_for(lambda: self._slot is not None or self._over, timeout.total_seconds())

    def take_mode(self) -> StreamMode:
        """Return the mode that opening gave, or raise what opening raised."""
        mode = self._take()
        if not isinstance(mode, StreamMode):
            raise TypeError(f"a camera opens with its mode, not with {mode!r}")
        return mode

    def take_frame(self) -> RawFrame | None:
        """Return the next frame, None at the end, or raise what the camera raised."""
        frame = self._take()
        if frame is not None and not isinstance(frame, RawFrame):
            raise TypeError(f"a camera delivers frames, not {frame!r}")
        return frame

    def _take(self) -> StreamMode | RawFrame | None:
        with self._change:
            item, self._slot = self._slot, None
            self._in_use = item
            self._change.notify_all()
            if item is None and self._failure is not None:
                raise self._failure
            return item

    def leave(self) -> bool:
        """Close the camera and let its thread end; return whether it did."""
        with self._change:
            self._left = True
            self._slot = self._in_use = None
            self._change.notify_all()
        self._camera.close()
        self._thread.join(_LEAVE_WITHIN_S)
        return not self.running

    @property
    def running(self) -> bool:
        """Whether its thread has not ended."""
        return self._thread.is_alive()


def _seconds(duration: timedelta | None) -> str:
    return "ever" if duration is None else f"{duration.total_seconds():g} s"
