"""What a camera may do follows from the documents and the clock; where anything lacks, it is dark and says why."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from agent.core.policy.charter import AccessRule, Charter
from agent.core.policy.clock import ClockQuality
from agent.core.policy.decide import decide
from agent.core.policy.decision import ApprovedModel, Decision, HeldSpan, LiveView, Originals, PeopleMode, Revocation
from agent.core.policy.documents import (
    EpochKeys,
    ListedModel,
    NarrowPeople,
    NarrowPicture,
    NarrowPlainly,
    NarrowRetention,
    NarrowSchedule,
    NarrowZones,
    Opening,
    PrivateZone,
    Retention,
    SuspendModel,
    SuspendRecipient,
    WidenPicture,
    WidenRetention,
    WidenSchedule,
    WidenUse,
)
from agent.core.policy.verified import VerifiedDocuments
from agent.core.zones import View
from tests.fakes.documents import (
    CAMERA,
    DAY,
    NOON,
    WIDE,
    age_recipient,
    charter,
    clock,
    epoch_day,
    epochs,
    grant,
    hold,
    restriction,
    revocation,
    waiver,
)

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
FRESH_UNTIL = NOON + 7 * DAY
MODEL = ListedModel(sha256="a" * 64, name="boxes", outputs=("boxes",))
SEALED = grant(originals=Originals.SEALED, originals_recipients=("quorum",))


def city(**documents: Any) -> VerifiedDocuments:
    """Return a grant and epoch keys, and what else is named."""
    return VerifiedDocuments(**({"grants": (grant(),), "epochs": (epochs(),)} | documents))


def at(
    now: datetime = NOON,
    documents: VerifiedDocuments | None = None,
    *,
    law: Charter | None = None,
    quality: ClockQuality = ClockQuality.SYNCHRONISED,
    fresh_until: datetime | None = FRESH_UNTIL,
    camera_id: str = CAMERA,
) -> Decision:
    return decide(
        law or charter(),
        city() if documents is None else documents,
        clock(now, quality),
        camera_id=camera_id,
        fresh_until=fresh_until,
    )


def narrowed(*narrowings: Any, **changes: Any) -> Decision:
    return at(documents=city(restrictions=(restriction(narrows=narrowings),), **changes))


# --- recording ------------------------------------------------------------------


def test_a_grant_in_force_records_what_it_says() -> None:
    decision = at()

    assert decision.recording
    assert decision.reason == ("records for Public safety under grant g-2026-001 until 2026-12-18T12:00:00Z (EX-T1-1)")
    assert decision.intended_use == "EX-T1-1"
    assert decision.permissible_uses == ("public-safety/detect-crime",)
    assert [zone.name for zone in decision.zones] == ["windows of No. 14"]
    assert decision.view == View(16, 9, 0)
    assert decision.people is PeopleMode.PEOPLE
    assert decision.originals is Originals.NONE
    assert decision.retention == 30 * DAY
    assert (decision.max_height_px, decision.max_rate_hz) == (1080, 15)
    assert decision.live is LiveView.NONE
    assert decision.sources == ("e-2026-001", "g-2026-001")
    assert decision.changes_at == datetime(2026, 11, 29, tzinfo=UTC)


def test_footage_is_sealed_to_the_keys_of_its_day() -> None:
    today = {age_recipient(f"{role} 2026-11-28", post_quantum=False) for role in ("custodian", "investigator")}
    tomorrow = {age_recipient(f"{role} 2026-11-29", post_quantum=False) for role in ("custodian", "investigator")}
    midnight = datetime(2026, 11, 29, tzinfo=UTC)

    assert set(at(midnight - SECOND).recipients) == today
    assert set(at(midnight).recipients) == tomorrow


def test_only_roles_that_the_grant_names_receive() -> None:
    decision = at(documents=city(grants=(grant(recipients=("investigator",)),)))

    assert decision.recipients == (age_recipient("investigator 2026-11-28", post_quantum=False),)


def test_the_latest_issued_keys_of_a_day_count() -> None:
    newer = epochs(id="e-a", issued_at=NOON - DAY, days=(epoch_day(NOON.date(), ["custodian"], post_quantum=True),))

    decision = at(documents=city(epochs=(epochs(), newer)))

    assert decision.recipients == (age_recipient("custodian 2026-11-28"),)


def test_originals_are_sealed_to_keys_of_their_own() -> None:
    keys = epochs(id="e-originals", layer="originals", days=(epoch_day(NOON.date(), ["quorum"], post_quantum=True),))

    decision = at(documents=city(grants=(SEALED,), epochs=(epochs(), keys)))

    assert decision.originals is Originals.SEALED
    assert len(decision.originals_recipients) == 1
    assert not set(decision.originals_recipients) & set(decision.recipients)


def test_originals_without_keys_are_not_kept() -> None:
    decision = at(documents=city(grants=(SEALED,)))

    assert decision.recording
    assert decision.originals is Originals.NONE
    assert decision.originals_recipients == ()


def test_an_extended_retention_reverts_at_its_end() -> None:
    extended = Retention(
        days=90, basis="recurring-crimes", area="two blocks", ends_at=NOON + HOUR, decided_by="city-manager"
    )
    documents = city(grants=(grant(retention=extended),))

    assert at(documents=documents).retention == 90 * DAY
    assert at(documents=documents).changes_at == NOON + HOUR
    assert at(NOON + HOUR, documents).retention == 30 * DAY


def test_what_is_kept_longer_has_keys_of_its_own_and_nothing_else_is_sealed_to_them() -> None:
    extended = Retention(
        days=90, basis="recurring-crimes", area="two blocks", ends_at=NOON + HOUR, decided_by="city-manager"
    )
    longer = epochs(id="e-90", keeps="extended", days=(epoch_day(NOON.date(), ["custodian"], post_quantum=True),))
    keys = (epochs(), longer)
    usual = at().recipients

    kept_longer = at(documents=city(grants=(grant(retention=extended),), epochs=keys))

    assert kept_longer.recipients == (age_recipient("custodian 2026-11-28"),)
    assert at(NOON + HOUR, city(grants=(grant(retention=extended),), epochs=keys)).recipients == usual
    assert at(documents=city(epochs=keys)).recipients == usual
    assert "no epoch keys" in at(documents=city(epochs=(longer,))).reason
    # Nobody published keys that live longer: it is sealed to those that die early, and recorded.
    assert at(documents=city(grants=(grant(retention=extended),))).recipients == usual


# --- who opens it is approved once a year (SL-3.4) ------------------------------

YEARLY = AccessRule(validated_for_days=365, source=("SL-3.4",))


def approved(**validated_on: date | None) -> EpochKeys:
    """Return keys of today and tomorrow whose holders were approved then."""
    every = tuple(epoch_day((NOON + n * DAY).date(), list(validated_on)) for n in range(2))
    days = tuple(
        day.model_copy(
            update={
                "recipients": tuple(
                    one.model_copy(update={"validated_on": validated_on[one.role]}) for one in day.recipients
                )
            }
        )
        for day in every
    )
    return epochs(days=days)


def test_a_recipient_whom_nobody_approved_this_year_lapses_by_itself() -> None:
    keys = approved(custodian=date(2026, 3, 1), investigator=date(2025, 11, 29))
    both = grant(recipients=("custodian", "investigator"))
    documents = city(grants=(both,), epochs=(keys,))
    midnight = datetime(2026, 11, 29, tzinfo=UTC)

    today, tomorrow = (
        at(documents=documents, law=charter(access=YEARLY)),
        at(midnight, documents, law=charter(access=YEARLY)),
    )

    assert today.recipients == tuple(
        sorted(age_recipient(f"{one} 2026-11-28", post_quantum=False) for one in both.recipients)
    )
    assert today.changes_at == midnight
    assert tomorrow.recipients == (age_recipient("custodian 2026-11-29", post_quantum=False),)


@pytest.mark.parametrize("validated_on", [None, date(2025, 11, 28), date(1970, 1, 1)])
def test_a_camera_whose_every_recipient_has_lapsed_is_dark(validated_on: date | None) -> None:
    documents = city(epochs=(approved(custodian=validated_on),))

    assert "SL-3.4" in at(documents=documents, law=charter(access=YEARLY)).reason
    assert not at(documents=documents, law=charter(access=YEARLY)).recording
    assert at(documents=documents).recording  # this charter asks for no approval


# --- how long keys are published ------------------------------------------------


def test_the_last_day_with_keys_is_told() -> None:
    gap = tuple(epoch_day((NOON + n * DAY).date()) for n in (0, 1, 2, 4, 5))

    assert at().keys_until == (NOON + 15 * DAY).date()
    assert at(documents=city(epochs=(epochs(days=gap),))).keys_until == date(2026, 11, 30)
    assert at(documents=city(epochs=(epochs(ends_at=NOON + DAY),))).keys_until == date(2026, 11, 29)
    assert at(documents=city(restrictions=(restriction(),))).keys_until == (NOON + 15 * DAY).date()
    assert at(documents=city(epochs=(epochs(days=gap[3:]),))).keys_until is None
    assert at(documents=VerifiedDocuments(epochs=(epochs(),))).keys_until is None


def test_no_biometrics_is_what_every_grant_means() -> None:
    assert not hasattr(at(), "biometrics")
    assert not at().biometrics_locked
    assert narrowed(NarrowPlainly(what="no-biometrics")).biometrics_locked


# --- dark -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("circumstances", "reason"),
    [
        ({"documents": VerifiedDocuments()}, "no grant covers this camera"),
        ({"camera_id": "cam-99"}, "no grant covers this camera"),
        ({"quality": ClockQuality.UNKNOWN}, "the time is unknown"),
        ({"now": datetime(9999, 12, 31, tzinfo=UTC)}, "the time is unknown"),
        ({"now": datetime(1, 1, 1, tzinfo=UTC)}, "the time is unknown"),
        ({"fresh_until": None}, "the city has not been heard of yet"),
        ({"fresh_until": NOON}, "grants lapsed at 2026-11-28T12:00:00Z"),
        ({"now": NOON - 10 * DAY - SECOND}, "grant g-2026-001 begins at 2026-11-18T12:00:00Z"),
        ({"now": NOON + 20 * DAY, "fresh_until": NOON + 30 * DAY}, "grant g-2026-001 ended at 2026-12-18T12:00:00Z"),
        ({"documents": city(epochs=())}, "no epoch keys are published for 2026-11-28"),
        ({"documents": city(epochs=(epochs(layer="originals"),))}, "no epoch keys are published"),
        ({"documents": city(epochs=(epochs(days=(epoch_day((NOON + DAY).date()),)),))}, "no epoch keys are published"),
        ({"documents": city(epochs=(epochs(days=(epoch_day(NOON.date(), ["traffic-engineer"]),)),))}, "no recipient"),
        ({"documents": city(restrictions=(restriction(),))}, "dark by restriction r-2026-001: A complaint"),
        ({"documents": city(revocations=(revocation(),))}, "stop ordered by IT Director: The camera was taken"),
        ({"documents": city(grants=(grant(max_height_px=2160),))}, "against the charter: 2160 lines"),
        ({"documents": city(grants=(grant(people=PeopleMode.COUNTS_ONLY),))}, "counts only; no picture is stored"),
    ],
)
def test_a_camera_without_all_it_needs_is_dark_and_says_why(circumstances: dict[str, Any], reason: str) -> None:
    decision = at(**circumstances)

    assert not decision.recording
    assert reason in decision.reason
    assert decision.recipients == ()
    assert decision.originals is Originals.NONE
    assert decision.live is LiveView.NONE


def test_time_with_a_floor_is_time_enough() -> None:
    assert at(quality=ClockQuality.FLOOR).recording


def test_nothing_changes_by_itself_while_the_time_is_unknown() -> None:
    assert at(quality=ClockQuality.UNKNOWN).changes_at is None


def test_a_camera_goes_dark_at_the_second_its_city_falls_silent() -> None:
    silent_at = NOON + HOUR

    assert at(silent_at - SECOND, fresh_until=silent_at).recording
    assert at(silent_at - SECOND, fresh_until=silent_at).changes_at == silent_at
    assert not at(silent_at, fresh_until=silent_at).recording


def test_a_grant_lapses_with_the_signature_under_it() -> None:
    documents = city(lapses_at={grant().sha256: NOON + HOUR})

    assert at(documents=documents).changes_at == NOON + HOUR
    assert not at(NOON + HOUR, documents).recording
    assert "ended at 2026-11-28T13:00:00Z" in at(NOON + HOUR, documents).reason


def test_a_new_charter_ends_what_it_no_longer_allows() -> None:
    stricter = charter(picture=charter().picture.model_copy(update={"max_rate_hz": 10}))

    assert at().recording
    assert not at(law=stricter).recording


def test_a_gap_in_policy_destroys_no_evidence() -> None:
    kept = grant(retention=Retention(days=12))

    assert at(documents=VerifiedDocuments()).retention == 30 * DAY
    assert at(documents=city(grants=(kept,)), fresh_until=None).retention == 12 * DAY
    assert at(documents=city(grants=(kept,)), quality=ClockQuality.UNKNOWN).retention == 12 * DAY


def test_counting_needs_no_picture() -> None:
    decision = at(documents=city(grants=(grant(people=PeopleMode.COUNTS_ONLY, models=(MODEL,)),)))

    assert decision.people is PeopleMode.COUNTS_ONLY
    assert decision.models == (ApprovedModel("a" * 64, ("boxes",)),)
    assert decision.zones
    assert at(documents=city(restrictions=(restriction(),))).models == ()


# --- restrictions ---------------------------------------------------------------

ALLEY = PrivateZone(name="alley", polygon=((0.5, 0.5), (0.9, 0.5), (0.9, 0.9)))


def test_a_restriction_adds_a_private_area() -> None:
    decision = narrowed(NarrowZones(what="zones", view=WIDE, zones=(ALLEY,)))

    assert [zone.name for zone in decision.zones] == ["windows of No. 14", "alley"]
    assert decision.recording


def test_an_area_drawn_over_another_view_makes_the_camera_dark() -> None:
    turned = WIDE.model_copy(update={"rotation_degrees": 180})

    decision = narrowed(NarrowZones(what="zones", view=turned, zones=(ALLEY,)))

    assert not decision.recording
    assert "another view" in decision.reason


def test_a_restriction_narrows_each_thing_it_names() -> None:
    decision = narrowed(
        NarrowPeople(what="people", people=PeopleMode.SCENE),
        NarrowRetention(what="retention", days=3),
        NarrowPicture(what="picture", max_height_px=480, max_rate_hz=5),
        SuspendModel(what="model", sha256="a" * 64),
        NarrowPlainly(what="no-live"),
        grants=(grant(models=(MODEL,)),),
    )

    assert decision.recording
    assert decision.people is PeopleMode.SCENE
    assert decision.retention == 3 * DAY
    assert (decision.max_height_px, decision.max_rate_hz) == (480, 5)
    assert decision.models == ()


def test_a_restriction_never_widens() -> None:
    decision = narrowed(
        NarrowPeople(what="people", people=PeopleMode.HEADS),
        NarrowRetention(what="retention", days=300),
        NarrowPicture(what="picture", max_height_px=4320, max_rate_hz=200),
    )

    assert decision.people is PeopleMode.PEOPLE
    assert decision.retention == 30 * DAY
    assert (decision.max_height_px, decision.max_rate_hz) == (1080, 15)


def test_a_restriction_keeps_no_originals() -> None:
    keys = epochs(id="e-originals", layer="originals", days=(epoch_day(NOON.date()),))

    decision = narrowed(NarrowPlainly(what="no-originals"), grants=(SEALED,), epochs=(epochs(), keys))

    assert decision.recording
    assert decision.originals is Originals.NONE


def test_a_restriction_ends_live_view() -> None:
    live = grant(
        intended_use="traffic",
        permissible_uses=("volume",),
        recipients=("custodian",),
        metrics=("vehicles-counted",),
        live=LiveView.PUBLIC,
    )

    assert at(documents=city(grants=(live,))).live is LiveView.PUBLIC
    assert narrowed(NarrowPlainly(what="no-live"), grants=(live,)).live is LiveView.NONE


def test_one_official_suspends_a_recipient_at_once() -> None:
    by_role = narrowed(SuspendRecipient(what="recipient", role="investigator"))
    by_holder = narrowed(SuspendRecipient(what="recipient", holder="investigator-1"))
    someone_else = narrowed(SuspendRecipient(what="recipient", role="investigator", holder="investigator-2"))

    assert by_role.recipients == (age_recipient("custodian 2026-11-28", post_quantum=False),)
    assert by_holder.recipients == by_role.recipients
    assert len(someone_else.recipients) == 2


def test_a_camera_whose_every_recipient_is_suspended_is_dark() -> None:
    decision = narrowed(
        SuspendRecipient(what="recipient", role="investigator"), SuspendRecipient(what="recipient", role="custodian")
    )

    assert not decision.recording
    assert "JC-28" in decision.reason


@pytest.mark.parametrize(
    "circumstances", [{}, {"fresh_until": None}, {"quality": ClockQuality.UNKNOWN}, {"now": NOON + 1000 * DAY}]
)
def test_restrictions_holds_and_revocations_stand_whatever_the_clock(circumstances: dict[str, Any]) -> None:
    documents = city(
        restrictions=(restriction(narrows=(NarrowPlainly(what="no-biometrics"),)),),
        holds=(hold(),),
        revocations=(revocation(),),
    )

    decision = at(documents=documents, **circumstances)

    assert decision.biometrics_locked
    assert [held.hold_id for held in decision.holds] == ["h-2026-001"]
    assert decision.revocation is Revocation.STOP


def test_a_restriction_begins_when_it_says() -> None:
    documents = city(restrictions=(restriction(starts_at=NOON + HOUR),))

    assert at(documents=documents).recording
    assert at(documents=documents).changes_at == NOON + HOUR
    assert not at(NOON + HOUR, documents).recording


def test_a_restriction_whose_start_cannot_be_known_has_begun() -> None:
    later = restriction(starts_at=NOON + HOUR, narrows=(NarrowPlainly(what="no-biometrics"),))

    assert at(documents=city(restrictions=(later,)), quality=ClockQuality.UNKNOWN).biometrics_locked


def test_only_a_grant_that_names_it_lifts_a_restriction() -> None:
    stands = city(restrictions=(restriction(),), grants=(grant(lifts=("r-2026-002",)),))
    lifted = city(restrictions=(restriction(),), grants=(grant(lifts=("r-2026-001",)),))

    assert not at(documents=stands).recording
    assert at(documents=lifted).recording
    assert not at(documents=lifted, fresh_until=None).recording


def test_a_lift_is_for_the_cameras_of_its_grant() -> None:
    everywhere = restriction(cameras="all")
    other = grant(id="g-2026-002", cameras=("cam-08",))
    documents = city(restrictions=(everywhere,), grants=(grant(lifts=("r-2026-001",)), other))

    assert at(documents=documents).recording
    assert not at(documents=documents, camera_id="cam-08").recording


def test_a_restriction_returns_when_the_grant_that_lifted_it_ends() -> None:
    locked = restriction(narrows=(NarrowPlainly(what="no-biometrics"),))
    documents = city(restrictions=(locked,), grants=(grant(lifts=("r-2026-001",)),))

    assert not at(documents=documents).biometrics_locked
    assert at(NOON + 20 * DAY, documents, fresh_until=NOON + 90 * DAY).biometrics_locked


# --- waivers --------------------------------------------------------------------


def test_a_waiver_widens_one_thing_and_reverts_to_the_second() -> None:
    documents = city(waivers=(waiver(ends_at=NOON + HOUR),))

    assert at(documents=documents).people is PeopleMode.HEADS
    assert at(documents=documents).waivers == ("w-2026-001",)
    assert at(documents=documents).changes_at == NOON + HOUR
    assert at(NOON + HOUR - SECOND, documents).people is PeopleMode.HEADS
    assert at(NOON + HOUR, documents).people is PeopleMode.PEOPLE
    assert at(NOON + HOUR, documents).waivers == ()


def test_a_waiver_widens_nothing_else() -> None:
    widened, plain = at(documents=city(waivers=(waiver(),))), at()

    assert widened.people is not plain.people
    assert (widened.recipients, widened.retention, widened.zones) == (plain.recipients, plain.retention, plain.zones)


def test_a_waiver_needs_a_grant_and_news_from_the_city() -> None:
    alone = VerifiedDocuments(waivers=(waiver(),), epochs=(epochs(),))

    assert not at(documents=alone).recording
    assert at(documents=alone).waivers == ()
    assert at(documents=city(waivers=(waiver(),)), fresh_until=None).waivers == ()
    assert at(documents=city(waivers=(waiver(),)), quality=ClockQuality.UNKNOWN).waivers == ()


def test_no_waiver_beats_a_restriction() -> None:
    decision = narrowed(NarrowPeople(what="people", people=PeopleMode.SCENE), waivers=(waiver(),))

    assert decision.people is PeopleMode.SCENE


def test_a_waiver_the_charter_does_not_allow_widens_nothing() -> None:
    unlawful = waiver(basis="convenience")

    assert at(documents=city(waivers=(unlawful,))) == at()


def test_each_kind_of_waiver_widens_its_own_field() -> None:
    night = Opening(days=("sun",), opens="00:00", closes="24:00")
    closed = grant(schedule=(night,))
    traffic = WidenUse(what="permissible-use", intended_use="traffic", permissible_use="volume")

    assert at(documents=city(waivers=(waiver(widens=WidenRetention(what="retention", days=90)),))).retention == 90 * DAY
    finer = at(documents=city(waivers=(waiver(widens=WidenPicture(what="picture", max_height_px=2, max_rate_hz=30)),)))
    assert (finer.max_height_px, finer.max_rate_hz) == (1080, 30)
    assert "traffic/volume" in at(documents=city(waivers=(waiver(widens=traffic),))).permissible_uses
    assert not at(documents=city(grants=(closed,))).recording
    opened = waiver(
        widens=WidenSchedule(what="schedule", schedule=(Opening(days=("sat",), opens="05:00", closes="07:00"),))
    )
    assert at(documents=city(grants=(closed,), waivers=(opened,))).recording


# --- hours ----------------------------------------------------------------------


def test_a_camera_keeps_the_hours_of_the_citys_wall_clock() -> None:
    """November in St. Louis is six hours behind UTC; NOON is a Saturday."""
    documents = city(grants=(grant(schedule=(Opening(days=("sat",), opens="06:00", closes="07:00"),)),))

    assert not at(NOON - SECOND, documents).recording
    assert at(NOON - SECOND, documents).changes_at == NOON
    assert at(NOON, documents).recording
    assert at(NOON, documents).changes_at == NOON + HOUR
    assert not at(NOON + HOUR, documents).recording
    assert "outside the hours" in at(NOON + HOUR, documents).reason


def test_a_restriction_shortens_the_hours() -> None:
    short = NarrowSchedule(what="schedule", schedule=(Opening(days=("sat",), opens="00:00", closes="06:30"),))
    documents = city(restrictions=(restriction(narrows=(short,)),))

    assert at(documents=documents).recording
    assert at(documents=documents).changes_at == NOON + HOUR / 2
    assert not at(NOON + HOUR / 2, documents).recording


# --- holds and revocations --------------------------------------------------------


def test_a_hold_names_the_spans_that_stay() -> None:
    decision = at(documents=city(holds=(hold(),)))

    assert decision.recording
    assert decision.holds == (HeldSpan("h-2026-001", NOON - 2 * DAY, NOON - 2 * DAY + HOUR),)


def test_a_hold_is_lifted_by_a_grant_that_names_it() -> None:
    assert at(documents=city(holds=(hold(),), grants=(grant(lifts=("h-2026-001",)),))).holds == ()


@pytest.mark.parametrize("action", ["pause", "stop"])
def test_a_grant_that_names_it_lifts_a_pause_or_a_stop(action: str) -> None:
    order = revocation(action=action)

    assert at(documents=city(revocations=(order,))).revocation == action
    assert at(documents=city(revocations=(order,), grants=(grant(lifts=("v-2026-001",)),))).recording


def test_nothing_lifts_an_erasure() -> None:
    documents = city(revocations=(revocation(action="erase"),), grants=(grant(lifts=("v-2026-001",)),))

    assert at(documents=documents).revocation is Revocation.ERASE
    assert not at(documents=documents).recording


def test_the_strongest_revocation_counts() -> None:
    orders = (revocation(action="pause", id="v-3"), revocation(action="erase", id="v-1"), revocation(id="v-2"))

    assert at(documents=city(revocations=orders)).revocation is Revocation.ERASE


# --- the value ------------------------------------------------------------------


def test_the_digest_names_the_charter_and_the_documents_in_force() -> None:
    plain = at().policy_digest

    assert len(plain) == 64
    assert at().policy_digest == plain
    assert at(law=charter(revision=2)).policy_digest != plain
    assert at(documents=city(holds=(hold(),))).policy_digest != plain
    assert at(documents=city(restrictions=(restriction(cameras=("cam-08",)),))).policy_digest == plain


def test_when_a_decision_changes_is_no_part_of_what_it_is() -> None:
    assert at(NOON).changes_at == at(NOON + HOUR).changes_at
    assert at(fresh_until=NOON + HOUR) == at(fresh_until=NOON + 2 * HOUR)


def test_boundaries_without_effect_are_looked_past_only_so_far() -> None:
    """A grant for traffic keeps no originals, so their keys begin and end without effect."""
    keys = [epochs(id=f"e-{n}", layer="originals", starts_at=NOON + n * timedelta(minutes=1)) for n in range(1, 40)]

    decision = at(documents=city(epochs=(epochs(), *keys)))

    assert decision.changes_at == NOON + timedelta(minutes=16)
    assert at(decision.changes_at, city(epochs=(epochs(), *keys))) == decision


def test_a_calendar_that_ends_is_no_change() -> None:
    endless = grant(starts_at=NOON, ends_at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    law = charter(uses=tuple(use.model_copy(update={"max_days": 3_650_000}) for use in charter().uses))
    last = datetime(9998, 12, 31, 12, tzinfo=UTC)
    keys = epochs(ends_at=endless.ends_at, days=(epoch_day(last.date()),))

    decision = at(last, city(grants=(endless,), epochs=(keys,)), law=law, fresh_until=endless.ends_at)

    assert decision.recording
    assert decision.changes_at is None


def test_a_dark_decision_permits_nothing() -> None:
    assert Decision.dark("why").recipients == ()
