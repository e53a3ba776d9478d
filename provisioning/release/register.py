"""What became of every request to open the sealed layer, from the city's own log: for people, and as counts (JC-8).

The counts carry no case, no name and no reason: they may be published as they are.

Pure.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from agent.core.log.leaf import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One request.

    Attributes:
        id: "q-" and the number of its entry in the city's log; empty where the law refused it.
        at: When it was made.
        camera: Whose sealed layer.
        case: For which case.
        basis: On which legal basis.
        investigator: For whom.
        segments: How many were named.
        approved: Offices whose last answer is yes, sorted.
        refused: Offices whose last answer is no, sorted.
        opened_at: When it was opened, or None.
        handed_over: Whether the segments were made for the investigator.
        ever_refused: Whether an office said no, even if it said yes later.
        against: The clause that the law refused it with, or nothing.
    """

    id: str
    at: datetime
    camera: str
    case: str
    basis: str
    investigator: str
    segments: int
    approved: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    opened_at: datetime | None = None
    handed_over: bool = False
    ever_refused: bool = False
    against: str = ""

    @property
    def state(self) -> str:
        """What became of it, in a word or two."""
        if self.against:
            return f"against the law ({self.against})"
        if self.handed_over:
            return "handed over"
        if self.opened_at is not None:
            return "opened"
        return "refused" if self.refused else "asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicCounts:
    """What the public may know.

    Attributes:
        requested: Requests that were put to the offices.
        against_law: Requests that the law refused.
        refused: Requests that at least one office refused, whatever it said later.
        opened: Requests that were opened.
        segments_opened: Segments of the sealed layer that were opened.
        opened_by_basis: Openings by legal basis.
        opened_by_camera: Openings by camera.
    """

    requested: int
    against_law: int
    refused: int
    opened: int
    segments_opened: int
    opened_by_basis: dict[str, int]
    opened_by_camera: dict[str, int]


def standings(log: Iterable[Event]) -> tuple[Standing, ...]:
    """Return every request of the log, oldest first."""
    made: dict[str, Standing] = {}
    for event in log:
        request = str(event.facts.get("request", ""))
        if event.kind == "release-requested":
            made[f"q-{event.number}"] = _standing(event, request=f"q-{event.number}")
        elif event.kind == "release-against-law":
            made[f"against-{event.number}"] = replace(
                _standing(event, request=""), against=str(event.facts.get("clause"))
            )
        elif request in made:
            made[request] = _after(made[request], event)
    return tuple(made.values())


def counts(log: Iterable[Event], *, since: datetime | None = None, until: datetime | None = None) -> PublicCounts:
    """Return the counts of the requests that were made in the half-open span."""
    made = [one for one in standings(log) if (since is None or one.at >= since) and (until is None or one.at < until)]
    opened = [one for one in made if one.opened_at is not None]
    return PublicCounts(
        requested=sum(not one.against for one in made),
        against_law=sum(bool(one.against) for one in made),
        refused=sum(one.ever_refused for one in made),
        opened=len(opened),
        segments_opened=sum(one.segments for one in opened),
        opened_by_basis=dict(sorted(Counter(one.basis for one in opened).items())),
        opened_by_camera=dict(sorted(Counter(one.camera for one in opened).items())),
    )


def _standing(event: Event, *, request: str) -> Standing:
    facts = event.facts
    segments = facts.get("segments")
    return Standing(
        id=request,
        at=event.at,
        camera=str(facts.get("camera")),
        case=str(facts.get("case")),
        basis=str(facts.get("basis")),
        investigator=str(facts.get("investigator")),
        segments=segments if isinstance(segments, int) else 0,
    )


def _after(one: Standing, event: Event) -> Standing:
    """Return what a request has come to with one more entry of the log."""
    office = {str(event.facts.get("office"))}
    match event.kind:
        case "release-approved":
            approved = set(one.approved) | office
            return replace(one, approved=tuple(sorted(approved)), refused=tuple(sorted(set(one.refused) - office)))
        case "release-refused":
            refused = set(one.refused) | office
            approved = set(one.approved) - office
            return replace(one, refused=tuple(sorted(refused)), approved=tuple(sorted(approved)), ever_refused=True)
        case "release-opened":
            return replace(one, opened_at=event.at)
        case "release-handed-over":
            return replace(one, handed_over=True)
        case _:
            return one
