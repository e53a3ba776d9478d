"""When a still region has become scene.

Nothing is scene because it is still: a person on a bench is still, and so is one
asleep. When a camera starts, nothing is. What stands still is released when this
holds of one appearance:

1. **Absence over time.** It has been there long enough, and the detector has looked at it often
   enough and found nobody. The age counts up while the appearance is there and down while
   something passes in front of it, so that passers-by do not start it anew. Each look that finds
   nothing adds one to the cell's *credit*, each that finds a person there takes `person_costs`
   away, down to `lowest_credit`: a person whom the net sees in one look out of nine is never
   released, however still.
2. **Texture.** How long and how often depends on what is known of the place:
   *agreeing* with the reference view of the commissioning (`agent.core.masking.texture`), `agreeing_us`;
   *unknown*, for there is no reference view, `unknown_us`;
   *disagreeing*, or come to stand before known scene (a parked car, a moved bin), or once taken for
   scene until the detector insisted, `later_us`.
3. **Bounded area.** Of what is released later, at most `later_ratio` of the picture within `later_us`, the
   longest there first. A mistake then shows little, and a truck takes its time.

Every release is told, with its area and its reason.

Without a detector there is no proof that a still region is no person. Then either nothing is released and so
nothing shown, or, where the officials asked for `people` and listed no net, `UNAIDED`
holds: what agrees with the reference view is shown, and what disagrees with it never, however
long. Without a reference view either, stillness alone proves, for half a minute: that hides
who moves or has moved, and does not hide who stood like a statue from the first frame on.

Proof can be withdrawn: a cell that looks like its scene and in which a person is
found again and again (`withdraw_credit`) is hidden, and begins anew.

Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

_SECOND_US = 1_000_000


class Reason(StrEnum):
    """Why a still region was released."""

    AGREES = "agrees-with-reference-view"
    UNKNOWN = "no-reference-view"
    LATER = "absence-over-minutes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A still region that has become scene.

    Attributes:
        pts_us: Of the frame with which it did.
        reason: Which of the rules.
        area_ratio: Share of the picture.
        centre: Of the region, (x, y) in 0..1.
        age_us: How long its youngest cell had been there.
    """

    pts_us: int
    reason: Reason
    area_ratio: float
    centre: tuple[float, float]
    age_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRule:
    """The numbers of the rule above.

    Attributes:
        agreeing_us: Age, microseconds, at which an appearance may become scene that has the reference's texture.
        agreeing_credit: Credit it needs then.
        unknown_us: Age at which it may where there is no reference view.
        unknown_credit: Credit it needs then.
        later_us: Age at which it may in every other case.
        later_credit: Credit it needs then.
        later_ratio: Share of the picture that may be released so within `later_us`.
        person_costs: Credit that one look takes that finds a person there.
        lowest_credit: How deep credit can fall.
        highest_credit: How high it can rise.
        needs_detector: Whether a silent detector hides the whole frame; if not, what disagrees is never released.
        withdraw_credit: Proved scene whose credit falls to this is no longer proved.
    """

    agreeing_us: int = 4 * _SECOND_US
    agreeing_credit: int = 6  # three seconds of looks: the first and the last need not agree by chance
    unknown_us: int = 10 * _SECOND_US  # hardly anybody is a statue for so long whom the net sees in no look
    unknown_credit: int = 16
    later_us: int = 180 * _SECOND_US  # nobody is kept waiting by a hidden bin
    later_credit: int = 60
    later_ratio: float = 0.05
    person_costs: int = 8
    lowest_credit: int = -64  # half a minute of looks that find nothing, after many that found a person
    highest_credit: int = 64
    withdraw_credit: int = -24
    needs_detector: bool = True


RELEASE = ReleaseRule()
UNAIDED = ReleaseRule(
    agreeing_us=5 * _SECOND_US,
    agreeing_credit=0,
    unknown_us=30 * _SECOND_US,
    unknown_credit=0,
    later_credit=0,
    needs_detector=False,
)
