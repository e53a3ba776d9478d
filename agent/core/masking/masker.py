"""Make the only frames an encoder accepts, and hide everything when in doubt.

*Fail closed*: when the masker cannot be sure, it fills the whole frame, says why,
and goes on. It is not sure when no mask fits the stream (another size, shape or
rotation than the zones were drawn for), or when any stage raises. A frame that
cannot even be filled is not returned at all: the error reaches the caller.

*Two layers.* What people mostly work with is the masked layer. Where the decision keeps
originals, what the stages hid goes into the sealed layer, its complement: the hidden
blocks as they were, everything else filled, fixed zones filled in both. A frame that
failed closed is filled in both: what was not understood is not kept anywhere.

*Nothing hidden stays.* When a frame has been masked, its analysis plane is wiped, and the sealed
layer's planes are as soon as no decision keeps it.

Pure but for writing into the frame's own planes. This is the only module that
makes a `MaskedFrame`; tests/test_architecture.py holds it to that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from agent.core.masking.blocks import BlockMask, fill_whole
from agent.core.policy.decision import Decision, Originals
from agent.core.video import I420, FrameSize, Layer, MaskedFrame, RawFrame, StreamMode
from agent.core.zones import View, Zone

Stage = Callable[[RawFrame, Decision], BlockMask | None]
"""Looks at a frame and says which blocks to hide beyond the zones; raises to hide all."""

Caption = Callable[[I420, datetime], None]
"""Writes on a strip that it fills first, after everything is masked."""

ASPECT_TOLERANCE_RATIO = 0.01  # 1366x768 passes for 16:9; 4:3 never does


class MaskMismatchError(Exception):
    """No mask fits the frame; the whole frame must be filled."""


class Masker:
    """Hides zones, and whatever its stages find, in the frames of one stream."""

    def __init__(self, mode: StreamMode, stages: Sequence[Stage] = (), caption: Caption | None = None) -> None:
        self._mode = mode
        self._caption = caption
        self._stages = tuple(stages)
        self._compiled: tuple[Decision, BlockMask] | None = None
        self._canvas: I420 | None = None  # of the sealed layer; reused, for an encoder copies what it is given

    def mask(self, frame: RawFrame, decision: Decision) -> MaskedFrame:
        """Hide in `frame`, in place, what `decision` and the stages say, and return it as safe to encode."""
        return self.layers(frame, decision)[Layer.MASKED]

    def layers(self, frame: RawFrame, decision: Decision) -> Mapping[Layer, MaskedFrame]:
        """Do the same, and return with it the sealed layer where the decision keeps one.

        The sealed layer's planes are written again with the next frame.
        """
        canvas = self._canvas_of(frame.pixels.size, decision)
        failed_closed = None
        try:
            zones, found = self._zones(frame.pixels.size, decision), self._found(frame, decision)
            if canvas is not None:
                _keep_hidden(frame.pixels, canvas, found)
                zones.fill(canvas)
            for mask in (zones, *found):
                mask.fill(frame.pixels)
            if self._caption is not None:
                self._caption(frame.pixels, frame.captured_at)
        except Exception as error:  # noqa: BLE001 - whatever a stage throws, the answer is to hide the frame
            failed_closed = f"{type(error).__name__}: {error}"
            fill_whole(frame.pixels)
            if canvas is not None:
                fill_whole(canvas)
        finally:
            if frame.analysis is not None and frame.analysis.flags.writeable:
                frame.analysis[...] = 0
        layers = {Layer.MASKED: _masked(frame, frame.pixels, failed_closed, native=frame.native)}
        if canvas is not None:
            layers[Layer.SEALED] = _masked(frame, canvas, failed_closed, native=None)
        return layers

    def _canvas_of(self, size: FrameSize, decision: Decision) -> I420 | None:
        """Return the planes of the sealed layer, or None where none is kept; old ones are wiped."""
        wanted = decision.originals is Originals.SEALED
        if self._canvas is not None and not (wanted and self._canvas.size == size):
            fill_whole(self._canvas)
            self._canvas = None
        if wanted and self._canvas is None:
            self._canvas = I420.blank(size)
        return self._canvas

    def _found(self, frame: RawFrame, decision: Decision) -> list[BlockMask]:
        # All stages look before anything is filled, so that none sees another's mask as scene.
        return [mask for stage in self._stages if (mask := stage(frame, decision)) is not None]

    def _zones(self, size: FrameSize, decision: Decision) -> BlockMask:
        if size != self._mode.size:
            raise MaskMismatchError(f"the camera agreed to {self._mode.size} and delivered {size}")
        if self._compiled is None or self._compiled[0] is not decision:
            self._compiled = (decision, compile_zones(decision, self._mode))
        return self._compiled[1]


def _masked(frame: RawFrame, pixels: I420, failed_closed: str | None, *, native: object | None) -> MaskedFrame:
    return MaskedFrame(
        pixels=pixels,
        pts_us=frame.pts_us,
        captured_at=frame.captured_at,
        native=native,
        failed_closed=failed_closed,
    )


def _keep_hidden(pixels: I420, canvas: I420, masks: Sequence[BlockMask]) -> None:
    """Make `canvas` the complement: the blocks that `masks` hide as they are in `pixels`, the rest filled."""
    fill_whole(canvas)
    for mask in masks:
        mask.copy(pixels, canvas)


def compile_zones(decision: Decision, mode: StreamMode) -> BlockMask:
    """Return the mask of a decision's zones on a stream.

    Raises:
        MaskMismatchError: The stream does not show the picture the zones were drawn over.
    """
    view = decision.view
    if view is None:
        raise MaskMismatchError("the decision does not say which view its zones were drawn over")
    turned = (mode.rotation_degrees - view.rotation_degrees) % 360
    if turned not in {0, 90, 180, 270}:
        raise MaskMismatchError(f"the stream is turned by {turned} degrees against the view the zones were drawn over")
    shape = View(view.aspect_width, view.aspect_height) if turned in {0, 180} else _on_its_side(view)
    aspect = mode.size.width_px / mode.size.height_px
    drawn = shape.aspect_width / shape.aspect_height
    if abs(aspect / drawn - 1) > ASPECT_TOLERANCE_RATIO:
        raise MaskMismatchError(
            f"the zones were drawn over a view of {shape.aspect_width}:{shape.aspect_height}, the stream is {mode.size}"
        )
    return BlockMask.from_zones(mode.size, [_turned(zone, turned) for zone in decision.zones])


def _on_its_side(view: View) -> View:
    return View(view.aspect_height, view.aspect_width)


def _turned(zone: Zone, degrees: int) -> Zone:
    """Return the zone as it lies in a picture turned clockwise by a multiple of 90 degrees."""
    polygon = zone.polygon
    for _ in range(degrees // 90):
        polygon = tuple((1 - y, x) for x, y in polygon)
    return replace(zone, polygon=polygon)
