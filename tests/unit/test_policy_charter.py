"""A charter states a city's law without gaps; what a new one changes is computed, never declared."""

from typing import Any

import pytest
from pydantic import ValidationError

from agent.core.policy.charter import Charter, canonical_charter, parse_charter, read_charter_toml
from agent.core.policy.decision import ApprovedModel, Decision, HeldSpan, LiveView, Originals, PeopleMode, Revocation
from agent.core.policy.explain import explain_charter, explain_decision
from agent.core.policy.revision import RULES, SEATS, Effect, compare
from agent.core.policy.words import Strict
from agent.errors import ClauseViolationError, DocumentFormatError, PolicyError
from tests.fakes.documents import CHARTERS, DAY, NOON, charter

BOTH = ("st-louis", "redondo-beach")
EVERY = ("example", *BOTH)


def text_of(name: str) -> str:
    return (CHARTERS / f"{name}.toml").read_text(encoding="utf-8")


def changed(path: str, value: Any) -> Charter:
    """Return the charter of Example City with the field at `path`, such as "uses.0.max_days", changed."""
    stated: Any = charter().model_dump(mode="python")
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
    at = stated
    for step in way:
        if isinstance(at[step], tuple):
            at[step] = list(at[step])
        at = at[step]
    at[last] = value
    return Charter.model_validate(_tuples(stated))


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _tuples(inner) for name, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list | tuple) else value


# --- the text -------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_a_charter_survives_being_signed_and_read(name: str) -> None:
    law = read_charter_toml(text_of(name))

    assert parse_charter(canonical_charter(law)) == law


@pytest.mark.parametrize("name", EVERY)
def test_a_charter_is_explained_with_its_clauses(name: str) -> None:
    law = read_charter_toml(text_of(name))

    sections = explain_charter(law)

    assert [section.heading for section in sections if any(use.title in section.heading for use in law.uses)]
    assert all(section.sentences for section in sections)
    assert all(sentence.endswith(".") for section in sections for sentence in section.sentences)


def test_st_louis_has_every_row_of_both_tables() -> None:
    law = read_charter_toml(text_of("st-louis"))

    assert [use.clause for use in law.uses] == [f"SL-T1-{row}" for row in range(1, 9)]
    assert [row.clause for row in law.sharing] == [f"SL-T2-{row}" for row in range(1, 6)]  # the sixth is "nothing else"
    assert (law.retention.default_days, law.retention.extended_days) == (30, 90)
    assert law.waivers.shorter_than_days == 30


def test_a_camera_may_be_offline_for_a_week() -> None:
    assert {read_charter_toml(text_of(name)).offline_for for name in EVERY} == {7 * DAY}


