"""A document that asks for what the charter does not allow is refused with the city's own clause."""

from datetime import timedelta
from typing import Any

import pytest

from agent.core.policy.charter import Charter, read_charter_toml
from agent.core.policy.clauses import check_document, check_signers, check_together
from agent.core.policy.decision import LiveView, Originals, PeopleMode
from agent.core.policy.documents import (
    Document,
    ListedModel,
    NarrowRetention,
    Order,
    Retention,
    Sharing,
    SuspendRecipient,
    WidenPeople,
    WidenPicture,
    WidenRetention,
    WidenSchedule,
    WidenUse,
)
from agent.core.policy.verified import VerifiedDocuments
from agent.errors import ClauseViolationError, SignatureError
from tests.fakes.documents import (
    ALWAYS,
    CHARTERS,
    DAY,
    NOON,
    SITE,
    charter,
    epoch_day,
    epochs,
    grant,
    hold,
    restriction,
    revocation,
    waiver,
)

ST_LOUIS = read_charter_toml((CHARTERS / "st-louis.toml").read_text(encoding="utf-8"))
REDONDO_BEACH = read_charter_toml((CHARTERS / "redondo-beach.toml").read_text(encoding="utf-8"))


def lawful_in_st_louis(use: str, **changes: Any) -> Document:
    """Return a grant for `use` that St. Louis allows, with `changes`."""
    row = ST_LOUIS.use(use)
    assert row is not None
    status = row.needs_status[0] if row.needs_status else None
    order = Order(ordered_by="director-health", reference="EO-7", ends_at=NOON + 20 * DAY)
    stated: dict[str, Any] = {
        "intended_use": use,
        "permissible_uses": tuple(one.id for one in row.permissible),
        "case": "2026-CR-0417" if row.needs_case or row.case_for else None,
        "order": order if row.needs_order_by else None,
        "site": SITE.model_copy(update={"status": status}),
        "people": row.people,
        "recipients": row.recipients,
        "metrics": row.metrics,
    }
    return grant(**(stated | changes))


def refuses(law: Charter, document: Any, clause: str, words: str = "") -> None:
    with pytest.raises(ClauseViolationError) as refusal:
        check_document(law, document)
    assert refusal.value.clause == clause
    assert words in str(refusal.value)
    assert f"({clause})" in str(refusal.value)


@pytest.mark.parametrize("document", [grant(), restriction(), waiver(), hold(), epochs(), revocation()])
def test_an_ordinary_document_is_allowed(document: Any) -> None:
    check_document(charter(), document)


@pytest.mark.parametrize("use", [use.id for use in ST_LOUIS.uses])
def test_every_row_of_table_1_can_be_granted_on_its_conditions(use: str) -> None:
    check_document(ST_LOUIS, lawful_in_st_louis(use))


# --- who ------------------------------------------------------------------------


def test_a_grant_needs_all_three_approving_offices() -> None:
    check_signers(charter(), grant(), ["city-manager", "it-director", "police-chief"])

    for few in ([], ["city-manager"], ["city-manager", "police-chief"], ["city-manager", "city-manager", "custodian"]):
        with pytest.raises(SignatureError, match="missing"):
            check_signers(charter(), grant(), few)


def test_a_document_is_signed_by_the_office_it_names() -> None:
    check_signers(charter(), restriction(), ["police-chief"])

    with pytest.raises(SignatureError, match="JC-19"):
        check_signers(charter(), restriction(), ["it-director"])


@pytest.mark.parametrize(
    "document",
    [
        grant(issued_by="custodian"),
        restriction(issued_by="custodian"),
        waiver(issued_by="police-chief"),
        hold(issued_by="police-chief"),
        epochs(issued_by="it-director"),
        revocation(issued_by="city-manager"),
        revocation(issued_by="stranger"),
    ],
)
def test_an_office_acts_only_from_its_own_seat(document: Any) -> None:
    with pytest.raises(ClauseViolationError, match="EX-1"):
        check_document(charter(), document)


def test_an_office_orders_only_what_its_rule_names() -> None:
    rule = charter().revocations[0].model_copy(update={"actions": ("pause",)})

    check_document(charter(revocations=(rule,)), revocation(action="pause"))
    refuses(charter(revocations=(rule,)), revocation(action="erase"), "EX-1", "may not order erase")


# --- uses -----------------------------------------------------------------------


def test_a_use_the_charter_does_not_know_is_refused() -> None:
    refuses(charter(), grant(intended_use="advertising"), "SL-2.2")


