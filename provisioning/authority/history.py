"""Every document that a city ever published: since when, until when, and who signed it.

`published/metadata` keeps every version of every role for ever, and each snapshot says which of
them were in force together. The snapshots are walked from the first to the newest, and each is
held to what the root of its day asked for. A grant that another replaced is still here; in the
bundle it is not.

A snapshot states no time but its end, which the backend sets a fixed while after it signs
(`city.SNAPSHOT_OUTLIVES`): the times here are those of the backend's clock.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets

from agent.core.bundle import MAX_METADATA_BYTES
from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.release import CHARTER_PATH, ROOT, SNAPSHOT, TARGETS
from agent.core.policy.strict_json import MAX_DOCUMENT_BYTES
from agent.errors import BundleFormatError, SignatureError, UsageError
from provisioning.authority import files
from provisioning.authority.city import SNAPSHOT_OUTLIVES, CityFolder, read_city
from provisioning.authority.published import (
    Holder,
    PublishedCity,
    delegations,
    document_url,
    parse_metadata,
    signers,
)

_S = TypeVar("_S", Root, Snapshot, Targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One document.

    Attributes:
        path: Its target path, such as "grants/g-2026-001.json", or that of the charter.
        raw: Its bytes, verified.
        signers: Who signed it when it was published.
        since: When it was published.
        until: When another list without it was published; None if it still is.
    """

    path: str
    raw: bytes
    signers: tuple[Holder, ...]
    since: datetime
    until: datetime | None = None


def read_history(folder: CityFolder) -> tuple[Publication, ...]:
    """Return every document that the city in `folder` ever published, in the order of publication.

    Args:
        folder: The backend's, or a copy of the whole published part: the bundle alone has no past.

    Raises:
        BundleFormatError: A version is missing, or is not what was signed.
        SignatureError: One is not signed by whom it had to be.
        UsageError: This is a bundle.
    """
    city = read_city(folder)
    if not (folder.published / "metadata").is_dir():
        raise UsageError(
            f"{folder.path} holds what is in force now, and nothing of what was",
            hint="give the city's folder, or a copy of all of its published part",
        )
    there: dict[tuple[str, bytes], Publication] = {}
    ended: list[Publication] = []
    for at, listed in _states(folder.published, city):
        ended += [replace(there.pop(key), until=at) for key in there.keys() - listed.keys()]
        for (path, raw), who in listed.items():
            if (path, raw) not in there:
                there[path, raw] = Publication(path=path, raw=raw, signers=who, since=at)
    return tuple(sorted((*ended, *there.values()), key=lambda one: (one.since, one.path)))


_Listed = Mapping[tuple[str, bytes], tuple[Holder, ...]]


def _states(published: Path, city: PublishedCity) -> Iterator[tuple[datetime, _Listed]]:
    """Yield each state of the documents, and since when it was in force."""
    roots = [
        parse_metadata(city.release[f"metadata/{version}.root.json"], Root, ROOT)
        for version in range(1, city.root.signed.version + 1)
    ]
    before: object = None
    for version in range(1, city.snapshot.signed.version + 1):
        raw = _read(published / f"metadata/{version}.snapshot.json")
        root, snapshot = _by_one_of(roots, SNAPSHOT, raw, Snapshot)
        if snapshot.signed.meta == before:
            continue  # the daily word that nothing has changed
        before = snapshot.signed.meta
        # A backend does not go back to a key that was replaced.
        roots = roots[roots.index(root) :]
        listed, charter = _listed(published, roots, snapshot.signed)
        yield snapshot.signed.expires - SNAPSHOT_OUTLIVES * charter.offline_for, listed


def _listed(published: Path, roots: list[Metadata[Root]], snapshot: Snapshot) -> tuple[_Listed, Charter]:
    root, targets = _by_one_of(roots, TARGETS, _read(published / _name(TARGETS, snapshot)), Targets)
    listed = dict(_documents(published, targets.signed, signers(TARGETS, targets, root.signed)))
    charter = next((raw for path, raw in listed if path == CHARTER_PATH), None)
    if charter is None:
        raise BundleFormatError(f"version {snapshot.version} of the snapshot names no charter")
    for role in delegations(targets.signed)[1].values():
        metadata = parse_metadata(_read(published / _name(role.name, snapshot)), Targets, role.name)
        _verify(targets.signed, role.name, metadata)
        who = signers(role.name, metadata, targets.signed)
        for (path, raw), by in _documents(published, metadata.signed, who):
            if not role.is_delegated_path(path):
                raise SignatureError(f"role {role.name} listed {path}, which is not its to sign")
            listed[path, raw] = by
    return listed, parse_charter(charter)


def _documents(
    published: Path, targets: Targets, who: tuple[Holder, ...]
) -> Iterator[tuple[tuple[str, bytes], tuple[Holder, ...]]]:
    for path, target in targets.targets.items():
        raw = _read(published / document_url(path, target), max_bytes=MAX_DOCUMENT_BYTES)
        try:
            target.verify_length_and_hashes(raw)
        except LengthOrHashMismatchError as error:
            raise BundleFormatError(f"{path} is not what was signed") from error
        yield (path, raw), who


def _by_one_of(
    roots: list[Metadata[Root]], role: str, raw: bytes, kind: type[_S]
) -> tuple[Metadata[Root], Metadata[_S]]:
    """Return metadata, and the first of the roots that vouches for it."""
    metadata = parse_metadata(raw, kind, role)
    for root in roots[:-1]:
        try:
            _verify(root.signed, role, metadata)
        except SignatureError:
            continue
        return root, metadata
    _verify(roots[-1].signed, role, metadata)
    return roots[-1], metadata


def _verify(delegator: Root | Targets, role: str, metadata: Metadata[_S]) -> None:
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError as error:
        raise SignatureError(f"{role} was not signed as it had to be: {error}") from error


def _name(role: str, snapshot: Snapshot) -> str:
    try:
        return f"metadata/{snapshot.meta[f'{role}.json'].version}.{role}.json"
    except KeyError:
        raise BundleFormatError(f"version {snapshot.version} of the snapshot does not name {role}") from None


def _read(path: Path, *, max_bytes: int = MAX_METADATA_BYTES) -> bytes:
    if not path.exists():
        raise BundleFormatError(f"{path} is missing, and every version is kept for ever")
    return files.read_capped(path, max_bytes=max_bytes)
