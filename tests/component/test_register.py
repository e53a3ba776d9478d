"""A register says what officials signed and cameras attested; it withholds what it must; an edit is named."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from securesystemslib.signer import CryptoSigner

from agent.core.policy.charter import canonical_charter
from agent.core.policy.decision import Originals, PeopleMode
from agent.core.policy.documents import (
    WEEKDAYS,
    Document,
    NarrowSchedule,
    Opening,
    Retention,
    canonical_document,
)
from agent.core.policy.release import TIMESTAMP
from agent.errors import BundleFormatError, LamppostError, LogError, PolicyError, RegisterError, UsageError
from provisioning.authority.city import CityFolder, online_signer, publish, read_city
from provisioning.authority.cross_check import path_of
from provisioning.authority.drafting import draft_documents, draft_succession
from provisioning.authority.extract import Precision
from provisioning.register.claims import REGISTER, SIGNATURE, SignedRegister, digest, sign
from provisioning.register.drawings import read_outline
from provisioning.register.frame import said
from provisioning.register.gathering import Sources, Wanted, gather
from provisioning.register.machines import COLUMNS
from provisioning.register.made_of import register_of
from provisioning.register.pages import list_pages
from provisioning.register.placing import place_register, read_register
from provisioning.register.verifying import Verified, verify
from tests.fakes.city import City
from tests.fakes.documents import DAY, NOON, charter, epochs, example_charter, grant, restriction, revocation
from tests.fakes.officials import enact, signed_by
from tests.fakes.registered import (
    APPROVERS,
    LIBRARY,
    OUTLINE,
    SECRETS,
    SOFTWARE,
    RegisteredCity,
    corner,
    registered_city,
)

WEB = Path(__file__).resolve().parents[2] / "provisioning/web"
CORNER = "sites/main-and-5th.html"
FIRST_PAGE_BYTES = 100 * 1024


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RegisteredCity, Path]:
    place = tmp_path_factory.mktemp("register")
    city = registered_city(place / "made")
    return city, city.build(place / "out")


@pytest.fixture
def out(made: tuple[RegisteredCity, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[1], tmp_path / "out"))


@pytest.fixture
def city(tmp_path: Path) -> RegisteredCity:
    return registered_city(tmp_path / "made")


def verified(out: Path, **asked: Any) -> Verified:
    return verify(read_register(str(out)), software=SOFTWARE, now=NOON, **asked)


def sentences(out: Path, page: str = CORNER) -> list[str]:
    return list(said((out / page).read_bytes()))


# --- what holds -------------------------------------------------------------------


def test_what_was_built_verifies_and_says_whose_it_is(made: tuple[RegisteredCity, Path]) -> None:
    found = verified(made[1], city=read_city(made[0].city))

    assert verified(made[1], root=found.root).root == found.root
    assert "9 documents in force" in found.holds[1]
    assert "and made again from it" in found.holds[-1]
    assert found.remarks == ("nothing is attested by cam-12, cam-13",)


def test_the_same_city_at_the_same_moment_makes_the_same_files(
    made: tuple[RegisteredCity, Path], tmp_path: Path
) -> None:
    assert read_register(str(made[0].build(tmp_path / "again"))) == read_register(str(made[1]))


def test_another_version_of_the_program_says_that_it_made_nothing_again(out: Path) -> None:
    found = verify(read_register(str(out)), software="9.9.9", now=NOON)

    assert any("the pages were not made again" in one for one in found.remarks)


def test_an_old_register_holds_and_is_said_to_be_old(out: Path) -> None:
    found = verify(read_register(str(out)), software=SOFTWARE, now=NOON + 30 * DAY)

    assert any("it is old" in one for one in found.remarks)


# --- an edit is named -------------------------------------------------------------


def edit(out: Path, name: str, old: str, new: str) -> None:
    text = (out / name).read_text(encoding="utf-8")
    assert old in text
    (out / name).write_text(text.replace(old, new, 1), encoding="utf-8")


def restate(out: Path, signer: CryptoSigner, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Let somebody list every file as it is now, claim something else, and sign."""
    stated = json.loads((out / REGISTER).read_bytes())
    stated["files"] = {name: digest((out / name).read_bytes()) for name in stated["files"] if (out / name).exists()}
    change(stated["claims"])
    raw, signature = sign(SignedRegister.model_validate_json(json.dumps(stated)), signer)
    (out / REGISTER).write_bytes(raw)
    (out / SIGNATURE).write_bytes(signature)


