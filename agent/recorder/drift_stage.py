"""The stage that hides everything while the camera does not look where its fixed zones were drawn.

* A reference, and zones: a view that is not the reference's hides the whole frame, from the first
  doubt on. When the doubt lasts it is logged, once; when the approved view is back, that is too.
* A reference and no zones: nothing that was promised is uncovered; it is logged all the same.
* A reference that is damaged or of another shape hides the whole frame where there are zones.
* No reference: nothing can be compared. It is said once, and hides nothing: the reference is made when
  the camera is commissioned.
"""

import logging
from collections.abc import Callable, Mapping

from agent.core.masking.blocks import BlockMask
from agent.core.masking.drift import (
    DRIFTED_AFTER_US,
    LIMITS,
    Change,
    Comparer,
    Comparison,
    Fingerprint,
    ViewWatch,
)
from agent.core.policy.decision import Decision
from agent.core.video import RawFrame
from agent.errors import FingerprintFormatError, OtherShapeError, StorageError
from agent.ports import Fact

_log = logging.getLogger(__name__)

_PERMILLE = 1000

Tell = Callable[[str, RawFrame, Mapping[str, Fact]], None]


class DriftedError(Exception):
    """Fixed zones may not cover what they were drawn for; the whole frame must be filled. The text says why."""


class DriftStage:
    """Compares the view with its reference; a `Stage` that never hides a part.

    Args:
        read_reference: Reads the fingerprint, or returns None if there is none.
        tell: Told of what belongs into the log: kind, frame, facts.
    """

    def __init__(self, read_reference: Callable[[], Fingerprint | None], tell: Tell) -> None:
        self._tell = tell
        self._watch: ViewWatch | None = None
        self._digest = ""
        self._fault = ""
        self._untold: tuple[str, dict[str, Fact]] | None = None
        try:
            fingerprint = read_reference()
        except (FingerprintFormatError, StorageError) as error:
            self._fault = str(error)
            self._untold = ("view-reference-damaged", {"reason": self._fault})
            _log.error("view: %s", error)
            return
        if fingerprint is None:
            _log.warning("view: there is no reference view; whether the camera was moved cannot be told")
            self._untold = ("view-without-reference", {})
            return
        self._digest = fingerprint.digest
        self._watch = ViewWatch(Comparer(fingerprint))

    def __call__(self, frame: RawFrame, decision: Decision) -> BlockMask | None:
        """Return None: what the other stages hide is enough.

        Raises:
            DriftedError: It is not, and all must be hidden.
        """
        if self._untold is not None:
            kind, facts = self._untold
            self._tell(kind, frame, facts)
            self._untold = None
        doubt = self._fault or self._doubt(frame)
        if doubt and decision.zones:
            raise DriftedError(doubt)
        return None

    def _doubt(self, frame: RawFrame) -> str:
        """Return why the view is not the approved one, or an empty text."""
        if self._watch is None:
            return ""
        if frame.analysis is None:
            return "the camera gives no analysis plane to compare its view by"
        try:
            change = self._watch.look(frame.analysis, frame.pts_us)
        except OtherShapeError as error:
            return str(error)
        latest = self._watch.latest
        if change is not None and latest is not None:
            _log.log(logging.ERROR if change is Change.DRIFTED else logging.INFO, "%s: %s", change, latest)
            self._tell(change, frame, {**_facts(latest), "reference": self._digest})
        if self._watch.trusted:
            return ""
        # In few words that stay the same from frame to frame: each new text is a new entry in the log.
        return "the view is not the one the zones were drawn over"


def _facts(found: Comparison) -> dict[str, Fact]:
    """Return what was measured and against which limits; thousandths, because the log knows no fractions."""
    across, down = found.shift
    measured = {
        "agreement_permille": found.agreement,
        "best_permille": found.best,
        "shift_across_permille": across,
        "shift_down_permille": down,
        "parts_moved_permille": found.tiles_moved,
        "sharpness_permille": found.sharpness,
        "lost_below_permille": LIMITS.lost_below,
        "moved_gain_permille": LIMITS.moved_gain,
        "parts_limit_permille": LIMITS.moved_tiles,
        "blurred_below_permille": LIMITS.blurred_below,
    }
    return {
        "found": found.view.value,
        "lasted_us": DRIFTED_AFTER_US,
        **{name: round(value * _PERMILLE) for name, value in measured.items()},
    }
