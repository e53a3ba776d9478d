"""Bring bundles to the recorder as they came, and its verdicts back.

The link does not open a bundle: it could believe nothing of what it found. It looks
at its length, because what is too long need not reach the disk.
"""

import hashlib
import json
import logging
from pathlib import Path

from pydantic import JsonValue

from agent.adapters.inbox import PolicyInbox, read_verdict
from agent.core.bundle_size import MAX_BUNDLE_BYTES
from agent.core.messages.policy import BundleReceipt, Reported
from agent.core.topics import Leaf
from agent.errors import StorageError
from agent.ports import Clock

_log = logging.getLogger(__name__)


class PolicyRelay:
    """The way of policy through the link. For one thread; outlives sessions."""

    def __init__(self, camera_id: str, inbox: PolicyInbox, outbox: Path, clock: Clock) -> None:
        self._camera_id = camera_id
        self._inbox = inbox
        self._outbox = outbox
        self._clock = clock
        self._receipts: dict[Leaf, BundleReceipt] = {}
        self._verdict_bytes = b""
        self._verdict: dict[str, JsonValue] | None = None
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why a bundle could not be handed over, or a verdict not be read; or nothing."""
        return self._problem

    def bring(self, leaf: Leaf, bundle: bytes) -> None:
        """Take over what came on `down/desired` or `down/revoke`."""
        if not bundle:  # somebody cleared what was retained
            return
        refused = ""
        if len(bundle) > MAX_BUNDLE_BYTES:
            refused = f"a bundle of {len(bundle)} bytes, expected at most {MAX_BUNDLE_BYTES}"
            _log.warning("%s: %s", leaf.value, refused)
        else:
            self._inbox.bring(bundle, revoking=leaf is Leaf.REVOKE)
        self._receipts[leaf] = BundleReceipt(
            digest=hashlib.sha256(bundle).hexdigest(),
            size_bytes=len(bundle),
            received_at=self._clock.now(),
            refused=refused,
        )
        self.settle()

    def settle(self) -> None:
        """Hand over what waits, and read what the recorder said."""
        try:
            self._inbox.settle()
            raw = read_verdict(self._outbox)
        except StorageError as error:
            if str(error) != self._problem:
                _log.error("%s", error)
            self._problem = str(error)
            return
        self._problem = ""
        if raw != self._verdict_bytes:
            self._verdict_bytes = raw
            self._verdict = _parse(raw)

    def reported(self, policy_digest: str) -> Reported:
        """Return what is to be told now."""
        return Reported(
            camera_id=self._camera_id,
            at=self._clock.now(),
            desired=self._receipts.get(Leaf.DESIRED),
            revoke=self._receipts.get(Leaf.REVOKE),
            verdict=self._verdict,
            policy_digest=policy_digest,
        )


def _parse(raw: bytes) -> dict[str, JsonValue] | None:
    try:
        value = json.loads(raw) if raw else None
    except ValueError:
        value = None
    return value if isinstance(value, dict) else None
