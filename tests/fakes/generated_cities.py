"""Generated cities: verified documents of any number, kind and time, for a handful of cameras.

Times lie on a grid of hours around `NOON`, so that windows meet, touch and overlap
often; instants to decide at lie on, just before and just after that grid.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import strategies as st

from agent.core.policy.clock import SIGNING_SLACK, ClockQuality, ClockState
from agent.core.policy.decide import decide
from agent.core.policy.decision import Decision, LiveView, Originals, PeopleMode
from agent.core.policy.documents import (
    ALWAYS,
    DrawnOver,
    EpochKeys,
    Grant,
    Hold,
    ListedModel,
    Narrowing,
    NarrowPeople,
    NarrowPicture,
    NarrowPlainly,
    NarrowRetention,
    NarrowSchedule,
    NarrowZones,
    Opening,
    PrivateZone,
    Restriction,
    Retention,
    Revocation,
    Span,
    SuspendModel,
    SuspendRecipient,
    Waiver,
    WidenPeople,
    WidenPicture,
    WidenRetention,
    WidenSchedule,
    WidenUse,
)
from agent.core.policy.verified import VerifiedDocuments
from tests.fakes import documents as make
from tests.fakes.documents import DAY, NOON

CAMERAS = ("cam-07", "cam-08")
HOUR = timedelta(hours=1)
MODELS = tuple(ListedModel(sha256=letter * 64, name=f"net {letter}", outputs=("boxes",)) for letter in "ab")
ALLEY = PrivateZone(name="alley", polygon=((0.5, 0.5), (0.9, 0.5), (0.9, 0.9)))
TALL = DrawnOver(aspect_width=9, aspect_height=16, rotation_degrees=90)
NIGHT = Opening(days=("sat", "sun"), opens="00:00", closes="06:30")
OFFICE_HOURS = Opening(days=("mon", "tue", "wed", "thu", "fri", "sat"), opens="05:00", closes="07:00")
SCHEDULES = st.sampled_from([(ALWAYS,), (ALWAYS,), (ALWAYS,), (NIGHT,), (OFFICE_HOURS,), (NIGHT, OFFICE_HOURS)])
MODES = st.sampled_from(list(PeopleMode))
BOOLEANS = st.booleans()
QUALITIES = st.sampled_from([ClockQuality.SYNCHRONISED, ClockQuality.FLOOR, ClockQuality.FLOOR, ClockQuality.UNKNOWN])
LAGS = st.sampled_from([None, None, -HOUR, timedelta(0), timedelta(minutes=4), SIGNING_SLACK])
FRESHNESS = st.sampled_from([NOON + 90 * HOUR, NOON + 90 * HOUR, NOON + 60 * HOUR, NOON + 9 * HOUR, None])
IDS = [f"{kind}-{number}" for kind in "rrhv" for number in range(3)]

# Made once: a strategy made in a draw costs more than the draw.
GRANTED_MODES = st.sampled_from([PeopleMode.PEOPLE, PeopleMode.SCENE, PeopleMode.PEOPLE, PeopleMode.COUNTS_ONLY])
LENGTHS_H = st.integers(6, 96)
HEIGHTS_PX = st.sampled_from([480, 720, 1080])
UP_TO_30 = st.integers(1, 30)
LISTED_MODELS = st.sampled_from([(), MODELS[:1], MODELS])
LIFTS = st.lists(st.sampled_from(IDS), max_size=4)
SHORT_LENGTHS_H = st.integers(1, 48)
ACTIONS = st.sampled_from(["pause", "stop", "erase"])
LEAST_GRANTS = st.sampled_from([1, 1, 0])
MOST_REVOCATIONS = st.sampled_from([0, 0, 0, 1, 2])
OFFSETS = st.sampled_from([timedelta(0), timedelta(seconds=-1), timedelta(microseconds=1), 29 * HOUR / 60])


@cache
def hours(first: int, last: int) -> st.SearchStrategy[datetime]:
    """Draw an instant of the grid."""
    return st.integers(first, last).map(lambda n: NOON + n * HOUR)


@cache
def cameras(*, whole: bool) -> st.SearchStrategy[Any]:
    """Draw which cameras a document names."""
    some = st.sampled_from([CAMERAS, CAMERAS[:1], CAMERAS[1:]])
    return st.one_of(st.just("all"), some) if whole else some


@cache
@st.composite
def grants(draw: st.DrawFn, number: int) -> Grant:
    """Draw a grant for public safety or traffic that the charter of Example City allows."""
    starts_at = draw(hours(-48, 6))
    traffic = draw(BOOLEANS)
    sealed = not traffic and draw(BOOLEANS)
    extended = draw(BOOLEANS)
    return make.grant(
        id=f"g-{number}",
        starts_at=starts_at,
        ends_at=starts_at + draw(LENGTHS_H) * HOUR,
        cameras=draw(cameras(whole=False)),
        intended_use="traffic" if traffic else "public-safety",
        permissible_uses=("volume",) if traffic else ("detect-crime",),
        schedule=draw(SCHEDULES),
        people=draw(GRANTED_MODES),
        originals=Originals.SEALED if sealed else Originals.NONE,
        originals_recipients=("quorum",) if sealed else (),
        live=LiveView.PUBLIC if traffic and draw(BOOLEANS) else LiveView.NONE,
        recipients=("custodian", "traffic-engineer") if traffic else ("custodian", "investigator"),
        metrics=("vehicles-counted",) if traffic else ("incidents-supported", "hours-recorded"),
        max_height_px=draw(HEIGHTS_PX),
        max_rate_hz=draw(UP_TO_30),
        models=draw(LISTED_MODELS),
        retention=Retention(
            days=90,
            basis="recurring-crimes",
            area="two blocks",
            ends_at=starts_at + 12 * HOUR,
            decided_by="city-manager",
        )
        if extended
        else Retention(days=draw(UP_TO_30)),
        lifts=tuple(draw(LIFTS)),
    )


def _extended(until: datetime) -> Retention:
    return Retention(days=90, basis="recurring-crimes", area="two blocks", ends_at=until, decided_by="city-manager")


NARROWINGS: st.SearchStrategy[Narrowing] = st.one_of(
    st.builds(
        NarrowZones, what=st.just("zones"), view=st.sampled_from([make.WIDE, make.WIDE, TALL]), zones=st.just((ALLEY,))
    ),
    st.builds(NarrowSchedule, what=st.just("schedule"), schedule=SCHEDULES),
    st.builds(NarrowPeople, what=st.just("people"), people=MODES),
    st.builds(NarrowRetention, what=st.just("retention"), days=st.integers(1, 100)),
    st.builds(
        NarrowPicture, what=st.just("picture"), max_height_px=st.integers(2, 2000), max_rate_hz=st.integers(1, 60)
    ),
    st.builds(
        SuspendRecipient,
        what=st.just("recipient"),
        role=st.sampled_from(["custodian", "investigator", "traffic-engineer"]),
        holder=st.sampled_from([None, "investigator-1"]),
    ),
    st.builds(SuspendModel, what=st.just("model"), sha256=st.sampled_from(["a" * 64, "b" * 64])),
    st.builds(NarrowPlainly, what=st.sampled_from(["no-biometrics", "no-originals", "no-live", "dark"])),
)
WIDENINGS = st.one_of(
    st.builds(
        WidenUse, what=st.just("permissible-use"), intended_use=st.just("traffic"), permissible_use=st.just("volume")
    ),
    st.builds(WidenSchedule, what=st.just("schedule"), schedule=SCHEDULES),
    st.builds(WidenPeople, what=st.just("people"), people=MODES),
    st.builds(WidenRetention, what=st.just("retention"), days=st.integers(1, 100)),
    st.builds(
        WidenPicture, what=st.just("picture"), max_height_px=st.integers(2, 2000), max_rate_hz=st.integers(1, 60)
    ),
)

SEVERAL_NARROWINGS = st.lists(NARROWINGS, min_size=1, max_size=3)
NOWS = st.one_of(hours(-6, 12), hours(-6, 12), hours(-50, 80))


@cache
@st.composite
def restrictions(draw: st.DrawFn, number: int) -> Restriction:
    """Draw a restriction of one to three narrowings."""
    return make.restriction(
        id=f"r-{number}",
        starts_at=draw(hours(-24, 36)),
        cameras=draw(cameras(whole=True)),
        narrows=tuple(draw(SEVERAL_NARROWINGS)),
    )


@cache
@st.composite
def waivers(draw: st.DrawFn, number: int) -> Waiver:
    """Draw a waiver, lawful or not."""
    starts_at = draw(hours(-48, 24))
    return make.waiver(
        id=f"w-{number}",
        starts_at=starts_at,
        ends_at=starts_at + draw(SHORT_LENGTHS_H) * HOUR,
        cameras=draw(cameras(whole=False)),
        widens=draw(WIDENINGS),
    )


@cache
@st.composite
def holds(draw: st.DrawFn, number: int) -> Hold:
    """Draw a hold on a day."""
    starts_at = draw(hours(-48, 24))
    return make.hold(
        id=f"h-{number}",
        starts_at=starts_at,
        cameras=draw(cameras(whole=True)),
        spans=(Span(starts_at=starts_at - DAY, ends_at=starts_at),),
    )


@cache
@st.composite
def revocations(draw: st.DrawFn, number: int) -> Revocation:
    """Draw a revocation of any strength."""
    return make.revocation(
        id=f"v-{number}",
        starts_at=draw(hours(-12, 24)),
        cameras=draw(cameras(whole=True)),
        action=draw(ACTIONS),
    )


@cache
def _published_keys() -> tuple[tuple[EpochKeys, ...], ...]:
    roles = ("custodian", "investigator", "traffic-engineer")
    days = tuple(make.epoch_day((NOON + n * DAY).date(), roles) for n in range(-4, 4))
    sealed = tuple(make.epoch_day((NOON + n * DAY).date(), ("quorum",)) for n in range(-4, 4))
    masked = make.epochs(days=days)
    originals = make.epochs(id="e-originals", layer="originals", days=sealed)
    few = make.epochs(id="e-few", days=days[:5], issued_at=NOON - 4 * DAY)
    return (masked, originals), (masked, originals), (masked,), (masked, few), (few,), ()


def epoch_keys() -> st.SearchStrategy[tuple[EpochKeys, ...]]:
    """Draw which epoch keys are published: both layers, one, or none."""
    return st.sampled_from(_published_keys())


EPOCH_KEYS = epoch_keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedCity:
    """Documents, a time, and one camera to decide for."""

    documents: VerifiedDocuments
    clock: ClockState
    fresh_until: datetime | None
    camera_id: str = CAMERAS[0]

    def decide(self) -> Decision:
        """Return the camera's decision."""
        return decide(
            make.example_charter(),
            self.documents,
            self.clock,
            camera_id=self.camera_id,
            fresh_until=self.fresh_until,
        )

    def at(self, now: datetime) -> "GeneratedCity":
        """Return the same city at another time, on a clock that lags as much."""
        proven = None if self.clock.proven is None else self.clock.proven + (now - self.clock.now)
        return replace(self, clock=replace(self.clock, now=now, proven=proven))

    def having(self, **documents: Any) -> "GeneratedCity":
        """Return the same city with other documents of the named kinds."""
        return replace(self, documents=replace(self.documents, **documents))


