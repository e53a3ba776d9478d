"""A connection that is open on this side only is given up; a new certificate takes over without a word lost."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from agent.core.messages.commands import Outcome
from agent.errors import SessionLostError
from agent.link.postbox import ANSWER_WITHIN, MOST_UNANSWERED, Postbox
from agent.ports import Answered, Outgoing
from tests.fakes.broker import FakeBroker
from tests.fakes.clock import FakeClock
from tests.fakes.linked import CAMERA, ask, give, link_config, running_link, until
from tests.fakes.pki import FakeAuthority

MESSAGE = Outgoing(topic="t", payload=b"")


def postbox(clock: FakeClock, **broker: int) -> Postbox:
    silent = FakeBroker(answers=False, **broker)  # type: ignore[arg-type]
    return Postbox(silent.connect(MESSAGE, [], resume=False), clock)


def test_a_message_without_an_answer_ends_the_session_in_time() -> None:
    clock = FakeClock()
    box = postbox(clock)
    first = box.send(MESSAGE)
    clock.advance(ANSWER_WITHIN)
    box.send(MESSAGE)

    box.check()
    clock.advance(timedelta(milliseconds=1))

    with pytest.raises(SessionLostError, match="open on this side only"):
        box.check()
    box.answered(Answered(token=first, reason=0))
    box.check()


@pytest.mark.parametrize(
    ("receive_maximum", "allowed"), [(1, 1), (2, 2), (20, MOST_UNANSWERED), (65_535, MOST_UNANSWERED)]
)
def test_no_more_is_unanswered_than_the_broker_allows(receive_maximum: int, allowed: int) -> None:
    box, sent = postbox(FakeClock(), receive_maximum=receive_maximum), 0

    while box.room():
        box.send(MESSAGE)
        sent += 1

    assert sent == allowed


def test_the_log_leaves_room_for_others_but_is_never_starved() -> None:
    box = postbox(FakeClock(), receive_maximum=1)
    assert box.room(leaving=3)
    box.send(MESSAGE)
    assert not box.room(leaving=3)


def test_a_refused_message_is_named() -> None:
    box = postbox(FakeClock())
    token = box.send(MESSAGE)

    assert box.answered(Answered(token=token, reason=0x87)) == "t"
    assert box.answered(Answered(token=99, reason=0x87)) == ""
    assert box.empty


def test_a_renewed_certificate_is_used_from_a_new_connection_on(tmp_path: Path) -> None:
    authority, broker = FakeAuthority(), FakeBroker()
    (tmp_path / "authority.pem").write_bytes(authority.pem)
    authority.credential(tmp_path / "device.pem", CAMERA, ends=timedelta(days=1))
    config = link_config(tmp_path, credential=tmp_path / "device.pem", authority=tmp_path / "authority.pem")

    with running_link(config, broker):
        until(broker, lambda: bool(broker.payloads("up/status")))
        asked = give(broker, ask("credential.renew"))
        assert asked.result is not None
        request = x509.load_pem_x509_csr(str(asked.result["request"]).encode())
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        chain = authority.issue(CAMERA, key).public_bytes(Encoding.PEM).decode()
        installed = give(broker, ask("credential.renew", command_id="c2", chain=chain))
        until(broker, lambda: broker.connects > 1)

    assert installed.outcome is Outcome.DONE
    assert installed.result is not None
    ends = datetime.fromisoformat(str(installed.result["expires_at"]))
    assert ends > datetime.now(UTC) + timedelta(days=20)
    assert not any(b"PRIVATE" in message.payload for message in broker.received)


def test_a_certificate_for_another_key_is_refused_and_the_connection_kept(tmp_path: Path) -> None:
    authority, broker = FakeAuthority(), FakeBroker()
    (tmp_path / "authority.pem").write_bytes(authority.pem)
    authority.credential(tmp_path / "device.pem", CAMERA)
    before = (tmp_path / "device.pem").read_bytes()
    other = authority.credential(tmp_path / "other.pem", CAMERA).public_bytes(Encoding.PEM).decode()
    config = link_config(tmp_path, credential=tmp_path / "device.pem", authority=tmp_path / "authority.pem")

    with running_link(config, broker):
        until(broker, lambda: bool(broker.payloads("up/status")))
        give(broker, ask("credential.renew"))
        reply = give(broker, ask("credential.renew", command_id="c2", chain=other))

    assert reply.outcome is Outcome.FAILED
    assert "another key" in reply.reason
    assert (tmp_path / "device.pem").read_bytes() == before
    assert broker.connects == 1
