"""The link tells how it is, brings what it is given, and comes back whatever happens to the connection."""

import hashlib
import json
import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.adapters.status_file import StatusFile
from agent.core.bundle import MAX_BUNDLE_BYTES
from agent.core.messages.commands import Outcome, Refusal
from agent.core.messages.log import LogBatch
from agent.core.messages.policy import Reported
from agent.core.messages.presence import Birth, Status
from agent.core.policy.clock import ClockQuality
from agent.core.status import DecisionStatus, RecorderStatus, RecordingState
from agent.core.topics import Leaf, topic
from agent.ports import Outgoing
from tests.fakes.broker import FakeBroker
from tests.fakes.clock import FakeClock
from tests.fakes.linked import CAMERA, ask, give, link_config, replies, running_link, until, write_leaves

DESIRED, REVOKE = topic(CAMERA, Leaf.DESIRED), topic(CAMERA, Leaf.REVOKE)


class TrustedClock(FakeClock):
    """The machine's clock, vouched for; time passes by itself."""

    def __init__(self) -> None:
        super().__init__()
        from agent.adapters.clock import SystemClock  # noqa: PLC0415 - only its time is borrowed

        self.now = SystemClock().now  # type: ignore[method-assign]
        self.monotonic_us = SystemClock().monotonic_us  # type: ignore[method-assign]


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


def births(broker: FakeBroker) -> list[Birth]:
    return [Birth.from_bytes(payload) for payload in broker.payloads("up/birth")]


def statuses(broker: FakeBroker) -> list[Status]:
    return [Status.from_bytes(payload) for payload in broker.payloads("up/status")]


def reports(broker: FakeBroker) -> list[Reported]:
    return [Reported.from_bytes(payload) for payload in broker.payloads("up/reported")]


def recorder_status(reason: str = "no policy has arrived yet") -> RecorderStatus:
    now = TrustedClock().now()
    return RecorderStatus(
        camera_id=CAMERA,
        state=RecordingState.DARK,
        decision=DecisionStatus(reason=reason, policy_digest="ab" * 32),
        clock_quality=ClockQuality.FLOOR,
        software_version="0.1.0",
        started_at=now,
        updated_at=now + timedelta(minutes=5),  # stays fresh for as long as a test may take
    )


def test_a_connection_begins_with_birth_then_status_then_report_then_the_log(
    tmp_path: Path, broker: FakeBroker
) -> None:
    config = link_config(tmp_path)
    write_leaves(config, 3)

    with running_link(config, broker):
        until(broker, lambda: bool(broker.payloads("up/log")))

    kinds = [message.topic.split("/", 4)[-1] for message in broker.received]
    assert kinds[:4] == ["up/birth", "up/status", "up/reported", "up/log"]
    assert [message.retained for message in broker.received[:4]] == [True, False, True, False]
    batch = LogBatch.from_bytes(broker.payloads("up/log")[0])
    assert [json.loads(leaf)["n"] for leaf in batch.leaves] == [0, 1, 2]


def test_a_link_that_is_stopped_says_goodbye(tmp_path: Path, broker: FakeBroker) -> None:
    with running_link(link_config(tmp_path), broker):
        until(broker, lambda: bool(broker.payloads("up/status")))

    first, last = births(broker)
    assert (first.online, last.online, last.reason) == (True, False, "stopped")
    assert first.sequence == last.sequence


def test_a_lost_connection_leaves_a_will_and_the_next_birth_a_higher_sequence(
    tmp_path: Path, broker: FakeBroker
) -> None:
    with running_link(link_config(tmp_path), broker):
        until(broker, lambda: bool(broker.payloads("up/status")))
        broker.cut()
        until(broker, lambda: len(statuses(broker)) > 1)

    first, will, second, _ = births(broker)
    assert (will.online, will.reason, will.sequence) == (False, "lost", first.sequence)
    assert second.online
    assert second.sequence > first.sequence
    assert statuses(broker)[-1].link.network.last_failure == "the fake connection was cut"
    assert broker.resumed == [False, True]


def test_the_birth_sequence_rises_over_restarts(tmp_path: Path, broker: FakeBroker) -> None:
    for count in (1, 2, 3):
        with running_link(link_config(tmp_path), broker):
            until(broker, lambda count=count: len(statuses(broker)) == count)  # type: ignore[misc]

    sequences = [birth.sequence for birth in births(broker) if birth.online]
    assert sequences == sorted(set(sequences))


def test_an_unreachable_broker_is_tried_again(tmp_path: Path, broker: FakeBroker) -> None:
    broker.reachable = False

    with running_link(link_config(tmp_path), broker):
        until(broker, lambda: broker.connects > 5)
        assert broker.received == []
        broker.reachable = True
        until(broker, lambda: bool(statuses(broker)))

    assert statuses(broker)[0].link.network.last_failure == "the fake broker is not reachable"


