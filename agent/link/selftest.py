"""What the link can know about the camera without being the recorder."""

from datetime import timedelta
from pathlib import Path

from agent.adapters.board import Board
from agent.adapters.credential import DeviceCredential
from agent.adapters.log_leaves import LogLeaves
from agent.adapters.status_file import StatusFile
from agent.core.messages.commands import SelftestFinding
from agent.core.policy.clock import ClockQuality
from agent.core.status import RecordingState, StorageState, is_stale
from agent.errors import StorageError
from agent.ports import Clock

RENEW_WITHIN = timedelta(days=5)  # certificates last 30 days and are renewed after 20
TOO_HOT_CELSIUS = 80.0  # a Raspberry Pi slows down from here on (Raspberry Pi documentation, thermal control)


class LinkSelftest:
    """Tries what the link stands on."""

    def __init__(
        self,
        status_file: StatusFile,
        leaves: LogLeaves,
        inbox: Path,
        credential: DeviceCredential,
        board: Board,
        clock: Clock,
    ) -> None:
        self._status_file = status_file
        self._leaves = leaves
        self._inbox = inbox
        self._credential = credential
        self._board = board
        self._clock = clock

    def __call__(self) -> tuple[SelftestFinding, ...]:
        """Return what was found."""
        return (*self._recorder(), self._log(), self._policy(), self._certificate(), self._time(), *self._machine())

    def _recorder(self) -> tuple[SelftestFinding, ...]:
        try:
            status = self._status_file.read()
        except StorageError as error:
            return (SelftestFinding(part="recorder", passed=False, found=str(error), hint=error.hint),)
        stale = is_stale(status, now=self._clock.now())
        return (
            SelftestFinding(
                part="recorder",
                passed=not stale and status.state is not RecordingState.FAILED,
                found="its status is old" if stale else f"{status.state.value}: {status.decision.reason}"[:1024],
            ),
            SelftestFinding(
                part="storage", passed=status.storage.state is StorageState.OK, found=status.storage.state.value
            ),
        )

    def _log(self) -> SelftestFinding:
        try:
            extent = self._leaves.extent()
        except StorageError as error:
            return SelftestFinding(part="log", passed=False, found=str(error))
        return SelftestFinding(part="log", passed=True, found=f"leaves {extent.oldest} to {extent.following}")

    def _policy(self) -> SelftestFinding:
        there = self._inbox.is_dir()
        return SelftestFinding(
            part="policy inbox", passed=there, found="there" if there else "missing: no policy can arrive"
        )

    def _certificate(self) -> SelftestFinding:
        expires_at = self._credential.expires_at()
        if expires_at is None:
            return SelftestFinding(part="certificate", passed=False, found="cannot be read")
        return SelftestFinding(
            part="certificate",
            passed=expires_at - self._clock.now() > RENEW_WITHIN,
            found=f"until {expires_at:%Y-%m-%d %H:%M UTC}",
        )

    def _time(self) -> SelftestFinding:
        quality = self._clock.quality()
        return SelftestFinding(
            part="clock",
            passed=quality is ClockQuality.SYNCHRONISED,
            found=f"{quality.value}, {self._clock.now():%Y-%m-%d %H:%M:%S UTC}",
        )

    def _machine(self) -> tuple[SelftestFinding, ...]:
        board = self._board.status()
        findings = []
        if board.temperature_celsius is not None:
            hot = board.temperature_celsius
            findings.append(SelftestFinding(part="temperature", passed=hot < TOO_HOT_CELSIUS, found=f"{hot:.0f} °C"))
        if board.under_voltage is not None:
            weak = board.under_voltage
            findings.append(SelftestFinding(part="supply", passed=not weak, found="too weak" if weak else "good"))
        if board.disk_read_only is not None:
            ok = not board.disk_read_only and not board.disk_error
            findings.append(
                SelftestFinding(part="disk", passed=ok, found=board.disk_error or ("writable" if ok else "read-only"))
            )
        return tuple(findings)
