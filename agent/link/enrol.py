"""How a camera that nobody knows becomes one that the city vouches for: one loop, one step at a time.

    an order (card, cable, or a code that the recorder saw)
      → its claim is verified            three short flashes if it is no use here
      → the network is joined
      → the city's authority is fetched  it counts only by the claim's pin
      → a key is made here, and stays
      → the city is asked                pending: a code is blinked until a person confirms it
      → name, certificate, and the word to the recorder

The power may fail between any two lines. Each step looks at the disk for what is done
and goes on from there: the same key asks again with the same request and gets the same
certificate. The last file to go is the order, so while it lies there, something is left
to do.
"""

import json
import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.adapters.credential import DeviceCredential
from agent.adapters.enrolment_files import EnrolmentFiles
from agent.adapters.enrolment_service import MAX_ROOT_BYTES, EnrolmentService, pin_of
from agent.adapters.folder_lock import alone_in
from agent.adapters.identity import ENROLLED_FILE, Offices, kept_claim
from agent.config import Config
from agent.core.backoff import Backoff
from agent.core.enrolment.claim import Address, Claim, Wifi, check_claim
from agent.core.enrolment.exchange import Answer, Order, Outcome, Request, fingerprint, key_digest, sign_proof
from agent.core.enrolment.networks import KEYFILE_NAME, keyfile
from agent.core.enrolment.signs import Stage, lit_at, pattern_of
from agent.core.policy.clock import ClockQuality
from agent.errors import ClaimElsewhereError, CredentialError, EnrolmentError, EnrolmentUnreachableError, StorageError
from agent.ports import Clock, Lamp

ASK_AGAIN = timedelta(seconds=3)  # while a person reads the code
LOOK_AGAIN = timedelta(milliseconds=500)  # for an order
SHOW_REFUSAL = timedelta(seconds=6)  # twice the pattern
AFTER_REFUSAL = timedelta(seconds=30)  # a site's grant may be mended; another claim is taken at once
BACKOFF = Backoff(first=timedelta(seconds=2), most=timedelta(seconds=60))

