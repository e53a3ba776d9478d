"""One release of a city's policy, after its signatures were verified and before it is believed.

A *release* is what TUF metadata and targets say, as plain values: which version of
each role, until when, who may sign what, and the raw documents with the role that
vouches for each. The adapter that verifies signatures makes one; this module only
gives its parts names, so that the rules about them (`roles`, `floors`, `ledger`)
need no library.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

ROOT = "root"
TIMESTAMP = "timestamp"
SNAPSHOT = "snapshot"
TARGETS = "targets"
TOP_LEVEL = (ROOT, TIMESTAMP, SNAPSHOT, TARGETS)

CHARTER_PATH = "charter.json"  # the one target that top-level targets vouches for itself


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SignedDocument:
    """The bytes of one document, and who vouched for them.

    Attributes:
        path: Target path, such as "grants/g-2026-001.json".
        role: The role whose signed metadata lists it.
        role_version: Version of that metadata.
        raw: The document, not yet parsed.
    """

    path: str
    role: str
    role_version: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRule:
    """Who must sign the metadata of one role.

    Attributes:
        role: Name of the role.
        keys: Public keys, as `type:hex`; key ids are names and prove nothing.
        listed: How many keys the metadata lists; more than `keys` when one is listed twice.
        threshold: How many of them must sign.
        paths: Target paths it may vouch for, as shell patterns; empty for top-level roles.
        terminating: Whether a search ends with it.
    """

    role: str
    keys: frozenset[str]
    listed: int
    threshold: int
    paths: tuple[str, ...] = ()
    terminating: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What verified metadata says.

    Attributes:
        versions: Version of each top-level role and of each delegated role that was loaded.
        listed: Version the snapshot gives for each role, delegated or not.
        expires_at: When the metadata of each role in `versions` expires.
        signed_at: When the timestamp says it was signed.
        top_level: Rules of the four top-level roles, from root.
        delegations: Rules of the delegated roles, from targets, in order.
        documents: Every target of every role, the charter included.
    """

    versions: Mapping[str, int]
    listed: Mapping[str, int]
    expires_at: Mapping[str, datetime]
    signed_at: datetime
    top_level: Mapping[str, SigningRule]
    delegations: tuple[SigningRule, ...]
    documents: tuple[SignedDocument, ...]

    @property
    def online_keys(self) -> frozenset[str]:
        """Keys that lie on a server: those of timestamp and snapshot."""
        return self.top_level[TIMESTAMP].keys | self.top_level[SNAPSHOT].keys

    @property
    def fresh_until(self) -> datetime:
        """When the release as a whole stops being fresh: as soon as one of its top-level roles does."""
        return min(self.expires_at[role] for role in TOP_LEVEL)
