"""A camera at the end of a cable, in this process: its enrolment is real, its recorder and link say what they must."""

import json
from collections.abc import Sequence
from pathlib import Path

from agent.adapters.clock import SystemClock
from agent.adapters.diagnosis import diagnose
from agent.adapters.identity import identify, take_name
from agent.adapters.retirement import forget_link, forget_recorder
from agent.config import Config
from agent.core.enrolment.exchange import Answer, Order
from agent.core.enrolment.signs import Stage
from agent.core.status import DecisionStatus, RecorderStatus, RecordingState, StorageState, StorageStatus
from agent.errors import LamppostError
from agent.link.enrol import Enrolment
from provisioning.enrolment.transport import Done, Half

FINDINGS = [
    {"part": "camera", "passed": True, "found": "1280x720", "hint": None},
    {"part": "policy", "passed": False, "found": "none", "hint": "it comes with the link"},
]


class CabledCamera:
    """Implements `Transport`.

    Attributes:
        config: The camera's.
        running: Which halves run.
        policy: Digest of the policy it has heard; empty for none.
        granted: Whether that policy lets it record.
        findings: What its self-test finds.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.running: set[Half] = set()
        self.policy = "5" * 64
        self.granted = True
        self.findings = FINDINGS

    @property
    def name(self) -> str:
        return "the camera"

    def agent(self, half: Half, words: Sequence[str], *, given: bytes = b"") -> Done:
        try:
            return self._answer(list(words), given)
        except LamppostError as error:
            return Done(status=error.exit_status, out=b"", said=f"lamppost-agent: error: {error}\n")

    def restart(self, half: Half) -> None:
        self.running.add(half)

    def stop(self, half: Half) -> None:
        self.running.discard(half)

    def runs(self, half: Half) -> bool:
        return half in self.running

    def journal(self) -> str:
        return "recorder: it began\n"

    def _answer(self, words: list[str], given: bytes) -> Done:  # noqa: PLR0911 - one line a command
        match words:
            case ["enrol", "--take-order"]:
                self._enrolment().take(Order.from_bytes(given))
            case ["enrol", "--carry-out"]:
                return Done(status=0, out=self._enrolment().to_carry(), said="")
            case ["enrol", "--carry-in"]:
                self._enrolment().carried_back(Answer.from_bytes(given))
            case ["enrol", how]:
                standing = self._enrolment().step() if how == "--once" else self._enrolment().standing()
                status = 0 if standing.stage is Stage.ENROLLED else 75
                return Done(status=status, out=standing.to_json().encode(), said="")
            case ["diagnose"]:
                return Done(status=0, out=json.dumps(diagnose(self.config)).encode(), said="")
            case ["retire", "--half", "link"]:
                return Done(status=0, out=json.dumps(forget_link(self.config)).encode(), said="")
            case ["retire", "--half", "recorder"]:
                return Done(status=0, out=json.dumps(forget_recorder(self.config)).encode(), said="")
            case ["selftest", "--json"]:
                assert take_name(self.config)
                return Done(status=1, out=json.dumps(self.findings).encode(), said="")
            case ["status", "--json"]:
                return Done(status=0, out=self._status().to_json().encode(), said="")
        return Done(status=0, out=b"", said="")

    def _enrolment(self) -> Enrolment:
        return Enrolment(self.config, board=None, clock=SystemClock())

    def _status(self) -> RecorderStatus:
        take_name(self.config)
        named = identify(self.config, self.config.state.folder) or self.config
        now = SystemClock().now()
        heard = self.policy if Half.LINK in self.running else ""
        return RecorderStatus(
            camera_id=named.camera.id,
            state=RecordingState.RECORDING if heard and self.granted else RecordingState.DARK,
            decision=DecisionStatus(
                reason="records" if heard and self.granted else "nothing is granted", policy_digest=heard
            ),
            storage=StorageStatus(state=StorageState.OK),
            software_version="test",
            started_at=now,
            updated_at=now,
        )


def all_bytes(folder: Path) -> bytes:
    """Return everything that lies in a folder, names too."""
    found = (path for path in sorted(folder.rglob("*")))
    return b"\n".join(path.name.encode() + b"\n" + (path.read_bytes() if path.is_file() else b"") for path in found)
