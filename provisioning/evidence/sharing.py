"""Hold an export against the law: the table of sharing, the grants, who may export.

Narrow throughout: a row that does not name recorded footage shares none, a basis that
the row or the grant does not name is none, and a grant that has ended allows nothing.

Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from agent.core.policy.charter import Charter, SharingRow
from agent.core.policy.documents import Document, Grant, Restriction, SuspendRecipient
from agent.core.policy.words import write_instant
from agent.errors import ClauseViolationError

RECORDED = "recorded-masked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a custodian asks to export.

    Attributes:
        camera_id: Whose footage.
        row: Of the table of sharing, by its slug.
        basis: What the row asks for, such as "subpoena"; None if none was named.
        office: Who exports.
        now: When.
    """

    camera_id: str
    row: str
    basis: str | None
    office: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What allows an export: the row, its basis, and the grants that name both."""

    row: SharingRow
    basis: str
    grants: tuple[str, ...]


def permit(charter: Charter, documents: Iterable[Document], wish: Wish) -> Permission:
    """Return what allows `wish`.

    Raises:
        ClauseViolationError: Nothing does; the clause says why.
    """
    documents = tuple(documents)
    _check_office(charter, documents, wish)
    row = charter.row(wish.row)
    if row is None:
        raise ClauseViolationError(
            "SL-T2-6",
            f"{wish.row} is no row of the table of sharing of {charter.city}, and what no row names is not shared",
            hint=f"rows: {', '.join(one.id for one in charter.sharing)}",
        )
    if RECORDED not in row.what:
        _refuse(row, f"with {row.shared_with}, {', '.join(row.what)} is shared, and no recorded footage")
    if wish.basis is None:
        _refuse(row, f"no basis is named for sharing with {row.shared_with}")
    if wish.basis not in row.bases:
        _refuse(row, f"{wish.basis} is no basis for sharing with {row.shared_with}")
    return Permission(row=row, basis=wish.basis, grants=_grants(row, wish.basis, documents, wish))


def _check_office(charter: Charter, documents: tuple[Document, ...], wish: Wish) -> None:
    if wish.office in charter.administrators:
        raise ClauseViolationError("SL-3.2", f"{wish.office} administers, and an administrator exports no footage")
    if wish.office not in charter.epochs.offices:
        raise ClauseViolationError(
            "SL-3.4", f"{wish.office} exports no footage, expected {' or '.join(charter.epochs.offices)}"
        )
    refuse_suspended(
        documents, camera_id=wish.camera_id, names=frozenset({wish.office}), now=wish.now, what=wish.office
    )


def refuse_suspended(
    documents: Iterable[Document], *, camera_id: str, names: frozenset[str], now: datetime, what: str
) -> None:
    """Return unless a restriction that stands suspends the role or the holder that goes by one of `names`.

    Raises:
        ClauseViolationError: One does (JC-28).
    """
    documents = tuple(documents)
    lifted = {
        lifted
        for document in documents
        if isinstance(document, Grant) and document.starts_at <= now < document.ends_at
        for lifted in document.lifts
    }
    for document in documents:
        if not isinstance(document, Restriction) or document.id in lifted or document.starts_at > now:
            continue
        if document.cameras != "all" and camera_id not in document.cameras:
            continue
        if any(isinstance(one, SuspendRecipient) and names & {one.role, one.holder} for one in document.narrows):
            raise ClauseViolationError("JC-28", f"{what} is suspended by {document.id}: {document.reason}")


def _grants(row: SharingRow, basis: str, documents: tuple[Document, ...], wish: Wish) -> tuple[str, ...]:
    """Return the grants in force that name the camera, the row and the basis."""
    naming = [
        document
        for document in documents
        if isinstance(document, Grant)
        and wish.camera_id in document.cameras
        and any((one.row, one.basis) == (row.id, basis) for one in document.sharing)
    ]
    in_force = tuple(grant.id for grant in naming if grant.starts_at <= wish.now < grant.ends_at)
    over = max((grant for grant in naming if grant.ends_at <= wish.now), key=_end, default=None)
    if not in_force and over is not None:
        _refuse(row, f"{over.id}, which allowed it, ended at {write_instant(over.ends_at)}")
    if not in_force:
        _refuse(row, f"no grant for {wish.camera_id} names {row.id} on the basis {basis}")
    return in_force


def _end(grant: Grant) -> datetime:
    return grant.ends_at


def _refuse(row: SharingRow, why: str) -> NoReturn:
    raise ClauseViolationError(
        row.clause, why, hint=f"{row.id}: {row.condition}; bases: {', '.join(row.bases) or 'none'}"
    )
