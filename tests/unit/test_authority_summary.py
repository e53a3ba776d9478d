"""The page an official reads before signing says everything that the document says."""

from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from agent.core.policy.decision import LiveView, Originals, PeopleMode
from agent.core.policy.documents import (
    Document,
    DrawnOver,
    EpochKeys,
    Grant,
    Hold,
    ListedModel,
    NarrowPeople,
    NarrowPicture,
    NarrowPlainly,
    NarrowRetention,
    NarrowSchedule,
    NarrowZones,
    Opening,
    Order,
    PrivateZone,
    Restriction,
    Retention,
    Revocation,
    Sharing,
    Span,
    SuspendModel,
    SuspendRecipient,
    Target,
    Waiver,
    WidenPicture,
    WidenRetention,
    WidenSchedule,
    WidenUse,
)
from provisioning.authority.summary import Page, drawn_zones, page_of, zones_svg
from tests.fakes.documents import (
    DAY,
    NOON,
    SITE,
    WIDE,
    WINDOWS,
    epochs,
    example_charter,
    grant,
    hold,
    restriction,
    revocation,
    waiver,
)

MORNING = (Opening(days=("mon",), opens="07:00", closes="12:00"),)
PLAYGROUND = PrivateZone(name="playground <north>", polygon=((0.5, 0.5), (0.9, 0.5), (0.9, 0.9)))
NIGHT_AND_DAY = "day and night"

EVERYTHING: dict[str, Any] = {
    "id": "g-2026-009",
    "issued_by": "city-manager",
    "issued_at": NOON,
    "reason": "Another reason.",
    "starts_at": NOON,
    "ends_at": NOON + DAY,
    "cameras": ("cam-08",),
    "intended_use": "traffic",
    "permissible_uses": ("criminal-investigation",),
    "case": "C-1",
    "order": Order(ordered_by="city-manager", reference="E-1", ends_at=NOON + DAY),
    "schedule": MORNING,
    "max_height_px": 720,
    "max_rate_hz": 5,
    "view": DrawnOver(aspect_width=4, aspect_height=3, rotation_degrees=0),
    "zones": (PLAYGROUND,),
    "people": PeopleMode.SCENE,
    "retention": Retention(days=90, basis="high-crime-area", area="Main St", ends_at=NOON, decided_by="city-manager"),
    "recipients": ("custodian",),
    "sharing": (Sharing(row="law-enforcement", basis="court-order"),),
    "live": LiveView.PUBLIC,
    "metrics": ("hours-recorded",),
    "targets": (Target(metric="hours-recorded", at_least=8000),),
    "models": (ListedModel(sha256="ab" * 32, name="boxes", outputs=("boxes",)),),
    "lifts": ("r-2026-001",),
}
# Changed only together with another field, below; or the same in every grant of version 1.
TOGETHER = {"originals", "originals_recipients", "no_zones_statement", "site"}
ALWAYS_THE_SAME = {"kind", "version", "audio", "biometrics"}


def page(document: Any) -> Page:
    return page_of(document, example_charter())


@pytest.mark.parametrize("field", sorted(EVERYTHING))
def test_every_field_of_a_grant_shows_on_its_page(field: str) -> None:
    assert page(grant(**{field: EVERYTHING[field]})) != page(grant())


def test_no_field_of_a_grant_is_forgotten_here() -> None:
    assert set(Grant.model_fields) == {*EVERYTHING, *TOGETHER, *ALWAYS_THE_SAME}


def test_what_a_metric_is_to_come_to_shows_beside_it() -> None:
    least = grant(targets=(Target(metric="hours-recorded", at_least=8000),))
    most = grant(targets=(Target(metric="hours-recorded", at_most=3000),))

    assert "hours-recorded (at least 8,000 a year)" in dict(page(least).lines)["Reports"]
    assert "hours-recorded (at most 3,000 a year)" in dict(page(most).lines)["Reports"]


def test_originals_and_who_opens_them_show() -> None:
    sealed = grant(originals=Originals.SEALED, originals_recipients=("quorum",))

    words = dict(page(sealed).lines)["Originals"]

    assert "kept, sealed" in words
    assert "Releasing officials together" in words


def test_the_reason_for_no_private_area_shows() -> None:
    words = dict(page(grant(zones=(), no_zones_statement="Nobody lives here.")).lines)["Private areas"]

    assert words == "none, because: Nobody lives here."


