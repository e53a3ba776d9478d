"""The topics of one camera, and who may write to each.

    lamppost/v1/cam/{camera_id}/up/birth      the camera writes everything under up/
    lamppost/v1/cam/{camera_id}/down/desired  the backend writes everything under down/

A camera's id is its certificate's common name and its MQTT client id, so that the
broker can hold each camera to its own subtree with one pattern (`cam/%u/up/#`).

Pure: names in, names out. A topic that is not exactly one of these is somebody else's.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

ROOT = "lamppost/v1/cam"
CAMERA_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")  # as in agent.config; MQTT wildcards and slashes cannot be in it
COMMAND_NAME = re.compile(r"[a-z]{1,20}(\.[a-z]{1,20})?")


class Leaf(StrEnum):
    """What a topic ends in; for commands and replies, a name follows."""

    BIRTH = "up/birth"
    STATUS = "up/status"
    REPORTED = "up/reported"
    LOG = "up/log"
    CHECKPOINT = "up/checkpoint"
    REPLY = "up/rsp"
    DESIRED = "down/desired"
    REVOKE = "down/revoke"
    ACK = "down/ack"
    COSIGNED = "down/cosigned"
    COMMAND = "down/cmd"


_NAMED = frozenset({Leaf.REPLY, Leaf.COMMAND})


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How messages of one topic are sent. QoS is 1 everywhere.

    Attributes:
        retained: Whether the broker keeps the last one. Commands and replies never are: a
            retained command would be carried out again at every reconnect.
        expiry_s: After how many seconds the broker drops an undelivered one, or None for never.
    """

    retained: bool = False
    expiry_s: int | None = None


COMMAND_EXPIRY_S = 120  # the longest; who sends one may say less
DELIVERY = {
    Leaf.BIRTH: Delivery(retained=True),
    Leaf.STATUS: Delivery(expiry_s=60),  # by then the next one is there
    Leaf.REPORTED: Delivery(retained=True),
    Leaf.LOG: Delivery(),
    Leaf.CHECKPOINT: Delivery(expiry_s=300),  # by then there is a newer one
    Leaf.REPLY: Delivery(expiry_s=300),
    Leaf.DESIRED: Delivery(retained=True),
    Leaf.REVOKE: Delivery(retained=True),
    Leaf.ACK: Delivery(),
    Leaf.COSIGNED: Delivery(expiry_s=300),
    Leaf.COMMAND: Delivery(expiry_s=COMMAND_EXPIRY_S),
}

WILL_DELAY_S = 30  # a reconnect within this is no outage


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic of one camera.

    Attributes:
        camera_id: Whose it is.
        leaf: Which one.
        name: Which command, for COMMAND and REPLY; empty otherwise.
    """

    camera_id: str
    leaf: Leaf
    name: str = ""

    def __post_init__(self) -> None:
        if not CAMERA_ID.fullmatch(self.camera_id):
            raise ValueError(f"not a camera id: {self.camera_id!r}")
        if (self.leaf in _NAMED) is not bool(self.name) or (self.name and not COMMAND_NAME.fullmatch(self.name)):
            raise ValueError(f"not a topic: {self.leaf.value} with the name {self.name!r}")

    def __str__(self) -> str:
        return f"{ROOT}/{self.camera_id}/{self.leaf.value}" + (f"/{self.name}" if self.name else "")


def topic(camera_id: str, leaf: Leaf, name: str = "") -> str:
    """Return one topic, as text. Raises ValueError if there can be no such topic."""
    return str(Topic(camera_id=camera_id, leaf=leaf, name=name))


def parse_topic(text: str) -> Topic | None:
    """Return which topic `text` is, or None if it is none of ours."""
    if not text.startswith(f"{ROOT}/"):
        return None
    camera_id, _, rest = text.removeprefix(f"{ROOT}/").partition("/")
    for leaf in Leaf:
        if rest != leaf.value and not rest.startswith(f"{leaf.value}/"):
            continue
        name = rest.removeprefix(leaf.value)
        try:
            found = Topic(camera_id=camera_id, leaf=leaf, name=name.removeprefix("/"))
        except ValueError:
            return None
        return found if str(found) == text else None
    return None


def camera_subscriptions(camera_id: str) -> tuple[str, ...]:
    """Return what a camera listens to, the revocation first: retained messages arrive in this order."""
    return (
        topic(camera_id, Leaf.REVOKE),
        topic(camera_id, Leaf.DESIRED),
        topic(camera_id, Leaf.ACK),
        topic(camera_id, Leaf.COSIGNED),
        f"{ROOT}/{Topic(camera_id=camera_id, leaf=Leaf.ACK).camera_id}/{Leaf.COMMAND.value}/+",
    )


# What a backend listens to.
BACKEND_SUBSCRIPTION = f"{ROOT}/+/up/#"
