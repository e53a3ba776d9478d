"""What a city ever published is still there, dated, with who signed it; and a history that was changed is refused."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from agent.errors import BundleFormatError, SignatureError, UsageError
from provisioning.authority.city import CityFolder, publish, read_city, refresh
from provisioning.authority.drafting import draft_documents
from provisioning.authority.history import Publication, read_history
from tests.fakes.documents import DAY, NOON, grant, restriction
from tests.fakes.officials import enact, found, signed_by

APPROVING = ("city-manager", "it-director", "police-chief")
FIRST, SECOND = NOON - 20 * DAY, NOON - 3 * DAY


@pytest.fixture
def city(tmp_path: Path) -> CityFolder:
    """A city whose one grant was replaced by another, and which an official narrowed in between."""
    folder = found(tmp_path / "city")
    enact(folder, grant(issued_at=FIRST, starts_at=FIRST), *APPROVING, now=FIRST)
    refresh(folder, now=FIRST + DAY)
    enact(folder, restriction(), "police-chief", now=NOON - 5 * DAY)
    after = grant(id="g-2026-002", issued_at=SECOND, starts_at=SECOND)
    content = {"grants/g-2026-002.json": after.model_dump_json().encode()}
    draft = draft_documents(read_city(folder), content, ("grants/g-2026-001.json",), now=SECOND)
    publish(folder, signed_by(draft, *APPROVING, root=read_city(folder).first_root, now=SECOND), now=SECOND)
    return folder


def grants_of(history: tuple[Publication, ...]) -> list[Publication]:
    return [one for one in history if one.path.startswith("grants/")]


def test_a_grant_that_was_replaced_is_told_with_its_time(city: CityFolder) -> None:
    first, second = grants_of(read_history(city))

    assert (first.path, first.since, first.until) == ("grants/g-2026-001.json", FIRST, SECOND)
    assert (second.path, second.since, second.until) == ("grants/g-2026-002.json", SECOND, None)


def test_who_signed_is_told(city: CityFolder) -> None:
    history = read_history(city)

    assert [holder.office for holder in grants_of(history)[0].signers] == list(APPROVING)
    (narrowing,) = (one for one in history if one.path.startswith("restrictions/"))
    assert [holder.office for holder in narrowing.signers] == ["police-chief"]
    assert narrowing.since == NOON - 5 * DAY


def test_what_is_published_now_is_what_the_history_ends_with(city: CityFolder) -> None:
    still = {one.path: one.raw for one in read_history(city) if one.until is None}

    assert still == read_city(city).documents


def test_a_changed_document_is_refused(city: CityFolder) -> None:
    (old,) = (city.published / "targets" / "grants").glob("*.g-2026-001.json")
    old.write_bytes(old.read_bytes().replace(b"Robberies", b"Gatherings"))

    with pytest.raises(BundleFormatError, match=r"g-2026-001\.json is not what was signed"):
        read_history(city)


def test_a_list_that_somebody_else_signed_is_refused(city: CityFolder) -> None:
    path = city.published / "metadata" / "2.grants.json"
    metadata = json.loads(path.read_bytes())
    metadata["signatures"][0]["sig"] = metadata["signatures"][1]["sig"]
    path.write_text(json.dumps(metadata))

    with pytest.raises(SignatureError, match="grants is not signed as it must be"):
        read_history(city)


def test_a_version_that_is_gone_is_missed(city: CityFolder) -> None:
    (city.published / "metadata" / "2.snapshot.json").unlink()

    with pytest.raises(BundleFormatError, match=r"lacks metadata/2\.snapshot\.json"):
        read_history(city)


def test_a_bundle_has_no_past(city: CityFolder, tmp_path: Path) -> None:
    alone = tmp_path / "policy.bundle"
    alone.write_bytes((city.published / "policy.bundle").read_bytes())

    with pytest.raises(UsageError, match="nothing of what was"):
        read_history(CityFolder(path=alone))


def test_the_daily_word_that_nothing_changed_makes_no_history(city: CityFolder) -> None:
    before = read_history(city)
    refresh(city, now=NOON + timedelta(days=1))

    assert read_history(city) == before
