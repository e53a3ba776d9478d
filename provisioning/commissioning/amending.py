"""Make a proposal something officials can sign: an amended grant, or a restriction.

Pure: the caller reads the file, the city and the clock.
"""

import json

from agent.core.policy.documents import Grant, parse_document
from agent.core.policy.words import write_instant
from agent.errors import DocumentFormatError, UsageError
from provisioning.authority.compose import Act, next_id
from provisioning.authority.cross_check import documents_of
from provisioning.authority.published import PublishedCity
from provisioning.commissioning.proposal import Proposal


def amended_grant(city: PublishedCity, proposal: Proposal, act: Act) -> tuple[Grant, str]:
    """Return the camera's grant with the areas of the proposal, and the id of the grant it takes the place of.

    All else is as it was approved; those who approve sign it anew.

    Raises:
        UsageError: There is no one grant in force for this camera alone.
        PolicyError: The amended grant is none that the charter's documents allow.
    """
    grant = _grant_of(city, proposal.camera, act)
    stated = grant.model_dump(mode="json") | {
        "id": next_id("grant", city.documents, now=act.now),
        "issued_by": act.office,
        "issued_at": write_instant(act.now),
        "reason": f"{grant.reason} Private areas as drawn at the camera: {act.reason}",
        "starts_at": write_instant(max(grant.starts_at, act.now)),
        "no_zones_statement": proposal.no_zones_statement,
        **proposal.drawn(),
    }
    amended = parse_document(json.dumps(stated, ensure_ascii=False).encode())
    if not isinstance(amended, Grant):
        raise DocumentFormatError("an amended grant is a grant")
    return amended, grant.id


def _grant_of(city: PublishedCity, camera: str, act: Act) -> Grant:
    grants = [
        one
        for one in documents_of(city.documents).values()
        if isinstance(one, Grant) and camera in one.cameras and one.ends_at > act.now
    ]
    if len(grants) != 1:
        raise UsageError(
            f"{len(grants)} grants are in force for {camera}, expected one",
            hint="draft one from a file, and give it the areas: grant draft SPEC --from-proposal FILE",
        )
    if len(grants[0].cameras) > 1:
        others = ", ".join(one for one in grants[0].cameras if one != camera)
        raise UsageError(
            f"{grants[0].id} is for {others} too, and areas drawn over one picture hold for no other",
            hint="draft a grant of its own from a file: grant draft SPEC --from-proposal FILE",
        )
    return grants[0]
