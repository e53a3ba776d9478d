"""Runs the person detector beside the frames: one picture at a time, never in their way.

`ThreadedDetector` looks in a thread of its own. `offer` copies a frame only when the thread
is idle and a look is due, so a slow net costs looks, never frames; the copy is wiped when
the look is over. A net that hangs is left behind and a new one started, a few times.
`InStepDetector` looks at once, for sources that are not in real time.

The net itself is LiteRT's interpreter; nothing else of the project knows it. What it
says is checked in `agent.core.masking.ssd`.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from agent.core.masking.sightings import Look, NonsenseError
from agent.core.masking.ssd import INPUT_PX, OUTPUTS, RawBoxes, sightings_in
from agent.core.masking.tiles import Square, TilePlan
from agent.core.policy.decision import ApprovedModel
from agent.core.video import I420, FrameSize, Plane, RawFrame
from agent.errors import ModelRefusedError
from agent.ports import Clock

_log = logging.getLogger(__name__)

LOOK_EVERY_US = 500_000
HUNG_AFTER = timedelta(seconds=10)
MOST_RESTARTS = 3  # each leaves a thread and 40 MB behind; after that the frame stays hidden until the unit restarts
MOST_MODEL_BYTES = 64 * 1024 * 1024


class Net(Protocol):
    """A net with one square input."""

    def __call__(self, rgb: Plane) -> RawBoxes:
        """Return what it says of a (300, 300, 3) uint8 RGB picture.

        Raises:
            NonsenseError: It failed.
        """
        ...


def approved_model(folder: Path, models: Sequence[ApprovedModel]) -> bytes:
    """Return the first file in `folder` that the decision approves, read once and hashed as read.

    Raises:
        ModelRefusedError: There is none; the text names what was found instead.
    """
    usable = {model.sha256 for model in models if set(OUTPUTS) <= set(model.outputs)}
    if not usable:
        raise ModelRefusedError(f"no model on the decision's list has outputs {' and '.join(OUTPUTS)}")
    found = []
    try:
        for path in sorted(folder.glob("*.tflite")):
            if path.stat().st_size > MOST_MODEL_BYTES:
                found.append(f"{path.name} is larger than any model")
                continue
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            if digest in usable:
                return content
            found.append(f"{path.name} is {digest[:12]}")
    except OSError as error:
        raise ModelRefusedError(f"{folder}: {error.strerror}") from error
    raise ModelRefusedError(
        f"no approved model in {folder}: {', '.join(found) or 'it is empty'}",
        hint="`make models` fetches the one this release was measured with",
    )


def load_net(content: bytes, *, threads: int = 1) -> Net:
    """Return the net in a TFLite file.

    Raises:
        ModelRefusedError: LiteRT is not installed, or the file is not the net that is read here.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - 60 MB that only cameras with a net need
    except ImportError as error:
        raise ModelRefusedError("the package ai-edge-litert is not installed") from error
    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
        (picture,) = interpreter.get_input_details()
        outputs = {tuple(one["shape"]): one["index"] for one in interpreter.get_output_details()}
        boxes, classes = outputs[1, 1917, 4], outputs[1, 1917, 24]
    except (ValueError, RuntimeError, KeyError) as error:
        raise ModelRefusedError(f"not the detector this software reads: {error}") from error

    batch = np.zeros((1, INPUT_PX, INPUT_PX, 3), np.float32)

    def run(rgb: Plane) -> RawBoxes:
        try:
            np.divide(rgb, np.float32(127.5), out=batch[0])
            np.subtract(batch, np.float32(1), out=batch)
            interpreter.set_tensor(picture["index"], batch)
            interpreter.invoke()
            return RawBoxes(interpreter.get_tensor(boxes)[0], interpreter.get_tensor(classes)[0])
        except (ValueError, RuntimeError) as error:
            raise NonsenseError(f"the net failed: {error}") from error
        finally:
            batch[...] = 0
            interpreter.set_tensor(picture["index"], batch)  # its own copy of the picture, too

    return run


