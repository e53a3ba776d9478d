"""An event log in memory."""

from datetime import datetime
from typing import TYPE_CHECKING

from agent.ports import Fact

if TYPE_CHECKING:
    from agent.errors import StorageError


class MemoryLog:
    """The `EventLog` that forgets.

    Attributes:
        events: Kind and facts of each event, in order.
        failing: What the "disk" says from now on, or None.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Fact]]] = []
        self.failing: StorageError | None = None

    def append(self, kind: str, at: datetime, **facts: Fact) -> None:
        """Keep an event."""
        if self.failing is not None:
            raise self.failing
        self.events.append((kind, facts))

    @property
    def kinds(self) -> list[str]:
        """The kinds of all events, in order."""
        return [kind for kind, _ in self.events]
