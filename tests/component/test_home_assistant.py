"""Home Assistant learns of each camera, hears how it is, and can do nothing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.core.topics import Leaf, topic
from provisioning.backend.home_assistant import READER_NAME, discovery
from provisioning.backend.installation import announce_to_home_assistant
from provisioning.clock import utc_now
from tests.fakes.payloads import batch, birth, status
from tests.tools.backend_process import backend_at_work, until
from tests.tools.mosquitto import running_broker
from tests.tools.mqtt_client import Client

MARK = birth(sequence=9).to_bytes()


def reads(template: str) -> list[list[str]]:
    return [path.split(".") for path in re.findall(r"value_json\.([a-z_.]+)", template)]


@pytest.mark.parametrize("key", json.loads(discovery("cam-1")[1])["components"])
def test_each_entity_reads_what_a_status_has(key: str) -> None:
    entity = json.loads(discovery("cam-1")[1])["components"][key]
    told = json.loads(status().to_bytes())

    for path in reads(entity["value_template"]):
        value: Any = told
        for name in path:
            assert name in value, path
            value = value[name]
    assert reads(entity["value_template"])
    assert entity["unique_id"] == f"lamppost-cam-1-{key}"
    assert {"platform", "name"} <= entity.keys()


def test_a_camera_is_there_while_its_birth_says_so() -> None:
    where, payload = discovery("cam-1")
    told = json.loads(payload)

    assert where == "homeassistant/device/lamppost-cam-1/config"
    assert told["state_topic"] == topic("cam-1", Leaf.STATUS)
    assert [one["topic"] for one in told["availability"]] == [topic("cam-1", Leaf.BIRTH)]
    assert "online" in json.loads(birth().to_bytes())


def test_no_device_is_made_of_what_is_no_camera() -> None:
    with pytest.raises(ValueError, match="not a camera id"):
        discovery("../all")


def test_cameras_are_announced_once_wanted_and_only_health_is_heard(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker, backend_at_work(broker):
        broker.wait_for_client("backend.lamppost")
        early = Client(broker, *broker.enrol("cam-1", tmp_path))
        assert early.publish(topic("cam-1", Leaf.BIRTH), birth().to_bytes(), retain=True)

        place = announce_to_home_assistant(broker.folder, broker.authority, now=utc_now())
        home = Client(broker, place / "client.pem", place / "client.key", client_id=READER_NAME)
        for pattern in ("homeassistant/#", "lamppost/v1/cam/+/up/birth", "lamppost/v1/cam/+/up/status", "#"):
            home.subscribe(pattern)
        home.wait_until(lambda: any(payload == discovery("cam-1")[1] for _, payload in home.heard))
        late = Client(broker, *broker.enrol("cam-2", tmp_path))
        assert late.publish(topic("cam-2", Leaf.BIRTH), birth("cam-2").to_bytes(), retain=True)
        home.wait_until(lambda: any(payload == discovery("cam-2")[1] for _, payload in home.heard))

        assert not home.publish(topic("cam-1", Leaf.COMMAND, "reboot"), b"forged")
        assert not home.publish("homeassistant/device/lamppost-cam-1/config", b"")
        assert not early.publish("homeassistant/device/lamppost-cam-2/config", b"forged")
        assert early.publish(topic("cam-1", Leaf.LOG), batch([b"a"]).to_bytes())
        assert early.publish(topic("cam-1", Leaf.STATUS), status().to_bytes())
        assert early.publish(topic("cam-1", Leaf.BIRTH), MARK)
        home.wait_for(MARK)

        kinds = {where.partition("/up/")[2] for where, _ in home.heard if not where.startswith("homeassistant/")}
        assert kinds == {"birth", "status"}
        for client in (early, late, home):
            client.close()


def test_nothing_is_announced_where_nobody_asked(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        with backend_at_work(broker):
            camera = Client(broker, *broker.enrol("cam-1", tmp_path))
            assert camera.publish(topic("cam-1", Leaf.BIRTH), birth().to_bytes(), retain=True)
            until(broker.folder, lambda fleet: fleet.cameras.names() == ("cam-1",), why="it is born")
            camera.close()

        place = announce_to_home_assistant(broker.folder, broker.authority, now=utc_now())
        home = Client(broker, place / "client.pem", place / "client.key", client_id=READER_NAME)
        for pattern in ("homeassistant/#", "lamppost/v1/cam/+/up/birth"):
            home.subscribe(pattern)
        home.wait_until(lambda: bool(home.heard))
        home.close()

        assert [where for where, _ in home.heard] == [topic("cam-1", Leaf.BIRTH)]
