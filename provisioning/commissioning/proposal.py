"""What a technician proposes: private areas and counting lines, drawn over the camera's own picture.

A proposal changes nothing. Officials make it a grant (`lamppost grant draft --from-proposal`) or, because
more private areas narrow, one of them makes it a restriction (`lamppost restrict --from-proposal`).

Pure.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from math import gcd
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from agent.core.masking.blocks import BlockGrid, BlockMask
from agent.core.places import Line
from agent.core.policy.documents import MAX_ZONES, Coordinate, DrawnOver, PrivateZone
from agent.core.policy.refusals import first_problem
from agent.core.policy.strict_json import canonical
from agent.core.policy.words import Instant, Slug, Strict, Text
from agent.core.video import FrameSize
from agent.errors import CommissioningFormatError
from provisioning.authority.keys import OfficialKey
from provisioning.commissioning.density import Mounting
from provisioning.commissioning.signed import SignedStatement
from provisioning.commissioning.street import NOTHING_MEASURED, CountingArea, MeasuredStreet, ground_of

KIND = "lamppost-proposal"
MAX_LINES = 16
_LEAST_AREA = 1e-5  # of the picture: a tenth of a macroblock at 720p

EvenSide = Annotated[int, Field(ge=64, le=8192, multiple_of=2)]


class CountingLine(Strict):
    """Where passages are counted, from left to right for one who looks from start to end."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    start: tuple[Coordinate, Coordinate]
    end: tuple[Coordinate, Coordinate]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        Line(name=self.name, start=self.start, end=self.end)
        return self


def _is_empty(street: MeasuredStreet) -> bool:
    return street == NOTHING_MEASURED