EXTRACT = "signed/extracts"
EDITS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a sentence": (
        lambda out: edit(out, CORNER, "kept for 30 days", "kept for 3 days"),
        f"{CORNER} is not what the signed documents say: it says “Footage is kept for 3 d.*” where they say “.* 30 d",
    ),
    "a sentence in the history": (
        lambda out: edit(out, "changes.html", "heads are hidden", "faces are hidden"),
        "changes.html .* “.*faces are hidden.” where they say",
    ),
    "a link": (
        lambda out: edit(out, "index.html", "register.csv", "other.csv"),
        "index.html .* its words are the same",
    ),
    "a number for machines": (lambda out: edit(out, "register.csv", ",30,", ",90,"), "register.csv .*: line 2"),
    "the check itself": (lambda out: edit(out, "check.js", "It says what", "Yes, it says what"), "check.js"),
    "a permission": (
        lambda out: edit(out, next_extract(out, "retention"), '"days":30', '"days":31'),
        "the public extract of .* is not what was signed",
    ),
    "a claim": (lambda out: edit(out, REGISTER, '"opened": 0', '"opened": 1'), "is not what the city signed"),
    "a file too many": (lambda out: (out / "sites/other.html").touch(), "sites/other.html was added"),
    "a file too few": (lambda out: (out / "register.geojson").unlink(), "register.geojson is missing"),
    "no signature": (lambda out: (out / SIGNATURE).unlink(), "register.sig is missing"),
}


def next_extract(out: Path, word: str) -> str:
    return next(f"{EXTRACT}/{one.name}" for one in sorted((out / EXTRACT).iterdir()) if word in one.read_text())


@pytest.mark.parametrize(("do", "named"), EDITS.values(), ids=EDITS)
def test_an_edit_by_hand_is_named(do: Callable[[Path], None], named: str, out: Path) -> None:
    do(out)

    with pytest.raises((RegisterError, PolicyError), match=named):
        verified(out)


def test_not_even_the_backend_can_sign_another_sentence(city: RegisteredCity, out: Path) -> None:
    edit(out, CORNER, "heads are hidden", "nothing is hidden")
    restate(out, online(city))

    with pytest.raises(
        RegisterError, match=f"{CORNER} is not what the signed documents say: it says “.*nothing is hidden"
    ):
        verified(out)


def online(city: RegisteredCity) -> CryptoSigner:
    signer = online_signer(city.city, TIMESTAMP)
    assert isinstance(signer, CryptoSigner)
    return signer


def move(claims: dict[str, Any]) -> None:
    claims["places"]["grants/g-2026-001.json"]["latitude"] += 0.01


def forget(claims: dict[str, Any]) -> None:
    del claims["places"]["grants/g-2026-002.json"]


def shorten(claims: dict[str, Any]) -> None:
    claims["snapshots"] = claims["snapshots"][:-1]


def other_camera(claims: dict[str, Any]) -> None:
    claims["cameras"][1]["attestation"] = claims["cameras"][0]["attestation"]


def another_leaf(claims: dict[str, Any]) -> None:
    attested = claims["cameras"][0]["attestation"]
    attested["leaf"] = attested["leaf"].replace('"release":9', '"release":8')


def one_leaf_less(claims: dict[str, Any]) -> None:
    attested = claims["cameras"][0]["attestation"]
    attested["checkpoint"] = attested["checkpoint"].replace("\n429\n", "\n428\n")


def another_proof(claims: dict[str, Any]) -> None:
    claims["cameras"][0]["attestation"]["proof"][0] = "00" * 32


@pytest.mark.parametrize("claim", [move, forget, shorten, other_camera, another_leaf, one_leaf_less, another_proof])
def test_a_claim_that_does_not_fit_what_was_signed_is_refused(
    claim: Callable[[dict[str, Any]], None], city: RegisteredCity, out: Path
) -> None:
    restate(out, online(city), claim)

    with pytest.raises((RegisterError, PolicyError, LogError)):
        verified(out)


