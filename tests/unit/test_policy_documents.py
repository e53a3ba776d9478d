"""A document says exactly one thing, or it is refused with a reason and the clause that asks for it."""

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from agent.core.policy.documents import (
    Document,
    DrawnOver,
    Opening,
    SuspendRecipient,
    Target,
    WidenRetention,
    canonical_document,
    parse_document,
)
from agent.errors import ClauseViolationError, DocumentFormatError, PolicyError
from tests.fakes import documents as make
from tests.fakes.documents import (
    DAY,
    NOON,
    age_recipient,
    epoch_day,
    epochs,
    grant,
    hold,
    restriction,
    revocation,
    waiver,
)

EVERY_KIND = [grant(), restriction(), waiver(), hold(), epochs(), revocation()]


def kind_of(document: Document) -> str:
    return document.kind  # type: ignore[attr-defined, no-any-return]


def altered(document: Document, **changes: Any) -> bytes:
    """Return `document` as JSON with `changes`, as someone with a text editor would make it."""
    return json.dumps(json.loads(canonical_document(document)) | changes).encode()


def without(document: Document, field: str) -> bytes:
    stated = json.loads(canonical_document(document))
    del stated[field]
    return json.dumps(stated).encode()


@pytest.mark.parametrize("document", EVERY_KIND, ids=kind_of)
def test_a_document_survives_being_written_and_read(document: Document) -> None:
    raw = canonical_document(document)

    again = parse_document(raw)

    assert again == document
    assert canonical_document(again) == raw
    assert again.sha256 == document.sha256


@pytest.mark.parametrize("document", EVERY_KIND, ids=kind_of)
@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"version": 2},
        {"version": True},
        {"version": 1.0},
        {"version": "1"},
        {"kind": "permit"},
        {"kind": None},
        {"id": "../../etc/passwd"},
        {"id": "G-1"},
        {"id": "a" * 65},
        {"id": ""},
        {"issued_at": "2026-11-28"},
        {"issued_at": "2026-11-28T12:00:00+00:00"},
        {"issued_at": "2026-11-28T12:00:00.5Z"},
        {"issued_at": "2026-02-30T12:00:00Z"},
        {"issued_at": "2026-11-28T12:00:60Z"},
        {"issued_at": 1796126400},
        {"issued_at": None},
    ],
    ids=str,
)
def test_a_document_that_is_nearly_right_is_refused(document: Document, change: dict[str, object]) -> None:
    with pytest.raises(DocumentFormatError) as refusal:
        parse_document(altered(document, **change))

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("document", EVERY_KIND, ids=kind_of)
@pytest.mark.parametrize("reason", ["", " ", "   ", None, 7, " padded", "x" * 2001])
def test_a_document_without_a_written_reason_is_refused(document: Document, reason: object) -> None:
    with pytest.raises(ClauseViolationError, match="JC-12"):
        parse_document(altered(document, reason=reason))
    with pytest.raises(ClauseViolationError, match="JC-12"):
        parse_document(without(document, "reason"))


@pytest.mark.parametrize("document", EVERY_KIND, ids=kind_of)
def test_every_field_must_be_there(document: Document) -> None:
    for field in type(document).model_fields.keys() - {"targets"}:
        with pytest.raises(PolicyError):
            parse_document(without(document, field))


def test_a_document_is_an_object() -> None:
    for raw in (b"[]", b'"grant"', b"1", b"null", b"{}", b'{"kind":["grant"]}'):
        with pytest.raises(DocumentFormatError):
            parse_document(raw)


@pytest.mark.parametrize("document", [grant(), waiver(), epochs()], ids=kind_of)
def test_a_window_that_ends_before_it_starts_is_refused(document: Document) -> None:
    for ends_at in ("2000-01-01T00:00:00Z", json.loads(canonical_document(document))["starts_at"]):
        with pytest.raises(DocumentFormatError, match="not after"):
            parse_document(altered(document, ends_at=ends_at))


@pytest.mark.parametrize("document", [restriction(), hold(), revocation()], ids=kind_of)
def test_what_narrows_cannot_carry_an_end(document: Document) -> None:
    with pytest.raises(DocumentFormatError, match="ends_at"):
        parse_document(altered(document, ends_at="2030-01-01T00:00:00Z"))


# --- grants ---------------------------------------------------------------------


def test_a_grant_of_sound_is_refused() -> None:
    with pytest.raises(ClauseViolationError, match="audio"):
        parse_document(altered(grant(), audio=True))
    with pytest.raises(DocumentFormatError, match="audio"):
        parse_document(altered(grant(), audio=0))


