"""What a technician proposed becomes a grant by all who approve, or a restriction by one; and says whose it is."""

import json
import math
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from agent.config import CountingSection
from agent.core.ground import Ground
from agent.core.masking.blocks import BlockMask
from agent.core.policy.documents import Grant, Restriction, canonical_document
from agent.core.policy.words import write_instant
from agent.core.video import FrameSize
from agent.errors import CommissioningFormatError, LamppostError, SignatureError, UsageError
from agent.recorder.counting_watch import counting_places
from provisioning import __main__ as lamppost
from provisioning.authority.city import CityFolder, publish, read_city
from provisioning.authority.cross_check import documents_of, path_of
from provisioning.authority.desk import read_draft
from provisioning.authority.drafting import draft_documents
from provisioning.authority.keys import KeyCard
from provisioning.authority.trust import trust_city
from provisioning.commissioning.density import Mounting
from provisioning.commissioning.proposal import Difference, Proposal, make_proposal
from provisioning.commissioning.record import Check, CommissioningRecord
from provisioning.commissioning.street import ground_of, read_street
from tests.fakes.documents import CAMERA, WINDOWS, grant
from tests.fakes.officials import enact, found, official, signed_by

NOW = datetime.now(UTC).replace(microsecond=0)
APPROVING = ("city-manager", "it-director", "police-chief")
BALCONY = [[0.5, 0.2], [0.7, 0.2], [0.7, 0.5], [0.5, 0.5]]
TECHNICIAN = official("technician")
Run = Callable[..., Result]


def proposal(**changes: Any) -> Proposal:
    return make_proposal(
        {
            "camera": CAMERA,
            "drawn_at": write_instant(NOW),
            "width_px": 1280,
            "height_px": 720,
            "view": {"aspect_width": 16, "aspect_height": 9, "rotation_degrees": 0},
            "zones": [
                {"name": WINDOWS.name, "polygon": WINDOWS.polygon},
                {"name": 'the "balcony"', "polygon": BALCONY},
            ],
            "no_zones_statement": None,
            "lines": [{"name": "kerb", "start": [0.2, 0.9], "end": [0.8, 0.9]}],
            "mounting": None,
            "comment": "A new balcony.",
            "policy_digest": "",
            **changes,
        }
    )


def record(**checks: bool | None) -> CommissioningRecord:
    made = [
        Check.model_validate({"what": what.replace("_", "-"), "passed": passed, "found": "so"})
        for what, passed in checks.items()
    ]
    return CommissioningRecord(
        camera=CAMERA,
        opened_at=NOW,
        done_at=NOW,
        window="w-1",
        software="0.1.0",
        width_px=1280,
        height_px=720,
        policy_digest="",
        zones_sha256="",
        proposal_sha256="",
        reference_sha256="",
        highest_px_per_m=None,
        checks=tuple(made),
        remark="Ladder on the kerb.",
    )


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    path = tmp_path / "cam.proposal.json"
    path.write_bytes(proposal().sign(TECHNICIAN).dump())
    return path


@pytest.fixture
def city(tmp_path: Path) -> CityFolder:
    """A city in force at this moment, with one grant for cam-07."""
    folder = found(tmp_path / "city", now=NOW - timedelta(hours=1))
    enact(folder, granted(), *APPROVING, now=NOW - timedelta(hours=1))
    return folder


