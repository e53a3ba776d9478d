"""A draft becomes part of the city when exactly the right people signed exactly what it says, and not before."""

import json
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Targets

from agent.core.bundle import decode_bundle
from agent.core.policy.charter import canonical_charter
from agent.core.policy.documents import canonical_document
from agent.core.policy.roles import expected_roles
from agent.errors import (
    ClauseViolationError,
    DocumentFormatError,
    FreshnessError,
    PolicyError,
    RollbackError,
    SignatureError,
    UsageError,
)
from provisioning.authority import city as city_module
from provisioning.authority.city import CityFolder, bundle, prepare_city, publish, read_city, refresh
from provisioning.authority.draft import Draft
from provisioning.authority.draft_signing import check_draft, sign_draft
from provisioning.authority.drafting import draft_documents, draft_renewal, draft_succession
from provisioning.authority.published import verify_release
from provisioning.authority.summary import pages_of
from provisioning.authority.trust import trust_city, trusted_root
from tests.fakes.documents import DAY, NOON, charter, example_charter, grant, hold, restriction, revocation, waiver
from tests.fakes.officials import FOUNDED_AT, OFFICES, cards, enact, found, official, propose, signed_by

APPROVING = ("city-manager", "it-director", "police-chief")
GRANT_PATH = "grants/g-2026-001.json"


@pytest.fixture
def city(tmp_path: Path) -> CityFolder:
    return found(tmp_path / "city")


def root_of(folder: CityFolder) -> bytes:
    return read_city(folder).first_root


def files_in(folder: CityFolder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def altered(draft: Draft, change: Callable[[dict[str, Any]], None]) -> Draft:
    """Return `draft` as someone would alter it in the mail."""
    stated = json.loads(draft.dump())
    change(stated)
    return Draft.parse(json.dumps(stated).encode())


# --- founding -------------------------------------------------------------------


def test_a_city_is_founded_when_every_office_showed_that_it_can_sign(tmp_path: Path) -> None:
    folder = CityFolder(path=tmp_path / "city")
    draft = prepare_city(folder, example_charter(), cards(), now=FOUNDED_AT)

    founded = publish(folder, signed_by(draft, *OFFICES, root=None), now=NOON)

    assert founded.signers("charter.json")[0].office == "city-manager"
    assert {holder.office for holder in founded.holders()} == {*APPROVING, "custodian"}
    assert set(founded.delegated) == set(expected_roles(example_charter()))
    assert founded.signed_at == NOON


@pytest.mark.parametrize("absent", OFFICES)
def test_a_founding_that_one_office_did_not_sign_is_refused_by_name(tmp_path: Path, absent: str) -> None:
    folder = CityFolder(path=tmp_path / "city")
    draft = prepare_city(folder, example_charter(), cards(), now=NOON)
    draft = signed_by(draft, *(office for office in OFFICES if office != absent), root=None)

    with pytest.raises(SignatureError, match=rf"missing Holder of {absent} \({absent}\)"):
        publish(folder, draft, now=NOON)

    assert not folder.bundle_path.exists()


def test_too_few_root_officials_found_no_city(tmp_path: Path) -> None:
    folder = CityFolder(path=tmp_path / "city")
    draft = signed_by(prepare_city(folder, example_charter(), cards(), now=NOON), "city-manager", root=None)

    with pytest.raises(SignatureError, match=r"root has 1 of 2 signatures.*it-director.*police-chief"):
        publish(folder, draft, now=NOON)

    assert not folder.bundle_path.exists()


def test_the_backends_keys_are_for_the_backend_only(tmp_path: Path) -> None:
    city = CityFolder(path=tmp_path / "city")
    prepare_city(city, example_charter(), cards(), now=NOON)

    assert stat.S_IMODE(city.online.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in city.online.iterdir()} == {0o600}


def test_a_city_is_prepared_once(city: CityFolder) -> None:
    before = files_in(city)

    with pytest.raises(UsageError, match="belongs to a city already"):
        prepare_city(city, example_charter(), cards(), now=NOON)

    assert files_in(city) == before


def test_another_founding_does_not_take_the_place_of_a_city(city: CityFolder, tmp_path: Path) -> None:
    other = prepare_city(CityFolder(path=tmp_path / "other"), example_charter(), cards(), now=FOUNDED_AT)
    before = files_in(city)

    with pytest.raises(UsageError, match="holds a city already"):
        publish(city, signed_by(other, *OFFICES, root=None), now=NOON)

    assert files_in(city) == before


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (cards(("city-manager", "it-director", "police-chief")), "no key card for custodian"),
        ((*cards(), official("police-chief", who="deputy").card), "two cards for police-chief"),
        ((*cards(), official("mayor").card), "signs nothing under this charter"),
        (
            (*cards(("city-manager", "it-director", "custodian")), official("police-chief", who="custodian").card),
            "same key",
        ),
    ],
)
def test_every_office_has_one_key_and_every_key_one_office(tmp_path: Path, given: Any, complaint: str) -> None:
    with pytest.raises(SignatureError, match=complaint):
        prepare_city(CityFolder(path=tmp_path / "city"), example_charter(), given, now=NOON)

    assert not (tmp_path / "city").exists()


