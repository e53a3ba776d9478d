"""What a technician leaves behind at the end of a window: proposals and one record, as files, signed."""

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.core.messages.aiming import AimingUpdate
from agent.core.policy.words import write_instant
from agent.core.video import FrameSize
from agent.errors import CommissioningFormatError, DocumentFormatError, SignatureError
from provisioning.authority import files
from provisioning.authority.keys import OfficialKey
from provisioning.commissioning.camera_side import Seen
from provisioning.commissioning.proposal import Difference, Proposal, make_proposal, parse_proposal, view_of
from provisioning.commissioning.record import Check, CommissioningRecord, checks_of, measured, zones_digest
from provisioning.commissioning.signed import MAX_BYTES
from provisioning.commissioning.street import NOTHING_MEASURED, MeasuredStreet
from provisioning.words import words

# What a page may state of a proposal; the rest is the camera's to say, or the clock's.
_DRAWN = ("zones", "no_zones_statement", "lines", "mounting", "comment")


class Bench:
    """Saves what is drawn and found. `propose` and `finish` raise CommissioningFormatError and StorageError.

    Attributes:
        written: What was saved, in order.
        record: What was signed at the end; None before.

    Args:
        folder: Where to.
        key: The technician's.
        opened_at: When the window was asked for.
        now: The wall clock.
        street: What was measured on the street, for each proposal.
    """

    def __init__(
        self,
        folder: Path,
        key: OfficialKey,
        opened_at: datetime,
        now: Callable[[], datetime],
        street: MeasuredStreet = NOTHING_MEASURED,
    ) -> None:
        self._folder = folder
        self._key = key
        self._opened_at = opened_at
        self._now = now
        self._street = street.model_dump(mode="json")
        self._proposal: Proposal | None = None
        self._resumed: Path | None = None
        self.written: list[Path] = []
        self.record: CommissioningRecord | None = None

    def resume(self, update: AimingUpdate) -> None:
        """Go on from the proposal that this technician saved last, if the laptop died before the record was signed.

        It counts only for this camera, over a picture of this shape, and under the documents of then. What cannot
        be read is passed over: it is what drawing begins with, and nothing more.

        Raises:
            StorageError: The folder cannot be read.
        """
        ours = re.compile(rf"{re.escape(update.camera_id)}-\d{{8}}T\d{{6}}Z\.(proposal|record)\.json")
        saved = sorted(path for path in self._folder.glob("*.json") if ours.fullmatch(path.name))
        if not saved or not saved[-1].name.endswith(".proposal.json"):  # none, or a record was signed after it
            return
        with contextlib.suppress(CommissioningFormatError, DocumentFormatError, SignatureError):
            proposal, signed = parse_proposal(files.read_capped(saved[-1], max_bytes=MAX_BYTES))
            signed.by(self._key.card)
            now = (update.camera_id, update.width_px, update.height_px, update.rotation_degrees, update.policy_digest)
            size = (proposal.width_px, proposal.height_px)
            then = (proposal.camera, *size, proposal.view.rotation_degrees, proposal.policy_digest)
            if then == now:
                self._proposal, self._resumed = proposal, saved[-1]

    def resumed(self) -> dict[str, Any] | None:
        """Return what drawing goes on from, and the file it is in; None if it begins anew."""
        if self._proposal is None or self._resumed is None:
            return None
        stated = self._proposal.stated()
        return {"file": self._resumed.name, **{name: stated[name] for name in _DRAWN}}

    def propose(self, seen: Seen, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Save what was drawn over the picture of now; return what would change."""
        update = seen.update
        if not update.width_px:
            raise CommissioningFormatError(words("commission.no_picture"))
        now = self._now()
        size = FrameSize(update.width_px, update.height_px)
        view = view_of(size, update.rotation_degrees)
        proposal = make_proposal(
            {
                **_only(stated, _DRAWN),
                "street": self._street,
                "camera": update.camera_id,
                "drawn_at": write_instant(now),
                "width_px": update.width_px,
                "height_px": update.height_px,
                "view": view.model_dump(mode="json"),
                "policy_digest": update.policy_digest,
            }
        )
        path = self._name(update.camera_id, now, "proposal")
        files.write_whole(path, proposal.sign(self._key).dump())
        self._proposal = proposal
        self._note(path)
        difference = Difference.between(seen.hidden_now(), proposal.grid())
        return {
            "file": path.name,
            "digest": proposal.digest,
            "blocks": difference.blocks,
            "hidden": difference.hidden,
            "added": difference.added,
            "uncovered": difference.uncovered,
            "narrows_only": difference.narrows_only,
            "counting": proposal.counting_toml(),
        }

    def finish(self, seen: Seen, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Sign and save the record; return which checks passed."""
        update, now = seen.update, self._now()
        found = measured(self._proposal, update)
        remark = _only(stated, ("remark",)).get("remark")
        record = {
            "camera": update.camera_id,
            "opened_at": write_instant(self._opened_at),
            "done_at": write_instant(now),
            "window": update.window,
            "software": update.software,
            "width_px": update.width_px,
            "height_px": update.height_px,
            "policy_digest": update.policy_digest,
            "zones_sha256": zones_digest(update),
            "proposal_sha256": "" if self._proposal is None else self._proposal.digest,
            "reference_sha256": update.reference.digest,
            "highest_px_per_m": None if found is None else round(found.highest_px_per_m),
            "checks": [check.model_dump(mode="json") for check in self._checks(seen)],
            "remark": remark,
        }
        made = CommissioningRecord.model_validate_json(json.dumps(record))
        path = self._name(update.camera_id, now, "record")
        files.write_whole(path, made.sign(self._key).dump())
        self._note(path)
        self.record = made
        return {"file": path.name, "complete": made.complete, **self.preview(seen)}

    def preview(self, seen: Seen) -> dict[str, Any]:
        """Return what the record would say of the picture of now."""
        return {"checks": [check.model_dump(mode="json") for check in self._checks(seen)]}

    def _checks(self, seen: Seen) -> tuple[Check, ...]:
        return checks_of(seen.update, seen.hidden_now(), self._proposal)

    def _name(self, camera: str, now: datetime, kind: str) -> Path:
        return self._folder / f"{camera}-{now:%Y%m%dT%H%M%SZ}.{kind}.json"

    def _note(self, path: Path) -> None:
        if path not in self.written:
            self.written.append(path)


def _only(stated: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields that a page may state.

    Raises:
        CommissioningFormatError: It states another.
    """
    if unknown := sorted(set(stated) - set(names)):
        raise CommissioningFormatError(f"unknown: {', '.join(map(repr, unknown))[:200]}")
    return {name: stated.get(name) for name in names}
