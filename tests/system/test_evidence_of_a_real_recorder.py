"""What the recorder itself wrote, through a crash, becomes evidence that holds: leaves, checkpoint, sealed segments."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent.core.log.checkpoint import cosign_checkpoint, open_checkpoint
from agent.core.log.note import MAX_NOTE_BYTES, parse_verifier_key
from agent.core.sealing.recipients import PostQuantumIdentity
from agent.errors import EvidenceAlteredError
from provisioning.authority.city import bundle, read_city
from provisioning.authority.files import read_capped
from provisioning.clock import precise_now
from provisioning.demo.camera import DemoCamera
from provisioning.evidence.authority import Authority
from provisioning.evidence.city_log import CityLog
from provisioning.evidence.exhibit import Exhibit
from provisioning.evidence.export import export
from provisioning.evidence.judging import judge
from provisioning.evidence.order import Custodian, Sources
from tests.fakes.desk import keys_now
from tests.fakes.documents import CAMERA
from tests.fakes.exhibits import WITNESS, WITNESS_KEY, city_with_sharing, order
from tests.fakes.officials import enact, official

SMALL = {"LAMPPOST_CAMERA__WIDTH_PX": "640", "LAMPPOST_CAMERA__HEIGHT_PX": "360"}


@pytest.mark.slow
def test_a_crash_and_what_was_recorded_before_and_after_it_are_evidence(tmp_path: Path) -> None:
    began = precise_now().replace(microsecond=0)
    custodian, party = PostQuantumIdentity.generate(), PostQuantumIdentity.generate()
    city = city_with_sharing(
        tmp_path / "city", founded_at=began - timedelta(minutes=2), recipients=("custodian",), max_rate_hz=30
    )
    enact(city, keys_now(began, str(custodian.recipient)), "custodian", now=began)
    release = read_city(city)
    camera = DemoCamera(
        tmp_path / "card",
        camera=CAMERA,
        source="streetscene",
        root=release.first_root,
        now=precise_now,
        settings=SMALL,
    )
    camera.deliver(bundle(release))
    camera.start()
    camera.wait_for("a confirmed fragment", lambda status: status.frames.stored > 0)
    camera.kill()
    add_blocks_that_were_never_written(camera.footage)
    camera.start()
    camera.wait_for("more of them", lambda status: status.frames.stored > 15)
    camera.stop()
    log_key = parse_verifier_key(next(event["log_key"] for event in camera.events() if "log_key" in event))
    note = read_capped(tmp_path / "card/state/log/checkpoint", max_bytes=MAX_NOTE_BYTES)
    open_checkpoint(note, log_key)
    key = official("custodian")

    statement = export(
        replace(
            order(recipient=party.recipient),
            starts_at=began,
            ends_at=precise_now(),
            expires_at=began + timedelta(days=90),
        ),
        authority=Authority(release),
        custodian=Custodian(card=key.card, unlock=lambda: key, identities=lambda: [custodian]),
        city_log=CityLog(city.path / "log"),
        sources=Sources(
            place=camera.footage,
            log=tmp_path / "card/state/log",
            log_key=log_key,
            witnessed=cosign_checkpoint(note, WITNESS_KEY, WITNESS.sign, now=precise_now()),
            witnesses=(WITNESS_KEY,),
        ),
        out=tmp_path / "out",
        now=precise_now().replace(microsecond=0),
    )
    judgement = judge(Exhibit(tmp_path / "out"), identities=[party], now=precise_now())

    assert judgement.findings == []
    assert [segment.truncated for segment in statement.segments][:1] == [True]
    assert len(statement.segments) >= 2
    assert sum(segment.frames for segment in statement.segments) == statement.footage.frames
    assert all(gap.why for gap in statement.gaps)

    alter_the_middle_of(tmp_path / "out" / statement.segments[0].path)
    judgement = judge(Exhibit(tmp_path / "out"), identities=[party], now=precise_now())

    assert any(isinstance(finding, EvidenceAlteredError) for finding in judgement.findings)


def alter_the_middle_of(segment: Path) -> None:
    """Change a byte of what was written before the power cut: only what nobody wrote may fail to open."""
    content = bytearray(segment.read_bytes())
    content[len(content) // 4] ^= 1
    segment.chmod(0o600)
    segment.write_bytes(content)


def add_blocks_that_were_never_written(footage: Path) -> None:
    """Leave the running segment as ext4 does that had set blocks aside: zeros behind what was written."""
    (running,) = footage.rglob("*.part")
    with running.open("ab") as file:
        file.write(bytes(3 * 64 * 1024))
