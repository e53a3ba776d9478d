"""Compose documents from what people write: a grant from a TOML file, the others from a command's words.

What has one sensible value is filled in (version, kind, the next free id, who and
when); what widens or narrows never is.

Pure: the caller reads the file and the clock.
"""

import json
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from agent.core.policy.documents import Document, Grant, parse_document
from agent.core.policy.words import write_instant
from agent.errors import ClauseViolationError, DocumentFormatError, UsageError
from provisioning.authority.cross_check import documents_of
from provisioning.authority.published import PublishedCity

_PREFIX = {"grant": "g", "restriction": "r", "waiver": "w", "hold": "h", "epochs": "e", "revocation": "v"}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_OPENING = re.compile(r"(\w{3})(?:-(\w{3}))? (\d\d:\d\d)-(\d\d:\d\d)")
_DURATION = re.compile(r"(\d{1,5})([hd])")

_D = TypeVar("_D", bound=Document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who acts, when and why: what every document by one office begins with.

    Attributes:
        office: Whose act it is.
        reason: Why, in writing (JC-12).
        now: When it is drafted.
        starts_at: When it takes effect; None for at once.
    """

    office: str
    reason: str
    now: datetime
    starts_at: datetime | None = None


def compose_grant(toml: str, city: PublishedCity, *, now: datetime, issued_by: str | None = None) -> Grant:
    """Return the grant that `toml` describes, under the field names of `Grant`.

    Raises:
        DocumentFormatError: It is not TOML, or not a grant.
        ClauseViolationError: It lacks what a clause requires of every grant.
    """
    try:
        stated = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise DocumentFormatError(f"the grant is not TOML: {error}") from error
    if issued_by is not None:
        stated.setdefault("issued_by", issued_by)
    absent: dict[str, object] = {
        "id": next_id("grant", city.documents, now=now),
        "issued_at": now,
        # TOML cannot say "nothing"; a field left out says it.
        "case": None,
        "order": None,
        "no_zones_statement": None,
        "audio": False,
        "biometrics": "off",
        "lifts": [],
        "models": [],
        "sharing": [],
    }
    site = stated.get("site")
    if isinstance(site, dict):
        site.setdefault("purchase_reference", None)
    return _parsed({"kind": "grant", "version": 1, **absent, **stated}, Grant)


def compose(kind: str, expected: type[_D], act: Act, city: PublishedCity, fields: Mapping[str, object]) -> _D:
    """Return a document of `kind` by one office.

    Raises:
        UsageError: There is no written reason.
        PolicyError: The words do not make such a document.
    """
    if not act.reason.strip():
        raise ClauseViolationError("JC-12", f"a {kind} needs a written reason", hint='say why: --reason "…"')
    stated = {
        "kind": kind,
        "version": 1,
        "id": next_id(kind, city.documents, office=act.office, now=act.now),
        "issued_by": act.office,
        "issued_at": act.now,
        "reason": act.reason.strip(),
        "starts_at": act.now if act.starts_at is None else act.starts_at,
        "ends_at": None,
        **fields,
    }
    return _parsed(stated, expected)


def renew_lifting(city: PublishedCity, lifted: str, act: Act) -> tuple[dict[str, Grant], tuple[str, ...]]:
    """Return grants like those in force, which also lift `lifted`, and the paths of those they replace.

    A lift is an approval: all who approve a grant sign it. Every grant with a camera that the lifted document
    concerns is renewed, because a camera obeys the lifts of its own grant only.

    Raises:
        UsageError: Nothing of that id narrows, or no grant covers its cameras.
    """
    documents = documents_of(city.documents)
    narrowing = next((one for one in documents.values() if one.id == lifted and not isinstance(one, Grant)), None)
    if narrowing is None or narrowing.kind not in {"restriction", "hold", "revocation"}:
        raise UsageError(
            f"nothing of id {lifted} narrows this city", hint="lamppost policy status lists what is in force"
        )
    cameras = getattr(narrowing, "cameras", ())
    renewed: dict[str, Grant] = {}
    for path, grant in documents.items():
        concerned = isinstance(grant, Grant) and (cameras == "all" or set(cameras) & set(grant.cameras))
        if not isinstance(grant, Grant) or not concerned or grant.ends_at <= act.now or lifted in grant.lifts:
            continue
        stated = grant.model_dump(mode="json") | {
            "id": next_id("grant", city.documents, taken=[one.id for one in renewed.values()], now=act.now),
            "issued_by": act.office,
            "issued_at": act.now,
            "reason": f"{grant.reason}\n\nLifts {lifted}: {act.reason}".replace("\n\n", " "),
            "starts_at": max(grant.starts_at, act.now),
            "lifts": sorted({*grant.lifts, lifted}),
        }
        renewed[path] = _parsed(stated, Grant)
    if not renewed:
        raise UsageError(f"no grant in force covers the cameras of {lifted}", hint="draft a grant with lifts = [...]")
    return renewed, tuple(renewed)


def next_id(
    kind: str, documents: Iterable[str], *, now: datetime, office: str | None = None, taken: Collection[str] = ()
) -> str:
    """Return the first id of its kind that nobody has used this year, such as "r-police-chief-2026-003".

    The office is part of it where offices act alone, so that two who act at once do not choose the same.
    """
    prefix = f"{_PREFIX[kind]}-{now.year}-" if office is None else f"{_PREFIX[kind]}-{office}-{now.year}-"
    names = {path.rpartition("/")[2].removesuffix(".json") for path in documents} | set(taken)
    numbers = [int(tail) for name in names if name.startswith(prefix) and (tail := name[len(prefix) :]).isdecimal()]
    return f"{prefix}{max(numbers, default=0) + 1:03d}"


def read_schedule(words: Iterable[str]) -> list[dict[str, object]]:
    """Return openings from words such as "mon-fri 07:00-19:00".

    Raises:
        UsageError: They are not of that form.
    """
    openings: list[dict[str, object]] = []
    for word in words:
        found = _OPENING.fullmatch(word)
        if found is None or {found[1], found[2] or found[1]} - set(_WEEKDAYS):
            raise UsageError(f"{word!r} is no opening, expected such as 'mon-fri 07:00-19:00'")
        first, last = _WEEKDAYS.index(found[1]), _WEEKDAYS.index(found[2] or found[1])
        if last < first:
            raise UsageError(f"{word!r} runs backwards, expected the earlier weekday first")
        openings.append({"days": list(_WEEKDAYS[first : last + 1]), "opens": found[3], "closes": found[4]})
    return openings


def read_instant(words: str) -> datetime:
    """Return the instant that `words` name: RFC 3339, with its offset.

    Raises:
        UsageError: They do not name one.
    """
    try:
        instant = datetime.fromisoformat(words)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise UsageError(f"{words!r} is no instant, expected such as 2026-11-28T12:00:00Z")
    return instant.astimezone(UTC).replace(microsecond=0)


def read_duration(words: str) -> timedelta:
    """Return the duration that `words` name, such as "36h" or "10d".

    Raises:
        UsageError: They do not name one.
    """
    found = _DURATION.fullmatch(words)
    if found is None:
        raise UsageError(f"{words!r} is no duration, expected such as 36h or 10d")
    return timedelta(hours=int(found[1])) if found[2] == "h" else timedelta(days=int(found[1]))


def read_zones(toml: str) -> dict[str, object]:
    """Return the view and zones that a TOML file draws, under the field names of `Grant`.

    Raises:
        DocumentFormatError: It is not TOML, or lacks one of them.
    """
    try:
        stated = tomllib.loads(toml)
        return {"view": stated["view"], "zones": stated["zones"]}
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise DocumentFormatError("the file does not draw [view] and [[zones]]") from error


def _parsed(stated: Mapping[str, object], expected: type[_D]) -> _D:
    document = parse_document(json.dumps(stated, default=_spelled, ensure_ascii=False).encode())
    if not isinstance(document, expected):
        raise DocumentFormatError(f"this is a {document.kind}, expected another kind of document")
    return document


def _spelled(value: object) -> str:
    """Return times as documents spell them."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise UsageError(f"{value} has no offset from UTC", hint="write 2026-11-28T12:00:00Z")
        return write_instant(value.astimezone(UTC))
    if isinstance(value, date):
        return value.isoformat()
    raise UsageError(f"{value!r} is not something a document can say")
