"""The promises that the source itself keeps: who may make what, and what nobody may do."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.counting import Cell, Row
from agent.core.masking.sightings import Look, Region, Sighting

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("agent", "provisioning")

# type → the one module that may construct it on a camera
MADE_IN_ONE_PLACE = {
    "MaskedFrame": "agent/core/masking/masker.py",
    "SealedFragment": "agent/core/sealing/segment.py",
    "VerifiedDocuments": "agent/core/policy/admission.py",
}

# module → why it may catch everything
MAY_CATCH_ALL = {
    "agent/core/masking/masker.py": "whatever a mask stage throws, the answer is to hide the frame",
}

INPUT_AND_OUTPUT = {
    "asyncio", "fcntl", "http", "multiprocessing", "os", "pathlib", "requests", "shutil", "signal", "socket",
    "subprocess", "tempfile", "threading", "time", "urllib", "av", "cv2", "tuf",
}  # fmt: skip

# Face recognisers and embedders; a detector gives boxes, these give identities.
BIOMETRICS = (
    "FaceRecognizer", "face_recognition", "import dlib", "insightface", "deepface", "facenet", "arcface", "embedding",
)  # fmt: skip


def sources(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def called_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield name


@pytest.mark.parametrize(("made", "home"), MADE_IN_ONE_PLACE.items())
def test_a_type_that_carries_a_promise_is_made_in_one_module(made: str, home: str) -> None:
    makers = {path for path, tree in sources("agent") if made in called_names(tree)}

    assert makers == {home}


def test_people_make_none_of_them_but_to_look_ahead() -> None:
    makers = {path for path, tree in sources("provisioning") if MADE_IN_ONE_PLACE.keys() & set(called_names(tree))}

    assert makers <= {"provisioning/authority/outlook.py"}  # `policy explain` and `simulate`: nothing obeys them


def test_nobody_copies_a_promise_with_replace() -> None:
    for path, tree in sources(*PACKAGES):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "replace":
                assert not any(
                    isinstance(argument, ast.Name) and argument.id in {"masked", "sealed"} for argument in node.args
                ), path


def test_raw_frames_are_made_by_cameras_only() -> None:
    makers = {path for path, tree in sources(*PACKAGES) if "RawFrame" in called_names(tree)}

    others = {path for path in makers if not path.startswith("agent/adapters/")}
    assert others == {"agent/recorder/selftest.py"}  # a grey picture, filled before it is encoded, and thrown away


def test_the_core_touches_nothing() -> None:
    for path, tree in sources("agent/core"):
        for node in ast.walk(tree):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            touched = {module.split(".")[0] for module in modules} & INPUT_AND_OUTPUT
            assert touched <= ({"os"} if path.startswith("agent/core/sealing/") else set()), path  # os.urandom
        assert not any(
            isinstance(node, ast.Name) and node.id in {"open", "print", "input"} for node in ast.walk(tree)
        ), path


def test_nothing_catches_everything_without_a_reason() -> None:
    broad = set()
    for path, tree in sources(*PACKAGES):
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and not any(isinstance(step, ast.Raise) for step in node.body):
                names = (
                    {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else {"all"}
                )
                if names & {"all", "Exception", "BaseException"}:
                    broad.add(path)

    assert broad == set(MAY_CATCH_ALL)


def test_nothing_computes_an_identity() -> None:
    for path, tree in sources(*PACKAGES):
        for node in ast.walk(tree):
            match node:
                case (
                    ast.Name(id=word)
                    | ast.Attribute(attr=word)
                    | ast.ImportFrom(module=str(word))
                    | ast.alias(name=word)
                ):
                    assert not any(banned.lower() in word.lower() for banned in BIOMETRICS), (path, word)


def test_nets_run_in_one_module() -> None:
    runtimes = {"ai_edge_litert", "onnxruntime", "torch", "tensorflow", "tflite_runtime", "mediapipe", "openvino"}
    running = {
        path
        for path, tree in sources(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for module in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if module.split(".")[0] in runtimes
    }
    reading_nets = {
        path
        for path, tree in sources(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (node.attr.startswith("readNet") or ast.unparse(node) in {"cv2.dnn", "cv2.face"})
    }

    assert running == {"agent/adapters/detector.py"}
    assert reading_nets == set()


@pytest.mark.parametrize(
    ("told", "allowed"),
    [
        (Region, {"left": "float", "top": "float", "right": "float", "bottom": "float"}),
        (Sighting, {"where": "Region", "kind": "Kind", "score": "float"}),
        (Look, {"pts_us": "int", "regions": "tuple[Region, ...]", "sightings": "tuple[Sighting, ...]"}),
        (Cell, {"what": "str", "count": "int | None"}),
        (Row, {"place": "str", "interval_at": "datetime", "watched_s": "int", "cells": "tuple[Cell, ...]"}),
    ],
)
def test_what_a_detector_and_a_count_tell_has_no_room_for_an_identity(told: type, allowed: dict[str, str]) -> None:
    """Boxes, kinds, scores and sums: no vector to know a face or a gait again by, and no number of a track."""
    tree = ast.parse(Path(str(inspect.getsourcefile(told))).read_text(encoding="utf-8"))
    (definition,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == told.__name__)

    fields = {
        ast.unparse(node.target): ast.unparse(node.annotation)
        for node in definition.body
        if isinstance(node, ast.AnnAssign)
    }
    assert fields == allowed


def test_a_track_stays_with_the_module_that_counts() -> None:
    knowing = {
        path
        for path, tree in sources(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "agent.core.tracks"
    }
    named = {
        path
        for path, tree in sources(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Name, ast.arg, ast.Attribute))
        and {getattr(node, "id", ""), getattr(node, "arg", ""), getattr(node, "attr", "")}
        & {"tracking_id", "person_id", "face_id"}  # an MP4 has a track_id, of its pictures
    }

    assert knowing == {"agent/core/counting.py"}  # which makes sums of them
    assert named == set()


def test_the_folder_of_the_units_is_not_a_package() -> None:
    assert not (ROOT / "systemd" / "__init__.py").exists()  # the Debian binding has that name


def test_every_dependency_has_its_line_in_the_decision() -> None:
    import tomllib  # noqa: PLC0415 - this test alone reads it

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    reasons = (ROOT / "agent/decisions/0001-dependencies.md").read_text(encoding="utf-8")
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["device"]]:
        name = requirement.split(">")[0].split("[")[0]
        assert name in reasons, name


def test_no_file_names_a_package_registry() -> None:
    for path in [*ROOT.glob("*.lock"), ROOT / "pyproject.toml", ROOT / "Makefile"]:
        text = path.read_text(encoding="utf-8")
        assert "index-url" not in text.replace("--no-emit-index-url", ""), path
        assert "http" not in text, path
