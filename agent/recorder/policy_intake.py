"""Take a bundle in: verify its signatures, admit it, keep it, and only then obey it.

    intake = PolicyIntake(store, trusted_root=root, clock=clock)    # what was in force is in force again
    intake.offer(packed)                                            # or raises, and nothing has changed

Every way into force leads through `verify_bundle` and `admit`; a bundle that the
camera kept itself goes the same way again at every start, from the root in the
image, at the time it was accepted at. What cannot be verified again grants nothing;
what narrows stays in force from the ledger.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from agent.adapters.policy_store import AcceptedPolicy, KeptPolicy, PolicyStore
from agent.adapters.tuf_client import verify_bundle
from agent.core.bundle import decode_bundle
from agent.core.policy.admission import admit, narrowing_of
from agent.core.policy.charter import Charter, parse_charter
from agent.core.policy.clock import ClockQuality, ClockState, believe
from agent.core.policy.floors import Floors
from agent.core.policy.verified import VerifiedDocuments
from agent.errors import LamppostError, PolicyError, StorageError
from agent.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInForce:
    """What a camera may believe of its policy.

    Attributes:
        charter: The city's law; None before the first bundle.
        documents: What was admitted; while grants are suspended, what narrows is all that counts.
        fresh_until: When grants and waivers lapse unless a newer bundle arrives.
        suspended: Why no grant counts, in words; empty if grants count.
    """

    charter: Charter | None = None
    documents: VerifiedDocuments = field(default_factory=VerifiedDocuments)
    fresh_until: datetime | None = None
    suspended: str = "no policy has arrived yet"

    @property
    def counting(self) -> VerifiedDocuments:
        """The documents to decide with."""
        return replace(self.documents, grants=(), waivers=(), epochs=()) if self.suspended else self.documents


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What is kept, as one value: a thread that reads it sees parts that belong together."""

    floors: Floors
    at_us: int
    accepted: AcceptedPolicy | None


