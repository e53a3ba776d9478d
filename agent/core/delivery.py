"""Which leaves of the log to send next, and when to send them again.

The log is the queue. A leaf is *delivered* when the backend's cumulative
acknowledgement says so; that the broker took it means nothing, because a broker that
is killed loses what it took. So there is a *window* of batches that wait for the
backend. When it does not answer in time, sending starts over behind the last
acknowledgement (go-back-N) with one batch as a probe, at growing intervals: a backend
that is away for a day must not find a day of copies.

A broker may refuse a batch. If what it refuses is this batch (a *poison* message), the
batch is halved until the one leaf is found; that leaf is *skipped*: set aside, told
with every later batch, never sent again. If what it refuses is the camera, or if it
is out of room, no leaf is at fault; sending pauses.

Pure: each function takes a `Delivery` and returns the next one. Times are microseconds
on a clock that never steps.
"""

from dataclasses import dataclass, replace

from agent.core.messages.log import MAX_LEAVES, MAX_SKIPPED

_SECOND_US = 1_000_000
WINDOW = 4  # batches of 8 KiB: 1.4 s of a 256 kbit/s uplink, which a status may have to wait behind
ANSWER_WITHIN_US = 20 * _SECOND_US  # a backend on SQLite answers in milliseconds, over a slow uplink in seconds
FIRST_PAUSE_US = 5 * _SECOND_US
LONGEST_PAUSE_US = 300 * _SECOND_US
_DOUBLINGS = 8

# MQTT 5 2.4: reasons that speak of the message itself.
POISON_REASONS = frozenset(
    {
        0x90,  # topic name invalid
        0x95,  # packet too large
        0x99,  # payload format invalid
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Leaves `first` up to `end` on their way.

    Attributes:
        token: Names the message in what the broker says about it.
        sent_at_us: When it was sent.
        taken: Whether the broker has it.
    """

    token: int
    first: int
    end: int
    sent_at_us: int
    taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How far the log has got.

    Attributes:
        acked: The backend has everything below.
        cursor: The next leaf to send.
        waiting: Batches the backend has not answered for, oldest first.
        most: How many leaves the next batch may hold; small while a poison leaf is looked for.
        skipped: Leaves from `acked` on that the broker refuses to carry, ascending.
        silences: How often in a row the backend did not answer, or the broker had no room.
        paused_until_us: Nothing is sent before.
    """

    acked: int = 0
    cursor: int = 0
    waiting: tuple[Batch, ...] = ()
    most: int = MAX_LEAVES
    skipped: tuple[int, ...] = ()
    silences: int = 0
    paused_until_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What to send now: at most `most` leaves from `first` on."""

    first: int
    most: int


def begin(acked: int) -> Delivery:
    """Return the delivery of a log of which the backend has everything below `acked`."""
    return Delivery(acked=acked, cursor=acked)


def due(delivery: Delivery, *, oldest: int, following: int, now_us: int, untaken_limit: int = WINDOW) -> Due | None:
    """Return what to send now, or None.

    Args:
        delivery: How far it has got.
        oldest: Lowest index the log still has.
        following: Index the next leaf will get.
        now_us: Current time.
        untaken_limit: How many batches may be on their way to the broker, from its Receive Maximum.
    """
    first = max(delivery.cursor, oldest)
    while first in delivery.skipped:
        first += 1
    window = 1 if delivery.silences else WINDOW
    untaken = sum(not batch.taken for batch in delivery.waiting)
    if first >= following or now_us < delivery.paused_until_us:
        return None
    if len(delivery.waiting) >= window or untaken >= untaken_limit:
        return None
    ends = [index for index in delivery.skipped if index > first]
    return Due(first=first, most=min([delivery.most, following - first, *(index - first for index in ends)]))


def sent(delivery: Delivery, batch: Batch) -> Delivery:
    """Return the delivery after `batch` was handed to the broker's connection."""
    return replace(delivery, cursor=batch.end, waiting=(*delivery.waiting, batch))


def taken(delivery: Delivery, token: int) -> Delivery:
    """Return the delivery after the broker took a message; any other message's token changes nothing."""
    return replace(
        delivery,
        waiting=tuple(replace(batch, taken=True) if batch.token == token else batch for batch in delivery.waiting),
    )


def acknowledged(delivery: Delivery, following: int) -> Delivery:
    """Return the delivery after the backend said that it has everything below `following`.

    An old acknowledgement, late or twice, changes nothing. The caller has checked that
    there are so many leaves at all.
    """
    if following <= delivery.acked:
        return delivery
    return replace(
        delivery,
        acked=following,
        cursor=max(delivery.cursor, following),
        waiting=tuple(batch for batch in delivery.waiting if batch.end > following),
        most=min(MAX_LEAVES, delivery.most * 2),  # what was poison is behind us
        skipped=tuple(index for index in delivery.skipped if index >= following),
        silences=0,
        paused_until_us=0,
    )


def refused(delivery: Delivery, token: int, reason: int, *, now_us: int) -> Delivery:
    """Return the delivery after the broker, or a size limit, refused a message.

    Args:
        delivery: How far it had got.
        token: Which message; any other message's token changes nothing.
        reason: MQTT 5 reason code, 0x80 or above.
        now_us: Current time.
    """
    batch = next((batch for batch in delivery.waiting if batch.token == token), None)
    if batch is None:
        return delivery
    if reason not in POISON_REASONS:
        return _paused(_back_to(delivery, delivery.acked), now_us)
    leaves = batch.end - batch.first
    if leaves > 1:
        return replace(_back_to(delivery, batch.first), most=leaves // 2)
    if len(delivery.skipped) >= MAX_SKIPPED:  # so many cannot each be poison: something else is wrong
        return _paused(_back_to(delivery, delivery.acked), now_us)
    return replace(_back_to(delivery, batch.end), skipped=tuple(sorted({*delivery.skipped, batch.first})))


def overdue(delivery: Delivery, *, now_us: int) -> Delivery:
    """Return the delivery as it goes on when the backend has been silent for too long, or `delivery` itself."""
    if not delivery.waiting or now_us - delivery.waiting[0].sent_at_us < ANSWER_WITHIN_US:
        return delivery
    return _paused(_back_to(delivery, delivery.acked), now_us)


def disconnected(delivery: Delivery) -> Delivery:
    """Return the delivery after the connection ended: nothing is on its way any more, and no pause counts."""
    return replace(_back_to(delivery, delivery.acked), silences=0, paused_until_us=0)


def _back_to(delivery: Delivery, cursor: int) -> Delivery:
    return replace(delivery, cursor=cursor, waiting=tuple(batch for batch in delivery.waiting if batch.end <= cursor))


def _paused(delivery: Delivery, now_us: int) -> Delivery:
    pause_us = min(FIRST_PAUSE_US << min(delivery.silences, _DOUBLINGS), LONGEST_PAUSE_US)
    return replace(delivery, silences=delivery.silences + 1, paused_until_us=now_us + pause_us)
