"""The laws of policy, over generated cities: no document but a grant or a waiver ever permits more."""

import random
from dataclasses import replace
from datetime import timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from agent.core.policy.clock import ClockQuality
from agent.core.policy.decision import Revocation
from agent.core.policy.documents import canonical_document, parse_document
from agent.core.policy.order import permits_no_more_than
from agent.errors import PolicyError
from tests.fakes.documents import DAY, NOON
from tests.fakes.generated_cities import (
    HOUR,
    GeneratedCity,
    cities,
    holds,
    restrictions,
    revocations,
    waivers,
)

KINDS = ("grants", "restrictions", "waivers", "holds", "epochs", "revocations")


@given(cities(), restrictions(99))
def test_adding_a_restriction_never_permits_more(city: GeneratedCity, restriction: object) -> None:
    more = city.having(restrictions=(*city.documents.restrictions, restriction))

    assert permits_no_more_than(more.decide(), city.decide())


@given(cities(), holds(99), revocations(99))
def test_adding_a_hold_or_a_revocation_never_permits_more(city: GeneratedCity, hold: object, order: object) -> None:
    held = city.having(holds=(*city.documents.holds, hold))
    revoked = city.having(revocations=(*city.documents.revocations, order))

    assert permits_no_more_than(held.decide(), city.decide())
    assert permits_no_more_than(revoked.decide(), city.decide())


@given(cities(), st.data())
def test_removing_any_grant_or_waiver_never_permits_more(city: GeneratedCity, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["grants", "waivers"]))
    documents = getattr(city.documents, kind)
    assume(documents)
    gone = data.draw(st.integers(0, len(documents) - 1))

    fewer = city.having(**{kind: documents[:gone] + documents[gone + 1 :]})

    assert permits_no_more_than(fewer.decide(), city.decide())


@given(cities(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(city: GeneratedCity, chance: random.Random) -> None:
    shuffled = city.having(
        **{
            kind: tuple(chance.sample(getattr(city.documents, kind), len(getattr(city.documents, kind))))
            for kind in KINDS
        }
    )

    assert shuffled.decide() == city.decide()


@given(cities(), st.data())
def test_replaying_anything_does_not_matter(city: GeneratedCity, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    documents = getattr(city.documents, kind)
    assume(documents)
    again = parse_document(canonical_document(data.draw(st.sampled_from(documents))))

    assert city.having(**{kind: (*documents, again)}).decide() == city.decide()


@given(cities(), st.integers(0, 40))
def test_what_has_ended_does_not_permit(city: GeneratedCity, days: int) -> None:
    """Every grant and waiver in a generated city is over 200 hours after noon, whatever else is replayed."""
    later = replace(city.at(NOON + 200 * HOUR + days * DAY), fresh_until=NOON + 100 * DAY)

    assert not later.decide().recording


@given(cities())
def test_a_waiver_never_outlives_its_cap(city: GeneratedCity) -> None:
    decision = city.decide()

    for waiver in city.documents.waivers:
        if waiver.id in decision.waivers:
            assert waiver.starts_at <= city.clock.now < waiver.ends_at
            assert city.clock.now - waiver.starts_at < timedelta(days=30)


@given(cities(), waivers(99))
def test_a_waiver_that_is_over_leaves_nothing_behind(city: GeneratedCity, waiver: object) -> None:
    over = replace(city, fresh_until=NOON + 100 * DAY).at(waiver.ends_at)  # type: ignore[attr-defined]

    with_it = over.having(waivers=(*over.documents.waivers, waiver)).decide()

    assert with_it == over.decide()


@given(cities())
def test_an_unknown_time_permits_no_more_than_any_time(city: GeneratedCity) -> None:
    unknown = replace(city, clock=replace(city.clock, quality=ClockQuality.UNKNOWN)).decide()

    assert not unknown.recording
    assert permits_no_more_than(unknown, city.decide())


@given(cities())
def test_no_news_from_the_city_permits_no_more(city: GeneratedCity) -> None:
    forgotten = replace(city, fresh_until=None).decide()
    stale = replace(city, fresh_until=city.clock.now).decide()

    assert not forgotten.recording
    assert not stale.recording
    assert permits_no_more_than(stale, city.decide())
    assert permits_no_more_than(forgotten, city.decide())


@given(cities())
def test_nothing_changes_before_it_is_said_to(city: GeneratedCity) -> None:
    decision = city.decide()
    until = decision.changes_at or city.clock.now + 20 * DAY

    for share in (1, 2, 3):
        between = city.at(city.clock.now + (until - city.clock.now) * share / 4).decide()
        assert between == decision
        assert between.changes_at == decision.changes_at
    assert city.at(until - timedelta(microseconds=1)).decide() == decision


@given(cities())
def test_a_decision_changes_when_it_is_said_to(city: GeneratedCity) -> None:
    decision = city.decide()
    assume(decision.changes_at is not None)

    assert city.at(decision.changes_at).decide() != decision  # type: ignore[arg-type]


@given(cities())
def test_a_decision_is_a_function_of_its_arguments(city: GeneratedCity) -> None:
    assert city.decide() == city.decide()
    assert city.decide().policy_digest == city.decide().policy_digest


@given(cities())
def test_a_camera_that_records_has_everything_it_needs(city: GeneratedCity) -> None:
    decision = city.decide()

    assert decision.reason
    if decision.recording:
        assert decision.recipients
        assert decision.view is not None
        assert decision.zones
        assert decision.retention > timedelta(0)
        assert decision.revocation is Revocation.NONE


@given(cities(), st.data())
def test_unknown_fields_or_kinds_never_permit_more(city: GeneratedCity, data: st.DataObject) -> None:
    every = [document for kind in KINDS for document in getattr(city.documents, kind)]
    assume(every)
    raw = canonical_document(data.draw(st.sampled_from(every)))
    altered = data.draw(
        st.sampled_from(
            [
                raw[:-1] + b',"future":true}',
                raw.replace(b'"version":1', b'"version":2'),
                raw.replace(b'"kind":"', b'"kind":"new-'),
            ]
        )
    )

    try:
        parse_document(altered)
    except PolicyError:
        pass  # refused: it takes no part in any decision
    else:
        raise AssertionError("an unknown field or kind was accepted")


@given(cities(), cities(), cities())
def test_the_order_is_reflexive_and_transitive(one: GeneratedCity, two: GeneratedCity, three: GeneratedCity) -> None:
    a, b, c = one.decide(), two.decide(), three.decide()

    assert permits_no_more_than(a, a)
    if permits_no_more_than(a, b) and permits_no_more_than(b, c):
        assert permits_no_more_than(a, c)
