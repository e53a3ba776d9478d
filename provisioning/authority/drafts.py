"""A draft: one file that travels between officials until enough of them have signed.

It carries the city it was made against (the *base*, a release of public files),
the proposed documents, and the role metadata that would make them part of the
city, with the signatures so far. So each official needs nothing but the file and
their own key folder, may be offline, and can check everything before signing:

1. the base, from the first root that their key folder trusts to its last document;
2. each proposed document, against the charter in the base (refusals cite the clause);
3. the metadata, by computing it again from base and documents;
4. the signatures already there, over exactly that.

What does not add up is refused before a key is opened. Pure: no files, no clock.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from securesystemslib.signer import Key
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Targets

from agent.core.bundle import MAX_BUNDLE_BYTES, decode_bundle, encode_bundle
from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.release import CHARTER_PATH, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from agent.core.policy.roles import expected_roles
from agent.core.policy.words import write_instant
from agent.errors import BundleFormatError, DocumentFormatError, PolicyError, RollbackError, SignatureError
from provisioning.authority.cross_check import check_documents
from provisioning.authority.keys import KeyCard, OfficialKey
from provisioning.authority.published import (
    Holder,
    PublishedCity,
    ReleaseFiles,
    delegations,
    first_root_of,
    holder_of,
    parse_metadata,
    role_of,
    verify_release,
)
from provisioning.authority.roles import needed_offices, next_role, plan_root, plan_targets, seat

DRAFT_KIND = "lamppost-draft"
DRAFT_VERSION = 1
MAX_DRAFT_BYTES = 2 * MAX_BUNDLE_BYTES  # the base in base64, and as much again
CLOCK_SLACK = timedelta(days=1)  # how far two desks' clocks may be apart

TOP_ROLES = (ROOT, TARGETS)

SignedRole = Metadata[Root] | Metadata[Targets]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One proposal and its signatures so far.

    Attributes:
        created_at: When it was drafted, aware UTC.
        base: The release it was made against; empty for the founding of a city.
        documents: Proposed documents by target path.
        metadata: Role metadata by role name, as TUF JSON.
        withdrawn: Target paths of documents that leave the city.
    """

    created_at: datetime
    base: ReleaseFiles
    documents: Mapping[str, bytes]
    metadata: Mapping[str, bytes]
    withdrawn: tuple[str, ...] = ()

    @property
    def founding(self) -> bool:
        """Whether this draft founds a city."""
        return not self.base

    def dump(self) -> bytes:
        """Return the draft as the file that is mailed."""
        return (
            json.dumps(
                {
                    "kind": DRAFT_KIND,
                    "version": DRAFT_VERSION,
                    "created_at": write_instant(self.created_at),
                    "documents": {path: content.decode() for path, content in self.documents.items()},
                    "withdrawn": list(self.withdrawn),
                    "metadata": {role: json.loads(raw) for role, raw in self.metadata.items()},
                    "base": base64.b64encode(encode_bundle(self.base)).decode() if self.base else "",
                },
                indent=1,
                ensure_ascii=False,
            )
            + "\n"
        ).encode()

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return the draft in `raw`; nothing in it is verified yet.

        Raises:
            DocumentFormatError: It is no draft of this version.
        """
        if len(raw) > MAX_DRAFT_BYTES:
            raise DocumentFormatError(f"the draft has {len(raw)} bytes, expected at most {MAX_DRAFT_BYTES}")
        try:
            stated = json.loads(raw, object_pairs_hook=_without_duplicates)
            kind, version = stated["kind"], stated["version"]
            if kind != DRAFT_KIND or version != DRAFT_VERSION:
                raise DocumentFormatError(f"this is {kind!r} version {version!r}, expected {DRAFT_KIND} 1")
            packed = base64.b64decode(stated["base"], validate=True)
            draft = cls(
                created_at=datetime.strptime(stated["created_at"], "%Y-%m-%dT%H:%M:%S%z"),
                base=decode_bundle(packed) if packed else {},
                documents={str(path): content.encode() for path, content in stated["documents"].items()},
                metadata={str(role): json.dumps(value).encode() for role, value in stated["metadata"].items()},
                withdrawn=tuple(str(path) for path in stated["withdrawn"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
            raise DocumentFormatError("this is not a draft", hint="lamppost grant draft makes one") from error
        if not draft.metadata:
            raise DocumentFormatError("the draft proposes nothing")
        return draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far one role of a draft is signed.

    Attributes:
        role: TUF role name.
        threshold: Signatures needed.
        signed: Who has signed.
        missing: Who may still sign.
    """

    role: str
    threshold: int
    signed: tuple[Holder, ...]
    missing: tuple[Holder, ...]

    @property
    def complete(self) -> bool:
        """Whether enough have signed."""
        return len(self.signed) >= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedDraft:
    """A draft whose every part adds up; whether it is fully signed is for `standings` to say.

    Attributes:
        draft: The draft.
        city: Its base, verified; None at a founding.
        charter: The charter it is held against: its own at a founding or revision, else the base's.
        standings: Per role, the root first.
    """

    draft: Draft
    city: PublishedCity | None
    charter: Charter
    standings: tuple[Standing, ...]

    @property
    def missing(self) -> tuple[Holder, ...]:
        """Who may still sign, of the roles that lack signatures."""
        lacking = {holder for standing in self.standings if not standing.complete for holder in standing.missing}
        return tuple(sorted(lacking))

    @property
    def signed(self) -> tuple[Holder, ...]:
        """Who has signed any part."""
        return tuple(sorted({holder for standing in self.standings for holder in standing.signed}))


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
    root = plan_root(charter, seats, _online(city.root.signed), version=city.version(ROOT) + 1, now=now)
    targets = plan_targets(charter, charter_json, seats, version=city.version(TARGETS) + 1, now=now)
    metadata = {ROOT: Metadata(root).to_bytes(), TARGETS: Metadata(targets).to_bytes()}
    for role in _to_sign_anew(city, targets):
        current = city.delegated[role].signed if role in city.delegated else None
        metadata[role] = Metadata(next_role(current, {}, version=city.version(role) + 1, now=now)).to_bytes()
    return Draft(created_at=now, base=city.release, documents={CHARTER_PATH: charter_json}, metadata=metadata)


