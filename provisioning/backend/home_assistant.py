"""Cameras as devices of Home Assistant: how each is, and nothing else.

Home Assistant's MQTT integration makes a device of a retained message on
`homeassistant/device/{id}/config` (device discovery, since 2024.11). The backend publishes one
for each camera: a camera writes below its own topics only, and this is outside of them. What the
device shows is read from what cameras send anyway, births and statuses.

Whoever reads this is not the backend: a name and a certificate of its own, that may hear births and
statuses, and may say nothing. There is no picture, no log, no command and no policy in it.

Pure: a camera's name in, a message out.
"""

import json
from collections.abc import Mapping
from typing import Any

from agent.core.topics import ROOT, Leaf, topic

# No camera id has a dot, so that no camera can be enrolled under it.
READER_NAME = "home-assistant.lamppost"
PREFIX = "homeassistant"  # Home Assistant's own default
# What it may hear; everything else is denied.
READS = (f"{PREFIX}/#", f"{ROOT}/+/{Leaf.BIRTH.value}", f"{ROOT}/+/{Leaf.STATUS.value}")
SILENT_AFTER_S = 180  # three statuses, as in `health`


def discovery(camera_id: str) -> tuple[str, bytes]:
    """Return the topic and the payload that make a device of one camera; to be retained.

    Raises:
        ValueError: There can be no such camera.
    """
    name = f"lamppost-{camera_id}"
    payload = {
        "device": {"identifiers": [name], "name": camera_id, "manufacturer": "Lamppost", "model": "Street camera"},
        "origin": {"name": "Lamppost"},
        "components": {key: {**_COMMON, **entity, "unique_id": f"{name}-{key}"} for key, entity in _ENTITIES.items()},
        "state_topic": topic(camera_id, Leaf.STATUS),
        "availability": [
            {
                "topic": topic(camera_id, Leaf.BIRTH),
                "value_template": "{{ 'online' if value_json.online else 'offline' }}",
            }
        ],
        "qos": 1,
    }
    return f"{PREFIX}/device/{name}/config", json.dumps(payload).encode()


_COMMON = {"entity_category": "diagnostic", "expire_after": SILENT_AFTER_S}
_PROBLEM = {"platform": "binary_sensor", "device_class": "problem"}


def _is_on(condition: str) -> str:
    return "{{ 'ON' if " + condition + " else 'OFF' }}"


# A value that a board does not tell is null, which Home Assistant shows as unknown.
_ENTITIES: Mapping[str, Mapping[str, Any]] = {
    "does": {
        "platform": "sensor",
        "name": "Does",
        "icon": "mdi:cctv",
        "value_template": "{{ value_json.recorder.state if value_json.recorder else 'no recorder' }}",
    },
    "recorder": {
        **_PROBLEM,
        "name": "Recorder",
        "value_template": _is_on(
            "value_json.recorder_problem or not value_json.recorder or value_json.recorder.state == 'failed'"
        ),
    },
    "storage": {
        **_PROBLEM,
        "name": "Storage",
        "value_template": _is_on(
            "value_json.board.disk_read_only or value_json.board.disk_error"
            " or (value_json.recorder and value_json.recorder.storage.state != 'ok')"
        ),
    },
    "supply": {
        **_PROBLEM,
        "name": "Power supply",
        "value_template": _is_on("value_json.board.under_voltage"),
    },
    "temperature": {
        "platform": "sensor",
        "name": "Temperature",
        "device_class": "temperature",
        "unit_of_measurement": "°C",
        "state_class": "measurement",
        "value_template": "{{ value_json.board.temperature_celsius }}",
    },
    "queue": {
        "platform": "sensor",
        "name": "Log entries to come",
        "state_class": "measurement",
        "value_template": "{{ value_json.link.queue.next - value_json.link.queue.acked }}",
    },
    "certificate": {
        "platform": "sensor",
        "name": "Certificate ends",
        "device_class": "timestamp",
        "value_template": "{{ value_json.link.certificate_expires_at }}",
    },
}
