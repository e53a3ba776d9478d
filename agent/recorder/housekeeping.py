"""Make the store obey policy and fit: carry out what `agent.core.retention` plans.

What disappears is explained: the log says what goes and why before it goes. A crash
between the two leaves a removal announced twice, never one unexplained. An erasure is
the exception: it is done first and told afterwards, because it must not wait for a disk
that has no room for a line about it; the revocation that ordered it is in the log.

Age is counted up to the newest time that is proven to be past, never by the wall
clock, and only against a retention period that a policy states: a clock that jumps
ten years ahead, or a time source that lies, must not cost a city its evidence. Where
the two differ, footage stays a little longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from agent.core.policy.clock import ClockState
from agent.core.policy.decision import Decision, Revocation
from agent.core.retention import RemovalPlan, StoredSegment, plan_erasure, plan_removals
from agent.ports import EventLog, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekept:
    """What one round of housekeeping did.

    Attributes:
        removed: How many segments went.
        removed_bytes: What they took.
        evicted: How many of them went before their time, because there was no room.
        held: How many stay only because of a hold.
        excess_bytes: By how much holds alone exceed the room for them; more than zero
            means that recording must stop, and that the status must say so.
    """

    removed: int = 0
    removed_bytes: int = 0
    evicted: int = 0
    held: int = 0
    excess_bytes: int = 0

    @property
    def must_go_dark(self) -> bool:
        """Whether holds leave no room to record."""
        return self.excess_bytes > 0


def keep_house(store: Store, log: EventLog, *, decision: Decision, clock: ClockState) -> Housekept:
    """Remove what policy or space wants gone, and say what it was.

    Cheap enough to be called after each finished segment, and to be called while dark.

    Args:
        store: Where the segments are.
        log: Where each removal is recorded, before it happens; an erasure after it.
        decision: The decision in force; of it, retention, holds and revocation matter here.
        clock: The time for the log, and the time that is proven, to count age by.

    Raises:
        StorageError: A removal could not be logged, and was not carried out; or one could
            not be carried out; or an erasure was, and could not be logged. Calling again later is right in both cases.
    """
    plan = _plan(store, decision, clock)
    if plan.erased:
        store.remove(plan.erased)
        log.append("erasure-done", clock.now, held=plan.held, **_account(plan.erased))
    for reason, segments in (("expired", plan.expired), ("evicted", plan.evicted)):
        if segments:
            log.append("removal", clock.now, reason=reason, **_account(segments))
            store.remove(segments)
    return Housekept(
        removed=len(plan.removals),
        removed_bytes=sum(segment.size_bytes for segment in plan.removals),
        evicted=len(plan.evicted),
        held=plan.held,
        excess_bytes=plan.excess_bytes,
    )


def _plan(store: Store, decision: Decision, clock: ClockState) -> RemovalPlan:
    if decision.revocation is Revocation.ERASE:
        return plan_erasure(store.segments(), holds=decision.holds)
    use = store.use()
    return plan_removals(
        store.segments(),
        now=clock.proven if decision.retention > timedelta(0) else None,
        keep_for=decision.retention,
        capacity_bytes=max(0, use.capacity_bytes - use.reserved_bytes),
        holds=decision.holds,
    )


def _account(segments: Sequence[StoredSegment]) -> dict[str, int | str]:
    """Return what the log says of a removal: enough to find each segment's own entry again."""
    return {
        "segments": len(segments),
        "bytes": sum(segment.size_bytes for segment in segments),
        "first_sequence": min(segment.sequence for segment in segments),
        "last_sequence": max(segment.sequence for segment in segments),
        "oldest": min(segment.started_at for segment in segments).isoformat(),
        "newest": max(segment.started_at for segment in segments).isoformat(),
    }
