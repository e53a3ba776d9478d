"""Whatever is done to a folder of evidence, verifying it says which kind of no.

Two people tamper. *Somebody on the way* can do anything to the files and signs nothing. *The custodian* who exported
can also sign anew whatever they like; what they cannot do is sign for the camera or for the witness.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.log.checkpoint import Checkpoint, log_key, open_checkpoint, sign_checkpoint
from agent.errors import ForkedEvidenceError, LamppostError, RewoundEvidenceError
from provisioning.authority.city import CityFolder
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.judging import KINDS, Judgement, judge, kind_of, verdict
from provisioning.evidence.sealing import sealed_file
from provisioning.evidence.statement import sign_statement
from tests.fakes.city import key_of
from tests.fakes.documents import NOON
from tests.fakes.exhibits import (
    PARTY,
    STRANGER,
    TAKES,
    WITNESS_KEY,
    MemoryKeyring,
    Pole,
    city_with_sharing,
    make_exhibit,
    order,
    restate,
)

ROOT = Path(__file__).resolve().parents[2]
LATER = NOON + timedelta(hours=1)


@dataclass(frozen=True)
class Scene:
    """What tampering needs: the camera, another one, the same camera with another history, and the export."""

    pole: Pole
    other: Pole
    forged: Pole
    rewound: Pole
    city: CityFolder
    exhibit: Path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("tampering")
    pole = Pole(folder / "card")
    city = city_with_sharing(folder / "city")
    make_exhibit(folder / "out", pole, city)
    return Scene(
        pole=pole,
        other=Pole(folder / "other", camera_id="cam-08", first_luma=90),
        forged=Pole(folder / "forged", first_luma=120),
        rewound=Pole(folder / "rewound", takes=TAKES[:4]),
        city=city,
        exhibit=folder / "out",
    )


@pytest.fixture
def folder(scene: Scene, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scene.exhibit, tmp_path / "exhibit"))


def verdict_on(folder: Path, **knowing: Any) -> str:
    no = verdict(judge(Exhibit(folder), now=LATER, **knowing))
    return "holds" if no is None else kind_of(no)


def segment(folder: Path, number: int) -> Path:
    (path,) = folder.glob(f"segments/*-{number:08d}.mp4.age")
    return path


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def change_leaves(folder: Path, change: Callable[[list[Any]], None]) -> None:
    path = folder / "log/leaves.json"
    proofs = json.loads(path.read_text())
    change(proofs["leaves"])
    path.write_text(json.dumps(proofs))


# --- somebody on the way ------------------------------------------------------


def drop(folder: Path, scene: Scene) -> None:
    segment(folder, 2).unlink()


def truncate(folder: Path, scene: Scene) -> None:
    path = segment(folder, 2)
    path.write_bytes(path.read_bytes()[:-1000])


def empty(folder: Path, scene: Scene) -> None:
    (folder / "statement.sig").unlink()


def swap(folder: Path, scene: Scene) -> None:
    one, other = segment(folder, 1), segment(folder, 3)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def reorder_leaves(folder: Path, scene: Scene) -> None:
    change_leaves(folder, lambda leaves: leaves.insert(0, leaves.pop(2)))


def flip_in_a_segment(folder: Path, scene: Scene) -> None:
    flip(segment(folder, 2), -500)


def flip_in_the_video(folder: Path, scene: Scene) -> None:
    flip(folder / "footage.mp4.age", -500)


def flip_in_the_statement(folder: Path, scene: Scene) -> None:
    path = folder / "statement.json"
    path.write_text(path.read_text().replace("2026-CR-118", "2026-CR-119", 1))


def flip_in_a_leaf(folder: Path, scene: Scene) -> None:
    def change(leaves: list[Any]) -> None:
        leaves[2]["leaf"] = leaves[2]["leaf"].replace('"frames_failed_closed":3', '"frames_failed_closed":0')

    change_leaves(folder, change)


def flip_in_the_bundle(folder: Path, scene: Scene) -> None:
    flip(folder / "city/policy.bundle", -500)


def add_a_file(folder: Path, scene: Scene) -> None:
    (folder / "segments/notes.txt").write_text("a note")


def put_a_link(folder: Path, scene: Scene) -> None:
    path = segment(folder, 2)
    target = path.rename(folder.parent / "moved")
    path.symlink_to(target)


def put_a_folder(folder: Path, scene: Scene) -> None:
    segment(folder, 2).unlink()
    segment_path = folder / "segments" / scene.pole.paths[1].name
    segment_path.mkdir()


def put_a_pipe(folder: Path, scene: Scene) -> None:
    (folder / "statement.json").unlink()
    os.mkfifo(folder / "statement.json")


def drop_a_leaf(folder: Path, scene: Scene) -> None:
    change_leaves(folder, lambda leaves: leaves.pop(2) and None)


def splice(folder: Path, scene: Scene) -> None:
    segment(folder, 2).unlink()
    shutil.copy(scene.other.paths[1], folder / "segments")


def sign_with_another_key(folder: Path, scene: Scene) -> None:
    raw = (folder / "statement.json").read_bytes()
    (folder / "statement.sig").write_bytes(sign_statement(raw, key_of("stranger")))


def sign_with_an_officials_key(folder: Path, scene: Scene) -> None:
    raw = (folder / "statement.json").read_bytes()
    (folder / "statement.sig").write_bytes(sign_statement(raw, key_of("police-chief")))


def sign_the_log_with_another_key(folder: Path, scene: Scene) -> None:
    path = folder / "log/checkpoint"
    signed = open_checkpoint(path.read_bytes(), scene.pole.log_key)
    stranger = MemoryKeyring(b"x" * 32)
    key = log_key(scene.pole.camera_id, stranger.public)
    path.write_bytes(
        sign_checkpoint(Checkpoint(origin=key.name, size=signed.size, root=signed.root), key, stranger.sign).to_bytes()
    )


def put_another_cameras_log(folder: Path, scene: Scene) -> None:
    shutil.copy(scene.other.folder / "log/checkpoint", folder / "log/checkpoint")


def put_a_forged_log(folder: Path, scene: Scene) -> None:
    """With the camera's own key, stolen."""
    shutil.copy(scene.forged.folder / "log/checkpoint", folder / "log/checkpoint")


