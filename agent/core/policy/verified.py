"""The documents that count, as one value.

Whoever makes a `VerifiedDocuments` promises that every document in it was signed
by the offices that its role requires and passed `clauses`; on the camera one
adapter does. Order and repetition do not matter: two values of the same documents
are equal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TypeVar

from agent.core.policy.documents import Document, EpochKeys, Grant, Hold, Restriction, Revocation, Waiver
from agent.errors import ClauseViolationError

ALL = "all"  # in place of a list of cameras
ONE_GRANT = "RB-1"  # what the offices approved is one grant as a whole, never a mixture of two

AboutCameras = TypeVar("AboutCameras", Grant, Restriction, Waiver, Hold, Revocation)
AnyKind = TypeVar("AnyKind", bound=Document)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraDocuments:
    """What concerns one camera, each kind sorted by id; as in `VerifiedDocuments`."""

    grants: tuple[Grant, ...]
    restrictions: tuple[Restriction, ...]
    waivers: tuple[Waiver, ...]
    holds: tuple[Hold, ...]
    epochs: tuple[EpochKeys, ...]
    revocations: tuple[Revocation, ...]
    lapses_at: Mapping[str, datetime]

    def end_of(self, document: Grant | Waiver | EpochKeys) -> datetime:
        """Return when a document that permits stops counting: at its own end, or when nobody vouches for it."""
        return min(document.ends_at, self.lapses_at.get(document.sha256, document.ends_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDocuments:
    """Every document in force or to come, verified; each kind sorted by id.

    Attributes:
        lapses_at: When the signature under a document that permits expires, by the document's SHA-256.

    Raises:
        ClauseViolationError: Two grants for one camera overlap in time. A camera obeys one grant at a time:
            were it to obey the wider of two, or both, what it may do would be a mixture that no one approved.
    """

    grants: tuple[Grant, ...] = ()
    restrictions: tuple[Restriction, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    holds: tuple[Hold, ...] = ()
    epochs: tuple[EpochKeys, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    lapses_at: Mapping[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._set("grants", _in_order(self.grants))
        self._set("restrictions", _in_order(self.restrictions))
        self._set("waivers", _in_order(self.waivers))
        self._set("holds", _in_order(self.holds))
        self._set("epochs", _in_order(self.epochs))
        self._set("revocations", _in_order(self.revocations))
        refuse_overlapping(self.grants)

    def about(self, camera_id: str) -> CameraDocuments:
        """Return what concerns `camera_id`, named or with all others."""
        return CameraDocuments(
            grants=_concerning(self.grants, camera_id),
            restrictions=_concerning(self.restrictions, camera_id),
            waivers=_concerning(self.waivers, camera_id),
            holds=_concerning(self.holds, camera_id),
            epochs=self.epochs,
            revocations=_concerning(self.revocations, camera_id),
            lapses_at=self.lapses_at,
        )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen for everyone but its own construction


def refuse_overlapping(grants: Iterable[Grant]) -> None:
    """Check that no camera has two grants at one instant.

    Raises:
        ClauseViolationError: One has.
    """
    by_camera: dict[str, list[Grant]] = {}
    for grant in grants:
        for camera in set(grant.cameras):
            by_camera.setdefault(camera, []).append(grant)
    for camera, its_grants in sorted(by_camera.items()):
        its_grants.sort(key=lambda grant: (grant.starts_at, grant.id))
        for earlier, later in pairwise(its_grants):
            if later.starts_at < earlier.ends_at:
                raise ClauseViolationError(
                    ONE_GRANT,
                    f"grants {earlier.id} and {later.id} overlap for {camera}; a camera obeys one grant at a time",
                    hint="withdraw the earlier one in the same publication, or let the later one start when it ends",
                )


def _in_order(documents: tuple[AnyKind, ...]) -> tuple[AnyKind, ...]:
    distinct = {document.sha256: document for document in documents}
    return tuple(sorted(distinct.values(), key=lambda document: (document.id, document.sha256)))


def _concerning(documents: tuple[AboutCameras, ...], camera_id: str) -> tuple[AboutCameras, ...]:
    return tuple(one for one in documents if camera_id in one.cameras or one.cameras == ALL)
