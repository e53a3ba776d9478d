"""A city's folder at the backend: what is published, and the two keys that vouch for it daily.

    CITY/published/policy.bundle  the release in force, as cameras take it
    CITY/published/metadata/…     every version of every role, for ever
    CITY/published/targets/…      every document, under its digest
    CITY/online/snapshot.pem      the backend's own keys (0600)
    CITY/online/timestamp.pem

The bundle is the city: one file, replaced whole, so that no power cut leaves a
city half changed. The two folders beside it are the same release unrolled, with
all that came before, for auditors and for mirrors. `published/` is public; an
official needs no more than a copy of the bundle. `online/` never leaves the
backend; its keys can withhold and repeat what officials signed, and nothing else.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Key, Signer
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Targets, Timestamp

from agent.core.bundle import MAX_BUNDLE_BYTES, MAX_METADATA_BYTES, decode_bundle, encode_bundle
from agent.core.policy.charter import Charter, canonical_charter, parse_charter
from agent.core.policy.ledger import MAX_ROLE_BYTES
from agent.core.policy.release import CHARTER_PATH, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from agent.core.policy.roles import GRANTS
from agent.core.policy.words import write_instant
from agent.errors import BundleFormatError, FreshnessError, PolicyError, UsageError
from provisioning.authority import files, pkcs8
from provisioning.authority.draft import Draft, parse_role
from provisioning.authority.draft_publishing import published_already, refuse_conflicts, refuse_incomplete, refuse_stale
from provisioning.authority.draft_signing import check_draft
from provisioning.authority.drafting import draft_founding
from provisioning.authority.keys import KeyCard
from provisioning.authority.published import (
    SIGNED_AT_FIELD,
    PublishedCity,
    ReleaseFiles,
    document_url,
    first_root_of,
    parse_metadata,
    verify_release,
)

BUNDLE_FILE = "policy.bundle"

# The snapshot only has to outlive the timestamp, which is what goes stale; five timestamps' worth, so that a
# backend that refreshes the one and forgets the other is noticed by its own cron and not by the cameras.
SNAPSHOT_OUTLIVES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CityFolder:
    """Where a city lies: the backend's folder, a copy of its published part, or a copy of the bundle alone."""

    path: Path

    @property
    def published(self) -> Path:
        """The public part."""
        return self.path / "published"

    @property
    def online(self) -> Path:
        """The backend's keys."""
        return self.path / "online"

    @property
    def bundle_path(self) -> Path:
        """The bundle that cameras take."""
        if self.path.is_file():
            return self.path
        copied = self.path / BUNDLE_FILE
        return copied if copied.exists() else self.published / BUNDLE_FILE


def prepare_city(folder: CityFolder, charter: Charter, cards: tuple[KeyCard, ...], *, now: datetime) -> Draft:
    """Make the backend's own keys in `folder` and return the founding draft for the officials to sign.

    Raises:
        SignatureError: The cards do not fill the charter's offices.
        UsageError: There is a city here already, or one is about to be founded.
        StorageError: The disk refuses.
    """
    if folder.online.exists():
        raise UsageError(
            f"{folder.path} belongs to a city already", hint="have its founding draft signed, or choose another folder"
        )
    signers = {role: CryptoSigner(Ed25519PrivateKey.generate()) for role in (SNAPSHOT, TIMESTAMP)}
    online: Mapping[str, Key] = {role: signer.public_key for role, signer in signers.items()}
    draft = draft_founding(charter, canonical_charter(charter), cards, online, now=now)
    files.make_folder(folder.online, mode=files.PRIVATE_FOLDER)
    for role, signer in signers.items():
        # Clear, for its owner only: a clock must be able to use them at night without a person.
        files.write_new(folder.online / f"{role}.pem", signer.private_bytes, mode=files.PRIVATE)
    return draft


def read_city(folder: CityFolder, trusted_root: bytes | None = None) -> PublishedCity:
    """Return the city in `folder`, verified from its first root.

    Args:
        folder: The backend's, or any copy of the published part.
        trusted_root: The first root it must have; None takes the bundle's own word.

    Raises:
        PolicyError: Its files do not add up.
        UsageError: There is none.
    """
    if not folder.bundle_path.exists():
        raise UsageError(
            f"{folder.path} holds no city yet", hint="lamppost city init, have the founding signed, then publish it"
        )
    release = decode_bundle(files.read_capped(folder.bundle_path, max_bytes=MAX_BUNDLE_BYTES))
    return verify_release(release, first_root_of(release) if trusted_root is None else trusted_root)


def bundle(city: PublishedCity) -> bytes:
    """Return the release as the one message that cameras take."""
    return encode_bundle(city.release)


def publish(folder: CityFolder, draft: Draft, *, now: datetime) -> PublishedCity:
    """Make a fully signed draft part of the city, vouch for it, and renew the bundle.

    Publishing again what is published changes nothing.

    Args:
        folder: The backend's.
        draft: Anything that parsed; it is checked first.
        now: Current UTC time.

    Raises:
        SignatureError: Signatures are missing (the message names whose), or wrong.
        RollbackError: The city has moved on since the draft was made.
        PolicyError: The draft does not add up.
        UsageError: This folder cannot publish, or founds or lacks a city.
    """
    with _at_the_backend(folder):
        current = read_city(folder) if folder.bundle_path.exists() else None
        if current is not None and published_already(draft, current):
            return current
        if (current is None) != draft.founding:
            raise UsageError(f"{folder.path} holds {'no city yet' if current is None else 'a city already'}")
        checked = check_draft(draft, None if current is None else current.first_root, now=now)
        refuse_incomplete(checked)
        if current is not None:
            refuse_stale(draft, current)
            refuse_conflicts(draft, current, now=now)
        _refuse_flood(draft)
        return _vouch(folder, current, signed_files(draft), now=now)


