"""Floors: what a camera has accepted once, so that nothing older is accepted again.

TUF clients find a rollback by comparing with the metadata they have cached. A cache
can be zeroed by a power cut or swapped by a thief, so the floors are kept apart from
it: one small value, durable before anything it permits is used.

Versions rise with every accepted release and never fall, with one exception (TUF
5.3.11): a root signed by the officials that replaces the online keys also forgets
how far the old online keys had counted, because a stolen one may have counted to
the end.

The time floor has two parts. What is *proven* rises with signed times and with the
monotonic clock, which nobody can forge. What was *seen* on a synchronised clock
rises with it, but never past the end of the accepted release: by then nothing is
granted any more, so a higher floor protects nothing, while a forged time source
could otherwise push it years ahead and no honest release would be fresh again.

When the floors, or the ledger beside them, are *lost*, nothing on the camera proves
any more that a grant is not an old one, or that no restriction is missing. Then no
grant counts until the approving officials have signed the role `grants` anew: only
their full approval may widen, and losing a file is no approval.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from agent.core.policy.clock import ClockQuality
from agent.core.policy.release import ROOT, SNAPSHOT, TIMESTAMP, TOP_LEVEL, Release
from agent.core.policy.roles import GRANTS
from agent.errors import RollbackError


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """The least that is acceptable from now on.

    Attributes:
        versions: Newest accepted version of every role ever loaded.
        online_keys: Keys of timestamp and snapshot at that time.
        signed_at: Newest signed time accepted.
        fresh_until: End of the release accepted last.
        proven: Newest time proven to be past, by a signature and the monotonic clock since.
        seen: Newest time a synchronised clock has shown, up to `fresh_until`.
        lost: Whether grants are suspended because files were lost.
        grants_above: While `lost`, the version of `grants` that must be passed; None if even that is unknown.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    online_keys: frozenset[str] = frozenset()
    signed_at: datetime | None = None
    fresh_until: datetime | None = None
    proven: datetime | None = None
    seen: datetime | None = None
    lost: bool = False
    grants_above: int | None = None

    @property
    def time(self) -> datetime | None:
        """The time that the present is not earlier than; None on a device that was never told one."""
        return max((part for part in (self.proven, self.seen) if part), default=None)

    def refuse_older(self, release: Release) -> None:
        """Pass if nothing in `release` is older than what was accepted before.

        Raises:
            RollbackError: A role went back, left the snapshot, or one version of the timestamp has two contents.
        """
        since = self.after_rotation(release)
        for role in sorted(since.versions, key=_in_tuf_order):
            floor = since.versions[role]
            offered = release.versions.get(role) or release.listed.get(role)
            if offered is None:
                raise RollbackError(
                    f"role {role} was accepted at version {floor} and the snapshot no longer lists it (TUF 5.5.5)"
                )
            if offered < floor:
                raise RollbackError(f"role {role} is at version {offered}, accepted before: {floor} ({_clause(role)})")
        if since.signed_at is None:
            return
        if release.signed_at < since.signed_at:
            raise RollbackError(
                f"the timestamp was signed at {release.signed_at:%Y-%m-%dT%H:%M:%SZ}, "
                f"accepted before: {since.signed_at:%Y-%m-%dT%H:%M:%SZ} (TUF 5.4.3)"
            )
        if release.versions[TIMESTAMP] == since.versions[TIMESTAMP] and release.signed_at != since.signed_at:
            raise RollbackError(f"there are two timestamps of version {since.versions[TIMESTAMP]} (TUF 5.4.3.1)")

    def after_rotation(self, release: Release) -> Self:
        """Return the floors to hold `release` to: lower where its root recovers from a fast-forward (TUF 5.3.11)."""
        if release.online_keys == self.online_keys or release.versions[ROOT] <= self.versions.get(ROOT, 0):
            return self
        kept = {role: floor for role, floor in self.versions.items() if role not in {TIMESTAMP, SNAPSHOT}}
        return replace(self, versions=kept, signed_at=None)

    def after_loss(self) -> Self:
        """Return the floors with grants suspended until they are signed anew."""
        return replace(self, lost=True, grants_above=self.versions.get(GRANTS))

    def raised_by(self, release: Release) -> Self:
        """Return the floors after `release` was accepted."""
        since = self.after_rotation(release)
        proven = release.signed_at if self.proven is None else max(self.proven, release.signed_at)
        grants = release.versions.get(GRANTS, 0)
        lost = self.lost and (self.grants_above is None or grants <= self.grants_above)
        return replace(
            since,
            lost=lost,
            # With nothing to compare with, the first release is taken for the oldest it could be.
            grants_above=max(grants, self.grants_above or 0) if lost else None,
            versions={**since.versions, **release.versions},
            online_keys=release.online_keys,
            signed_at=release.signed_at,
            fresh_until=release.fresh_until,
            proven=proven,
        )

    def carried_on(self, elapsed: timedelta, *, wall: datetime, quality: ClockQuality) -> Self:
        """Return the floors after `elapsed` on the monotonic clock, while the wall clock shows `wall`."""
        if self.proven is None or self.fresh_until is None:
            return self
        seen = self.seen
        if quality is ClockQuality.SYNCHRONISED:
            shown = min(wall, self.fresh_until)
            seen = shown if seen is None else max(seen, shown)
        return replace(self, proven=self.proven + elapsed, seen=seen)


def _in_tuf_order(role: str) -> tuple[int, str]:
    return (TOP_LEVEL.index(role) if role in TOP_LEVEL else len(TOP_LEVEL)), role


def _clause(role: str) -> str:
    return {ROOT: "TUF 5.3.5", TIMESTAMP: "TUF 5.4.3.1", SNAPSHOT: "TUF 5.4.3.2"}.get(role, "TUF 5.5.5")