def test_a_permissible_use_of_another_row_is_refused() -> None:
    refuses(ST_LOUIS, lawful_in_st_louis("traffic-management", permissible_uses=("detect-crime",)), "SL-T1-2")


def test_an_investigation_names_its_case() -> None:
    refuses(ST_LOUIS, lawful_in_st_louis("public-safety", case=None), "SL-T1-1", "needs a case")
    refuses(ST_LOUIS, lawful_in_st_louis("registered-individuals", case=None), "SL-T1-8", "needs a case")


def test_help_for_vulnerable_people_needs_an_emergency_order() -> None:
    forged = Order(ordered_by="police-chief", reference="X-1", ends_at=NOON + 20 * DAY)

    refuses(ST_LOUIS, lawful_in_st_louis("vulnerable-people", order=None), "SL-T1-7", "emergency order")
    refuses(ST_LOUIS, lawful_in_st_louis("vulnerable-people", order=forged), "SL-T1-7", "emergency order")


def test_help_for_vulnerable_people_ends_with_the_emergency() -> None:
    over = Order(ordered_by="director-health", reference="EO-7", ends_at=NOON + 19 * DAY)

    refuses(ST_LOUIS, lawful_in_st_louis("vulnerable-people", order=over), "SL-T1-7", "outlasts")


def test_a_property_is_watched_only_while_it_is_vacant() -> None:
    refuses(ST_LOUIS, lawful_in_st_louis("vacant-properties", site=SITE), "SL-T1-5", "not declared")


def test_a_grant_lasts_no_longer_than_its_use_allows() -> None:
    refuses(charter(), grant(ends_at=NOON + 366 * DAY), "EX-T1-1", "longer than 365 days")


def test_a_grant_promises_the_metrics_of_its_use() -> None:
    refuses(charter(), grant(metrics=("hours-recorded",)), "SL-2.5", "incidents-supported")


# --- what is seen, and by whom ----------------------------------------------------


def test_people_are_masked_at_least_as_the_use_says() -> None:
    refuses(charter(), grant(people=PeopleMode.HEADS), "JC-11")
    refuses(ST_LOUIS, lawful_in_st_louis("vulnerable-people", people=PeopleMode.PEOPLE), "JC-11")


@pytest.mark.parametrize("use", ["traffic-management", "right-of-way", "public-lands", "vulnerable-people"])
def test_originals_are_kept_only_where_the_row_allows(use: str) -> None:
    row = ST_LOUIS.use(use)
    assert row is not None

    asked = lawful_in_st_louis(use, originals=Originals.SEALED, originals_recipients=("quorum",))

    refuses(ST_LOUIS, asked, row.clause, "keeps no originals")


@pytest.mark.parametrize("use", ["public-safety", "vacant-properties", "public-buildings", "registered-individuals"])
def test_originals_may_be_sealed_to_several_where_the_row_allows(use: str) -> None:
    asked = lawful_in_st_louis(use, originals=Originals.SEALED, originals_recipients=("quorum",))

    check_document(ST_LOUIS, asked)


def test_originals_are_opened_by_roles_entitled_to() -> None:
    """None of them is one person: whoever names one is refused."""
    for role in ("traffic-engineer", "custodian", "investigator"):
        asked = grant(originals=Originals.SEALED, originals_recipients=(role,))

        refuses(charter(), asked, "EX-T1-1", "may not be among those who open originals")


def test_administrators_never_open_footage() -> None:
    refuses(charter(), grant(recipients=("custodian", "it-administration")), "SL-3.2")
    refuses(charter(), epochs(days=(epoch_day(NOON.date(), ["it-administration"]),)), "SL-3.2")


def test_footage_is_opened_by_the_roles_of_its_use() -> None:
    refuses(charter(), grant(recipients=("traffic-engineer",)), "EX-T1-1")


def test_the_public_watches_traffic_only() -> None:
    refuses(ST_LOUIS, lawful_in_st_louis("public-safety", live=LiveView.PUBLIC), "SL-T2-5")
    check_document(ST_LOUIS, lawful_in_st_louis("traffic-management", live=LiveView.PUBLIC))


def test_a_camera_the_public_watches_keeps_no_originals() -> None:
    both = charter().uses[0].model_copy(update={"live": LiveView.PUBLIC})
    asked = grant(live=LiveView.PUBLIC, originals=Originals.SEALED, originals_recipients=("quorum",))

    refuses(charter(uses=(both,)), asked, "SL-T2-5", "keeps no originals")


