"""The shares of the sealed layer's keys, one for each releasing official, as they lie in the custodian's vault.

    VAULT/shares/2026-11-28.originals.quorum.json               the epoch: its recipient, who holds a share, digests
    VAULT/shares/2026-11-28.originals.quorum.police-chief.age   one share, sealed to that official

The identity itself is made in memory, split at once, and nowhere written. The custodian
keeps one half, and the sealed shares of the other, of which they can open none; an official
could open theirs and does not have it until a request brings it. So destroying an epoch is
removing files here, as with every other day, whatever becomes of the officials' keys and
of the letters they were sent.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from agent.core.policy.refusals import first_problem
from agent.core.policy.words import Day, Sha256, Slug, Strict, Text, VersionOne
from agent.core.sealing.age_file import Sealer, open_stream
from agent.core.sealing.recipients import Identity, PostQuantumIdentity, Recipient, parse_recipient
from agent.errors import SharesError, StorageError
from provisioning.authority import files
from provisioning.authority.vault import DayKey, destroy_halves
from provisioning.release.sharing_out import MAX_SHARES, Share, split

SHARES_FOLDER = "shares"
MAX_EPOCH_BYTES = 64 * 1024
MAX_SHARE_BYTES = 16 * 1024  # 200 bytes in an age file with one recipient

_EPOCH_FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.([a-z]+)(\.extended)?\.([a-z0-9-]+)\.json", re.ASCII)


class Shareholder(Strict):
    """Whose share it is, and what tells that it is the right one.

    Attributes:
        office: Of its holder.
        keyid: Of the key that vouched for the recipient.
        index: Of the share.
        share_sha256: Digest of the clear share.
        sealed_sha256: Digest of the sealed one.
    """

    office: Slug
    name: Text
    keyid: Sha256
    index: Annotated[int, Field(ge=1, le=MAX_SHARES)]
    share_sha256: Sha256
    sealed_sha256: Sha256


class SplitEpoch(Strict):
    """One epoch of the sealed layer: what cameras seal to, and who together can open it."""

    kind: Literal["lamppost-split-epoch"]
    version: VersionOne
    day: Day
    layer: Literal["originals"]
    role: Slug
    keeps: Literal["default", "extended"]
    recipient: str
    threshold: Annotated[int, Field(ge=2, le=MAX_SHARES)]
    shares: Annotated[tuple[Shareholder, ...], Field(min_length=2, max_length=MAX_SHARES)]

    @property
    def key(self) -> DayKey:
        """Which footage it is for."""
        return DayKey(day=self.day, layer=self.layer, role=self.role, keeps=self.keeps)

    @property
    def recipient_sha256(self) -> str:
        """Digest of the recipient: the epoch's name in logs and receipts."""
        return recipient_digest(self.recipient)

    def holder(self, office: str) -> Shareholder:
        """Return what is known of an office's share.

        Raises:
            SharesError: It has none.
        """
        for one in self.shares:
            if one.office == office:
                return one
        raise SharesError(f"{office} has no share of the {self.key}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An official who is to be given shares.

    Attributes:
        office: What they hold.
        name: What people call them.
        keyid: Of the key that vouched for their recipient.
        recipient: What their shares are sealed to.
    """

    office: str
    name: str
    keyid: str
    recipient: Recipient


def recipient_digest(recipient: str) -> str:
    """Return the digest by which logs and receipts name a recipient."""
    return sha256(recipient.encode()).hexdigest()


def split_epoch(
    folder: Path,
    key: DayKey,
    members: Sequence[Member],
    *,
    threshold: int,
    half: Callable[[DayKey], bytes],
    announce: Callable[[SplitEpoch], None],
) -> SplitEpoch:
    """Make and split the identity of one epoch; an epoch that is there already stays as it is.

    Args:
        folder: The vault.
        key: Which epoch.
        members: Who gets a share.
        threshold: How many of them open it.
        half: Returns the custodian's half.
        announce: Called before the epoch counts, with what the city's log is to say of it.

    Raises:
        StorageError: The disk refuses.
    """
    shares = folder / SHARES_FOLDER
    path = shares / f"{key.stem}.json"
    if path.exists():
        return read_epoch(folder, key)
    files.make_folder(shares, mode=files.PRIVATE_FOLDER)
    identity = PostQuantumIdentity.generate()
    recipient = str(identity.recipient)
    holders: list[Shareholder] = []
    made = split(identity, half(key), threshold=threshold, count=len(members))
    for share, member in zip(made, members, strict=True):
        clear = _dump_share(share, recipient)
        sealed = _seal(clear, member.recipient)
        # Whole, not new: what a crash left of an epoch that never counted is written over.
        files.write_whole(shares / f"{key.stem}.{member.office}.age", sealed, mode=files.PRIVATE)
        holders.append(
            Shareholder(
                office=member.office,
                name=member.name,
                keyid=member.keyid,
                index=share.index,
                share_sha256=sha256(clear).hexdigest(),
                sealed_sha256=sha256(sealed).hexdigest(),
            )
        )
    epoch = SplitEpoch(
        kind="lamppost-split-epoch",
        version=1,
        day=key.day,
        layer="originals",
        role=key.role,
        keeps="extended" if key.keeps == "extended" else "default",
        recipient=recipient,
        threshold=threshold,
        shares=tuple(holders),
    )
    announce(epoch)
    files.write_new(path, epoch.model_dump_json(indent=2).encode() + b"\n", mode=files.PRIVATE)
    return epoch


def read_epoch(folder: Path, key: DayKey) -> SplitEpoch:
    """Return what is known of an epoch.

    Raises:
        StorageError: There is none, or no longer, or it was changed.
    """
    path = folder / SHARES_FOLDER / f"{key.stem}.json"
    if not path.exists():
        raise StorageError(
            f"the vault has no shares of the {key}", hint="it was never made, or destroyed when retention ended"
        )
    try:
        return SplitEpoch.model_validate_json(files.read_capped(path, max_bytes=MAX_EPOCH_BYTES))
    except ValidationError as error:
        raise StorageError(f"{path} is no epoch: {first_problem(error)}") from error


def sealed_shares(folder: Path, epoch: SplitEpoch) -> dict[str, bytes]:
    """Return each office's sealed share.

    Raises:
        SharesError: One is not what was made.
        StorageError: One cannot be read.
    """
    sealed = {}
    for holder in epoch.shares:
        path = folder / SHARES_FOLDER / f"{epoch.key.stem}.{holder.office}.age"
        content = files.read_capped(path, max_bytes=MAX_SHARE_BYTES)
        if sha256(content).hexdigest() != holder.sealed_sha256:
            raise SharesError(f"{path} is not the share that was sealed for {holder.name}")
        sealed[holder.office] = content
    return sealed


def kept_epochs(folder: Path) -> Iterator[DayKey]:
    """Yield the epochs whose shares are in the vault, in no order."""
    shares = folder / SHARES_FOLDER
    for path in shares.iterdir() if shares.is_dir() else ():
        if found := _EPOCH_FILE.fullmatch(path.name):
            keeps = "extended" if found[3] else "default"
            yield DayKey(day=date.fromisoformat(found[1]), layer=found[2], role=found[4], keeps=keeps)


def destroy_epochs(folder: Path, keys: Iterable[DayKey]) -> None:
    """Remove epochs for ever: the custodian's halves first, so that what is left of a torn removal opens nothing.

    Raises:
        StorageError: The disk refuses.
    """
    keys = tuple(keys)
    destroy_halves(folder, keys)
    shares = folder / SHARES_FOLDER
    for key in keys:
        try:
            for path in shares.glob(f"{key.stem}.*.age"):
                path.unlink(missing_ok=True)
            (shares / f"{key.stem}.json").unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot remove shares of the {key}: {(error.strerror or str(error)).lower()}"
            ) from error
    if shares.is_dir():
        files.sync_folder(shares)


def open_share(sealed: bytes, identities: Sequence[Identity], holder: Shareholder) -> Share:
    """Return the share that an age file holds, if it is the one that was made for `holder`.

    Raises:
        WrongIdentityError: It is sealed to somebody else.
        SharesError: It is another share.
    """
    return read_share(b"".join(open_stream([sealed], identities)), holder)


def read_share(clear: bytes, holder: Shareholder) -> Share:
    """Return the share in `clear`, if it is the one that was made for `holder`.

    Raises:
        SharesError: It is another one.
    """
    if sha256(clear).hexdigest() != holder.share_sha256:
        raise SharesError(f"the share of {holder.name} ({holder.office}) is not the one that was made")
    stated = json.loads(clear)
    return Share(int(stated["index"]), bytes.fromhex(stated["share"]))


def reseal_share(sealed: bytes, identities: Sequence[Identity], holder: Shareholder, to: str) -> bytes:
    """Return an official's share sealed to somebody else: what leaves their machine.

    Raises:
        WrongIdentityError: It is not theirs.
        SharesError: It is not the one that was made for them.
    """
    clear = b"".join(open_stream([sealed], identities))
    read_share(clear, holder)
    return _seal(clear, parse_recipient(to))


def _dump_share(share: Share, recipient: str) -> bytes:
    stated = {"index": share.index, "recipient_sha256": recipient_digest(recipient), "share": share.value.hex(), "v": 1}
    return json.dumps(stated, sort_keys=True).encode()


def _seal(clear: bytes, recipient: Recipient) -> bytes:
    sealer = Sealer([recipient])
    return sealer.header + sealer.push(clear) + sealer.finish()
