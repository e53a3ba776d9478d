"""What a desk refuses to publish: a draft that lacks signatures, or that the city has moved past.

Pure: no files, no clock.
"""

from datetime import datetime

from agent.core.policy.charter import parse_charter
from agent.core.policy.release import CHARTER_PATH, ROOT, TARGETS
from agent.errors import RollbackError, SignatureError
from provisioning.authority.cross_check import check_documents
from provisioning.authority.draft import Draft, SignedRole, parse_role
from provisioning.authority.draft_signing import CheckedDraft
from provisioning.authority.published import PublishedCity


def refuse_incomplete(checked: CheckedDraft) -> None:
    """Refuse a draft that lacks signatures.

    Raises:
        SignatureError: Names who is missing.
    """
    for standing in checked.standings:
        if not standing.complete:
            names = ", ".join(str(holder) for holder in standing.missing)
            raise SignatureError(
                f"{standing.role} has {len(standing.signed)} of {standing.threshold} signatures, missing {names}",
                hint="mail them the draft; they run lamppost grant sign",
            )


def refuse_stale(draft: Draft, current: PublishedCity) -> None:
    """Refuse a draft made against versions that are no longer in force.

    Raises:
        RollbackError: A role has moved on since.
    """
    for role, raw in draft.metadata.items():
        base = parse_role(raw, role).signed.version - 1
        if base != current.version(role):
            raise RollbackError(
                f"the draft was made when {role} had version {base}, it now has {current.version(role)}",
                hint="draft it again against the city as it is; signatures cannot be carried over",
            )
    if draft.base and draft.base.get(f"metadata/{current.version(TARGETS)}.targets.json") is None:
        raise RollbackError(
            "the draft was made under another charter", hint="draft it again under the charter in force"
        )


def refuse_conflicts(draft: Draft, current: PublishedCity, *, now: datetime) -> None:
    """Refuse documents that no longer fit beside what other roles have published since.

    Raises:
        PolicyError: An id is taken meanwhile, or documents exclude each other.
    """
    if CHARTER_PATH not in draft.documents:
        charter = parse_charter(current.charter)
        check_documents(charter, draft.documents, current.documents, draft.withdrawn, now=now)


def published_already(draft: Draft, current: PublishedCity) -> bool:
    """Return whether the city already holds what `draft` proposes, and from this very draft."""
    return (
        all(current.documents.get(path) == content for path, content in draft.documents.items())
        and not any(path in current.documents for path in draft.withdrawn)
        and all(
            _in_force_or_past(role, parse_role(raw, role), current, told=bool(draft.documents or draft.withdrawn))
            for role, raw in draft.metadata.items()
        )
    )


def _in_force_or_past(role: str, metadata: SignedRole, current: PublishedCity, *, told: bool) -> bool:
    version = metadata.signed.version
    if version != current.version(role) and role != ROOT:
        # What it said then is no longer in the release; the draft's documents, if any, tell that it was published.
        return told and version < current.version(role)
    published = current.release.get(f"metadata/{version}.{role}.json")
    return published is not None and parse_role(published, role).signed_bytes == metadata.signed_bytes
