"""How the keys of days stand: published until when, kept, due, held, destroyed with a receipt.

Pure, apart from what a vault's folder says of itself without its passphrase.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from agent.core.policy.charter import Charter
from agent.core.policy.documents import Document, EpochKeys
from agent.core.status import WARN_OF_KEYS
from provisioning.authority import vault as vaults
from provisioning.authority.vault import DayKey
from provisioning.epochs.destroying import Receipt, due_at, everything_kept
from provisioning.epochs.holding import held_segments, standing_holds
from provisioning.release.shares import recipient_digest

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Until when recipients are published without a gap, from today.

    Attributes:
        layer: "masked" or "originals".
        keeps: "default" or "extended".
        until: The last day; None if there are none today.
        ending: Whether that is so soon that cameras warn of it.
    """

    layer: str
    keeps: str
    until: date | None
    ending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldStanding:
    """One hold, as this vault serves it.

    Attributes:
        hold: Its id.
        case: What it is for; empty if it stands no more.
        stands: Whether no grant lifted it.
        headers: How many segments it keeps open.
        has_key: Whether the vault has its key.
    """

    hold: str
    case: str
    stands: bool
    headers: int
    has_key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything at once.

    Attributes:
        published: For each layer and class of which there was ever a recipient.
        kept: Every key of the vault, sorted, with when it is due.
        due: Those that are due now.
        holds: Holds that stand, or that the vault has a key for.
    """

    published: tuple[Published, ...]
    kept: tuple[tuple[DayKey, datetime], ...]
    due: tuple[DayKey, ...]
    holds: tuple[HoldStanding, ...]


def standing(folder: Path | None, charter: Charter, documents: Sequence[Document], now: datetime) -> Standing:
    """Return how the keys of the vault in `folder`, and of the city, stand at `now`."""
    kept = () if folder is None else tuple((key, due_at(key, charter)) for key in everything_kept(folder))
    return Standing(
        published=_published(documents, now),
        kept=kept,
        due=tuple(key for key, at in kept if at <= now),
        holds=_holds(folder, documents, now),
    )


def published_recipients(documents: Iterable[Document]) -> dict[str, tuple[DayKey, str]]:
    """Return what each published recipient is for, and its holder, by the digest that receipts name it with."""
    return {
        recipient_digest(one.recipient): (
            DayKey(day=day.day, layer=document.layer, role=one.role, keeps=document.keeps),
            one.holder,
        )
        for document in documents
        if isinstance(document, EpochKeys)
        for day in document.days
        for one in day.recipients
    }


def without_receipt(
    published: Mapping[str, tuple[DayKey, str]], receipts: Iterable[Receipt], charter: Charter, now: datetime
) -> tuple[tuple[DayKey, str], ...]:
    """Return the published keys that are due and that no receipt names, with their holders, sorted."""
    destroyed = {one.recipient_sha256 for receipt in receipts for one in receipt.epochs}
    return tuple(
        sorted(
            (key, holder)
            for digest, (key, holder) in published.items()
            if due_at(key, charter) <= now and digest not in destroyed
        )
    )


def _published(documents: Sequence[Document], now: datetime) -> tuple[Published, ...]:
    days: dict[tuple[str, str], set[date]] = {}
    for document in documents:
        if isinstance(document, EpochKeys):
            days.setdefault((document.layer, document.keeps), set()).update(day.day for day in document.days)
    return tuple(_until(layer, keeps, there, now) for (layer, keeps), there in sorted(days.items()))


def _until(layer: str, keeps: str, there: set[date], now: datetime) -> Published:
    day = now.date()
    if day not in there:
        return Published(layer=layer, keeps=keeps, until=None, ending=True)
    while day + ONE_DAY in there:
        day += ONE_DAY
    return Published(layer=layer, keeps=keeps, until=day, ending=day - now.date() < WARN_OF_KEYS)


def _holds(folder: Path | None, documents: Sequence[Document], now: datetime) -> tuple[HoldStanding, ...]:
    stand = {hold.id: hold for hold in standing_holds(documents, now)}
    keys = set() if folder is None else set(vaults.kept_holds(folder))
    return tuple(
        HoldStanding(
            hold=one,
            case=stand[one].case if one in stand else "",
            stands=one in stand,
            headers=0 if folder is None else len(held_segments(folder, one)),
            has_key=one in keys,
        )
        for one in sorted({*stand, *keys})
    )
