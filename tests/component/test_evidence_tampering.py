"""Whatever is done to a folder of evidence, verifying it says which kind of no.

What is done is in tests/fakes/tampering.py; the page is held to the same table.
"""

import json
import shutil
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import ForkedEvidenceError, LamppostError, RewoundEvidenceError
from provisioning import __main__ as program
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.judging import KINDS, Judgement, judge, kind_of, verdict
from provisioning.evidence.sealing import sealed_file
from tests.fakes.documents import NOON
from tests.fakes.exhibits import PARTY, STRANGER, WITNESS_KEY, MemoryKeyring, Pole, make_exhibit, order, restate
from tests.fakes.tampering import TABLE, Scene, Tampering, drop, make_scene, segment

LATER = NOON + timedelta(hours=1)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("tampering"))


@pytest.fixture
def folder(scene: Scene, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scene.exhibit, tmp_path / "exhibit"))


def verdict_on(folder: Path, **knowing: Any) -> str:
    no = verdict(judge(Exhibit(folder), now=LATER, **knowing))
    return "holds" if no is None else kind_of(no)


# --- the table ----------------------------------------------------------------


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_the_command_names_it(
    row: Tampering,
    folder: Path,
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    row.do(folder, scene)
    monkeypatch.setattr(sys, "argv", ["lamppost", "evidence", "verify", str(folder), "--json"])

    with pytest.raises(SystemExit) as exit_:
        program.main()

    status = next((kind.exit_status for kind, word in KINDS if word == row.kind), 0)
    assert (json.loads(capsys.readouterr().out)["verdict"], int(exit_.value.code or 0)) == (row.kind, status)


# --- what the table has no column for ------------------------------------------


def test_signing_anew_what_was_not_changed_changes_nothing(folder: Path) -> None:
    restate(folder)

    assert verdict_on(folder, identities=[PARTY]) == "holds"


def test_another_cameras_segment_under_the_name_of_this_one_is_named(folder: Path, scene: Scene) -> None:
    shutil.copy(scene.other.paths[1], segment(folder, 2))

    restate(folder)

    assert verdict_on(folder) == "altered"  # what it says inside needs a key, and no header opens it


@pytest.mark.parametrize(("history", "raised"), [("forged", ForkedEvidenceError), ("rewound", RewoundEvidenceError)])
def test_another_history_of_the_camera_is_not_exported(
    history: str, raised: type[LamppostError], scene: Scene, tmp_path: Path
) -> None:
    pole: Pole = getattr(scene, history)
    sources = replace(pole.sources(), witnessed=scene.pole.witnessed)

    with pytest.raises(raised):
        make_exhibit(tmp_path / "refused", pole, scene.city, sources=sources)

    assert list(tmp_path.iterdir()) == []


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
    shown = {*(row.kind for row in TABLE if row.kind != "holds"), "wrong recipient"}

    assert len(set(statuses)) == len(statuses)
    assert {word for _, word in KINDS} == shown


def test_nothing_is_said_to_hold_that_was_not_verified(folder: Path) -> None:
    drop(folder, None)  # type: ignore[arg-type]
    judgement: Judgement = judge(Exhibit(folder), now=LATER)

    assert [each for each in judgement.holds if "signed the statement" not in each] == []
