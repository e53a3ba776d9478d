"""Recipients that somebody else made in a vault of their own, for the custodian to publish beside theirs.

Each person who opens footage keeps their own keys (JC-19): a second custodian, an
investigator. What they hand in is public; the page that the custodian signs shows its
fingerprint, which the two compare by telephone.

Pure.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from agent.core.policy.refusals import first_problem
from agent.core.policy.words import MAX_LIST, Day, Slug, Strict, VersionOne
from agent.core.sealing.recipients import parse_recipients
from agent.errors import DocumentFormatError

MAX_OFFER_BYTES = 2 * 1024 * 1024  # a year of post-quantum recipients


class OfferedDay(Strict):
    """The recipient of one day."""

    day: Day
    recipient: Annotated[str, Field(max_length=4_096)]


class Offer(Strict):
    """One holder's recipients for days to come."""

    kind: Literal["lamppost-epoch-recipients"]
    version: VersionOne
    keeps: Literal["default", "extended"]
    role: Slug
    holder: Slug
    days: Annotated[tuple[OfferedDay, ...], Field(min_length=1, max_length=2 * MAX_LIST)]

    def by_day(self) -> dict[date, str]:
        """Return the recipients by day."""
        return {one.day: one.recipient for one in self.days}


def dump_offer(role: str, holder: str, keeps: str, recipients: Mapping[date, str]) -> bytes:
    """Return an offer as a file."""
    days = [{"day": day.isoformat(), "recipient": one} for day, one in sorted(recipients.items())]
    offer = {"kind": "lamppost-epoch-recipients", "version": 1, "keeps": keeps, "role": role, "holder": holder}
    return json.dumps({**offer, "days": days}, indent=2).encode() + b"\n"


def parse_offer(raw: bytes) -> Offer:
    """Return the offer in `raw`.

    Raises:
        DocumentFormatError: It is none.
        KeyFormatError: What it offers are no recipients.
    """
    try:
        offer = Offer.model_validate_json(raw)
    except ValidationError as error:
        raise DocumentFormatError(f"this offers no recipients: {first_problem(error)}") from error
    parse_recipients(one.recipient for one in offer.days)
    return offer


def missing_days(offers: Iterable[Offer], days: Iterable[date]) -> dict[str, date]:
    """Return, by holder, the first of `days` that they offer nothing for."""
    wanted = sorted(days)
    lacking = {}
    for offer in offers:
        there = offer.by_day()
        first = next((day for day in wanted if day not in there), None)
        if first is not None:
            lacking[offer.holder] = first
    return lacking
