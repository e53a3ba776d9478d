"""What a register is made of, and what follows from it: the whole of what its pages say, before a word is set in HTML.

`Ingredients` are what a builder gathers and what is shipped beside the pages; a verifier reads the same from
there. `Register` follows from them, and everything in it is verified: metadata from the first root on, each
extract by the digest that officials signed, each place by its commitment.

Pure.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root

from agent.core.policy.charter import Charter
from agent.core.policy.documents import Grant, Location
from agent.core.policy.release import TIMESTAMP
from agent.errors import RegisterError
from provisioning.authority.cross_check import AnyDocument
from provisioning.authority.extract import parse_extract
from provisioning.authority.published import (
    ReleaseFiles,
    WalkedMetadata,
    first_root_of,
    read_signed_at,
    verify_metadata,
)
from provisioning.register.claims import ClaimedCamera, Claims
from provisioning.register.history import Extracts, Policy, Publication, changes, extract_of, policies
from provisioning.register.standing import CityStanding, SiteStanding, stand


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """What a register is made of.

    Attributes:
        release: The city's metadata, old versions included, and every charter; no other document.
        extracts: Public extracts of the documents, by digest.
        claims: What is not in them.
        outline: The city's outline as GeoJSON; None for a list without a map.
    """

    release: ReleaseFiles
    extracts: Extracts
    claims: Claims
    outline: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """What follows from the ingredients.

    Attributes:
        claims: As claimed.
        charter: The law in force.
        city: What each site may do, with places as told.
        publications: Every publication, oldest first.
        cameras: What is claimed of each camera, by id.
        vouched_at: When the backend last vouched that this policy is the newest.
        fresh_until: When cameras go dark if it does not again.
    """

    claims: Claims
    charter: Charter
    city: CityStanding
    publications: tuple[Publication, ...]
    cameras: Mapping[str, ClaimedCamera]
    vouched_at: datetime
    fresh_until: datetime

    @property
    def policy(self) -> Policy:
        """What is in force."""
        return self.publications[-1].policy

    def path_of(self, grant: Grant) -> str:
        """Return the path of a grant."""
        return f"grants/{grant.id}.json"

    def history_of(self, site: SiteStanding) -> tuple[Publication, ...]:
        """Return the publications that changed something for a site's cameras, the latest first."""
        mine = {camera.camera_id for camera in site.cameras}
        return tuple(one for one in reversed(self.publications) if mine & set(one.changed))


def register_of(ingredients: Ingredients) -> Register:
    """Return what follows from `ingredients`, verified.

    Raises:
        PolicyError: Something that officials signed is missing or changed.
        RegisterError: What is claimed does not fit what was signed.
    """
    claims = ingredients.claims
    walked = verify_metadata(ingredients.release, first_root_of(ingredients.release))
    if city_name(walked.roots[0]) != claims.root:
        raise RegisterError("the register claims to be of another city than its first root is of")
    if claims.snapshots[-1] != walked.snapshot.signed.version or list(claims.snapshots) != sorted(
        set(claims.snapshots)
    ):
        raise RegisterError("the history does not end with the policy in force")
    every = policies(ingredients.release, walked.roots, claims.snapshots, ingredients.extracts)
    now = every[-1]
    if now.charter.city != claims.city:
        raise RegisterError(f"the register is of {claims.city}, the charter of {now.charter.city}")
    documents = _placed(walked, now, ingredients)
    fresh_until = walked.timestamp.signed.expires
    return Register(
        claims=claims,
        charter=now.charter,
        city=stand(now.charter, documents, at=claims.made_at, fresh_until=fresh_until),
        publications=changes(every),
        cameras={one.camera: one for one in claims.cameras},
        vouched_at=read_signed_at(walked.timestamp.signed),
        fresh_until=fresh_until,
    )


def city_name(root: Metadata[Root]) -> str:
    """Return a city's name for machines: the SHA-256 of what its first root says, in hex."""
    return hashlib.sha256(root.signed_bytes).hexdigest()


def timestamp_keys(walked: WalkedMetadata) -> dict[str, Key]:
    """Return the keys with which the city's backend vouches, by id."""
    root = walked.roots[-1].signed
    return {keyid: root.keys[keyid] for keyid in root.roles[TIMESTAMP].keyids if keyid in root.keys}


def _placed(walked: WalkedMetadata, now: Policy, ingredients: Ingredients) -> dict[str, AnyDocument]:
    """Return the documents in force, each grant with its place as this register tells it."""
    claims = ingredients.claims
    grants = {path: one for path, one in now.documents.items() if isinstance(one, Grant)}
    if set(grants) != set(claims.places):
        raise RegisterError("the register does not tell the place of each grant, and of nothing else")
    targets = {path: target for role in walked.delegated.values() for path, target in role.signed.targets.items()}
    documents = dict(now.documents)
    for path, grant in grants.items():
        place = claims.places[path].place()
        committed = parse_extract(ingredients.extracts[extract_of(path, targets[path])]).places
        if committed.get(claims.precision.value) != place.commitment:
            raise RegisterError(f"the place told for {grant.id} is not the one that its officials signed")
        location = Location(latitude=place.latitude, longitude=place.longitude, public_precision_m=place.precision_m)
        documents[path] = grant.model_copy(update={"site": grant.site.model_copy(update={"location": location})})
    return documents