class Proposal(Strict):
    """Everything proposed for one camera.

    Attributes:
        camera: Whose picture it was drawn over.
        drawn_at: When it was saved.
        width_px: Of the picture.
        height_px: Likewise.
        view: The picture's shape and rotation, as grants state it.
        zones: All private areas there should be, those in force included.
        no_zones_statement: Why there are none, where there are none (JC-12).
        lines: Counting lines; for the camera's configuration.
        mounting: As measured, or None.
        street: What was measured for counting; not spelled where nothing was.
        comment: To the officials, or None.
        policy_digest: Of the documents in force when it was drawn; empty before any.
    """

    camera: Slug
    drawn_at: Instant
    width_px: EvenSide
    height_px: EvenSide
    view: DrawnOver
    zones: Annotated[tuple[PrivateZone, ...], Field(max_length=MAX_ZONES)]
    no_zones_statement: Text | None
    lines: Annotated[tuple[CountingLine, ...], Field(max_length=MAX_LINES)]
    mounting: Mounting | None
    street: Annotated[MeasuredStreet, Field(exclude_if=_is_empty)] = NOTHING_MEASURED
    comment: Text | None
    policy_digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.zones and self.no_zones_statement is None:
            raise ValueError("no private area is drawn, and nothing says why there is none (JC-12)")
        if self.zones and self.no_zones_statement is not None:
            raise ValueError("private areas are drawn, and a statement says there are none (JC-12)")
        counted: list[CountingLine | CountingArea] = [*self.lines, *self.street.areas]
        for what, named in (("areas", self.zones), ("lines", self.lines), ("places to count at", counted)):
            if len({one.name for one in named}) < len(named):
                raise ValueError(f"two {what} have the same name")
        for zone in self.zones:
            if _area(zone.polygon) < _LEAST_AREA:
                raise ValueError(f"area {zone.name!r} has next to no area")
        if self.grid().all():
            raise ValueError("the areas hide the whole picture; a camera that may see nothing is taken down instead")
        return self

    @property
    def size(self) -> FrameSize:
        """The picture's."""
        return FrameSize(self.width_px, self.height_px)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical statement: its name in a commissioning record."""
        return sha256(canonical(self.stated())).hexdigest()

    def grid(self) -> BlockGrid:
        """Return which macroblocks the areas hide, (rows, columns)."""
        return BlockMask.from_zones(self.size, [zone.zone() for zone in self.zones]).grid

    def stated(self) -> dict[str, Any]:
        """Return it as JSON values."""
        stated: dict[str, Any] = self.model_dump(mode="json")
        return stated

    def sign(self, key: OfficialKey) -> SignedStatement:
        """Return it signed by a technician."""
        return SignedStatement.sign(KIND, self.stated(), key)

    def drawn(self) -> dict[str, object]:
        """Return view and zones, under the field names of grants and restrictions."""
        stated = self.stated()
        return {"view": stated["view"], "zones": stated["zones"]}

    def zones_toml(self) -> str:
        """Return view and areas as the first lines of a grant's file: keys, no tables, so that more keys may follow."""
        view = self.view
        areas = "".join(
            f"  {{ name = {_quoted(zone.name)}, polygon = [{', '.join(f'[{x}, {y}]' for x, y in zone.polygon)}] }},\n"
            for zone in self.zones
        )
        without = (
            "" if self.no_zones_statement is None else f"no_zones_statement = {_quoted(self.no_zones_statement)}\n"
        )
        return (
            f"view = {{ aspect_width = {view.aspect_width}, aspect_height = {view.aspect_height}, "
            f"rotation_degrees = {view.rotation_degrees} }}\nzones = [\n{areas}]\n{without}"
        )

    def counting_toml(self) -> str:
        """Return where it is counted, and where the ground is if that is known, as a camera's configuration has it."""
        lines = (
            f"[[counting.lines]]\nname = {_quoted(line.name)}\n"
            f"start = [{line.start[0]}, {line.start[1]}]\nend = [{line.end[0]}, {line.end[1]}]\n\n"
            for line in self.lines
        )
        areas = (
            f"[[counting.areas]]\nname = {_quoted(area.name)}\n"
            f"polygon = [{', '.join(f'[{x}, {y}]' for x, y in area.polygon)}]\n\n"
            for area in self.street.areas
        )
        points = [each.point() for each in self.street.points]
        if self.lines and not points and self.mounting is not None:
            points = [*ground_of(self.mounting, self.size)]
        ground = (
            f"[[counting.ground]]\nat = [{x}, {y}]\nmetres = [{across_m}, {ahead_m}]\n\n"
            for (x, y), (across_m, ahead_m) in ((each.at, each.metres) for each in points)
        )
        return "".join((*lines, *areas, *ground))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a proposal would change, in macroblocks of the picture.

    Attributes:
        blocks: In the picture.
        hidden: By the proposal.
        added: Hidden by the proposal and not now.
        uncovered: Hidden now and not by the proposal.
    """

    blocks: int
    hidden: int
    added: int
    uncovered: int

    @property
    def narrows_only(self) -> bool:
        """Whether one official may make it a restriction without anything being lost: it uncovers nothing."""
        return self.uncovered == 0

    @classmethod
    def between(cls, now: BlockGrid | None, proposed: BlockGrid) -> Self:
        """Return the difference between the areas in force, if there are any, and the proposed ones."""
        before = proposed & False if now is None else now
        return cls(
            blocks=proposed.size,
            hidden=int(proposed.sum()),
            added=int((proposed & ~before).sum()),
            uncovered=int((before & ~proposed).sum()),
        )


def view_of(size: FrameSize, rotation_degrees: int) -> DrawnOver:
    """Return the shape of a picture, in its smallest numbers, and its rotation."""
    common = gcd(size.width_px, size.height_px)
    return DrawnOver(
        aspect_width=size.width_px // common,
        aspect_height=size.height_px // common,
        rotation_degrees=rotation_degrees,
    )


def make_proposal(stated: dict[str, Any]) -> Proposal:
    """Return the proposal that `stated` describes.

    Raises:
        CommissioningFormatError: It is none that officials could use; says what is wrong first.
    """
    try:
        return Proposal.model_validate_json(json.dumps(stated))
    except (ValidationError, ValueError) as error:
        said = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise CommissioningFormatError(said) from error


def parse_proposal(raw: bytes) -> tuple[Proposal, SignedStatement]:
    """Return the proposal in a file, and its signature, verified.

    Raises:
        CommissioningFormatError: It is no proposal.
        SignatureError: It was changed after it was signed.
    """
    signed = SignedStatement.parse(raw, KIND)
    return make_proposal(signed.statement), signed


def _quoted(words: str) -> str:
    """Return a basic string of TOML; what JSON escapes, TOML escapes alike."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")


def _area(polygon: tuple[tuple[float, float], ...]) -> float:
    following = (*polygon[1:], polygon[0])
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in zip(polygon, following, strict=True))) / 2
