"""A command is carried out only if it is well formed, for this camera, alive, new, and by someone who may."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.core.link_commands import (
    MAX_REMEMBERED,
    REMEMBER_FOR,
    RULES,
    Accepted,
    Asked,
    Authority,
    Refused,
    Seen,
    judge,
)
from agent.core.messages.commands import MAX_LIFE, Command, CommandName, LogSendArgs, Refusal
from agent.core.policy.clock import SIGNING_SLACK, ClockQuality, ClockState

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
CLOCK = ClockState(now=NOON, quality=ClockQuality.SYNCHRONISED)
UNKNOWN_CLOCK = ClockState(now=datetime(1970, 1, 1, tzinfo=UTC), quality=ClockQuality.UNKNOWN)
OPERATOR = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
SECOND = timedelta(seconds=1)


def command(name: str = "log.send", **changes: Any) -> Command:
    fields: dict[str, Any] = {
        "camera_id": "pole-7",
        "name": name,
        "id": "c1",
        "issued_at": NOON - SECOND,
        "expires_at": NOON + 59 * SECOND,
        "args": {"first": 0, "end": 5} if name == "log.send" else {},
    }
    return Command(**{**fields, **changes})


def asked(given: Command) -> Asked:
    return Asked(name=given.name, payload=given.to_bytes())


def verdict(
    given: Command, *, clock: ClockState = CLOCK, seen: Seen | None = None, keys: tuple[Any, ...] = ()
) -> Accepted | Refused:
    return judge(asked(given), camera_id="pole-7", clock=clock, seen=seen or Seen(), operator_keys=keys)


def refusal(given: Accepted | Refused) -> Refusal:
    assert isinstance(given, Refused)
    assert given.reason
    return given.refusal


def test_a_good_command_comes_with_its_arguments_read() -> None:
    accepted = verdict(command())

    assert isinstance(accepted, Accepted)
    assert accepted.name is CommandName.LOG_SEND
    assert accepted.args == LogSendArgs(first=0, end=5)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", Refusal.MALFORMED),
        (b"\x00\xff", Refusal.MALFORMED),
        (b"[" * 100_000, Refusal.MALFORMED),
        (b'{"v":1}', Refusal.MALFORMED),
        (b" " * (Command.MAX_BYTES + 1), Refusal.OVERSIZED),
    ],
)
def test_what_is_no_command_is_refused(payload: bytes, why: Refusal) -> None:
    found = judge(Asked(name="ping", payload=payload), camera_id="pole-7", clock=CLOCK, seen=Seen())

    assert refusal(found) is why
    assert isinstance(found, Refused)
    assert found.command_id == ""


@pytest.mark.parametrize(
    "args", [{}, {"first": 0}, {"first": -1, "end": 5}, {"first": 0, "end": 5, "x": 1}, {"first": "0", "end": 5}]
)
def test_arguments_are_strict_too(args: dict[str, Any]) -> None:
    assert refusal(verdict(command(args=args))) is Refusal.MALFORMED


def test_a_command_for_another_camera_or_from_another_topic_is_refused() -> None:
    assert refusal(verdict(command(camera_id="pole-8"))) is Refusal.MISADDRESSED
    crossed = judge(Asked(name="ping", payload=command().to_bytes()), camera_id="pole-7", clock=CLOCK, seen=Seen())
    assert refusal(crossed) is Refusal.MISADDRESSED


def test_a_retained_command_is_refused() -> None:
    found = judge(replace(asked(command()), retained=True), camera_id="pole-7", clock=CLOCK, seen=Seen())

    assert refusal(found) is Refusal.RETAINED


def test_an_unknown_command_is_refused_with_those_that_are_known() -> None:
    found = verdict(command("self.destruct"))

    assert refusal(found) is Refusal.UNKNOWN
    assert isinstance(found, Refused)
    assert "ping" in found.reason
    assert found.command_id == "c1"


@pytest.mark.parametrize(
    ("issued", "expires", "why"),
    [
        (-60 * SECOND, timedelta(0), Refusal.EXPIRED),
        (-61 * SECOND, -SECOND, Refusal.EXPIRED),
        (SIGNING_SLACK + SECOND, SIGNING_SLACK + 60 * SECOND, Refusal.CLOCK),
        (timedelta(0), MAX_LIFE + SECOND, Refusal.CLOCK),
        (timedelta(0), timedelta(0), Refusal.CLOCK),
        (timedelta(0), -SECOND, Refusal.CLOCK),
    ],
)
def test_a_command_lives_two_minutes_and_not_before_its_time(
    issued: timedelta, expires: timedelta, why: Refusal
) -> None:
    assert refusal(verdict(command(issued_at=NOON + issued, expires_at=NOON + expires))) is why


def test_clocks_may_differ_a_little() -> None:
    early = command(issued_at=NOON + SIGNING_SLACK, expires_at=NOON + SIGNING_SLACK + MAX_LIFE)

    assert isinstance(verdict(early), Accepted)


@pytest.mark.parametrize("name", CommandName)
def test_without_a_clock_only_what_is_harmless_to_repeat_is_answered(name: CommandName) -> None:
    found = verdict(command(name, args={}), clock=UNKNOWN_CLOCK)

    if RULES[name].clock:
        assert refusal(found) is Refusal.CLOCK
    else:
        assert isinstance(found, Accepted)


def test_a_clock_with_a_floor_will_do() -> None:
    assert isinstance(verdict(command(), clock=replace(CLOCK, quality=ClockQuality.FLOOR)), Accepted)


def test_a_copy_is_refused_for_as_long_as_any_clock_could_let_it_live() -> None:
    seen = Seen().with_command(command(), now=NOON)

    assert refusal(verdict(command(), seen=seen)) is Refusal.REPLAYED
    later = command(id="c2", issued_at=NOON + REMEMBER_FOR, expires_at=NOON + REMEMBER_FOR + SECOND)
    assert "c1" in seen.with_command(later, now=NOON + REMEMBER_FOR).ids
    assert "c1" not in seen.with_command(later, now=NOON + 60 * SECOND + REMEMBER_FOR).ids


def test_a_refused_command_is_not_remembered_and_may_come_again_mended() -> None:
    refused = verdict(command(args={}))

    assert refusal(refused) is Refusal.MALFORMED
    assert isinstance(verdict(command()), Accepted)


def test_a_flood_is_refused_before_it_fills_the_memory() -> None:
    seen = Seen(ids={f"c{number}": NOON for number in range(MAX_REMEMBERED)})

    assert refusal(verdict(command(id="new"), seen=seen)) is Refusal.BUSY
    assert isinstance(
        verdict(
            command(id="new", issued_at=NOON + REMEMBER_FOR, expires_at=NOON + REMEMBER_FOR + 2 * SECOND),
            clock=replace(CLOCK, now=NOON + REMEMBER_FOR + SECOND),
            seen=seen,
        ),
        Accepted,
    )


def test_only_reboot_needs_a_signature() -> None:
    assert [name for name, rule in RULES.items() if rule.authority is Authority.OPERATOR] == [CommandName.REBOOT]
    assert set(RULES) == set(CommandName)


def test_nobody_reboots_a_camera_that_knows_no_operator() -> None:
    signed = command("reboot")
    signed = signed.model_copy(update={"signature": OPERATOR.sign(signed.signed_bytes()).hex()})

    assert refusal(verdict(signed)) is Refusal.NOT_CONFIGURED


def test_an_operators_signature_is_accepted_and_any_other_refused() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
    keys = (stranger.public_key(), OPERATOR.public_key())
    plain = command("reboot")
    signed = plain.model_copy(update={"signature": OPERATOR.sign(plain.signed_bytes()).hex()})

    assert isinstance(verdict(signed, keys=keys), Accepted)
    assert refusal(verdict(plain, keys=keys)) is Refusal.UNAUTHORISED
    assert refusal(verdict(signed, keys=keys[:1])) is Refusal.UNAUTHORISED


@pytest.mark.parametrize(
    "changes",
    [{"expires_at": NOON + 60 * SECOND}, {"id": "c2"}, {"issued_at": NOON}],
    ids=["lives longer", "another id", "issued later"],
)
def test_a_signature_does_not_carry_over_to_another_command(changes: dict[str, Any]) -> None:
    plain = command("reboot")
    signed = plain.model_copy(update={"signature": OPERATOR.sign(plain.signed_bytes()).hex()})

    assert refusal(verdict(signed.model_copy(update=changes), keys=(OPERATOR.public_key(),))) is Refusal.UNAUTHORISED


def test_a_signed_command_survives_the_wire() -> None:
    plain = command("reboot")
    signed = plain.model_copy(update={"signature": OPERATOR.sign(plain.signed_bytes()).hex()})
    spelled_differently = json.dumps(json.loads(signed.to_bytes()), indent=3).encode()

    found = judge(
        Asked(name="reboot", payload=spelled_differently),
        camera_id="pole-7",
        clock=CLOCK,
        seen=Seen(),
        operator_keys=(OPERATOR.public_key(),),
    )

    assert isinstance(found, Accepted)