def test_redondo_beach_needs_all_three() -> None:
    law = read_charter_toml(text_of("redondo-beach"))

    assert set(law.approval.offices) == {"city-manager", "it-director", "police-chief"}
    assert law.approval.threshold == 3


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("approval.threshold", 4, "cannot be reached"),
        ("approval.threshold", 0, "greater than or equal to 1"),
        ("approval.offices", [], "at least 1"),
        ("approval.offices", ["nobody", "it-director", "police-chief"], "nobody, which is no office"),
        ("approval.offices", ["it-director"] * 3, "twice"),
        ("holds.offices", ["custodian", "custodian"], "twice"),
        ("waivers.shorter_than_days", 31, "less than or equal to 30"),
        ("retention.default_days", 91, "less than or equal to 90"),
        ("retention.extended_days", 20, "shorter than default_days"),
        ("retention.bases", [], "needs bases"),
        ("time_zone", "America/Chicago", "POSIX rule"),
        ("uses.0.sharing", ["friends"], "friends, which is no sharing row"),
        ("uses.0.recipients", ["friends"], "friends, which is no recipient role"),
        ("uses.0.case_for", ["friends"], "friends, which is no permissible use"),
        ("uses.0.needs_order_by", ["friends"], "friends, which is no office"),
        ("uses.0.biometrics", "always", "biometrics"),
        ("uses.1.id", "public-safety", "twice"),
        ("version", 2, "version"),
        ("offices.0.source", [], "at least 1"),
        ("models.outputs", ["embeddings"], "outputs"),
    ],
)
def test_a_charter_with_a_gap_is_refused(path: str, value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        changed(path, value)


def test_an_administrator_is_never_an_end_user() -> None:
    with pytest.raises(ClauseViolationError, match=r"SL-3\.2"):
        changed("administrators", ["investigator"])


def test_a_key_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(DocumentFormatError, match="colour"):
        read_charter_toml('colour = "blue"\n' + text_of("example"))
    with pytest.raises(DocumentFormatError, match="not TOML"):
        read_charter_toml("kind = ")
    with pytest.raises(PolicyError):
        parse_charter(b"{}")


def test_what_a_charter_does_not_know_has_no_row() -> None:
    assert charter().use("advertising") is None
    assert charter().role("neighbour") is None
    assert charter().row("friends") is None
    assert charter().title_of("mayor") == "mayor"


# --- revisions ------------------------------------------------------------------


def test_the_same_charter_is_no_revision() -> None:
    revision = compare(charter(), charter())

    assert revision.changes == ()
    assert not revision.substantive
    assert not revision.permits_more


@pytest.mark.parametrize(
    ("path", "value", "effect"),
    [
        ("city", "Example Town", Effect.REWORDS),
        ("offices.0.title", "Manager", Effect.REWORDS),
        ("uses.0.title", "Safety", Effect.REWORDS),
        ("uses.0.permissible.0.title", "detect more", Effect.ALTERS),
        ("time_zone", "UTC0", Effect.ALTERS),
        ("root.threshold", 3, Effect.NARROWS),
        ("root.threshold", 1, Effect.WIDENS),
        ("approval.offices", ["city-manager", "it-director", "custodian"], Effect.ALTERS),
        ("approval.offices", ["it-director", "city-manager", "police-chief"], Effect.REWORDS),
        ("restrictions.offices", ["city-manager"], Effect.WIDENS),
        ("restrictions.offices", ["city-manager", "it-director", "police-chief", "custodian"], Effect.NARROWS),
        ("holds.offices", ["custodian", "city-manager"], Effect.NARROWS),
        ("epochs.offices", ["custodian", "city-manager"], Effect.WIDENS),
        ("waivers.shorter_than_days", 7, Effect.NARROWS),
        ("waivers.people", PeopleMode.PEOPLE, Effect.NARROWS),
        ("waivers.widens", ["schedule"], Effect.NARROWS),
        ("administrators", ["it-director"], Effect.WIDENS),
        ("freshness.offline_for_days", 14, Effect.WIDENS),
        ("retention.default_days", 60, Effect.WIDENS),
        ("retention.default_days", 7, Effect.NARROWS),
        ("picture.max_rate_hz", 60, Effect.WIDENS),
        ("sites.purchase_reference", False, Effect.WIDENS),
        ("models.outputs", ["boxes"], Effect.NARROWS),
        ("recipients.2.originals", True, Effect.WIDENS),
        ("uses.0.needs_case", True, Effect.NARROWS),
        ("uses.0.case_for", [], Effect.WIDENS),
        ("uses.0.needs_order_by", ["city-manager"], Effect.NARROWS),
        ("uses.0.biometrics", "never", Effect.NARROWS),
        ("uses.0.biometrics", "in-area", Effect.ALTERS),
        ("uses.1.biometrics", "with-case", Effect.WIDENS),
        ("uses.0.live", LiveView.PUBLIC, Effect.WIDENS),
        ("uses.0.originals", Originals.NONE, Effect.NARROWS),
        ("uses.0.people", PeopleMode.HEADS, Effect.WIDENS),
        ("uses.0.max_days", 1000, Effect.WIDENS),
        ("uses.0.metrics", ["hours-recorded"], Effect.WIDENS),
        ("uses.0.sharing", [], Effect.NARROWS),
        ("uses.0.id", "safety", Effect.ADDS),
        ("sharing.0.condition", "whenever asked", Effect.ALTERS),
        ("sharing.0.bases", ["court-order"], Effect.NARROWS),
        ("sharing.0.what", ["recorded-masked", "live-masked"], Effect.WIDENS),
        ("release.offices", ["city-manager", "police-chief", "custodian"][::-1], Effect.REWORDS),
        ("release.threshold", 2, Effect.WIDENS),
        ("release.bases", ["warrant"], Effect.NARROWS),
        ("release", None, Effect.REMOVES),
        ("access", {"validated_for_days": 365, "source": ["EX-1"]}, Effect.NARROWS),
        ("revocations.0.actions", ["pause", "stop"], Effect.WIDENS),
        ("revocations.0.offices", ["it-director", "police-chief", "city-manager"], Effect.NARROWS),
    ],
)
def test_a_revision_is_what_it_does(path: str, value: Any, effect: Effect) -> None:
    revision = compare(charter(), changed(path, value))

    assert effect in {change.effect for change in revision.changes}
    assert revision.substantive == (effect is not Effect.REWORDS)
    assert revision.permits_more == (effect in {Effect.ADDS, Effect.WIDENS, Effect.ALTERS})


def test_a_gate_that_is_opened_wider_is_a_widening() -> None:
    gated = changed("uses.0.needs_order_by", ["city-manager"])
    wider = changed("uses.0.needs_order_by", ["city-manager", "police-chief"])

    assert [change.effect for change in compare(gated, wider).changes] == [Effect.WIDENS]
    assert [change.effect for change in compare(wider, gated).changes] == [Effect.NARROWS]
    assert [change.effect for change in compare(gated, charter()).changes] == [Effect.WIDENS]


def test_rows_are_compared_by_id_and_not_by_place() -> None:
    assert compare(charter(), charter(uses=charter().uses[::-1])).changes == ()
    assert [change.effect for change in compare(charter(), charter(uses=charter().uses[:1])).changes] == [
        Effect.REMOVES
    ]
    assert [change.effect for change in compare(charter(uses=charter().uses[:1]), charter()).changes] == [Effect.ADDS]
    assert [
        change.where for change in compare(charter(), charter(sharing=charter().sharing[:1], uses=_private())).changes
    ] == [
        "uses.traffic.sharing",
        "sharing.public",
    ]


def _private() -> Any:
    return charter().uses[0], charter().uses[1].model_copy(update={"sharing": ()})


def test_revocation_rules_may_be_grouped_otherwise() -> None:
    rule = charter().revocations[0]
    apart = tuple(rule.model_copy(update={"offices": (office,)}) for office in rule.offices)

    revision = compare(charter(), charter(revocations=apart))

    assert [change.effect for change in revision.changes] == [Effect.REWORDS]


def test_a_revision_that_lets_approvals_last_says_so() -> None:
    yearly = changed("access", {"validated_for_days": 365, "source": ["EX-1"]})

    assert [one.effect for one in compare(yearly, charter()).changes] == [Effect.WIDENS]
    assert [one.effect for one in compare(changed("release", None), charter()).changes] == [Effect.ADDS]


def test_the_sealed_layer_is_opened_by_several_who_do_not_administer() -> None:
    rule = {"offices": ["city-manager", "police-chief"], "threshold": 1, "bases": ["warrant"], "source": ["EX-1"]}

    with pytest.raises(ValidationError, match="one office alone"):
        changed("release", rule)
    with pytest.raises(ClauseViolationError, match="may not help to open"):
        changed("release", {**rule, "offices": ["city-manager", "it-director"], "threshold": 2})
    with pytest.raises(ValidationError, match="no office"):
        changed("release", {**rule, "offices": ["city-manager", "sheriff"], "threshold": 2})


def test_every_field_of_a_charter_has_a_rule() -> None:
    for model, rules in RULES.items():
        plain = {name for name in model.model_fields if not _is_compared_deeper(model, name)}
        assert set(rules) == plain, model.__name__
    assert set(SEATS) <= set(Charter.model_fields)


def _is_compared_deeper(model: type[Strict], name: str) -> bool:
    """Whether the field holds provisions, which have rules of their own."""
    inner = model.model_fields[name].annotation
    return any(other.__name__ in str(inner) for other in RULES)


# --- plain language -------------------------------------------------------------


def test_a_decision_is_told_in_sentences() -> None:
    told = " ".join(
        explain_decision(
            Decision(
                recording=True,
                reason="records for Public safety",
                intended_use="SL-T1-1",
                permissible_uses=("public-safety/detect-crime",),
                people=PeopleMode.PEOPLE,
                originals=Originals.SEALED,
                recipients=("age1a",),
                originals_recipients=("age1b", "age1c"),
                retention=30 * DAY,
                live=LiveView.PUBLIC,
                biometrics_locked=True,
                models=(ApprovedModel("a" * 64),),
                waivers=("w-1", "w-2"),
                holds=(HeldSpan("h-1", NOON, NOON + DAY),),
                sources=("g-1", "w-1", "w-2"),
                changes_at=NOON,
            )
        )
    )

    assert "Recording: records for Public safety." in told
    assert "1 recipient of today" in told
    assert "sealed to 2 recipients" in told
    assert "locked no-biometrics mode on" in told
    assert "Widened by w-1 and w-2." in told
    assert "Hold h-1 keeps 2026-11-28T12:00:00Z to 2026-11-29T12:00:00Z." in told
    assert "next changes by itself at 2026-11-28T12:00:00Z" in told


def test_a_dark_decision_is_told_in_sentences() -> None:
    counting = Decision(
        recording=False,
        reason="counts only",
        people=PeopleMode.COUNTS_ONLY,
        models=(ApprovedModel("a" * 64),),
        revocation=Revocation.PAUSE,
    )

    assert explain_decision(Decision.dark("no grant"))[0] == "Dark: no grant."
    assert explain_decision(Decision.dark("no grant"))[-1] == "This follows from no document."
    assert "It counts with its approved models and stores no picture." in explain_decision(counting)
    assert "Revoked: pause." in explain_decision(counting)


def test_a_plain_recording_is_told_in_fewer_sentences() -> None:
    told = explain_decision(Decision(recording=True, reason="records", permissible_uses=("a/b",), retention=DAY))

    assert not any("model" in sentence or "live" in sentence or "second layer" in sentence for sentence in told)


def test_a_charter_names_a_quorum_as_people_would() -> None:
    one = charter(root=charter().root.model_copy(update={"offices": ("city-manager",), "threshold": 1}))

    assert "This charter is changed by City Manager (EX-1)." in explain_charter(one)[0].sentences
    assert any("2 of City Manager" in sentence for sentence in explain_charter(charter())[0].sentences)
