"""A commissioning window: for half an hour at most, a technician sees what the recorder would record.

The window is opened and closed by a request in a folder that only technicians write to, and both are
in the log, with who asked. A window that the log does not know is not opened. What is shown:

* while recording is permitted: the frames that the encoder of the masked layer is given, twice a
  second. They are tapped at the encoder, which accepts nothing but a `MaskedFrame`;
* while it is not, and beside it: the outline of what stays (`agent.core.aiming`), which is no picture.
  Areas that are in force are left out of it;
* under a revocation: nothing. A window that is open closes.

In a window the view may be approved as the reference of the drift guard. The recorder then looks for
half a minute, as `lamppost-agent reference` does while it is off.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from agent.adapters.aiming_files import clear_sockets, put_refusal, socket_path, take_request
from agent.adapters.reference_view import ReferenceView
from agent.core.aiming import EVERY_US, LONGEST, Outline, lean_degrees, sharpness, strokes
from agent.core.masking.blocks import BlockMask
from agent.core.masking.drift import Commissioning
from agent.core.masking.masker import MaskMismatchError, Stage, compile_zones
from agent.core.messages.aiming import (
    Act,
    AimingRefusal,
    AimingRequest,
    AimingUpdate,
    Approval,
    ReferenceTold,
    Shown,
    ViewTold,
    ZoneTold,
)
from agent.core.policy.decision import Decision, Revocation
from agent.core.video import Fragment, MaskedFrame, RawFrame, StreamMode
from agent.errors import MessageFormatError, ReferenceViewError, StorageError
from agent.ports import Clock, Encoder, EventLog, SegmentEncoder, SegmentTags
from agent.recorder.commissioning import EVERY_US as LOOK_EVERY_US
from agent.recorder.commissioning import FRAMES, approve, digest_in_force

LOOK_FOR_REQUESTS_EVERY_US = 100_000
_PAUSE_US = 1_000_000  # after a request that was none: each costs a rename on the pipeline's thread

_log = logging.getLogger(__name__)

S = TypeVar("S", bound=Stage)


class Outlet(Protocol):
    """Where updates go."""

    def offer(self, update: AimingUpdate, picture: MaskedFrame | None) -> None:
        """Show an update, or drop it; never waits."""
        ...

    def close(self) -> None:
        """Show nothing more. Never raises."""
        ...


class _Window:
    """One open window, and what is shown in it."""

    def __init__(self, asked: AimingRequest, until: datetime, ends_us: int, outlet: Outlet) -> None:
        self.asked = asked
        self.until = until
        self.ends_us = ends_us
        self.outlet = outlet
        self.outline = Outline()
        self.shown = 0
        self.pictures = 0
        self.due_us = 0
        self.waiting: AimingUpdate | None = None  # for the masked frame that belongs to it


class Aiming:
    """Opens, fills and closes windows. For the pipeline's thread.

    Args:
        camera_id: Whose pictures.
        software: The agent's version.
        folder: Where requests come, and the socket is.
        clock: Both clocks.
        log: Where windows and approvals are recorded.
        reference: The drift guard's.
        renewed: Each is called when there is a new reference.
        open_outlet: Opens the socket at a path.
    """

    def __init__(  # noqa: PLR0913 - what a window touches, once
        self,
        *,
        camera_id: str,
        software: str,
        folder: Path,
        clock: Clock,
        log: EventLog,
        reference: ReferenceView,
        renewed: Sequence[Callable[[], None]],
        open_outlet: Callable[[Path], Outlet],
    ) -> None:
        self._camera_id = camera_id
        self._software = software
        self._folder = folder
        self._clock = clock
        self._log = log
        self._approving = _Approving(reference, log, clock, renewed)
        self._open_outlet = open_outlet
        self._window: _Window | None = None
        self._look_us = 0
        self._revocation = Revocation.NONE
        self._mode: StreamMode | None = None
        self._compiled: tuple[Decision, bytes, str] | None = None

    def begin_session(self, mode: StreamMode) -> None:
        """Take note of what the camera agreed to."""
        self._mode, self._compiled = mode, None

    def tick(self) -> None:
        """Look for a request if it is time, and close a window whose time is over."""
        now_us = self._clock.monotonic_us()
        if self._window is not None and now_us >= self._window.ends_us:
            self._close("its time is over")
        if now_us < self._look_us:
            return
        self._look_us = now_us + LOOK_FOR_REQUESTS_EVERY_US
        try:
            request = take_request(self._folder)
        except (MessageFormatError, StorageError) as error:
            self._look_us = now_us + _PAUSE_US
            _log.warning("a request about a commissioning window that is none: %s", error)
            return
        if request is not None:
            self._obey(request, now_us)

    def glance(self, frame: RawFrame, decision: Decision) -> None:
        """Look at a frame, and show what may be shown of it; before anything is written into its planes."""
        self._revocation = decision.revocation
        window = self._window
        if window is None:
            return
        if decision.revocation is not Revocation.NONE:
            self._close("the camera was revoked")
            return
        if frame.analysis is not None:
            self._approving.look(frame)
        if frame.pts_us < window.due_us:
            return
        window.due_us = frame.pts_us + EVERY_US
        window.waiting = None
        update = self._update(window, frame, decision)
        if decision.recording:
            window.waiting = update
        else:
            window.outlet.offer(update, None)
            window.shown += 1

    def tapped(self, encoder: Encoder) -> Encoder:
        """Return an encoder that does the same, and lets a window see its frames."""
        return _Tapped(encoder, self._show)

    def close(self) -> None:
        """Close the window, because the recorder stops."""
        self._close("the recorder stopped")

    def _show(self, frame: MaskedFrame) -> None:
        window = self._window
        if window is None or window.waiting is None:
            return
        update = window.waiting.model_copy(
            update={
                "shown": Shown.PICTURE,
                "failed_closed": frame.failed_closed or "",
                "captured_at": frame.captured_at,
            }
        )
        window.waiting = None
        window.outlet.offer(update, frame)
        window.shown += 1
        window.pictures += 1

    def _update(self, window: _Window, frame: RawFrame, decision: Decision) -> AimingUpdate:
        size, outline = frame.pixels.size, window.outline
        if frame.analysis is not None:
            outline.add(frame.analysis)
        grid, mismatch = self._grid(decision)
        drawn = b"" if mismatch else strokes(outline, grid, size)
        return AimingUpdate(
            window=window.asked.window,
            until=window.until,
            number=window.shown + 1,
            captured_at=frame.captured_at,
            camera_id=self._camera_id,
            software=self._software,
            width_px=size.width_px,
            height_px=size.height_px,
            rotation_degrees=0 if self._mode is None else self._mode.rotation_degrees,
            shown=Shown.OUTLINE if drawn else Shown.NOTHING,
            reason=decision.reason,
            policy_digest=decision.policy_digest,
            sources=decision.sources,
            people=decision.people.value,
            view=None if decision.view is None else _told(decision),
            zones=tuple(ZoneTold(name=zone.name, polygon=zone.polygon) for zone in decision.zones),
            zones_grid=grid,
            mismatch=mismatch,
            focus=sharpness(frame.pixels.y),
            roll_degrees=None if frame.analysis is None else lean_degrees(frame.analysis),
            outline=drawn,
            outline_columns=outline.columns if drawn else 0,
            outline_rows=outline.rows if drawn else 0,
            reference=self._approving.told(),
        )

    def _grid(self, decision: Decision) -> tuple[bytes, str]:
        """Return which macroblocks the areas in force hide, as bits, or why that cannot be said."""
        if self._mode is None or decision.view is None:
            return b"", ""  # nothing is granted, so nothing is drawn yet
        if self._compiled is None or self._compiled[0] is not decision:
            try:
                grid = compile_zones(decision, self._mode).grid
            except MaskMismatchError as error:
                self._compiled = (decision, b"", str(error))
            else:
                self._compiled = (decision, np.packbits(grid).tobytes(), "")
        return self._compiled[1:]

    def _obey(self, request: AimingRequest, now_us: int) -> None:
        match request.act:
            case Act.OPEN:
                self._open(request, now_us)
            case Act.APPROVE_VIEW if self._window is not None and request.window == self._window.asked.window:
                self._approving.begin()
            case Act.CLOSE if self._window is not None and request.window == self._window.asked.window:
                self._close("the technician closed it")
            case _:
                _log.info("a request of commissioning window %s, which is not open", request.window)

    def _open(self, request: AimingRequest, now_us: int) -> None:
        now = self._clock.now()
        left = min(request.until - now, LONGEST)
        if left <= timedelta(0):
            self._refuse(request, "the time it was asked for is over; the two clocks may differ")
            return
        if self._revocation is not Revocation.NONE:
            self._refuse(request, "the camera was revoked")
            return
        self._close("another was opened")
        try:
            clear_sockets(self._folder)
            outlet = self._open_outlet(socket_path(self._folder, request.window))
        except StorageError as error:
            self._refuse(request, str(error))
            return
        try:
            self._log.append(
                "commissioning-opened",
                now,
                window=request.window,
                who=request.who,
                seconds=int(left.total_seconds()),
            )
        except StorageError as error:
            outlet.close()
            self._refuse(request, f"it cannot be logged: {error}")
            return
        _log.info("commissioning window %s is open for %s", request.window, left)
        self._window = _Window(request, now + left, now_us + left // timedelta(microseconds=1), outlet)
        self._approving.reset()

    def _close(self, reason: str) -> None:
        window, self._window = self._window, None
        if window is None:
            return
        window.outlet.close()
        self._approving.reset()
        _log.info("commissioning window %s is closed: %s", window.asked.window, reason)
        try:
            self._log.append(
                "commissioning-closed",
                self._clock.now(),
                window=window.asked.window,
                who=window.asked.who,
                reason=reason,
                pictures=window.pictures,
                outlines=window.shown - window.pictures,
            )
        except StorageError as error:
            _log.error("the end of a commissioning window was not recorded: %s", error)

    def _refuse(self, request: AimingRequest, reason: str) -> None:
        _log.warning("no commissioning window for %s: %s", request.who, reason)
        try:
            put_refusal(self._folder, AimingRefusal(window=request.window, reason=reason[:1024]))
        except StorageError as error:
            _log.error("who asked for a commissioning window was not answered: %s", error)


class _Approving:
    """Makes a reference view out of the frames that pass, once it is asked for."""

    def __init__(self, kept: ReferenceView, log: EventLog, clock: Clock, renewed: Sequence[Callable[[], None]]) -> None:
        self._kept = kept
        self._log = log
        self._clock = clock
        self._renewed = renewed
        self._making: Commissioning | None = None
        self._taken = 0
        self._due_us = 0
        self._told = ReferenceTold()

    def reset(self) -> None:
        """Give up what is being made, and look up what is kept."""
        self._making = None
        try:
            digest = digest_in_force(self._kept, renew=True)
        except StorageError as error:
            self._told = ReferenceTold(state=Approval.FAILED, reason=str(error))
        else:
            self._told = ReferenceTold(state=Approval.KEPT if digest else Approval.NONE, digest=digest)

    def begin(self) -> None:
        """Make one from now on."""
        if self._making is None:
            self._making, self._taken, self._due_us = Commissioning(), 0, 0

    def look(self, frame: RawFrame) -> None:
        """Take in a frame if one is being made."""
        if self._making is None or frame.analysis is None or frame.pts_us < self._due_us:
            return
        self._making.add(frame.analysis)
        self._due_us, self._taken = frame.pts_us + LOOK_EVERY_US, self._taken + 1
        if self._taken < FRAMES:
            return
        making, self._making = self._making, None
        try:
            made = making.finish()
            approve(made, digest_in_force(self._kept, renew=True), self._kept, self._log, self._clock)
        except (ReferenceViewError, StorageError) as error:
            self._told = ReferenceTold(state=Approval.FAILED, digest=self._told.digest, reason=str(error)[:1024])
        else:
            self._told = ReferenceTold(state=Approval.KEPT, digest=made.digest)
            for renew in self._renewed:
                renew()

    def told(self) -> ReferenceTold:
        """Return how far it is."""
        if self._making is None:
            return self._told
        return ReferenceTold(state=Approval.MAKING, digest=self._told.digest, taken=self._taken, needed=FRAMES)


class RenewableStage(Generic[S]):
    """A mask stage that is made anew when what it was made from has changed.

    Args:
        make: Makes it.
        let_go: Lets go of what a stage holds. Never raises.
    """

    def __init__(self, make: Callable[[], S], let_go: Callable[[S], None] = lambda _: None) -> None:
        self._make = make
        self._let_go = let_go
        self._stage = make()

    def __call__(self, frame: RawFrame, decision: Decision) -> BlockMask | None:
        """Return what the stage of now hides."""
        return self._stage(frame, decision)

    def renew(self) -> None:
        """Make the stage anew; what it had learned is hidden until it is learned again."""
        self.close()
        self._stage = self._make()

    def close(self) -> None:
        """Let go of what the stage of now holds."""
        self._let_go(self._stage)


class _Tapped:
    """An encoder whose frames somebody else sees too."""

    def __init__(self, encoder: Encoder, show: Callable[[MaskedFrame], None]) -> None:
        self._encoder = encoder
        self._show = show

    def start(self, mode: StreamMode, tags: SegmentTags) -> SegmentEncoder:
        """Return an encoder whose first frame is a keyframe."""
        return _TappedSegment(self._encoder.start(mode, tags), self._show)


class _TappedSegment:
    """One running segment of it."""

    def __init__(self, segment: SegmentEncoder, show: Callable[[MaskedFrame], None]) -> None:
        self._segment = segment
        self._show = show

    def push(self, frame: MaskedFrame) -> Fragment | None:
        """Encode one frame; return the fragment it completed, if any."""
        self._show(frame)
        return self._segment.push(frame)

    def finish(self) -> Fragment | None:
        """Drain the codec and return the last fragment, if any frame is left in it."""
        return self._segment.finish()

    def abandon(self) -> None:
        """Let go of the codec without output. Never raises."""
        self._segment.abandon()


def _told(decision: Decision) -> ViewTold | None:
    view = decision.view
    if view is None:
        return None
    return ViewTold(
        aspect_width=view.aspect_width, aspect_height=view.aspect_height, rotation_degrees=view.rotation_degrees
    )
