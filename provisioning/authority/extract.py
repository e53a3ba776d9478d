"""What of a policy document everyone may see, in a form that the officials sign with it.

A document holds what must stay in: where private areas lie exactly, case numbers, who holds a key. Its
*public extract* is the same document with these taken out or made coarse, and still a document that
parses and decides: what a camera may do follows from extracts as from the originals. Role metadata
lists, beside the digest of each document, the digest of its extract, so that the offices' signatures
cover both: nobody who publishes an extract can change a word of it.

Where a site is, is told in three ways, of which a register discloses one: *exact* (as exactly as the grant
says that it may be told), *block* and *district*. The extract holds a commitment to each, salted with what the
document keeps in: from the commitment nobody learns the place who could not guess the document from its digest.

Pure. FORMAT.md, "Public extract".
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from agent.core.policy.documents import (
    EpochKeys,
    EpochRecipient,
    Grant,
    Hold,
    Narrowing,
    NarrowZones,
    PrivateZone,
    Restriction,
    Revocation,
    Span,
    SuspendRecipient,
    Waiver,
    canonical_document,
    parse_document,
)
from agent.core.policy.strict_json import canonical
from agent.core.policy.words import Strict
from agent.errors import DocumentFormatError

_M = TypeVar("_M", bound=Strict)

AnyDocument = Grant | Restriction | Waiver | Hold | EpochKeys | Revocation

EXTRACT_FIELD = "x-lamppost-public"  # in a target's `custom`: the digest of its extract
WITHHELD = "withheld"
SOMEBODY, A_HOLDER = "somebody", "holder"  # who is suspended; who has a key. Different, or all would be suspended
# Shaped like a recipient (age v1: 58 symbols after the prefix), belongs to nobody; who can open is told by role.
STAND_IN = f"age1{'q' * 58}"
COLUMNS, ROWS = 8, 6  # how coarsely private areas are told, over the whole picture
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_METRES_PER_DEGREE = 111_320.0  # of latitude, and of longitude at the equator (WGS 84, to 0.3 %)


class Precision(StrEnum):
    """How exactly a register says where a camera is."""

    EXACT = "exact"
    BLOCK = "block"
    DISTRICT = "district"


_AT_LEAST_M = {Precision.EXACT: 1, Precision.BLOCK: 150, Precision.DISTRICT: 1_500}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a site is, as far as it is told.

    Attributes:
        latitude: Degrees; the middle of a square of `precision_m`.
        longitude: Likewise.
        precision_m: Side of the square, metres.
        salt: What makes its commitment one that cannot be guessed.
    """

    latitude: float
    longitude: float
    precision_m: int
    salt: str

    @property
    def commitment(self) -> str:
        """SHA-256 (hex) that the extract holds of it."""
        return hashlib.sha256(canonical(asdict(self))).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """A public extract.

    Attributes:
        document: The document without what is withheld; a grant's place is 0, 0.
        places: Commitments to a grant's place, by precision; of other documents, none.
    """

    document: AnyDocument
    places: Mapping[str, str]


def public_extract(raw: bytes) -> bytes:
    """Return the public extract of a signed document, as canonical JSON.

    Raises:
        DocumentFormatError: `raw` is no policy document.
    """
    document = parse_document(raw)
    places = {level.value: place_of(document, level).commitment for level in Precision if isinstance(document, Grant)}
    return canonical({"document": _shown(document).model_dump(mode="json"), "places": places})


def parse_extract(raw: bytes) -> Extract:
    """Return the extract in `raw`, whose digest was found in what officials signed.

    Raises:
        DocumentFormatError: It is none.
        ClauseViolationError: Its document is none.
    """
    try:
        stated = json.loads(raw)
        inner, places = stated["document"], stated["places"]
        if set(stated) != {"document", "places"} or not all(isinstance(one, str) for one in places.values()):
            raise DocumentFormatError("an extract says something beside its document and its places")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentFormatError("this is no public extract of a document") from error
    return Extract(document=parse_document(canonical(inner)), places=places)


def digest_of(extract: bytes) -> str:
    """Return the name of an extract: its SHA-256 in hex."""
    return hashlib.sha256(extract).hexdigest()


