"""What a camera without a screen says: patterns of one lamp.

Chosen to be told apart from the foot of a pole, by eye, in sunlight: by rhythm and
never by brightness or colour. A pattern is a repeating row of (lit, dark) times.
Once enrolled, the same lamp says what the recorder does, with single flashes that are
short (systemd/libexec/led); so what enrolment shows is a group, or a long flash.
The table of the whole life is in provisioning/TECHNICIAN.md.

Pure: a state in, times out.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from itertools import accumulate

from agent.core.enrolment.exchange import CODE_DIGITS

DIGIT_LIT_MS, DIGIT_DARK_MS = 250, 250  # people count up to four flashes a second (and lose count above)
BETWEEN_DIGITS_MS, BETWEEN_CODES_MS = 1500, 4000
_ZERO_AS = 10


class Stage(Enum):
    """How far enrolment has got."""

    LOOKING = "looking"
    CLAIM_BAD = "claim-bad"
    CONNECTING = "connecting"
    PENDING = "pending"
    REFUSED = "refused"
    ENROLLED = "enrolled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A row of flashes that repeats.

    Attributes:
        flashes: (lit, dark) in milliseconds.
        meaning: What it says, for tables.
    """

    flashes: tuple[tuple[int, int], ...]
    meaning: str


PATTERNS = {
    Stage.LOOKING: Pattern(
        flashes=((700, 200), (100, 1000)), meaning="a long and a short flash, then a pause: waiting for a claim"
    ),
    Stage.CLAIM_BAD: Pattern(
        flashes=((100, 150), (100, 150), (100, 1500)), meaning="three short flashes: what it was shown is no use here"
    ),
    Stage.CONNECTING: Pattern(
        flashes=((700, 200), (100, 200), (100, 1000)),
        meaning="a long and two short flashes, then a pause: has a claim, asks the city",
    ),
    Stage.REFUSED: Pattern(flashes=((1500, 300),), meaning="long flashes: the city refused; another claim is needed"),
    Stage.ENROLLED: Pattern(flashes=((1000, 0),), meaning="lit: enrolled"),
}
ENROLLED_SEEN = timedelta(seconds=10)  # it stays lit as long; then the lamp is the recorder's
CODE_MEANING = "six groups of flashes, then a pause: a code to read off (ten flashes are a zero)"


def pattern_of(stage: Stage, code: str | None = None) -> Pattern:
    """Return what the lamp does in `stage`.

    Args:
        stage: How far enrolment has got.
        code: What is to be read off, of six digits, if it is pending.
    """
    if stage is not Stage.PENDING:
        return PATTERNS[stage]
    if code is None or len(code) != CODE_DIGITS or not code.isdecimal():
        raise ValueError(f"a pending camera shows a code of {CODE_DIGITS} digits")
    flashes: list[tuple[int, int]] = []
    for digit in code:
        flashes += [(DIGIT_LIT_MS, DIGIT_DARK_MS)] * (int(digit) or _ZERO_AS)
        flashes[-1] = (DIGIT_LIT_MS, BETWEEN_DIGITS_MS)
    flashes[-1] = (DIGIT_LIT_MS, BETWEEN_CODES_MS)
    return Pattern(flashes=tuple(flashes), meaning=CODE_MEANING)


def lit_at(pattern: Pattern, elapsed_ms: int) -> tuple[bool, int]:
    """Return whether the lamp is lit `elapsed_ms` after the pattern began, and for how many milliseconds from then."""
    spans = [span for flash in pattern.flashes for span in flash]  # lit and dark in turn
    left = elapsed_ms % sum(spans)
    ends = tuple(accumulate(spans))
    index = bisect_right(ends, left)
    return index % 2 == 0, ends[index] - left
