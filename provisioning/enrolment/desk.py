"""Who gets a certificate: a request is held to its claim, its key and the journal.

    refused   the claim is forged, ended, for another city or site, used by another key, or the camera's name is taken
    pending   the claim is good, but whoever photographed it could have sent this
    issued    the work order vouches for the key, itself or through a person who read the code

Asking again changes nothing: the same key gets the same answer, the same code, the same certificate.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.core.enrolment.claim import Claim, verify_claim
from agent.core.enrolment.exchange import (
    CODE_DIGITS,
    Answer,
    Confirmation,
    Outcome,
    Request,
    key_digest,
    verify_confirmation,
    verify_proof,
)
from agent.errors import (
    CameraTakenError,
    ClaimElsewhereError,
    ClaimExpiredError,
    ClaimUsedError,
    EnrolmentError,
    KeyFormatError,
    SignatureError,
    UsageError,
    WrongCodeError,
)
from provisioning.authority import files
from provisioning.backend.ca import MAX_PEM_BYTES, FleetAuthority
from provisioning.backend.installation import BackendFolder, reload_broker, write_acl
from provisioning.enrolment.journal import Ask, Journal, Record, State

MOST_ASKS = 5  # so a code that was misread is another asker's at a chance of 4 in a million
MOST_WRONG_CODES = 5

_REPLACE = "lamppost replace makes a work order for that"

SitesOf: TypeAlias = Callable[[str], frozenset[str]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What a confirmation did.

    Attributes:
        camera_id: The camera that was confirmed.
        others: How many other keys asked with the same claim: somebody else has a copy of it.
    """

    camera_id: str
    others: int


