"""The aiming view of a commissioning window: what is asked of the recorder, and what it shows.

Asked with small files in a folder of its own, which neither the link nor anybody from the
network may write: `aiming.request`, replaced whole, and `aiming.refusal` if there will be no
window. Shown over a Unix socket, which exists for as long as the window does:

    update = one line of JSON (`AimingUpdate`), a line feed, then `picture_bytes` bytes of JPEG

The picture is what an encoder was given, masked. While nothing may be recorded there is none, and
the *outline* stands in for it: where edges stay, on the raster of the reference view
(`agent.core.masking.drift`) and in which direction, without brightness and colour. It is no picture. Where a signed
private area lies, it is empty.

Pure: bytes in, values out, and back.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field, NonNegativeInt, StringConstraints

from agent.core.messages.wire import KIB, CameraId, Index, Message, Part, Text, Token

PersonName = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]
Degrees = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Act(StrEnum):
    """What can be asked."""

    OPEN = "open"
    APPROVE_VIEW = "approve-view"
    CLOSE = "close"


class AimingRequest(Message):
    """What a technician asks.

    Attributes:
        window: Which commissioning window; whoever opens it names it.
        who: The technician, for the log.
        until: When the window should close; the recorder closes it after `agent.core.aiming.LONGEST` at the latest.
    """

    MAX_BYTES: ClassVar[int] = 2 * KIB

    act: Act
    window: Token
    who: PersonName
    until: AwareDatetime


class AimingRefusal(Message):
    """Why there is no window."""

    MAX_BYTES: ClassVar[int] = 4 * KIB

    window: Token
    reason: Text


class Shown(StrEnum):
    """What an update shows."""

    PICTURE = "picture"  # masked, as it is recorded
    OUTLINE = "outline"
    NOTHING = "nothing"  # no frame can be looked at, or nothing in it stays


class Approval(StrEnum):
    """How far a view is approved as the reference of the drift guard."""

    NONE = "none"
    MAKING = "making"
    KEPT = "kept"
    FAILED = "failed"


class ZoneTold(Part):
    """A private area in force."""

    name: str
    polygon: tuple[tuple[Share, Share], ...]


class ViewTold(Part):
    """The picture that the areas in force were drawn over."""

    aspect_width: int
    aspect_height: int
    rotation_degrees: int


class ReferenceTold(Part):
    """The reference of the drift guard.

    Attributes:
        digest: SHA-256 (hex) of the one that is kept; empty without one.
        taken: Frames that the one being made has.
        needed: Frames it needs.
        reason: Why it could not be made; empty otherwise.
    """

    state: Approval = Approval.NONE
    digest: str = ""
    taken: NonNegativeInt = 0
    needed: NonNegativeInt = 0
    reason: Text = ""


class AimingUpdate(Message):
    """What the recorder shows of one instant.

    Attributes:
        window: Which window.
        until: When it closes.
        number: Counts updates from 1.
        captured_at: The frame's wall clock.
        camera_id: Whose picture.
        software: The agent's version.
        width_px: Of the frames, after rotation.
        height_px: Likewise.
        rotation_degrees: Rotation already applied, clockwise.
        shown: What there is to see.
        reason: Why the camera records or is dark.
        failed_closed: Why the whole picture is filled; empty otherwise.
        policy_digest: Of the documents in force.
        sources: Their ids.
        people: How far people are hidden.
        view: What the areas in force were drawn over; None if nothing is granted.
        zones: The areas in force, as they were signed.
        zones_grid: What they hide of this stream: one bit a macroblock, row by row, first block in the highest
            bit; empty if that cannot be said.
        mismatch: Why it cannot; every picture is then filled whole.
        focus: Sharpness of the sharpest edges, 0 to 1; None if there are none.
        roll_degrees: How far upright edges lean to the right; None if there are none.
        outline: Two cells a byte, row by row, first cell in the high half: 0 no edge, 1 to 8 an edge whose gradient
            runs at (n - 1) x 22.5 degrees, modulo 180; empty before there is one.
        outline_columns: Cells across.
        outline_rows: Cells down.
        reference: Of the drift guard.
        picture_bytes: How many bytes of JPEG follow the line.
    """

    MAX_BYTES: ClassVar[int] = 1024 * KIB  # 128 areas of 64 corners in 17 digits are half of it

    window: Token
    until: AwareDatetime
    number: Index
    captured_at: AwareDatetime
    camera_id: CameraId
    software: str
    width_px: NonNegativeInt
    height_px: NonNegativeInt
    rotation_degrees: int
    shown: Shown
    reason: str
    failed_closed: str = ""
    policy_digest: str = ""
    sources: tuple[str, ...] = ()
    people: str = ""
    view: ViewTold | None = None
    zones: tuple[ZoneTold, ...] = ()
    zones_grid: bytes = b""
    mismatch: str = ""
    focus: Share | None = None
    roll_degrees: Degrees | None = None
    outline: bytes = b""
    outline_columns: NonNegativeInt = 0
    outline_rows: NonNegativeInt = 0
    reference: ReferenceTold = ReferenceTold()
    picture_bytes: Annotated[int, Field(ge=0, le=4 * 1024 * KIB)] = 0
