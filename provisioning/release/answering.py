"""On an official's own machine: have a key for shares, answer a request, and hand the share over.

    join       once: make the key that shares for this office are sealed to
    answer     read the request in plain words, and sign yes or no; nothing secret is touched
    hand_over  once the city's log holds the yes: seal the share to the request's opener

Between the two stands the custodian's proof that the answer is in the city's log. So a
share never leaves before the log says so, whatever the custodian's machine does.
"""

import base64
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from agent.core.sealing.recipients import Identity, PostQuantumIdentity, parse_identities
from agent.errors import LogError, SharesError, SignatureError, UsageError
from provisioning.authority import files
from provisioning.authority.keys import KeyCard, OfficialKey, check_passphrase
from provisioning.authority.vault import MAX_IDENTITY_BYTES, open_with_passphrase, seal_to_passphrase
from provisioning.evidence.authority import Authority
from provisioning.release.asking import check_entry, read_request
from provisioning.release.letters import Letter, read_letter, write_letter
from provisioning.release.papers import Answer, HandedShare, HandedShares, Recorded, Request, ShareCard
from provisioning.release.shares import reseal_share

RELEASE_FILE = "release.age"  # in the key folder: what opens this office's shares, under a passphrase


def join(folder: Path, key: OfficialKey, passphrase: str, *, now: datetime) -> bytes:
    """Make the key for shares in a key folder, if it has none yet, and return the share card.

    Raises:
        WrongIdentityError: There is one, and the passphrase is wrong.
        StorageError: The disk refuses.
    """
    path = folder / RELEASE_FILE
    if not path.exists():
        check_passphrase(passphrase)
        made = PostQuantumIdentity.generate()
        files.write_new(path, seal_to_passphrase(made.reveal().encode() + b"\n", passphrase), mode=files.PRIVATE)
    recipient = str(share_identity(folder, passphrase).recipient)
    card = ShareCard(office=key.card.office, name=key.card.name, recipient=recipient, made_at=now)
    return write_letter("share-card", card, key.signer)


def share_identity(folder: Path, passphrase: str) -> Identity:
    """Return what opens this office's shares.

    Raises:
        UsageError: There is none here.
        WrongIdentityError: The passphrase is wrong.
    """
    path = folder / RELEASE_FILE
    if not path.exists():
        raise UsageError(f"{folder} has no key for shares", hint="lamppost release join makes one")
    return parse_identities(
        open_with_passphrase(files.read_capped(path, max_bytes=MAX_IDENTITY_BYTES), passphrase).decode()
    )[0]


def check_mine(request: Letter[Request], card: KeyCard) -> None:
    """Return if this official is one of those who are asked.

    Raises:
        SharesError: They hold no share of it.
    """
    for one in request.says.epochs:
        holder = one.epoch.holder(card.office)
        if not any(share.office == card.office for share in one.shares):
            raise SharesError(f"the request brings no share for {holder.name} ({card.office})")


def answer(request: Letter[Request], key: OfficialKey, *, approved: bool, reason: str, now: datetime) -> bytes:
    """Return the signed answer of one office.

    Raises:
        UsageError: There is no written reason (JC-12).
        SharesError: The office is not asked.
    """
    if not reason.strip():
        raise UsageError("an answer needs a written reason (JC-12)", hint='say why: --reason "…"')
    check_mine(request, key.card)
    said = Answer(
        request=request.says.id,
        request_sha256=request.sha256,
        office=key.card.office,
        answer="approved" if approved else "refused",
        reason=reason.strip(),
        answered_at=now,
    )
    return write_letter("release-answer", said, key.signer)


def hand_over(
    raw_request: bytes,
    raw_recorded: bytes,
    *,
    authority: Authority,
    key: OfficialKey,
    identity: Callable[[], Identity],
    now: datetime,
) -> bytes:
    """Return this office's shares, sealed to the request's opener; the city's log holds the approval by now.

    Args:
        raw_request: The request.
        raw_recorded: The custodian's word that the approval is in the log.
        authority: The city.
        key: Who hands over.
        identity: Returns what opens this office's shares; asked last.
        now: Current UTC time.

    Raises:
        LogError: The approval is not in the city's log.
        SignatureError: The custodian did not sign that it is, or it is another office's.
        SharesError: The share is not the one that was made.
    """
    request = read_request(raw_request, authority)
    recorded = read_letter(raw_recorded, "release-recorded", Recorded, authority)
    authority.exporting_key(recorded.keyid, now)
    says = recorded.says
    if says.office != key.card.office or says.request_sha256 != request.sha256:
        raise SignatureError("what was recorded is another office's answer, or to another request")
    event = check_entry(says.entry, "release-approved")
    told = {"answer_sha256": says.answer_sha256, "keyid": key.card.key.keyid, "request": request.says.id}
    if any(event.facts.get(name) != fact for name, fact in told.items()):
        raise LogError("the entry in the city's log is not this office's approval of this request")
    if event.number <= request.says.entry.index:
        raise LogError("the approval stands before the request in the city's log")
    check_mine(request, key.card)
    identities = [identity()]
    shares = tuple(
        HandedShare(
            recipient_sha256=one.epoch.recipient_sha256,
            sealed=base64.b64encode(
                reseal_share(
                    base64.b64decode(next(share.sealed for share in one.shares if share.office == key.card.office)),
                    identities,
                    one.epoch.holder(key.card.office),
                    request.says.opener,
                )
            ).decode(),
        )
        for one in request.says.epochs
    )
    handed = HandedShares(request_sha256=request.sha256, office=key.card.office, shares=shares)
    return write_letter("release-share", handed, key.signer)
