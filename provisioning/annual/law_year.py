"""What was signed for a year, and in force in it: grants, waivers, restrictions, holds, orders to stop, the charter.

Documents are looked at as their public extracts, which say nothing of cases and persons: what is not in them
cannot come into the report. Of holds only the number is told.

Pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Generic, TypeVar

from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.documents import Grant, Hold, Restriction, Revocation, Waiver
from agent.core.policy.release import CHARTER_PATH
from agent.core.policy.revision import compare
from agent.errors import UsageError
from provisioning.annual.camera_year import Year
from provisioning.authority.cross_check import AnyDocument
from provisioning.authority.extract import parse_extract, public_extract
from provisioning.authority.history import Publication

_P = TypeVar("_P", Grant, Waiver)


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce(Generic[_P]):
    """A document that permits, and when it did within the year.

    Attributes:
        document: The grant or waiver.
        offices: Which offices signed it.
        since: Beginning of its effect within the year.
        until: End of it.
    """

    document: _P
    offices: tuple[str, ...]
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterRevision:
    """A change of the city's law.

    Attributes:
        at: When it was published.
        revision: Its number.
        changes: What it changed, by effect, such as "widens".
    """

    at: datetime
    revision: int
    changes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LawYear:
    """What was signed.

    Attributes:
        charter: The law at the end of the year.
        grants: In force at some time of the year, in their order.
        waivers: Likewise.
        restrictions: Issued in the year.
        revocations: Ordered in the year, by action.
        holds_placed: How many holds were placed in the year.
        revisions: Changes of the charter in the year.
    """

    charter: Charter
    grants: tuple[InForce[Grant], ...]
    waivers: tuple[InForce[Waiver], ...]
    restrictions: tuple[Restriction, ...]
    revocations: Mapping[str, int]
    holds_placed: int
    revisions: tuple[CharterRevision, ...]

    def granted_to(self, camera: str) -> Iterator[InForce[Grant]]:
        """Yield the grants for a camera, in their order; there is one at a time."""
        return (one for one in self.grants if camera in one.document.cameras)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Every camera that was granted something, sorted."""
        return tuple(sorted({camera for one in self.grants for camera in one.document.cameras}))


def law_year(history: Iterable[Publication], year: Year) -> LawYear:
    """Return what was signed for a year.

    Args:
        history: Every document the city ever published.
        year: Which year.

    Raises:
        UsageError: The city was not founded yet.
    """
    published = [one for one in history if one.since < year.until]
    charters = [(one.since, parse_charter(one.raw)) for one in published if one.path == CHARTER_PATH]
    if not charters:
        raise UsageError(f"the city was founded after {year.number}")
    documents = [(one, _shown(one.raw)) for one in published if one.path != CHARTER_PATH]
    issued = [document for one, document in documents if year.has(max(one.since, document.starts_at))]
    return LawYear(
        charter=charters[-1][1],
        grants=tuple(_in_force(documents, Grant, year)),
        waivers=tuple(_in_force(documents, Waiver, year)),
        restrictions=tuple(one for one in issued if isinstance(one, Restriction)),
        revocations=dict(sorted(Counter(one.action for one in issued if isinstance(one, Revocation)).items())),
        holds_placed=sum(isinstance(one, Hold) for one in issued),
        revisions=tuple(_revisions(charters, year)),
    )


def _shown(raw: bytes) -> AnyDocument:
    return parse_extract(public_extract(raw)).document


def _in_force(
    documents: Iterable[tuple[Publication, AnyDocument]], kind: type[_P], year: Year
) -> Iterator[InForce[_P]]:
    for publication, document in documents:
        if not isinstance(document, kind):
            continue
        since = max(document.starts_at, publication.since, year.since)
        until = min(document.ends_at, publication.until or year.until, year.until)
        if since < until:
            offices = tuple(holder.office for holder in publication.signers)
            yield InForce(document=document, offices=offices, since=since, until=until)


def _revisions(charters: list[tuple[datetime, Charter]], year: Year) -> Iterator[CharterRevision]:
    for (_, old), (at, new) in pairwise(charters):
        if year.has(at):
            effects = Counter(change.effect.value for change in compare(old, new).changes)
            yield CharterRevision(at=at, revision=new.revision, changes=dict(sorted(effects.items())))
