"""The stage that hides people: the mask of `agent.core.masking.people`, fed by a detector the decision approves.

* The decision lists a detector: all is hidden but proved scene, in every degree. A detector that is
  missing, refused, dead or silent hides the whole frame.
* `scene` without one: the whole frame is hidden, for nothing proves that what stands still is no person.
* `people` without one: what agrees with the commissioned view and stands still is shown. Without that view
  either, what has stood still for half a minute is. **Then who stands still from the start is not hidden.**

`heads` hides as much as `people`: nothing here finds heads reliably enough to hide less.

What was hidden because it stood there and is shown from now on goes into the log: reason, area, place.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from agent.core.masking.blocks import BlockMask
from agent.core.masking.drift import Fingerprint
from agent.core.masking.people import NotSafeError, PeopleMask
from agent.core.masking.release import RELEASE, UNAIDED, Reason, Release
from agent.core.masking.texture import Texture
from agent.core.policy.decision import ApprovedModel, Decision, PeopleMode
from agent.core.video import RawFrame
from agent.errors import FingerprintFormatError, ModelRefusedError, StorageError
from agent.ports import Detector, Fact

_log = logging.getLogger(__name__)

Models = tuple[ApprovedModel, ...]
Tell = Callable[[str, datetime, Mapping[str, Fact]], None]
RETRY_EVERY_US = timedelta(seconds=60) // timedelta(microseconds=1)
TELL_EVERY_US = timedelta(seconds=60) // timedelta(microseconds=1)
_PERMILLE = 1000


class PeopleStage:
    """Says which blocks of a frame may hide a person; a `Stage`.

    Args:
        open_detector: Starts a detector that is on a list; raises ModelRefusedError.
        on_refusal: Told once for each list of which no detector could be started.
        read_reference: Reads the reference view, or returns None if there is none.
        tell: Told of what belongs into the log: kind, instant, facts.
    """

    def __init__(
        self,
        open_detector: Callable[[Models], Detector],
        on_refusal: Callable[[ModelRefusedError, RawFrame], None] = lambda _error, _frame: None,
        *,
        read_reference: Callable[[], Fingerprint | None] = lambda: None,
        tell: Tell = lambda _kind, _at, _facts: None,
    ) -> None:
        self._open = open_detector
        self._on_refusal = on_refusal
        self._models: Models | None = None  # the list that everything below belongs to
        self._unaided = False
        self._detector: Detector | None = None
        self._refusal: ModelRefusedError | None = None
        self._retry_at_us = 0
        self._texture = _texture(read_reference)
        self._mask = PeopleMask(texture=self._texture)
        self._released = _Released(tell)

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
        try:
            return self._mask.hide(frame.pixels, frame.analysis, frame.pts_us)
        finally:
            self._released.add(self._mask.releases(), frame.pts_us, frame.captured_at)

    def close(self) -> None:
        """Stop the detector, and tell what was not told yet."""
        self._released.tell()
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
            self._mask = PeopleMask(UNAIDED if unaided else RELEASE, self._texture)
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


def _texture(read_reference: Callable[[], Fingerprint | None]) -> Texture | None:
    """Return the texture of the reference view; one that cannot be read is none, and the drift stage says so."""
    try:
        fingerprint = read_reference()
    except (FingerprintFormatError, StorageError):
        return None
    return None if fingerprint is None else Texture(fingerprint)


class _Released:
    """Gathers releases for a minute, for a street is released cell by cell, and tells them as one for each reason."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._waiting: list[Release] = []
        self._at: datetime | None = None  # of the latest; not the frame, which nobody may keep

    def add(self, releases: tuple[Release, ...], pts_us: int, at: datetime) -> None:
        self._waiting += releases
        if releases:
            self._at = at
        if self._waiting and not 0 <= pts_us - self._waiting[0].pts_us < TELL_EVERY_US:
            self.tell()

    def tell(self) -> None:
        if self._at is None:
            return
        for reason in Reason:
            of_it = [one for one in self._waiting if one.reason is reason]
            if of_it:
                self._tell("scene-released", self._at, _facts(of_it))
        self._waiting, self._at = [], None


def _facts(releases: list[Release]) -> dict[str, Fact]:
    largest = max(releases, key=lambda one: one.area_ratio)
    across, down = largest.centre
    return {
        "reason": largest.reason.value,
        "regions": len(releases),
        "area_permille": round(sum(one.area_ratio for one in releases) * _PERMILLE),
        "largest_permille": round(largest.area_ratio * _PERMILLE),
        "largest_across_permille": round(across * _PERMILLE),
        "largest_down_permille": round(down * _PERMILLE),
        "stood_for_s": min(one.age_us for one in releases) // 1_000_000,
    }
