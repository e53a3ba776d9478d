"""A payload is strict, versioned JSON of a bounded size: what is not understood whole is refused."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agent.core.messages.commands import (
    SCHEMAS,
    Command,
    CommandName,
    FootageListResult,
    Outcome,
    Refusal,
    Reply,
)
from agent.core.messages.log import MAX_LEAF_BYTES, Ack, LogBatch
from agent.core.messages.policy import BundleReceipt, Reported
from agent.core.messages.presence import Birth, LinkStatus, NetworkStatus, Status
from agent.core.messages.wire import Message
from agent.errors import MessageFormatError

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
BIRTH = Birth(camera_id="pole-7", online=True, sequence=3, at=NOON, software_version="0.1.0", booted_at=NOON)
STATUS = Status(
    camera_id="pole-7",
    at=NOON,
    recorder_problem="there is no status",
    link=LinkStatus(software_version="0.1.0", started_at=NOON, network=NetworkStatus(connected_at=NOON, connections=1)),
)
REPORTED = Reported(
    camera_id="pole-7",
    at=NOON,
    desired=BundleReceipt(digest="ab" * 32, size_bytes=4, received_at=NOON),
    verdict={"verdict": "accepted", "timestamp": 7},
)
BATCH = LogBatch(camera_id="pole-7", log_id="l1", at=NOON, first=7, leaves=(b"{}", b"\xff\xfe"), oldest=0, next=9)
ACK = Ack(camera_id="pole-7", log_id="l1", next=9)
COMMAND = Command(
    camera_id="pole-7", name="ping", id="c1", issued_at=NOON, expires_at=NOON + timedelta(minutes=1), args={}
)
REPLY = Reply(
    camera_id="pole-7", name="ping", command_id="c1", at=NOON, outcome=Outcome.REFUSED, refusal=Refusal.EXPIRED
)
ALL = [BIRTH, STATUS, REPORTED, BATCH, ACK, COMMAND, REPLY]


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_every_message_reads_back_as_it_was_written(message: Message) -> None:
    payload = message.to_bytes()

    assert type(message).from_bytes(payload) == message
    assert json.loads(payload)["v"] == 1


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_an_unknown_field_or_version_is_refused(message: Message) -> None:
    fields = json.loads(message.to_bytes())

    for wrong in ({**fields, "colour": "red"}, {**fields, "v": 2}, {**fields, "v": "1"}):
        with pytest.raises(MessageFormatError):
            type(message).from_bytes(json.dumps(wrong).encode())


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_what_is_too_large_is_refused_before_it_is_read(message: Message) -> None:
    kind = type(message)

    with pytest.raises(MessageFormatError, match=f"expected at most {kind.MAX_BYTES}"):
        kind.from_bytes(b" " * (kind.MAX_BYTES + 1))


def test_a_message_that_would_be_too_large_is_not_made() -> None:
    batch = BATCH.model_copy(update={"leaves": (bytes(MAX_LEAF_BYTES),) * 5})

    with pytest.raises(MessageFormatError, match="logbatch of"):
        batch.to_bytes()


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"null", b"{", b"\xff", b'{"v":1}', b'{"v":1,"camera_id":"../x","log_id":"l","next":0}']
)
def test_what_is_no_message_is_refused_with_the_place(payload: bytes) -> None:
    with pytest.raises(MessageFormatError, match=r"^ack"):
        Ack.from_bytes(payload)


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(MessageFormatError) as refused:
        Command.from_bytes(COMMAND.to_bytes().replace(b'"ping"', b'["https://store/?secret=hunter2"]'))

    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@given(some.lists(some.binary(max_size=64), max_size=8), some.integers(0, 2**53 - 1))
def test_leaves_arrive_byte_for_byte(leaves: list[bytes], first: int) -> None:
    batch = BATCH.model_copy(update={"leaves": tuple(leaves), "first": first})

    assert LogBatch.from_bytes(batch.to_bytes()) == batch


def test_a_signature_covers_all_of_a_command_but_itself() -> None:
    signed = COMMAND.signed_bytes()

    assert COMMAND.model_copy(update={"signature": "00" * 64}).signed_bytes() == signed
    for field, value in {"camera_id": "pole-8", "name": "reboot", "id": "c2", "args": {"a": 1}}.items():
        assert COMMAND.model_copy(update={field: value}).signed_bytes() != signed


def test_every_command_has_schemas_that_a_document_can_show() -> None:
    assert set(SCHEMAS) == set(CommandName)
    for arguments, result in SCHEMAS.values():
        for model in (arguments, result):
            assert model.model_json_schema()["type"] == "object"
            assert model.model_json_schema()["additionalProperties"] is False


def test_a_full_page_of_footage_fits_into_a_reply() -> None:
    name = f"{'a' * 63}-20261128T120000.000000Z-00000042.sealed.truncated.mp4.age"
    listed = {"file": name, "started_at": "2026-11-28T12:00:00Z", "layer": "sealed", "size_bytes": 5_000_000}
    result = FootageListResult.model_validate_json(json.dumps({"segments": [listed] * 256, "more": True}))

    reply = REPLY.model_copy(update={"result": result.model_dump(mode="json")})

    assert len(reply.to_bytes()) < Reply.MAX_BYTES
