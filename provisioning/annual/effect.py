"""Whether each camera serves its purpose: the metrics that its grant promised, against the targets it set (SL-2.5).

A metric that the logs know is computed and never typed; another is typed by whoever knows it, or stays a
marked blank. A target is of a whole year; of a grant that was in force for a part of it, that part is asked.

Pure.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from agent.core.counting import adds_up
from agent.core.policy.documents import Grant, Target
from provisioning.annual.camera_year import CameraYear, Year
from provisioning.annual.city_year import CityYear, Supported
from provisioning.annual.law_year import InForce, LawYear
from provisioning.annual.notes import Notes

_HOUR = timedelta(hours=1)
CAMERA_LOG, CITY_LOG = "camera log", "city log"


class Verdict(StrEnum):
    """What a metric came to, held against its target."""

    REACHED = "reached"
    MISSED = "missed"
    UNKNOWN = "unknown"
    NO_TARGET = "no target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One metric of one grant.

    Attributes:
        grant: Id of the grant that promised it.
        site: Where, as the public calls it.
        clause: Of the intended use.
        metric: Which, such as "hours-recorded".
        value: What it came to; None where nobody has told, or no log could.
        source: Where the value is from: "camera log", "city log", or what people named.
        target: What the grant set for a whole year, or None.
        asked: What of the target falls on the days that the grant was in force.
        partial: Whether the log it was computed from lacks something: then the true number may be higher.
    """

    grant: str
    site: str
    clause: str
    metric: str
    value: int | None
    source: str
    target: Target | None
    asked: int | None
    partial: bool = False

    @property
    def verdict(self) -> Verdict:
        """Whether the target was reached; of a partial number, only what more of it could not change."""
        if self.target is None or self.asked is None:
            return Verdict.NO_TARGET
        if self.value is None:
            return Verdict.UNKNOWN
        least = self.target.at_least is not None
        kept = self.value >= self.asked if least else self.value <= self.asked
        if self.partial and kept != least:
            return Verdict.UNKNOWN
        return Verdict.REACHED if kept else Verdict.MISSED


@dataclass(frozen=True, slots=True)
class _Known:
    """All that a metric may be computed from."""

    grant: InForce[Grant]
    cameras: Mapping[str, CameraYear]
    city: CityYear


def effects(
    law: LawYear,
    cameras: Iterable[CameraYear],
    city: CityYear,
    notes: Notes | None,
    year: Year,
    *,
    incomplete: Collection[str] = (),
) -> Iterator[Effect]:
    """Yield what each metric of each grant came to, by site and grant.

    Args:
        law: What was signed.
        cameras: What each camera did.
        city: What people did.
        notes: What people entered, or None.
        year: Which year.
        incomplete: Cameras whose log lacks something.
    """
    by_id = {one.camera: one for one in cameras}
    for grant in sorted(law.grants, key=lambda one: (one.document.site.public_name, one.since, one.document.id)):
        document = grant.document
        use = law.charter.use(document.intended_use)
        targets = {target.metric: target for target in document.targets}
        for metric in document.metrics:
            entered = None if notes is None else notes.metric(document.id, metric)
            if metric in COMPUTED:
                source, compute = COMPUTED[metric]
                value = compute(_Known(grant, by_id, city))
            else:
                value, source = (None, "") if entered is None else (entered.value, entered.source)
            target = targets.get(metric)
            yield Effect(
                grant=document.id,
                site=document.site.public_name,
                clause=document.intended_use if use is None else use.clause,
                metric=metric,
                value=value,
                source=source,
                target=target,
                asked=None if target is None else _asked(target, grant, year),
                partial=source == CAMERA_LOG and not set(document.cameras).isdisjoint(incomplete),
            )


def _asked(target: Target, grant: InForce[Grant], year: Year) -> int:
    """Return what of a yearly target falls on the days of a grant, rounded in the city's disfavour."""
    share = (grant.until - grant.since) / (year.ends_at - year.since)
    if target.at_least is not None:
        return math.ceil(target.at_least * share)
    return math.floor((target.at_most or 0) * share)


# --- what the logs know -------------------------------------------------------


def _hours(known: _Known) -> int | None:
    """Return for how many whole hours the grant's cameras recorded under it; None if no log tells."""
    mine = [one for one in _cameras(known) if one.account.leaves]
    under = (one.recorded_under.get(known.grant.document.id, timedelta(0)) for one in mine)
    return sum(under, timedelta(0)) // _HOUR if mine else None


def _cases(known: _Known) -> int:
    """Return how many cases got footage of the grant's cameras: handed over, or opened."""
    return len({one.case for one in _supported(known)})


def _originals(known: _Known) -> int:
    """Return how many times the sealed layer of the grant's cameras was opened."""
    return sum(one.opened for one in _supported(known))


def _vehicles(known: _Known) -> int | None:
    """Return how many vehicles were counted at the least: small numbers are never told. None if nothing counted."""
    told = [
        day.total.at_least
        for one in _cameras(known)
        for day in one.account.counted
        if day.what.startswith("vehicle_") and adds_up(day.what) and _counts_for(known.grant, day.day)
    ]
    return sum(told) if told else None


def _cameras(known: _Known) -> list[CameraYear]:
    return [known.cameras[camera] for camera in known.grant.document.cameras if camera in known.cameras]


def _counts_for(grant: InForce[Grant], day: date) -> bool:
    """Return whether a day's sums are a grant's: that which was in force at noon."""
    return grant.since <= datetime.combine(day, time(12), UTC) < grant.until


def _supported(known: _Known) -> Iterator[Supported]:
    grant = known.grant
    return (
        one
        for one in known.city.supported
        if one.camera in grant.document.cameras and grant.since <= one.at < grant.until
    )


COMPUTED: Mapping[str, tuple[str, Callable[[_Known], int | None]]] = {
    "hours-recorded": (CAMERA_LOG, _hours),
    "incidents-supported": (CITY_LOG, _cases),
    "originals-opened": (CITY_LOG, _originals),
    "vehicles-counted": (CAMERA_LOG, _vehicles),
}