def test_a_grant_may_say_what_its_metrics_are_to_come_to() -> None:
    aimed = grant(targets=(Target(metric="hours-recorded", at_least=8000),))

    assert parse_document(canonical_document(aimed)) == aimed
    assert b"targets" not in canonical_document(grant())  # what was signed before there were targets keeps its bytes


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"metric": "hours-recorded"}, "either"),
        ({"metric": "hours-recorded", "at_least": 1, "at_most": 2}, "either"),
        ({"metric": "hours-recorded", "at_least": -1}, "at_least"),
        ({"metric": "smiles", "at_least": 1}, "SL-2.5"),
    ],
)
def test_a_target_has_one_bound_and_is_for_what_is_reported(target: dict[str, object], words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        parse_document(altered(grant(), targets=[target]))


def test_a_metric_has_one_target() -> None:
    target = {"metric": "hours-recorded", "at_least": 1}

    with pytest.raises(ClauseViolationError, match="twice"):
        parse_document(altered(grant(), targets=[target, target]))


@pytest.mark.parametrize("mode", ["with-case", "in-area"])
def test_a_grant_of_biometrics_is_refused(mode: str) -> None:
    with pytest.raises(ClauseViolationError, match="JC-8"):
        parse_document(altered(grant(), biometrics=mode))


def test_a_grant_without_private_areas_says_why() -> None:
    with pytest.raises(ClauseViolationError, match="JC-12"):
        grant(zones=())
    with pytest.raises(ClauseViolationError, match="JC-12"):
        grant(no_zones_statement="nobody lives here")

    assert grant(zones=(), no_zones_statement="an open field").zones == ()


def test_sealed_originals_name_who_opens_them() -> None:
    for change in ({"originals": "sealed"}, {"originals_recipients": ["custodian"]}):
        with pytest.raises(ClauseViolationError, match="JC-11"):
            parse_document(altered(grant(), **change))


@pytest.mark.parametrize(
    ("polygon", "reason"),
    [
        ([[0.1, 0.1], [1.1, 0.1], [0.5, 0.5]], "less than or equal to 1"),
        ([[-0.1, 0.1], [0.9, 0.1], [0.5, 0.5]], "greater than or equal to 0"),
        ([[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]], "cross each other"),
        ([[0.1, 0.1], [0.9, 0.9]], "2 corners"),
        ([[0.1, 0.1, 0.1], [0.9, 0.1], [0.5, 0.5]], "zones"),
        ([["0.1", 0.1], [0.9, 0.1], [0.5, 0.5]], "valid number"),
        ([[0.5, 0.5]] * 65, "65 corners"),
    ],
)
def test_zones_that_cannot_be_masked_are_refused_with_the_clause(polygon: object, reason: str) -> None:
    with pytest.raises(ClauseViolationError, match="JC-12") as refusal:
        parse_document(altered(grant(), zones=[{"name": "windows", "polygon": polygon}]))

    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "clause"),
    [
        ("intended_use", "SL-2.2"),
        ("permissible_uses", "SL-2.2"),
        ("zones", "JC-12"),
        ("people", "JC-11"),
        ("originals", "JC-11"),
        ("retention", "RB-4"),
        ("recipients", "RB-4"),
        ("metrics", "SL-2.5"),
        ("models", "RB-6"),
    ],
)
def test_a_grant_that_leaves_something_out_is_refused_with_the_clause(field: str, clause: str) -> None:
    with pytest.raises(ClauseViolationError, match=clause):
        parse_document(without(grant(), field))


@pytest.mark.parametrize(
    ("field", "clause"),
    [("basis", "RB-2"), ("statement", "RB-2"), ("purchase_reference", "RB-3"), ("public_name", "RB-5")],
)
def test_a_site_that_leaves_something_out_is_refused_with_the_clause(field: str, clause: str) -> None:
    site = json.loads(canonical_document(grant()))["site"]
    del site[field]

    with pytest.raises(ClauseViolationError, match=clause):
        parse_document(altered(grant(), site=site))


@pytest.mark.parametrize(
    "opening",
    [
        {"days": ["mon"], "opens": "08:00", "closes": "08:00"},
        {"days": ["mon"], "opens": "22:00", "closes": "06:00"},
        {"days": ["mon"], "opens": "8:00", "closes": "09:00"},
        {"days": ["mon"], "opens": "08:00", "closes": "24:01"},
        {"days": ["monday"], "opens": "08:00", "closes": "09:00"},
        {"days": [], "opens": "08:00", "closes": "09:00"},
    ],
    ids=str,
)
def test_hours_that_mean_nothing_are_refused(opening: dict[str, object]) -> None:
    with pytest.raises(DocumentFormatError, match="schedule"):
        parse_document(altered(grant(), schedule=[opening]))