def test_a_stranger_signs_no_register(out: Path) -> None:
    restate(out, CryptoSigner(Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)))

    with pytest.raises(RegisterError, match="a key that does not vouch for this city"):
        verified(out)


def test_another_citys_fingerprint_is_not_this_ones(out: Path) -> None:
    with pytest.raises(RegisterError, match="of another city"):
        verified(out, root="0000 0000")


def test_whoever_has_the_documents_sees_that_the_register_is_behind(city: RegisteredCity, out: Path) -> None:
    enact(city.city, corner(id="g-2026-003", starts_at=NOON + 20 * DAY, ends_at=NOON + 50 * DAY), *APPROVERS)

    with pytest.raises(RegisterError, match="does not show grants"):
        verified(out, city=read_city(city.city))


# --- a change of policy changes what it is about -------------------------------------


def test_a_change_of_policy_changes_exactly_its_own_sentences(city: RegisteredCity, tmp_path: Path) -> None:
    before = sentences(city.build(tmp_path / "before"), "sites/public-library.html")
    changed = grant(
        id="g-2026-003",
        site=LIBRARY,
        cameras=("cam-12", "cam-13"),
        people=PeopleMode.SCENE,
        retention=Retention(days=14),
        starts_at=NOON,
        ends_at=NOON + 20 * DAY,
        issued_at=NOON,
    )
    _replace(city, "g-2026-002", changed)

    after = sentences(city.build(tmp_path / "after", now=NOON + timedelta(minutes=1)), "sites/public-library.html")

    thirty, fourteen = (f"Footage is kept for {days} days, then its keys" for days in (30, 14))
    now, then = set(after) - set(before), set(before) - set(after)
    about = [one for one in now if "keys are destroyed" in one]
    assert len(about) == 1
    assert about[0].startswith(fourteen)
    assert [one for one in then if one.startswith(thirty)] == []  # it is still told: in the history
    # What else is new is the permission's own line and the entry of the history, and nothing is gone but the old line.
    assert now - set(about) == {
        "g-2026-003",
        "28 November 2026",
        "28 November 2026 to 18 December 2026",
        "Grant g-2026-003, signed by City Manager, IT Director and Chief of Police; grant g-2026-002 withdrawn.",
    }
    assert then == {"g-2026-002", "17 November 2026", "18 November 2026 to 18 December 2026"}


def _replace(city: RegisteredCity, old: str, new: Document) -> None:
    known = read_city(city.city)
    draft = draft_documents(known, {path_of(new): canonical_document(new)}, (f"grants/{old}.json",), now=NOON)
    publish(city.city, signed_by(draft, *APPROVERS, root=known.first_root), now=NOON)


@pytest.mark.parametrize("why", ["revoked", "dark", "night"])
def test_what_makes_a_camera_dark_changes_no_other_sentence(why: str, city: RegisteredCity, tmp_path: Path) -> None:
    night = (Opening(days=WEEKDAYS, opens="22:00", closes="23:00"),)
    documents: dict[str, Document] = {
        "revoked": revocation(issued_by="police-chief"),
        "dark": restriction(id="r-2026-009", issued_by="city-manager", reason="Asked for."),
        "night": restriction(
            id="r-2026-009",
            issued_by="city-manager",
            reason="Asked for.",
            narrows=(NarrowSchedule(what="schedule", schedule=night),),
        ),
    }
    office = {"revoked": "police-chief"}.get(why, "city-manager")
    enact(city.city, documents[why], office)

    out = city.build(tmp_path / "out", now=NOON + timedelta(minutes=1))

    latest = json.loads((out / "sites/main-and-5th.json").read_bytes())["changes"][0]
    about = {one["about"] for one in latest["differences"]}
    own = {"revoked": "Revocation v-2026-001"}.get(why, "Restriction r-2026-009")
    assert about == {"Now", own, *(["Hours"] if why == "night" else [])}


