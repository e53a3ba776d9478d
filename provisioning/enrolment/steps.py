"""Provision one camera over a cable: seven steps, each of which may be the last for now.

Every step looks first at what the camera and the work order say, does what is missing,
and writes itself down. So a second run does nothing, and a run after a pulled cable or
a dead laptop goes on where the first one stopped. The journal tells people what was
done and when; nothing is skipped on its word alone.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from agent.core.enrolment.exchange import Answer, Order, Request
from agent.core.status import RecorderStatus, RecordingState
from agent.errors import EnrolmentError, TransportError, UsageError
from provisioning.authority import files
from provisioning.enrolment.desk_folder import desk_of, forget_secrets, read_work_order, remove
from provisioning.enrolment.transport import Done, Half, Transport
from provisioning.enrolment.work_order import WorkOrder
from provisioning.words import words

MAX_JOURNAL_BYTES = 256 * 1024
LOOK_EVERY = timedelta(milliseconds=500)
ENROLS_WITHIN = timedelta(minutes=3)  # a wireless network that is joined for the first time takes one
BEGINS_WITHIN = timedelta(minutes=3)  # systemd gives the recorder as long
HEARS_WITHIN = timedelta(seconds=60)


class Step(Enum):
    """The steps, in their order; the value names its sentence."""

    REACH = "reach"
    ORDER = "order"
    ENROL = "enrol"
    FORGET = "forget"
    SELFTEST = "selftest"
    RECORD = "record"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one step did.

    Attributes:
        step: Which.
        words: What it found.
        changed: Whether anything had to be done.
        facts: The same for programs.
    """

    step: Step
    words: str
    changed: bool = True
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrying:
    """Enrolment by file.

    Attributes:
        out: Where to put the camera's request.
        back: The city's answer; None until somebody has brought it.
    """

    out: Path
    back: Path | None = None


class CarryError(EnrolmentError):
    """The request was written; the answer must be fetched before it can go on."""

    exit_status = os.EX_TEMPFAIL