def put_an_old_log(folder: Path, scene: Scene) -> None:
    shutil.copy(scene.rewound.folder / "log/checkpoint", folder / "log/checkpoint")


ON_THE_WAY = {
    drop: "cut",
    truncate: "cut",
    empty: "cut",
    swap: "reordered",
    reorder_leaves: "reordered",
    flip_in_a_segment: "altered",
    flip_in_the_video: "altered",
    flip_in_the_statement: "altered",
    flip_in_a_leaf: "altered",
    flip_in_the_bundle: "altered",
    add_a_file: "altered",
    put_a_link: "altered",
    put_a_folder: "altered",
    put_a_pipe: "altered",
    drop_a_leaf: "cut",
    splice: "other camera",
    sign_with_another_key: "other signer",
    sign_with_an_officials_key: "other signer",
    sign_the_log_with_another_key: "other signer",
    put_another_cameras_log: "other camera",
    put_a_forged_log: "forked log",
    put_an_old_log: "old card",
}


@pytest.mark.parametrize("tamper", ON_THE_WAY, ids=lambda tamper: tamper.__name__)
def test_what_happens_on_the_way_is_named(tamper: Callable[[Path, Scene], None], folder: Path, scene: Scene) -> None:
    tamper(folder, scene)

    assert verdict_on(folder) == ON_THE_WAY[tamper]


# --- the custodian ------------------------------------------------------------


def leave_a_segment_out(stated: dict[str, Any], folder: Path) -> None:
    left_out = stated["segments"].pop(1)
    (folder / left_out["path"]).unlink()
    (folder / left_out["header"]).unlink()


def leave_a_leaf_out_too(stated: dict[str, Any], folder: Path) -> None:
    left_out = stated["segments"].pop(1)
    change_leaves(folder, lambda leaves: leaves.remove(next(one for one in leaves if one["index"] == left_out["leaf"])))