def test_a_revised_law_is_a_change_that_everybody_sees(city: RegisteredCity, tmp_path: Path) -> None:
    known = read_city(city.city)
    revised = charter(revision=2, freshness=example_charter().freshness.model_copy(update={"offline_for_days": 5}))
    draft = draft_succession(known, (), canonical_charter(revised), now=NOON)
    publish(city.city, signed_by(draft, *APPROVERS, root=known.first_root), now=NOON)

    out = city.build(tmp_path / "out", now=NOON + timedelta(minutes=1))

    assert verified(out).claims.snapshots[-1] == 11
    told = sentences(out, "changes.html")
    assert "The law is now revision 2." in told
    assert told[told.index("7") : told.index("7") + 2] == ["7", "5"]
    assert "A camera that has not heard of the city for 5 days goes dark (EX-1)." in sentences(out, "law.html")
    latest = (out / "changes.html").read_text(encoding="utf-8").split("<article")[1]
    assert "28 November 2026, 12:00 UTC" in latest  # also under another freshness, the snapshot tells when it was made


# --- what is withheld ---------------------------------------------------------------


def test_nothing_that_must_be_withheld_is_in_any_file_and_no_finer_place_in_a_coarser_register(
    city: RegisteredCity, tmp_path: Path
) -> None:
    told: dict[Precision, tuple[int, float]] = {}
    for precision in Precision:
        files = read_register(str(city.build(tmp_path / precision, precision=precision)))
        for secret in SECRETS:
            assert [name for name, content in files.items() if secret.encode() in content] == []
        features = json.loads(files["register.geojson"])["features"]
        (feature,) = (one for one in features if one["id"] == "cam-07")
        told[precision] = (feature["properties"]["lamppost_precision_m"], feature["geometry"]["coordinates"][1])

    assert [told[one][0] for one in Precision] == [50, 150, 1_500]
    for finer in (Precision.EXACT, Precision.BLOCK):  # the middle of a district is no middle of a block
        assert [name for name, content in files.items() if f"{told[finer][1]}".encode() in content] == []


# --- pages ----------------------------------------------------------------------------


def test_pages_fetch_nothing_from_elsewhere_and_run_nothing_of_their_own(out: Path) -> None:
    for path in out.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert len(page.encode()) <= FIRST_PAGE_BYTES
        assert page.count("<script") == 1
        assert re.search(r'<script type="module" src="(\.\./)?check\.js"></script>', page)
        assert not re.search(r'\son\w+="|style="|javascript:', page)
        assert set(re.findall(r'(?:src|href)="(https?:[^"]*)"', page)) == set()
        assert "default-src 'none'" in page
    first = (out / "index.html", out / "check.js", out / "proofs.js")
    assert sum(len(each.read_bytes()) for each in first) <= FIRST_PAGE_BYTES


def test_a_city_that_gives_no_outline_and_has_no_backend_gets_a_list(city: RegisteredCity, tmp_path: Path) -> None:
    plain = replace(city.sources, backend=None, city_log=None)
    wanted = Wanted(precision=Precision.EXACT, now=NOON, software=SOFTWARE)
    ingredients = gather(plain, wanted)

    assert ingredients.outline is None
    assert all(one.account is None and one.attestation is None for one in ingredients.claims.cameras)


def test_what_was_signed_before_there_were_extracts_is_refused_with_what_to_do(tmp_path: Path) -> None:
    old = City()
    old.put(grant())
    old.put(epochs())
    (tmp_path / "policy.bundle").write_bytes(old.publish())
    wanted = Wanted(precision=Precision.EXACT, now=NOON, software=SOFTWARE)

    with pytest.raises(BundleFormatError, match="signed before there were public extracts") as refused:
        gather(Sources(city=CityFolder(path=tmp_path)), wanted)

    assert refused.value.hint == "lamppost grant renew, for its role"


def test_the_first_page_of_a_city_with_a_thousand_sites_is_light(city: RegisteredCity) -> None:
    wanted = Wanted(precision=Precision.EXACT, now=NOON, software=SOFTWARE, outline=OUTLINE)
    register = register_of(gather(city.sources, wanted))
    one = register.city.sites[1]
    many = tuple(replace(one, site=one.site.model_copy(update={"id": f"site-{n}"})) for n in range(1_000))

    pages = list_pages(replace(register, city=replace(register.city, sites=many)), OUTLINE)

    beside = sum(len((WEB / name).read_bytes()) for name in ("register/check.js", "evidence/proofs.js"))
    assert max(map(len, pages.values())) + beside <= FIRST_PAGE_BYTES
    linked = [
        site for page in pages.values() for site in re.findall(rb'<th scope="row"><a href="sites/(site-\d+)', page)
    ]
    assert len(linked) == len(set(linked)) == 1_000


