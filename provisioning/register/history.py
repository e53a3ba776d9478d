"""What a city's policy was, publication by publication, and what each changed (SL-2.4).

A snapshot says which version of each role was in force, and is signed by the backend; the roles are
signed by the offices. So the order of publications, who signed what in each, and what left the
city, are read off what is signed, and no list is kept beside it. What a change means is the difference of
the sentences that `sentences` makes before it and after it.

Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.documents import EpochKeys
from agent.core.policy.release import CHARTER_PATH, TARGETS
from agent.core.policy.revision import Change, compare
from agent.core.policy.verified import ALL
from agent.errors import BundleFormatError
from provisioning.authority.city import SNAPSHOT_OUTLIVES
from provisioning.authority.cross_check import AnyDocument
from provisioning.authority.extract import EXTRACT_FIELD, digest_of, parse_extract
from provisioning.authority.outlook import cameras_in
from provisioning.authority.published import (
    HASH,
    EarlierMetadata,
    ReleaseFiles,
    document_url,
    signers,
    verify_earlier,
)
from provisioning.register.sentences import Said, may, may_not, standing_words
from provisioning.register.standing import CameraStanding, camera_at

Extracts = Mapping[str, bytes]  # by their SHA-256, in hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What was in force after one publication.

    Attributes:
        snapshot: Version of the snapshot.
        at: When it was published.
        charter: The law.
        documents: Public extracts of the documents, by path.
        signed_by: Offices that signed each of them, by path, sorted; the charter's among them.
    """

    snapshot: int
    at: datetime
    charter: Charter
    documents: Mapping[str, AnyDocument]
    signed_by: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A sentence before and after; one of them is empty where there is none."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One publication and what it changed.

    Attributes:
        policy: What was in force after it.
        added: Paths of documents that came.
        withdrawn: Documents that left.
        charter_changes: What changed in the law.
        changed: What changed for each camera, by its id; cameras for which nothing did are not in it.
    """

    policy: Policy
    added: tuple[str, ...]
    withdrawn: tuple[AnyDocument, ...]
    charter_changes: tuple[Change, ...]
    changed: Mapping[str, tuple[Difference, ...]]


def policies(
    release: ReleaseFiles, roots: Sequence[Metadata[Root]], snapshots: Sequence[int], extracts: Extracts
) -> tuple[Policy, ...]:
    """Return what was in force under each of `snapshots`, oldest first, verified.

    Args:
        release: The metadata, old versions included, and every charter.
        roots: The city's roots, verified.
        snapshots: Versions to look at, rising.
        extracts: Of all documents that they list.

    Raises:
        PolicyError: Something is missing, or not signed by whom it must be.
    """
    return tuple(_policy(verify_earlier(release, roots, version), release, extracts) for version in snapshots)


def changes(every: Sequence[Policy]) -> tuple[Publication, ...]:
    """Return what each of a city's policies changed in the one before it, oldest first."""
    befores: list[Policy | None] = [None, *every[:-1]]
    return tuple(_publication(before, after) for before, after in zip(befores, every, strict=True))


def needed(metadata: EarlierMetadata) -> Iterator[str]:
    """Yield the digest of each extract that a city's metadata vouches for.

    Raises:
        BundleFormatError: A document was signed without one.
    """
    for role in metadata.delegated.values():
        for path, target in role.signed.targets.items():
            yield extract_of(path, target)


def extract_of(path: str, target: TargetFile) -> str:
    """Return the digest of a document's public extract, as its officials signed it.

    Raises:
        BundleFormatError: They signed none.
    """
    custom = target.custom
    stated = custom.get(EXTRACT_FIELD) if isinstance(custom, dict) else None
    if not isinstance(stated, str):
        raise BundleFormatError(
            f"{path} was signed before there were public extracts", hint="lamppost grant renew, for its role"
        )
    return stated


def charter_url(targets: Targets) -> str:
    """Return where in a release the charter lies that `targets` vouches for."""
    return document_url(CHARTER_PATH, targets.targets[CHARTER_PATH])