MakeService: TypeAlias = Callable[[Address, bytes], EnrolmentService]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where enrolment stands, and when to go on.

    Attributes:
        stage: How far it is.
        wait: How long nothing need be tried.
        reason: Why it is no further, for people.
        code: What the lamp says, while it is pending.
        unreachable: Whether only the network is missing.
    """

    stage: Stage
    wait: timedelta = timedelta()
    reason: str = ""
    code: str = ""
    unreachable: bool = False

    def to_json(self) -> str:
        """Return it for a program at the other end of a cable."""
        return json.dumps({"stage": self.stage.value, "reason": self.reason, "code": self.code})


class Enrolment:
    """One camera's way into the fleet.

    Args:
        config: Where everything lies.
        board: This board's serial number, or None.
        clock: The wall clock, and whether it can be believed.
        make_service: Returns the way to a service.
        on_network: Called after the keyfile of a wireless network was written.

    Raises:
        ConfigurationError: There is no file that says whose claims count.
        StorageError: The folder cannot be made.
    """

    def __init__(
        self,
        config: Config,
        *,
        board: str | None,
        clock: Clock,
        make_service: MakeService = EnrolmentService,
        on_network: Callable[[Path], None] = lambda _: None,
    ) -> None:
        section = config.enrolment
        if section.offices is None:
            raise ValueError("a camera that enrols has offices")
        self._config = config
        self._folder = section.folder
        self._offices = Offices(section.offices)
        self._files = EnrolmentFiles(section.folder, section.card, config.policy.outbox)
        self._board = board
        self._clock = clock
        self._make_service = make_service
        self._on_network = on_network

    def step(self) -> Standing:
        """Do what can be done now, and return where that leaves the camera.

        Raises:
            StorageError: The disk refuses; what was reached is kept.
        """
        with alone_in(self._folder):
            return self._step()

    def _step(self) -> Standing:
        order = self._files.order()
        if order is None:
            return self._told(self._without_order())
        try:
            claim = self._checked(order)
        except EnrolmentError as error:
            return self._told(Standing(stage=Stage.CLAIM_BAD, wait=AFTER_REFUSAL, reason=str(error)))
        try:
            return self._told(self._carry_out(order, claim), claim)
        except EnrolmentUnreachableError as error:
            waiting = Standing(stage=Stage.CONNECTING, reason=str(error), unreachable=True)
            return self._told(waiting, claim)
        except (EnrolmentError, CredentialError) as error:
            return self._told(Standing(stage=Stage.REFUSED, wait=AFTER_REFUSAL, reason=str(error)), claim)

    def news(self) -> bool:
        """Return whether a code was shown that was not taken up yet: a reason to wait no longer."""
        return self._files.news()

    def standing(self) -> Standing:
        """Return how far the camera is, without asking anybody. Raises StorageError."""
        return self._without_order() if self._files.order() is None else Standing(stage=Stage.CONNECTING)

    def take(self, order: Order) -> None:
        """Make `order` the one to carry out; one that was carried out is left alone.

        Raises:
            EnrolmentError: Its claim is no use here.
        """
        with alone_in(self._folder):
            claim = self._checked(order)
            done = kept_claim(self._config.link.folder) == order.claim and self._files.order() is None
            if not done:
                self._files.keep_order(order)
                self._told(Standing(stage=Stage.CONNECTING), claim)

    def to_carry(self) -> bytes:
        """Return the request as a file for somebody to carry to the city; the same again until it is answered.

        Raises:
            EnrolmentError: There is no order, or its claim is no use here.
        """
        with alone_in(self._folder):
            order, claim = self._ordered()
            credential = DeviceCredential(self._config.link.credential, self._config.link.authority, claim.camera_id)
            return self._request(order, self._asked(credential)).to_bytes()

    def carried_back(self, answer: Answer) -> None:
        """Install what the city answered.

        Raises:
            EnrolmentError: It is no certificate, or there is no order that it could be for.
            CredentialError: It is not for the key that this camera made.
        """
        with alone_in(self._folder):
            order, claim = self._ordered()
            if answer.outcome is not Outcome.ISSUED:
                raise EnrolmentError(answer.reason or "the city has not issued a certificate")
            if pin_of(answer.root.encode()) != claim.authority_pin:
                raise EnrolmentError("the answer comes from another city than the claim's")
            self._keep_authority(answer.root.encode())
            credential = DeviceCredential(self._config.link.credential, self._config.link.authority, claim.camera_id)
            self._install(order, credential, answer)
            self._told(Standing(stage=Stage.ENROLLED), claim)

    def _ordered(self) -> tuple[Order, Claim]:
        order = self._files.order()
        if order is None:
            raise EnrolmentError("this camera has no order", hint="card or cable bring one")
        return order, self._checked(order)

    def _checked(self, order: Order) -> Claim:
        claim = self._offices.verify(order.claim)
        check_claim(claim, board=self._board, now=self._clock.now(), clock_known=self._clock_known)
        self._same_name(claim)
        return claim

    def _asked(self, credential: DeviceCredential) -> str:
        """Return the request that goes with the key that waits, made if there is none."""
        request = self._files.request()
        if request is None or not credential.waits_for(request):
            make_folders(self._config.link.credential.parent)
            request = credential.request()
            self._files.keep_request(request)
        return request

    def _keep_authority(self, root: bytes) -> None:
        make_folders(self._config.link.authority.parent)
        write_atomically(self._config.link.authority, root, mode=0o644)

    def _without_order(self) -> Standing:
        if kept_claim(self._config.link.folder) is not None and self._config.link.credential.exists():
            return Standing(stage=Stage.ENROLLED, wait=LOOK_AGAIN)
        if (why := self._files.refused_code()) is not None:
            return Standing(stage=Stage.CLAIM_BAD, wait=SHOW_REFUSAL, reason=why)
        return Standing(stage=Stage.LOOKING, wait=LOOK_AGAIN)

    def _same_name(self, claim: Claim) -> None:
        """Pass if this camera has no other name. Raises ClaimElsewhereError."""
        sealed = kept_claim(self._config.link.folder)
        if sealed is not None and (kept := self._offices.verify(sealed)).camera_id != claim.camera_id:
            raise ClaimElsewhereError(
                f"the claim is for {claim.camera_id}, this is {kept.camera_id}", hint="lamppost retire, first"
            )

    def _carry_out(self, order: Order, claim: Claim) -> Standing:
        credential = DeviceCredential(self._config.link.credential, self._config.link.authority, claim.camera_id)
        request = self._files.request()
        # The claim is kept after the answer came, and the request is removed after the certificate was installed.
        answered = kept_claim(self._config.link.folder) == order.claim
        if answered and (request is None or credential.is_for(request)):
            self._finish(order)
            return Standing(stage=Stage.ENROLLED)
        self._join(order, claim)
        service = self._make_service(claim.enrol, claim.authority_pin)
        root = self._authority(claim, service)
        answer = service.ask(self._request(order, self._asked(credential)), root, clock_known=self._clock_known)
        match answer.outcome:
            case Outcome.PENDING:
                return Standing(stage=Stage.PENDING, wait=ASK_AGAIN, reason=answer.reason, code=answer.code or "")
            case Outcome.REFUSED:
                return Standing(stage=Stage.REFUSED, wait=AFTER_REFUSAL, reason=f"{answer.error}: {answer.reason}")
            case Outcome.ISSUED:
                self._install(order, credential, answer)
                return Standing(stage=Stage.ENROLLED)

    def _install(self, order: Order, credential: DeviceCredential, answer: Answer) -> None:
        # Its name before its certificate: the certificate's appearance is what starts the link.
        make_folders(self._config.link.folder)
        write_atomically(self._config.link.folder / ENROLLED_FILE, order.claim)
        now = self._clock.now() if self._clock_known else max(self._clock.now(), answer.at)
        credential.install(answer.chain, now=now)
        self._finish(order)

    def _finish(self, order: Order) -> None:
        make_folders(self._config.policy.inbox)
        write_atomically(self._config.policy.inbox / ENROLLED_FILE, order.claim, mode=0o640)  # for the recorder
        self._files.clear()

    def _request(self, order: Order, request: str) -> Request:
        proof = None
        if order.key is not None:
            key = x509.load_pem_x509_csr(request.encode()).public_key()
            digest = key_digest(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
            proof = sign_proof(order.key, digest)
        return Request(claim=order.claim, request=request, board=self._board, proof=proof)

    def _authority(self, claim: Claim, service: EnrolmentService) -> bytes:
        """Return the fleet's root as the claim pins it, from the disk or from the service."""
        try:
            kept = read_capped(self._config.link.authority, max_bytes=MAX_ROOT_BYTES)
        except FileNotFoundError:
            kept = b""
        if pin_of(kept) == claim.authority_pin:
            return kept
        root = service.fetch_root()
        self._keep_authority(root)
        return root

    def _join(self, order: Order, claim: Claim) -> None:
        """Write down the wireless network that the order names, if it is not there yet."""
        folder = self._config.enrolment.networks
        wifi = claim.wifi
        if order.wifi is not None:
            wifi = Wifi(ssid=order.wifi.ssid, secret=order.wifi.secret)
        if folder is None or wifi is None or wifi.secret is None:
            return
        path, content = folder / KEYFILE_NAME, keyfile(wifi).encode()
        if path.exists() and read_capped(path, max_bytes=64 * 1024) == content:
            return
        try:
            write_atomically(path, content, mode=0o600)
        except StorageError as error:  # a cable, or the card's own configuration, may lead to the city all the same
            _log.warning("the wireless network was not written down: %s", error)
            return
        self._on_network(path)

    def _told(self, standing: Standing, claim: Claim | None = None) -> Standing:
        self._files.tell(
            standing.stage,
            at=self._clock.now(),
            reason=standing.reason,
            code=standing.code,
            camera_id="" if claim is None else claim.camera_id,
            key="" if (request := self._files.request()) is None else fingerprint_of(request),
        )
        return standing

    @property
    def _clock_known(self) -> bool:
        return self._clock.quality() is ClockQuality.SYNCHRONISED


