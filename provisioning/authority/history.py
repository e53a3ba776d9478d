"""Every document that a city ever published: since when, until when, and who signed it.

`published/metadata` keeps every version of every role for ever, and each snapshot says which of
them were in force together. The snapshots are walked from the first to the newest, and each is
held to what the root of its day asked for. A grant that another replaced is still here; in the
bundle it is not.

A snapshot states no time but its end, which the backend sets a fixed while after it signs
(`city.SNAPSHOT_OUTLIVES`): the times here are those of the backend's clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, Root, Targets

from agent.core.bundle import MAX_METADATA_BYTES
from agent.core.policy.charter import parse_charter
from agent.core.policy.release import CHARTER_PATH, TARGETS
from agent.errors import BundleFormatError, UsageError
from provisioning.authority import files
from provisioning.authority.city import SNAPSHOT_OUTLIVES, CityFolder, read_city
from provisioning.authority.published import (
    EarlierMetadata,
    Holder,
    PublishedCity,
    ReleaseFiles,
    document_url,
    signers,
    verify_earlier,
    verify_metadata,
)


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
    files_there = _Files(published)
    roots = verify_metadata(city.release, city.first_root).roots
    before: object = None
    for version in range(1, city.snapshot.signed.version + 1):
        earlier = verify_earlier(files_there, roots, version)
        if earlier.snapshot.signed.meta == before:
            continue  # the daily word that nothing has changed
        before = earlier.snapshot.signed.meta
        listed = dict(_listed(files_there, roots, earlier))
        charter = next((parse_charter(raw) for path, raw in listed if path == CHARTER_PATH), None)
        if charter is None:
            raise BundleFormatError(f"version {version} of the snapshot knows no charter")
        yield earlier.snapshot.signed.expires - SNAPSHOT_OUTLIVES * charter.offline_for, listed


def _listed(
    there: ReleaseFiles, roots: Sequence[Metadata[Root]], earlier: EarlierMetadata
) -> Iterator[tuple[tuple[str, bytes], tuple[Holder, ...]]]:
    founders = {who for root in roots for who in signers(TARGETS, earlier.targets, root.signed)}
    yield from _documents(there, earlier.targets.signed, tuple(sorted(founders)))
    for role, metadata in earlier.delegated.items():
        yield from _documents(there, metadata.signed, signers(role, metadata, earlier.targets.signed))


def _documents(
    there: ReleaseFiles, targets: Targets, who: tuple[Holder, ...]
) -> Iterator[tuple[tuple[str, bytes], tuple[Holder, ...]]]:
    for path, target in targets.targets.items():
        try:
            raw = there[document_url(path, target)]
            target.verify_length_and_hashes(raw)
        except KeyError as error:
            raise BundleFormatError(f"{error.args[0]} is missing, and every document is kept for ever") from error
        except LengthOrHashMismatchError as error:
            raise BundleFormatError(f"{path} is not what was signed") from error
        yield (path, raw), who


class _Files(Mapping[str, bytes]):
    """The files of a folder as those of a release, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, path: str) -> bytes:
        if not (self._folder / path).is_file():
            raise KeyError(path)
        return files.read_capped(self._folder / path, max_bytes=MAX_METADATA_BYTES)

    def __iter__(self) -> Iterator[str]:
        return (path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*.json"))

    def __len__(self) -> int:
        return sum(1 for _ in self)