def test_a_key_folder_trusts_one_city(city: CityFolder, tmp_path: Path) -> None:
    other = root_of(found(tmp_path / "other", now=FOUNDED_AT + DAY))
    trust_city(tmp_path, root_of(city))

    trust_city(tmp_path, root_of(city))
    with pytest.raises(SignatureError, match="trusts the city with fingerprint"):
        trust_city(tmp_path, other)

    assert trusted_root(tmp_path) == root_of(city)


# --- a grant --------------------------------------------------------------------


def test_a_grant_that_all_signed_is_in_the_bundle(city: CityFolder) -> None:
    published = enact(city, grant(), *APPROVING)

    in_bundle = verify_release(decode_bundle(city.bundle_path.read_bytes()), published.first_root)
    assert in_bundle.documents[GRANT_PATH] == canonical_document(grant())
    assert [holder.office for holder in in_bundle.signers(GRANT_PATH)] == list(APPROVING)
    assert city.bundle_path.read_bytes() == bundle(published)


def test_the_order_of_signing_does_not_matter(city: CityFolder) -> None:
    enact(city, grant(), "police-chief", "city-manager", "it-director")

    assert len(read_city(city).signers(GRANT_PATH)) == 3


def test_a_draft_survives_the_mail(city: CityFolder) -> None:
    draft = signed_by(propose(city, grant()), "police-chief", root=root_of(city))

    again = Draft.parse(draft.dump())

    assert again.dump() == draft.dump()
    assert publish(city, signed_by(again, "city-manager", "it-director", root=root_of(city)), now=NOON)


def test_a_missing_signature_is_refused_by_name(city: CityFolder) -> None:
    draft = signed_by(propose(city, grant()), "police-chief", "it-director", root=root_of(city))
    before = files_in(city)

    with pytest.raises(SignatureError, match=r"2 of 3 signatures, missing Holder of city-manager \(city-manager\)"):
        publish(city, draft, now=NOON)

    assert files_in(city) == before


def test_signing_twice_counts_once(city: CityFolder) -> None:
    root = root_of(city)
    once = signed_by(propose(city, grant()), "police-chief", root=root)

    twice = signed_by(once, "police-chief", root=root)

    assert twice == once
    assert [holder.office for holder in check_draft(twice, root, now=NOON).signed] == ["police-chief"]


def test_who_may_not_sign_is_told_who_may(city: CityFolder) -> None:
    draft = propose(city, grant())

    with pytest.raises(SignatureError, match=r"custodian \(custodian\) may not sign this, expected .*police-chief"):
        signed_by(draft, "custodian", root=root_of(city))


