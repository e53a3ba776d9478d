"""Valid documents of Example City, each changed in what a test is about and nothing else.

`grant(people=PeopleMode.SCENE)` is the ordinary grant but for one field. Times turn
around `NOON`, 28 November 2026, 12:00 UTC, when everything here is in force.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from agent.core.policy.charter import Charter, read_charter_toml
from agent.core.policy.clock import ClockQuality, ClockState
from agent.core.policy.decision import LiveView, Originals, PeopleMode
from agent.core.policy.documents import (
    ALWAYS,
    DrawnOver,
    EpochDay,
    EpochKeys,
    EpochRecipient,
    Grant,
    Hold,
    Location,
    NarrowPlainly,
    PrivateZone,
    Restriction,
    Retention,
    Revocation,
    Site,
    Span,
    Waiver,
    WidenPeople,
)

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CHARTERS = Path(__file__).resolve().parents[2] / "provisioning" / "charters"
CAMERA = "cam-07"
WIDE = DrawnOver(aspect_width=16, aspect_height=9, rotation_degrees=0)
WINDOWS = PrivateZone(name="windows of No. 14", polygon=((0.1, 0.1), (0.3, 0.1), (0.3, 0.4), (0.1, 0.4)))
SITE = Site(
    id="main-and-5th",
    public_name="Main Street at 5th",
    location=Location(latitude=38.627, longitude=-90.1994, public_precision_m=50),
    site_kind="intersection",
    basis="sustained-criminal-activity",
    statement="Forty-one reported robberies within 100 m in 24 months.",
    purchase_reference="PO-2026-0113",
)


@lru_cache
def example_charter() -> Charter:
    """Return the charter of Example City, as provisioning/charters/example.toml states it."""
    return read_charter_toml((CHARTERS / "example.toml").read_text(encoding="utf-8"))


def charter(**changes: Any) -> Charter:
    """Return the charter of Example City with `changes`, checked again."""
    return _changed(example_charter(), changes)


def clock(now: datetime = NOON, quality: ClockQuality = ClockQuality.SYNCHRONISED) -> ClockState:
    """Return a clock that shows `now`."""
    return ClockState(now=now, quality=quality)


def age_recipient(word: str, *, post_quantum: bool = True) -> str:
    """Return a string with the shape of an age recipient, its own for each `word`; no key belongs to it."""
    symbols = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    stream = hashlib.shake_256(word.encode()).digest(1952 if post_quantum else 58)
    return ("age1pq1" if post_quantum else "age1") + "".join(symbols[byte % 32] for byte in stream)


def grant(**changes: Any) -> Grant:
    """Return a grant for public safety at `CAMERA`, in force for 30 days around `NOON`."""
    return _changed(
        Grant(
            kind="grant",
            version=1,
            id="g-2026-001",
            issued_by="police-chief",
            issued_at=NOON - 11 * DAY,
            reason="Robberies at this corner.",
            starts_at=NOON - 10 * DAY,
            ends_at=NOON + 20 * DAY,
            site=SITE,
            cameras=(CAMERA,),
            intended_use="public-safety",
            permissible_uses=("detect-crime",),
            case=None,
            order=None,
            schedule=(ALWAYS,),
            max_height_px=1080,
            max_rate_hz=15,
            audio=False,
            view=WIDE,
            zones=(WINDOWS,),
            no_zones_statement=None,
            people=PeopleMode.PEOPLE,
            originals=Originals.NONE,
            originals_recipients=(),
            biometrics="off",
            retention=Retention(days=30),
            recipients=("custodian", "investigator"),
            sharing=(),
            live=LiveView.NONE,
            metrics=("incidents-supported", "hours-recorded"),
            models=(),
            lifts=(),
        ),
        changes,
    )


def restriction(**changes: Any) -> Restriction:
    """Return a restriction by the police chief that makes `CAMERA` dark."""
    return _changed(
        Restriction(
            kind="restriction",
            version=1,
            id="r-2026-001",
            issued_by="police-chief",
            issued_at=NOON - DAY,
            reason="A complaint is being looked into.",
            starts_at=NOON - DAY,
            ends_at=None,
            cameras=(CAMERA,),
            narrows=(NarrowPlainly(what="dark"),),
        ),
        changes,
    )


def waiver(**changes: Any) -> Waiver:
    """Return a waiver of ten days by the city manager that shows more of people."""
    return _changed(
        Waiver(
            kind="waiver",
            version=1,
            id="w-2026-001",
            issued_by="city-manager",
            issued_at=NOON - DAY,
            reason="A missing child; clothing must be visible.",
            starts_at=NOON - DAY,
            ends_at=NOON + 9 * DAY,
            cameras=(CAMERA,),
            basis="life",
            widens=WidenPeople(what="people", people=PeopleMode.HEADS),
        ),
        changes,
    )


def hold(**changes: Any) -> Hold:
    """Return a hold by the custodian on one hour of yesterday."""
    return _changed(
        Hold(
            kind="hold",
            version=1,
            id="h-2026-001",
            issued_by="custodian",
            issued_at=NOON - DAY,
            reason="Requested by civilian oversight.",
            starts_at=NOON - DAY,
            ends_at=None,
            cameras=(CAMERA,),
            case="OVS-2026-31",
            spans=(Span(starts_at=NOON - 2 * DAY, ends_at=NOON - 2 * DAY + timedelta(hours=1)),),
        ),
        changes,
    )


def epoch_day(
    day: date, roles: Iterable[str] = ("custodian", "investigator"), *, post_quantum: bool = False
) -> EpochDay:
    """Return one made-up recipient a role for `day`."""
    return EpochDay(
        day=day,
        recipients=tuple(
            EpochRecipient(
                role=role,
                holder=f"{role}-1",
                recipient=age_recipient(f"{role} {day.isoformat()}", post_quantum=post_quantum),
            )
            for role in roles
        ),
    )


def epochs(**changes: Any) -> EpochKeys:
    """Return the recipients of the masked layer for three weeks around `NOON`."""
    return _changed(
        EpochKeys(
            kind="epochs",
            version=1,
            id="e-2026-001",
            issued_by="custodian",
            issued_at=NOON - 5 * DAY,
            reason="The recipients of these days.",
            starts_at=NOON - 5 * DAY,
            ends_at=NOON + 20 * DAY,
            layer="masked",
            keeps="default",
            days=tuple(epoch_day((NOON + n * DAY).date()) for n in range(-5, 16)),
        ),
        changes,
    )


def revocation(**changes: Any) -> Revocation:
    """Return an order by the IT director to stop `CAMERA`."""
    return _changed(
        Revocation(
            kind="revocation",
            version=1,
            id="v-2026-001",
            issued_by="it-director",
            issued_at=NOON - DAY,
            reason="The camera was taken off its pole.",
            starts_at=NOON - DAY,
            ends_at=None,
            cameras=(CAMERA,),
            action="stop",
        ),
        changes,
    )


def _changed(value: Any, changes: dict[str, Any]) -> Any:
    """Return `value` with `changes`, validated as if it had been written so."""
    if not changes:
        return value
    stated = {name: getattr(value, name) for name in type(value).model_fields}
    return type(value)(**(stated | changes))