def check_draft(draft: Draft, trusted_root: bytes | None, *, now: datetime) -> CheckedDraft:
    """Return `draft` checked in its every part.

    Args:
        draft: Anything that parsed.
        trusted_root: First root of the city it must be for; None takes the base's own word, which is good for
            looking at a draft and not for signing it. Ignored at a founding.
        now: Current UTC time.

    Raises:
        PolicyError: Something does not add up; the class says what.
    """
    if draft.created_at > now + CLOCK_SLACK:
        raise PolicyError(f"the draft was made at {write_instant(draft.created_at)}, which is yet to come")
    if draft.founding:
        city = None
        charter = parse_charter(draft.documents.get(CHARTER_PATH, b""))
    else:
        city = verify_release(draft.base, first_root_of(draft.base) if trusted_root is None else trusted_root)
        charter = parse_charter(draft.documents.get(CHARTER_PATH, city.charter))
    expected = _expected(draft, city, charter, now=now)
    if unexpected := set(draft.metadata) ^ set(expected):
        raise PolicyError(f"the draft's roles do not follow from its documents: {', '.join(sorted(unexpected))}")
    for role, metadata in expected.items():
        found = parse_role(draft.metadata[role], role)
        # Byte for byte, as it is signed: Python takes True for 1, another reader may not.
        if found.signed_bytes != metadata.signed_bytes:
            raise SignatureError(
                f"the draft's {role} is not what its documents make of it",
                hint="it was altered on the way; ask for a new draft",
            )
    return CheckedDraft(draft=draft, city=city, charter=charter, standings=_standings(draft, city, expected))


def sign_draft(draft: Draft, key: OfficialKey, trusted_root: bytes | None, *, now: datetime) -> Draft:
    """Return `draft` with the signature of `key` on every part its holder may sign.

    Signing twice changes nothing.

    Args:
        draft: Anything that parsed; it is checked first.
        key: The official's.
        trusted_root: First root of the city that the official trusts; None only at a founding.
        now: Current UTC time.

    Raises:
        SignatureError: This official may not sign any of it, or trusts no city yet.
        PolicyError: The draft does not add up.
    """
    if trusted_root is None and not draft.founding:
        raise SignatureError(
            "this key folder trusts no city yet",
            hint="compare the city's fingerprint with someone you know, then: lamppost city trust",
        )
    checked = check_draft(draft, trusted_root, now=now)
    keyid = key.card.key.keyid
    mine = [s for s in checked.standings if keyid in {holder.keyid for holder in (*s.signed, *s.missing)}]
    if not mine:
        who = sorted({str(holder) for s in checked.standings for holder in (*s.signed, *s.missing)})
        raise SignatureError(
            f"{key.card.name} ({key.card.office}) may not sign this, expected {', '.join(who)}",
            hint=f"this key has fingerprint {key.card.fingerprint}",
        )
    signed = dict(draft.metadata)
    for standing in mine:
        if keyid not in {holder.keyid for holder in standing.signed}:
            metadata = Metadata[Targets].from_bytes(signed[standing.role])
            try:
                metadata.sign(key.signer, append=True)
            except UnsignedMetadataError as error:
                raise SignatureError(f"the key does not sign: {error}") from error
            signed[standing.role] = metadata.to_bytes()
    return replace(draft, metadata=signed)


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


def parse_role(raw: bytes, role: str) -> SignedRole:
    """Return metadata of a role that officials sign; nobody has looked at its signatures yet."""
    return parse_metadata(raw, Root, role) if role == ROOT else parse_metadata(raw, Targets, role)