class _Eye:
    """One net, and which squares come next."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._number = 0
        self._plan: tuple[FrameSize, TilePlan] | None = None

    def look(self, pixels: I420, pts_us: int) -> Look:
        """Look at a picture. Raises NonsenseError."""
        size = pixels.size
        if self._plan is None or self._plan[0] != size:
            self._plan = (size, TilePlan.of(size))
        squares = self._plan[1].look(self._number)
        self._number += 1
        sightings = [
            sighting
            for square in squares
            for sighting in sightings_in(self._told_of(pixels, square), square.region(size))
        ]
        regions = tuple(square.region(size) for square in squares)
        return Look(pts_us=pts_us, regions=regions, sightings=tuple(sightings))

    def _told_of(self, pixels: I420, square: Square) -> RawBoxes:
        rgb = _cut(pixels, square)
        try:
            return self._net(rgb)
        finally:
            rgb[...] = 0


def _cut(pixels: I420, square: Square) -> Plane:
    """Return a square as (300, 300, 3) RGB; what was made on the way is wiped."""
    planes = []
    for plane, scale in ((pixels.y, 1), (pixels.u, 2), (pixels.v, 2)):
        top, left, side = square.top_px // scale, square.left_px // scale, square.side_px // scale
        cut = plane[top : top + side, left : left + side]
        planes.append(cv2.resize(cut, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA))
    y, u, v = planes
    merged = cv2.merge([y, v, u])
    rgb = np.asarray(cv2.cvtColor(merged, cv2.COLOR_YCrCb2RGB), np.uint8)
    for used in (*planes, merged):
        used[...] = 0
    return rgb


class InStepDetector:
    """Looks at a frame while it is offered: a file read as fast as it goes must not outrun its detector."""

    def __init__(self, net: Net, *, every_us: int = LOOK_EVERY_US) -> None:
        self._eye = _Eye(net)
        self._every_us = every_us
        self._next_us: int | None = None
        self._looks: list[Look] = []

    def offer(self, frame: RawFrame) -> None:
        """Look at the frame if a look is due."""
        if self._next_us is not None and frame.pts_us < self._next_us <= frame.pts_us + self._every_us:
            return
        self._next_us = frame.pts_us + self._every_us
        try:
            self._looks.append(self._eye.look(frame.pixels, frame.pts_us))
        except NonsenseError as error:
            _log.warning("detector: %s", error)

    def looks(self) -> Sequence[Look]:
        """Return the looks that ended since the last call."""
        ended, self._looks = self._looks, []
        return ended

    def close(self) -> None:
        """Do nothing: there is no thread."""


class ThreadedDetector:
    """Looks in a thread.

    Args:
        load: Makes the net; called in the thread, and again when it hung.
        clock: Tells when it hangs.
        every_us: Least time between the frames of two looks.
    """

    def __init__(self, load: Callable[[], Net], clock: Clock, *, every_us: int = LOOK_EVERY_US) -> None:
        self._load = load
        self._clock = clock
        self._every_us = every_us
        self._restarts = 0
        self._worker = _Worker(load)

    def offer(self, frame: RawFrame) -> None:
        """Copy the frame for a look, if one is due and the thread has nothing to do."""
        now_us = self._clock.monotonic_us()
        if self._worker.hung(now_us) and self._restarts < MOST_RESTARTS:
            _log.error("detector: the net hangs; starting another")
            self._restarts += 1
            self._worker.close()
            self._worker = _Worker(self._load)
        self._worker.offer(frame, now_us, self._every_us)

    def looks(self) -> Sequence[Look]:
        """Return the looks that ended since the last call."""
        return self._worker.taken()

    def close(self) -> None:
        """Let the thread end after the look it is at; does not wait for one that hangs."""
        self._worker.close()


class _Worker:
    """One thread with one net and one picture."""

    def __init__(self, load: Callable[[], Net]) -> None:
        self._load = load
        self._wake = threading.Condition()
        self._closed = False
        self._busy_since_us: int | None = None
        self._picture: I420 | None = None
        self._pts_us: int | None = None
        self._looks: list[Look] = []
        threading.Thread(target=self._run, name="detector", daemon=True).start()

    def offer(self, frame: RawFrame, now_us: int, every_us: int) -> None:
        with self._wake:
            last = self._pts_us
            if self._busy_since_us is not None or (last is not None and last <= frame.pts_us < last + every_us):
                return
            if self._picture is None or self._picture.size != frame.pixels.size:
                self._picture = I420.blank(frame.pixels.size)
            for mine, theirs in zip(_planes(self._picture), _planes(frame.pixels), strict=True):
                np.copyto(mine, theirs)
            self._pts_us = frame.pts_us
            self._busy_since_us = now_us
            self._wake.notify()

    def hung(self, now_us: int) -> bool:
        with self._wake:
            since = self._busy_since_us
            return since is not None and now_us - since > HUNG_AFTER // timedelta(microseconds=1)

    def taken(self) -> Sequence[Look]:
        with self._wake:
            ended, self._looks = self._looks, []
            return ended

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()

    def _run(self) -> None:
        eye: _Eye | None = None
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._busy_since_us is not None)
                if self._closed or self._picture is None or self._pts_us is None:
                    return
                picture, pts_us = self._picture, self._pts_us
            look: Look | None = None
            try:
                eye = eye or _Eye(self._load())
                look = eye.look(picture, pts_us)
            except (NonsenseError, ModelRefusedError) as error:
                _log.warning("detector: %s", error)
            finally:
                for plane in _planes(picture):
                    plane[...] = 0  # nothing of a person stays longer than the look
                with self._wake:
                    self._busy_since_us = None
                    if look is not None and not self._closed:
                        self._looks.append(look)


def _planes(pixels: I420) -> tuple[Plane, Plane, Plane]:
    return pixels.y, pixels.u, pixels.v
