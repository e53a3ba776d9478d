"""What people write becomes a document, with the one sensible value where there is one and none where there is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.policy.documents import Restriction
from agent.errors import ClauseViolationError, DocumentFormatError, UsageError
from provisioning.authority.city import read_city
from provisioning.authority.compose import (
    Act,
    compose,
    compose_grant,
    next_id,
    read_duration,
    read_instant,
    read_schedule,
    read_zones,
    renew_lifting,
)
from tests.fakes.documents import DAY, NOON, grant, restriction
from tests.fakes.officials import enact, found

APPROVING = ("city-manager", "it-director", "police-chief")


def test_ids_count_up_by_kind_office_and_year() -> None:
    used = ("grants/g-2026-001.json", "grants/g-2026-007.json", "grants/g-2025-100.json", "grants/g-2026-x.json")

    assert next_id("grant", used, now=NOON) == "g-2026-008"
    assert next_id("grant", used, taken=["g-2026-008"], now=NOON) == "g-2026-009"
    assert next_id("restriction", used, office="police-chief", now=NOON) == "r-police-chief-2026-001"


@pytest.mark.parametrize(
    ("words", "days", "opens", "closes"),
    [
        ("mon-fri 07:00-19:00", ["mon", "tue", "wed", "thu", "fri"], "07:00", "19:00"),
        ("sat 10:00-24:00", ["sat"], "10:00", "24:00"),
    ],
)
def test_hours_are_read(words: str, days: list[str], opens: str, closes: str) -> None:
    assert read_schedule([words]) == [{"days": days, "opens": opens, "closes": closes}]


@pytest.mark.parametrize("words", ["", "mon", "mon 7-19", "xyz 07:00-19:00", "fri-mon 07:00-19:00", "mon 07:00-19:00x"])
def test_hours_of_another_form_are_refused(words: str) -> None:
    with pytest.raises(UsageError):
        read_schedule([words])


def test_instants_are_read_with_their_offset() -> None:
    assert read_instant("2026-11-28T06:00:00-06:00") == NOON
    assert read_instant("2026-11-28T12:00:00.9Z") == NOON


@pytest.mark.parametrize("words", ["", "tomorrow", "2026-11-28", "2026-11-28T12:00:00"])
def test_instants_without_offset_are_refused(words: str) -> None:
    with pytest.raises(UsageError):
        read_instant(words)


def test_durations_are_read() -> None:
    assert read_duration("36h") == timedelta(hours=36)
    assert read_duration("10d") == timedelta(days=10)


@pytest.mark.parametrize("words", ["", "10", "d", "-1d", "1w", "999999d"])
def test_durations_of_another_form_are_refused(words: str) -> None:
    with pytest.raises(UsageError):
        read_duration(words)


def test_a_file_without_zones_draws_nothing() -> None:
    with pytest.raises(DocumentFormatError, match="does not draw"):
        read_zones("[view]\n")


def test_a_reason_is_needed(tmp_path: Path) -> None:
    act = Act(office="police-chief", reason="  ", now=NOON)

    with pytest.raises(ClauseViolationError, match="JC-12"):
        compose("restriction", Restriction, act, read_city(found(tmp_path)), {"cameras": "all", "narrows": []})


@pytest.mark.parametrize("toml", ["=", "", "audio = true", "starts_at = 2026-11-28T12:00:00", "surprise = 1"])
def test_a_grant_that_does_not_say_enough_is_refused(tmp_path: Path, toml: str) -> None:
    with pytest.raises((DocumentFormatError, UsageError)):
        compose_grant(toml, read_city(found(tmp_path)), now=NOON)


def test_a_lift_renews_only_the_grants_it_concerns(tmp_path: Path) -> None:
    city = found(tmp_path)
    enact(city, grant(), *APPROVING)
    enact(city, grant(id="g-2026-002", cameras=("cam-08",)), *APPROVING)
    enact(city, restriction(), "police-chief")
    act = Act(office="city-manager", reason="Unfounded.", now=NOON)

    renewed, replaced = renew_lifting(read_city(city), "r-2026-001", act)

    assert replaced == ("grants/g-2026-001.json",)
    (new,) = renewed.values()
    assert (new.id, new.lifts, new.starts_at) == ("g-2026-003", ("r-2026-001",), NOON)
    assert new.ends_at == grant().ends_at


def test_a_lift_of_a_restriction_on_all_cameras_renews_every_grant(tmp_path: Path) -> None:
    city = found(tmp_path)
    enact(city, grant(), *APPROVING)
    enact(city, grant(id="g-2026-002", cameras=("cam-08",)), *APPROVING)
    enact(city, restriction(cameras="all"), "police-chief")

    renewed, _ = renew_lifting(read_city(city), "r-2026-001", Act(office="city-manager", reason="Unfounded.", now=NOON))

    assert [one.id for one in renewed.values()] == ["g-2026-003", "g-2026-004"]


@pytest.mark.parametrize("lifted", ["r-2026-999", "g-2026-001"])
def test_nothing_to_lift_is_refused(tmp_path: Path, lifted: str) -> None:
    city = found(tmp_path)
    enact(city, grant(), *APPROVING)

    with pytest.raises(UsageError, match="nothing of id"):
        renew_lifting(read_city(city), lifted, Act(office="city-manager", reason="No.", now=NOON))


def test_a_lift_without_a_grant_in_force_is_refused(tmp_path: Path) -> None:
    city = found(tmp_path)
    enact(city, restriction(), "police-chief")

    with pytest.raises(UsageError, match="no grant in force"):
        renew_lifting(
            read_city(city), "r-2026-001", Act(office="city-manager", reason="No.", now=datetime.now(UTC) + DAY)
        )
