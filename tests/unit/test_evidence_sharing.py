"""Footage leaves the city only as its table, a grant and the exporter allow; else the clause says why."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent.core.policy.charter import Charter, SharingRow, read_charter_toml
from agent.core.policy.documents import Document, Sharing, SuspendRecipient
from agent.errors import ClauseViolationError
from provisioning.evidence.sharing import Permission, Wish, permit
from tests.fakes.documents import CAMERA, CHARTERS, NOON, grant, restriction

ST_LOUIS = read_charter_toml((CHARTERS / "st-louis.toml").read_text(encoding="utf-8"))
REDONDO_BEACH = read_charter_toml((CHARTERS / "redondo-beach.toml").read_text(encoding="utf-8"))
EVERY_ROW = tuple(Sharing(row=row.id, basis=basis) for row in ST_LOUIS.sharing for basis in row.bases)
WISH = Wish(camera_id=CAMERA, row="law-enforcement", basis="prosecution", office=ST_LOUIS.epochs.offices[0], now=NOON)


def asked(
    *documents: Document, charter: Charter = ST_LOUIS, sharing: tuple[Sharing, ...] = EVERY_ROW, **changes: Any
) -> Permission:
    return permit(charter, documents or (grant(sharing=sharing),), replace(WISH, **changes))


def clause_of(*documents: Document, **changes: Any) -> str:
    with pytest.raises(ClauseViolationError) as refusal:
        asked(*documents, **changes)
    return refusal.value.clause


def test_a_prosecution_may_have_what_the_grant_names() -> None:
    permission = asked()

    assert (permission.row.clause, permission.basis, permission.grants) == ("SL-T2-1", "prosecution", ("g-2026-001",))


def test_a_civil_case_needs_a_warrant_or_a_subpoena() -> None:
    assert clause_of(row="civil-case", basis=None) == "SL-T2-3"
    assert clause_of(row="civil-case", basis="prosecution") == "SL-T2-3"
    assert asked(row="civil-case", basis="subpoena").row.clause == "SL-T2-3"
    assert asked(row="civil-case", basis="warrant").row.clause == "SL-T2-3"


@pytest.mark.parametrize(
    ("row", "basis", "clause"),
    [
        ("public-health", "health-emergency", "SL-T2-2"),
        ("emergency-response", "emergency", "SL-T2-4"),
        ("public-live", "city-discretion", "SL-T2-5"),
    ],
)
def test_rows_without_recorded_footage_share_none(row: str, basis: str, clause: str) -> None:
    assert clause_of(row=row, basis=basis) == clause


def test_what_no_row_names_is_not_shared() -> None:
    assert clause_of(row="a-newspaper", basis="law") == "SL-T2-6"


def test_a_basis_that_the_grant_does_not_name_is_none() -> None:
    assert clause_of(grant(sharing=(Sharing(row="law-enforcement", basis="court-order"),))) == "SL-T2-1"
    assert clause_of(grant()) == "SL-T2-1"


def test_a_grant_for_another_camera_allows_nothing() -> None:
    assert clause_of(grant(sharing=EVERY_ROW, cameras=("cam-08",))) == "SL-T2-1"


def test_a_grant_that_ended_allows_nothing_and_is_named() -> None:
    over = grant(sharing=EVERY_ROW, ends_at=NOON)

    with pytest.raises(ClauseViolationError, match=r"g-2026-001, which allowed it, ended at 2026-11-28T12:00:00Z"):
        asked(over)


def test_a_grant_that_has_not_begun_allows_nothing() -> None:
    assert clause_of(grant(sharing=EVERY_ROW, starts_at=NOON + timedelta(seconds=1))) == "SL-T2-1"


def test_an_administrator_exports_nothing() -> None:
    assert clause_of(office=ST_LOUIS.administrators[0]) == "SL-3.2"


def test_only_the_custodian_exports() -> None:
    assert clause_of(office="police-chief") == "SL-3.4"


def suspension(**changes: Any) -> Document:
    return restriction(narrows=(SuspendRecipient(what="recipient", role=WISH.office),), **changes)


def test_a_suspended_custodian_exports_nothing() -> None:
    assert clause_of(grant(sharing=EVERY_ROW), suspension()) == "JC-28"
    assert clause_of(grant(sharing=EVERY_ROW), suspension(cameras="all")) == "JC-28"


def test_a_suspension_that_was_lifted_or_is_for_another_camera_is_over() -> None:
    assert asked(grant(sharing=EVERY_ROW, lifts=("r-2026-001",)), suspension())
    assert asked(grant(sharing=EVERY_ROW), suspension(cameras=("cam-08",)))


TABLES = [
    pytest.param(charter, row, basis, id=f"{row.clause}-{row.id}-{basis}")
    for charter in (ST_LOUIS, REDONDO_BEACH)
    for row in charter.sharing
    for basis in (*sorted({each for one in charter.sharing for each in one.bases}), None)
]


@pytest.mark.parametrize(("charter", "row", "basis"), TABLES)
def test_every_row_with_every_basis_is_shared_or_refused_by_its_own_clause(
    charter: Charter, row: SharingRow, basis: str | None
) -> None:
    everything = tuple(Sharing(row=one.id, basis=each) for one in charter.sharing for each in one.bases)
    wish: dict[str, Any] = {"row": row.id, "basis": basis, "office": charter.epochs.offices[0]}

    if "recorded-masked" in row.what and basis in row.bases:
        assert asked(charter=charter, sharing=everything, **wish).row == row
    else:
        assert clause_of(charter=charter, sharing=everything, **wish) == row.clause


def test_the_whole_table_of_st_louis_is_tried() -> None:
    assert {row.clause for row in ST_LOUIS.sharing} == {f"SL-T2-{number}" for number in range(1, 6)}
    assert clause_of(row="anyone-else", basis="law") == "SL-T2-6"


def test_no_row_shares_biometric_data() -> None:
    assert not [row for row in (*ST_LOUIS.sharing, *REDONDO_BEACH.sharing) if "biometric" in " ".join(row.what)]


def test_redondo_beach_shares_by_its_own_rows() -> None:
    office = REDONDO_BEACH.epochs.offices[0]

    assert clause_of(charter=REDONDO_BEACH, office=office, row="a-newspaper") == "SL-T2-6"
