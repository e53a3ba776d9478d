"""What a city has published, verified from its first root: metadata, documents, who holds which key.

A *release* is the map of relative URL paths to bytes that a camera's TUF client
asks for, and what travels as the bundle: "metadata/1.root.json",
"metadata/timestamp.json", "metadata/7.snapshot.json", "metadata/3.grants.json",
"targets/grants/<sha256>.g-2026-001.json". Everything that reads a city at a desk
(the publisher, an official about to sign, `policy explain`) walks it here, and
the walk refuses what is not signed as the root says. Unlike on a camera, what
has expired is accepted and told: an office must be able to renew it.

Pure: bytes in, a value out.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from securesystemslib.signer import Key
from tuf.api.exceptions import LengthOrHashMismatchError, UnsignedMetadataError
from tuf.api.metadata import DelegatedRole, Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError, SerializationError

from agent.core.policy.release import CHARTER_PATH, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from agent.errors import BundleFormatError, RollbackError, SignatureError
from provisioning.authority.keys import NAME_FIELD, OFFICE_FIELD

SIGNED_AT_FIELD = "x-lamppost-signed-at"
HASH = "sha256"

ReleaseFiles = Mapping[str, bytes]

_S = TypeVar("_S", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True, order=True)
class Holder:
    """Who stands behind a key."""

    office: str
    name: str
    keyid: str

    def __str__(self) -> str:
        """Name and office, as people are told."""
        return f"{self.name} ({self.office})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCity:
    """One verified release.

    Attributes:
        release: The paths and bytes that were walked, and no others: what the bundle holds.
        first_root: The root that the walk started from.
        root: The newest root.
        targets: The charter and the delegations.
        delegated: Role metadata by role name.
        documents: Content of each document by target path, such as "grants/g-2026-001.json".
        snapshot: Versions of the above.
        timestamp: When the backend last vouched for the snapshot.
    """

    release: ReleaseFiles
    first_root: bytes
    root: Metadata[Root]
    targets: Metadata[Targets]
    delegated: Mapping[str, Metadata[Targets]]
    documents: Mapping[str, bytes]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]

    @property
    def charter(self) -> bytes:
        """The charter in force, as it was signed."""
        return self.documents[CHARTER_PATH]

    def version(self, role: str) -> int:
        """Return the version of `role` in force, or its last one if the city has it no more; 0 if it never had."""
        if role == ROOT:
            return self.root.signed.version
        listed = self.snapshot.signed.meta.get(f"{role}.json")
        return 0 if listed is None else listed.version

    def signers(self, path: str) -> tuple[Holder, ...]:
        """Return who signed the document at `path`, in the order of their offices."""
        if path == CHARTER_PATH:
            return signers(TARGETS, self.targets, self.root.signed)
        role = role_of(path, self.targets.signed)
        return signers(role.name, self.delegated[role.name], self.targets.signed)

    def holders(self) -> tuple[Holder, ...]:
        """Return all who hold a key of this city."""
        keys = {**self.root.signed.keys, **delegations(self.targets.signed)[0]}
        return tuple(sorted(holder_of(key) for key in keys.values() if OFFICE_FIELD in key.unrecognized_fields))

    @property
    def signed_at(self) -> datetime:
        """When the backend last signed the timestamp."""
        return read_signed_at(self.timestamp.signed)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierMetadata:
    """What the officials' metadata said under one snapshot; as in `PublishedCity`."""

    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]
    delegated: Mapping[str, Metadata[Targets]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkedMetadata(EarlierMetadata):
    """A release's metadata, verified, whatever becomes of its documents.

    Attributes:
        roots: Every root, the first one first.
        timestamp: As in `PublishedCity`.
    """

    roots: tuple[Metadata[Root], ...]
    timestamp: Metadata[Timestamp]


def verify_release(release: ReleaseFiles, first_root: bytes) -> PublishedCity:
    """Walk `release` from `first_root` to the last document and return what it holds.

    Raises:
        BundleFormatError: Something is missing, is not TUF metadata, or does not match its digest.
        SignatureError: Something is not signed by whom it must be.
        RollbackError: A version is not the one its parent names.
    """
    used: dict[str, bytes] = {}
    walked = _walk(release, first_root, used)
    documents: dict[str, bytes] = dict(_documents(release, TARGETS, walked.targets.signed, used))
    for role, metadata in walked.delegated.items():
        documents.update(_documents(release, role, metadata.signed, used))
    if CHARTER_PATH not in documents:
        raise BundleFormatError(f"the city has no {CHARTER_PATH}")
    return PublishedCity(
        release=used,
        first_root=first_root_of(used),
        root=walked.roots[-1],
        targets=walked.targets,
        delegated=walked.delegated,
        documents=documents,
        snapshot=walked.snapshot,
        timestamp=walked.timestamp,
    )


def verify_metadata(release: ReleaseFiles, first_root: bytes) -> WalkedMetadata:
    """Walk the metadata of `release` from `first_root` and return it; raises as `verify_release`, asks no document."""
    return _walk(release, first_root, {})


def verify_earlier(release: ReleaseFiles, roots: Sequence[Metadata[Root]], version: int) -> EarlierMetadata:
    """Return what snapshot `version` of a city said, however long ago.

    Args:
        release: Paths and bytes, those of old versions among them.
        roots: The city's roots, verified; one of them vouched for the snapshot's keys in its time.
        version: The snapshot's.

    Raises:
        BundleFormatError: Something is missing or is not TUF metadata.
        SignatureError: Something is not signed by whom it must be.
        RollbackError: A version is not the one its parent names.
    """
    raw = _take(release, f"metadata/{version}.snapshot.json", {})
    snapshot = parse_metadata(raw, Snapshot, SNAPSHOT)
    _expect_version(SNAPSHOT, snapshot.signed.version, version)
    _verify_by_any(roots, SNAPSHOT, snapshot)
    targets = parse_metadata(_take(release, _name(TARGETS, snapshot.signed), {}), Targets, TARGETS)
    _verify_by_any(roots, TARGETS, targets)
    return EarlierMetadata(
        snapshot=snapshot, targets=targets, delegated=_walk_delegated(release, snapshot.signed, targets.signed, {})
    )


def parse_metadata(raw: bytes, kind: type[_S], role: str) -> Metadata[_S]:
    """Return the metadata in `raw`, whose signatures nobody has looked at yet.

    Raises:
        BundleFormatError: It is not TUF metadata of this kind.
    """
    try:
        metadata: Metadata[_S] = Metadata.from_bytes(raw)
        _ = metadata.signed_bytes  # what has no canonical form (a fraction, say) was signed by nobody
    except (DeserializationError, SerializationError, RecursionError) as error:
        raise BundleFormatError(f"metadata of {role} is not TUF metadata") from error
    if type(metadata.signed) is not kind:
        raise BundleFormatError(f"metadata of {role} is of type {metadata.signed.type!r}, expected {kind.type!r}")
    if metadata.unrecognized_fields or not all(isinstance(keyid, str) for keyid in metadata.signatures):
        raise BundleFormatError(f"metadata of {role} says something beside what is signed")
    return metadata


def first_root_of(release: ReleaseFiles) -> bytes:
    """Return the first root in a release: the city's name for machines, and no more than its own word.

    Raises:
        BundleFormatError: There is none.
    """
    try:
        return release["metadata/1.root.json"]
    except KeyError:
        raise BundleFormatError("the release has no first root") from None


def document_url(path: str, target: TargetFile) -> str:
    """Return where a document lies in a release: its name is prefixed with its digest."""
    folder, _, name = path.rpartition("/")
    return "/".join(filter(None, ("targets", folder, f"{target.hashes[HASH]}.{name}")))


def delegations(targets: Targets) -> tuple[Mapping[str, Key], Mapping[str, DelegatedRole]]:
    """Return the keys and the roles that `targets` delegates to."""
    if targets.delegations is None or targets.delegations.roles is None:
        return {}, {}
    return targets.delegations.keys, targets.delegations.roles


def role_of(path: str, targets: Targets) -> DelegatedRole:
    """Return the one role that signs documents at `path`.

    Raises:
        BundleFormatError: No role of this city does.
    """
    for role in delegations(targets)[1].values():
        if role.is_delegated_path(path):
            return role
    raise BundleFormatError(f"no role of this city signs {path}", hint="the charter says which office may do what")


def holder_of(key: Key) -> Holder:
    """Return who stands behind `key`."""
    fields = key.unrecognized_fields
    return Holder(
        office=str(fields.get(OFFICE_FIELD, "unknown office")),
        name=str(fields.get(NAME_FIELD, "unknown")),
        keyid=key.keyid,
    )


def signers(role: str, metadata: Metadata[_S], delegator: Root | Targets) -> tuple[Holder, ...]:
    """Return whose valid signatures `metadata` carries, of those who may sign `role`."""
    result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    return tuple(sorted(holder_of(key) for key in result.signed.values()))


def read_signed_at(timestamp: Timestamp) -> datetime:
    """Return when the timestamp was signed.

    Raises:
        BundleFormatError: It does not say, or not as RFC 3339 in UTC.
    """
    said = timestamp.unrecognized_fields.get(SIGNED_AT_FIELD)
    if not isinstance(said, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said, re.ASCII):
        raise BundleFormatError(f"the timestamp does not say {SIGNED_AT_FIELD} in UTC")
    return datetime.fromisoformat(said)


def _walk(release: ReleaseFiles, first_root: bytes, used: dict[str, bytes]) -> WalkedMetadata:
    roots = _walk_roots(release, first_root, used)
    root = roots[-1]
    timestamp = _signed(root, TIMESTAMP, _take(release, "metadata/timestamp.json", used), Timestamp)
    wanted = timestamp.signed.snapshot_meta.version
    snapshot = _signed(root, SNAPSHOT, _take(release, f"metadata/{wanted}.snapshot.json", used), Snapshot)
    _expect_version(SNAPSHOT, snapshot.signed.version, wanted)
    targets = _signed(root, TARGETS, _take(release, _name(TARGETS, snapshot.signed), used), Targets)
    _expect_version(TARGETS, targets.signed.version, snapshot.signed.meta["targets.json"].version)
    return WalkedMetadata(
        roots=roots,
        timestamp=timestamp,
        snapshot=snapshot,
        targets=targets,
        delegated=_walk_delegated(release, snapshot.signed, targets.signed, used),
    )


def _walk_roots(release: ReleaseFiles, first_root: bytes, used: dict[str, bytes]) -> tuple[Metadata[Root], ...]:
    trusted = parse_metadata(first_root, Root, ROOT)
    first = f"metadata/{trusted.signed.version}.root.json"
    root = parse_metadata(_take(release, first, used), Root, ROOT)
    # Whose signatures are on it is for its own threshold to say; an official trusts a root before all have signed.
    if root.signed_bytes != trusted.signed_bytes:
        raise SignatureError("this is another city: its first root is not the one trusted here")
    _verify(root.signed, ROOT, root)
    roots = [root]
    while (name := f"metadata/{root.signed.version + 1}.root.json") in release:
        following = parse_metadata(_take(release, name, used), Root, ROOT)
        _verify(root.signed, ROOT, following)
        _verify(following.signed, ROOT, following)
        _expect_version(ROOT, following.signed.version, root.signed.version + 1)
        root = following
        roots.append(root)
    return tuple(roots)


def _walk_delegated(
    release: ReleaseFiles, snapshot: Snapshot, targets: Targets, used: dict[str, bytes]
) -> dict[str, Metadata[Targets]]:
    delegated: dict[str, Metadata[Targets]] = {}
    for role in delegations(targets)[1].values():
        metadata = _delegated(targets, role.name, _take(release, _name(role.name, snapshot), used))
        _expect_version(role.name, metadata.signed.version, snapshot.meta[f"{role.name}.json"].version)
        for path in metadata.signed.targets:
            if not role.is_delegated_path(path):
                raise SignatureError(f"role {role.name} lists {path}, which is not its to sign")
        delegated[role.name] = metadata
    return delegated


def _signed(root: Metadata[Root], role: str, raw: bytes, kind: type[_S]) -> Metadata[_S]:
    metadata = parse_metadata(raw, kind, role)
    _verify(root.signed, role, metadata)
    return metadata


def _delegated(targets: Targets, role: str, raw: bytes) -> Metadata[Targets]:
    metadata = parse_metadata(raw, Targets, role)
    _verify(targets, role, metadata)
    return metadata


def _verify(delegator: Root | Targets, role: str, metadata: Metadata[_S]) -> None:
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError as error:
        raise SignatureError(f"{role} is not signed as it must be: {error}") from error


def _verify_by_any(roots: Sequence[Metadata[Root]], role: str, metadata: Metadata[_S]) -> None:
    for root in roots[:-1]:
        with contextlib.suppress(SignatureError):  # another root's keys, perhaps; the last one has the last word
            _verify(root.signed, role, metadata)
            return
    _verify(roots[-1].signed, role, metadata)


def _documents(
    release: ReleaseFiles, role: str, targets: Targets, used: dict[str, bytes]
) -> Iterator[tuple[str, bytes]]:
    for path, target in targets.targets.items():
        if HASH not in target.hashes:
            raise BundleFormatError(f"role {role} gives no {HASH} for {path}")
        content = _take(release, document_url(path, target), used)
        try:
            target.verify_length_and_hashes(content)
        except LengthOrHashMismatchError as error:
            raise BundleFormatError(f"{path} is not what {role} signed") from error
        yield path, content


def _take(release: ReleaseFiles, path: str, used: dict[str, bytes]) -> bytes:
    try:
        used[path] = release[path]
    except KeyError:
        raise BundleFormatError(f"the release lacks {path}") from None
    return used[path]


def _name(role: str, snapshot: Snapshot) -> str:
    try:
        return f"metadata/{snapshot.meta[f'{role}.json'].version}.{role}.json"
    except KeyError:
        raise BundleFormatError(f"the snapshot does not name {role}") from None


def _expect_version(role: str, found: int, expected: int) -> None:
    if found != expected:
        raise RollbackError(f"{role} has version {found}, expected {expected}")
