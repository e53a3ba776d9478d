"""Check a draft in its every part, and sign it; what does not add up is refused before a key is opened.

1. the base, from the first root that the signer's key folder trusts to its last document;
2. each proposed document, against the charter in the base (refusals cite the clause);
3. the metadata, by computing it again from base and documents;
4. the signatures already there, over exactly that.

Pure: no files, no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Targets

from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.release import CHARTER_PATH, ROOT, TARGETS
from agent.core.policy.words import write_instant
from agent.errors import BundleFormatError, PolicyError, SignatureError
from provisioning.authority.cross_check import check_documents
from provisioning.authority.draft import Draft, SignedRole, parse_role
from provisioning.authority.drafting import (
    cards_of,
    draft_documents,
    draft_founding,
    draft_renewal,
    draft_succession,
    online_keys,
)
from provisioning.authority.keys import OfficialKey
from provisioning.authority.published import (
    Holder,
    PublishedCity,
    first_root_of,
    holder_of,
    parse_metadata,
    verify_release,
)

CLOCK_SLACK = timedelta(days=1)  # how far two desks' clocks may be apart
TOP_ROLES = (ROOT, TARGETS)


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
        again = draft_founding(charter, draft.documents[CHARTER_PATH], cards, online_keys(root), now=draft.created_at)
    else:
        again = draft_succession(city, cards, draft.documents[CHARTER_PATH], now=draft.created_at)
    return {role: parse_role(raw, role) for role, raw in again.metadata.items()}


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
