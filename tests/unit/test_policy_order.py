"""`permits_no_more_than` looks at every field that permits, and at none that only tells."""

from dataclasses import fields, replace
from typing import Any

import pytest

from agent.core.policy.decision import ApprovedModel, Decision, HeldSpan, LiveView, Originals, PeopleMode, Revocation
from agent.core.policy.order import less_shown, more_shown, permits_no_more_than
from agent.core.zones import View, Zone
from tests.fakes.documents import DAY, NOON

ZONE = Zone(name="windows", polygon=((0.1, 0.1), (0.3, 0.1), (0.3, 0.4)))
RECORDING = Decision(
    recording=True,
    reason="records",
    intended_use="SL-T1-1",
    permissible_uses=("public-safety/detect-crime",),
    zones=(ZONE,),
    view=View(),
    people=PeopleMode.PEOPLE,
    originals=Originals.NONE,
    recipients=("age1a",),
    retention=30 * DAY,
    max_height_px=720,
    max_rate_hz=10,
    live=LiveView.NONE,
    holds=(HeldSpan("h-1", NOON, NOON + DAY),),
    biometrics_locked=True,
    revocation=Revocation.PAUSE,
)
MORE = {
    "permissible_uses": ("public-safety/detect-crime", "traffic/volume"),
    "zones": (),
    "people": PeopleMode.HEADS,
    "originals": Originals.SEALED,
    "recipients": ("age1a", "age1b"),
    "originals_recipients": ("age1c",),
    "retention": 31 * DAY,
    "max_height_px": 1080,
    "max_rate_hz": 11,
    "live": LiveView.PUBLIC,
    "biometrics_locked": False,
    "models": (ApprovedModel("a" * 64),),
    "holds": (),
    "revocation": Revocation.NONE,
}
ANOTHER = {"intended_use": "SL-T1-2", "view": View(4, 3, 0)}
TELLS_ONLY: dict[str, Any] = {
    "reason": "another sentence",
    "waivers": ("w-1",),
    "sources": ("g-1",),
    "policy_digest": "0" * 64,
    "changes_at": NOON,
    "keys_until": NOON.date(),
}


@pytest.mark.parametrize("name", MORE)
def test_a_decision_with_more_of_one_thing_permits_more(name: str) -> None:
    more = replace(RECORDING, **{name: MORE[name]})

    assert permits_no_more_than(RECORDING, more)
    assert not permits_no_more_than(more, RECORDING)


@pytest.mark.parametrize("name", ANOTHER)
def test_another_use_or_view_is_neither_more_nor_less(name: str) -> None:
    other = replace(RECORDING, **{name: ANOTHER[name]})

    assert not permits_no_more_than(RECORDING, other)
    assert not permits_no_more_than(other, RECORDING)


@pytest.mark.parametrize("name", TELLS_ONLY)
def test_what_only_tells_is_not_compared(name: str) -> None:
    other = replace(RECORDING, **{name: TELLS_ONLY[name]})

    assert permits_no_more_than(RECORDING, other)
    assert permits_no_more_than(other, RECORDING)


def test_every_field_is_one_or_the_other() -> None:
    named = {*MORE, *ANOTHER, *TELLS_ONLY, "recording"}

    assert named == {field.name for field in fields(Decision)}


def test_dark_permits_less_than_recording() -> None:
    dark = replace(RECORDING, recording=False, retention=90 * DAY, recipients=(), zones=())

    assert permits_no_more_than(dark, RECORDING)
    assert not permits_no_more_than(RECORDING, dark)


def test_a_dark_camera_with_a_model_permits_more_than_one_without() -> None:
    counting = replace(RECORDING, recording=False, models=(ApprovedModel("a" * 64),))

    assert not permits_no_more_than(counting, RECORDING)


def test_people_modes_are_ordered_by_what_shows() -> None:
    assert less_shown(PeopleMode.SCENE, PeopleMode.HEADS) is PeopleMode.SCENE
    assert more_shown(PeopleMode.SCENE, PeopleMode.HEADS) is PeopleMode.HEADS
