"""What the documents of a city mean for its sites at one moment: who may do what, who said so, until when.

One place with cameras is one *site*; the grants that name it, over the years, are its history. What
each camera may do is `agent.core.policy.decide`'s answer, the camera's own, and nothing here decides
anything beside it.

Pure. The documents may be the city's own, or their public extracts (`provisioning.register.extract`): both
mean the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from agent.core.policy.charter import Charter
from agent.core.policy.decision import Decision
from agent.core.policy.documents import (
    ALWAYS,
    EpochDay,
    EpochKeys,
    EpochRecipient,
    Grant,
    Hold,
    Restriction,
    Revocation,
    Site,
    Waiver,
)
from provisioning.authority.cross_check import AnyDocument
from provisioning.authority.extract import A_HOLDER, STAND_IN
from provisioning.authority.outlook import decision_at

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStanding:
    """What one camera may do, and the documents behind it.

    Attributes:
        camera_id: The camera.
        decision: What it may do at that moment.
        permitted: What it may do whenever it may record: the same, as if it were within its hours, had its keys, and
            were neither revoked nor restricted to darkness. A page made at night says what one made by day says.
        grant: The grant that counts for it then; the next or else the last one where none does.
        in_force: Whether that grant is in force.
        restrictions: Those that stand.
        waivers: Those in force.
        holds: Those that stand.
        revocations: Those that stand.
    """

    camera_id: str
    decision: Decision
    permitted: Decision
    grant: Grant
    in_force: bool
    restrictions: tuple[Restriction, ...]
    waivers: tuple[Waiver, ...]
    holds: tuple[Hold, ...]
    revocations: tuple[Revocation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteStanding:
    """One site.

    Attributes:
        site: Its record, as the latest grant for it states it.
        grants: Every grant that names it and is still published, the latest first.
        cameras: Its cameras, by id: those that its latest grant, or one in force, names.
    """

    site: Site
    grants: tuple[Grant, ...]
    cameras: tuple[CameraStanding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CityStanding:
    """A city at one moment.

    Attributes:
        charter: Its law.
        at: The moment, aware UTC.
        sites: Its sites, by public name.
    """

    charter: Charter
    at: datetime
    sites: tuple[SiteStanding, ...]


def stand(
    charter: Charter, documents: Mapping[str, AnyDocument], *, at: datetime, fresh_until: datetime
) -> CityStanding:
    """Return what a city's documents mean at `at`.

    Args:
        charter: The city's law.
        documents: Every document that is published, by path.
        at: The moment, aware UTC.
        fresh_until: Until when its cameras have heard of the city.
    """
    by_site: dict[str, list[Grant]] = {}
    for document in documents.values():
        if isinstance(document, Grant):
            by_site.setdefault(document.site.id, []).append(document)
    sites = []
    for grants in by_site.values():
        grants.sort(key=lambda grant: (grant.starts_at, grant.id), reverse=True)
        named = {camera for grant in grants if grant is grants[0] or _within(grant, at) for camera in grant.cameras}
        cameras = tuple(_camera(charter, documents, grants, one, at, fresh_until) for one in sorted(named))
        sites.append(SiteStanding(site=grants[0].site, grants=tuple(grants), cameras=cameras))
    sites.sort(key=lambda one: (one.site.public_name.casefold(), one.site.id))
    return CityStanding(charter=charter, at=at, sites=tuple(sites))


def camera_at(
    charter: Charter, documents: Mapping[str, AnyDocument], camera_id: str, *, at: datetime, fresh_until: datetime
) -> CameraStanding | None:
    """Return what one camera may do at `at`, or None if no grant names it; arguments as `stand`."""
    named = [one for one in documents.values() if isinstance(one, Grant) and camera_id in one.cameras]
    if not named:
        return None
    named.sort(key=lambda grant: (grant.starts_at, grant.id), reverse=True)
    return _camera(charter, documents, named, camera_id, at, fresh_until)


def _camera(
    charter: Charter,
    documents: Mapping[str, AnyDocument],
    grants: list[Grant],
    camera_id: str,
    at: datetime,
    fresh_until: datetime,
) -> CameraStanding:
    decision = decision_at(charter, documents, camera_id, at, fresh_until)
    mine = [one for one in grants if camera_id in one.cameras]
    in_force = next((one for one in mine if _within(one, at)), None)
    to_come = next((one for one in reversed(mine) if one.starts_at > at), None)
    grant = in_force or to_come or mine[0]
    counting = [one for one in documents.values() if one.id in decision.sources]
    return CameraStanding(
        camera_id=camera_id,
        decision=decision,
        permitted=decision if decision.recording else _permitted(charter, documents, grant, camera_id, at),
        grant=grant,
        in_force=in_force is not None,
        restrictions=tuple(one for one in counting if isinstance(one, Restriction)),
        waivers=tuple(one for one in counting if isinstance(one, Waiver)),
        holds=tuple(one for one in counting if isinstance(one, Hold)),
        revocations=tuple(one for one in counting if isinstance(one, Revocation)),
    )


def _permitted(
    charter: Charter, documents: Mapping[str, AnyDocument], grant: Grant, camera_id: str, at: datetime
) -> Decision:
    at = min(max(at, grant.starts_at), grant.ends_at - SECOND)
    bright = {path: lit for path, one in documents.items() if (lit := _lit(one)) is not None}
    keys = {f"epochs/{layer}.json": _keys(charter, grant, at, layer) for layer in ("masked", "originals")}
    return decision_at(charter, {**bright, **keys}, camera_id, at, at + charter.offline_for)


def _lit(document: AnyDocument) -> AnyDocument | None:
    """Return a document without what makes dark; None if nothing is left of it."""
    match document:
        case Grant():
            return document.model_copy(update={"schedule": (ALWAYS,)})
        case Restriction():
            rest = tuple(one for one in document.narrows if one.what not in {"dark", "schedule"})
            return document.model_copy(update={"narrows": rest}) if rest else None
        case Revocation() | EpochKeys():
            return None
        case Waiver():
            return None if document.widens.what == "schedule" else document
        case Hold():
            return document


def _keys(charter: Charter, grant: Grant, at: datetime, layer: Literal["masked", "originals"]) -> EpochKeys:
    """Return stand-ins for the keys of one day."""
    roles = grant.recipients if layer == "masked" else grant.originals_recipients or grant.recipients
    day = at.date()
    return EpochKeys(
        kind="epochs",
        version=1,
        id=f"stand-in-{layer}",
        issued_by=charter.epochs.offices[0],
        issued_at=at,
        reason="Stands in for the keys of a day.",
        starts_at=at,
        ends_at=at + timedelta(days=1),
        layer=layer,
        keeps="default",
        days=(
            EpochDay(
                day=day,
                recipients=tuple(
                    EpochRecipient(role=role, holder=A_HOLDER, recipient=STAND_IN, validated_on=day) for role in roles
                ),
            ),
        ),
    )


def _within(grant: Grant, at: datetime) -> bool:
    return grant.starts_at <= at < grant.ends_at
