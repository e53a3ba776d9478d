"""Verify the signatures of one bundle with python-tuf, and say in our own values what it holds.

The client workflow (TUF 5) is the library's: `tuf.ngclient.Updater`, started each
time from the root in the device's image, over a scratch folder that is thrown away
afterwards. There is no cache to trust, so there is none to poison; what must survive
from one bundle to the next are the floors, and they are not the library's.

The library gets its files from the bundle through a fetcher, so nothing in it has
a network. What TUF does not say (how often a role must be signed, which expiry
matters, what is too old) is not decided here; `agent.core.policy` does that from
the `Release` returned.

Delegated roles are loaded whether or not they have expired: a restriction does not
lapse with its role. Their expiry is in the release, for the core to judge.
"""

import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from securesystemslib.exceptions import Error as SecureSystemsLibError
from securesystemslib.signer import Key
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Role, Root, Signed, Snapshot, T, TargetFile, Targets, Timestamp
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from agent.core.bundle import MAX_DOCUMENT_BYTES, MAX_METADATA_BYTES, METADATA, TARGETS
from agent.core.policy.release import Release, SignedDocument, SigningRule
from agent.errors import (
    BundleFormatError,
    FreshnessError,
    PolicyError,
    RollbackError,
    SignatureError,
    StorageError,
)

SIGNED_AT_FIELD = "x-lamppost-signed-at"  # in the signed part of the timestamp; TUF keeps fields it does not know
MAX_ROLES = 256  # delegated roles one city may have; the charter allows 32 offices in three families
MAX_VERSION = 2**31 - 1  # a counter that rises once a minute for 4,000 years; more is an attack on the counter
MAX_ROOT_ROTATIONS = 256  # python-tuf's own bound

_UNDELEGATED_NAME = "-"  # no document is called so; asking for it makes the client load the role
_ED25519 = "ed25519"  # the only key type officials have; others would only be more code that reads hostile bytes
_ROLE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?", re.ASCII)  # it becomes a file name
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # nothing has expired yet


class BundleFetcher(FetcherInterface):
    """Gives the client what a bundle holds, and 404 for the rest."""

    def __init__(self, entries: Mapping[str, bytes]) -> None:
        self._entries = entries

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Yield the entry `url` as a file; in memory, where the library's own would make one on disk."""
        content = b"".join(self._fetch(url))
        if len(content) > max_length:
            raise DownloadLengthMismatchError(f"{url} has {len(content)} bytes, more than the {max_length} signed")
        yield io.BytesIO(content)

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            content = self._entries[url]
        except KeyError:
            raise DownloadHTTPError(f"the bundle lacks {url}", 404) from None
        return iter((content,))


def verify_bundle(entries: Mapping[str, bytes], *, trusted_root: bytes, now: datetime) -> Release:
    """Return what `entries` hold, if every signature, hash, version and expiry in them is right.

    Args:
        entries: The bundle, decoded.
        trusted_root: Root metadata in the device's image; where trust starts.
        now: The time that top-level metadata must not have expired at.

    Raises:
        SignatureError: Too few signatures, or a role vouches for what it may not.
        RollbackError: Versions inside the bundle contradict each other.
        FreshnessError: Top-level metadata has expired.
        BundleFormatError: Metadata or documents are missing, malformed or not what was signed.
        StorageError: The scratch folder cannot be written.
    """
    with _named_errors(), tempfile.TemporaryDirectory(prefix="lamppost-tuf-") as scratch:
        fetcher = BundleFetcher(entries)
        updater = open_updater(Path(scratch), fetcher, trusted_root=trusted_root, now=now)
        updater.refresh()
        return _read_release(updater, fetcher, Path(scratch))


def check_trusted_root(raw: bytes) -> None:
    """Pass if `raw` is root metadata that keeps its own signing rule; anything else could verify no bundle.

    Raises:
        PolicyError: It is not.
    """
    with _named_errors(), tempfile.TemporaryDirectory(prefix="lamppost-tuf-") as scratch:
        open_updater(Path(scratch), BundleFetcher({}), trusted_root=raw, now=_ANY_TIME)


