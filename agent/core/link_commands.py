"""Whether a command is carried out: form, address, expiry, replay, authority, in this order.

What a command may ask is bounded so that the broker, or whoever owns it, gains nothing
by sending one: nothing here changes policy, opens footage or shows a picture. For those
the broker's access list suffices. `reboot` takes a camera away for a minute and can be
repeated for ever: it needs an operator's signature.

A command lives two minutes at most. Its id is remembered for longer than that, also over
a restart; so a copy is either expired or known. Without a clock that can be believed
neither can be told, and only what is harmless to repeat is answered. A clock with a floor
will do: what was accepted is remembered, and what never was is late at worst.

Pure: a message in, a verdict out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from agent.core.messages.commands import MAX_LIFE, SCHEMAS, Command, CommandName, Refusal
from agent.core.messages.wire import Part
from agent.core.policy.clock import SIGNING_SLACK, ClockQuality, ClockState
from agent.errors import MessageFormatError

MAX_REMEMBERED = 1024  # more in ten minutes is no operator
REMEMBER_FOR = 2 * SIGNING_SLACK + MAX_LIFE


class Authority(Enum):
    """Who may give a command."""

    BROKER = "whoever the broker's access list lets write to the topic"
    OPERATOR = "an operator whose key this camera knows, by signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one command needs.

    Attributes:
        authority: Who may give it.
        clock: Whether it is refused while no clock can be believed.
    """

    authority: Authority = Authority.BROKER
    clock: bool = True


RULES: Mapping[CommandName, Rule] = MappingProxyType(
    {
        CommandName.PING: Rule(clock=False),
        CommandName.DIAGNOSTICS: Rule(clock=False),  # a wrong clock is what one looks for
        CommandName.SELFTEST: Rule(clock=False),
        CommandName.FOOTAGE_LIST: Rule(),
        CommandName.FOOTAGE_UPLOAD: Rule(),  # sealed bytes, to hosts that the configuration names
        CommandName.LOG_SEND: Rule(),
        CommandName.SNAPSHOT: Rule(),
        CommandName.CREDENTIAL_RENEW: Rule(clock=False),  # what is installed must verify against the fleet's authority
        CommandName.REBOOT: Rule(authority=Authority.OPERATOR),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A message on a command topic.

    Attributes:
        name: What the topic ends in.
        payload: As it came.
        retained: Whether the broker had kept it.
    """

    name: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A command to carry out."""

    command: Command
    name: CommandName
    args: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A command that is not carried out.

    Attributes:
        refusal: Why, for programs.
        reason: Why, for people.
        command_id: Its id; empty if it could not be read.
    """

    refusal: Refusal
    reason: str
    command_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The ids of the commands that were accepted lately, each with the time it expires."""

    ids: Mapping[str, datetime] = field(default_factory=dict)

    def with_command(self, command: Command, *, now: datetime) -> "Seen":
        """Return what is known after `command` too, without what no clock error can bring back to life."""
        kept = {name: expires_at for name, expires_at in self.ids.items() if expires_at + REMEMBER_FOR > now}
        return Seen(ids=MappingProxyType({**kept, command.id: command.expires_at}))


def judge(
    asked: Asked, *, camera_id: str, clock: ClockState, seen: Seen, operator_keys: tuple[Ed25519PublicKey, ...] = ()
) -> Accepted | Refused:
    """Return whether to carry out what was asked.

    Args:
        asked: The message.
        camera_id: Who this is.
        clock: The time, and how far it can be believed.
        seen: What was accepted lately.
        operator_keys: Who may sign commands; none: what needs a signature is not configured.
    """
    if len(asked.payload) > Command.MAX_BYTES:
        return Refused(
            refusal=Refusal.OVERSIZED,
            reason=f"a command of {len(asked.payload)} bytes, expected at most {Command.MAX_BYTES}",
        )
    try:
        command = Command.from_bytes(asked.payload)
    except MessageFormatError as error:
        return Refused(refusal=Refusal.MALFORMED, reason=str(error))
    refused = (
        _check_address(asked, command, camera_id)
        or _check_name(command)
        or _check_time(command, clock)
        or _check_replay(command, seen, clock.now)
        or _check_authority(command, operator_keys)
    )
    if refused is not None:
        return refused
    name = CommandName(command.name)
    try:
        args = SCHEMAS[name][0].model_validate_json(json.dumps(command.args))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return _refuse(command, Refusal.MALFORMED, f"args.{where}: {first['msg'][0].lower()}{first['msg'][1:]}"[:300])
    return Accepted(command=command, name=name, args=args)


def _refuse(command: Command, refusal: Refusal, reason: str) -> Refused:
    return Refused(refusal=refusal, reason=reason, command_id=command.id)


def _check_address(asked: Asked, command: Command, camera_id: str) -> Refused | None:
    if asked.retained:
        return _refuse(command, Refusal.RETAINED, "a retained command would be carried out at every reconnect")
    if command.camera_id != camera_id:
        return _refuse(command, Refusal.MISADDRESSED, f"for {command.camera_id}, this is {camera_id}")
    if command.name != asked.name:
        return _refuse(command, Refusal.MISADDRESSED, f"names {command.name[:41]}, came as {asked.name[:41]}")
    return None


def _check_name(command: Command) -> Refused | None:
    if command.name in set(CommandName):
        return None
    return _refuse(command, Refusal.UNKNOWN, f"no command {command.name}; known: {', '.join(CommandName)}")


def _check_time(command: Command, clock: ClockState) -> Refused | None:
    if not timedelta(0) < command.expires_at - command.issued_at <= MAX_LIFE:
        return _refuse(
            command, Refusal.CLOCK, f"must live between 0 and {MAX_LIFE.seconds} s, from issued_at to expires_at"
        )
    if clock.quality is ClockQuality.UNKNOWN:
        if not RULES[CommandName(command.name)].clock:
            return None
        return _refuse(command, Refusal.CLOCK, "nothing vouches for this camera's clock, so expiry cannot be told")
    if command.expires_at <= clock.now:
        return _refuse(command, Refusal.EXPIRED, f"expired at {command.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    if command.issued_at > clock.now + SIGNING_SLACK:
        return _refuse(command, Refusal.CLOCK, f"issued in the future; here it is {clock.now:%Y-%m-%dT%H:%M:%SZ}")
    return None


def _check_replay(command: Command, seen: Seen, now: datetime) -> Refused | None:
    if command.id in seen.ids:
        return _refuse(command, Refusal.REPLAYED, "a command with this id was accepted already")
    if sum(expires_at + REMEMBER_FOR > now for expires_at in seen.ids.values()) >= MAX_REMEMBERED:
        return _refuse(
            command, Refusal.BUSY, f"more than {MAX_REMEMBERED} commands in {REMEMBER_FOR.seconds // 60} min"
        )
    return None


def _check_authority(command: Command, operator_keys: tuple[Ed25519PublicKey, ...]) -> Refused | None:
    if RULES[CommandName(command.name)].authority is Authority.BROKER:
        return None
    if not operator_keys:
        return _refuse(
            command, Refusal.NOT_CONFIGURED, "this camera knows no operator key, so nobody may ask this of it"
        )
    if command.signature is None:
        return _refuse(command, Refusal.UNAUTHORISED, "needs an operator's signature, has none")
    signature, signed = bytes.fromhex(command.signature), command.signed_bytes()
    for key in operator_keys:
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            continue
        return None
    return _refuse(command, Refusal.UNAUTHORISED, "the signature is by no operator key this camera knows")
