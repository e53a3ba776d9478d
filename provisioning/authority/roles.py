"""Who may sign what: the people in the charter's offices as keys in TUF roles.

`agent.core.policy.roles` says which roles a charter asks for, and a camera holds
every release against it; here the same roles are filled with keys. One role per
office wherever an office acts alone: were two officials to share a role of
threshold 1, either could drop what the other signed.

Pure.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Role, Root, TargetFile, Targets

from agent.core.policy.charter import Charter
from agent.core.policy.release import CHARTER_PATH, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from agent.core.policy.roles import expected_roles
from agent.errors import SignatureError
from provisioning.authority.extract import EXTRACT_FIELD, digest_of, public_extract
from provisioning.authority.keys import KeyCard
from provisioning.authority.published import HASH

# A document ends when it says so; a role's own end only bounds for how long a key that everybody
# forgot still counts. Three years outlast a budget and two hand-overs of office.
ROLE_LIVES = timedelta(days=3 * 365)


def needed_offices(charter: Charter) -> tuple[str, ...]:
    """Return the offices that must have a key before the city can be founded, sorted."""
    delegated = {office for role in expected_roles(charter).values() for office in role.offices}
    return tuple(sorted(delegated | set(charter.root.offices)))


def seat(charter: Charter, cards: Sequence[KeyCard]) -> dict[str, KeyCard]:
    """Return the card of each office that needs a key.

    Raises:
        SignatureError: An office has no card or two, a card's office is not in the charter, or one key
            would sit in two offices (a threshold counts people, not chairs).
    """
    needed = needed_offices(charter)
    seats: dict[str, KeyCard] = {}
    for card in cards:
        if card.office not in needed:
            raise SignatureError(
                f"{card.name} holds {card.office!r}, which signs nothing under this charter",
                hint=f"offices that sign: {', '.join(needed)}",
            )
        if card.office in seats:
            raise SignatureError(f"two cards for {card.office}: {seats[card.office].name} and {card.name}")
        seats[card.office] = card
    if missing := [office for office in needed if office not in seats]:
        raise SignatureError(
            f"no key card for {', '.join(missing)}",
            hint="each holder runs lamppost city key on their own machine and sends you card.json",
        )
    by_key: dict[str, KeyCard] = {}
    for card in seats.values():
        if other := by_key.get(card.key.keyid):
            raise SignatureError(f"{card.office} and {other.office} have the same key, expected one key per person")
        by_key[card.key.keyid] = card
    return seats


def plan_root(
    charter: Charter, seats: Mapping[str, KeyCard], online: Mapping[str, Key], *, version: int, now: datetime
) -> Root:
    """Return the root that says who speaks for the city.

    Args:
        charter: The city's law.
        seats: From `seat`.
        online: The backend's keys for "snapshot" and "timestamp".
        version: Of this root.
        now: When it is drafted.
    """
    official = {office: seats[office].signed_key() for office in charter.root.offices}
    officials = Role(sorted(key.keyid for key in official.values()), charter.root.threshold)
    return Root(
        version=version,
        expires=now + ROLE_LIVES,
        keys=dict(sorted({key.keyid: key for key in (*official.values(), *online.values())}.items())),
        roles={
            ROOT: officials,
            TARGETS: Role(list(officials.keyids), officials.threshold),
            SNAPSHOT: Role([online[SNAPSHOT].keyid], 1),
            TIMESTAMP: Role([online[TIMESTAMP].keyid], 1),
        },
        consistent_snapshot=True,
    )


def plan_targets(
    charter: Charter, charter_json: bytes, seats: Mapping[str, KeyCard], *, version: int, now: datetime
) -> Targets:
    """Return the top-level targets: the charter itself, and what is delegated to whom under it.

    Args:
        charter: The city's law.
        charter_json: Its canonical bytes.
        seats: From `seat`.
        version: Of this metadata.
        now: When it is drafted.
    """
    expected = expected_roles(charter)
    keys = {office: seats[office].signed_key() for role in expected.values() for office in role.offices}
    roles = {
        name: DelegatedRole(
            name,
            sorted(keys[office].keyid for office in role.offices),
            role.threshold,
            terminating=True,
            paths=[f"{role.folder}*"],
        )
        for name, role in expected.items()
    }
    return Targets(
        version=version,
        expires=now + ROLE_LIVES,
        targets={CHARTER_PATH: TargetFile.from_data(CHARTER_PATH, charter_json, [HASH])},
        delegations=Delegations(dict(sorted((key.keyid, key) for key in keys.values())), roles),
    )


def next_role(
    current: Targets | None,
    documents: Mapping[str, bytes],
    withdrawn: Collection[str] = (),
    *,
    version: int,
    now: datetime,
) -> Targets:
    """Return the next version of a role's metadata, with `documents` added.

    Args:
        current: The version in force; None for a role that has signed nothing yet.
        documents: Content by target path.
        withdrawn: Target paths that it no longer vouches for.
        version: Its number.
        now: When it is drafted.
    """
    added = {path: _vouched(path, content) for path, content in documents.items()}
    listed = {} if current is None else current.targets
    kept = {path: target for path, target in listed.items() if path not in withdrawn}
    return Targets(version=version, expires=now + ROLE_LIVES, targets=dict(sorted({**kept, **added}.items())))


def _vouched(path: str, content: bytes) -> TargetFile:
    """Return what a role's metadata says of one document: its digest, and that of what the public may see of it."""
    target = TargetFile.from_data(path, content, [HASH])
    target.unrecognized_fields["custom"] = {EXTRACT_FIELD: digest_of(public_extract(content))}
    return target
