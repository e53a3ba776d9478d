"""Commands on their way to cameras: made, sent once, and answered.

Whoever asks for a command (a person with `lamppost fleet command`, the backend itself
when a certificate is to be renewed) puts it into the store; the one process that
has a connection sends it. So it is on record who asked, before it is sent.

A command is sent once. If the camera is away it expires, and the asker is told so:
a reboot that is carried out a day later is another one than was asked for.
"""

import json
import secrets
from datetime import datetime, timedelta

from pydantic import JsonValue, ValidationError

from agent.core.messages.commands import (
    MAX_LIFE,
    SCHEMAS,
    Command,
    CommandName,
    CredentialRenewArgs,
    CredentialRenewResult,
    LogSendArgs,
    Outcome,
    Reply,
)
from agent.core.messages.presence import Status
from agent.core.topics import Leaf, Topic
from agent.errors import KeyFormatError, SignatureError, UsageError
from provisioning.backend.ca import FleetAuthority, renewal_due
from provisioning.backend.collector import Outgoing
from provisioning.backend.records import CommandRecord
from provisioning.backend.store import Transaction

BACKEND_ITSELF = "the backend"
RENEWAL_RETRY = timedelta(minutes=10)
CATCHING_UP_RETRY = timedelta(minutes=2)
_ID_BYTES = 12


def make_command(
    camera_id: str, name: str, args: dict[str, JsonValue], *, now: datetime, life: timedelta = MAX_LIFE
) -> Command:
    """Return a command that is what its name carries.

    Raises:
        UsageError: There is no such command, or its arguments are not those.
    """
    try:
        known = CommandName(name)
    except ValueError:
        raise UsageError(f"there is no command {name!r}", hint=f"known: {', '.join(CommandName)}") from None
    try:
        SCHEMAS[known][0].model_validate_json(json.dumps(args))  # JSON as the camera will read it
        return Command(
            camera_id=camera_id,
            name=known.value,
            id=secrets.token_hex(_ID_BYTES),
            issued_at=now,
            expires_at=now + min(life, MAX_LIFE),
            args=args,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name} {where}: {first['msg'].lower()}") from error


def ask(fleet: Transaction, command: Command, *, by: str) -> None:
    """Put a command where the backend will find it."""
    fleet.commands.ask(
        CommandRecord(
            id=command.id,
            camera_id=command.camera_id,
            name=command.name,
            payload=command.to_bytes(),
            asked_by=by,
            asked_at=command.issued_at,
            expires_at=command.expires_at,
        )
    )


def to_send(fleet: Transaction, *, now: datetime) -> list[Outgoing]:
    """Return the commands to send now, noted as sent; what has expired is settled instead."""
    outgoing = []
    for waiting in fleet.commands.waiting():
        left_s = int((waiting.expires_at - now).total_seconds())
        if left_s <= 0:
            fleet.commands.settle(waiting.id)
            continue
        fleet.commands.note_sent(waiting.id, now=now)
        outgoing.append(
            Outgoing(
                topic=Topic(camera_id=waiting.camera_id, leaf=Leaf.COMMAND, name=waiting.name),
                payload=waiting.payload,
                expiry_s=left_s,
                correlation=waiting.id.encode(),
            )
        )
    return outgoing


def start_renewal(fleet: Transaction, camera_id: str, expires_at: datetime, *, now: datetime) -> bool:
    """Ask a camera for a certificate request if its certificate has a third of its life behind it.

    Args:
        fleet: The transaction of this turn.
        camera_id: Which camera.
        expires_at: When the camera says that its certificate ends.
        now: Current UTC time.

    Returns:
        Whether it was asked just now.
    """
    if not renewal_due(expires_at, now=now):
        return False
    asked = fleet.commands.of(camera_id, name=CommandName.CREDENTIAL_RENEW, limit=1)
    if asked and now - asked[0].asked_at < RENEWAL_RETRY:
        return False
    ask(fleet, make_command(camera_id, CommandName.CREDENTIAL_RENEW, {}, now=now), by=BACKEND_ITSELF)
    return True


def start_catching_up(fleet: Transaction, status: Status, *, now: datetime) -> bool:
    """Ask a camera for leaves that it was told we have and we do not: this store is older than that.

    Returns:
        Whether it was asked just now.
    """
    known = fleet.cameras.standing(status.camera_id)
    if known is None or known.log_id is None or status.link.queue.acked <= known.log_next:
        return False
    asked = fleet.commands.of(status.camera_id, name=CommandName.LOG_SEND, limit=1)
    if asked and now - asked[0].asked_at < CATCHING_UP_RETRY:
        return False
    args = LogSendArgs(first=known.log_next, end=status.link.queue.acked).model_dump(mode="json")
    ask(fleet, make_command(status.camera_id, CommandName.LOG_SEND, args, now=now), by=BACKEND_ITSELF)
    return True


def go_on_with_renewal(fleet: Transaction, reply: Reply, authority: FleetAuthority, *, now: datetime) -> None:
    """Certify what a camera asks for in its answer to the first step, and send it as the second.

    The answer was held to its command by its id, and to its camera by the broker; a camera
    that is barred gets nothing, and neither does a request for another name.
    """
    if reply.name != CommandName.CREDENTIAL_RENEW or reply.outcome is not Outcome.DONE:
        return
    try:
        chain = _certify(reply, authority, now=now)
    except (KeyFormatError, SignatureError) as error:
        fleet.incidents.note(reply.camera_id, "renewal-refused", str(error), now=now)
        return
    if chain:
        args = CredentialRenewArgs(chain=chain).model_dump(mode="json")
        ask(fleet, make_command(reply.camera_id, reply.name, args, now=now), by=BACKEND_ITSELF)


def _certify(reply: Reply, authority: FleetAuthority, *, now: datetime) -> str:
    try:
        request = CredentialRenewResult.model_validate_json(json.dumps(reply.result or {})).request
    except ValidationError as error:
        raise KeyFormatError("the reply holds no request") from error
    if request is None:
        return ""
    if reply.camera_id in authority.barred():
        raise SignatureError("its certificate was revoked")
    return authority.issue_device(reply.camera_id, request.encode(), now=now).chain.decode()