def _expected(draft: Draft, city: PublishedCity | None, charter: Charter, *, now: datetime) -> dict[str, SignedRole]:
    """Return what the draft's metadata must say, computed from its documents, base and key cards."""
    if CHARTER_PATH in draft.documents:
        return _expected_charter(draft, city, charter)
    if city is None:
        raise BundleFormatError("a draft without a base founds a city and must carry its charter")
    if not draft.documents and not draft.withdrawn:
        again = draft_renewal(city, draft.metadata, now=draft.created_at)
    else:
        again = draft_documents(city, draft.documents, draft.withdrawn, now=draft.created_at)
    # A document that was allowable when drafted may be too late when signed.
    check_documents(charter, draft.documents, city.documents, draft.withdrawn, now=now)
    return {role: parse_role(raw, role) for role, raw in again.metadata.items()}


def _expected_charter(draft: Draft, city: PublishedCity | None, charter: Charter) -> dict[str, SignedRole]:
    if set(draft.documents) != {CHARTER_PATH} or draft.withdrawn or not set(TOP_ROLES) <= set(draft.metadata):
        raise BundleFormatError("a draft of a charter carries the charter, the root and the targets, and no more")
    root = parse_metadata(draft.metadata[ROOT], Root, ROOT).signed
    targets = parse_metadata(draft.metadata[TARGETS], Targets, TARGETS).signed
    cards = cards_of(root, targets)
    if city is None:
        again = draft_founding(charter, draft.documents[CHARTER_PATH], cards, _online(root), now=draft.created_at)
    else:
        again = draft_succession(city, cards, draft.documents[CHARTER_PATH], now=draft.created_at)
    return {role: parse_role(raw, role) for role, raw in again.metadata.items()}


def _refuse_unnumbered(old: Charter, new: Charter) -> None:
    """Refuse a changed charter that is another city's, or whose revision does not rise (SL-2.4)."""
    if new.id != old.id:
        raise PolicyError(f"this is the charter of {new.id}, expected a revision of {old.id}")
    if new != old and new.revision <= old.revision:
        raise PolicyError(
            f"the charter was changed and still says revision {new.revision}, expected more than {old.revision}",
            hint="raise revision in the file (SL-2.4: published versions show all changes)",
        )


def _standings(draft: Draft, city: PublishedCity | None, expected: Mapping[str, SignedRole]) -> tuple[Standing, ...]:
    root_metadata = expected.get(ROOT, None if city is None else city.root)
    targets_metadata = expected.get(TARGETS, None if city is None else city.targets)
    root = None if root_metadata is None else root_metadata.signed
    targets = None if targets_metadata is None else targets_metadata.signed
    if not isinstance(root, Root) or not isinstance(targets, Targets):
        raise BundleFormatError("the draft has neither a base nor a root")
    standings = []
    for role in sorted(draft.metadata, key=lambda name: (name not in TOP_ROLES, name)):
        if role == ROOT:
            standings.append(_standing(draft, role, root))
            if city is not None:
                standings.append(_standing(draft, role, city.root.signed))
        else:
            standings.append(_standing(draft, role, root if role == TARGETS else targets))
    _refuse_foreign(draft, standings)
    return tuple(standings)


def _standing(draft: Draft, role: str, delegator: Root | Targets) -> Standing:
    metadata = parse_role(draft.metadata[role], role)
    result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    if broken := set(metadata.signatures) & set(result.unsigned):
        names = ", ".join(sorted(str(holder_of(result.unsigned[keyid])) for keyid in broken))
        raise SignatureError(
            f"the signature of {names} is not over this {role}",
            hint="the draft was altered after it was signed; ask for a new one",
        )
    return Standing(
        role=role,
        threshold=result.threshold,
        signed=tuple(sorted(holder_of(key) for key in result.signed.values())),
        missing=tuple(sorted(holder_of(key) for key in result.unsigned.values())),
    )


def _refuse_foreign(draft: Draft, standings: list[Standing]) -> None:
    """Refuse signatures by keys that may not sign; they would be published with the rest."""
    for role, raw in draft.metadata.items():
        allowed = {h.keyid for s in standings if s.role == role for h in (*s.signed, *s.missing)}
        foreign = set(parse_role(raw, role).signatures) - allowed
        if foreign:
            raise SignatureError(f"{role} is signed by a key that may not sign it: {', '.join(sorted(foreign))}")


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


def _online(root: Root) -> dict[str, Key]:
    online = {}
    for role in (SNAPSHOT, TIMESTAMP):
        keyids = root.roles[role].keyids
        if len(keyids) != 1 or keyids[0] not in root.keys:
            raise BundleFormatError(f"root gives {role} {len(keyids)} keys, expected one that it knows")
        online[role] = root.keys[keyids[0]]
    return online


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found