def open_updater(folder: Path, fetcher: FetcherInterface, *, trusted_root: bytes, now: datetime) -> Updater:
    """Return the library's client at the start of one update, with our bounds and our clock.

    Args:
        folder: Where the client keeps metadata; must exist. The fewer disks below it, the better.
        fetcher: Where it gets them.
        trusted_root: Root metadata to start from.
        now: The time to judge expiry by.
    """
    updater = Updater(
        metadata_dir=str(folder),
        metadata_base_url=METADATA,
        fetcher=fetcher,
        config=UpdaterConfig(
            max_root_rotations=MAX_ROOT_ROTATIONS,
            root_max_length=MAX_METADATA_BYTES,
            snapshot_max_length=MAX_METADATA_BYTES,
            targets_max_length=MAX_METADATA_BYTES,
        ),
        bootstrap=trusted_root,
    )
    _judge_expiry_at(updater, now)
    return updater


def _judge_expiry_at(updater: Updater, now: datetime) -> None:
    # python-tuf 7 reads the wall clock when the trusted set is made and offers no way to say otherwise; its
    # own tests patch `datetime`. The attribute is the one place it then compares with, and a test of ours
    # fails if a later version stops reading it.
    updater._trusted_set.reference_time = now  # noqa: SLF001 - see above


def _read_release(updater: Updater, fetcher: FetcherInterface, folder: Path) -> Release:
    """Return what the client trusts after a successful refresh, and everything its roles vouch for."""
    root = _load(Root, folder, "root")
    timestamp = _load(Timestamp, folder, "timestamp")
    snapshot = _load(Snapshot, folder, "snapshot")
    targets = _load(Targets, folder, "targets")
    if root.consistent_snapshot is not True:
        raise BundleFormatError("root does not ask for consistent snapshots (TUF 6.2)")
    delegations = _delegations(targets)
    _judge_expiry_at(updater, _ANY_TIME)
    listing = {"targets": targets}
    for rule in delegations:
        listing[rule.role] = _load_role(updater, folder, rule, snapshot)
    signed: dict[str, Signed] = {"root": root, "timestamp": timestamp, "snapshot": snapshot, **listing}
    return Release(
        versions={name: _version(name, metadata.version) for name, metadata in signed.items()},
        listed={name.removesuffix(".json"): _version(name, one.version) for name, one in snapshot.meta.items()},
        expires_at={name: metadata.expires for name, metadata in signed.items()},
        signed_at=_signed_at(timestamp),
        top_level={name: _rule(name, role, root.keys) for name, role in root.roles.items()},
        delegations=delegations,
        documents=tuple(
            _document(updater, fetcher, role=role, version=metadata.version, target=target)
            for role, metadata in listing.items()
            for target in metadata.targets.values()
        ),
    )


def _load(kind: type[T], folder: Path, role: str) -> T:
    """Return the metadata that the client verified and kept."""
    signed = Metadata[T].from_bytes((folder / f"{role}.json").read_bytes()).signed
    if not isinstance(signed, kind):
        raise BundleFormatError(f"role {role} is not of type {kind.type} (TUF 4)")
    return signed


def _load_role(updater: Updater, folder: Path, rule: SigningRule, snapshot: Snapshot) -> Targets:
    """Make the client verify one delegated role, and return it."""
    if f"{rule.role}.json" not in snapshot.meta:
        raise BundleFormatError(f"role {rule.role} is delegated, but the snapshot does not list it (TUF 5.6.1)")
    updater.get_targetinfo(rule.paths[0].replace("*", _UNDELEGATED_NAME))
    try:
        role = _load(Targets, folder, rule.role)
    except FileNotFoundError:  # the client never came to it, so it kept nothing
        raise SignatureError(f"role {rule.role} cannot be reached by the paths it is delegated (TUF 4.5)") from None
    if role.delegations is not None:
        raise SignatureError(f"role {rule.role} delegates further, which no official may")
    return role


def _document(
    updater: Updater, fetcher: FetcherInterface, *, role: str, version: int, target: TargetFile
) -> SignedDocument:
    """Return one document, with length and hash verified against the metadata of the role that vouches for it."""
    if updater.get_targetinfo(target.path) != target:
        raise SignatureError(f"role {role} vouches for {target.path}, which is not its own (TUF 4.5)")
    if list(target.hashes) != ["sha256"]:
        raise BundleFormatError(f"{target.path} is not named by its SHA-256 alone (TUF 4.5)")
    if target.length > MAX_DOCUMENT_BYTES:
        raise BundleFormatError(f"{target.path} has {target.length} bytes, more than the {MAX_DOCUMENT_BYTES} allowed")
    raw = fetcher.download_bytes(f"{TARGETS}{target.get_prefixed_paths()[0]}", target.length)
    target.verify_length_and_hashes(raw)  # TUF 5.7.3
    return SignedDocument(path=target.path, role=role, role_version=version, raw=raw)


