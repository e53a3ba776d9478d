"""Read a proposal at a desk, and tell whose it is."""

from collections.abc import Sequence
from pathlib import Path

from agent.errors import UsageError
from provisioning.authority import desk, files
from provisioning.commissioning.proposal import Proposal, parse_proposal
from provisioning.commissioning.signed import MAX_BYTES
from provisioning.words import words


def read_proposal(path: Path) -> Proposal:
    """Return the proposal in a file, its signature verified, and tell who drew it.

    Raises:
        CommissioningFormatError: It is no proposal.
        SignatureError: It was changed after it was signed.
        StorageError: It cannot be read.
    """
    proposal, signed = parse_proposal(files.read_capped(path, max_bytes=MAX_BYTES))
    card = signed.card
    desk.say(words("commission.drawn_by", camera=proposal.camera, name=card.name, fingerprint=card.fingerprint))
    if proposal.comment is not None:
        desk.say(words("commission.comment", comment=proposal.comment))
    return proposal


def drawn_for(cameras: Sequence[str], path: Path) -> dict[str, object]:
    """Return view and areas of a proposal, as a restriction for the camera it was drawn at has them.

    Raises:
        UsageError: The restriction would be for another camera, or there is no area.
        LamppostError: As `read_proposal`.
    """
    proposal = read_proposal(path)
    if list(cameras) != [proposal.camera]:
        raise UsageError(f"the areas were drawn at {proposal.camera}, and hold for no other camera")
    if not proposal.zones:
        raise UsageError("the proposal draws no areas, so there is nothing to restrict")
    return proposal.drawn()
