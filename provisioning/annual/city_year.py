"""What people did with footage in a year, from the city's own log: handed over, opened, refused, destroyed.

An act belongs to the year in which it was begun; an export that is begun on New Year's Eve and finished
a day later is one of the old year. No case, no name and no reason leaves this module.

Pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agent.core.log.leaf import Event
from provisioning.annual.camera_year import Year
from provisioning.release.register import PublicCounts, counts, standings


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported:
    """Footage of one camera served one case.

    Attributes:
        camera: Whose footage.
        at: When it was handed over or opened.
        case: Which case, for telling cases apart; it is not printed.
        opened: Whether the sealed layer was opened for it, and not the masked one handed over.
    """

    camera: str
    at: datetime
    case: str
    opened: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What was handed over under one row of the table of sharing, on one basis."""

    row: str
    basis: str
    exports: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CityYear:
    """What people did.

    Attributes:
        first: Index of the first entry of the year in the city's log, or None.
        last: Index of the last.
        size: How many entries the log has.
        shared: Exports that were finished, by row and basis.
        exports_by_camera: The same, by camera.
        given_up: Exports that were begun and never finished.
        refused: Exports that the law refused, by clause.
        releases: What became of requests to open the sealed layer (JC-8).
        released_against: Requests to open it that the law refused, by clause.
        keys_destroyed: Keys of days that were destroyed; with each, every copy of that day's footage.
        destroyed_early: How many times that was done before retention had ended.
        supported: Which cameras served which cases.
    """

    first: int | None
    last: int | None
    size: int
    shared: tuple[Shared, ...]
    exports_by_camera: Mapping[str, int]
    given_up: int
    refused: Mapping[str, int]
    releases: PublicCounts
    released_against: Mapping[str, int]
    keys_destroyed: int
    destroyed_early: int
    supported: tuple[Supported, ...] = field(default=(), repr=False)

    @property
    def exports(self) -> int:
        """How often footage was handed over."""
        return sum(one.exports for one in self.shared)


def city_year(log: Sequence[Event], year: Year) -> CityYear:
    """Return what people did in a year.

    Args:
        log: The whole log of the city.
        year: Which year.
    """
    mine = [event for event in log if year.has(event.at)]
    finished = {event.facts.get("begun") for event in log if event.kind == "evidence-exported"}
    begun = [event for event in mine if event.kind == "evidence-export-begun"]
    exports = [event for event in begun if event.number in finished]
    shared = Counter((_fact(event, "row"), _fact(event, "basis")) for event in exports)
    made = [one for one in standings(log) if year.has(one.at)]
    destroyed = [event for event in mine if event.kind == "epochs-destroyed"]
    return CityYear(
        first=mine[0].number if mine else None,
        last=mine[-1].number if mine else None,
        size=len(log),
        shared=tuple(Shared(row=row, basis=basis, exports=number) for (row, basis), number in sorted(shared.items())),
        exports_by_camera=_by(exports, "camera"),
        given_up=len(begun) - len(exports),
        refused=_by((event for event in mine if event.kind == "evidence-export-refused"), "clause"),
        releases=counts(log, since=year.since, until=year.until),
        released_against=dict(sorted(Counter(one.against for one in made if one.against).items())),
        keys_destroyed=sum(_number(event, "epochs") for event in destroyed),
        destroyed_early=sum(event.facts.get("early") is not None for event in destroyed),
        supported=(
            *(
                Supported(camera=_fact(one, "camera"), at=one.at, case=_fact(one, "case"), opened=False)
                for one in exports
            ),
            *(
                Supported(camera=one.camera, at=one.at, case=one.case, opened=True)
                for one in made
                if one.opened_at is not None
            ),
        ),
    )


def _by(events: Iterable[Event], name: str) -> dict[str, int]:
    return dict(sorted(Counter(_fact(event, name) for event in events).items()))


def _fact(event: Event, name: str) -> str:
    return str(event.facts.get(name))


def _number(event: Event, name: str) -> int:
    fact = event.facts.get(name)
    return fact if isinstance(fact, int) else 0