@pytest.mark.parametrize("finer", [{"max_height_px": 1081}, {"max_rate_hz": 31}])
def test_a_picture_is_no_finer_than_the_city_allows(finer: dict[str, int]) -> None:
    refuses(charter(), grant(**finer), "EX-1", "expected at most 1080 at 30")


def test_a_model_outputs_what_the_city_allows() -> None:
    model = ListedModel(sha256="a" * 64, name="counter", outputs=("boxes", "classes"))
    narrow = charter().models.model_copy(update={"outputs": ("boxes",)})

    check_document(charter(), grant(models=(model,)))
    refuses(charter(models=narrow), grant(models=(model,)), "EX-1", "outputs classes")


# --- sharing, retention, site ------------------------------------------------------


def test_sharing_follows_a_row_of_the_use() -> None:
    check_document(charter(), grant(sharing=(Sharing(row="law-enforcement", basis="court-order"),)))

    refuses(charter(), grant(sharing=(Sharing(row="public", basis="city-discretion"),)), "EX-T1-1")
    refuses(charter(), grant(sharing=(Sharing(row="friends", basis="favour"),)), "EX-T1-1")


@pytest.mark.parametrize(
    ("row", "clause"),
    [("law-enforcement", "SL-T2-1"), ("civil-case", "SL-T2-3"), ("emergency-response", "SL-T2-4")],
)
def test_sharing_names_a_basis_that_its_row_accepts(row: str, clause: str) -> None:
    asked = lawful_in_st_louis("public-safety", sharing=(Sharing(row=row, basis="curiosity"),))

    refuses(ST_LOUIS, asked, clause, "no basis")


def test_counts_for_public_health_need_a_health_emergency() -> None:
    asked = lawful_in_st_louis("vulnerable-people", sharing=(Sharing(row="public-health", basis="curiosity"),))

    refuses(ST_LOUIS, asked, "SL-T2-2", "no basis")


EXTENDED = {"days": 90, "basis": "recurring-crimes", "area": "two blocks", "decided_by": "city-manager"}


def test_an_extended_retention_has_a_basis_an_office_an_area_and_an_end() -> None:
    whole = EXTENDED | {"ends_at": NOON + DAY}

    check_document(charter(), grant(retention=Retention(**whole)))
    refuses(charter(), grant(retention=Retention(**whole | {"basis": None})), "EX-1", "needs one of")
    refuses(charter(), grant(retention=Retention(**whole | {"basis": "curiosity"})), "EX-1", "needs one of")
    refuses(charter(), grant(retention=Retention(**whole | {"decided_by": "police-chief"})), "EX-1", "decided by")
    refuses(charter(), grant(retention=Retention(**whole | {"area": None})), "JC-24")
    refuses(charter(), grant(retention=Retention(**whole | {"ends_at": None})), "JC-24")


def test_no_retention_is_longer_than_the_longest() -> None:
    refuses(charter(), grant(retention=Retention(**EXTENDED | {"days": 91})), "EX-1", "at most 90")
    refuses(REDONDO_BEACH, redondo(retention=Retention(days=31)), "RB-4", "at most 30")


def redondo(**changes: Any) -> Document:
    """Return a grant that Redondo Beach allows, with `changes`."""
    stated: dict[str, Any] = {
        "intended_use": "crime-prevention",
        "recipients": ("city-clerk", "investigator"),
        "metrics": ("incidents-supported", "cost-usd"),
    }
    return grant(**(stated | changes))


def test_a_site_is_justified() -> None:
    check_document(REDONDO_BEACH, redondo())
    refuses(REDONDO_BEACH, redondo(site=SITE.model_copy(update={"basis": "good-view"})), "RB-2")


def test_a_site_names_its_purchase() -> None:
    unpaid = SITE.model_copy(update={"purchase_reference": None})
    free = charter().sites.model_copy(update={"purchase_reference": False})

    refuses(REDONDO_BEACH, redondo(site=unpaid), "RB-3")
    check_document(charter(sites=free), grant(site=unpaid))


def test_a_grant_in_redondo_beach_reports_what_it_costs() -> None:
    refuses(REDONDO_BEACH, redondo(metrics=("incidents-supported",)), "SL-2.5", "cost-usd")


# --- the others -----------------------------------------------------------------


def test_a_suspension_of_nobody_is_a_typing_error() -> None:
    typo = SuspendRecipient(what="recipient", role="invstigator")

    refuses(charter(), restriction(narrows=(typo,)), "JC-28")
    check_document(charter(), restriction(narrows=(SuspendRecipient(what="recipient", holder="jane"),)))
    check_document(charter(), restriction(narrows=(NarrowRetention(what="retention", days=3),)))


