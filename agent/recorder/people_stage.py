"""The stage that hides people: the mask of `agent.core.masking.people`, fed by a detector the decision approves.

* The decision lists a detector: all is hidden but proved scene, in every degree. A detector that is
  missing, refused, dead or silent hides the whole frame.
* `scene` without one: the whole frame is hidden, for nothing proves that what stands still is no person.
* `people` without one: what moves or has moved is hidden. **Who stands still from the start is not.**

`heads` hides as much as `people`: nothing here finds heads reliably enough to hide less.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from agent.core.masking.blocks import BlockMask
from agent.core.masking.people import NotSafeError, PeopleMask
from agent.core.masking.release import RELEASE, UNAIDED
from agent.core.policy.decision import ApprovedModel, Decision, PeopleMode
from agent.core.video import RawFrame
from agent.errors import ModelRefusedError
from agent.ports import Detector

_log = logging.getLogger(__name__)

Models = tuple[ApprovedModel, ...]
RETRY_EVERY_US = timedelta(seconds=60) // timedelta(microseconds=1)


class PeopleStage:
    """Says which blocks of a frame may hide a person; a `Stage`.

    Args:
        open_detector: Starts a detector that is on a list; raises ModelRefusedError.
        on_refusal: Told once for each list of which no detector could be started.
    """

    def __init__(
        self,
        open_detector: Callable[[Models], Detector],
        on_refusal: Callable[[ModelRefusedError, RawFrame], None] = lambda _error, _frame: None,
    ) -> None:
        self._open = open_detector
        self._on_refusal = on_refusal
        self._models: Models | None = None  # the list that everything below belongs to
        self._unaided = False
        self._detector: Detector | None = None
        self._refusal: ModelRefusedError | None = None
        self._retry_at_us = 0
        self._mask = PeopleMask()

    def __call__(self, frame: RawFrame, decision: Decision) -> BlockMask:
        """Return what to hide of a frame.

        Raises:
            NotSafeError: All of it.
            AnalysisMismatchError: Likewise; the analysis plane is not of this frame.
        """
        if frame.analysis is None:
            raise NotSafeError("the camera gives no analysis plane")
        self._follow(frame, decision)
        if self._detector is not None:
            self._detector.offer(frame)
            for look in self._detector.looks():
                self._mask.seen(look)
        elif not self._unaided:
            raise NotSafeError(str(self._refusal))
        return self._mask.hide(frame.pixels, frame.analysis, frame.pts_us)

    def close(self) -> None:
        """Stop the detector."""
        if self._detector is not None:
            self._detector.close()
        self._detector = None
        self._models = None

    def _follow(self, frame: RawFrame, decision: Decision) -> None:
        """Have the detector that the decision lists; what was learned under another list counts for nothing."""
        unaided = not decision.models and decision.people in {PeopleMode.PEOPLE, PeopleMode.HEADS}
        if decision.models != self._models or unaided != self._unaided:
            self.close()
            self._models, self._unaided = decision.models, unaided
            self._refusal = None
            self._mask = PeopleMask(UNAIDED if unaided else RELEASE)
            self._retry_at_us = frame.pts_us
        if self._detector is None and not unaided and frame.pts_us >= self._retry_at_us:
            self._try_to_open(frame, decision.models)

    def _try_to_open(self, frame: RawFrame, models: Models) -> None:
        self._retry_at_us = frame.pts_us + RETRY_EVERY_US
        try:
            self._detector = self._open(models)
        except ModelRefusedError as error:
            if self._refusal is None:
                _log.error("people: %s", error)
                self._on_refusal(error, frame)
            self._refusal = error
