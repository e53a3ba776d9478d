"""A city in memory: all keys of all offices, and releases signed as a real city's would be.

In the manner of python-tuf's repository simulator. `put`, `drop` and `publish` are
what honest people do. For dishonest ones every metadata object (`root`, `targets`,
`roles`, `snapshot`, `timestamp`), every signer (`signers`) and every file of the
last release (`entries`) is open to be changed between two calls of `publish`.

Keys are derived from the office's name, so that two runs sign the same bytes.
"""

import hashlib
from collections.abc import Iterable
from copy import deepcopy
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from agent.core.bundle import encode_bundle
from agent.core.policy.charter import Charter, canonical_charter
from agent.core.policy.documents import Document, Grant, Hold, Restriction, Revocation, Waiver, canonical_document
from agent.core.policy.release import CHARTER_PATH
from agent.core.policy.roles import expected_roles
from tests.fakes.documents import DAY, NOON, epochs, example_charter, grant

YEAR = timedelta(days=365)


def key_of(name: str) -> CryptoSigner:
    """Return the one key that `name` (an office, "snapshot", "timestamp", "stranger") has in every test."""
    seed = hashlib.sha256(f"lamppost test key of {name}".encode()).digest()
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(seed))


class City:
    """A city that signs and publishes.

    Attributes:
        now: When the next release will be signed.
        signers: Who signs the metadata of each role, by role.
        root: Root's signed part; likewise `targets`, `snapshot`, `timestamp`, and `roles` by name.
        documents: What each role vouches for, path to bytes, by role.
        entries: The files of the last release, and every root before it.
        lasts: How long a timestamp is fresh.
    """

    def __init__(self, charter: Charter | None = None, *, now: datetime = NOON) -> None:
        self.charter = charter or example_charter()
        self.now = now
        self.lasts = self.charter.offline_for
        self.entries: dict[str, bytes] = {}
        quorum = [key_of(office) for office in self.charter.root.offices]
        self.signers: dict[str, list[Signer]] = {
            "root": list(quorum),
            "targets": list(quorum),
            "snapshot": [key_of("snapshot")],
            "timestamp": [key_of("timestamp")],
        }
        self.roles: dict[str, Targets] = {}
        self.documents: dict[str, dict[str, bytes]] = {"targets": {CHARTER_PATH: canonical_charter(self.charter)}}
        self.root = Root(version=1, expires=now + 3 * YEAR, consistent_snapshot=True)
        for role, signers in self.signers.items():
            threshold = self.charter.root.threshold if role in {"root", "targets"} else 1
            self.root.roles[role] = Role([], threshold)
            for signer in signers:
                self.root.add_key(signer.public_key, role)
        self.targets = Targets(version=1, expires=now + YEAR, delegations=Delegations(keys={}, roles={}))
        for expected in expected_roles(self.charter).values():
            self.delegate(expected.name, expected.offices, expected.threshold, f"{expected.folder}*")
        self.snapshot = Snapshot(version=1, expires=now + 30 * DAY)
        self.timestamp = Timestamp(version=1, expires=now + self.lasts)
        self._published: dict[str, dict[str, bytes]] = {}
        self.trusted_root = self._sign("root", self.root)
        self.entries["metadata/1.root.json"] = self.trusted_root

    # --- what honest people do ------------------------------------------------------

    def delegate(self, role: str, offices: Iterable[str], threshold: int, path: str) -> None:
        """Give `role` to `offices`, with an empty list of documents."""
        signers: list[Signer] = [key_of(office) for office in offices]
        delegations = self.targets.delegations
        assert delegations is not None
        assert delegations.roles is not None
        delegations.roles[role] = DelegatedRole(role, [], threshold, terminating=True, paths=[path])
        for signer in signers:
            self.targets.add_key(signer.public_key, role)
        self.signers[role] = signers
        self.roles[role] = Targets(version=1, expires=self.now + YEAR)
        self.documents[role] = {}

    def put(self, document: Document, *, role: str | None = None) -> str:
        """Let the role whose kind it is vouch for `document`; return its path."""
        role = role or role_of(document)
        path = f"{expected_roles(self.charter)[role].folder}{document.id}.json"
        self.documents[role][path] = canonical_document(document)
        return path

    def drop(self, role: str, path: str) -> None:
        """Let `role` stop vouching for the document at `path`."""
        del self.documents[role][path]

    def publish(self, *, after: timedelta = timedelta(minutes=1)) -> bytes:
        """Sign what has changed, then snapshot and timestamp; return the bundle, `after` later than the last one."""
        if self._published:
            self.now += after
            self.snapshot.version += 1
            self.timestamp.version += 1
        for role, metadata in {"targets": self.targets, **self.roles}.items():
            if self._published.get(role) not in (None, self.documents[role]):
                metadata.version += 1
            self._published[role] = dict(self.documents[role])
        return self.sign()

    def rotate(self, role: str, name: str) -> None:
        """Replace the keys of top-level `role` by the key of `name`, in a new version of root."""
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        self.root.add_key(key_of(name).public_key, role)
        self.signers[role] = [key_of(name)]
        self.new_root()

    def new_root(self) -> None:
        """Sign the next version of root and keep it for every bundle from now on."""
        self.root.version += 1
        self.entries[f"metadata/{self.root.version}.root.json"] = self._sign("root", self.root)

    # --- and what dishonest people need ---------------------------------------------

    def sign(self) -> bytes:
        """Sign everything as it is now, change no version, and return the bundle."""
        self.entries = {name: content for name, content in self.entries.items() if name.endswith(".root.json")}
        self.snapshot.meta = {}
        for role, metadata in {"targets": self.targets, **self.roles}.items():
            metadata.targets = {}
            for path, raw in self.documents[role].items():
                target = TargetFile.from_data(path, raw)
                metadata.targets[path] = target
                self.entries[f"targets/{target.get_prefixed_paths()[0]}"] = raw
            signed = self._sign(role, metadata)
            self.entries[f"metadata/{metadata.version}.{role}.json"] = signed
            self.snapshot.meta[f"{role}.json"] = _metafile(metadata.version, signed)
        self.sign_online()
        return self.bundle()

    def sign_online(self) -> None:
        """Sign snapshot and timestamp as they are now."""
        signed = self._sign("snapshot", self.snapshot)
        self.entries[f"metadata/{self.snapshot.version}.snapshot.json"] = signed
        self.timestamp.snapshot_meta = _metafile(self.snapshot.version, signed)
        self.timestamp.unrecognized_fields["x-lamppost-signed-at"] = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.timestamp.expires = self.now + self.lasts
        self.entries["metadata/timestamp.json"] = self._sign("timestamp", self.timestamp)

    def bundle(self) -> bytes:
        """Return the files of the last release as they are now."""
        return encode_bundle(self.entries)

    def twin(self) -> "City":
        """Return a city that is the same until now and goes its own way from here."""
        return deepcopy(self)

    def _sign(self, role: str, signed: Signed) -> bytes:
        metadata = Metadata(signed)
        for signer in self.signers[role]:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def __deepcopy__(self, memo: dict[int, object]) -> "City":
        twin = object.__new__(City)
        for name, value in vars(self).items():
            # private keys cannot be copied, and need not be
            copy = {role: list(kept) for role, kept in value.items()} if name == "signers" else deepcopy(value, memo)
            setattr(twin, name, copy)
        return twin


