"""Carry out commands and reply: `agent.core.link_commands` decides whether, this does it.

Each command is one method. What takes long (an upload) is accepted here and goes on by
itself; its end is collected with `collect`. Nothing here shows a picture, opens footage or
changes policy.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.adapters.board import Board
from agent.adapters.credential import DeviceCredential
from agent.adapters.footage_files import FootageFiles
from agent.adapters.link_store import LinkStore
from agent.core.link_commands import Accepted, Asked, Refused, judge
from agent.core.messages.commands import (
    MAX_LISTED,
    CommandName,
    CredentialRenewArgs,
    CredentialRenewResult,
    DiagnosticsResult,
    FootageListArgs,
    FootageListResult,
    FootageUploadArgs,
    ListedSegment,
    LogSendArgs,
    LogSendResult,
    Outcome,
    PingResult,
    Refusal,
    Reply,
    SelftestFinding,
    SelftestResult,
)
from agent.core.messages.wire import Part
from agent.core.policy.clock import ClockQuality, ClockState
from agent.core.topics import COMMAND_NAME, DELIVERY, Leaf, topic
from agent.errors import LamppostError, MessageFormatError, UploadRefusedError
from agent.link.delivery import LogDelivery
from agent.link.recent import RecentLines
from agent.link.snapshots import Snapshots
from agent.link.upload import Uploads
from agent.ports import Clock, Outgoing, Received

MOST_REPLIES = 64  # waiting to be sent; a broker that floods us loses the oldest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What commands can reach.

    Attributes:
        footage: Sealed segments, by name.
        uploads: Takes them away.
        snapshots: Asks the recorder for a picture.
        credential: The device credential.
        board: The machine.
        delivery: The log on its way.
        selftest: Finds out what the link can know about the camera.
        reboot: Restarts the machine.
        clock_quality: How far this camera's time can be believed.
        recent: The last lines of the diagnostic log.
        settings: The configuration, for people.
        versions: What the software stands on.
    """

    footage: FootageFiles
    uploads: Uploads
    snapshots: Snapshots
    credential: DeviceCredential
    board: Board
    delivery: LogDelivery
    selftest: Callable[[], tuple[SelftestFinding, ...]]
    reboot: Callable[[], None]
    clock_quality: Callable[[], ClockQuality]
    recent: RecentLines
    settings: Mapping[str, str]
    versions: Mapping[str, str]