@pytest.mark.parametrize(
    "outline", [b"", b"{}", b'{"type":"Point","coordinates":[1,2]}', b'{"type":"Polygon","coordinates":[[1]]}']
)
def test_an_outline_that_draws_nothing_is_refused(outline: bytes) -> None:
    with pytest.raises(UsageError, match="outline"):
        read_outline(outline)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("years")

    with pytest.raises(UsageError, match="something else than a register"):
        place_register(tmp_path, {"index.html": b""})

    assert [one.name for one in tmp_path.iterdir()] == ["thesis.odt"]


# --- for machines -----------------------------------------------------------------------


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((WEB / f"register/schemas/{name}.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("geojson", "register.geojson"),
        ("site", "sites/main-and-5th.json"),
        ("site", "sites/public-library.json"),
        ("dtpr", "sites/*.dtpr.json"),
        ("register", "register.json"),
    ],
)
def test_what_is_for_machines_is_what_its_schema_says(schema: str, files: str, out: Path) -> None:
    found = list(out.glob(files))

    assert found
    for each in found:
        assert [error.message for error in validator(schema).iter_errors(json.loads(each.read_bytes()))] == []


def test_the_schema_of_the_claims_is_that_of_the_program() -> None:
    written = json.loads((WEB / "register/schemas/register.schema.json").read_bytes())
    del written["$schema"]

    assert written == SignedRegister.model_json_schema()


def test_the_table_has_the_columns_that_its_description_names(out: Path) -> None:
    described = json.loads((out / "schemas/register.csv-metadata.json").read_bytes())
    rows = list(csv.DictReader(io.StringIO((out / "register.csv").read_text(encoding="utf-8"))))

    assert tuple(column["name"] for column in described["tableSchema"]["columns"]) == COLUMNS == tuple(rows[0])
    assert [(row["camera"], row["state"], row["exports"]) for row in rows] == [
        ("cam-07", "may record", "1"),
        ("cam-12", "may record", "0"),
        ("cam-13", "dark", "0"),
    ]


def test_the_data_chain_calls_video_identifiable_where_it_can_be_made_so(city: RegisteredCity, out: Path) -> None:
    def kinds(site: str) -> set[str]:
        chain = json.loads((out / f"sites/{site}.dtpr.json").read_bytes())
        return {one["element_id"] for one in chain["elements"] if one["element_id"].endswith("_video")}

    assert corner().originals is Originals.SEALED
    assert kinds("main-and-5th") == {"identifiable_video"}
    assert kinds("public-library") == {"de_identified_video"}


def test_the_feed_has_an_entry_for_each_change(out: Path) -> None:
    atom = "{http://www.w3.org/2005/Atom}"
    feed = ET.fromstring((out / "changes.atom").read_bytes())  # noqa: S314 - our own
    entries = feed.findall(f"{atom}entry")

    assert len(entries) == 7
    assert "heads are hidden" in (entries[-4].findtext(f"{atom}content") or "")
    assert len({entry.findtext(f"{atom}id") for entry in entries}) == len(entries)


# --- the check in the browser -----------------------------------------------------------


def test_the_proofs_of_the_page_are_word_for_word_those_of_the_page_that_verifies_evidence() -> None:
    page = (WEB / "evidence/verify.html").read_text(encoding="utf-8")
    module = (WEB / "evidence/proofs.js").read_text(encoding="utf-8")
    body = module.partition("\n\n")[2].partition("\nexport {")[0]

    parts = [part.strip() for part in re.split(r"\n\n(?=\S)", body)]
    assert len(parts) > 20
    assert [part for part in parts if part not in page] == []


def test_refusals_are_of_kinds_that_a_script_can_tell() -> None:
    assert issubclass(RegisterError, LamppostError)
    assert RegisterError("").exit_status == 65