def test_a_view_is_rotated_by_quarters() -> None:
    with pytest.raises(ValidationError):
        DrawnOver(aspect_width=16, aspect_height=9, rotation_degrees=45)


def test_an_instant_is_a_whole_second_in_utc() -> None:
    with pytest.raises(ValidationError, match="whole second in UTC"):
        grant(issued_at=NOON + timedelta(microseconds=1))
    with pytest.raises(ValidationError, match="whole second in UTC"):
        grant(issued_at=NOON.astimezone(timezone(timedelta(hours=1))))


def test_the_earliest_instant_is_written_as_it_is_read() -> None:
    ancient = parse_document(altered(epochs(), starts_at="0001-01-01T00:00:00Z"))

    assert parse_document(canonical_document(ancient)) == ancient


def test_text_that_hides_characters_is_refused_when_it_is_drafted_too() -> None:
    with pytest.raises(ValidationError, match="hidden character"):
        grant(reason="safe\u202e text")


# --- the others -----------------------------------------------------------------


@pytest.mark.parametrize("length", [30 * DAY, 30 * DAY + timedelta(seconds=1), 365 * DAY])
def test_a_waiver_of_thirty_days_or_more_is_refused(length: timedelta) -> None:
    with pytest.raises(ClauseViolationError, match=r"SL-5\.1"):
        waiver(ends_at=NOON - DAY + length)


def test_a_waiver_may_last_a_second_less_than_thirty_days() -> None:
    assert waiver(ends_at=NOON + 29 * DAY - timedelta(seconds=1))


def test_a_waiver_widens_exactly_one_thing() -> None:
    one = {"what": "retention", "days": 60}

    assert waiver(widens=WidenRetention(what="retention", days=60))
    for many in ([one], [one, one], None, {}, one | {"people": "heads"}, {"what": "audio"}):
        with pytest.raises(DocumentFormatError, match="widens"):
            parse_document(altered(waiver(), widens=many))


def test_a_suspension_names_someone() -> None:
    with pytest.raises(ValidationError, match="suspends nobody"):
        SuspendRecipient(what="recipient", role=None, holder=None)


def test_a_hold_keeps_a_span_that_goes_forward() -> None:
    with pytest.raises(DocumentFormatError, match="not after"):
        parse_document(
            altered(hold(), spans=[{"starts_at": "2026-11-02T00:00:00Z", "ends_at": "2026-11-01T00:00:00Z"}])
        )


@pytest.mark.parametrize(
    "recipient",
    [
        "AGE-SECRET-KEY-1QQQ",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        "age1",
        age_recipient("x")[:-1],
        age_recipient("x") + "q",
        age_recipient("x", post_quantum=False).upper(),
        age_recipient("x", post_quantum=False).replace("age1", "age2"),
        age_recipient("x", post_quantum=False)[:-1] + "b",
        "age1scrypt",
    ],
    ids=lambda text: f"{text[:24]}…{text[-3:]}",
)
def test_recipients_of_the_wrong_kind_are_refused(recipient: str) -> None:
    stated = json.loads(canonical_document(epochs()))
    stated["days"][0]["recipients"][0]["recipient"] = recipient

    with pytest.raises(ClauseViolationError, match="age recipient"):
        parse_document(json.dumps(stated).encode())


def test_post_quantum_and_older_recipients_are_never_mixed() -> None:
    today = NOON.date()
    with pytest.raises(ValidationError, match="mixed"):
        epochs(days=(epoch_day(today), epoch_day(today + DAY, post_quantum=True)))

    assert epochs(days=(epoch_day(today, post_quantum=True),))


def test_a_day_has_one_set_of_recipients() -> None:
    with pytest.raises(ValidationError, match="twice"):
        epochs(days=(epoch_day(NOON.date()), epoch_day(NOON.date())))
    for day in ("2026-11-31", "28.11.2026", 20261128):
        stated = json.loads(canonical_document(epochs()))
        stated["days"][0]["day"] = day
        with pytest.raises(DocumentFormatError, match="day"):
            parse_document(json.dumps(stated).encode())


def test_a_fortnight_of_post_quantum_keys_for_two_roles_fits_into_one_document() -> None:
    days = tuple(epoch_day((NOON + n * DAY).date(), post_quantum=True) for n in range(14))

    assert parse_document(canonical_document(epochs(days=days)))


def test_a_document_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        grant().audio = True  # type: ignore[misc]


def test_an_opening_is_what_people_write() -> None:
    assert Opening(days=("mon",), opens="00:00", closes="24:00") != make.ALWAYS