@cache
def several(kind: Callable[[int], st.SearchStrategy[Any]], most: int, least: int = 0) -> st.SearchStrategy[Any]:
    """Draw `least` to `most` documents of a kind, with different ids."""
    return st.integers(least, most).flatmap(lambda count: st.tuples(*(kind(number) for number in range(count))))


def one_at_a_time(drawn: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """Return the grants that overlap none before them, as a city would have withdrawn the others."""
    kept: list[Grant] = []
    for grant in drawn:
        if all(
            not set(grant.cameras) & set(other.cameras)
            or grant.ends_at <= other.starts_at
            or other.ends_at <= grant.starts_at
            for other in kept
        ):
            kept.append(grant)
    return tuple(kept)


@st.composite
def cities(draw: st.DrawFn) -> GeneratedCity:
    """Draw a city and a time."""
    now = draw(NOWS) + draw(OFFSETS)
    lag = draw(LAGS)
    return GeneratedCity(
        documents=VerifiedDocuments(
            grants=one_at_a_time(draw(several(grants, 4, draw(LEAST_GRANTS)))),
            restrictions=draw(several(restrictions, 3)),
            waivers=draw(several(waivers, 3)),
            holds=draw(several(holds, 2)),
            epochs=draw(EPOCH_KEYS),
            revocations=draw(several(revocations, draw(MOST_REVOCATIONS))),
        ),
        clock=ClockState(
            now=now,
            quality=draw(QUALITIES),
            proven=None if lag is None else now + lag,
        ),
        fresh_until=draw(FRESHNESS),
    )