def recording_city(*, now: datetime = NOON) -> City:
    """Return a city that lets `tests.fakes.documents.CAMERA` record at `now`; nothing published yet."""
    city = City(now=now)
    city.put(grant())
    city.put(epochs())
    return city


def foreign_root() -> bytes:
    """Return the first root of a city that nobody here has to do with."""
    metadata = Metadata(Root(version=1, expires=NOON + YEAR, consistent_snapshot=True))
    for role in ("root", "targets", "snapshot", "timestamp"):
        metadata.signed.add_key(key_of("stranger").public_key, role)
    metadata.sign(key_of("stranger"))
    return metadata.to_bytes()


def role_of(document: Document) -> str:
    """Return the name of the role that is to vouch for `document`."""
    if isinstance(document, Grant):
        return "grants"
    if isinstance(document, Waiver):
        return "waivers"
    if isinstance(document, Restriction):
        return f"restrictions-{document.issued_by}"
    if isinstance(document, Hold):
        return f"holds-{document.issued_by}"
    if isinstance(document, Revocation):
        return f"revocations-{document.issued_by}"
    return "epochs"


def _metafile(version: int, signed: bytes) -> MetaFile:
    return MetaFile(version, len(signed), {"sha256": hashlib.sha256(signed).hexdigest()})
