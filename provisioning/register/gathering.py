"""Gather what a register is made of: from the city's folder, the backend's store and the city's own log."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tuf.api.metadata import Metadata, Root, Snapshot

from agent.core.log.leaf import Event
from agent.core.log.merkle import EMPTY_ROOT
from agent.core.policy.charter import parse_charter
from agent.core.policy.documents import Grant
from agent.core.policy.release import SNAPSHOT
from agent.errors import BundleFormatError
from provisioning.authority import files
from provisioning.authority.city import CityFolder, read_city
from provisioning.authority.cross_check import documents_of
from provisioning.authority.extract import Precision, digest_of, place_of, public_extract
from provisioning.authority.published import (
    EarlierMetadata,
    PublishedCity,
    document_url,
    parse_metadata,
    verify_earlier,
    verify_metadata,
)
from provisioning.backend.installation import BackendFolder
from provisioning.evidence.city_log import CityLog
from provisioning.register.claims import CityLogState, ClaimedCamera, ClaimedPlace, Claims
from provisioning.register.deeds import Deeds, deeds_of, handed_over, refused
from provisioning.register.history import charter_url, needed
from provisioning.register.made_of import Ingredients, city_name
from provisioning.release.register import counts

MAX_FILE_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a register is to be made.

    Attributes:
        precision: How exactly places are told.
        address: Where it will be published, with a slash at the end; None if nobody said.
        outline: The city's outline, GeoJSON; None for no map.
        now: When it is made, aware UTC.
        software: Version of this program.
    """

    precision: Precision
    now: datetime
    software: str
    address: str | None = None
    outline: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where everything lies.

    Attributes:
        city: The city's folder, with its history; a copy of the bundle alone has none.
        backend: The backend's folder; None for a register without what cameras did.
        city_log: The city's own log; None for one without exports and releases.
        label_keys: Fingerprint of the key that each camera was enrolled with, by camera.
    """

    city: CityFolder
    backend: BackendFolder | None = None
    city_log: CityLog | None = None
    label_keys: Mapping[str, str] = field(default_factory=dict)


def gather(sources: Sources, wanted: Wanted) -> Ingredients:
    """Return everything that a register is made of.

    Raises:
        PolicyError: The city's files do not add up, or a document was signed before there were public extracts.
        StorageError: Something cannot be read.
        LogDamagedError: The city's own log is none.
    """
    city = read_city(sources.city)
    history = _history(sources.city, city)
    events = () if sources.city_log is None else sources.city_log.read()
    now = wanted.now.astimezone(UTC).replace(microsecond=0)
    documents = documents_of(city.documents)
    cameras = sorted({camera for one in documents.values() if isinstance(one, Grant) for camera in one.cameras})
    claims = Claims(
        kind="lamppost-register",
        version=1,
        city=parse_charter(city.charter).city,
        root=city_name(history.roots[0]),
        made_at=now,
        precision=wanted.precision,
        address=wanted.address,
        software=wanted.software,
        snapshots=history.snapshots,
        places={
            path: _place(one, wanted.precision) for path, one in sorted(documents.items()) if isinstance(one, Grant)
        },
        cameras=tuple(_cameras(cameras, sources, events, now)),
        city_log=None if sources.city_log is None else _state(sources.city_log, events),
    )
    return Ingredients(release=history.release, extracts=history.extracts, claims=claims, outline=wanted.outline)


# --- policy, now and before -------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    release: dict[str, bytes]
    extracts: dict[str, bytes]
    snapshots: tuple[int, ...]
    roots: tuple[Metadata[Root], ...]


def _history(folder: CityFolder, city: PublishedCity) -> _History:
    files_of = {**_published(folder), **city.release}
    walked = verify_metadata(files_of, city.first_root)
    kept = {path: raw for path, raw in city.release.items() if path.startswith("metadata/")}
    extracts: dict[str, bytes] = {}
    snapshots: list[int] = []
    for version in _changing(files_of, walked.snapshot.signed.version):
        metadata = verify_earlier(files_of, walked.roots, version)
        try:
            extracts |= _extracts(metadata, files_of)
        except BundleFormatError:
            if version == walked.snapshot.signed.version:
                raise
            snapshots.clear()  # before officials signed extracts: a history begins after
            continue
        snapshots.append(version)
        charter = charter_url(metadata.targets.signed)
        kept |= {path: files_of[path] for path in (*_names(metadata.snapshot.signed), charter)}
    return _History(
        release=kept,
        extracts=extracts,
        snapshots=tuple(snapshots),
        roots=walked.roots,
    )


def _published(folder: CityFolder) -> dict[str, bytes]:
    root = folder.published
    if not root.is_dir():
        return {}
    every = (path for part in ("metadata", "targets") for path in sorted((root / part).rglob("*.json")))
    return {str(path.relative_to(root)): files.read_capped(path, max_bytes=MAX_FILE_BYTES) for path in every}


def _changing(release: Mapping[str, bytes], last: int) -> Iterator[int]:
    """Yield the versions of the snapshots that said something new, rising; the one in force is the last."""
    before: dict[str, int] | None = None
    for version in range(1, last + 1):
        raw = release.get(f"metadata/{version}.snapshot.json")
        if raw is None:
            continue
        said = {name: meta.version for name, meta in parse_metadata(raw, Snapshot, SNAPSHOT).signed.meta.items()}
        if said != before or version == last:
            yield version
        before = said


def _names(snapshot: Snapshot) -> Iterator[str]:
    yield f"metadata/{snapshot.version}.snapshot.json"
    for name, meta in snapshot.meta.items():
        yield f"metadata/{meta.version}.{name}"


def _extracts(metadata: EarlierMetadata, release: Mapping[str, bytes]) -> dict[str, bytes]:
    signed = set(needed(metadata))
    made: dict[str, bytes] = {}
    for role in metadata.delegated.values():
        for path, target in role.signed.targets.items():
            extract = public_extract(release[document_url(path, target)])
            made[digest_of(extract)] = extract
    if set(made) != signed:
        raise BundleFormatError("what the public may see of a document is not what its officials signed")
    return made


def _place(grant: Grant, precision: Precision) -> ClaimedPlace:
    place = place_of(grant, precision)
    return ClaimedPlace(
        latitude=place.latitude, longitude=place.longitude, precision_m=place.precision_m, salt=place.salt
    )


# --- what cameras did, and what was done with footage ----------------------------


def _cameras(
    cameras: Iterable[str], sources: Sources, events: Sequence[Event], now: datetime
) -> Iterator[ClaimedCamera]:
    deeds = {} if sources.backend is None else deeds_of(cameras, sources.backend, now)
    exports, turned_away, opened = handed_over(events), refused(events), counts(events).opened_by_camera
    for camera in cameras:
        did = deeds.get(camera, Deeds())
        yield ClaimedCamera(
            camera=camera,
            label_key=sources.label_keys.get(camera),
            account=did.account,
            attestation=did.attestation,
            exports=dict(sorted(exports.get(camera, {}).items())),
            exports_refused=turned_away[camera],
            opened=opened.get(camera, 0),
        )


def _state(log: CityLog, events: Sequence[Event]) -> CityLogState | None:
    if not events:
        return CityLogState(entries=0, root=EMPTY_ROOT.hex())
    entry = log.entry(len(events) - 1)
    return CityLogState(entries=entry.size, root=entry.root.hex())