def test_a_stranger_with_the_same_office_may_not_sign(city: CityFolder) -> None:
    with pytest.raises(SignatureError, match="may not sign this"):
        sign_draft(propose(city, grant()), official("police-chief", who="stranger"), root_of(city), now=NOON)


def test_nobody_signs_for_a_city_they_do_not_trust(city: CityFolder, tmp_path: Path) -> None:
    other = found(tmp_path / "other", now=FOUNDED_AT + DAY)
    draft = propose(city, grant())

    with pytest.raises(SignatureError, match="another city"):
        signed_by(draft, "police-chief", root=root_of(other))
    with pytest.raises(SignatureError, match="trusts no city yet"):
        signed_by(draft, "police-chief", root=None)


def test_a_document_altered_after_the_first_signature_is_refused(city: CityFolder) -> None:
    draft = signed_by(propose(city, grant()), "police-chief", root=root_of(city))

    def lower_the_rate(stated: dict[str, Any]) -> None:
        stated["documents"][GRANT_PATH] = canonical_document(grant(max_rate_hz=30)).decode()

    with pytest.raises(SignatureError, match="not what its documents make of it"):
        signed_by(altered(draft, lower_the_rate), "it-director", root=root_of(city))


def test_a_document_and_its_metadata_altered_together_are_refused(city: CityFolder) -> None:
    draft = signed_by(propose(city, grant()), "police-chief", root=root_of(city))
    wider = propose(city, grant(max_rate_hz=30))

    def exchange(stated: dict[str, Any]) -> None:
        other = json.loads(wider.dump())
        stated["documents"] = other["documents"]
        stated["metadata"]["grants"]["signed"] = other["metadata"]["grants"]["signed"]

    with pytest.raises(SignatureError, match=r"signature of Holder of police-chief .* is not over this grants"):
        signed_by(altered(draft, exchange), "it-director", root=root_of(city))


def test_a_document_smuggled_into_the_metadata_is_refused(city: CityFolder) -> None:
    draft = propose(city, grant())

    def smuggle(stated: dict[str, Any]) -> None:
        listed = stated["metadata"]["grants"]["signed"]["targets"]
        listed["grants/g-2026-002.json"] = listed[GRANT_PATH]

    with pytest.raises(SignatureError, match="not what its documents make of it"):
        signed_by(altered(draft, smuggle), "police-chief", root=root_of(city))


def test_a_role_smuggled_into_the_draft_is_refused(city: CityFolder) -> None:
    draft = propose(city, grant())
    other = propose(city, restriction())

    def smuggle(stated: dict[str, Any]) -> None:
        stated["metadata"].update(json.loads(other.dump())["metadata"])

    with pytest.raises(PolicyError, match="do not follow from its documents: restrictions-police-chief"):
        signed_by(altered(draft, smuggle), "police-chief", root=root_of(city))


@pytest.mark.parametrize(
    "change",
    [
        lambda stated: stated["metadata"]["grants"]["signed"].update(version=True),
        lambda stated: stated["metadata"]["grants"]["signed"].update(version=2.5),
        lambda stated: stated["metadata"]["grants"].update(comment="not signed"),
        lambda stated: stated["metadata"]["grants"].update(signatures=[{"keyid": None, "sig": "00"}]),
        lambda stated: stated["metadata"]["grants"]["signed"].update(_type="root"),
        lambda stated: stated["metadata"].update(grants=[]),
        lambda stated: stated.update(created_at="2036-01-01T00:00:00Z"),
        lambda stated: stated.update(base=""),
        lambda stated: stated.update(withdrawn=["grants/g-2026-999.json"]),
        lambda stated: stated["documents"].update({"charter.json": "{}"}),
        lambda stated: stated["documents"].update({"../grants/x.json": "{}"}),
    ],
    ids=[
        "true for one",
        "a fraction",
        "a comment beside the signed part",
        "a key without id",
        "another type",
        "no metadata",
        "made in the future",
        "no base",
        "a withdrawal of nothing",
        "a charter beside the grant",
        "a path that climbs",
    ],
)
def test_whatever_else_is_changed_on_the_way_is_refused(
    city: CityFolder, change: Callable[[dict[str, Any]], None]
) -> None:
    draft = propose(city, grant())

    with pytest.raises(PolicyError):
        signed_by(altered(draft, change), "police-chief", root=root_of(city))