def _policy(metadata: EarlierMetadata, release: ReleaseFiles, extracts: Extracts) -> Policy:
    charter = _charter(metadata.targets.signed, release)
    documents: dict[str, AnyDocument] = {}
    signed_by: dict[str, tuple[str, ...]] = {}
    for role, listed in metadata.delegated.items():
        offices = tuple(sorted({one.office for one in signers(role, listed, metadata.targets.signed)}))
        for path, target in listed.signed.targets.items():
            documents[path] = _extract(path, target, extracts)
            signed_by[path] = offices
    return Policy(
        snapshot=metadata.snapshot.signed.version,
        # The backend lets a snapshot live for a fixed multiple of `offline_for`: so its end tells its beginning.
        at=metadata.snapshot.signed.expires - SNAPSHOT_OUTLIVES * charter.offline_for,
        charter=charter,
        documents=documents,
        signed_by=signed_by,
    )


def _charter(targets: Targets, release: ReleaseFiles) -> Charter:
    target = targets.targets.get(CHARTER_PATH)
    if target is None or HASH not in target.hashes:
        raise BundleFormatError(f"{TARGETS} vouches for no {CHARTER_PATH}")
    raw = release.get(charter_url(targets))
    if raw is None:
        raise BundleFormatError("a charter that was in force is missing")
    if digest_of(raw) != target.hashes[HASH]:
        raise BundleFormatError("a charter is not what the root offices signed")
    return parse_charter(raw)


def _extract(path: str, target: TargetFile, extracts: Extracts) -> AnyDocument:
    digest = extract_of(path, target)
    raw = extracts.get(digest)
    if raw is None:
        raise BundleFormatError(f"the public extract of {path} is missing")
    if digest_of(raw) != digest:
        raise BundleFormatError(f"the public extract of {path} is not what was signed")
    return parse_extract(raw).document


def _publication(before: Policy | None, after: Policy) -> Publication:
    was = {} if before is None else before.documents
    added = tuple(sorted(path for path in after.documents if was.get(path) != after.documents[path]))
    withdrawn = tuple(was[path] for path in sorted(was) if path not in after.documents)
    charter_changes = () if before is None else compare(before.charter, after.charter).changes
    # What begins later is told when it is published, as it will be.
    begins = [one.starts_at for path in added if not isinstance(one := after.documents[path], EpochKeys)]
    at = max([after.at, *begins])
    changed = {}
    came_or_went = [*(after.documents[path] for path in added), *withdrawn]
    for camera in _concerned(came_or_went, after, everyone=bool(charter_changes)):
        old = {} if before is None else _said(before, camera, at)
        new = _said(after, camera, at)
        if differences := tuple(_differences(old, new)):
            changed[camera] = differences
    return Publication(policy=after, added=added, withdrawn=withdrawn, charter_changes=charter_changes, changed=changed)


def _concerned(documents: Sequence[AnyDocument], after: Policy, *, everyone: bool) -> tuple[str, ...]:
    """Return the cameras that documents which came or went may have changed something for."""
    if everyone or any(isinstance(one, EpochKeys) or one.cameras == ALL for one in documents):
        return cameras_in(after.documents)
    return cameras_in({document.id: document for document in documents})


def _said(policy: Policy, camera_id: str, at: datetime) -> dict[str, str]:
    heard = at + policy.charter.offline_for
    camera = camera_at(policy.charter, policy.documents, camera_id, at=at, fresh_until=heard)
    return {} if camera is None else dict(all_sentences(policy.charter, camera))


def all_sentences(charter: Charter, camera: CameraStanding) -> tuple[Said, ...]:
    """Return every sentence that follows from policy for a camera, in the order of the page."""
    return (*may(charter, camera), *may_not(charter, camera), *standing_words(charter, camera))


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Difference]:
    for label in dict.fromkeys((*old, *new)):
        before, after = old.get(label, ""), new.get(label, "")
        if before != after:
            yield Difference(label=label, before=before, after=after)
