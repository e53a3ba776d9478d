"""Every sentence that the programs ask for is in the one file of sentences, and none lies there unused."""

import re
import tomllib
from pathlib import Path

from agent.core.enrolment.signs import Stage
from provisioning.enrolment.steps import Step
from provisioning.words import section, words

ROOT = Path(__file__).resolve().parents[2] / "provisioning"
SENTENCES = tomllib.loads((ROOT / "words" / "en.toml").read_text(encoding="utf-8"))
BY_VALUE = {"lamp", "steps"}  # asked for by a value's name, or whole


SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py"))


def test_what_is_asked_for_is_there() -> None:
    there = {f"{name}.{key}" for name, keys in SENTENCES.items() for key in keys}

    assert set(re.findall(r"""\bwords\(\s*["']([a-z_.]+)["']""", SOURCES)) <= there


def test_what_is_there_is_asked_for() -> None:
    for name, keys in SENTENCES.items():
        for key in keys if name not in BY_VALUE else ():
            assert re.search(rf"""["'](?:{name}\.)?{key}["']""", SOURCES), f"{name}.{key}"


def test_every_stage_and_every_step_has_its_sentence() -> None:
    assert set(section("lamp")) == {stage.value for stage in Stage}
    assert set(section("steps")) == {step.value for step in Step}


def test_values_stand_in_their_places() -> None:
    assert words("end.done", camera="cam-07") == "cam-07 is provisioned"
