"""What a camera keeps of its policy, on disk, with one instant at which it changes.

Two files under `policy/`:

- `accepted-<sha256>.cbor`: the bundle in force, when it was accepted, its charter and
  the ledger; written under its own digest, so that a new one never touches the old.
- `floors.json`: the floors, and the digest of the accepted file that they belong to.

Replacing `floors.json` is the one instant. Before it the old policy is whole and in
force, after it the new one; a power cut at any step leaves one of the two, and what
else lies in the folder is swept away. The floors are therefore durable before the
bundle that raised them can be obeyed, and a bundle that was swapped for an older
one no longer has the digest that the floors name.

A file that is missing or not what was written is a *loss*, not a fresh start. Only
a folder without any of these files is fresh.
"""

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import cbor2

from agent.adapters.atomic_files import TEMPORARY_SUFFIX, read_capped, sync_directory, write_atomically
from agent.core.bundle import MAX_BUNDLE_BYTES, MAX_DOCUMENT_BYTES
from agent.core.policy.floors import Floors
from agent.core.policy.ledger import MAX_LEDGER_BYTES
from agent.core.policy.release import SignedDocument
from agent.errors import StorageError

FLOORS_FILE = "floors.json"
MAX_FLOORS_BYTES = 64 * 1024  # a city with 256 roles has floors of 12 KiB
MAX_ACCEPTED_BYTES = MAX_BUNDLE_BYTES + 2 * MAX_LEDGER_BYTES + MAX_DOCUMENT_BYTES  # twice: names, versions, framing