def end_the_run_early(stated: dict[str, Any], folder: Path) -> None:
    last = stated["segments"].pop()
    stated["log"]["last_leaf"] = last["leaf"] - 1
    change_leaves(folder, lambda leaves: [leaves.pop() for _ in range(stated["log"]["size"] - last["leaf"])] and None)


def hide_the_gap(stated: dict[str, Any], folder: Path) -> None:
    stated["gaps"] = []


def shorten_the_gap(stated: dict[str, Any], folder: Path) -> None:
    stated["gaps"][0]["ends_at"] = stated["gaps"][0]["ends_at"].replace(":10.", ":09.")


def turn_the_segments_round(stated: dict[str, Any], folder: Path) -> None:
    stated["segments"].reverse()


def hide_that_pictures_are_hidden(stated: dict[str, Any], folder: Path) -> None:
    stated["segments"][1]["failed_closed"] = 0


def hide_why_pictures_are_hidden(stated: dict[str, Any], folder: Path) -> None:
    stated["hidden"] = []


def name_another_camera(stated: dict[str, Any], folder: Path) -> None:
    stated["camera"] = "cam-08"


def name_another_case(stated: dict[str, Any], folder: Path) -> None:
    stated["case"] = "2026-CV-1"


def name_another_law(stated: dict[str, Any], folder: Path) -> None:
    stated["sharing"]["condition"] = "no condition"


def drop_the_witness(stated: dict[str, Any], folder: Path) -> None:
    (folder / "log/witnessed").unlink()


def trust_no_witness(stated: dict[str, Any], folder: Path) -> None:
    stated["log"]["witnesses"] = []


def sign_after_the_key_expired(stated: dict[str, Any], folder: Path) -> None:
    stated["exported_at"] = "2027-01-30T12:00:00Z"


CUSTODIANS = {
    leave_a_segment_out: "cut",
    leave_a_leaf_out_too: "gap",
    end_the_run_early: "gap",
    hide_the_gap: "gap",
    shorten_the_gap: "gap",
    turn_the_segments_round: "reordered",
    hide_that_pictures_are_hidden: "altered",
    hide_why_pictures_are_hidden: "altered",
    name_another_camera: "other camera",
    name_another_case: "altered",
    name_another_law: "altered",
    drop_the_witness: "not witnessed",
    trust_no_witness: "not witnessed",
    sign_after_the_key_expired: "expired key",
}


@pytest.mark.parametrize("tamper", CUSTODIANS, ids=lambda tamper: tamper.__name__)
def test_what_a_custodian_does_is_named(tamper: Callable[[dict[str, Any], Path], None], folder: Path) -> None:
    restate(folder, lambda stated: tamper(stated, folder))

    assert verdict_on(folder) == CUSTODIANS[tamper]


def test_signing_anew_what_was_not_changed_changes_nothing(folder: Path) -> None:
    restate(folder)

    assert verdict_on(folder, identities=[PARTY]) == "holds"


def test_another_cameras_segment_under_the_name_of_this_one_is_named(folder: Path, scene: Scene) -> None:
    shutil.copy(scene.other.paths[1], segment(folder, 2))

    restate(folder)

    assert verdict_on(folder) == "altered"  # what it says inside needs a key, and no header opens it


@pytest.mark.parametrize(
    ("history", "expected", "raised"),
    [("forged", "forked log", ForkedEvidenceError), ("rewound", "old card", RewoundEvidenceError)],
)
def test_another_history_of_the_camera_is_no_evidence(
    history: str, expected: str, raised: type[LamppostError], scene: Scene, tmp_path: Path
) -> None:
    pole: Pole = getattr(scene, history)
    sources = replace(pole.sources(), witnessed=scene.pole.witnessed)
    with pytest.raises(raised):
        make_exhibit(tmp_path / "refused", pole, scene.city, sources=sources)
    assert list(tmp_path.iterdir()) == []

    make_exhibit(tmp_path / "out", pole, scene.city, sources=replace(sources, witnessed=None))
    assert scene.pole.witnessed is not None
    (tmp_path / "out/log/witnessed").write_bytes(scene.pole.witnessed)
    restate(tmp_path / "out")

    assert verdict_on(tmp_path / "out") == expected


