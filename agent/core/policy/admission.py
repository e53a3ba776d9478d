"""Admit a verified release, or say why not: the steps, in order.

Signatures were verified before (TUF 5); what is left are the questions TUF does not
ask. None of them looks inside a document before the release is known to be signed
as the charter says and to be no older than what was accepted:

1. it is not older than the floors;
2. its times can be true together, and with a synchronised clock;
3. it has a charter, and the charter parses;
4. every role is signed by whom, and by how many, the charter says;
5. every document lies in the folder of the role that vouches for it;
6. every document parses, is of its folder's kind, issued by its role's office, and, where
   it is new to the camera, keeps the charter.

One failed step refuses the whole release: half a policy would be one that nobody
signed. Then what narrows goes into the ledger, and the floors rise.

Pure: the caller stores what is returned before it obeys it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.clauses import check_document, check_together
from agent.core.policy.clock import SIGNING_SLACK, ClockQuality, ClockState
from agent.core.policy.documents import EpochKeys, Grant, Hold, Restriction, Revocation, Waiver, parse_document
from agent.core.policy.floors import Floors
from agent.core.policy.ledger import remember
from agent.core.policy.release import CHARTER_PATH, TARGETS, TIMESTAMP, TOP_LEVEL, Release, SignedDocument
from agent.core.policy.roles import (
    DEVICES,
    EPOCHS,
    GRANTS,
    HOLDS,
    RESTRICTIONS,
    REVOCATIONS,
    WAIVERS,
    ExpectedRole,
    expected_roles,
    refuse_foreign_paths,
    refuse_other_signers,
)
from agent.core.policy.verified import VerifiedDocuments
from agent.errors import FreshnessError, PolicyError, SignatureError

AnyDocument = Grant | Restriction | Waiver | Hold | EpochKeys | Revocation

KIND_OF_FAMILY = {
    GRANTS: "grant",
    WAIVERS: "waiver",
    EPOCHS: "epochs",
    RESTRICTIONS: "restriction",
    HOLDS: "hold",
    REVOCATIONS: "revocation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a camera knows after it admitted a release.

    Attributes:
        charter: The city's law.
        charter_raw: Its signed bytes, for the store.
        documents: Everything the release vouches for, and everything in the ledger.
        fresh_until: When grants and waivers lapse unless a newer release arrives.
        floors: The floors from now on; to be durable before anything here is obeyed.
        ledger: The ledger from now on.
    """

    charter: Charter
    charter_raw: bytes
    documents: VerifiedDocuments
    fresh_until: datetime
    floors: Floors
    ledger: tuple[SignedDocument, ...]


def admit(release: Release, *, floors: Floors, ledger: Sequence[SignedDocument], clock: ClockState) -> Admission:
    """Return what is known after `release`.

    Args:
        release: What the signatures vouch for.
        floors: What was accepted before.
        ledger: What narrows and was accepted before, in order of arrival.
        clock: The time, and how far it can be believed.

    Raises:
        RollbackError: Step 1.
        FreshnessError: Step 2, or a timestamp that is fresh for longer than the charter lets a camera be offline.
        PolicyError: There is no charter, or the ledger is full.
        ClauseViolationError: Steps 4 and 6.
        SignatureError: Steps 4, 5 and 6.
        DocumentFormatError: Steps 3 and 6.
    """
    floors.refuse_older(release)
    _refuse_impossible_times(release, clock)
    charter_raw = _charter_of(release)
    charter = parse_charter(charter_raw)
    refuse_other_signers(charter, release)
    expected = expected_roles(charter)
    refuse_foreign_paths(release, expected)
    _refuse_long_freshness(release, charter.offline_for)
    parsed = [
        (document, _parse(document, expected[document.role]))
        for document in release.documents
        if document.role in expected and expected[document.role].family != DEVICES
    ]
    known = remember(ledger, [document for document, _ in parsed if expected[document.role].narrows])
    _refuse_unlawful(charter, parsed, ledger)
    widening = [(document, meaning) for document, meaning in parsed if not expected[document.role].narrows]
    return Admission(
        charter=charter,
        charter_raw=charter_raw,
        documents=_gather(
            [meaning for _, meaning in widening] + recall(known, parsed),
            {meaning.sha256: release.expires_at[document.role] for document, meaning in widening},
        ),
        fresh_until=release.fresh_until,
        floors=floors.raised_by(release),
        ledger=known,
    )


