"""After a run, a kill and another run, the camera's log is signed and tells of every file there is, to the byte."""

from hashlib import sha256
from pathlib import Path

import pytest

from agent.core.log.leaf import Event, parse_leaf
from agent.core.log.merkle import leaf_hash, verify_inclusion
from agent.core.log.note import parse_verifier_key
from agent.core.sealing.age_file import read_header
from provisioning.evidence.camera_log import CameraLog
from tests.fakes.desk import CAMERA, Desk


def events(log: CameraLog) -> list[Event]:
    return [parse_leaf(leaf) for _, leaf in log.leaves()]


@pytest.mark.slow
def test_every_file_has_its_leaf(tmp_path: Path) -> None:
    desk = Desk(
        tmp_path,
        source="streetscene",
        settings={
            "LAMPPOST_CAMERA__WIDTH_PX": "640",
            "LAMPPOST_CAMERA__HEIGHT_PX": "360",
            "LAMPPOST_SEGMENTS__LENGTH_S": "2",
        },
    )
    desk.publish()
    desk.camera.start()
    desk.camera.wait_for("two segments", lambda status: status.storage.segments >= 2)
    desk.camera.wait_for("a confirmed fragment", lambda status: status.frames.stored > 60)
    desk.camera.kill()
    desk.camera.start()
    desk.camera.wait_for("another segment", lambda status: status.frames.stored > 60)
    desk.camera.stop()

    folder = tmp_path / "state" / "log"
    (first_line, *_) = min(folder.glob("events-*")).read_bytes().splitlines()
    key = parse_verifier_key(str(parse_leaf(first_line).facts["log_key"]))
    log = CameraLog(folder, key)
    told = events(log)

    assert key.name.startswith(f"lamppost/{CAMERA}/")
    assert [event.number for event in told] == list(range(log.checkpoint.size))
    assert [event.facts["start"] for event in told if event.kind == "started"] == [1, 2]
    assert told[-1].kind == "stopped"  # and is signed for
    for index, leaf in log.leaves():
        verify_inclusion(
            index=index,
            size=log.checkpoint.size,
            leaf=leaf_hash(leaf),
            proof=log.inclusion_proof(index),
            root=log.checkpoint.root,
        )
    leaves = {event.facts["file"]: event.facts for event in told if event.kind.startswith("segment-")}
    files = {path.name: path.read_bytes() for path in desk.camera.footage.rglob("*.age")}
    assert leaves.keys() == files.keys()
    assert len(files) >= 3
    for name, facts in leaves.items():
        assert (facts["sha256"], facts["size_bytes"]) == (sha256(files[str(name)]).hexdigest(), len(files[str(name)]))
    stored = [event.facts for event in told if event.kind == "segment-stored"]
    assert {facts["header_sha256"] for facts in stored} <= {
        sha256(bytes(read_header(iter([content])))).hexdigest() for content in files.values()
    }
    assert all(facts["frames_stored"] == facts["frames_in"] for facts in stored)