def test_a_video_of_other_pictures_is_named_to_who_can_open_it(folder: Path, scene: Scene) -> None:
    make_exhibit(folder.parent / "longer", scene.pole, scene.city, ordered=order(ends_at=NOON + timedelta(seconds=14)))
    shutil.copy(folder.parent / "longer/footage.mp4.age", folder / "footage.mp4.age")

    restate(folder)

    assert verdict_on(folder) == "holds"
    assert verdict_on(folder, identities=[PARTY]) == "altered"


def test_a_video_sealed_to_somebody_else_is_named_to_the_party(folder: Path) -> None:
    (folder / "footage.mp4.age").unlink()
    with sealed_file(folder / "footage.mp4.age", STRANGER.recipient) as output:
        output.write(b"anything")

    restate(folder)

    assert verdict_on(folder, identities=[PARTY]) == "wrong recipient"


def test_a_log_key_that_the_reader_knows_otherwise_is_named(folder: Path, scene: Scene) -> None:
    assert verdict_on(folder, log_key=scene.pole.log_key) == "holds"
    assert verdict_on(folder, log_key=scene.other.log_key) == "other signer"


def test_a_witness_that_the_reader_does_not_trust_is_none(folder: Path) -> None:
    stranger = replace(WITNESS_KEY, public=MemoryKeyring(b"y" * 32).public)

    assert verdict_on(folder, witnesses=[stranger]) == "not witnessed"


@given(chance=st.randoms(use_true_random=False))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example puts back what it changed
)
def test_no_bit_of_the_folder_can_be_flipped_unseen(chance: Random, folder: Path) -> None:
    path = chance.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    before = path.read_bytes()
    content = bytearray(before)
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)

    said = verdict_on(folder)

    path.write_bytes(before)
    assert said != "holds"


def test_another_city_is_told_by_its_root(scene: Scene, folder: Path) -> None:
    from tests.fakes.city import foreign_root  # noqa: PLC0415 - made with a city of its own, which takes a while

    assert verdict_on(folder, trusted_root=foreign_root()) == "other signer"


def test_each_kind_of_no_has_an_exit_status_and_a_case() -> None:
    statuses = [kind.exit_status for kind, _ in KINDS]
    shown = {*ON_THE_WAY.values(), *CUSTODIANS.values(), "wrong recipient"}

    assert len(set(statuses)) == len(statuses)
    assert {word for _, word in KINDS} == shown


def test_nothing_is_said_to_hold_that_was_not_verified(folder: Path) -> None:
    drop(folder, None)  # type: ignore[arg-type]
    judgement: Judgement = judge(Exhibit(folder), now=LATER)

    assert [each for each in judgement.holds if "signed the statement" not in each] == []


def test_the_page_says_what_the_command_says(scene: Scene, tmp_path: Path) -> None:
    expected: dict[str, str] = {}
    for tamper, kind in ON_THE_WAY.items():
        folder = shutil.copytree(scene.exhibit, tmp_path / tamper.__name__)
        tamper(folder, scene)
        expected[tamper.__name__] = kind
    for restated, kind in CUSTODIANS.items():
        folder = shutil.copytree(scene.exhibit, tmp_path / restated.__name__)
        restate(folder, lambda stated, tamper=restated, below=folder: tamper(stated, below))
        expected[restated.__name__] = kind
    shutil.copytree(scene.exhibit, tmp_path / "untouched")
    for name in (put_a_pipe.__name__, put_a_folder.__name__):  # no browser hands these over
        shutil.rmtree(tmp_path / name)
        del expected[name]
    expected |= {
        "untouched": "holds",
        put_a_link.__name__: "cut",  # a browser hands over no links: the file is simply not there
    }

    told = page_on(*(tmp_path / name for name in expected))

    assert {name: told[str(tmp_path / name)]["verdict"] for name in expected} == expected


def page_on(*folders: Path) -> Any:
    """Return what the page says of folders; its script runs in Node, which has the browser's Web Crypto."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    program = ROOT / "tests/tools/verify_page.mjs"
    page = ROOT / "provisioning/web/evidence/verify.html"
    done = subprocess.run([node, program, page, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
