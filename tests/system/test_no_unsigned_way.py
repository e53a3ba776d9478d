"""There is no way from an unsigned file to a recording camera: one test reads the source, the others try."""

import ast
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import cbor2
import pytest

from agent import config
from agent.adapters.policy_store import PolicyStore
from agent.core.status import RecordingState
from provisioning.clock import wait
from tests.fakes.desk import Desk

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"LAMPPOST_CAMERA__WIDTH_PX": "320", "LAMPPOST_CAMERA__HEIGHT_PX": "180"}
LONG_ENOUGH = timedelta(seconds=2)


def says_recording(tree: ast.AST) -> bool:
    """Return whether a call or a literal gives `recording` a value that may be true."""
    given = [(node.arg, node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    for node in ast.walk(tree):
        match node:
            case ast.Dict():
                given += [
                    (key.value, value)
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant)
                ]
            case ast.Call(func=ast.Name(id="setattr" | "__setattr__"), args=[_, ast.Constant(value=name), value]):
                given.append((name, value))
            case ast.Call(func=ast.Attribute(attr="__setattr__"), args=[*_, ast.Constant(value=name), value]):
                given.append((name, value))
    return any(name == "recording" and not is_harmless(value) for name, value in given)


def is_harmless(value: ast.expr) -> bool:
    """Return whether it forbids, or tells what a decision says."""
    match value:
        case ast.Constant(value=False) | ast.Attribute(attr="recording"):
            return True
    return False


@pytest.mark.parametrize(
    "source",
    [
        "Decision(recording=True)",
        "replace(decision, recording=1 < 2)",
        'Decision(**{"recording": found})',
        'object.__setattr__(decision, "recording", True)',
        'setattr(decision, "recording", yes)',
    ],
)
def test_whatever_way_a_permission_is_written_it_is_found(source: str) -> None:
    assert says_recording(ast.parse(source))
    assert not says_recording(ast.parse("Decision(recording=False, reason=recording)"))


def test_a_permission_to_record_is_written_in_one_place_of_the_source() -> None:
    """`recording=True` is what a Decision needs, and only `decide` says it."""
    places = {
        path.relative_to(ROOT).as_posix()
        for folder in ("agent", "provisioning")
        for path in (ROOT / folder).rglob("*.py")
        if says_recording(ast.parse(path.read_text(encoding="utf-8")))
    }

    assert places == {"agent/core/policy/decide.py"}


def test_the_recorder_takes_decisions_from_the_policy_watch_only() -> None:
    app = (ROOT / "agent/recorder/app.py").read_text(encoding="utf-8")

    assert re.findall(r"Narrowing\((.*?)\)", app) == ["watch.decision_now"]


def test_no_setting_and_no_option_speaks_of_permission() -> None:
    words = re.compile(r"desk|unsigned|insecure|allow|force|skip|bypass|trust")
    command_line = (ROOT / "agent/__main__.py").read_text(encoding="utf-8")

    assert [key for key in config.known_keys() if words.search(key)] == []
    assert [option for option in re.findall(r'"(--[a-z-]+)"', command_line) if words.search(option)] == []


def unsigned_bundle(desk: Desk) -> bytes:
    """A release of which every signature was taken away."""
    entries = cbor2.loads(desk.city.publish())
    stripped = {
        name: json.dumps({**json.loads(raw), "signatures": []}).encode() if name.startswith("metadata/") else raw
        for name, raw in entries.items()
    }
    return cbor2.dumps(stripped, canonical=True)


def plain_decision(_: Desk) -> bytes:
    return b'{"recording": true, "recipients": ["age1..."], "zones": []}'


def nothing(_: Desk) -> bytes:
    return b""


def far_too_much(_: Desk) -> bytes:
    return bytes(3 * 1024 * 1024)


@pytest.mark.slow
@pytest.mark.parametrize("forged", [unsigned_bundle, plain_decision, nothing, far_too_much])
def test_what_is_not_signed_leaves_the_camera_dark_and_is_refused_in_words(
    tmp_path: Path, forged: Callable[[Desk], bytes]
) -> None:
    desk = Desk(tmp_path / "card", source="streetscene:empty", settings=SETTINGS)
    desk.camera.start()

    desk.camera.deliver(forged(desk))
    desk.camera.wait_for(
        "a refusal", lambda _: any(event["kind"] == "policy-refused" for event in desk.camera.events())
    )
    desk.camera.wait_for("pictures that could be recorded", lambda status: status.frames.captured > 0)
    wait(LONG_ENOUGH)
    status = desk.camera.wait_for("a status", lambda _: True)
    desk.camera.stop()

    assert status.state is RecordingState.DARK
    assert status.frames.stored == 0
    assert not list(desk.camera.footage.rglob("*.age*"))
    (refused,) = [event for event in desk.camera.events() if event["kind"] == "policy-refused"]
    assert refused["reason"]


@pytest.mark.slow
def test_a_policy_store_written_by_hand_grants_nothing(tmp_path: Path) -> None:
    """A card whose accepted policy was changed by someone who knows its format: every checksum fits, no signature."""
    honest = Desk(tmp_path / "honest", source="streetscene:empty", settings=SETTINGS)
    honest.publish()
    honest.camera.start()
    honest.camera.wait_for("recording", lambda status: status.state is RecordingState.RECORDING)
    honest.camera.stop()
    store = PolicyStore(tmp_path / "honest" / "state" / "policy")
    kept = store.load()
    assert kept.accepted is not None
    more = kept.accepted.bundle.replace(b'"max_rate_hz":30', b'"max_rate_hz":60')
    assert more != kept.accepted.bundle
    store.commit(kept.floors, replace(kept.accepted, bundle=more))

    honest.camera.start()
    wait(LONG_ENOUGH)
    status = honest.camera.wait_for("pictures", lambda status: status.frames.captured > 0)
    honest.camera.stop()

    assert status.state is RecordingState.DARK
    assert "does not verify" in status.decision.reason
    assert status.frames.stored == 0