def fingerprint_of(request: str) -> str:
    """Return the fingerprint of the key in a PEM request, as people compare it."""
    key = x509.load_pem_x509_csr(request.encode()).public_key()
    return fingerprint(key_digest(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)))


class LampPlayer:
    """Plays patterns on a lamp, from a thread of its own; a context that ends dark.

    Args:
        lamp: What is lit.
        clock: For the rhythm.
    """

    def __init__(self, lamp: Lamp, clock: Clock) -> None:
        self._lamp = lamp
        self._clock = clock
        self._change = threading.Condition()
        self._pattern = pattern_of(Stage.LOOKING)
        self._since_us = clock.monotonic_us()
        self._over = False
        self._thread = threading.Thread(target=self._play, name="lamp", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._over = True
            self._change.notify()
        self._thread.join()
        self._lamp.light(lit=False)

    def show(self, standing: Standing) -> None:
        """Play what `standing` means, from its beginning if it is another pattern than now."""
        pattern = pattern_of(standing.stage, standing.code or None)
        with self._change:
            if pattern != self._pattern:
                self._pattern, self._since_us = pattern, self._clock.monotonic_us()
                self._change.notify()

    def _play(self) -> None:
        with self._change:
            while not self._over:
                elapsed_ms = (self._clock.monotonic_us() - self._since_us) // 1000
                lit, left_ms = lit_at(self._pattern, elapsed_ms)
                self._lamp.light(lit=lit)
                self._change.wait(left_ms / 1000)


def enrol(
    enrolment: Enrolment,
    player: LampPlayer,
    stop: threading.Event,
    *,
    uniform: Callable[[], float] = random.random,
) -> bool:
    """Enrol until it is done, or `stop` is set; return whether it is done."""
    failures, told = 0, ""
    while not stop.is_set():
        try:
            standing = enrolment.step()
        except StorageError as error:
            standing = Standing(stage=Stage.CONNECTING, reason=str(error), unreachable=True)
        player.show(standing)
        said = f"{standing.stage.value}: {standing.reason}".rstrip(": ")
        if said != told:
            _log.info("enrolment: %s", said)
            told = said
        if standing.stage is Stage.ENROLLED:
            return True
        failures = failures + 1 if standing.unreachable else 0
        wait = BACKOFF.delay(failures, uniform) if failures else standing.wait
        _wait(wait, stop, enrolment)
    return False


def _wait(duration: timedelta, stop: threading.Event, enrolment: Enrolment) -> None:
    """Wait, but not longer than until another code is shown."""
    left = duration
    while left > timedelta() and not stop.wait(min(left, LOOK_AGAIN).total_seconds()):
        with suppress(StorageError):  # the next step tells of it
            if enrolment.news():
                return
        left -= LOOK_AGAIN