def test_a_waiver_has_a_basis_that_counts() -> None:
    refuses(charter(), waiver(basis="convenience"), "EX-1", "waiver basis")


def test_a_charter_may_make_waivers_shorter() -> None:
    refuses(REDONDO_BEACH, waiver(basis="life"), "RB-4", "2 days or more")


@pytest.mark.parametrize(
    ("widening", "clause"),
    [
        (WidenUse(what="permissible-use", intended_use="public-safety", permissible_use="gossip"), "SL-2.2"),
        (WidenUse(what="permissible-use", intended_use="gossip", permissible_use="volume"), "SL-2.2"),
        (WidenRetention(what="retention", days=91), "EX-1"),
        (WidenPicture(what="picture", max_height_px=1081, max_rate_hz=30), "EX-1"),
        (WidenPicture(what="picture", max_height_px=1080, max_rate_hz=31), "EX-1"),
    ],
)
def test_a_waiver_stays_within_the_charter(widening: Any, clause: str) -> None:
    refuses(charter(), waiver(widens=widening), clause)


@pytest.mark.parametrize(
    "widening",
    [
        WidenUse(what="permissible-use", intended_use="traffic", permissible_use="volume"),
        WidenRetention(what="retention", days=90),
        WidenPicture(what="picture", max_height_px=1080, max_rate_hz=30),
        WidenSchedule(what="schedule", schedule=(ALWAYS,)),
        WidenPeople(what="people", people=PeopleMode.HEADS),
    ],
)
def test_a_waiver_may_widen_what_the_charter_names(widening: Any) -> None:
    check_document(charter(), waiver(widens=widening))


def test_a_waiver_widens_only_kinds_the_charter_names() -> None:
    refuses(ST_LOUIS, _in_st_louis(WidenRetention(what="retention", days=60)), "SL-5.1", "may not widen retention")


def test_a_waiver_hides_what_the_charter_says() -> None:
    rule = charter().waivers.model_copy(update={"people": PeopleMode.PEOPLE})

    refuses(charter(waivers=rule), waiver(), "EX-1", "hides at least people")


def _in_st_louis(widening: Any) -> Document:
    return waiver(issued_by="director-public-safety", widens=widening)


def test_recipients_have_roles_the_charter_knows() -> None:
    refuses(charter(), epochs(days=(epoch_day(NOON.date(), ["neighbour"]),)), "EX-1")


def test_only_entitled_roles_hold_keys_of_originals() -> None:
    days = (epoch_day(NOON.date(), ["traffic-engineer"]),)

    check_document(charter(), epochs(days=days))
    refuses(charter(), epochs(days=days, layer="originals"), "EX-1", "originals")


# --- together -------------------------------------------------------------------


def test_a_camera_obeys_one_grant_at_a_time() -> None:
    first, second = (
        grant(),
        grant(id="g-2026-002", starts_at=NOON + 20 * DAY - timedelta(seconds=1), ends_at=NOON + 40 * DAY),
    )

    with pytest.raises(ClauseViolationError, match="RB-1"):
        check_together([first, second], [])
    with pytest.raises(ClauseViolationError, match="one grant at a time"):
        VerifiedDocuments(grants=(second, first))


def test_grants_may_follow_one_another_and_lie_side_by_side() -> None:
    after = grant(id="g-2026-002", starts_at=NOON + 20 * DAY, ends_at=NOON + 40 * DAY)
    beside = grant(id="g-2026-003", cameras=("cam-08",))

    check_together([after, grant(), beside], [])


def test_waivers_in_a_row_are_one_waiver() -> None:
    first = waiver(id="w-1", starts_at=NOON, ends_at=NOON + 20 * DAY)
    second = waiver(id="w-2", starts_at=NOON + 20 * DAY, ends_at=NOON + 30 * DAY)

    with pytest.raises(ClauseViolationError, match=r"SL-5\.1"):
        check_together([], [second, first])


def test_waivers_with_a_gap_or_of_different_things_are_not_in_a_row() -> None:
    first = waiver(id="w-1", starts_at=NOON, ends_at=NOON + 20 * DAY)
    gap = waiver(id="w-2", starts_at=NOON + 21 * DAY, ends_at=NOON + 40 * DAY)
    hours = WidenSchedule(what="schedule", schedule=(ALWAYS,))
    other = waiver(id="w-3", starts_at=NOON + 20 * DAY, ends_at=NOON + 40 * DAY, widens=hours)

    check_together([], [first, gap, other])