def _refuse_flood(draft: Draft) -> None:
    """Pass if no role says more than a camera keeps of it: every camera would refuse the whole release."""
    for role, raw in draft.metadata.items():
        metadata = parse_role(raw, role).signed
        size = sum(target.length for target in metadata.targets.values()) if isinstance(metadata, Targets) else 0
        if role not in (TARGETS, GRANTS) and size > MAX_ROLE_BYTES:
            raise PolicyError(
                f"{role} would say {size} bytes in all, and a camera keeps {MAX_ROLE_BYTES}",
                hint="one restriction may name several cameras, and have several parts",
            )


def refresh(folder: CityFolder, *, now: datetime) -> PublishedCity:
    """Vouch anew for the release in force, so that cameras know it is still the newest.

    Raises:
        PolicyError: The city's files do not add up.
        UsageError: There is no city, or no keys, here.
    """
    with _at_the_backend(folder):
        return _vouch(folder, read_city(folder), {}, now=now)


def signed_files(draft: Draft) -> dict[str, bytes]:
    """Return what `draft` adds to a release: its metadata and documents under the names clients ask for."""
    added: dict[str, bytes] = {}
    for role, raw in draft.metadata.items():
        metadata = parse_role(raw, role)
        added[f"metadata/{metadata.signed.version}.{role}.json"] = metadata.to_bytes()
        if isinstance(metadata.signed, Targets):
            for path, target in metadata.signed.targets.items():
                if path in draft.documents:
                    added[document_url(path, target)] = draft.documents[path]
    return added


def next_release(
    current: PublishedCity | None, added: ReleaseFiles, signers: Mapping[str, Signer], *, now: datetime
) -> PublishedCity:
    """Return the release in which `added` is in force, verified as a camera would.

    Args:
        current: The release in force; None at a founding.
        added: From `signed_files`; empty to vouch anew for what is in force.
        signers: The backend's, for "snapshot" and "timestamp".
        now: Current UTC time.

    Raises:
        FreshnessError: The clock is behind what was vouched for last.
    """
    now = now.replace(microsecond=0)
    if current is not None and now < current.signed_at:
        raise FreshnessError(
            f"the clock says {write_instant(now)}, but the city was vouched for at {write_instant(current.signed_at)}",
            hint="set this machine's clock",
        )
    meta = {} if current is None else dict(current.snapshot.signed.meta)
    for path in added:
        version, _, role = path.removeprefix("metadata/").removesuffix(".json").partition(".")
        if path.startswith("metadata/") and role != ROOT:
            meta[f"{role}.json"] = MetaFile(int(version))
    release = {**({} if current is None else current.release), **added}
    live_for = _charter_in(release).offline_for
    snapshot = Metadata(
        Snapshot(
            version=1 if current is None else current.snapshot.signed.version + 1,
            expires=now + SNAPSHOT_OUTLIVES * live_for,
            meta=dict(sorted(meta.items())),
        )
    )
    timestamp = Metadata(
        Timestamp(
            version=1 if current is None else current.timestamp.signed.version + 1,
            expires=now + live_for,
            snapshot_meta=MetaFile(snapshot.signed.version),
            unrecognized_fields={SIGNED_AT_FIELD: write_instant(now)},
        )
    )
    snapshot.sign(signers[SNAPSHOT])
    timestamp.sign(signers[TIMESTAMP])
    release[f"metadata/{snapshot.signed.version}.snapshot.json"] = snapshot.to_bytes()
    release["metadata/timestamp.json"] = timestamp.to_bytes()
    return verify_release(release, first_root_of(release))


def _vouch(folder: CityFolder, current: PublishedCity | None, added: ReleaseFiles, *, now: datetime) -> PublishedCity:
    signers = {role: online_signer(folder, role) for role in (SNAPSHOT, TIMESTAMP)}
    city = next_release(current, added, signers, now=now)
    packed = bundle(city)
    files.make_folder(folder.published)
    files.write_whole(folder.published / BUNDLE_FILE, packed)
    for path, content in city.release.items():
        target = folder.published / path
        if not target.exists() or path == "metadata/timestamp.json":
            files.make_folder(target.parent)
            files.write_whole(target, content)
    return city


def _charter_in(release: ReleaseFiles) -> Charter:
    """Return the charter that the newest targets in `release` name."""
    newest = max(
        (path for path in release if path.endswith(".targets.json")),
        key=lambda path: int(path.removeprefix("metadata/").removesuffix(".targets.json")),
        default=None,
    )
    if newest is None:
        raise BundleFormatError("the release has no targets")
    targets = parse_metadata(release[newest], Targets, TARGETS).signed
    return parse_charter(release[document_url(CHARTER_PATH, targets.targets[CHARTER_PATH])])


def online_signer(folder: CityFolder, role: str) -> Signer:
    """Return the backend's own key for "snapshot" or "timestamp".

    Raises:
        StorageError: It is not here: this is no backend's folder.
    """
    pem = files.read_capped(folder.online / f"{role}.pem", max_bytes=MAX_METADATA_BYTES)
    return CryptoSigner(pkcs8.open_private_key(pem, None))


@contextlib.contextmanager
def _at_the_backend(folder: CityFolder) -> Iterator[None]:
    """Hold the folder for one writer, if it is one that can publish."""
    if not (folder.online / f"{TIMESTAMP}.pem").exists():
        raise UsageError(
            f"{folder.path} has no keys to publish with", hint="publish at the backend, where the city was made"
        )
    with files.locked(folder.online / ".lock"):
        yield
