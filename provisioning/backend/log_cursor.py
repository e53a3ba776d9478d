"""How far a camera's log has got, and what one batch of leaves adds to it.

The *cursor* is an index: every leaf below it is stored, or is known to be lost. A
batch moves it by what follows on without a hole. What lies beyond a hole is left:
the acknowledgement says where the cursor stands, and the camera sends from there.

Delivery is at least once, so that a leaf comes again; it changes nothing. A leaf
that comes again with other bytes was rewritten, and the first one stays.

Pure: values in, values out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.core.messages.log import LogBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one batch comes to.

    Attributes:
        leaves: New ones to keep, index and bytes, in order.
        lost: Half-open range of indexes that the camera no longer has and we never got, or None.
        next: Where the cursor stands afterwards.
        rewritten: Indexes whose leaf differs from the one kept.
    """

    leaves: tuple[tuple[int, bytes], ...] = ()
    lost: tuple[int, int] | None = None
    next: int
    rewritten: tuple[int, ...] = ()


def advance(cursor: int, batch: LogBatch, kept: Mapping[int, bytes]) -> Progress:
    """Return what `batch` adds to a log whose cursor stands at `cursor`.

    Args:
        cursor: Every leaf below it is stored or known to be lost.
        batch: What arrived.
        kept: The stored leaves among those of the batch.
    """
    sent = dict(enumerate(batch.leaves, start=batch.first))
    rewritten = tuple(index for index, leaf in sent.items() if kept.get(index, leaf) != leaf)
    if batch.requested:
        # It was asked for, to fill what is missing; the cursor is about what comes by itself.
        fresh = {index: leaf for index, leaf in sent.items() if index < cursor and index not in kept}
        return Progress(leaves=tuple(fresh.items()), next=cursor, rewritten=rewritten)
    # A camera that says its oldest leaf is one it has not written yet has lost what it wrote, and no more than that.
    oldest = min(batch.oldest, batch.next)
    lost = (cursor, oldest) if oldest > cursor else None
    start = max(cursor, oldest)
    fresh = {index: leaf for index, leaf in sent.items() if index >= start and index not in kept}
    if start not in sent:
        return Progress(lost=lost, next=start, rewritten=rewritten)
    return Progress(leaves=tuple(fresh.items()), lost=lost, next=batch.first + len(sent), rewritten=rewritten)