class Journal:
    """What was done to one camera, on this laptop.

    Args:
        path: One JSON line a step.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, told: Told, claim: str, *, at: datetime) -> None:
        """Write a step down, durably. Raises StorageError."""
        line = {
            "at": at.isoformat(),
            "claim": claim,
            "step": told.step.value,
            "changed": told.changed,
            "words": told.words,
        }
        if key := told.facts.get("key"):
            line["key"] = key
        files.write_whole(
            self._path, self._lines() + json.dumps(line, ensure_ascii=False).encode() + b"\n", mode=files.PRIVATE
        )

    def key(self, claim: str) -> str:
        """Return the fingerprint of the key that was enrolled by `claim`; empty if another laptop did it."""
        with contextlib.suppress(ValueError):  # somebody wrote in it: the backend knows the key, too
            lines = [json.loads(line) for line in self._lines().splitlines()]
            return next((str(line["key"]) for line in lines if line.get("claim") == claim and "key" in line), "")
        return ""

    def _lines(self) -> bytes:
        return files.read_capped(self._path, max_bytes=MAX_JOURNAL_BYTES) if self._path.exists() else b""


class Provisioning:
    """One camera's way from a card to a recording.

    Args:
        order_path: The work order's file.
        transport: The way to the camera.
        now: The wall clock.
        wait: Blocks for a while.
        carrying: If enrolment goes by file.
    """

    def __init__(
        self,
        order_path: Path,
        transport: Transport,
        *,
        now: Callable[[], datetime],
        wait: Callable[[timedelta], None],
        carrying: Carrying | None = None,
    ) -> None:
        self._order_path = order_path
        self._order = read_work_order(order_path)
        self._transport = transport
        self._now = now
        self._wait = wait
        self._carrying = carrying
        self._journal = Journal(order_path.with_suffix(".journal"))
        self._claim = self._order.claimed()
        self._brought = False

    @property
    def order(self) -> WorkOrder:
        """The work order, as it was read."""
        return self._order

    def run(self, tell: Callable[[Step], None]) -> Iterator[Told]:
        """Yield each step when it is done.

        Args:
            tell: Told of each step when it begins.

        Raises:
            LamppostError: A step cannot be done now; run it again.
        """
        doing = {
            Step.REACH: self._reach,
            Step.ORDER: self._bring_order,
            Step.ENROL: self._enrol,
            Step.FORGET: self._forget,
            Step.SELFTEST: self._selftest,
            Step.RECORD: self._record,
            Step.REPORT: self._report,
        }
        for step, do in doing.items():
            tell(step)
            told = do()
            self._journal.note(told, self._claim.id, at=self._now())
            yield told

    def _reach(self) -> Told:
        standing = self._standing("--stage")
        if self._order.key is None and standing["stage"] != "enrolled":
            camera, at = self._claim.camera_id, desk_of(self._order_path)
            raise UsageError(
                words("work-order.carried_out", camera=camera),
                hint=words("failed.other_board_hint", camera=camera, desk=at),
            )
        return Told(step=Step.REACH, words=self._transport.name, changed=False, facts={"stage": standing["stage"]})

    def _bring_order(self) -> Told:
        if self._standing("--stage")["stage"] == "enrolled":
            return Told(step=Step.ORDER, words=words("told.order_done"), changed=False)
        order: Order = self._order.for_camera()
        self._expect(self._transport.agent(Half.LINK, ["enrol", "--take-order"], given=order.to_bytes()))
        self._brought = True
        return Told(step=Step.ORDER, words=words("told.order", claim=self._claim.id))

    def _enrol(self) -> Told:
        if not self._brought:
            known = words("told.enrol_done", camera=self._claim.camera_id)
            # Not the key of now: it may have been renewed since.
            return Told(step=Step.ENROL, words=known, changed=False, facts={"key": self._journal.key(self._claim.id)})
        if self._carrying is not None:
            self._carry(self._carrying)
        reason = ""
        for _ in self._patience(ENROLS_WITHIN):
            standing = self._standing("--once")
            match standing["stage"]:
                case "enrolled":
                    known = words("told.enrol", camera=self._claim.camera_id)
                    return Told(step=Step.ENROL, words=known, facts={"key": self._key()})
                case "refused" | "claim-bad":
                    raise EnrolmentError(
                        words("failed.refused", camera=self._claim.camera_id, reason=standing["reason"]),
                        hint=words("failed.refused_hint"),
                    )
            reason = standing["reason"]
        raise TransportError(
            words("failed.city", camera=self._claim.camera_id, reason=reason), hint=words("failed.city_hint")
        )

    def _carry(self, carrying: Carrying) -> None:
        if carrying.back is None:
            done = self._expect(self._transport.agent(Half.LINK, ["enrol", "--carry-out"]))
            Request.from_bytes(done.out)  # what is no request is not worth a walk
            files.write_whole(carrying.out, done.out, mode=files.PRIVATE)
            raise CarryError(words("failed.carry", path=carrying.out), hint=words("failed.carry_hint"))
        answer = files.read_capped(carrying.back, max_bytes=Answer.MAX_BYTES)
        self._expect(self._transport.agent(Half.LINK, ["enrol", "--carry-in"], given=answer))

    def _selftest(self) -> Told:
        if self._recorder() is not None:
            return Told(step=Step.SELFTEST, words=words("told.selftest_done"), changed=False)
        self._transport.stop(Half.RECORDER)  # one camera, one log: two cannot have them
        done = self._transport.agent(Half.RECORDER, ["selftest", "--json"])
        findings = done.json()
        failed = [f"{one['part']}: {one['found']}" for one in findings if not one["passed"] and one["part"] != "policy"]
        if failed:
            raise TransportError(words("failed.selftest", parts="; ".join(failed)), hint=_hint_of(findings))
        return Told(step=Step.SELFTEST, words=words("told.selftest", count=len(findings)), facts={"findings": findings})

    def _record(self) -> Told:
        if (status := self._recorder()) is not None:
            return Told(step=Step.RECORD, words=_told_of(status), changed=False)
        self._transport.restart(Half.RECORDER)
        for _ in self._patience(BEGINS_WITHIN):
            if (status := self._recorder()) is not None:
                return Told(step=Step.RECORD, words=_told_of(status))
        raise TransportError(words("failed.record"), hint=words("failed.record_hint"))

    def _report(self) -> Told:
        changed = not self._transport.runs(Half.LINK)
        if changed:
            self._transport.restart(Half.LINK)
        for _ in self._patience(HEARS_WITHIN):
            status = self._recorder()
            if status is not None and status.decision.policy_digest:
                return Told(
                    step=Step.REPORT,
                    words=words("told.report" if changed else "told.report_done"),
                    changed=changed,
                    facts={
                        "state": status.state.value,
                        "reason": status.decision.reason,
                        "policy": status.decision.policy_digest,
                    },
                )
        raise TransportError(
            words("failed.report", camera=self._claim.camera_id, broker=self._claim.broker),
            hint=words("failed.report_hint"),
        )

    def _forget(self) -> Told:
        if self._order.key is None:
            return Told(step=Step.FORGET, words=words("told.forget_done"), changed=False)
        if self._carrying is not None:
            remove(self._carrying.out)
        forget_secrets(self._order_path, now=self._now())
        return Told(step=Step.FORGET, words=words("told.forget"))

    def _key(self) -> str:
        """Return the fingerprint of the key that the camera was certified with, for its label."""
        told = self._transport.agent(Half.LINK, ["diagnose"]).json()
        credential = told.get("credential") if isinstance(told, dict) else None
        return str(credential.get("key", "")) if isinstance(credential, dict) else ""

    def _standing(self, how: str) -> dict[str, str]:
        """Return how far the camera is; with `--once`, after it has done what it can now."""
        done = self._transport.agent(Half.LINK, ["enrol", how])
        if done.status not in {0, os.EX_TEMPFAIL}:
            self._expect(done)
        standing = done.json()
        return {key: str(standing.get(key, "")) for key in ("stage", "reason", "code")}

    def _recorder(self) -> RecorderStatus | None:
        """Return what the recorder says of itself; None unless it runs, is heard, and goes by its name."""
        if not self._transport.runs(Half.RECORDER):
            return None
        done = self._transport.agent(Half.RECORDER, ["status", "--json"])
        if done.status:
            return None
        status = RecorderStatus.from_json(done.out)
        return status if status.camera_id == self._claim.camera_id else None

    def _patience(self, within: timedelta) -> Iterator[None]:
        until = self._now() + within
        while True:
            yield
            if self._now() >= until:
                return
            self._wait(LOOK_EVERY)

    def _expect(self, done: Done) -> Done:
        if done.status:
            lines = [line for line in done.said.strip().splitlines() if "hint:" not in line]
            said = lines[-1].removeprefix("lamppost-agent: error: ") if lines else words("failed.silent")
            raise TransportError(words("failed.camera", camera=self._transport.name, said=said))
        return done


def plan(order: WorkOrder, transport: str, *, carry: bool) -> list[tuple[str, str]]:
    """Return what provisioning would do, for people and programs, without reaching the camera."""
    claim = order.claimed()
    end = f"{claim.expires_at:%Y-%m-%d %H:%M}"
    return [
        (Step.REACH.value, transport),
        (
            Step.ORDER.value,
            words("plan.order", claim=claim.id, camera=claim.camera_id, end=end)
            if order.done_at is None
            else words("plan.order_done", at=f"{order.done_at:%Y-%m-%d %H:%M}"),
        ),
        (Step.ENROL.value, words("plan.enrol_by_file") if carry else words("plan.enrol_at", service=claim.enrol)),
        (Step.FORGET.value, words("plan.forget")),
        (Step.SELFTEST.value, words("plan.selftest")),
        (Step.RECORD.value, words("plan.record", camera=claim.camera_id)),
        (Step.REPORT.value, words("plan.report", broker=claim.broker)),
    ]


def _hint_of(findings: list[dict[str, Any]]) -> str | None:
    return next((one["hint"] for one in findings if not one["passed"] and one["hint"]), None)


def _told_of(status: RecorderStatus) -> str:
    if status.state is RecordingState.DARK:
        return words("told.record_dark", camera=status.camera_id)
    return words("told.record", camera=status.camera_id, state=status.state.value)
