"""The commissioning record: who commissioned a camera, when, what was checked, and what was found.

A record with a failed check is a record: it says that the camera was left so, and by whom. Pure.
"""

import json
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from agent.core.masking.blocks import BlockGrid
from agent.core.messages.aiming import AimingUpdate, Approval
from agent.core.policy.refusals import first_problem
from agent.core.policy.strict_json import canonical
from agent.core.policy.words import Instant, Sha256, Slug, Strict, Text
from agent.core.video import FrameSize
from agent.errors import CommissioningFormatError
from provisioning.authority.keys import OfficialKey
from provisioning.commissioning.density import Density, density
from provisioning.commissioning.proposal import Difference, Proposal
from provisioning.commissioning.signed import SignedStatement
from provisioning.words import words

KIND = "lamppost-commissioning-record"

SHARP_FROM = 0.35  # an edge over three pixels; a lens in focus at 720p has 0.5 and more
LEVEL_WITHIN_DEGREES = 2.0

Permille = Annotated[int, Field(ge=0, le=1000)]


class Check(Strict):
    """One thing that was looked at.

    Attributes:
        what: Such as "focus".
        passed: Whether it is as it should be; None if it could not be looked at.
        found: In words.
    """

    what: Literal["private-areas", "areas-in-force", "focus", "level", "reference-view", "pixel-density", "policy"]
    passed: bool | None
    found: Text


