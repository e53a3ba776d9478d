"""The broker's files say what the contract needs, and no name can smuggle a line into them."""

import pytest

from provisioning.broker.mosquitto import mosquitto_acl


def test_a_camera_is_held_to_its_own_subtree_by_one_pattern() -> None:
    lines = mosquitto_acl("backend.lamppost").splitlines()

    assert [line for line in lines if line.startswith("pattern")] == [
        "pattern write lamppost/v1/cam/%u/up/#",
        "pattern read lamppost/v1/cam/%u/down/#",
    ]


def test_a_barred_camera_is_denied_by_name() -> None:
    text = mosquitto_acl("backend.lamppost", barred=("cam-9", "cam-1"))

    assert text.endswith("user cam-1\ntopic deny #\n\n# Its certificate was revoked.\nuser cam-9\ntopic deny #\n")


@pytest.mark.parametrize("name", ["cam-1\nuser backend.lamppost\ntopic write #", "", "#", "backend.lamppost"])
def test_what_is_no_camera_id_gets_no_line(name: str) -> None:
    with pytest.raises(ValueError, match="not a camera id"):
        mosquitto_acl("backend.lamppost", barred=(name,))
