"""Whatever can be done to a folder of evidence, and which kind of no each is: one table, for the command and the page.

Two people tamper. *Somebody on the way* can do anything to the files and signs nothing. *The custodian* who exported
can also sign anew whatever they like; what they cannot do is sign for the camera or for the witness.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.core.log.checkpoint import Checkpoint, log_key, open_checkpoint, sign_checkpoint
from provisioning.authority.city import CityFolder
from provisioning.evidence.statement import sign_statement
from tests.fakes.city import key_of
from tests.fakes.exhibits import TAKES, MemoryKeyring, Pole, city_with_sharing, make_exhibit, restate


@dataclass(frozen=True)
class Scene:
    """What tampering needs: the camera, another one, the same camera with another history, and the export."""

    pole: Pole
    other: Pole
    forged: Pole
    rewound: Pole
    city: CityFolder
    exhibit: Path


def make_scene(folder: Path) -> Scene:
    """Record, and export, below `folder`."""
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


def segment(folder: Path, number: int) -> Path:
    """Return the sealed segment of that number in a folder of evidence."""
    (path,) = folder.glob(f"segments/*-{number:08d}.mp4.age")
    return path


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def _change_leaves(folder: Path, change: Callable[[list[Any]], None]) -> None:
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
    _change_leaves(folder, lambda leaves: leaves.insert(0, leaves.pop(2)))


def flip_in_a_segment(folder: Path, scene: Scene) -> None:
    _flip(segment(folder, 2), -500)


def flip_in_the_video(folder: Path, scene: Scene) -> None:
    _flip(folder / "footage.mp4.age", -500)


def flip_in_the_statement(folder: Path, scene: Scene) -> None:
    path = folder / "statement.json"
    path.write_text(path.read_text().replace("2026-CR-118", "2026-CR-119", 1))


def flip_in_a_leaf(folder: Path, scene: Scene) -> None:
    def change(leaves: list[Any]) -> None:
        leaves[2]["leaf"] = leaves[2]["leaf"].replace('"frames_failed_closed":3', '"frames_failed_closed":0')

    _change_leaves(folder, change)


def flip_in_the_bundle(folder: Path, scene: Scene) -> None:
    _flip(folder / "city/policy.bundle", -500)


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
    _change_leaves(folder, lambda leaves: leaves.pop(2) and None)


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


ON_THE_WAY: dict[Callable[[Path, Scene], None], str] = {
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


# --- the custodian ------------------------------------------------------------


def leave_a_segment_out(stated: dict[str, Any], folder: Path) -> None:
    left_out = stated["segments"].pop(1)
    (folder / left_out["path"]).unlink()
    (folder / left_out["header"]).unlink()


def leave_a_leaf_out_too(stated: dict[str, Any], folder: Path) -> None:
    left_out = stated["segments"].pop(1)
    _change_leaves(
        folder, lambda leaves: leaves.remove(next(one for one in leaves if one["index"] == left_out["leaf"]))
    )


def end_the_run_early(stated: dict[str, Any], folder: Path) -> None:
    last = stated["segments"].pop()
    stated["log"]["last_leaf"] = last["leaf"] - 1
    _change_leaves(folder, lambda leaves: [leaves.pop() for _ in range(stated["log"]["size"] - last["leaf"])] and None)


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


CUSTODIANS: dict[Callable[[dict[str, Any], Path], None], str] = {
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


# --- the table ----------------------------------------------------------------


@dataclass(frozen=True)
class Tampering:
    """One row.

    Attributes:
        name: Of what is done.
        do: Does it.
        kind: Which kind of no it is; "holds" if none.
        in_a_browser: The same where a browser hands the folder over; None if it cannot.
    """

    name: str
    do: Callable[[Path, Scene], None]
    kind: str
    in_a_browser: str | None

    def __str__(self) -> str:
        return self.name


def _signed_anew(tamper: Callable[[dict[str, Any], Path], None]) -> Callable[[Path, Scene], None]:
    return lambda folder, _: restate(folder, lambda stated: tamper(stated, folder))


def untouched(folder: Path, scene: Scene) -> None:
    pass


def with_another_history(history: str) -> Callable[[Path, Scene], None]:
    """Return who exports anew from the camera's other history, against what the witness saw of the first."""

    def tamper(folder: Path, scene: Scene) -> None:
        pole: Pole = getattr(scene, history)
        shutil.rmtree(folder)
        make_exhibit(folder, pole, scene.city, sources=replace(pole.sources(), witnessed=None))
        assert scene.pole.witnessed is not None
        (folder / "log/witnessed").write_bytes(scene.pole.witnessed)
        restate(folder)

    return tamper


# A browser follows no link and opens no pipe: put_a_link is a file that is not there.
_ELSEWHERE: dict[Callable[[Path, Scene], None], str | None] = {put_a_link: "cut", put_a_folder: "cut", put_a_pipe: None}

TABLE = (
    Tampering("untouched", untouched, "holds", "holds"),
    *(Tampering(do.__name__, do, kind, _ELSEWHERE.get(do, kind)) for do, kind in ON_THE_WAY.items()),
    *(Tampering(f"custodian: {do.__name__}", _signed_anew(do), kind, kind) for do, kind in CUSTODIANS.items()),
    Tampering("custodian: forked_history", with_another_history("forged"), "forked log", "forked log"),
    Tampering("custodian: old_card", with_another_history("rewound"), "old card", "old card"),
)