@pytest.mark.parametrize("field", sorted(type(SITE).model_fields))
def test_every_field_of_a_site_shows(field: str) -> None:
    location = SITE.location.model_copy(update={"public_precision_m": 9})
    others = {"location": location, "status": "vacant", "purchase_reference": None}
    changed = SITE.model_copy(update={field: others.get(field, "something-else")})

    assert page(grant(site=changed)) != page(grant())


NARROWINGS = [
    NarrowZones(what="zones", view=WIDE, zones=(PLAYGROUND,)),
    NarrowSchedule(what="schedule", schedule=MORNING),
    NarrowPeople(what="people", people=PeopleMode.COUNTS_ONLY),
    NarrowRetention(what="retention", days=3),
    NarrowPicture(what="picture", max_height_px=360, max_rate_hz=2),
    SuspendRecipient(what="recipient", role="investigator"),
    SuspendRecipient(what="recipient", role="investigator", holder="jane"),
    SuspendModel(what="model", sha256="cd" * 32),
    NarrowPlainly(what="no-biometrics"),
    NarrowPlainly(what="no-originals"),
    NarrowPlainly(what="no-live"),
    NarrowPlainly(what="dark"),
]


def test_every_narrowing_has_its_own_words() -> None:
    words = {dict(page(restriction(narrows=(narrowing,))).lines)["Narrows"] for narrowing in NARROWINGS}

    assert len(words) == len(NARROWINGS)


def test_every_widening_has_its_own_words() -> None:
    widenings = [
        waiver().widens,
        WidenUse(what="permissible-use", intended_use="public-safety", permissible_use="detect-crime"),
        WidenSchedule(what="schedule", schedule=MORNING),
        WidenRetention(what="retention", days=60),
        WidenPicture(what="picture", max_height_px=1080, max_rate_hz=30),
    ]

    words = {dict(page(waiver(widens=widening)).lines)["Widens"] for widening in widenings}

    assert len(words) == len(widenings)


@pytest.mark.parametrize(
    ("kind", "document", "changes"),
    [
        (Restriction, restriction, {"cameras": "all", "narrows": (NARROWINGS[0],)}),
        (Waiver, waiver, {"cameras": ("cam-08",), "basis": "safety", "ends_at": NOON + DAY, "widens": None}),
        (Hold, hold, {"cameras": "all", "case": "X", "spans": (Span(starts_at=NOON, ends_at=NOON + DAY),)}),
        (Revocation, revocation, {"cameras": "all", "action": "erase"}),
        (
            EpochKeys,
            epochs,
            {"layer": "originals", "keeps": "extended", "ends_at": NOON + 19 * DAY, "days": epochs().days[1:]},
        ),
    ],
)
def test_every_field_of_the_other_documents_shows(kind: type[Document], document: Any, changes: dict[str, Any]) -> None:
    common = {"id": "x-1", "issued_by": "mayor", "issued_at": NOON, "reason": "Else.", "starts_at": NOON}
    changed = {field: value for field, value in (common | changes).items() if value is not None}

    assert {*common, *changes, "kind", "version", "ends_at"} == set(kind.model_fields)
    for field, value in changed.items():
        assert page(document(**{field: value})) != page(document()), field


def test_a_picture_shows_every_zone_by_name_and_place() -> None:
    drawn = drawn_zones(grant(zones=(WINDOWS, PLAYGROUND)))
    assert drawn is not None

    picture = ET.fromstring(zones_svg(drawn[1], drawn[0], title="Areas & more"))  # noqa: S314 - our own text

    name = "{http://www.w3.org/2000/svg}"
    assert [shape.get("points") for shape in picture.iter(f"{name}polygon")] == [
        "96.0,54.0 288.0,54.0 288.0,216.0 96.0,216.0",
        "480.0,270.0 864.0,270.0 864.0,486.0",
    ]
    assert {"windows of No. 14", "playground <north>", "Areas & more"} <= {text.text for text in picture.iter()}


def test_hours_are_told_in_words() -> None:
    assert dict(page(grant()).lines)["Hours"].startswith(NIGHT_AND_DAY)
    assert dict(page(grant(schedule=MORNING)).lines)["Hours"].startswith("mon 07:00 to 12:00")


def test_the_window_is_told_with_its_end() -> None:
    assert dict(page(grant(ends_at=NOON + timedelta(hours=1))).lines)["In force"].endswith("28 Nov 2026 13:00 UTC")
    assert dict(page(restriction()).lines)["In force"].endswith("until a grant lifts it by name")
