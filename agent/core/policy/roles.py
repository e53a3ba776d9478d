"""Which TUF roles a charter asks for, and whether a release has those and no others.

TUF verifies that a role's metadata carries enough signatures of the keys its parent
names. Whether the parent named the right keys, and enough of them, is the charter's
question, and this module's: a release in which `grants` needs one signature where
the city's law wants three officials verifies perfectly and is refused here.

| role                    | target paths             | who                          | how many      |
|-------------------------|--------------------------|------------------------------|---------------|
| `root`, `targets`       | `charter.json`           | the charter's root offices   | its threshold |
| `grants`                | `grants/*`               | the approving offices        | its threshold |
| `waivers`               | `waivers/*`              | the waiver offices           | one           |
| `epochs`                | `epochs/*`               | the custodian                | one           |
| `devices`               | `devices/*`              | IT administration            | one           |
| `restrictions-<office>` | `restrictions/<office>/*`| that office                  | one           |
| `holds-<office>`        | `holds/<office>/*`       | that office                  | one           |
| `revocations-<office>`  | `revocations/<office>/*` | that office                  | one           |

One key is one office's. Keys are compared by their value, never by their id: an id
is only a name in a file, and one key under two names must not count as two people.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from agent.core.policy.charter import Charter, Quorum
from agent.core.policy.release import ROOT, TARGETS, Release, SigningRule
from agent.errors import ClauseViolationError, SignatureError

GRANTS = "grants"
WAIVERS = "waivers"
EPOCHS = "epochs"
DEVICES = "devices"
RESTRICTIONS = "restrictions"
HOLDS = "holds"
REVOCATIONS = "revocations"

NARROWING = frozenset({RESTRICTIONS, HOLDS, REVOCATIONS})  # families whose documents outlive their role


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRole:
    """One delegated role as the charter wants it.

    Attributes:
        name: Name of the role.
        family: The part of the name before the office; the folder of its documents.
        office: The one office of a role of its own, else None.
        offices: Whose keys it has, one each.
        threshold: How many of them must sign.
        clause: The clause that says so.
    """

    name: str
    family: str
    office: str | None
    offices: tuple[str, ...]
    threshold: int
    clause: str

    @property
    def folder(self) -> str:
        """Where its documents lie, with a trailing slash."""
        return f"{self.family}/{self.office}/" if self.office else f"{self.family}/"

    @property
    def narrows(self) -> bool:
        """Whether its documents can only take away."""
        return self.family in NARROWING


def expected_roles(charter: Charter) -> dict[str, ExpectedRole]:
    """Return the delegated roles that `charter` asks for, by name."""
    revoking = dict.fromkeys(chain.from_iterable(rule.offices for rule in charter.revocations))
    shared = (
        (GRANTS, charter.approval.offices, charter.approval.threshold, charter.approval.source),
        (WAIVERS, charter.waivers.offices, 1, charter.waivers.source),
        (EPOCHS, charter.epochs.offices, 1, charter.epochs.source),
        (DEVICES, charter.devices.offices, 1, charter.devices.source),
    )
    own = (
        (RESTRICTIONS, charter.restrictions.offices, charter.restrictions.source),
        (HOLDS, charter.holds.offices, charter.holds.source),
        (REVOCATIONS, tuple(revoking), charter.revocations[0].source),
    )
    roles = [
        ExpectedRole(name=family, family=family, office=None, offices=offices, threshold=threshold, clause=source[0])
        for family, offices, threshold, source in shared
    ] + [
        ExpectedRole(
            name=f"{family}-{office}", family=family, office=office, offices=(office,), threshold=1, clause=source[0]
        )
        for family, offices, source in own
        for office in offices
    ]
    return {role.name: role for role in roles}


def refuse_other_signers(charter: Charter, release: Release) -> None:
    """Pass if every role of `release` is signed by whom, and by how many, the charter says.

    A role that the charter knows and the release lacks is no error: what it would have vouched for is
    then absent, and what narrows and was seen before stays in the ledger.

    Raises:
        ClauseViolationError: A threshold or a set of offices is not the charter's.
        SignatureError: A role is unknown, or a key serves two offices, or a server's key an official.
    """
    for role in (ROOT, TARGETS):
        _refuse_other_quorum(release.top_level[role], charter.root)
    expected = expected_roles(charter)
    for rule in release.delegations:
        if rule.role not in expected:
            raise SignatureError(f"targets delegates to role {rule.role}, which the charter does not know (TUF 4.5)")
        _refuse_other_rule(rule, expected[rule.role])
    _refuse_shared_keys(release, expected)


def refuse_foreign_paths(release: Release, expected: Mapping[str, ExpectedRole]) -> None:
    """Pass if every role vouches only for documents in its own folder.

    Raises:
        SignatureError: One vouches for another's.
    """
    for document in release.documents:
        role = expected.get(document.role)
        folder = role.folder if role else ""  # top-level targets: the charter alone
        name = document.path.removeprefix(folder)
        if not document.path.startswith(folder) or "/" in name:
            raise SignatureError(f"role {document.role} vouches for {document.path}, which is not its own (TUF 4.5)")


def _refuse_other_quorum(rule: SigningRule, quorum: Quorum) -> None:
    clause = quorum.source[0]
    if rule.threshold != quorum.threshold:
        raise ClauseViolationError(
            clause, f"role {rule.role} needs {rule.threshold} signatures, the charter says {quorum.threshold}"
        )
    _refuse_other_count(rule, len(quorum.offices), clause)


def _refuse_other_rule(rule: SigningRule, role: ExpectedRole) -> None:
    if rule.threshold != role.threshold:
        raise ClauseViolationError(
            role.clause, f"role {rule.role} needs {rule.threshold} signatures, the charter says {role.threshold}"
        )
    if rule.paths != (f"{role.folder}*",) or not rule.terminating:
        raise SignatureError(f"role {rule.role} is not delegated {role.folder}* alone, and terminating (TUF 4.5)")
    _refuse_other_count(rule, len(role.offices), role.clause)


def _refuse_other_count(rule: SigningRule, offices: int, clause: str) -> None:
    if rule.listed != len(rule.keys):
        raise SignatureError(f"role {rule.role} lists one key under two ids (TUF 4.2)")
    if len(rule.keys) != offices:
        raise ClauseViolationError(
            clause, f"role {rule.role} has {len(rule.keys)} keys, the charter names {offices} offices"
        )


def _refuse_shared_keys(release: Release, expected: Mapping[str, ExpectedRole]) -> None:
    """Pass if there is one way to give each office one key, and no server has any of them."""
    key_of: dict[str, str] = {}
    for rule in release.delegations:
        if len(expected[rule.role].offices) == 1:
            (office,), (key,) = expected[rule.role].offices, rule.keys
            if key_of.setdefault(office, key) != key:
                raise SignatureError(f"office {office} has two keys; role {rule.role} names another (RB-1)")
    office_of = {key: office for office, key in key_of.items()}
    if len(office_of) != len(key_of):
        raise SignatureError(f"one key serves two of the offices {_listed(key_of)} (RB-1)")
    for rule in release.delegations:
        offices = set(expected[rule.role].offices)
        strangers = {office_of[key] for key in rule.keys if key in office_of} - offices
        missing = {office for office in offices if office in key_of and key_of[office] not in rule.keys}
        if strangers or missing:
            raise SignatureError(
                f"role {rule.role} is to be signed by {_listed(offices)}, "
                f"but has {_listed(strangers) or 'no key'} in place of {_listed(missing) or 'one of them'}"
            )
    officials = set().union(
        *(rule.keys for rule in release.delegations), release.top_level[ROOT].keys, release.top_level[TARGETS].keys
    )
    if officials & release.online_keys:
        raise SignatureError("a key of timestamp or snapshot, which lies on a server, also signs for an office")


def _listed(offices: Iterable[str]) -> str:
    return ", ".join(sorted(offices))
