"""The contract's document says what the code does: it is made from it, and every example is a message."""

import json
import re
from pathlib import Path

import pytest

from agent.core.messages.commands import Command
from agent.core.messages.wire import Message
from agent.core.topics import DELIVERY, Leaf, Topic
from agent.errors import MessageFormatError
from provisioning.backend import contract
from provisioning.backend.orders import make_command
from tests.fakes.payloads import NOON

COMMITTED = Path(__file__).resolve().parents[2] / "provisioning" / "backend" / "asyncapi.yaml"
ALL_EXAMPLES = [(kind, one) for kind, some in contract.examples().items() for one in some]


def test_the_committed_document_is_the_generated_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == contract.to_yaml(), "run `make contract` and commit what it wrote"


@pytest.mark.parametrize(("kind", "example"), ALL_EXAMPLES)
def test_every_example_goes_through_its_model_and_comes_out_the_same(kind: type[Message], example: Message) -> None:
    payload = json.dumps(example.model_dump(mode="json")).encode()

    assert kind.from_bytes(payload) == example
    assert json.loads(kind.from_bytes(payload).to_bytes()) == json.loads(payload)


@pytest.mark.parametrize(("kind", "example"), ALL_EXAMPLES)
def test_a_field_that_the_document_does_not_name_is_refused(kind: type[Message], example: Message) -> None:
    payload = json.dumps({**example.model_dump(mode="json"), "colour": "blue"}).encode()

    with pytest.raises(MessageFormatError, match="colour"):
        kind.from_bytes(payload)


def test_every_example_command_is_one_that_can_be_sent() -> None:
    for example in contract.examples()[Command]:
        assert isinstance(example, Command)
        assert make_command(example.camera_id, example.name, example.args, now=NOON).args == example.args


def test_there_is_a_channel_for_every_topic_and_no_other() -> None:
    addresses = {channel["address"] for channel in contract.document()["channels"].values()}

    expected = {
        str(Topic(camera_id="cam", leaf=leaf, name="ping" if leaf in {Leaf.COMMAND, Leaf.REPLY} else ""))
        .replace("/cam/cam/", "/cam/{camera_id}/")
        .replace("/ping", "/{name}")
        for leaf in Leaf
    }
    assert addresses == expected


def test_what_is_retained_and_what_expires_is_what_the_code_does() -> None:
    for operation in contract.document()["operations"].values():
        leaf = Leaf[operation["channel"]["$ref"].rpartition("/")[2].upper()]
        binding = operation["bindings"]["mqtt"]
        assert binding["qos"] == 1
        assert binding["retain"] is DELIVERY[leaf].retained
        assert binding.get("messageExpiryInterval") == DELIVERY[leaf].expiry_s


def test_every_reference_leads_somewhere() -> None:
    whole = contract.document()

    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole))):
        found = whole
        for step in reference.split("/"):
            found = found[step]


def test_the_page_needs_nothing_but_itself() -> None:
    page = contract.to_html()

    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    assert "<script" not in page
    for name in contract.document()["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors <= set(re.findall(r'id="([^"]+)"', page))