class _NotHereError(Exception):
    """This camera does not do what was asked."""

    def __init__(self, refusal: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.refusal = refusal


class _AnsweredLater(Part):
    """The one reply there is comes from `collect`."""


class Commands:
    """One camera's commands. For one thread; outlives sessions."""

    def __init__(
        self,
        camera_id: str,
        reach: Reach,
        store: LinkStore,
        clock: Clock,
        operator_keys: tuple[Ed25519PublicKey, ...],
    ) -> None:
        self._camera_id = camera_id
        self._reach = reach
        self._store = store
        self._clock = clock
        self._operator_keys = operator_keys
        self._replies: deque[Outgoing] = deque(maxlen=MOST_REPLIES)
        self._correlation = b""  # of the command being carried out
        self._reboot_due = False
        self.change_over = False  # a new certificate waits for a new connection

    def asked(self, received: Received, name: str) -> None:
        """Judge what came on a command topic, carry it out if it may be, and have the reply ready."""
        clock = ClockState(now=self._clock.now(), quality=self._reach.clock_quality())
        verdict = judge(
            Asked(name=name, payload=received.payload, retained=received.retained),
            camera_id=self._camera_id,
            clock=clock,
            seen=self._store.seen,
            operator_keys=self._operator_keys,
        )
        self._correlation = received.correlation
        if isinstance(verdict, Refused):
            _log.warning("refused %s: %s: %s", name[:41], verdict.refusal.value, verdict.reason)
            self._refuse(name, verdict)
            return
        _log.info("command %s %s", name, verdict.command.id)
        try:
            self._store.remember(verdict.command, clock.now)
            result = self._carry_out(verdict)
        except _NotHereError as error:
            _log.warning("refused %s: %s: %s", name, error.refusal.value, error)
            self._refuse(name, Refused(refusal=error.refusal, reason=str(error), command_id=verdict.command.id))
        except LamppostError as error:
            _log.warning("%s failed: %s", name, error)
            self._reply(name, verdict.command.id, Outcome.FAILED, reason=str(error))
        else:
            if isinstance(result, _AnsweredLater):
                return
            if result is None:
                self._reply(name, verdict.command.id, Outcome.ACCEPTED)
            else:
                self._reply(name, verdict.command.id, Outcome.DONE, result=result)

    def collect(self) -> None:
        """Have replies ready for what has ended meanwhile."""
        while (ended := self._reach.uploads.ended()) is not None:
            self._correlation = ended.correlation
            self._reply(
                CommandName.FOOTAGE_UPLOAD, ended.command_id, ended.outcome, reason=ended.reason, result=ended.result
            )
        if (developed := self._reach.snapshots.ended()) is not None:
            self._correlation, answer = developed.correlation, developed.answer
            self._reply(
                CommandName.SNAPSHOT,
                answer.id,
                answer.outcome,
                reason=answer.reason,
                refusal=answer.refusal,
                result=answer.result,
            )

    def next_reply(self) -> Outgoing | None:
        """Return the next reply to send, or None."""
        return self._replies.popleft() if self._replies else None

    def reboot_if_due(self) -> None:
        """Reboot if that was asked for, now that the reply is on its way."""
        if self._reboot_due:
            self._reboot_due = False
            try:
                self._reach.reboot()
            except LamppostError as error:
                _log.error("%s", error)

    def _carry_out(self, accepted: Accepted) -> Part | None:
        """Return the result, or None for what goes on by itself."""
        match accepted.args:
            case FootageListArgs() as args:
                return self._list(args)
            case FootageUploadArgs() as args:
                self._upload(accepted.command.id, args)
                return None
            case LogSendArgs() as args:
                first, end = self._reach.delivery.request(args.first, args.end)
                return LogSendResult(first=first, end=end)
            case CredentialRenewArgs() as args:
                return self._renew(args)
            case _ if accepted.name is CommandName.SNAPSHOT:
                self._snapshot(accepted.command.id)
                return _AnsweredLater()
            case _:
                return self._simple(accepted.name)

    def _simple(self, name: CommandName) -> Part | None:
        match name:
            case CommandName.PING:
                return PingResult(uptime_s=self._reach.board.uptime_s() or 0)
            case CommandName.SELFTEST:
                findings = tuple(sorted(self._reach.selftest(), key=lambda finding: finding.passed))
                return SelftestResult(passed=all(finding.passed for finding in findings), findings=findings)
            case CommandName.SNAPSHOT:
                # Only the recorder meets pictures, and this one cannot be asked for a single one.
                raise _NotHereError(Refusal.UNSUPPORTED, "not supported by this recorder")
            case CommandName.REBOOT:
                self._reboot_due = True
                return None
            case CommandName.DIAGNOSTICS:
                return self._diagnostics()
            case _:
                raise AssertionError(name)  # its arguments have a class of their own: see `_carry_out`

    def _list(self, args: FootageListArgs) -> FootageListResult:
        listed: list[ListedSegment] = []
        passed = args.after is None
        for sealed in self._reach.footage.between(args.start, args.end):
            if not passed:
                passed = sealed.name.file == args.after
                continue
            if len(listed) == MAX_LISTED:
                return FootageListResult(segments=tuple(listed), more=True)
            listed.append(
                ListedSegment(
                    file=sealed.name.file,
                    started_at=sealed.name.started_at,
                    layer=sealed.name.layer.value,
                    size_bytes=sealed.size_bytes,
                    truncated=sealed.name.truncated,
                )
            )
        return FootageListResult(segments=tuple(listed))

    def _snapshot(self, command_id: str) -> None:
        if self._reach.snapshots.waiting:
            raise _NotHereError(Refusal.BUSY, "a picture is being taken already")
        self._reach.snapshots.ask(command_id, self._correlation)

    def _upload(self, command_id: str, args: FootageUploadArgs) -> None:
        try:
            self._reach.uploads.accept(command_id, self._correlation, args)
        except UploadRefusedError as error:
            raise _NotHereError(Refusal.NOT_CONFIGURED, str(error)) from error

    def _renew(self, args: CredentialRenewArgs) -> CredentialRenewResult:
        if args.chain is None:
            return CredentialRenewResult(request=self._reach.credential.request())
        expires_at = self._reach.credential.install(args.chain, now=self._clock.now())
        self.change_over = True
        return CredentialRenewResult(expires_at=expires_at)

    def _diagnostics(self) -> DiagnosticsResult:
        return DiagnosticsResult(
            board=self._reach.board.status(),
            versions=dict(self._reach.versions),
            memory_bytes=self._reach.board.memory_bytes(),
            threads=tuple(thread.name for thread in threading.enumerate())[:64],
            recent=self._reach.recent.lines,
            settings=dict(self._reach.settings),
        )

    def _refuse(self, name: str, refused: Refused) -> None:
        if not COMMAND_NAME.fullmatch(name):  # there is no topic to reply on
            return
        self._reply(name, refused.command_id, Outcome.REFUSED, reason=refused.reason, refusal=refused.refusal)

    def _reply(
        self,
        name: str,
        command_id: str,
        outcome: Outcome,
        *,
        reason: str = "",
        refusal: Refusal | None = None,
        result: Part | None = None,
    ) -> None:
        reply = Reply(
            camera_id=self._camera_id,
            name=name,
            command_id=command_id,
            at=self._clock.now(),
            outcome=outcome,
            refusal=refusal,
            reason=reason[:1024],
            result=None if result is None else result.model_dump(mode="json"),
        )
        try:
            payload = reply.to_bytes()
        except MessageFormatError as error:
            self._reply(name, command_id, Outcome.FAILED, reason=str(error))
            return
        kind = DELIVERY[Leaf.REPLY]
        self._replies.append(
            Outgoing(
                topic=topic(self._camera_id, Leaf.REPLY, name),
                payload=payload,
                retained=kind.retained,
                expiry_s=kind.expiry_s,
                correlation=self._correlation,
            )
        )