def test_a_foreign_signature_in_the_draft_is_refused(city: CityFolder) -> None:
    draft = propose(city, grant())
    metadata = Metadata[Targets].from_bytes(draft.metadata["grants"])
    metadata.sign(official("mallory").signer)

    with pytest.raises(SignatureError, match="by a key that may not sign it"):
        check_draft(replace(draft, metadata={"grants": metadata.to_bytes()}), root_of(city), now=NOON)


def test_a_stale_draft_is_refused_with_a_hint_to_draft_again(city: CityFolder) -> None:
    root = root_of(city)
    late = signed_by(propose(city, grant(id="g-2026-002", cameras=("cam-08",))), *APPROVING, root=root)
    enact(city, grant(), *APPROVING)
    before = files_in(city)

    with pytest.raises(RollbackError, match="grants had version 1, it now has 2") as refused:
        publish(city, late, now=NOON)

    assert "draft it again" in str(refused.value.hint)
    assert files_in(city) == before


def test_publishing_twice_changes_nothing(city: CityFolder) -> None:
    draft = signed_by(propose(city, grant()), *APPROVING, root=root_of(city))
    publish(city, draft, now=NOON)
    before = files_in(city)

    publish(city, draft, now=NOON + timedelta(hours=1))

    assert files_in(city) == before


def test_an_id_is_used_once(city: CityFolder) -> None:
    enact(city, grant(), *APPROVING)

    with pytest.raises(DocumentFormatError, match="id g-2026-001 is taken"):
        propose(city, grant(cameras=("cam-08",)))


def test_what_the_charter_forbids_is_refused_with_the_clause(city: CityFolder) -> None:
    with pytest.raises(ClauseViolationError) as refused:
        propose(city, grant(max_height_px=2160))

    assert refused.value.clause


def test_what_would_be_over_before_it_is_signed_is_refused(city: CityFolder) -> None:
    draft = propose(city, waiver())

    with pytest.raises(PolicyError, match="before it could take effect"):
        signed_by(draft, "city-manager", root=root_of(city), now=NOON + 10 * DAY)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"null", b"[" * 9000, b'{"kind":"lamppost-draft","version":2}', b"\xff"]
)
def test_what_is_no_draft_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentFormatError):
        Draft.parse(raw)


# --- officials alone ------------------------------------------------------------


def test_one_official_restricts_alone(city: CityFolder) -> None:
    published = enact(city, restriction(), "police-chief")

    assert [h.office for h in published.signers("restrictions/police-chief/r-2026-001.json")] == ["police-chief"]


