"""Destroy the keys of days whose footage nobody may keep any more, and sign a receipt.

When is a day's key due? When the last second of that day is older than the retention of
its class: the charter's default, or its extended one. A hold does not change that; what is
held got a header of its own before (`provisioning.epochs.holding`), and destroying is
refused while a hold that stands covers the day and was not served.

In this order: the city's log says what will be destroyed; it is removed, and the removal is
synced; the log says that it was; the receipt, with that entry's proof, is signed and lies in
`VAULT/receipts/`. What was cut off in between is finished by `resume`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from agent.core.policy.charter import Charter
from agent.core.policy.documents import Document, Hold
from agent.core.policy.refusals import first_problem
from agent.core.policy.words import Day, Instant, Sha256, Slug, Strict, Text
from agent.errors import ClauseViolationError, DocumentFormatError, StorageError, UsageError
from provisioning.authority import files
from provisioning.authority import vault as vaults
from provisioning.authority.keys import OfficialKey
from provisioning.authority.vault import DayKey
from provisioning.epochs.holding import forget_headers, held_segments, holds_day, standing_holds
from provisioning.evidence.authority import Authority
from provisioning.evidence.statement import StatedEntry
from provisioning.release.asking import Clerk, check_entry, stated
from provisioning.release.letters import Letter, read_letter, write_letter
from provisioning.release.shares import destroy_epochs, kept_epochs, read_epoch, recipient_digest

ONE_DAY = timedelta(days=1)
BEGUN = "epochs-destruction-begun"
DONE = "epochs-destroyed"
RECEIPTS_FOLDER = "receipts"
PENDING_FILE = "pending"
MAX_PENDING_BYTES = 1024 * 1024


class DestroyedEpoch(Strict):
    """One key that is no more.

    Attributes:
        recipient_sha256: Digest of the public recipient, as it was published.
        shares: How many sealed shares of it were removed; 0 where the custodian had it whole.
    """

    day: Day
    layer: Literal["masked", "originals"]
    role: Slug
    keeps: Literal["default", "extended"]
    recipient_sha256: Sha256
    shares: Annotated[int, Field(ge=0)]

    @property
    def key(self) -> DayKey:
        """Which footage it opened."""
        return DayKey(day=self.day, layer=self.layer, role=self.role, keeps=self.keeps)


class DestroyedHold(Strict):
    """The key of a hold that was lifted."""

    hold: Slug
    recipient_sha256: Sha256


class Receipt(Strict):
    """What a custodian states about keys that they destroyed.

    Attributes:
        city: Digest of what the city's first root says.
        epochs: The days' keys.
        holds: The keys of holds that ended.
        held: The holds that stood and keep some segments of those days open.
        early: Why before retention ended; None if it had.
        entry: The entry in the city's log.
    """

    city: Sha256
    destroyed_at: Instant
    epochs: tuple[DestroyedEpoch, ...]
    holds: tuple[DestroyedHold, ...]
    held: tuple[Slug, ...]
    early: Text | None
    entry: StatedEntry


class _Pending(Strict):
    """What is being destroyed, written before the first removal: a receipt names what is no longer there."""

    epochs: tuple[DestroyedEpoch, ...]
    holds: tuple[DestroyedHold, ...]
    held: tuple[Slug, ...]
    early: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """What there is to destroy.

    Attributes:
        epochs: Keys of days, sorted.
        holds: Ids of holds that ended, sorted.
        held: Ids of holds that stand and cover one of the days, sorted.
    """

    epochs: tuple[DayKey, ...]
    holds: tuple[str, ...]
    held: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not self.epochs and not self.holds


def due_at(key: DayKey, charter: Charter) -> datetime:
    """Return when the footage that `key` opens may be kept by nobody any more (SL-3.11)."""
    rule = charter.retention
    days = rule.extended_days if key.keeps == "extended" else rule.default_days
    return datetime.combine(key.day + ONE_DAY, time(), UTC) + timedelta(days=days)


def everything_kept(folder: Path) -> tuple[DayKey, ...]:
    """Return every key of a day that the vault has, whole or as shares, sorted."""
    return tuple(sorted([*vaults.kept(folder), *kept_epochs(folder)]))


def plan(
    folder: Path,
    charter: Charter,
    documents: Sequence[Document],
    *,
    now: datetime,
    before: date | None = None,
    early: bool = False,
    despite: Iterable[str] = (),
) -> Doomed:
    """Return what is due.

    Args:
        folder: The vault.
        charter: The city's law.
        documents: What is published.
        now: Current UTC time.
        before: Only days before this one.
        early: Also what is not due yet; then `before` must be said.
        despite: Ids of holds that need no headers here: nothing of theirs was recorded, or another custodian keeps it.

    Raises:
        UsageError: Early, and not before when.
        ClauseViolationError: A day before `before` is not due yet (SL-3.11), or a hold was not served (JC-25).
    """
    if early and before is None:
        raise UsageError("what is to be destroyed early must be named", hint="--before DAY")
    kept = [key for key in everything_kept(folder) if before is None or key.day < before]
    due = [key for key in kept if early or due_at(key, charter) <= now]
    if before is not None and len(due) < len(kept):
        first = min(set(kept) - set(due))
        raise ClauseViolationError(
            charter.retention.source[0],
            f"footage of the {first} is kept until {due_at(first, charter):%Y-%m-%d}",
            hint="name an earlier day, or say why it must go now: --early REASON",
        )
    standing = standing_holds(documents, now)
    held = [hold for hold in standing if any(holds_day(hold, key) for key in due)]
    for hold in held:
        _check_served(folder, hold, due, frozenset(despite))
    ended = set(vaults.kept_holds(folder)) - {hold.id for hold in standing}
    return Doomed(epochs=tuple(due), holds=tuple(sorted(ended)), held=tuple(hold.id for hold in held))


def destroy(doomed: Doomed, clerk: Clerk, *, early: str | None, now: datetime) -> Path:
    """Destroy what is doomed, and return where the signed receipt lies.

    Args:
        doomed: From `plan`.
        clerk: Who destroys.
        early: Why before it is due; None if it is.
        now: Current UTC time, to the second.

    Raises:
        StorageError: The disk refuses; `resume` goes on.
    """
    folder = clerk.vault_folder
    clerk.authority.exporting_key(clerk.custodian.card.key.keyid, now)
    pending = _Pending(
        epochs=tuple(_described(folder, key) for key in doomed.epochs),
        holds=tuple(
            DestroyedHold(hold=one, recipient_sha256=recipient_digest(vaults.hold_recipient(folder, one)))
            for one in doomed.holds
        ),
        held=doomed.held,
        early=early,
    )
    # A passphrase that is wrong must be found out about before anything is set in motion.
    key = clerk.custodian.unlock()
    files.make_folder(folder / RECEIPTS_FOLDER, mode=files.PRIVATE_FOLDER)
    files.write_new(folder / RECEIPTS_FOLDER / PENDING_FILE, pending.model_dump_json().encode(), mode=files.PRIVATE)
    return _carry_out(pending, clerk, key, now)


def resume(clerk: Clerk, *, now: datetime) -> Path | None:
    """Finish a destruction that a crash cut off, and return where its receipt lies; None if there is none.

    Raises:
        StorageError: The disk refuses.
    """
    path = clerk.vault_folder / RECEIPTS_FOLDER / PENDING_FILE
    if not path.exists():
        return None
    clerk.authority.exporting_key(clerk.custodian.card.key.keyid, now)
    try:
        pending = _Pending.model_validate_json(files.read_capped(path, max_bytes=MAX_PENDING_BYTES))
    except ValidationError as error:
        raise StorageError(f"{path} is no list of what is destroyed: {first_problem(error)}") from error
    return _carry_out(pending, clerk, clerk.custodian.unlock(), now)


def _carry_out(pending: _Pending, clerk: Clerk, key: OfficialKey, now: datetime) -> Path:
    folder = clerk.vault_folder
    days = [one.day for one in pending.epochs]
    facts = {
        "early": pending.early,
        "epochs": len(pending.epochs),
        "epochs_sha256": _digest_of(pending.epochs, pending.holds),
        "first_day": str(min(days, default="")),
        "held": list(pending.held),
        "holds": [one.hold for one in pending.holds],
        "keyid": clerk.custodian.card.key.keyid,
        "last_day": str(max(days, default="")),
        "office": clerk.custodian.card.office,
    }
    clerk.city_log.append(BEGUN, now, **facts)
    vaults.destroy(folder, [one.key for one in pending.epochs if one.layer == "masked"])
    destroy_epochs(folder, [one.key for one in pending.epochs if one.layer == "originals"])
    for one in pending.holds:
        vaults.destroy_hold(folder, one.hold)
        forget_headers(folder, one.hold)
    entry = clerk.city_log.append(DONE, now, **facts)
    receipt = Receipt(
        city=clerk.authority.root,
        destroyed_at=now,
        epochs=pending.epochs,
        holds=pending.holds,
        held=pending.held,
        early=pending.early,
        entry=stated(entry),
    )
    path = folder / RECEIPTS_FOLDER / f"{entry.index}.json"
    files.write_new(path, write_letter("epochs-destroyed", receipt, key.signer))
    (folder / RECEIPTS_FOLDER / PENDING_FILE).unlink()
    files.sync_folder(folder / RECEIPTS_FOLDER)
    return path


def read_receipt(raw: bytes, authority: Authority) -> Letter[Receipt]:
    """Return the receipt in `raw`, if a custodian of this city signed it and the city's log holds its entry.

    Raises:
        DocumentFormatError: It is none, or says something else than its entry in the log.
        SignatureError: Somebody else signed it, or it is of another city.
        OtherSignerError: The key's office destroys nothing.
        LogError: Its entry is not in the log it names.
    """
    letter = read_letter(raw, "epochs-destroyed", Receipt, authority)
    says = letter.says
    if says.city != authority.root:
        raise DocumentFormatError("the receipt is of another city")
    authority.exporting_key(letter.keyid, says.destroyed_at)
    event = check_entry(says.entry, DONE)
    expected = {
        "early": says.early,
        "epochs": len(says.epochs),
        "epochs_sha256": _digest_of(says.epochs, says.holds),
        "keyid": letter.keyid,
    }
    if any(event.facts.get(name) != fact for name, fact in expected.items()):
        raise DocumentFormatError("the receipt says something else than the city's log")
    return letter


def _check_served(folder: Path, hold: Hold, due: Sequence[DayKey], despite: frozenset[str]) -> None:
    if hold.id in despite:
        return
    served = {segment.starts_at.date() for segment in held_segments(folder, hold.id)}
    for key in due:
        if key.layer == "masked" and holds_day(hold, key) and key.day not in served:
            raise ClauseViolationError(
                "JC-25",
                f"{hold.id} holds footage of {key.day} for {hold.case}, and no segment of that day has a header for it",
                hint=f"lamppost epochs hold {hold.id}; if there is no footage: --despite {hold.id}",
            )


def _described(folder: Path, key: DayKey) -> DestroyedEpoch:
    if key.layer == "originals":
        epoch = read_epoch(folder, key)
        digest, shares = epoch.recipient_sha256, len(epoch.shares)
    else:
        digest, shares = recipient_digest(vaults.recipient_of(folder, key)), 0
    return DestroyedEpoch(
        day=key.day,
        layer="originals" if key.layer == "originals" else "masked",
        role=key.role,
        keeps="extended" if key.keeps == "extended" else "default",
        recipient_sha256=digest,
        shares=shares,
    )


def _digest_of(epochs: Iterable[DestroyedEpoch], holds: Iterable[DestroyedHold]) -> str:
    """Return the digest by which the city's log fixes what a receipt lists."""
    lines = [one.model_dump_json() for one in (*epochs, *holds)]
    return sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