class PolicyIntake:
    """The one way of a bundle into force.

    One thread calls `offer` and `save_time`; any may read `in_force` and `clock_state`.
    """

    def __init__(self, store: PolicyStore, *, trusted_root: bytes, clock: Clock) -> None:
        """Put back into force what `store` kept.

        Args:
            store: Where policy is kept.
            trusted_root: Root metadata in the device's image.
            clock: Both clocks.

        Raises:
            StorageError: The store cannot be read at all.
        """
        self._store = store
        self._trusted_root = trusted_root
        self._clock = clock
        self._held = _Held(floors=Floors(), at_us=clock.monotonic_us(), accepted=None)
        self._in_force = PolicyInForce()
        self._restore(store.load())

    @property
    def in_force(self) -> PolicyInForce:
        """What counts now."""
        return self._in_force

    @property
    def floors(self) -> Floors:
        """The floors as of now."""
        return self._read_clocks()[0]

    def clock_state(self) -> ClockState:
        """Return the time as the camera may believe it."""
        return self._read_clocks()[1]

    def offer(self, packed: bytes) -> bool:
        """Verify, admit, keep and obey the bundle `packed`; return False if it is the one in force already.

        Args:
            packed: What arrived, of any size and content.

        Raises:
            PolicyError: It is refused. What was in force still is.
            StorageError: It cannot be kept. What was in force still is, and what narrows in the bundle
                besides: a full disk must not keep a revocation out. Offer it again; until then a
                restart forgets it.
        """
        held = self._held
        if held.accepted is not None and packed == held.accepted.bundle and not self._in_force.suspended:
            return False
        floors, clock = self._read_clocks()
        release = verify_bundle(decode_bundle(packed), trusted_root=self._trusted_root, now=clock.now)
        admission = admit(release, floors=floors, ledger=held.accepted.ledger if held.accepted else (), clock=clock)
        accepted = AcceptedPolicy(
            bundle=packed, accepted_at=clock.now, charter=admission.charter_raw, ledger=admission.ledger
        )
        try:
            self._store.commit(admission.floors, accepted)
        except StorageError:
            newer = admission.documents
            narrowed = replace(
                self._in_force.documents,
                restrictions=newer.restrictions,  # the ledger is in them: none that stood is missing
                holds=newer.holds,
                revocations=newer.revocations,
            )
            self._in_force = replace(
                self._in_force, charter=self._in_force.charter or admission.charter, documents=narrowed
            )
            raise
        self._hold(admission.floors, accepted)
        self._in_force = PolicyInForce(
            charter=admission.charter,
            documents=admission.documents,
            fresh_until=admission.fresh_until,
            suspended=_why_suspended(admission.floors),
        )
        return True

    def save_time(self) -> None:
        """Make the time floor durable as far as it has come; once every few minutes is enough.

        Raises:
            StorageError: It cannot be written; the old floors still hold.
        """
        floors = self.floors
        if floors == self._held.floors:
            return
        self._store.raise_floors(floors)
        self._hold(floors, self._held.accepted)

    def _read_clocks(self) -> tuple[Floors, ClockState]:
        """Return floors and time as of one reading of both clocks."""
        held = self._held
        wall, quality = self._clock.now(), self._clock.quality()
        elapsed = timedelta(microseconds=self._clock.monotonic_us() - held.at_us)
        floors = held.floors.carried_on(elapsed, wall=wall, quality=quality)
        return floors, believe(wall, quality, floors.time)

    def _hold(self, floors: Floors, accepted: AcceptedPolicy | None) -> None:
        self._held = _Held(floors=floors, at_us=self._clock.monotonic_us(), accepted=accepted)

    def _restore(self, kept: KeptPolicy) -> None:
        """Put what was kept back into force, as far as it can be verified."""
        self._hold(kept.floors, kept.accepted)
        if kept.accepted is not None:
            self._verify_again(kept.accepted)
        floors = self._held.floors
        if kept.loss:
            self._hold(floors.after_loss(), kept.accepted)
            self._in_force = replace(self._in_force, suspended=f"{kept.loss}; {_why_suspended(self._held.floors)}")
            self._keep_loss()
            return
        if floors.lost:
            self._in_force = replace(self._in_force, suspended=_why_suspended(floors))
        self._store.sweep()

    def _verify_again(self, accepted: AcceptedPolicy) -> None:
        # It was fresh, and its time was possible, when it was accepted; whether it is fresh now is the
        # decision's business. FLOOR asks for neither a second time.
        then = ClockState(now=accepted.accepted_at, quality=ClockQuality.FLOOR)
        try:
            release = verify_bundle(decode_bundle(accepted.bundle), trusted_root=self._trusted_root, now=then.now)
            admission = admit(release, floors=self._held.floors, ledger=accepted.ledger, clock=then)
        except LamppostError as error:
            self._in_force = _what_narrows(accepted, f"the policy kept on this camera does not verify: {error}")
            return
        if not self._held.floors.versions:  # lost: what was kept is the best that is known
            self._hold(admission.floors, accepted)
        self._in_force = PolicyInForce(
            charter=admission.charter,
            documents=admission.documents,
            fresh_until=admission.fresh_until,
            suspended="",
        )

    def _keep_loss(self) -> None:
        try:
            if self._held.accepted is None:
                self._store.raise_floors(self._held.floors)
            else:
                self._store.commit(self._held.floors, self._held.accepted)
        except StorageError as error:  # the loss is found again at the next start; meanwhile it is in force here
            self._in_force = replace(self._in_force, suspended=f"{self._in_force.suspended}; {error}")


def _what_narrows(accepted: AcceptedPolicy, suspended: str) -> PolicyInForce:
    """Return the charter and the ledger of `accepted`, which have the digest that the floors name, and no grant."""
    try:
        charter, documents = parse_charter(accepted.charter), narrowing_of(accepted.ledger)
    except PolicyError as error:  # from a newer software, perhaps; without all that narrows, not even a picture
        return PolicyInForce(suspended=f"{suspended}; nor can what it restricts be read: {error}")
    return PolicyInForce(charter=charter, documents=documents, suspended=suspended)


def _why_suspended(floors: Floors) -> str:
    if not floors.lost:
        return ""
    return "grants count again when the approving offices have signed them anew, because a policy file was lost"
