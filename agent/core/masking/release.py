"""When a still region has become scene.

Nothing is scene because it is still: a person on a bench is still, and so is one
asleep. What stands still is released when all of this holds of the same appearance:

1. It has been there long enough: `at_start_us` where nothing was known of the cell,
   `later_us` where something came to stand before known scene (a parked car, a
   moved bin). The age counts up while the appearance is there and down while
   something passes in front of it, so that passers-by do not start it anew.
2. The detector has looked at it often enough and found nothing: each look that finds
   nothing adds one to the cell's *credit*, each that finds a person there takes
   `person_costs` away, down to `lowest_credit`. A person whom the net sees in one
   look out of nine is therefore never released, however still.

Without a detector there is no proof that a still region is no person. Then either
nothing is released and so nothing shown, or, where the officials asked for `people` and
listed no net, `UNAIDED` holds: stillness alone, which hides who moves or has moved
and does not hide who stood still from the first frame on.

Proof can be withdrawn: a cell that looks like its scene and in which a person is
found again and again (`withdraw_credit`) is hidden, and begins anew.

Pure.
"""

from dataclasses import dataclass

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRule:
    """The numbers of the rule above.

    Attributes:
        at_start_us: Age, microseconds, at which an appearance may become scene where none was known.
        at_start_credit: Credit it needs then.
        later_us: Age at which it may replace known scene.
        later_credit: Credit it needs then.
        person_costs: Credit that one look takes that finds a person there.
        lowest_credit: How deep credit can fall.
        highest_credit: How high it can rise.
        needs_detector: Whether a detector that is silent hides the whole frame.
        withdraw_credit: Proved scene whose credit falls to this is no longer proved.
    """

    at_start_us: int = 4 * _SECOND_US
    at_start_credit: int = 6  # three seconds of looks: the first and the last need not agree by chance
    later_us: int = 180 * _SECOND_US  # nobody is kept waiting by a hidden bin
    later_credit: int = 60
    person_costs: int = 8
    lowest_credit: int = -64  # half a minute of looks that find nothing, after many that found a person
    highest_credit: int = 64
    withdraw_credit: int = -24
    needs_detector: bool = True


RELEASE = ReleaseRule()
UNAIDED = ReleaseRule(at_start_us=5 * _SECOND_US, at_start_credit=0, later_credit=0, needs_detector=False)