def test_an_official_who_floods_the_cameras_is_refused(city: CityFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(city_module, "MAX_ROLE_BYTES", 400)  # 512 KiB would take the test a while
    enact(city, restriction(), "police-chief")
    before = files_in(city)

    with pytest.raises(PolicyError, match=r"restrictions-police-chief would say \d+ bytes in all, .* keeps 400"):
        enact(city, restriction(id="r-2026-002"), "police-chief")

    assert files_in(city) == before


def test_one_custodian_holds_alone(city: CityFolder) -> None:
    published = enact(city, hold(), "custodian")

    assert "holds/custodian/h-2026-001.json" in published.documents


def test_nobody_signs_another_offices_restriction(city: CityFolder) -> None:
    with pytest.raises(SignatureError, match="may not sign this, expected Holder of police-chief"):
        enact(city, restriction(), "it-director")


def test_an_office_that_the_charter_does_not_name_revokes_nothing(city: CityFolder) -> None:
    with pytest.raises(PolicyError):
        propose(city, revocation(issued_by="custodian"))


def test_two_officials_restrict_at_once_without_waiting_for_each_other(city: CityFolder) -> None:
    root = root_of(city)
    one = signed_by(propose(city, restriction()), "police-chief", root=root)
    other = signed_by(propose(city, restriction(id="r-2026-002", issued_by="it-director")), "it-director", root=root)

    publish(city, one, now=NOON)
    publish(city, other, now=NOON)

    assert {read_city(city).version(f"restrictions-{office}") for office in ("police-chief", "it-director")} == {2}


def test_concurrent_publishers_wait_for_each_other(city: CityFolder) -> None:
    root = root_of(city)
    drafts = [
        signed_by(propose(city, restriction(id=f"r-{office}", issued_by=office)), office, root=root)
        for office in APPROVING
    ]
    threads = [threading.Thread(target=publish, args=(city, draft), kwargs={"now": NOON}) for draft in drafts]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {read_city(city).version(f"restrictions-{office}") for office in APPROVING} == {2}
    assert read_city(city).timestamp.signed.version == 4


# --- the backend ----------------------------------------------------------------


def test_a_refresh_vouches_anew_and_changes_no_document(city: CityFolder) -> None:
    before = enact(city, grant(), *APPROVING)

    after = refresh(city, now=NOON + DAY)

    assert after.documents == before.documents
    assert after.signed_at == NOON + DAY
    assert after.timestamp.signed.expires == NOON + 8 * DAY
    assert after.snapshot.signed.expires > after.timestamp.signed.expires
    assert read_city(city) == after


def test_a_clock_that_went_back_vouches_for_nothing(city: CityFolder) -> None:
    refresh(city, now=NOON)
    before = files_in(city)

    with pytest.raises(FreshnessError, match="the clock says"):
        refresh(city, now=NOON - DAY)

    assert files_in(city) == before


def test_a_copy_of_the_bundle_is_enough_to_draft_against_and_not_to_publish(city: CityFolder, tmp_path: Path) -> None:
    copy = CityFolder(path=tmp_path / "policy.bundle")
    copy.path.write_bytes(city.bundle_path.read_bytes())
    draft = signed_by(propose(copy, restriction()), "police-chief", root=root_of(city))

    with pytest.raises(UsageError, match="no keys to publish with"):
        publish(copy, draft, now=NOON)

    assert publish(city, draft, now=NOON).version("restrictions-police-chief") == 2


# --- succession -----------------------------------------------------------------


def test_a_new_holder_takes_over_what_the_old_one_signed(city: CityFolder) -> None:
    enact(city, grant(), *APPROVING)
    enact(city, restriction(), "police-chief")
    root = root_of(city)
    new = official("police-chief", who="new chief")
    draft = draft_succession(read_city(city), (new.card,), now=NOON)
    draft = signed_by(draft, "city-manager", "it-director", root=root)

    with pytest.raises(SignatureError, match="new chief"):
        publish(city, draft, now=NOON)
    published = publish(city, sign_draft(draft, new, root, now=NOON), now=NOON)

    assert new.card.key.keyid in {holder.keyid for holder in published.signers(GRANT_PATH)}
    assert published.version("root") == 2
    assert set(draft.metadata) == {
        "root", "targets", "grants", "restrictions-police-chief", "revocations-police-chief",
    }  # fmt: skip


def test_a_departed_holder_signs_nothing_any_more(city: CityFolder) -> None:
    root = root_of(city)
    new = official("police-chief", who="new chief")
    draft = signed_by(
        draft_succession(read_city(city), (new.card,), now=NOON), "city-manager", "it-director", root=root
    )
    publish(city, sign_draft(draft, new, root, now=NOON), now=NOON)

    with pytest.raises(SignatureError, match="may not sign this"):
        signed_by(propose(city, restriction()), "police-chief", root=root)


def test_an_id_taken_meanwhile_is_refused_when_publishing(city: CityFolder) -> None:
    root = root_of(city)
    late = signed_by(propose(city, restriction(issued_by="it-director")), "it-director", root=root)
    enact(city, restriction(), "police-chief")
    before = files_in(city)

    with pytest.raises(DocumentFormatError, match="id r-2026-001 is taken"):
        publish(city, late, now=NOON)

    assert files_in(city) == before


@pytest.mark.parametrize("changes", [{"id": "another-city", "revision": 2}, {"city": "Example Town"}])
def test_a_charter_that_is_no_revision_of_this_one_is_refused(city: CityFolder, changes: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="expected"):
        draft_succession(read_city(city), (), canonical_charter(charter(**changes)), now=NOON)


def test_the_page_of_a_revised_charter_tells_every_change(city: CityFolder) -> None:
    freshness = example_charter().freshness.model_copy(update={"offline_for_days": 14})
    draft = draft_succession(read_city(city), (), canonical_charter(charter(revision=2, freshness=freshness)), now=NOON)

    (page,) = pages_of(check_draft(draft, root_of(city), now=NOON))

    assert ("Charter widens", "freshness.offline_for_days: 7 → 14") in page.lines


def test_a_renewal_signs_anew_and_changes_nothing(city: CityFolder) -> None:
    before = enact(city, grant(), *APPROVING)
    draft = draft_renewal(before, ["grants"], now=NOON + DAY)
    draft = Draft.parse(signed_by(draft, *APPROVING, root=before.first_root, now=NOON + DAY).dump())

    after = publish(city, draft, now=NOON + DAY)

    assert after.documents == before.documents
    assert after.version("grants") == before.version("grants") + 1
    assert after.delegated["grants"].signed.expires > before.delegated["grants"].signed.expires
    assert pages_of(check_draft(draft, before.first_root, now=NOON))[0].lines == (("grants", GRANT_PATH),)


def test_a_renewal_needs_everyone_too(city: CityFolder) -> None:
    draft = signed_by(draft_renewal(read_city(city), ["grants"], now=NOON), "police-chief", root=root_of(city))

    with pytest.raises(SignatureError, match="1 of 3 signatures"):
        publish(city, draft, now=NOON)

    assert read_city(city).version("grants") == 1


def test_a_renewal_that_was_overtaken_is_stale(city: CityFolder) -> None:
    root = root_of(city)
    late = signed_by(draft_renewal(read_city(city), ["grants"], now=NOON), *APPROVING, root=root)
    enact(city, grant(), *APPROVING)
    enact(city, grant(id="g-2026-002", cameras=("cam-08",)), *APPROVING)

    with pytest.raises(RollbackError):
        publish(city, late, now=NOON)


def test_what_the_city_does_not_have_is_not_renewed(city: CityFolder) -> None:
    with pytest.raises(PolicyError, match="no role secrets"):
        draft_renewal(read_city(city), ["secrets"], now=NOON)


# --- withdrawal -----------------------------------------------------------------


def test_a_grant_takes_the_place_of_another_in_one_publication(city: CityFolder) -> None:
    root = enact(city, grant(), *APPROVING).first_root
    document = grant(id="g-2026-002", max_rate_hz=10)
    draft = draft_documents(
        read_city(city), {"grants/g-2026-002.json": canonical_document(document)}, (GRANT_PATH,), now=NOON
    )

    published = publish(city, signed_by(Draft.parse(draft.dump()), *APPROVING, root=root), now=NOON)

    assert "grants/g-2026-002.json" in published.documents
    assert GRANT_PATH not in published.documents


def test_two_grants_at_once_for_one_camera_are_refused(city: CityFolder) -> None:
    enact(city, grant(), *APPROVING)

    with pytest.raises(ClauseViolationError, match="RB-1"):
        propose(city, grant(id="g-2026-002"))


def test_what_narrows_is_not_withdrawn(city: CityFolder) -> None:
    published = enact(city, restriction(), "police-chief")

    with pytest.raises(PolicyError, match="what narrows is not withdrawn"):
        draft_documents(published, {}, ("restrictions/police-chief/r-2026-001.json",), now=NOON)
