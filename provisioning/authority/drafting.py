"""Make a draft: the founding of a city, documents for it, roles signed anew, officials or a charter that follow.

The same city, documents and instant always make the same draft; who checks one makes it again and compares.

Pure: no files, no clock.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.release import CHARTER_PATH, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from agent.core.policy.roles import expected_roles
from agent.errors import BundleFormatError, PolicyError
from provisioning.authority.cross_check import check_documents
from provisioning.authority.draft import Draft
from provisioning.authority.keys import KeyCard
from provisioning.authority.published import PublishedCity, delegations, holder_of, role_of
from provisioning.authority.roles import needed_offices, next_role, plan_root, plan_targets, seat


def draft_founding(
    charter: Charter, charter_json: bytes, cards: tuple[KeyCard, ...], online: Mapping[str, Key], *, now: datetime
) -> Draft:
    """Return the unsigned draft that founds a city.

    Args:
        charter: The city's law.
        charter_json: Its canonical bytes.
        cards: One per office that signs.
        online: The backend's public keys for "snapshot" and "timestamp".
        now: When it is drafted.

    Raises:
        SignatureError: The cards do not fill the charter's offices, one each.
    """
    now = now.replace(microsecond=0)
    seats = seat(charter, cards)
    root = plan_root(charter, seats, online, version=1, now=now)
    targets = plan_targets(charter, charter_json, seats, version=1, now=now)
    return Draft(
        created_at=now,
        base={},
        documents={CHARTER_PATH: charter_json},
        metadata={
            ROOT: Metadata(root).to_bytes(),
            TARGETS: Metadata(targets).to_bytes(),
            # Empty, so that every office proves at the start that it can sign, and so that a release without
            # one of them is refused for ever after: nobody can withhold a role by leaving it out.
            **{role: Metadata(next_role(None, {}, version=1, now=now)).to_bytes() for role in expected_roles(charter)},
        },
    )


def draft_documents(
    city: PublishedCity, documents: Mapping[str, bytes], withdrawn: tuple[str, ...] = (), *, now: datetime
) -> Draft:
    """Return the unsigned draft that adds `documents` to `city` and takes `withdrawn` out of it.

    Args:
        city: The city.
        documents: Content by target path.
        withdrawn: Target paths of grants, waivers or epochs that no longer count.
        now: When it is drafted.

    Raises:
        ClauseViolationError: The charter does not allow one of them.
        DocumentFormatError: One is not a document, or its id is taken.
        PolicyError: What narrows would be withdrawn, or no role of this city signs such a document.
    """
    now = now.replace(microsecond=0)
    check_documents(parse_charter(city.charter), documents, city.documents, withdrawn, now=now)
    roles = dict.fromkeys(role_of(path, city.targets.signed).name for path in (*documents, *withdrawn))
    return Draft(
        created_at=now,
        base=city.release,
        documents=documents,
        withdrawn=withdrawn,
        metadata={
            role: Metadata(
                next_role(
                    city.delegated[role].signed,
                    _signed_by(role, documents, city),
                    withdrawn,
                    version=city.version(role) + 1,
                    now=now,
                )
            ).to_bytes()
            for role in roles
        },
    )


def draft_renewal(city: PublishedCity, roles: Iterable[str], *, now: datetime) -> Draft:
    """Return the unsigned draft in which `roles` sign anew what they have in force, and nothing else.

    For roles whose metadata nears its end, and for cameras that lost their memory: they permit nothing until
    the approving offices have signed a newer version of what is granted.

    Raises:
        PolicyError: The city has no such role.
    """
    now = now.replace(microsecond=0)
    metadata = {}
    for role in roles:
        if role not in city.delegated:
            raise PolicyError(f"the city has no role {role}", hint="lamppost policy status lists them")
        current = city.delegated[role].signed
        listed = {path: city.documents[path] for path in current.targets}
        renewed = next_role(current, listed, version=city.version(role) + 1, now=now)
        metadata[role] = Metadata(renewed).to_bytes()
    return Draft(created_at=now, base=city.release, documents={}, metadata=metadata)


def draft_succession(
    city: PublishedCity, cards: tuple[KeyCard, ...], charter_json: bytes | None = None, *, now: datetime
) -> Draft:
    """Return the unsigned draft that gives offices new holders, the city a revised charter, or both.

    The old root's and the new root's officials both sign it. Roles in which a departing key has signed
    are signed anew by those in office, so that nothing hangs on a key whose holder has left.

    Args:
        city: The city.
        cards: Cards of new holders; every other office keeps its own.
        charter_json: The revised charter's canonical bytes; None keeps it.
        now: When it is drafted.

    Raises:
        SignatureError: The cards do not fill the charter's offices, one each.
        PolicyError: The charter is another city's, or was changed under its old revision number.
    """
    now = now.replace(microsecond=0)
    charter_json = city.charter if charter_json is None else charter_json
    charter = parse_charter(charter_json)
    _refuse_unnumbered(parse_charter(city.charter), charter)
    new = {card.office for card in cards}
    kept = tuple(card for card in cards_of(city.root.signed, city.targets.signed) if card.office not in new)
    needed = set(needed_offices(charter))
    seats = seat(charter, (*cards, *(card for card in kept if card.office in needed)))
    root = plan_root(charter, seats, online_keys(city.root.signed), version=city.version(ROOT) + 1, now=now)
    targets = plan_targets(charter, charter_json, seats, version=city.version(TARGETS) + 1, now=now)
    metadata = {ROOT: Metadata(root).to_bytes(), TARGETS: Metadata(targets).to_bytes()}
    for role in _to_sign_anew(city, targets):
        current = city.delegated[role].signed if role in city.delegated else None
        metadata[role] = Metadata(next_role(current, {}, version=city.version(role) + 1, now=now)).to_bytes()
    return Draft(created_at=now, base=city.release, documents={CHARTER_PATH: charter_json}, metadata=metadata)


def cards_of(root: Root, targets: Targets) -> tuple[KeyCard, ...]:
    """Return the cards of all officials whose keys stand in `root` and `targets`."""
    keys = {**root.keys, **delegations(targets)[0]}
    online = {keyid for role in (SNAPSHOT, TIMESTAMP) for keyid in root.roles[role].keyids}
    cards = []
    for keyid, key in keys.items():
        if keyid not in online:
            holder = holder_of(key)
            cards.append(KeyCard(office=holder.office, name=holder.name, key=KeyCard.plain_key(key)))
    return tuple(cards)


def online_keys(root: Root) -> dict[str, Key]:
    """Return the keys of the roles that the backend signs with.

    Raises:
        BundleFormatError: One has another number of keys than one.
    """
    online = {}
    for role in (SNAPSHOT, TIMESTAMP):
        keyids = root.roles[role].keyids
        if len(keyids) != 1 or keyids[0] not in root.keys:
            raise BundleFormatError(f"root gives {role} {len(keyids)} keys, expected one that it knows")
        online[role] = root.keys[keyids[0]]
    return online


def _refuse_unnumbered(old: Charter, new: Charter) -> None:
    """Refuse a changed charter that is another city's, or whose revision does not rise (SL-2.4)."""
    if new.id != old.id:
        raise PolicyError(f"this is the charter of {new.id}, expected a revision of {old.id}")
    if new != old and new.revision <= old.revision:
        raise PolicyError(
            f"the charter was changed and still says revision {new.revision}, expected more than {old.revision}",
            hint="raise revision in the file (SL-2.4: published versions show all changes)",
        )


def _to_sign_anew(city: PublishedCity, targets: Targets) -> list[str]:
    """Return the roles that have no metadata yet, or none that verifies under `targets`.

    A role that `targets` no longer has is left as it is: what it narrowed stays in the cameras' own ledgers.
    """
    lapsed = []
    for role in delegations(targets)[1]:
        metadata = city.delegated.get(role)
        if metadata is None or not targets.get_verification_result(role, metadata.signed_bytes, metadata.signatures):
            lapsed.append(role)
    return sorted(lapsed)


def _signed_by(role: str, documents: Mapping[str, bytes], city: PublishedCity) -> dict[str, bytes]:
    return {path: raw for path, raw in documents.items() if role_of(path, city.targets.signed).name == role}
