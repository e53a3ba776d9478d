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
        lost: Half-open ranges of indexes that we never got and shall not get.
        next: Where the cursor stands afterwards.
        rewritten: Indexes whose leaf differs from the one kept.
    """

    leaves: tuple[tuple[int, bytes], ...] = ()
    lost: tuple[tuple[int, int], ...] = ()
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
    start, lost = _pass_over(cursor, batch)
    end = batch.first + len(sent) if start in sent else start
    # What was asked for also fills what was lost once: a camera that was believed empty, leaves refused by a broker.
    first = batch.first if batch.requested else start
    return Progress(
        leaves=tuple((index, sent[index]) for index in range(first, end) if index in sent and index not in kept),
        lost=lost,
        next=end,
        rewritten=tuple(index for index, leaf in sent.items() if kept.get(index, leaf) != leaf),
    )


def _pass_over(cursor: int, batch: LogBatch) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Return where the cursor stands once what the camera cannot send is passed, and what that was."""
    lost = []
    # A camera that says its oldest leaf is one it has not written yet has lost what it wrote, and no more than that.
    oldest = min(batch.oldest, batch.next)
    if oldest > cursor:
        lost.append((cursor, oldest))
        cursor = oldest
    while cursor in batch.skipped:
        lost.append((cursor, cursor + 1))
        cursor += 1
    return cursor, tuple(lost)
