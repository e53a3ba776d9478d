"""What one turn of the backend makes of what arrived: kept, judged, answered.

Nothing that arrives is believed further than it goes. The broker holds a camera to its
own topics by its certificate; here the payload must say the same camera, be what its
topic carries, and be no larger than that may be. What is not is counted as an incident
of that camera and otherwise dropped: sending it again would make it no better.

A turn is one transaction. The answers it returns may be sent once it is committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.core.messages.commands import Outcome, Reply
from agent.core.messages.log import Ack, LogBatch, SignedCheckpoint
from agent.core.messages.policy import Reported
from agent.core.messages.presence import Birth, Status
from agent.core.topics import Leaf, Topic
from agent.errors import MessageFormatError
from provisioning.backend.log_cursor import advance
from provisioning.backend.records import LogRecord, Standing
from provisioning.backend.store import Transaction

Payload = Birth | Status | Reported | LogBatch | SignedCheckpoint | Reply
PAYLOADS: dict[Leaf, type[Payload]] = {
    Leaf.BIRTH: Birth,
    Leaf.STATUS: Status,
    Leaf.REPORTED: Reported,
    Leaf.LOG: LogBatch,
    Leaf.CHECKPOINT: SignedCheckpoint,
    Leaf.REPLY: Reply,
}
SETTLING = frozenset({Outcome.DONE, Outcome.REFUSED, Outcome.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One message from the broker.

    Attributes:
        topic: Where it came in.
        payload: Its bytes, not looked at yet.
        retained: Whether the broker had kept it: then it says how things were, not that they just changed.
        receipt: What the session needs to acknowledge it with.
    """

    topic: Topic
    payload: bytes
    retained: bool = False
    receipt: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message to a camera."""

    topic: Topic
    payload: bytes
    expiry_s: int | None = None
    correlation: bytes | None = None


@dataclass(slots=True, kw_only=True)
class Turn:
    """What one turn came to.

    Attributes:
        outgoing: Acknowledgements to send.
        connected: Cameras that have just connected.
        replies: Replies to commands of ours.
        statuses: New statuses.
        checkpoints: What logs say they are.
        messages: Messages taken, by topic.
        leaves: New leaves kept.
        duplicates: Leaves that had been kept before.
        incidents: Messages that were no part of the contract.
    """

    outgoing: list[Outgoing]
    connected: list[str]
    replies: list[Reply]
    statuses: list[Status]
    checkpoints: list[SignedCheckpoint]
    messages: dict[Leaf, int]
    leaves: int = 0
    duplicates: int = 0
    incidents: int = 0


def collect(arrived: Sequence[Arrived], fleet: Transaction, *, now: datetime) -> Turn:
    """Take what arrived into the store and return what it came to.

    Args:
        arrived: In the order of arrival.
        fleet: The transaction of this turn.
        now: Current UTC time.
    """
    turn = Turn(outgoing=[], connected=[], replies=[], statuses=[], checkpoints=[], messages={})
    met: set[str] = set()
    for one in arrived:
        kind = PAYLOADS.get(one.topic.leaf)
        if kind is None or not one.payload:  # a retained message that somebody cleared arrives empty
            continue
        turn.messages[one.topic.leaf] = turn.messages.get(one.topic.leaf, 0) + 1
        camera_id = one.topic.camera_id
        if camera_id not in met:
            met.add(camera_id)
            fleet.cameras.meet(camera_id, now=now)
        try:
            message = kind.from_bytes(one.payload)
            _agree(message, one.topic)
        except MessageFormatError as error:
            _incident(turn, fleet, camera_id, f"malformed-{one.topic.leaf.name.lower()}", str(error), now=now)
            continue
        _take(turn, fleet, message, retained=one.retained, now=now)
    return turn


def _agree(message: Payload, topic: Topic) -> None:
    if message.camera_id != topic.camera_id:
        raise MessageFormatError(f"it says camera {message.camera_id}, but came as {topic.camera_id}")
    if isinstance(message, Reply) and message.name != topic.name:
        raise MessageFormatError(f"a reply to {message.name} came as one to {topic.name}")


def _take(turn: Turn, fleet: Transaction, message: Payload, *, retained: bool, now: datetime) -> None:
    match message:
        case Birth():
            _take_birth(turn, fleet, message, retained=retained, now=now)
        case Status():
            fleet.cameras.note(message.camera_id, message, now=now)
            turn.statuses.append(message)
        case Reported():
            fleet.cameras.note(message.camera_id, message, now=now)
        case LogBatch():
            _take_batch(turn, fleet, message, now=now)
        case SignedCheckpoint():
            turn.checkpoints.append(message)
        case Reply():
            _take_reply(turn, fleet, message, now=now)


def _take_birth(turn: Turn, fleet: Transaction, birth: Birth, *, retained: bool, now: datetime) -> None:
    known = fleet.cameras.standing(birth.camera_id)
    if known is not None and known.birth_sequence is not None and birth.sequence < known.birth_sequence:
        if retained or not birth.online:
            return  # a late will of a connection that another has followed
        # It connects right now and counts from further back: its card was replaced, or copied.
        words = f"birth {birth.sequence} after birth {known.birth_sequence}"
        _incident(turn, fleet, birth.camera_id, "birth-sequence-restarted", words, now=now)
    fleet.cameras.note(birth.camera_id, birth, now=now)
    if birth.online and not retained:
        turn.connected.append(birth.camera_id)
    if birth.online and known is not None and known.log_id is not None:
        turn.outgoing.append(_ack(birth.camera_id, known.log_id, known.log_next))


def _take_batch(turn: Turn, fleet: Transaction, batch: LogBatch, *, now: datetime) -> None:
    camera_id, log_id = batch.camera_id, batch.log_id
    before = fleet.logs.get(camera_id, log_id)
    if before is None:
        _meet_log(turn, fleet, fleet.cameras.standing(camera_id), batch, now=now)
    log = before or LogRecord(camera_id=camera_id, log_id=log_id, next=0, camera_next=0, lost=0)
    end = batch.first + len(batch.leaves)
    kept = fleet.logs.leaves(camera_id, log_id, batch.first, end) if batch.first < log.next else {}
    progress = advance(log.next, batch, kept)
    fleet.logs.append(camera_id, log_id, progress.leaves, now=now)
    turn.leaves += len(progress.leaves)
    turn.duplicates += len(kept)
    for lost in progress.lost:
        fleet.logs.note_loss(camera_id, log_id, lost, now=now)
        words = f"leaves {lost[0]} to {lost[1] - 1} of log {log_id} are lost"
        _incident(turn, fleet, camera_id, "leaves-lost", words, now=now)
    if progress.rewritten:
        words = f"leaf {progress.rewritten[0]} of log {log_id} came with other bytes than before"
        _incident(turn, fleet, camera_id, "log-rewritten", words, now=now)
    lost_leaves = log.lost + sum(beyond - first for first, beyond in progress.lost)
    after = replace(log, next=progress.next, camera_next=max(batch.next, end), lost=lost_leaves)
    if after != log:
        fleet.logs.move(after)
    if not batch.requested:
        turn.outgoing.append(_ack(camera_id, log_id, progress.next))


def _meet_log(turn: Turn, fleet: Transaction, known: Standing | None, batch: LogBatch, *, now: datetime) -> None:
    if known is not None and known.log_id is not None:
        words = f"log {batch.log_id} began at leaf {batch.first}, after log {known.log_id} with {known.log_next} leaves"
        _incident(turn, fleet, batch.camera_id, "new-log", words, now=now)
    fleet.logs.begin(
        LogRecord(camera_id=batch.camera_id, log_id=batch.log_id, next=0, camera_next=batch.next, lost=0), now=now
    )
    fleet.cameras.note_log(batch.camera_id, batch.log_id)


def _take_reply(turn: Turn, fleet: Transaction, reply: Reply, *, now: datetime) -> None:
    asked = fleet.commands.get(reply.command_id) if reply.command_id else None
    if asked is None or asked.camera_id != reply.camera_id or asked.name != reply.name:
        _incident(turn, fleet, reply.camera_id, "reply-to-nothing", f"a reply to {reply.name} nobody asked", now=now)
        return
    if asked.settled and asked.reply is not None:
        return  # at least once
    fleet.commands.note_reply(reply, settled=reply.outcome in SETTLING, now=now)
    turn.replies.append(reply)


def _incident(turn: Turn, fleet: Transaction, camera_id: str, kind: str, words: str, *, now: datetime) -> None:
    fleet.incidents.note(camera_id, kind, words, now=now)
    turn.incidents += 1


def _ack(camera_id: str, log_id: str, upto: int) -> Outgoing:
    ack = Ack(camera_id=camera_id, log_id=log_id, next=upto)
    return Outgoing(topic=Topic(camera_id=camera_id, leaf=Leaf.ACK), payload=ack.to_bytes())
