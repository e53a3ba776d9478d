"""How surely a moved or covered camera is told from night, weather and traffic: `python -m tests.privacy.drift`.

The simulated street is commissioned busy, as a technician would meet it, once by day and once by night. Then
each of four streets (empty, busy, night, rain) is changed in each of the ways below and compared, four frames
at a time, as the camera does it. A verdict other than "same" is an alarm. A table for people; `--json` for
programs; exit status 1 if a promise is missed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from agent.adapters.analysis import shrink
from agent.adapters.streetscene import Street, preset
from agent.core.masking.drift import AVERAGED, Commissioning, Comparer, View, reduced
from agent.core.video import FrameSize, Plane

SIZE = FrameSize(640, 360)  # the analysis plane is 320x180
WIDTH, HEIGHT = 320, 180
REFERENCES = ("busy", "night")
STREETS = ("empty", "busy", "night", "rain")
FRAMES = 20  # of each street, a second apart
SEED = 3

Change = Callable[[Plane, np.random.Generator], Plane]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One change to the view, over all comparisons of one street with one reference.

    Attributes:
        reference: The street that was commissioned.
        change: What was done.
        harmless: Whether it must not raise an alarm.
        street: Under which light and traffic.
        comparisons: How many.
        alarms: How many said that the view is not the same.
        agreement: The least and the most of the edges' agreement with the reference's.
    """

    reference: str
    change: str
    harmless: bool
    street: str
    comparisons: int
    alarms: int
    agreement: tuple[float, float]


def _noisy(picture: np.ndarray, rng: np.random.Generator) -> Plane:
    return np.clip(picture + rng.normal(0, 1.5, picture.shape), 0, 255).astype(np.uint8)


def _moved(across: float = 0.0, down: float = 0.0, degrees: float = 0.0) -> Change:
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, 1)
    turn[0, 2] += across * WIDTH
    turn[1, 2] += down * WIDTH
    return lambda luma, _rng: np.asarray(
        cv2.warpAffine(luma, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def _blurred(share_of_width: float) -> Change:
    return lambda luma, rng: _noisy(cv2.GaussianBlur(luma, (0, 0), share_of_width * WIDTH), rng)


def _bag(luma: Plane, rng: np.random.Generator) -> Plane:
    folds = cv2.resize(np.random.default_rng(1).uniform(12, 30, (6, 10)), (WIDTH, HEIGHT))
    return _noisy(folds, rng)


def _painted(least: float, most: float) -> Change:
    """Paint of so much cover, thinner and thicker in places."""
    cover = np.random.default_rng(5).uniform(least, most, (5, 8))
    alpha = np.clip(cv2.resize(cover, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), 0, 1)
    return lambda luma, rng: _noisy(luma * (1 - alpha) + alpha * 150, rng)


def _snow(luma: Plane, rng: np.random.Generator) -> Plane:
    lies = np.clip((np.arange(HEIGHT) - 60) / 40, 0, 1)[:, None] * 0.85
    white = luma * (1 - lies) + lies * 225
    flakes = cv2.dilate((rng.random(luma.shape) < 0.01).astype(np.uint8), np.ones((2, 2), np.uint8))
    white[flakes > 0] = 240
    return _noisy(white, rng)


def _headlights(luma: Plane, rng: np.random.Generator) -> Plane:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    lit = luma.astype(np.float64)
    for _ in range(2):
        at_x, at_y = rng.uniform(60, 260), rng.uniform(80, 140)
        lit += 400 * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * 25**2))
    return np.clip(lit, 0, 255).astype(np.uint8)


HARMLESS: dict[str, Change] = {
    "as it is": lambda luma, _rng: luma,
    "wind: 0.2 % aside": _moved(0.002),
    "dusk: a third of the light": lambda luma, rng: _noisy(luma * 0.35, rng),
    "glare: 1.7 times the light": lambda luma, _rng: np.clip(luma * 1.7, 0, 255).astype(np.uint8),
    "snow on the ground and falling": _snow,
    "fog: a third of the contrast": lambda luma, rng: _noisy(luma * 0.3 + 130, rng),
    "headlights into the lens": _headlights,
}
HARMFUL: dict[str, Change] = {
    "shift 1 % across": _moved(0.01),
    "shift 1 % down": _moved(0, 0.01),
    "shift 3 %": _moved(0.03),
    "shift 10 %": _moved(-0.07, 0.07),
    "rotation 2 degrees": _moved(degrees=2),
    "rotation -2 degrees": _moved(degrees=-2),
    "bag over it": _bag,
    "paint over 90 % and more": _painted(0.9, 1.3),
    "out of focus, 2 % of the width": _blurred(0.02),
}
NOT_PROMISED: dict[str, Change] = {
    "paint that lets a third through": _painted(0.6, 1.3),
    "out of focus, 1 % of the width": _blurred(0.01),
}


def measure() -> list[Row]:
    """Return a row for each change and street."""
    streets = {name: _frames(name) for name in STREETS}
    comparers = {name: _comparer(streets[name]) for name in REFERENCES}
    return [
        row
        for change, how in (HARMLESS | HARMFUL | NOT_PROMISED).items()
        for street, frames in streets.items()
        for row in _rows(comparers, change, how, street, frames)
    ]


def _comparer(frames: list[Plane]) -> Comparer:
    commissioning = Commissioning()
    for luma in frames:
        commissioning.add(luma)
    return Comparer(commissioning.finish())


def _frames(name: str) -> list[Plane]:
    street = Street(SIZE, preset(name, SEED), seed=SEED)
    return [shrink(street.draw(1.0 + n).y) for n in range(FRAMES)]


def _rows(comparers: dict[str, Comparer], change: str, how: Change, street: str, frames: list[Plane]) -> Iterator[Row]:
    rng = np.random.default_rng(SEED)
    small = [reduced(how(luma, rng)) for luma in frames]
    means = [np.stack(small[start : start + AVERAGED]).mean(axis=0) for start in range(0, FRAMES, AVERAGED)]
    for reference, comparer in comparers.items():
        found = [comparer.compare(mean) for mean in means]
        agreements = [each.agreement for each in found]
        yield Row(
            reference=reference,
            change=change,
            harmless=change in HARMLESS,
            street=street,
            comparisons=len(found),
            alarms=sum(each.view is not View.SAME for each in found),
            agreement=(round(min(agreements), 2), round(max(agreements), 2)),
        )


def table(rows: list[Row]) -> str:
    """Return the rows for people: one line a change, one column a street; both references together."""
    lines = ["| change to the view | " + " | ".join(STREETS) + " | alarms are |", "|---|" + "---|" * (len(STREETS) + 1)]
    for change in dict.fromkeys(row.change for row in rows):
        cells = [_share([row for row in rows if (row.change, row.street) == (change, street)]) for street in STREETS]
        meaning = "false" if change in HARMLESS else "right" if change in HARMFUL else "right, not promised"
        lines.append(f"| {change} | " + " | ".join(cells) + f" | {meaning} |")
    false = _share([row for row in rows if row.harmless])
    right = _share([row for row in rows if row.change in HARMFUL])
    return "\n".join([*lines, "", f"false alarms: {false}; found: {right}"])


def _share(rows: list[Row]) -> str:
    return f"{sum(row.alarms for row in rows)} of {sum(row.comparisons for row in rows)}"


def main() -> int:
    """Measure, print, and say whether every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.privacy.drift", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true")
    rows = measure()
    if parser.parse_args().json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    else:
        sys.stdout.write(table(rows) + "\n")
    kept = all(row.alarms == (0 if row.harmless else row.comparisons) for row in rows if row.change not in NOT_PROMISED)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
