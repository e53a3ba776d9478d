"""The charter says which roles there are, who signs them, and where their documents lie."""

from datetime import UTC, datetime

import pytest

from agent.core.policy.release import Release, SignedDocument
from agent.core.policy.roles import expected_roles, refuse_foreign_paths
from agent.errors import SignatureError
from tests.fakes.documents import example_charter

ROLES = expected_roles(example_charter())


def release_of(role: str, path: str) -> Release:
    """Return a release in which `role` vouches for the document at `path`."""
    return Release(
        versions={},
        listed={},
        expires_at={},
        signed_at=datetime(2026, 11, 28, tzinfo=UTC),
        top_level={},
        delegations=(),
        documents=(SignedDocument(path=path, role=role, role_version=1, raw=b""),),
    )


def test_grants_need_every_approving_office() -> None:
    charter = example_charter()

    assert ROLES["grants"].offices == charter.approval.offices
    assert ROLES["grants"].threshold == charter.approval.threshold
    assert not ROLES["grants"].narrows


@pytest.mark.parametrize("family", ["restrictions", "holds", "revocations"])
def test_each_office_narrows_alone_in_a_role_of_its_own(family: str) -> None:
    own = [role for role in ROLES.values() if role.family == family]

    assert own
    for role in own:
        assert role.narrows
        assert role.offices == (role.office,)
        assert role.threshold == 1
        assert role.folder == f"{family}/{role.office}/"


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("targets", "charter.json"),
        ("grants", "grants/g-1.json"),
        ("restrictions-police-chief", "restrictions/police-chief/r-1.json"),
    ],
)
def test_a_role_vouches_for_what_lies_in_its_folder(role: str, path: str) -> None:
    refuse_foreign_paths(release_of(role, path), ROLES)


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("targets", "grants/g-1.json"),
        ("grants", "waivers/g-1.json"),
        ("grants", "grants/deeper/g-1.json"),
        ("grants", "g-1.json"),
        ("restrictions-police-chief", "restrictions/it-director/r-1.json"),
        ("restrictions-police-chief", "restrictions/r-1.json"),
    ],
)
def test_a_role_vouches_for_nothing_else(role: str, path: str) -> None:
    with pytest.raises(SignatureError, match="not its own"):
        refuse_foreign_paths(release_of(role, path), ROLES)