def test_the_status_says_what_the_recorder_says_and_goes_out_again_when_that_changes(
    tmp_path: Path, broker: FakeBroker
) -> None:
    config = link_config(tmp_path)
    config.state.runtime.mkdir(parents=True)
    file = StatusFile(config.state.runtime / "status.json")

    with running_link(config, broker):
        until(broker, lambda: bool(statuses(broker)))
        assert statuses(broker)[0].recorder is None
        assert "no status" in statuses(broker)[0].recorder_problem
        file.write(recorder_status())
        until(broker, lambda: statuses(broker)[-1].recorder is not None)
        file.write(recorder_status("the grant has begun"))
        until(broker, lambda: "begun" in str(statuses(broker)[-1].recorder))

    told = statuses(broker)[-1]
    assert told.recorder_problem == ""
    assert told.recorder is not None
    assert reports(broker)[-1].policy_digest == "ab" * 32


def test_a_bundle_reaches_the_inbox_byte_for_byte_and_the_verdict_comes_back(
    tmp_path: Path, broker: FakeBroker
) -> None:
    config = link_config(tmp_path)
    bundle = os.urandom(50_000)

    with running_link(config, broker):
        until(broker, lambda: bool(reports(broker)))
        broker.publish(Outgoing(topic=DESIRED, payload=bundle, retained=True))
        until(broker, lambda: reports(broker)[-1].desired is not None)
        assert (config.policy.inbox / "policy.bundle").read_bytes() == bundle
        (config.policy.outbox / "policy-verdict.json").write_text('{"verdict": "refused", "reason": "old"}')
        until(broker, lambda: reports(broker)[-1].verdict is not None)

    told = reports(broker)[-1]
    assert told.desired is not None
    assert told.desired.digest == hashlib.sha256(bundle).hexdigest()
    assert told.verdict == {"verdict": "refused", "reason": "old"}


def test_a_bundle_that_is_too_large_is_not_written(tmp_path: Path, broker: FakeBroker) -> None:
    config = link_config(tmp_path)

    with running_link(config, broker):
        broker.publish(Outgoing(topic=DESIRED, payload=bytes(MAX_BUNDLE_BYTES + 1), retained=True))
        until(broker, lambda: bool(reports(broker)) and reports(broker)[-1].desired is not None)

    receipt = reports(broker)[-1].desired
    assert receipt is not None
    assert "expected at most" in receipt.refused
    assert list(config.policy.inbox.iterdir()) == []


def test_a_revocation_is_not_written_over_by_what_was_retained_besides(tmp_path: Path, broker: FakeBroker) -> None:
    config = link_config(tmp_path)
    lying = config.policy.inbox / "policy.bundle"
    broker.retained = {DESIRED: b"desired", REVOKE: b"revoke"}

    with running_link(config, broker):
        until(broker, lambda: bool(reports(broker)) and reports(broker)[-1].revoke is not None)
        until(broker, lambda: reports(broker)[-1].desired is not None)
        assert lying.read_bytes() == b"revoke"
        lying.unlink()  # the recorder took it
        give(broker, ask("ping"))
        for number in range(600):
            if lying.exists():
                break
            give(broker, ask("ping", command_id=f"again-{number}"))
        assert lying.read_bytes() == b"desired"


def test_what_is_cleared_or_none_of_ours_is_ignored(tmp_path: Path, broker: FakeBroker) -> None:
    config = link_config(tmp_path)

    with running_link(config, broker):
        until(broker, lambda: bool(reports(broker)))
        broker.publish(Outgoing(topic=DESIRED, payload=b""))
        for session in broker.sessions:
            session.subscriptions = ("#",)
        broker.publish(Outgoing(topic=topic("pole-8", Leaf.DESIRED), payload=b"another's"))
        broker.publish(Outgoing(topic="$SYS/x", payload=b"none of ours"))
        broker.publish(Outgoing(topic=topic(CAMERA, Leaf.ACK), payload=b"no acknowledgement"))
        assert give(broker, ask("ping")).outcome is Outcome.DONE

    assert list(config.policy.inbox.iterdir()) == []
    assert reports(broker)[-1].desired is None


def test_a_command_is_answered_with_its_correlation_data(tmp_path: Path, broker: FakeBroker) -> None:
    with running_link(link_config(tmp_path), broker):
        until(broker, lambda: bool(reports(broker)))
        reply = give(broker, ask("ping", command_id="p-1"), correlation=b"\x00\x01")

    sent = next(message for message in broker.received if "/up/rsp/" in message.topic)
    assert (reply.outcome, reply.command_id, sent.correlation) == (Outcome.DONE, "p-1", b"\x00\x01")
    assert (sent.topic, sent.retained, sent.expiry_s) == (topic(CAMERA, Leaf.REPLY, "ping"), False, 300)


