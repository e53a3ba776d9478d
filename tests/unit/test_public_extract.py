"""What the public may see of a document holds nothing that is withheld, and permits what the document permits."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from tuf.api.metadata import Targets

from agent.core.bundle import decode_bundle
from agent.core.policy.decide import decide
from agent.core.policy.decision import Decision, Originals, PeopleMode
from agent.core.policy.documents import (
    Document,
    NarrowPeople,
    NarrowZones,
    PrivateZone,
    SuspendRecipient,
    canonical_document,
)
from agent.core.policy.verified import VerifiedDocuments
from agent.errors import DocumentFormatError
from provisioning.authority.draft import parse_role
from provisioning.authority.drafting import draft_documents, draft_renewal
from provisioning.authority.extract import (
    EXTRACT_FIELD,
    Precision,
    coarse,
    digest_of,
    parse_extract,
    place_of,
    public_extract,
)
from provisioning.authority.published import verify_release
from tests.fakes.city import City
from tests.fakes.documents import (
    DAY,
    NOON,
    SITE,
    WIDE,
    WINDOWS,
    clock,
    epochs,
    example_charter,
    grant,
    hold,
    restriction,
    revocation,
    waiver,
)

GARDEN = PrivateZone(name="garden of Mrs Vega", polygon=((0.61, 0.52), (0.78, 0.52), (0.7, 0.71)))
SUSPENDED = restriction(
    id="r-3", narrows=(SuspendRecipient(what="recipient", holder="jo-vega"),), reason="Jo Vega left."
)
WAIVED, WAIVER = "waivers/w-2026-001.json", canonical_document(waiver())
CITIES = {
    "a grant alone": (grant(), epochs()),
    "dark": (grant(), epochs(), restriction()),
    "more areas": (grant(), epochs(), restriction(narrows=(NarrowZones(what="zones", view=WIDE, zones=(GARDEN,)),))),
    "a waiver": (grant(), epochs(), waiver()),
    "a waiver under a restriction": (
        grant(),
        epochs(),
        waiver(),
        restriction(narrows=(NarrowPeople(what="people", people=PeopleMode.PEOPLE),)),
    ),
    "one holder suspended": (grant(), epochs(), SUSPENDED),
    "a role suspended": (
        grant(recipients=("investigator",)),
        epochs(),
        restriction(narrows=(SuspendRecipient(what="recipient", role="investigator"),)),
    ),
    "held": (grant(), epochs(), hold()),
    "revoked": (grant(), epochs(), revocation()),
    "no keys": (grant(),),
}


def decided(documents: tuple[Document, ...]) -> Decision:
    kinds = {"grant": "grants", "restriction": "restrictions", "waiver": "waivers", "hold": "holds"}
    kinds |= {"epochs": "epochs", "revocation": "revocations"}
    sorted_by_kind: dict[str, tuple[Document, ...]] = {}
    for one in documents:
        field = kinds[str(getattr(one, "kind"))]  # noqa: B009 - each kind of document has its own
        sorted_by_kind[field] = (*sorted_by_kind.get(field, ()), one)
    verified = VerifiedDocuments(**sorted_by_kind)  # type: ignore[arg-type]
    return decide(example_charter(), verified, clock(), camera_id="cam-07", fresh_until=NOON + 7 * DAY)


def shown(document: Document) -> Document:
    return parse_extract(public_extract(canonical_document(document))).document


@pytest.mark.parametrize("documents", CITIES.values(), ids=CITIES)
def test_what_follows_from_extracts_is_what_follows_from_the_documents(documents: tuple[Document, ...]) -> None:
    whole = decided(documents)

    public = decided(tuple(shown(one) for one in documents))

    # What is told coarsely or not at all is no part of what is permitted to whom.
    held = {one.hold_id for one in whole.holds}
    assert held == {one.hold_id for one in public.holds}
    assert bool(whole.recipients) == bool(public.recipients)
    assert len(whole.zones) == len(public.zones)
    kept = {"zones": (), "recipients": (), "holds": (), "policy_digest": ""}
    assert replace(public, **kept) == replace(whole, **kept)  # type: ignore[arg-type]


def test_nothing_that_is_withheld_is_in_an_extract() -> None:
    case = "2026-CR-118"
    documents = (
        grant(case=case, reason=f"For {case}.", site=SITE.model_copy(update={"statement": f"See {case}."})),
        grant(zones=(WINDOWS, GARDEN), originals=Originals.SEALED, originals_recipients=("investigator",)),
        hold(case=case, reason=f"Asked for {case}."),
        SUSPENDED,
        epochs(),
        restriction(narrows=(NarrowZones(what="zones", view=WIDE, zones=(GARDEN,)),)),
    )
    told = b"".join(public_extract(canonical_document(one)) for one in documents).decode()

    for secret in (
        case,
        "No. 14",
        "Vega",
        "jo-vega",
        "custodian-1",
        "investigator-1",
        "38.627",
        "90.1994",
        "0.61",
        "0.71",
    ):
        assert secret not in told


def test_a_place_is_no_more_exact_than_the_grant_allows() -> None:
    fifty = place_of(grant(), Precision.EXACT)
    block = place_of(grant(), Precision.BLOCK)
    district = place_of(grant(), Precision.DISTRICT)

    assert (fifty.precision_m, block.precision_m, district.precision_m) == (50, 150, 1_500)
    half_a_block = 150 / 111_320 / 2
    assert abs(block.latitude - SITE.location.latitude) <= half_a_block + 1e-5
    assert (fifty.latitude, fifty.longitude) != (SITE.location.latitude, SITE.location.longitude)


def test_a_place_fits_the_commitment_in_its_extract_and_no_other() -> None:
    extract = parse_extract(public_extract(canonical_document(grant())))

    for precision in Precision:
        place = place_of(grant(), precision)
        assert extract.places[precision] == place.commitment
        assert extract.places[precision] != replace(place, latitude=place.latitude + 0.001).commitment


def test_the_same_place_in_another_grant_has_another_commitment() -> None:
    later = grant(id="g-2026-002", ends_at=NOON + timedelta(days=21))

    assert place_of(grant(), Precision.BLOCK).commitment != place_of(later, Precision.BLOCK).commitment


@pytest.mark.parametrize("corner", [0.0, 0.124, 0.5, 0.999])
def test_coarse_areas_cover_what_they_stand_for(corner: float) -> None:
    small = PrivateZone(name="door", polygon=((corner, corner), (corner + 0.001, corner), (corner, corner + 0.001)))

    (told,) = coarse((small,))

    across, down = zip(*told.polygon, strict=True)
    assert min(across) <= corner <= corner + 0.001 <= max(across) <= 1.0
    assert min(down) <= corner <= corner + 0.001 <= max(down) <= 1.0


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b'{"document":1}', b'{"document":{},"places":{"exact":1}}', b'{"document":{},"places":{}}'],
)
def test_what_is_no_extract_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentFormatError):
        parse_extract(raw)


def test_an_extract_that_says_more_is_refused() -> None:
    stated = json.loads(public_extract(canonical_document(waiver())))

    with pytest.raises(DocumentFormatError, match="beside"):
        parse_extract(json.dumps(stated | {"note": "true"}).encode())


def test_whoever_signs_a_document_signs_its_extract_and_a_renewal_makes_up_for_it() -> None:
    before = City()
    before.put(grant())
    before.put(epochs())
    city = verify_release(decode_bundle(before.publish()), before.trusted_root)
    path = "grants/g-2026-001.json"
    assert city.delegated["grants"].signed.targets[path].custom is None

    renewed = parse_role(draft_renewal(city, ("grants",), now=NOON).metadata["grants"], "grants").signed
    signed = parse_role(draft_documents(city, {WAIVED: WAIVER}, now=NOON).metadata["waivers"], "waivers").signed

    assert isinstance(renewed, Targets)
    assert isinstance(signed, Targets)
    assert renewed.targets[path].custom == {EXTRACT_FIELD: digest_of(public_extract(city.documents[path]))}
    assert signed.targets[WAIVED].custom == {EXTRACT_FIELD: digest_of(public_extract(WAIVER))}