class EnrolmentDesk:
    """The enrolment of one backend. Several processes may use one folder.

    Args:
        folder: The backend's folder.
        offices: Whose claims count.
        sites_of: The sites that signed grants put a camera at; empty if none names it.
    """

    def __init__(
        self,
        folder: BackendFolder,
        offices: Sequence[Ed25519PublicKey],
        sites_of: SitesOf = lambda _: frozenset(),
    ) -> None:
        self._folder = folder
        self._authority = FleetAuthority(folder.authority)
        self._offices = tuple(offices)
        self._sites_of = sites_of
        self._journal = Journal(folder.path / "enrolment")

    @property
    def root(self) -> bytes:
        """The fleet's root certificate, PEM; public."""
        return files.read_capped(self._authority.root_file, max_bytes=MAX_PEM_BYTES)

    def enrol(self, request: Request, *, now: datetime) -> Answer:
        """Answer a camera.

        Raises:
            StorageError: The disk refuses; nothing was promised.
        """
        try:
            return self._answer(request, now=now)
        except (EnrolmentError, KeyFormatError, SignatureError, UsageError) as error:
            _log.warning("enrolment refused: %s", error)
            return Answer(outcome=Outcome.REFUSED, at=now, error=type(error).__name__, reason=str(error))

    def confirm(self, confirmation: Confirmation, *, now: datetime) -> Confirmed:
        """Let whoever holds the work order say which camera is meant; its certificate is made at once.

        Raises:
            EnrolmentError: The claim or the signature does not hold, or nobody was given that code.
            StorageError: The disk refuses.
        """
        claim = verify_claim(confirmation.claim, self._offices)
        verify_confirmation(claim.order_key, confirmation)
        return self._confirm(claim, confirmation.claim, confirmation.code, by="order", now=now)

    def confirm_as_operator(self, camera_id: str, code: str, *, by: str, now: datetime) -> Confirmed:
        """The same by an operator who was told the code by telephone.

        Raises:
            UsageError: No request of that camera is pending.
            EnrolmentError: Nobody was given that code.
        """
        for record in self.pending():
            if record.camera_id == camera_id:
                claim = verify_claim(record.claim, self._offices)
                return self._confirm(claim, record.claim, code, by=by, now=now)
        raise UsageError(f"no request of {camera_id} is pending", hint="lamppost enrol pending --backend FOLDER")

    def pending(self) -> tuple[Record, ...]:
        """Return the claims under which somebody asks and nobody was confirmed."""
        return tuple(record for record in self._journal.all() if record.state is State.OPEN and record.asks)

    def records(self) -> tuple[Record, ...]:
        """Return every claim that was ever shown."""
        return self._journal.all()

    def _answer(self, request: Request, *, now: datetime) -> Answer:
        claim = verify_claim(request.claim, self._offices)
        digest = _digest_of(request.request)
        with self._journal.locked():
            record = self._journal.record(claim, request.claim)
            if record.state is State.ISSUED and record.digest == digest.hex():
                if claim.camera_id in self._authority.barred():
                    raise CameraTakenError(f"{claim.camera_id} was revoked", hint=_REPLACE)
                return _issued(record, now=now)
            self._check(claim, record, digest, now=now)
            if claim.board is not None and request.board != claim.board:
                raise ClaimElsewhereError(f"the claim is for board {claim.board}, not for {request.board}")
            if request.proof is not None:
                verify_proof(claim.order_key, digest, request.proof)
                return _issued(self._issue(claim, record, digest, request.request, by="proof", now=now), now=now)
            return self._wait(claim, record, digest, request, now=now)

    def _check(self, claim: Claim, record: Record, digest: bytes, *, now: datetime) -> None:
        if claim.authority_pin != self._pin():
            raise ClaimElsewhereError(f"the claim is for the fleet of {claim.city}, which is another one")
        if now >= claim.expires_at:
            raise ClaimExpiredError(f"the claim ended at {claim.expires_at:%Y-%m-%d %H:%M} UTC")
        if record.state is State.ISSUED or (record.state is State.ISSUING and record.digest != digest.hex()):
            raise ClaimUsedError("the claim was used by another key")
        if record.state is State.SPOILT:
            raise ClaimUsedError("too many others asked with this claim, or guessed; make another work order")
        sites = self._sites_of(claim.camera_id)
        if sites and claim.site not in sites:
            raise ClaimElsewhereError(
                f"the claim puts {claim.camera_id} at {claim.site}, its grant at {', '.join(sorted(sites))}"
            )
        if record.state is State.OPEN and not claim.replaces and claim.camera_id in self._authority.names():
            word = "was revoked" if claim.camera_id in self._authority.barred() else "is enrolled already"
            raise CameraTakenError(f"{claim.camera_id} {word}", hint=_REPLACE)

    def _wait(self, claim: Claim, record: Record, digest: bytes, request: Request, *, now: datetime) -> Answer:
        known = next((ask for ask in record.asks if ask.digest == digest.hex()), None)
        if known is None:
            if len(record.asks) >= MOST_ASKS:
                self._journal.keep(claim, record.model_copy(update={"state": State.SPOILT}))
                raise ClaimUsedError("too many others asked with this claim; make another work order")
            known = Ask(
                digest=digest.hex(),
                request=request.request,
                board=request.board,
                code=_fresh_code(record),
                asked_at=now,
            )
            self._journal.keep(claim, record.model_copy(update={"asks": (*record.asks, known)}))
        return Answer(
            outcome=Outcome.PENDING, at=now, code=known.code, reason="waits for the work order to confirm the code"
        )

    def _confirm(self, claim: Claim, sealed: bytes, code: str, *, by: str, now: datetime) -> Confirmed:
        with self._journal.locked():
            record = self._journal.record(claim, sealed)
            asked = next((ask for ask in record.asks if ask.code == code), None)
            others = sum(ask is not asked for ask in record.asks)
            if asked is not None and record.digest == asked.digest and record.state is State.ISSUED:
                return Confirmed(camera_id=claim.camera_id, others=others)
            digest = b"" if asked is None else bytes.fromhex(asked.digest)
            self._check(claim, record, digest, now=now)
            if asked is None:
                wrong = record.wrong_codes + 1
                state = State.SPOILT if wrong >= MOST_WRONG_CODES else record.state
                self._journal.keep(claim, record.model_copy(update={"wrong_codes": wrong, "state": state}))
                raise WrongCodeError(
                    f"nobody who asked for {claim.camera_id} was given the code {code}",
                    hint="read it off the lamp once more; ten flashes are a zero",
                )
            self._issue(claim, record, digest, asked.request, by=by, now=now)
            return Confirmed(camera_id=claim.camera_id, others=others)

    def _issue(self, claim: Claim, record: Record, digest: bytes, request: str, *, by: str, now: datetime) -> Record:
        begun = record.model_copy(update={"state": State.ISSUING, "digest": digest.hex(), "confirmed_by": by})
        self._journal.keep(claim, begun)
        replaced = claim.replaces and claim.camera_id in self._authority.names()
        if replaced:
            self._authority.revoke(claim.camera_id, now=now)
        chain = self._authority.issue_device(claim.camera_id, request.encode(), now=now).chain.decode("ascii")
        if replaced:
            self._admit()
        done = begun.model_copy(update={"state": State.ISSUED, "chain": chain, "issued_at": now})
        self._journal.keep(claim, done)
        _log.info("%s is enrolled, by %s", claim.camera_id, by)
        return done

    def _admit(self) -> None:
        """Let the broker know that a camera which had been revoked may speak again."""
        write_acl(self._folder, self._authority)
        try:
            reload_broker(self._folder)
        except UsageError as error:  # the certificate is good; the broker's own user must reload its lists
            _log.error("%s; %s", error, error.hint)

    def _pin(self) -> bytes:
        return pin_of(self.root)


def pin_of(root: bytes) -> bytes:
    """Return what claims call a root certificate in PEM: SHA-256 of its SubjectPublicKeyInfo."""
    key = x509.load_pem_x509_certificate(root).public_key()
    return key_digest(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _digest_of(request: str) -> bytes:
    try:
        key = x509.load_pem_x509_csr(request.encode()).public_key()
        return key_digest(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFormatError("this is not a PEM certificate request") from error


def _issued(record: Record, *, now: datetime) -> Answer:
    return Answer(outcome=Outcome.ISSUED, at=now, chain=record.chain)


def _fresh_code(record: Record) -> str:
    taken = {ask.code for ask in record.asks}
    while True:
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        if code not in taken:
            return code