def test_a_replayed_command_is_refused_even_after_a_restart(tmp_path: Path, broker: FakeBroker) -> None:
    command = ask("ping")
    with running_link(link_config(tmp_path), broker):
        until(broker, lambda: bool(reports(broker)))
        assert give(broker, command).outcome is Outcome.DONE
        assert give(broker, command).refusal is Refusal.REPLAYED

    before = len(broker.payloads("up/reported"))
    with running_link(link_config(tmp_path), broker):
        until(broker, lambda: len(broker.payloads("up/reported")) > before)
        assert give(broker, command).refusal is Refusal.REPLAYED


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff" * 300_000])
def test_rubbish_on_a_command_topic_is_answered_with_a_reason(
    tmp_path: Path, broker: FakeBroker, payload: bytes
) -> None:
    with running_link(link_config(tmp_path), broker):
        until(broker, lambda: bool(reports(broker)))
        broker.publish(Outgoing(topic=topic(CAMERA, Leaf.COMMAND, "ping"), payload=payload))
        until(broker, lambda: bool(replies(broker)))

    assert replies(broker)[0].refusal in {Refusal.MALFORMED, Refusal.OVERSIZED}


def test_nobody_reboots_a_camera_that_is_not_configured_for_it(tmp_path: Path, broker: FakeBroker) -> None:
    with running_link(link_config(tmp_path), broker, TrustedClock()):
        until(broker, lambda: bool(reports(broker)))
        reply = give(broker, ask("reboot"))

    assert reply.refusal is Refusal.NOT_CONFIGURED


def test_diagnostics_tell_no_secret(tmp_path: Path, broker: FakeBroker) -> None:
    with running_link(link_config(tmp_path, operator_keys=["ab" * 32]), broker):
        until(broker, lambda: bool(reports(broker)))
        reply = give(broker, ask("diagnostics"))

    text = reply.to_bytes().decode()
    assert reply.outcome is Outcome.DONE
    assert "paho-mqtt" in text
    assert "PRIVATE KEY" not in text


def test_a_selftest_puts_what_failed_first(tmp_path: Path, broker: FakeBroker) -> None:
    with running_link(link_config(tmp_path), broker):
        until(broker, lambda: bool(reports(broker)))
        reply = give(broker, ask("selftest"))

    assert reply.result is not None
    findings = reply.result["findings"]
    assert isinstance(findings, list)
    passed = [finding["passed"] for finding in findings if isinstance(finding, dict)]
    assert passed == sorted(passed, key=bool)
    assert reply.result["passed"] is False


def test_leaves_that_are_asked_for_come_again_and_move_no_cursor(tmp_path: Path, broker: FakeBroker) -> None:
    config = link_config(tmp_path)
    write_leaves(config, 5)

    with running_link(config, broker, TrustedClock()):
        until(broker, lambda: bool(broker.payloads("up/log")))
        reply = give(broker, ask("log.send", first=1, end=900))
        until(broker, lambda: len(broker.payloads("up/log")) > 1)

    again = LogBatch.from_bytes(broker.payloads("up/log")[-1])
    assert reply.result == {"first": 1, "end": 5}
    assert (again.requested, again.first, len(again.leaves)) == (True, 1, 4)
    assert statuses(broker)[0].link.queue.acked == 0


def test_what_a_broker_refuses_is_told_in_the_status(tmp_path: Path, broker: FakeBroker) -> None:
    broker.refuses[topic(CAMERA, Leaf.REPORTED)] = 0x87

    with running_link(link_config(tmp_path), broker):
        until(
            broker, lambda: any("up/reported" in error for each in statuses(broker) for error in each.link.last_errors)
        )
        assert give(broker, ask("ping")).outcome is Outcome.DONE


def test_an_operators_reboot_is_answered_before_it_happens(
    tmp_path: Path, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    answered_before = threading.Event()

    def reboot() -> None:
        if replies(broker):
            answered_before.set()

    monkeypatch.setattr("agent.link.app.reboot", reboot)
    config = link_config(tmp_path, operator_keys=[operator.public_key().public_bytes_raw().hex()])
    plain = ask("reboot")
    signed = plain.model_copy(update={"signature": operator.sign(plain.signed_bytes()).hex()})

    with running_link(config, broker, TrustedClock()):
        until(broker, lambda: bool(reports(broker)))
        assert give(broker, signed).outcome is Outcome.ACCEPTED
        assert answered_before.wait(60)
