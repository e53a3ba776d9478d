"""A node's files hold each camera to its own subtree, and no name can smuggle a line into them."""

from pathlib import PurePosixPath

import pytest

from provisioning.broker.ejabberd import Node, ejabberd_barred, ejabberd_yml, ejabberdctl_cfg

NODE = Node(
    folder=PurePosixPath('/etc/it\'s: a "folder"'), address="192.0.2.1", port=8883, backend_name="backend.lamppost"
)


def test_a_camera_is_held_to_its_own_subtree_by_one_pattern() -> None:
    rules = [line.strip() for line in ejabberd_yml(NODE).splitlines() if "lamppost/v1/cam" in line]

    assert rules == [
        '"lamppost/v1/cam/%u/up/#": camera',
        '"lamppost/v1/cam/+/down/#": backend',
        '"lamppost/v1/cam/%u/down/#": camera',
        '"lamppost/v1/cam/+/up/#": backend',
    ]


def test_what_a_folder_is_called_stays_one_word() -> None:
    assert r'  - "/etc/it' + "'" + r's: a \"folder\"/server.key"' in ejabberd_yml(NODE).splitlines()
    assert "export OPENSSL_CONF='/etc/it'\\''s: a \"folder\"/openssl.cnf'" in ejabberdctl_cfg(NODE).splitlines()


def test_a_barred_camera_is_denied_by_name() -> None:
    assert ejabberd_barred(("cam-9", "cam-1")).endswith('    user:\n      - "cam-1"\n      - "cam-9"\n')
    assert ejabberd_barred().endswith("    user: []\n")


@pytest.mark.parametrize("name", ["cam-1\n  backend:\n    user: cam-1", "", "#", "backend.lamppost"])
def test_what_is_no_camera_id_gets_no_line(name: str) -> None:
    with pytest.raises(ValueError, match="not a camera id"):
        ejabberd_barred((name,))