def _delegations(targets: Targets) -> tuple[SigningRule, ...]:
    """Return whom top-level targets lets sign what."""
    if targets.delegations is None:
        return ()
    roles = targets.delegations.roles
    if roles is None:
        raise BundleFormatError("targets delegates to hash bins, which no charter asks for")
    if len(roles) > MAX_ROLES:
        raise BundleFormatError(f"targets delegates to {len(roles)} roles, more than the {MAX_ROLES} allowed")
    rules = []
    for role in roles.values():
        if not _ROLE_NAME.fullmatch(role.name) or not role.paths:
            raise BundleFormatError(f"targets delegates to {role.name!r:.80}, which is not a role with paths (TUF 4.5)")
        rule = _rule(role.name, role, targets.delegations.keys)
        rules.append(replace(rule, paths=tuple(role.paths), terminating=role.terminating is True))
    return tuple(rules)


def _rule(name: str, role: Role, keys: Mapping[str, Key]) -> SigningRule:
    """Return who must sign the metadata of role `name`."""
    named = [_public_key(name, keys[keyid]) for keyid in role.keyids]
    return SigningRule(role=name, keys=frozenset(named), listed=len(named), threshold=role.threshold)


def _public_key(role: str, key: Key) -> str:
    if key.keytype != _ED25519 or key.scheme != _ED25519:
        raise SignatureError(f"role {role} has a key of type {key.keytype!r:.40}, expected {_ED25519}")
    return f"{_ED25519}:{bytes.fromhex(key.keyval['public']).hex()}"  # one key, one spelling


def _version(role: str, version: object) -> int:
    # The library compares versions with whatever JSON gave it. NaN is neither older nor newer than any other
    # version, and a float or a huge integer wedges the counter; all three are refused.
    if type(version) is not int or not 0 < version <= MAX_VERSION:
        raise RollbackError(f"role {role} has version {version!r:.40}, expected an integer of 1 to {MAX_VERSION}")
    return version


def _signed_at(timestamp: Timestamp) -> datetime:
    """Return when the timestamp says it was signed."""
    said = timestamp.unrecognized_fields.get(SIGNED_AT_FIELD)
    if not isinstance(said, str) or not _INSTANT.fullmatch(said):
        raise FreshnessError(f"the timestamp does not say when it was signed, in {SIGNED_AT_FIELD}")
    return datetime.strptime(said, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


@contextmanager
def _named_errors() -> Iterator[None]:
    """Give the library's errors our names.

    Its parser wraps what hostile JSON throws; what it computes with the parsed values may still trip over
    a type, and RecursionError comes from anywhere. None of them may end the caller's thread.
    """
    try:
        yield
    except PolicyError:
        raise
    except UnsignedMetadataError as error:
        raise SignatureError(f"{_one_line(error)} (TUF 5.3.4, 5.4.2, 5.5.3, 5.6.3)") from error
    except BadVersionNumberError as error:
        raise RollbackError(f"{_one_line(error)} (TUF 5.3.5, 5.4.3, 5.5.4, 5.6.4)") from error
    except ExpiredMetadataError as error:
        raise FreshnessError(f"{_one_line(error)} (TUF 5.3.10, 5.4.4, 5.5.6, 5.6.5)") from error
    except (LengthOrHashMismatchError, DownloadLengthMismatchError) as error:
        raise BundleFormatError(f"{_one_line(error)} (TUF 5.5.2, 5.6.2, 5.7.3)") from error
    except (RepositoryError, DownloadError, SecureSystemsLibError) as error:
        raise BundleFormatError(f"{_one_line(error)} (TUF 4, 5.1)") from error
    except OSError as error:
        raise StorageError(f"cannot keep metadata for verification: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise BundleFormatError(f"metadata is malformed: {_one_line(error)} (TUF 4)") from error


def _one_line(error: BaseException) -> str:
    line = " ".join(str(error).split())
    return "".join(character if character.isprintable() else "?" for character in line)[:160] or type(error).__name__
