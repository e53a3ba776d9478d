"""Hold a request against the law: the charter's rule of release, its recipient roles, suspensions.

Narrow throughout: a basis that the charter does not name is none, an administrator is
never an end user, and whoever is suspended receives nothing.

Pure.
"""

from collections.abc import Iterable
from datetime import datetime

from agent.core.policy.charter import Charter, ReleaseRule
from agent.core.policy.decision import Originals
from agent.core.policy.documents import Document, Grant
from agent.errors import ClauseViolationError
from provisioning.evidence.sharing import refuse_suspended
from provisioning.release.papers import Investigator


def release_rule(charter: Charter) -> ReleaseRule:
    """Return who opens the sealed layer in this city.

    Raises:
        ClauseViolationError: Nobody does.
    """
    if charter.release is None:
        raise ClauseViolationError(
            "JC-8", f"the charter of {charter.city} lets nobody open the sealed layer", hint="it has no [release]"
        )
    return charter.release


def check_request(
    charter: Charter,
    documents: Iterable[Document],
    *,
    camera_id: str,
    basis: str,
    investigator: Investigator,
    now: datetime,
) -> None:
    """Return if the law lets the offices be asked for this.

    Raises:
        ClauseViolationError: It does not; the clause says why.
    """
    documents = tuple(documents)
    rule = release_rule(charter)
    if basis not in rule.bases:
        raise ClauseViolationError(
            rule.source[0],
            f"{basis} is no legal basis for opening the sealed layer",
            hint=f"bases: {', '.join(rule.bases)}",
        )
    if investigator.role in charter.administrators:
        raise ClauseViolationError("SL-3.2", f"{investigator.role} administers, and may not open footage")
    if charter.role(investigator.role) is None:
        raise ClauseViolationError("SL-3.3", f"{investigator.role} is no recipient role of {charter.city}")
    grants = [one for one in documents if isinstance(one, Grant) and camera_id in one.cameras]
    if not any(one.originals is Originals.SEALED and investigator.role in one.recipients for one in grants):
        raise ClauseViolationError(
            "SL-3.4", f"no grant for {camera_id} keeps originals and lets {investigator.role} open its footage"
        )
    refuse_suspended(
        documents,
        camera_id=camera_id,
        names=frozenset({investigator.role, investigator.holder}),
        now=now,
        what=f"{investigator.name} as {investigator.role}",
    )
