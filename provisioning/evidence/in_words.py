"""What a camera's log shows, in words for who has never read one.

Pure.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from agent.core.log.leaf import Event
from provisioning.evidence.chain import Chain
from provisioning.evidence.statement import Statement

MAX_WHY_KINDS = 5
# The kinds of leaves that explain why footage is missing, for who has never read a camera's log.
_IN_WORDS = {
    "boot": "the camera's computer started",
    "camera-opened": "the camera opened",
    "camera-recovered": "the camera gave good pictures again",
    "camera-lost": "there was no camera, or it gave no pictures",
    "camera-stalled": "the camera gave no pictures, or always the same",
    "mask-failed-closed": "whole pictures were hidden",
    "mask-recovered": "pictures were no longer hidden whole",
    "policy-applied": "a new release of the city's documents came into force",
    "policy-refused": "a release was refused",
    "recovered": "what a crash had left was put in order",
    "removal": "footage was removed",
    "erasure-done": "footage was erased",
    "segment-recovered": "a crash or a power cut ended a segment",
    "started": "the recorder started",
    "stopped": "the recorder was stopped",
    "view-without-reference": "there was no approved view to compare the camera's with",
}


def why_missing(events: Sequence[Event], starts_at: datetime, ends_at: datetime) -> str:
    """Return what the camera's log says around a gap; a second either side: an act comes before what it causes."""
    second = timedelta(seconds=1)
    kinds = dict.fromkeys(
        event.kind
        for event in events
        if starts_at - second <= event.at < ends_at + second and event.kind != "segment-stored"
    )
    if not kinds:
        return "the camera's log does not say"
    told = [f"{_IN_WORDS[kind]} ({kind})" if kind in _IN_WORDS else kind for kind in list(kinds)[:MAX_WHY_KINDS]]
    return f"the camera's log says then: {'; '.join(told)}"


def what_was_verified(statement: Statement, shown: Chain) -> Iterable[str]:
    """Yield, a sentence each, what was found to hold before the custodian signed."""
    run = f"leaves {statement.log.first_leaf} to {statement.log.last_leaf}"
    yield f"The camera's key signed the log of {statement.log.size} leaves; {run} are in it, without a hole."
    if shown.witnessed_at is None:
        yield "No witness vouches for the camera's log."
    for name, at in shown.seen_by if shown.witnessed_at is not None else ():
        yield (
            f"The witness {name} had seen the first {shown.witnessed_leaves} leaves by {at:%Y-%m-%d %H:%M:%S} UTC,"
            " and they are the same."
        )
    yield f"{len(statement.segments)} sealed segments are, byte for byte, what the camera logged when it stored them."
    yield "Every segment opened to its last byte, and says inside that it is of this camera and time."
    yield f"{statement.footage.frames} pictures were joined as the camera coded them; none was encoded again."
