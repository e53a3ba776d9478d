"""What a camera counted, out of the leaves of its log: who passed a line, who stood in an area, how fast.

What is too small to be told was left out by the camera (agent/core/COUNTING.md); nothing here could bring it back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.core.log.leaf import Event, parse_leaf
from agent.errors import LeafFormatError
from provisioning.backend.store import Transaction

KIND = "counts"
_CHUNK_LEAVES = 1000
_LATE = timedelta(minutes=30)  # a row is logged at the end of its quarter, and a clock may have been set
_NO_CELLS = frozenset({"place", "interval_at", "interval_s", "watched_s", "suppressed_below"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedRow:
    """One place and one quarter of an hour, or a stretch of it.

    Attributes:
        place: Name of the line or area.
        interval_at: When the quarter began, aware UTC.
        watched_s: For how many seconds of it somebody looked.
        cells: What is told, by name; None where it is not.
    """

    place: str
    interval_at: datetime
    watched_s: int
    cells: Mapping[str, int | None]


def counted_since(fleet: Transaction, camera_id: str, *, since: datetime) -> tuple[CountedRow, ...]:
    """Return the rows of a camera's log of now, oldest first.

    Args:
        fleet: The store.
        camera_id: Whose.
        since: Intervals that began no earlier, aware UTC.
    """
    camera = fleet.cameras.get(camera_id)
    if camera is None or camera.log_id is None:
        return ()
    found: list[CountedRow] = []
    end = camera.log_next
    while end > 0:
        first = max(0, end - _CHUNK_LEAVES)
        events = list(_events(fleet.logs.leaves(camera_id, camera.log_id, first, end)))
        rows = (row_of(event) for event in events if event.kind == KIND)
        found = [row for row in rows if row is not None and row.interval_at >= since] + found
        if events and events[0].at < since - _LATE:
            break
        end = first
    return tuple(found)


def row_of(event: Event) -> CountedRow | None:
    """Return the row that a leaf of the kind `counts` tells, or None if it tells none."""
    place, interval_at, watched_s = (event.facts.get(name) for name in ("place", "interval_at", "watched_s"))
    if not isinstance(place, str) or not isinstance(interval_at, str) or not isinstance(watched_s, int):
        return None
    try:
        began_at = datetime.fromisoformat(interval_at)
    except ValueError:
        return None
    if began_at.utcoffset() is None:
        return None
    cells = {
        what: count
        for what, count in event.facts.items()
        if what not in _NO_CELLS and (count is None or (isinstance(count, int) and not isinstance(count, bool)))
    }
    return CountedRow(place=place, interval_at=began_at.astimezone(UTC), watched_s=watched_s, cells=cells)


def _events(leaves: Mapping[int, bytes]) -> Iterator[Event]:
    """Yield what can be read; what cannot is in the log all the same, and no row."""
    for leaf in leaves.values():
        try:
            yield parse_leaf(leaf)
        except LeafFormatError:
            continue