def granted(**changes: Any) -> Grant:
    return grant(starts_at=NOW - timedelta(days=1), ends_at=NOW + timedelta(days=30), **changes)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> Result:
        app = lamppost._application(str(words[0]))
        result = CliRunner().invoke(app, [str(word) for word in words])
        if isinstance(result.exception, LamppostError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return run


def documents(city: CityFolder, kind: type[Any]) -> list[Any]:
    return [one for one in documents_of(read_city(city).documents).values() if isinstance(one, kind)]


def test_a_proposal_amends_the_grant_in_force_and_all_who_approve_sign_it(
    city: CityFolder, drawn: Path, run: Run, tmp_path: Path
) -> None:
    draft, office = tmp_path / "amended.draft", ("--issued-by", "police-chief")
    said = run(
        "grant",
        "draft",
        "--from-proposal",
        drawn,
        "--city",
        city.path,
        "--out",
        draft,
        "--reason",
        "A balcony.",
        *office,
    )

    root = read_city(city).first_root
    publish(city, signed_by(read_draft(draft), *APPROVING, root=root, now=NOW), now=NOW)

    assert "drawn at cam-07 by Holder of technician" in said.output
    (amended,) = documents(city, Grant)
    assert amended.id != granted().id
    assert [zone.name for zone in amended.zones] == [WINDOWS.name, 'the "balcony"']
    assert amended.reason.endswith("A balcony.")
    unchanged = {"zones", "id", "issued_at", "reason", "starts_at"}
    assert amended.model_dump(exclude=unchanged) == granted().model_dump(exclude=unchanged)
    assert (
        BlockMask.from_zones(proposal().size, [zone.zone() for zone in amended.zones]).grid == proposal().grid()
    ).all()


def test_a_proposal_gives_a_grant_from_a_file_its_areas(
    city: CityFolder, drawn: Path, run: Run, tmp_path: Path
) -> None:
    spec = tmp_path / "new.toml"
    spec.write_text(
        f"""
issued_by = "police-chief"
reason = "A second camera."
starts_at = {write_instant(NOW)}
ends_at = {write_instant(NOW + timedelta(days=30))}
cameras = ["cam-07"]
intended_use = "public-safety"
permissible_uses = ["detect-crime"]
max_height_px = 1080
max_rate_hz = 15
people = "people"
originals = "none"
originals_recipients = []
recipients = ["custodian"]
live = "none"
metrics = ["incidents-supported", "hours-recorded"]
schedule = [{{ days = ["mon"], opens = "07:00", closes = "19:00" }}]
retention = {{ days = 30 }}
[site]
id = "main-and-5th"
public_name = "Main Street at 5th"
location = {{ latitude = 38.627, longitude = -90.1994, public_precision_m = 50 }}
site_kind = "intersection"
basis = "sustained-criminal-activity"
statement = "Forty-one reported robberies within 100 m in 24 months."
purchase_reference = "PO-2026-0113"
""",
        encoding="utf-8",
    )
    draft, replaced = tmp_path / "new.draft", documents(city, Grant)[0].id

    run("grant", "draft", spec, "--from-proposal", drawn, "--city", city.path, "--out", draft, "--replaces", replaced)

    (proposed,) = documents_of(read_draft(draft).documents).values()
    assert isinstance(proposed, Grant)
    assert [zone.polygon for zone in proposed.zones] == [zone.polygon for zone in proposal().zones]


def test_areas_drawn_over_one_picture_amend_no_grant_for_several_cameras(
    city: CityFolder, drawn: Path, run: Run, tmp_path: Path
) -> None:
    both = granted(id="g-both", cameras=(CAMERA, "cam-08"))
    root = read_city(city).first_root
    old = f"grants/{documents(city, Grant)[0].id}.json"

    draft = draft_documents(read_city(city), {path_of(both): canonical_document(both)}, (old,), now=NOW)
    publish(city, signed_by(draft, *APPROVING, root=root, now=NOW), now=NOW)
    words = ("--from-proposal", drawn, "--city", city.path, "--issued-by", "police-chief", "--reason", "So.")

    with pytest.raises(UsageError, match="is for cam-08 too"):
        run("grant", "draft", *words, "--out", tmp_path / "x.draft")
    assert not (tmp_path / "x.draft").exists()


def test_one_official_makes_a_proposal_a_restriction(
    city: CityFolder, drawn: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "police-chief"
    key.mkdir()
    (key / "card.json").write_bytes(official("police-chief").card.dump())
    trust_city(key, read_city(city).first_root)
    monkeypatch.setattr("provisioning.authority.desk.open_key", lambda *_: official("police-chief"))
    at = ("--city", city.path, "--key", key, "--yes", "--publish", "--reason", "A new balcony.")

    run("restrict", CAMERA, "--from-proposal", drawn, *at)

    (made,) = documents(city, Restriction)
    assert made.cameras == (CAMERA,)
    assert made.narrows[0].zones == proposal().zones
    for wrong in ("cam-08", "all"):
        with pytest.raises(UsageError, match="hold for no other camera"):
            run("restrict", wrong, "--from-proposal", drawn, *at)
    assert len(documents(city, Restriction)) == 1


def test_a_proposal_that_was_changed_is_taken_by_nobody(
    city: CityFolder, drawn: Path, run: Run, tmp_path: Path
) -> None:
    drawn.write_bytes(drawn.read_bytes().replace(b"0.7,", b"0.6,"))
    words = ("--from-proposal", drawn, "--city", city.path, "--issued-by", "police-chief", "--reason", "So.")

    with pytest.raises(SignatureError):
        run("grant", "draft", *words, "--out", tmp_path / "x.draft")
    with pytest.raises(SignatureError):
        run("commission", "show", drawn)
    assert not (tmp_path / "x.draft").exists()


def test_showing_says_what_and_whose(drawn: Path, run: Run) -> None:
    said = run("commission", "show", drawn).output
    told = json.loads(run("commission", "show", drawn, "--json").stdout)

    assert "lamppost-proposal of cam-07, signed by Holder of technician (technician)" in said
    assert 'the "balcony"' in said
    assert "kerb" in said
    assert told["zones"][1]["polygon"] == BALCONY
    assert told["signed_by"] == "Holder of technician"


def test_a_record_is_verified_against_the_technicians_card(run: Run, tmp_path: Path) -> None:
    cards = {}
    for name, key in {"ours": TECHNICIAN, "other": official("technician", who="somebody else")}.items():
        cards[name] = tmp_path / f"{name}.json"
        cards[name].write_bytes(key.card.dump())
        assert KeyCard.read(cards[name]) == key.card
    good, bad = tmp_path / "good.record.json", tmp_path / "bad.record.json"
    good.write_bytes(record(focus=True, level=True).sign(TECHNICIAN).dump())
    bad.write_bytes(record(focus=True, level=False, reference_view=None).sign(TECHNICIAN).dump())

    assert "Ladder on the kerb." in run("commission", "verify", good, "--card", cards["ours"]).output
    with pytest.raises(SignatureError, match="expected that of"):
        run("commission", "verify", good, "--card", cards["other"])
    with pytest.raises(CommissioningFormatError, match="not commissioned: level, reference-view"):
        run("commission", "verify", bad, "--card", cards["ours"])


def test_the_parts_of_a_proposal_come_out_as_toml(drawn: Path, run: Run) -> None:
    zones = tomllib.loads(run("commission", "zones", drawn).stdout)
    lines = tomllib.loads(run("commission", "lines", drawn).stdout)

    assert [zone["name"] for zone in zones["zones"]] == [WINDOWS.name, 'the "balcony"']
    assert zones["view"] == {"aspect_width": 16, "aspect_height": 9, "rotation_degrees": 0}
    assert lines["counting"]["lines"] == [{"name": "kerb", "start": [0.2, 0.9], "end": [0.8, 0.9]}]


MEASURED = [
    {"at": [0.1, 0.9], "metres": [-2.0, 5.0]},
    {"at": [0.9, 0.9], "metres": [2.0, 5.0]},
    {"at": [0.3, 0.4], "metres": [-4.0, 18.0]},
    {"at": [0.7, 0.4], "metres": [4.0, 18.0]},
]
PLAZA = {"name": "plaza", "polygon": [[0.2, 0.5], [0.6, 0.5], [0.6, 0.9], [0.2, 0.9]]}
MOUNTING = {"height_m": 4.0, "tilt_degrees": 20, "lens_degrees": 66, "nearest_m": 5, "farthest_m": 20}


@pytest.mark.parametrize("known", [{"street": {"points": MEASURED, "areas": [PLAZA]}}, {"mounting": MOUNTING}])
def test_where_the_ground_is_known_the_cameras_configuration_gets_it(
    run: Run, tmp_path: Path, known: dict[str, Any]
) -> None:
    path = tmp_path / "measured.proposal.json"
    path.write_bytes(proposal(**known).sign(TECHNICIAN).dump())

    counting = CountingSection(**tomllib.loads(run("commission", "lines", path).stdout)["counting"])

    assert len(counting.ground) == 4
    counting_places(counting)
    if "street" in known:
        assert [area.name for area in counting.areas] == ["plaza"]
        assert "counting area" in run("commission", "show", path).output
        assert [{"at": list(each.at), "metres": list(each.metres)} for each in counting.ground] == MEASURED
        assert "on the ground at -2.0 m, 5.0 m" in run("commission", "show", path).output


def test_a_proposal_without_measured_points_does_not_spell_them() -> None:
    assert "street" not in proposal().stated()
    assert proposal(street={"points": MEASURED}).stated()["street"] == {"points": MEASURED}


@pytest.mark.parametrize(
    ("points", "said"),
    [(MEASURED[:3], "3 ground points"), ([*MEASURED[:2], *MEASURED[:2]], "on one line"), (MEASURED * 5, "at most 16")],
)
def test_points_that_say_no_ground_make_no_proposal(points: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(CommissioningFormatError, match=said):
        proposal(street={"points": points})


@pytest.mark.parametrize("other", [{**PLAZA, "name": "half of it"}, {**PLAZA, "polygon": [[0, 0], [0.1, 0], [0, 0.1]]}])
def test_counting_areas_that_overlap_or_share_a_name_make_no_proposal(other: dict[str, Any]) -> None:
    with pytest.raises(CommissioningFormatError, match="overlap or have one name"):
        proposal(street={"areas": [PLAZA, other]})


def test_an_area_named_like_a_line_makes_no_proposal() -> None:
    with pytest.raises(CommissioningFormatError, match="places to count at have the same name"):
        proposal(street={"areas": [{**PLAZA, "name": "kerb"}]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[points]]\nat = [0.1, 0.9]\nmetres = [0, 0]\n", "1 ground points, expected 4"),
        ("points = 4", "valid tuple"),
        ("[[points", "is not TOML"),
        ("[[points]]\nat = [0.1, nan]\nmetres = [0, 0]\n" * 4, "points"),
    ],
)
def test_a_file_that_says_no_ground_opens_no_window(run: Run, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "street.toml").write_text(text)

    with pytest.raises(CommissioningFormatError, match=said):
        run(
            "commission", CAMERA, "--host", "cam", "--key", "k", "--out", tmp_path, "--street", tmp_path / "street.toml"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["street.toml"]


def test_a_file_of_points_is_read(tmp_path: Path) -> None:
    lines = "".join(f"[[points]]\nat = {each['at']}\nmetres = {each['metres']}\n" for each in MEASURED)
    (tmp_path / "street.toml").write_text(lines)

    assert read_street(tmp_path / "street.toml").model_dump(mode="json") == {"points": MEASURED}


@given(
    st.floats(3, 12), st.floats(5, 60), st.floats(40, 100), st.floats(-3, 3), st.floats(0.2, 0.8)
)  # height, tilt, lens, aside, how far between near and far
def test_the_ground_that_follows_from_a_mounting_is_where_it_is(
    height: float, tilt: float, lens: float, aside: float, share: float
) -> None:
    size = FrameSize(1280, 720)
    mounting = Mounting(height_m=height, tilt_degrees=tilt, lens_degrees=lens, nearest_m=0, farthest_m=height * 4)

    points = ground_of(mounting, size)

    assume(points)
    near, far = points[0].metres[1], points[-1].metres[1]
    ahead = near + (far - near) * share
    focal, down = 640 / math.tan(math.radians(lens) / 2), math.radians(tilt)
    along = ahead * math.cos(down) + height * math.sin(down)
    at = (
        0.5 + focal * aside / along / 1280,
        0.5 + focal * (height * math.cos(down) - ahead * math.sin(down)) / along / 720,
    )
    metres = Ground(points).metres(at)
    assert metres is None or metres == pytest.approx((aside, ahead), abs=0.1)


@pytest.mark.parametrize(
    "hung",
    [
        {"tilt_degrees": 0.0, "nearest_m": 400.0, "farthest_m": 900.0},  # too flat
        {"nearest_m": 10.0, "farthest_m": 11.0},  # too short
        {"tilt_degrees": 90.0, "farthest_m": 0.5},
    ],
)
def test_a_mounting_that_says_no_ground_gives_none(hung: dict[str, float]) -> None:
    assert ground_of(Mounting(**{**MOUNTING, **hung}), FrameSize(1280, 720)) == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cam-07",), "which camera"),
        (("cam-07", "--config", "c.toml", "--listen", "0.0.0.0"), "not served to every network"),  # noqa: S104 - refused
        (("cam-07", "--config", "c.toml", "--listen", "localhost"), "is no IP address"),
        (("cam-07", "--host", "-oProxyCommand=x"), "is no host"),
    ],
)
def test_words_that_name_no_camera_are_refused(run: Run, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(LamppostError, match=said):
        run("commission", *words, "--key", tmp_path / "nobody", "--out", tmp_path / "out")


def test_what_a_proposal_would_change_is_counted_in_blocks() -> None:
    now = BlockMask.from_zones(proposal().size, [WINDOWS.zone()]).grid

    assert Difference.between(now, proposal().grid()).narrows_only
    assert Difference.between(None, proposal().grid()).added == int(proposal().grid().sum())
    assert not Difference.between(proposal().grid(), now).narrows_only
