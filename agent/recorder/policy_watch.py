"""Watch the inbox for policy, and answer once a frame what it allows.

    with PolicyWatch(...) as watch:
        watch.decision_now()

A thread looks for `inbox/policy.bundle` fifty times a second. What lies there is
taken away first (so that a newer one can arrive meanwhile), read with a bound,
offered to the intake, and answered for in three places: the event log,
`outbox/policy-verdict.json` for the link, and the diagnostic log.

`decision_now` is called for every frame and by others. It hands out the decision it
has until something could have changed it: another policy in force, the instant at
which the decision said it would change, a step of the wall clock, another quality
of it. Policy and clock are one look, so no frame sees the policy of one moment and
the time of another.

If the thread dies of an error nobody foresaw, there is nobody left to hear a
revocation: from then on the decision is dark. If it hangs, on a card that fails for
instance, the decision is dark until it looks again.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.adapters.policy_store import PolicyStore
from agent.core.bundle import MAX_BUNDLE_BYTES
from agent.core.policy.clock import ClockQuality, ClockState
from agent.core.policy.decide import decide
from agent.core.policy.decision import Decision
from agent.errors import BundleFormatError, FreshnessError, LamppostError, PolicyError, StorageError
from agent.ports import Clock, EventLog
from agent.recorder.policy_intake import PolicyInForce, PolicyIntake

BUNDLE_FILE = "policy.bundle"
TAKEN_FILE = ".policy.taken"
VERDICT_FILE = "policy-verdict.json"

_LOOK_EVERY_S = 0.02  # a revocation is to be obeyed within a second of its arrival; one frame of a fast camera
_SAVE_TIME_EVERY = timedelta(minutes=5)  # 105,000 small writes a year; a reboot forgets at most this much
_DECIDE_EVERY_US = 250_000  # how long a step of the wall clock may go unnoticed
_STEP = timedelta(seconds=1)  # more than any clock is slewed by in that time

# Whoever can write to the inbox can make us verify as fast as we look. After a refusal we look less often, but often
# enough for a revocation to be obeyed within a second.
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 0.8

_HANGS_AFTER_US = 60_000_000  # it looks every 20 ms, after a refusal every 0.8 s; a sync on a bad card takes seconds
_DIED = Decision.dark("the watch over the city's policy has stopped; the recorder must be restarted")
_HANGS = Decision.dark("the watch over the city's policy hangs; a revocation would not be heard")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """A decision, and what it was made from.

    Attributes:
        until_us: Monotonic time to look at the clock again.
        at_us: Monotonic time it was made at.
    """

    decision: Decision
    policy: PolicyInForce
    clock: ClockState
    at_us: int
    until_us: int


class PolicyWatch:
    """Keeps one camera's policy current; a context manager that owns the watching thread."""

    def __init__(
        self,
        *,
        camera_id: str,
        trusted_root: bytes,
        inbox: Path,
        outbox: Path,
        store_folder: Path,
        clock: Clock,
        log: EventLog,
    ) -> None:
        """Put the policy that was kept back into force.

        Args:
            camera_id: Whose decisions it makes.
            trusted_root: The city's root metadata, from the device's image.
            inbox: Where the link puts bundles; must exist.
            outbox: Where the link finds verdicts; must exist.
            store_folder: Where policy is kept; made if missing.
            clock: Both clocks.
            log: Where each acceptance and refusal is recorded.

        Raises:
            StorageError: The store cannot be read or made.
        """
        make_folders(store_folder)
        self._camera_id = camera_id
        self._inbox = inbox
        self._outbox = outbox
        self._clock = clock
        self._log = log
        self._intake = PolicyIntake(PolicyStore(store_folder), trusted_root=trusted_root, clock=clock)
        self._answer: _Answer | None = None
        self._answering = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="policy", daemon=True)
        self._died = False
        self._looked_us: int | None = None  # when the thread looked last
        self._refused: tuple[str, str] | None = None  # what was recorded last, so that a repetition is not
        self._pause_s = _FIRST_PAUSE_S
        if why := self._intake.in_force.suspended:
            _log.warning("no grant counts: %s", why)

    def __enter__(self) -> Self:
        self.look()  # what arrived while we were off counts from the first frame
        self._looked_us = self._clock.monotonic_us()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._looked_us = None  # who asks now asks nobody in the background
        self._save_time()

    def clock_now(self) -> ClockState:
        """Return the time as the camera may believe it."""
        return self._intake.clock_state()

    def decision_now(self) -> Decision:
        """Return what the camera may do at this moment; cheap unless something changed."""
        if self._died:
            return _DIED
        looked_us, now_us = self._looked_us, self._clock.monotonic_us()
        if looked_us is not None and now_us - looked_us > _HANGS_AFTER_US:
            return _HANGS
        with self._answering:
            answer = self._answer
            if answer is None or answer.policy is not self._intake.in_force or now_us >= answer.until_us:
                answer = self._answer = self._answer_at(now_us, answer)
            return answer.decision

    @property
    def alive(self) -> bool:
        """Whether somebody still hears what arrives."""
        return not self._died

    def look(self) -> bool:
        """Take in what lies in the inbox; return whether something did and was refused.

        The thread does this; without one, a test may.
        """
        taken = self._inbox / TAKEN_FILE
        try:
            (self._inbox / BUNDLE_FILE).rename(taken)
        except FileNotFoundError:
            pass  # nothing new; one may have been taken before, by us or by a power cut
        except OSError as error:
            return self._refuse(b"", BundleFormatError(f"the inbox cannot be read: {error.strerror}"))
        try:
            packed = read_capped(taken, max_bytes=MAX_BUNDLE_BYTES)
        except FileNotFoundError:
            return False
        except StorageError as error:  # too large, a link, a pipe, a folder
            self._throw_away(taken)
            return self._refuse(b"", BundleFormatError(str(error)))
        try:
            changed = self._intake.offer(packed)
        except (PolicyError, StorageError) as error:
            if not self._may_pass_later(error):
                self._throw_away(taken)
            return self._refuse(packed, error)
        self._throw_away(taken)
        self._pause_s = _FIRST_PAUSE_S
        if changed:
            self._accept(packed)
        return False

    def _watch(self) -> None:
        next_save_us = 0
        try:
            while not self._stop.wait(_LOOK_EVERY_S):
                self._looked_us = self._clock.monotonic_us()
                if self.look():
                    self._stop.wait(self._pause_s)
                    self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
                if self._clock.monotonic_us() >= next_save_us:
                    next_save_us = self._clock.monotonic_us() + _SAVE_TIME_EVERY // timedelta(microseconds=1)
                    self._save_time()
        finally:  # only `stop` ends the loop; whatever else did, nobody hears a revocation any more
            self._died = not self._stop.is_set()

    def _may_pass_later(self, error: LamppostError) -> bool:
        """Return whether what was refused may be accepted unchanged: once there is room, or once the time is known."""
        if isinstance(error, FreshnessError):
            return self._clock.quality() is not ClockQuality.SYNCHRONISED
        return isinstance(error, StorageError)

    def _accept(self, packed: bytes) -> None:
        policy, floors = self._intake.in_force, self._intake.floors
        facts: dict[str, str | int] = {
            "bundle": hashlib.sha256(packed).hexdigest(),
            "timestamp": floors.versions["timestamp"],
            "fresh_until": _written(policy.fresh_until),
            "suspended": policy.suspended,
        }
        self._refused = None
        _log.info("policy accepted, fresh until %s", facts["fresh_until"])
        self._record("policy-applied", facts)
        self._tell("accepted", facts)

    def _refuse(self, packed: bytes, error: LamppostError) -> Literal[True]:
        facts = {"bundle": hashlib.sha256(packed).hexdigest(), "error": type(error).__name__, "reason": str(error)}
        if self._refused != (facts["bundle"], facts["error"]):
            self._refused = (facts["bundle"], facts["error"])
            _log.warning("policy refused: %s", error)
            self._record("policy-refused", facts)
            self._tell("refused", facts)
        return True

    def _record(self, kind: str, facts: Mapping[str, str | int]) -> None:
        # What narrows must not wait for a disk that has no room for the line about it.
        try:
            self._log.append(kind, self._clock.now(), **facts)
        except StorageError as error:
            _log.error("%s was not recorded: %s", kind, error)

    def _tell(self, verdict: str, facts: Mapping[str, str | int]) -> None:
        text = json.dumps({"verdict": verdict, "at": _written(self._clock.now()), **facts}, sort_keys=True)
        try:
            write_atomically(self._outbox / VERDICT_FILE, text.encode() + b"\n", mode=0o640)
        except StorageError as error:
            _log.error("the link was not told: %s", error)

    def _throw_away(self, taken: Path) -> None:
        try:
            taken.rmdir() if taken.is_dir() and not taken.is_symlink() else taken.unlink(missing_ok=True)
        except OSError as error:  # a folder with something in it: it is in the way until someone clears it
            _log.error("%s cannot be removed: %s", taken, error.strerror)

    def _save_time(self) -> None:
        try:
            self._intake.save_time()
        except StorageError as error:
            _log.error("the time floor was not saved: %s", error)

    def _answer_at(self, now_us: int, before: _Answer | None) -> _Answer:
        """Return an answer for `now_us`: the one from `before` if nothing has changed, else a new decision."""
        policy, clock = self._intake.in_force, self._intake.clock_state()
        if before is not None and before.policy is policy and _goes_on(before, clock, now_us):
            decision = before.decision
        else:
            decision = self._decide(policy, clock)
        wait_us = _DECIDE_EVERY_US
        if decision.changes_at is not None:
            wait_us = min(wait_us, (decision.changes_at - clock.now) // timedelta(microseconds=1))
        return _Answer(decision=decision, policy=policy, clock=clock, at_us=now_us, until_us=now_us + max(wait_us, 0))

    def _decide(self, policy: PolicyInForce, clock: ClockState) -> Decision:
        if policy.charter is None:
            return Decision.dark(policy.suspended)
        decision = decide(
            policy.charter, policy.counting, clock, camera_id=self._camera_id, fresh_until=policy.fresh_until
        )
        return replace(decision, reason=f"{decision.reason}; {policy.suspended}") if policy.suspended else decision


def _goes_on(before: _Answer, clock: ClockState, now_us: int) -> bool:
    """Return whether the clock has only gone on since `before`, and not to where the decision changes."""
    if clock.quality is not before.clock.quality:
        return False
    gone_by = timedelta(microseconds=now_us - before.at_us)
    if abs(clock.now - before.clock.now - gone_by) > _STEP:
        return False
    return before.decision.changes_at is None or clock.now < before.decision.changes_at


def _written(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant:%Y-%m-%dT%H:%M:%SZ}"