def narrowing_of(ledger: Iterable[SignedDocument]) -> VerifiedDocuments:
    """Return what the ledger says when nothing else counts.

    Raises:
        PolicyError: As `recall`.
    """
    return _gather(recall(ledger), {})


def recall(
    ledger: Iterable[SignedDocument], parsed: Iterable[tuple[SignedDocument, AnyDocument]] = ()
) -> list[AnyDocument]:
    """Return what the ledger's documents say; each was admitted once and never lapses.

    Args:
        ledger: The documents.
        parsed: Some of them, perhaps, with what they say: parsing is what costs here.

    Raises:
        PolicyError: One no longer parses; the software and the ledger do not belong together.
    """
    meaning_of = {document.raw: meaning for document, meaning in parsed}
    return [meaning_of.get(entry.raw) or parse_document(entry.raw) for entry in ledger]


def _gather(documents: Iterable[AnyDocument], lapses_at: Mapping[str, datetime]) -> VerifiedDocuments:
    every = list(documents)
    return VerifiedDocuments(
        grants=tuple(one for one in every if isinstance(one, Grant)),
        restrictions=tuple(one for one in every if isinstance(one, Restriction)),
        waivers=tuple(one for one in every if isinstance(one, Waiver)),
        holds=tuple(one for one in every if isinstance(one, Hold)),
        epochs=tuple(one for one in every if isinstance(one, EpochKeys)),
        revocations=tuple(one for one in every if isinstance(one, Revocation)),
        lapses_at=lapses_at,
    )


def _refuse_unlawful(
    charter: Charter, parsed: Iterable[tuple[SignedDocument, AnyDocument]], ledger: Sequence[SignedDocument]
) -> None:
    """Pass if every document that is new to the camera keeps the charter, alone and with the others."""
    before = {(entry.path, entry.raw) for entry in ledger}
    every = list(parsed)
    for document, meaning in every:
        if (document.path, document.raw) not in before:
            check_document(charter, meaning)
    check_together(
        [one for _, one in every if isinstance(one, Grant)], [one for _, one in every if isinstance(one, Waiver)]
    )


def _charter_of(release: Release) -> bytes:
    charters = [document.raw for document in release.documents if document.role == TARGETS]
    if len(charters) != 1 or not any(document.path == CHARTER_PATH for document in release.documents):
        raise PolicyError(f"the release has {len(charters)} targets of its own, expected {CHARTER_PATH} alone")
    return charters[0]


def _parse(document: SignedDocument, role: ExpectedRole) -> AnyDocument:
    """Return what `document` says, if its role may say such a thing."""
    meaning = parse_document(document.raw)
    if meaning.kind != KIND_OF_FAMILY[role.family]:
        raise SignatureError(f"role {role.name} vouches for a {meaning.kind}, {document.path} ({role.clause})")
    if meaning.issued_by not in role.offices:
        raise SignatureError(f"{document.path} is issued by {meaning.issued_by}, signed by {role.name} ({role.clause})")
    return meaning


def _refuse_impossible_times(release: Release, clock: ClockState, slack: timedelta = SIGNING_SLACK) -> None:
    """Pass if the times in `release` can be true together, and with a clock that is synchronised.

    A thief of the timestamp key chooses `signed_at` and so moves the camera's time floor. It may not
    move past the end of what officials signed, nor past a known present.
    """
    for role in TOP_LEVEL:
        if release.expires_at[role] <= release.signed_at:
            raise FreshnessError(f"the timestamp claims to be signed after {role} expired (TUF 5.3.10, 5.4.4)")
    if clock.quality is ClockQuality.SYNCHRONISED and release.signed_at > clock.now + slack:
        raise FreshnessError(
            f"the timestamp claims to be signed at {release.signed_at:%Y-%m-%dT%H:%M:%SZ}, in the future"
        )


def _refuse_long_freshness(release: Release, offline_for: timedelta) -> None:
    """Pass if the timestamp is fresh for no longer than the charter lets a camera be offline."""
    if release.expires_at[TIMESTAMP] - release.signed_at > offline_for:
        raise FreshnessError(
            f"the timestamp is fresh for {release.expires_at[TIMESTAMP] - release.signed_at}, allowed: {offline_for}"
        )