POLICY_FORMAT = 1  # the package refuses to replace an agent that wrote a newer one
_ACCEPTED = re.compile(r"accepted-([0-9a-f]{64})\.cbor", re.ASCII)
_T = TypeVar("_T")
_DEPTH = 3  # a map, the ledger in it, an entry in that


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedPolicy:
    """One policy as it was accepted.

    Attributes:
        bundle: The bundle, packed.
        accepted_at: The time it was verified at, to be verified at again.
        charter: The charter's signed bytes.
        ledger: What narrows and was ever seen.
    """

    bundle: bytes
    accepted_at: datetime
    charter: bytes
    ledger: tuple[SignedDocument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPolicy:
    """What the folder held.

    Attributes:
        floors: The floors; those of a fresh device if they were lost.
        accepted: The policy to verify and obey; None if there is none.
        loss: What is missing or damaged, in words; empty if nothing is.
    """

    floors: Floors
    accepted: AcceptedPolicy | None
    loss: str = ""


class PolicyStore:
    """The folder `policy/` of one camera; one process at a time."""

    def __init__(self, folder: Path) -> None:
        """Keep policy in `folder`, which must exist."""
        self._folder = folder
        self._digest: str | None = None
        self._fresh = False

    def load(self) -> KeptPolicy:
        """Return what was committed last, or say what is left of it.

        Raises:
            StorageError: The folder cannot be read at all.
        """
        others = self._accepted_files()
        try:
            floors, digest = _parse_floors(read_capped(self._folder / FLOORS_FILE, max_bytes=MAX_FLOORS_BYTES))
        except FileNotFoundError:
            self._fresh = not others
            if self._fresh:
                return KeptPolicy(floors=Floors(), accepted=None)
            return self._salvage(others, "the floors are missing, but a policy was accepted")
        except (StorageError, ValueError) as error:
            return self._salvage(others, f"the floors are damaged: {error}")
        self._digest = digest
        if digest is None:
            return KeptPolicy(floors=floors, accepted=None)
        accepted = self._read_accepted(digest)
        if accepted is None:
            return KeptPolicy(floors=floors, accepted=None, loss="the accepted policy is missing or damaged")
        return KeptPolicy(floors=floors, accepted=accepted)

    def commit(self, floors: Floors, accepted: AcceptedPolicy) -> None:
        """Make `accepted` the policy in force and `floors` its floors, durably and in one instant.

        Raises:
            StorageError: It could not be written. What was in force before still is.
        """
        packed = _dump_accepted(accepted)
        digest = hashlib.sha256(packed).hexdigest()
        if self._fresh:  # or a power cut below would leave an accepted file without floors, which is a loss
            write_atomically(self._folder / FLOORS_FILE, _dump_floors(Floors(), None))
            self._fresh = False
        write_atomically(self._folder / f"accepted-{digest}.cbor", packed)
        write_atomically(self._folder / FLOORS_FILE, _dump_floors(floors, digest))  # the instant
        self._digest = digest
        self.sweep()

    def raise_floors(self, floors: Floors) -> None:
        """Replace the floors alone, durably.

        Raises:
            StorageError: They could not be written; the old ones still hold.
        """
        write_atomically(self._folder / FLOORS_FILE, _dump_floors(floors, self._digest))

    def sweep(self) -> None:
        """Remove what a power cut left half done; what cannot be removed now is tried again next time."""
        with contextlib.suppress(OSError):  # superseded files are never read: the floors name the one that counts
            for path in self._folder.iterdir():
                left_behind = path.name.startswith(".") and path.name.endswith(TEMPORARY_SUFFIX)
                superseded = _ACCEPTED.fullmatch(path.name) and path.name != f"accepted-{self._digest}.cbor"
                if left_behind or superseded:
                    path.unlink(missing_ok=True)
            sync_directory(self._folder)

    def _accepted_files(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if _ACCEPTED.fullmatch(path.name)]
        except OSError as error:
            raise StorageError(f"cannot list {self._folder}: {error}") from error

    def _salvage(self, paths: list[Path], loss: str) -> KeptPolicy:
        """Return the newest accepted policy among `paths` that is whole; the floors are lost."""
        whole = [self._read_accepted(path.name.removeprefix("accepted-").removesuffix(".cbor")) for path in paths]
        newest = max((one for one in whole if one), key=lambda one: one.accepted_at, default=None)
        return KeptPolicy(floors=Floors(), accepted=newest, loss=loss)

    def _read_accepted(self, digest: str) -> AcceptedPolicy | None:
        try:
            packed = read_capped(self._folder / f"accepted-{digest}.cbor", max_bytes=MAX_ACCEPTED_BYTES)
            return _parse_accepted(packed) if hashlib.sha256(packed).hexdigest() == digest else None
        except (FileNotFoundError, StorageError, ValueError):
            return None


# --- what the two files look like -------------------------------------------------


def _dump_accepted(accepted: AcceptedPolicy) -> bytes:
    return cbor2.dumps(
        {
            "format": POLICY_FORMAT,
            "bundle": accepted.bundle,
            "accepted_at": accepted.accepted_at.isoformat(),
            "charter": accepted.charter,
            "ledger": [[entry.path, entry.role, entry.role_version, entry.raw] for entry in accepted.ledger],
        },
        canonical=True,
    )


def _parse_accepted(packed: bytes) -> AcceptedPolicy:
    """Return what `_dump_accepted` wrote. Raises ValueError if it is not that."""
    try:
        stated = cbor2.loads(packed, max_depth=_DEPTH, allow_indefinite=False, allow_duplicate_keys=False)
        if stated["format"] != POLICY_FORMAT:
            raise ValueError(f"format {stated['format']!r:.20}, expected {POLICY_FORMAT}")
        return AcceptedPolicy(
            bundle=_of(bytes, stated["bundle"]),
            accepted_at=_instant(stated["accepted_at"]),
            charter=_of(bytes, stated["charter"]),
            ledger=tuple(
                SignedDocument(
                    path=_of(str, path), role=_of(str, role), role_version=_of(int, version), raw=_of(bytes, raw)
                )
                for path, role, version, raw in stated["ledger"]
            ),
        )
    except (cbor2.CBORError, LookupError, TypeError) as error:
        raise ValueError(f"not an accepted policy: {error}") from error


def _dump_floors(floors: Floors, digest: str | None) -> bytes:
    """Return the SHA-256 of the second line, and the second line."""
    body = json.dumps(
        {
            "format": POLICY_FORMAT,
            "accepted": digest,
            "versions": dict(floors.versions),
            "online_keys": sorted(floors.online_keys),
            "signed_at": _written(floors.signed_at),
            "fresh_until": _written(floors.fresh_until),
            "proven": _written(floors.proven),
            "seen": _written(floors.seen),
            "lost": floors.lost,
            "grants_above": floors.grants_above,
        },
        sort_keys=True,
    ).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _parse_floors(raw: bytes) -> tuple[Floors, str | None]:
    """Return what `_dump_floors` wrote. Raises ValueError if a bit of it is different."""
    digest, _, body = raw.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("their checksum does not match")
    try:
        stated = json.loads(body)
        if stated["format"] != POLICY_FORMAT:
            raise ValueError(f"format {stated['format']!r:.20}, expected {POLICY_FORMAT}")
        floors = Floors(
            versions={_of(str, role): _of(int, version) for role, version in _of(dict, stated["versions"]).items()},
            online_keys=frozenset(_of(list, stated["online_keys"])),
            signed_at=_maybe_instant(stated["signed_at"]),
            fresh_until=_maybe_instant(stated["fresh_until"]),
            proven=_maybe_instant(stated["proven"]),
            seen=_maybe_instant(stated["seen"]),
            lost=_of(bool, stated["lost"]),
            grants_above=None if stated["grants_above"] is None else _of(int, stated["grants_above"]),
        )
        accepted = stated["accepted"]
        return floors, None if accepted is None else _of(str, accepted)
    except (LookupError, TypeError) as error:
        raise ValueError(f"not floors: {error}") from error


def _of(kind: type[_T], value: object) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value


def _instant(text: object) -> datetime:
    return datetime.fromisoformat(_of(str, text)).astimezone(UTC)


def _maybe_instant(text: object) -> datetime | None:
    return None if text is None else _instant(text)


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
