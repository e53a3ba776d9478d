"""What officials publish is what a camera admits: the same bundle, the camera's own client and rules."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.adapters.tuf_client import verify_bundle
from agent.core.bundle import decode_bundle
from agent.core.policy.admission import Admission, admit
from agent.core.policy.charter import canonical_charter
from agent.core.policy.clock import ClockQuality, ClockState
from agent.core.policy.decide import decide
from agent.core.policy.decision import PeopleMode
from agent.core.policy.documents import NarrowPeople, canonical_document
from agent.core.policy.floors import Floors
from provisioning.authority.city import CityFolder, publish, read_city, refresh
from provisioning.authority.draft_signing import sign_draft
from provisioning.authority.drafting import draft_documents, draft_succession
from provisioning.authority.outlook import charter_of, decision_at, documents_in
from tests.fakes.documents import (
    CAMERA,
    DAY,
    NOON,
    charter,
    epochs,
    example_charter,
    grant,
    hold,
    restriction,
    revocation,
    waiver,
)
from tests.fakes.officials import enact, found, official, signed_by

APPROVING = ("city-manager", "it-director", "police-chief")


class Camera:
    """A camera that trusts the city's first root and takes one bundle after the other."""

    def __init__(self, city: CityFolder) -> None:
        self.city = city
        self.root = read_city(city).first_root
        self.known: Admission | None = None

    def take(self, *, now: datetime = NOON) -> set[str]:
        """Admit what is published; return the ids of the documents that count."""
        entries = decode_bundle(self.city.bundle_path.read_bytes())
        release = verify_bundle(entries, trusted_root=self.root, now=now)
        self.known = admit(
            release,
            floors=Floors() if self.known is None else self.known.floors,
            ledger=() if self.known is None else self.known.ledger,
            clock=ClockState(now=now, quality=ClockQuality.SYNCHRONISED),
        )
        known = self.known.documents
        every = (known.grants, known.waivers, known.epochs, known.restrictions, known.holds, known.revocations)
        return {document.id for kind in every for document in kind}


@pytest.fixture
def city(tmp_path: Path) -> CityFolder:
    return found(tmp_path / "city", now=NOON)


def test_a_city_just_founded_is_admitted_and_permits_nothing(city: CityFolder) -> None:
    camera = Camera(city)

    assert camera.take() == set()
    assert camera.known is not None
    assert camera.known.charter == example_charter()
    assert camera.known.fresh_until == NOON + example_charter().offline_for


def test_every_kind_of_document_reaches_the_camera(city: CityFolder) -> None:
    camera = Camera(city)
    camera.take()

    enact(city, grant(), *APPROVING)
    enact(city, epochs(), "custodian")
    enact(city, restriction(), "police-chief")
    enact(city, waiver(), "city-manager")
    enact(city, hold(), "custodian")
    enact(city, revocation(), "it-director")

    assert camera.take() == {
        "g-2026-001", "e-2026-001", "r-2026-001", "w-2026-001", "h-2026-001", "v-2026-001",
    }  # fmt: skip


def test_a_release_is_admitted_after_each_publication(city: CityFolder) -> None:
    camera = Camera(city)
    camera.take()

    enact(city, restriction(), "police-chief")
    camera.take()
    enact(city, restriction(id="r-2026-002"), "police-chief")
    camera.take()
    refresh(city, now=NOON + DAY)

    assert camera.take(now=NOON + DAY) == {"r-2026-001", "r-2026-002"}


def test_a_camera_that_missed_releases_catches_up(city: CityFolder) -> None:
    camera = Camera(city)
    camera.take()

    for day in range(1, 5):
        refresh(city, now=NOON + day * DAY)
        enact(city, restriction(id=f"r-{day}", starts_at=NOON), "police-chief", now=NOON + day * DAY)

    assert camera.take(now=NOON + 4 * DAY + timedelta(minutes=1)) == {"r-1", "r-2", "r-3", "r-4"}


def test_a_replaced_grant_no_longer_counts(city: CityFolder) -> None:
    camera = Camera(city)
    root = enact(city, grant(), *APPROVING).first_root
    camera.take()
    contents = {"grants/g-2026-002.json": canonical_document(grant(id="g-2026-002"))}
    draft = draft_documents(read_city(city), contents, ("grants/g-2026-001.json",), now=NOON)
    publish(city, signed_by(draft, *APPROVING, root=root), now=NOON)

    assert camera.take() == {"g-2026-002"}


def test_a_camera_follows_a_succession(city: CityFolder) -> None:
    camera = Camera(city)
    root = enact(city, grant(), *APPROVING).first_root
    enact(city, restriction(), "police-chief")
    camera.take()
    new = official("police-chief", who="new chief")
    draft = draft_succession(read_city(city), (new.card,), now=NOON)
    draft = signed_by(draft, "city-manager", "it-director", root=root)

    publish(city, sign_draft(draft, new, root, now=NOON), now=NOON)

    assert camera.take() == {"g-2026-001", "r-2026-001"}


def test_a_camera_follows_a_revised_charter_that_drops_an_office(city: CityFolder) -> None:
    camera = Camera(city)
    root = enact(city, restriction(), "police-chief").first_root
    camera.take()
    rule = example_charter().restrictions
    revised = charter(revision=2, restrictions=rule.model_copy(update={"offices": ("city-manager", "it-director")}))
    draft = draft_succession(read_city(city), (), canonical_charter(revised), now=NOON)

    publish(city, signed_by(draft, "city-manager", "it-director", root=root), now=NOON)

    assert camera.take() == {"r-2026-001"}  # the camera's ledger keeps it
    assert camera.known is not None
    assert camera.known.charter.revision == 2


def test_the_camera_decides_what_officials_were_told(city: CityFolder) -> None:
    camera = Camera(city)
    enact(city, grant(), *APPROVING)
    enact(city, epochs(), "custodian")
    enact(city, restriction(narrows=(NarrowPeople(what="people", people=PeopleMode.SCENE),)), "police-chief")
    camera.take()
    assert camera.known is not None

    clock = ClockState(now=NOON, quality=ClockQuality.SYNCHRONISED)
    decided = decide(
        camera.known.charter, camera.known.documents, clock, camera_id=CAMERA, fresh_until=camera.known.fresh_until
    )

    published = read_city(city)
    told = decision_at(charter_of(published), documents_in(published), CAMERA, NOON, published.timestamp.signed.expires)
    assert decided == told
    assert decided.recording