class CommissioningRecord(Strict):
    """What a technician signs at the end.

    Attributes:
        camera: Which.
        opened_at: When the window was opened.
        done_at: When the record was made.
        window: The window's name in the camera's log.
        software: The agent's version.
        width_px: Of the pictures.
        height_px: Likewise.
        policy_digest: Of the documents in force; empty before any.
        zones_sha256: Of view and zones in force, canonical; empty before a grant.
        proposal_sha256: Of the last proposal that was saved; empty without one.
        reference_sha256: The reference view's; empty without one.
        highest_px_per_m: Pixel density at the nearest face, rounded; None if nothing was measured.
        checks: What was looked at.
        remark: The technician's, or None.
    """

    camera: Slug
    opened_at: Instant
    done_at: Instant
    window: Annotated[str, Field(max_length=64)]
    software: Annotated[str, Field(max_length=64)]
    width_px: Annotated[int, Field(ge=0)]
    height_px: Annotated[int, Field(ge=0)]
    policy_digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    zones_sha256: Sha256 | Literal[""]
    proposal_sha256: Sha256 | Literal[""]
    reference_sha256: Sha256 | Literal[""]
    highest_px_per_m: Annotated[int, Field(ge=0)] | None
    checks: Annotated[tuple[Check, ...], Field(min_length=1, max_length=32)]
    remark: Text | None

    @property
    def complete(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def sign(self, key: OfficialKey) -> SignedStatement:
        """Return it signed by the technician."""
        stated: dict[str, Any] = self.model_dump(mode="json")
        return SignedStatement.sign(KIND, stated, key)


def parse_record(raw: bytes) -> tuple[CommissioningRecord, SignedStatement]:
    """Return the record in a file, and its signature, verified.

    Raises:
        CommissioningFormatError: It is no record.
        SignatureError: It was changed after it was signed.
    """
    signed = SignedStatement.parse(raw, KIND)
    try:
        return CommissioningRecord.model_validate_json(json.dumps(signed.statement)), signed
    except ValidationError as error:
        raise CommissioningFormatError(first_problem(error)) from error


def zones_digest(update: AimingUpdate) -> str:
    """Return the SHA-256 (hex) over view and zones in force, canonical; empty if nothing is granted."""
    if update.view is None:
        return ""
    stated = update.model_dump(mode="json", include={"view", "zones"})
    return sha256(canonical(stated)).hexdigest()


def checks_of(update: AimingUpdate, now: BlockGrid | None, proposal: Proposal | None) -> tuple[Check, ...]:
    """Return what can be said about a camera that shows `update`.

    Args:
        update: What it shows now.
        now: Which macroblocks the areas in force hide; None if nothing is granted or it cannot be said.
        proposal: The last one saved, or None.
    """
    return (
        _areas(proposal, update),
        _in_force(update, now, proposal),
        _focus(update),
        _level(update),
        _reference(update),
        _density(proposal, update),
        Check(
            what="policy", passed=bool(update.policy_digest), found=update.reason[:300] or words("record.policy_none")
        ),
    )


def measured(proposal: Proposal | None, update: AimingUpdate) -> Density | None:
    """Return the density at the pavement, or None if nobody measured the mounting."""
    if proposal is None or proposal.mounting is None or not update.width_px:
        return None
    return density(proposal.mounting, FrameSize(update.width_px, update.height_px))


def _areas(proposal: Proposal | None, update: AimingUpdate) -> Check:
    if proposal is not None and proposal.zones:
        return Check(what="private-areas", passed=True, found=words("record.areas_proposed", count=len(proposal.zones)))
    if proposal is not None:
        because = words("record.areas_none", statement=proposal.no_zones_statement)
        return Check(what="private-areas", passed=True, found=because[:300])
    if update.zones:
        said = words("record.areas_in_force", count=len(update.zones))
        return Check(what="private-areas", passed=True, found=said)
    return Check(what="private-areas", passed=False, found=words("record.areas_missing"))


def _in_force(update: AimingUpdate, now: BlockGrid | None, proposal: Proposal | None) -> Check:
    what: Literal["areas-in-force"] = "areas-in-force"
    if update.mismatch:
        return Check(what=what, passed=False, found=update.mismatch[:300])
    if now is None:
        return Check(what=what, passed=None, found=words("record.nothing_granted"))
    if proposal is None:
        return Check(what=what, passed=True, found=words("record.hide", hidden=int(now.sum()), blocks=now.size))
    grid = proposal.grid()
    if grid.shape != now.shape:
        return Check(what=what, passed=False, found=words("record.resized"))
    difference = Difference.between(now, grid)
    if difference.added or difference.uncovered:
        found = words("record.differs", added=difference.added, uncovered=difference.uncovered)
        return Check(what=what, passed=False, found=found)
    found = words("record.hide_proposed", hidden=difference.hidden, blocks=difference.blocks)
    return Check(what=what, passed=True, found=found)


def _focus(update: AimingUpdate) -> Check:
    if update.focus is None:
        return Check(what="focus", passed=None, found=words("record.focus_none"))
    return Check(
        what="focus",
        passed=update.focus >= SHARP_FROM,
        found=words("record.focus", percent=f"{update.focus * 100:.0f}"),
    )


def _level(update: AimingUpdate) -> Check:
    if update.roll_degrees is None:
        return Check(what="level", passed=None, found=words("record.level_none"))
    level = abs(update.roll_degrees) <= LEVEL_WITHIN_DEGREES
    return Check(what="level", passed=level, found=words("record.level", degrees=f"{update.roll_degrees:+.1f}"))


def _reference(update: AimingUpdate) -> Check:
    kept = update.reference.state is Approval.KEPT
    if kept:
        found = words("record.reference", digest=update.reference.digest[:16])
    else:
        found = update.reference.reason[:300] or words("record.reference_none")
    return Check(what="reference-view", passed=kept, found=found)


def _density(proposal: Proposal | None, update: AimingUpdate) -> Check:
    found = measured(proposal, update)
    if found is None:
        return Check(what="pixel-density", passed=None, found=words("record.density_none"))
    highest, at = f"{found.highest_px_per_m:.0f}", f"{found.highest_at_m:.1f}"
    if found.could_identify:
        said = words("record.density_high", highest=highest, at=at)
        return Check(what="pixel-density", passed=False, found=said)
    said = words("record.density", highest=highest, at=at, band=found.band or words("record.density_low"))
    return Check(what="pixel-density", passed=True, found=said)
