"""Who is sealed to on the days ahead, and where each day's recipient comes from.

A *maker* returns one holder's recipient for a day: from this vault, from somebody else's
offer, or, for the sealed layer, from a key that is split among the releasing offices.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from agent.core.policy.charter import Charter, RecipientRole
from agent.core.sealing.recipients import parse_recipient
from agent.errors import ClauseViolationError, SharesError, SignatureError, UsageError
from provisioning.authority.vault import DayKey, Vault
from provisioning.epochs.offering import Offer, missing_days
from provisioning.release.asking import Clerk
from provisioning.release.lawful import release_rule
from provisioning.release.letters import Letter, read_letter
from provisioning.release.papers import ShareCard
from provisioning.release.shares import Member, SplitEpoch, split_epoch

QUORUM = "quorum"  # the holder of a key that is split


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """One holder, and what returns their recipient for a day."""

    role: str
    holder: str
    recipient_of: Callable[[date], str]


def own_makers(vault: Vault, holders: Iterable[tuple[str, str]], keeps: str) -> list[Maker]:
    """Return makers whose keys are in this vault.

    Raises:
        ClauseViolationError: Two holders of one role would share a key (JC-19).
    """
    made: dict[str, Maker] = {}
    for role, holder in holders:
        if role in made:
            raise ClauseViolationError(
                "JC-19",
                f"{holder} and {made[role].holder} would share one key as {role}",
                hint="each makes their own vault: lamppost epochs offer, then --with FILE",
            )
        made[role] = Maker(role=role, holder=holder, recipient_of=_of_vault(vault, role, keeps))
    return list(made.values())


def offered_makers(offers: Sequence[Offer], keeps: str, days: Sequence[date]) -> list[Maker]:
    """Return makers of what others offer.

    Raises:
        UsageError: An offer is of another class, or lacks one of `days`.
    """
    if any(offer.keeps != keeps for offer in offers):
        raise UsageError(f"an offer is for other footage than the {keeps} class")
    for holder, day in missing_days(offers, days).items():
        raise UsageError(f"{holder} offers no recipient for {day}", hint="ask them for an offer of more days")
    return [Maker(role=offer.role, holder=offer.holder, recipient_of=offer.by_day().__getitem__) for offer in offers]


def quorum_maker(clerk: Clerk, cards: Iterable[bytes], keeps: str, now: datetime) -> Maker:
    """Return the maker of keys that nobody holds: each is split among the releasing offices as it is made.

    Args:
        clerk: The custodian: one half stays in their vault, and the city's log is told the digests of the shares.
        cards: The offices' share cards.
        keeps: The class of footage.
        now: Current UTC time.

    Raises:
        ClauseViolationError: The charter has no rule of release, or no role for it.
        SharesError: An office has no card or two, or a card is of somebody else.
    """
    charter = clerk.authority.charter
    rule, role = release_rule(charter), _quorum_role(charter)
    members = _members([read_letter(card, "share-card", ShareCard, clerk.authority) for card in cards], rule.offices)
    vault = clerk.vault()

    def announce(epoch: SplitEpoch) -> None:
        clerk.city_log.append(
            "epoch-split",
            now,
            day=str(epoch.day),
            keeps=epoch.keeps,
            offices=[one.office for one in epoch.shares],
            recipient_sha256=epoch.recipient_sha256,
            role=epoch.role,
            share_sha256=[one.share_sha256 for one in epoch.shares],
            threshold=epoch.threshold,
        )

    def recipient_of(day: date) -> str:
        key = DayKey(day=day, layer="originals", role=role.id, keeps=keeps)
        return split_epoch(
            clerk.vault_folder, key, members, threshold=rule.threshold, half=vault.half, announce=announce
        ).recipient

    return Maker(role=role.id, holder=QUORUM, recipient_of=recipient_of)


def check_approvals(
    charter: Charter, makers: Iterable[Maker], approvals: Mapping[str, date], days: Sequence[date]
) -> None:
    """Return if every holder was approved in writing, lately enough for all of `days` (SL-3.4).

    Raises:
        ClauseViolationError: One was not.
    """
    rule = charter.access
    if rule is None:
        return
    for maker in makers:
        approved = approvals.get(maker.holder)
        if approved is None:
            raise ClauseViolationError(
                rule.source[0], f"nobody says when {maker.holder} was approved", hint=f"--approved {maker.holder}=DAY"
            )
        if approved + rule.validated_for <= max(days):
            raise ClauseViolationError(
                rule.source[0],
                f"{maker.holder} was approved on {approved}, which is good until {approved + rule.validated_for}",
                hint="have them approved again, or publish fewer days",
            )


def day_of(day: date, makers: Iterable[Maker], approvals: Mapping[str, date]) -> dict[str, object]:
    """Return one day as a document has it."""
    return {
        "day": day,
        "recipients": [
            {
                "role": maker.role,
                "holder": maker.holder,
                "recipient": maker.recipient_of(day),
                "validated_on": approvals.get(maker.holder),
            }
            for maker in makers
        ],
    }


def portions(days: Sequence[date], most: int) -> Iterator[Sequence[date]]:
    """Yield `days` in portions that fit one document each.

    Raises:
        UsageError: Not even one day fits.
    """
    if most < 1:
        raise UsageError("there are more recipients than one day's document can hold")
    for start in range(0, len(days), most):
        yield days[start : start + most]


def _of_vault(vault: Vault, role: str, keeps: str) -> Callable[[date], str]:
    return lambda day: str(vault.identity(DayKey(day=day, layer="masked", role=role, keeps=keeps)).recipient)


def _quorum_role(charter: Charter) -> RecipientRole:
    for role in charter.recipients:
        if role.originals:
            return role
    raise ClauseViolationError("JC-11", f"no recipient role of {charter.city} may open the sealed layer")


def _members(cards: Sequence[Letter[ShareCard]], offices: Sequence[str]) -> list[Member]:
    """Return an official for each of `offices`, in that order."""
    by_office: dict[str, Letter[ShareCard]] = {}
    for card in cards:
        if card.says.office != card.office:
            raise SignatureError(f"a share card says it is of {card.says.office}, and {card.office} signed it")
        if card.office not in offices:
            raise SharesError(f"{card.name} holds {card.office}, which does not release", hint=", ".join(offices))
        if card.office in by_office:
            raise SharesError(f"there are two share cards of {card.office}")
        by_office[card.office] = card
    if missing := [office for office in offices if office not in by_office]:
        raise SharesError(
            f"no share card of {', '.join(missing)}",
            hint="each runs lamppost release join on their own machine; then --share-card FILE for each",
        )
    return [
        Member(
            office=office,
            name=by_office[office].name,
            keyid=by_office[office].keyid,
            recipient=parse_recipient(by_office[office].says.recipient),
        )
        for office in offices
    ]
