"""Hold proposed documents against the charter before anyone signs them.

The camera does the same again with the same code (`agent.core.policy.clauses`);
here the refusal reaches the person who can still change the text. What concerns
the city's files as a whole is checked here alone: where a document lies, and that
its id was never used before.

Pure.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from agent.core.policy.charter import Charter
from agent.core.policy.clauses import check_document, check_together
from agent.core.policy.documents import (
    Document,
    EpochKeys,
    Grant,
    Hold,
    Restriction,
    Revocation,
    Waiver,
    parse_document,
)
from agent.core.policy.roles import EPOCHS, GRANTS, HOLDS, RESTRICTIONS, REVOCATIONS, WAIVERS
from agent.errors import DocumentFormatError, PolicyError

AnyDocument = Grant | Restriction | Waiver | Hold | EpochKeys | Revocation

_SHARED: Mapping[type[Document], str] = {Grant: GRANTS, Waiver: WAIVERS, EpochKeys: EPOCHS}
_OWN: Mapping[type[Document], str] = {Restriction: RESTRICTIONS, Hold: HOLDS, Revocation: REVOCATIONS}


def path_of(document: Document) -> str:
    """Return the target path of a document: by kind, by office where each has its own role, by id."""
    kind = type(document)
    if kind in _SHARED:
        return f"{_SHARED[kind]}/{document.id}.json"
    return f"{_OWN[kind]}/{document.issued_by}/{document.id}.json"


def documents_of(contents: Mapping[str, bytes]) -> dict[str, AnyDocument]:
    """Return the policy documents among `contents`, by target path.

    Raises:
        DocumentFormatError: One is no document.
    """
    families = {*_SHARED.values(), *_OWN.values()}
    return {path: parse_document(raw) for path, raw in contents.items() if path.partition("/")[0] in families}


def check_documents(
    charter: Charter,
    proposed: Mapping[str, bytes],
    existing: Mapping[str, bytes],
    withdrawn: Collection[str] = (),
    *,
    now: datetime,
) -> None:
    """Pass if `proposed` may join `existing` under `charter`, and `withdrawn` may leave it.

    Raises:
        ClauseViolationError: The charter does not allow one of them, or all of them together.
        DocumentFormatError: One is not a document, lies in the wrong place, or its id is taken.
        PolicyError: One would be over before it could be signed, or what narrows would be withdrawn.
    """
    _refuse_withdrawal(withdrawn, existing)
    taken = {path.rpartition("/")[2] for path in existing}
    for path, raw in proposed.items():
        document = parse_document(raw)
        if path != path_of(document):
            raise DocumentFormatError(f"the document at {path} belongs at {path_of(document)}")
        if f"{document.id}.json" in taken:
            raise DocumentFormatError(
                f"the id {document.id} is taken", hint="an id is used once, for ever; choose the next"
            )
        taken.add(f"{document.id}.json")
        ends_at = getattr(document, "ends_at", None)
        if ends_at is not None and ends_at <= now:
            raise PolicyError(f"{document.id} ended at {ends_at:%Y-%m-%d %H:%M} UTC, before it could take effect")
        check_document(charter, document)
    staying = {path: raw for path, raw in existing.items() if path not in withdrawn}
    together = [*documents_of(staying).values(), *documents_of(proposed).values()]
    check_together(
        [document for document in together if isinstance(document, Grant)],
        [document for document in together if isinstance(document, Waiver)],
    )


def _refuse_withdrawal(withdrawn: Collection[str], existing: Mapping[str, bytes]) -> None:
    for path in withdrawn:
        if path not in existing:
            raise PolicyError(f"{path} is not in force and cannot be withdrawn")
        if path.partition("/")[0] not in _SHARED.values():
            raise PolicyError(
                f"{path} narrows, and what narrows is not withdrawn", hint="a grant lifts it by name: lamppost lift"
            )