def place_of(grant: Grant, precision: Precision) -> Place:
    """Return where a grant's site is, told as exactly as `precision` says and no more exactly than the grant does."""
    location = grant.site.location
    side_m = max(location.public_precision_m, _AT_LEAST_M[precision])
    latitude = _middle(location.latitude, side_m / _METRES_PER_DEGREE)
    shrink = max(math.cos(math.radians(latitude)), 0.01)  # at a pole every longitude is the same place
    longitude = _middle(location.longitude, side_m / (_METRES_PER_DEGREE * shrink))
    salt = hashlib.sha256(b"lamppost place\n" + precision.encode() + b"\n" + canonical_document(grant)).hexdigest()
    return Place(latitude=latitude, longitude=longitude, precision_m=side_m, salt=salt[:32])


def _middle(degrees: float, side: float) -> float:
    """Return the middle of the grid's cell that `degrees` lies in, to a metre or so."""
    return round((math.floor(degrees / side) + 0.5) * side, 5)


# --- what is taken out ----------------------------------------------------------


def _shown(document: AnyDocument) -> AnyDocument:
    match document:
        case Grant():
            return _grant(document)
        case Restriction():
            return _restriction(document)
        case Hold():
            nothing = (Span(starts_at=_LONG_AGO, ends_at=_LONG_AGO + timedelta(days=1)),)
            return _with(document, case=WITHHELD, reason=WITHHELD, spans=nothing)
        case EpochKeys():
            return _epochs(document)
        case Waiver() | Revocation():
            return document


def _grant(grant: Grant) -> Grant:
    def told(text: str) -> str:
        return text if grant.case is None else text.replace(grant.case, WITHHELD)

    location = _with(grant.site.location, latitude=0.0, longitude=0.0)
    return _with(
        grant,
        reason=told(grant.reason),
        case=None if grant.case is None else WITHHELD,
        # Whose emergency it is may be in its reference; who ordered it, and until when, is not.
        order=None if grant.order is None else _with(grant.order, reference=WITHHELD),
        site=_with(
            grant.site,
            location=location,
            public_name=told(grant.site.public_name),
            statement=told(grant.site.statement),
        ),
        zones=coarse(grant.zones),
    )


def _restriction(restriction: Restriction) -> Restriction:
    about_somebody = False
    narrows: list[Narrowing] = []
    for one in restriction.narrows:
        if isinstance(one, NarrowZones):
            narrows.append(_with(one, zones=coarse(one.zones)))
        elif isinstance(one, SuspendRecipient) and one.holder is not None:
            about_somebody = True
            narrows.append(_with(one, holder=SOMEBODY))
        else:
            narrows.append(one)
    reason = WITHHELD if about_somebody else restriction.reason
    return _with(restriction, narrows=tuple(narrows), reason=reason)


def _epochs(epochs: EpochKeys) -> EpochKeys:
    days = []
    for day in epochs.days:
        seats = dict.fromkeys((one.role, one.validated_on) for one in day.recipients)
        recipients = tuple(
            EpochRecipient(role=role, holder=A_HOLDER, recipient=STAND_IN, validated_on=validated_on)
            for role, validated_on in seats
        )
        days.append(_with(day, recipients=recipients))
    return _with(epochs, days=tuple(days))


def coarse(zones: tuple[PrivateZone, ...]) -> tuple[PrivateZone, ...]:
    """Return private areas as the cells of a coarse grid that they lie within, under numbers instead of names."""
    return tuple(
        PrivateZone(name=f"private area {number}", polygon=_cells(zone)) for number, zone in enumerate(zones, start=1)
    )


def _cells(zone: PrivateZone) -> tuple[tuple[float, float], ...]:
    across, down = zip(*zone.polygon, strict=True)
    left, right = _outward(min(across), max(across), COLUMNS)
    top, bottom = _outward(min(down), max(down), ROWS)
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _outward(low: float, high: float, cells: int) -> tuple[float, float]:
    first = min(math.floor(low * cells), cells - 1)
    last = max(math.ceil(high * cells), first + 1)
    return round(first / cells, 4), round(min(last, cells) / cells, 4)


def _with(value: _M, **changes: object) -> _M:
    """Return a model with `changes`, validated as if it had been written so."""
    stated: dict[str, Any] = {name: getattr(value, name) for name in type(value).model_fields}
    return type(value)(**(stated | changes))
