"""How often a claim is read: `python -m tests.tools.qr_table [--trials 100] [--json FILE]`.

One trial is three seconds before a camera: nine looks (three a second) at the same code,
each spoilt anew. It succeeds if any of them reads the claim, byte for byte, through the
function that the recorder uses. Rates are with their 95 % Wilson lower bound.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agent.adapters.qr import read_codes
from agent.core.enrolment.claim import Wifi
from tests.fakes.claims import Office, claim
from tests.tools.qr_scene import MODERATE, Spoiling, draw_code, spoil

LOOKS = 9
PROMISED_TIMES = 4  # as many trials where 99 % is promised: 400 without a failure bound it from below
SIZES = ((640, 480), (1280, 720))
CONDITIONS: dict[str, Spoiling] = {
    "half the height, moderate": MODERATE,
    "a third of the height": replace(MODERATE, height_ratio=0.34),
    "a quarter of the height": replace(MODERATE, height_ratio=0.25),
    "more blur": replace(MODERATE, blur_px=1.1),
    "much blur": replace(MODERATE, blur_px=1.6),
    "held aslant, 40 degrees": replace(MODERATE, tilt_degrees=40.0),
    "strong glare": replace(MODERATE, glare=200.0),
    "night, much noise": replace(MODERATE, noise=20.0),
    "all of it a little": Spoiling(height_ratio=0.45, tilt_degrees=30.0, blur_px=0.9, glare=120.0, noise=12.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often it worked.

    Attributes:
        trials: How often it was tried.
        read: How often a claim was read within three seconds.
        first: How often the very first look read it.
    """

    trials: int
    read: int
    first: int

    @property
    def lower(self) -> float:
        """Lower bound of the 95 % Wilson interval of `read`."""
        z2, share = 3.8416, self.read / self.trials
        middle = share + z2 / (2 * self.trials)
        spread = (z2 * (share * (1 - share) + z2 / (4 * self.trials)) / self.trials) ** 0.5
        return float((middle - spread) / (1 + z2 / self.trials))


def usual_claim() -> bytes:
    """Return a claim of the usual length: with a board and a network's name."""
    return Office().sign(claim(board="10000000abcdef01", wifi=Wifi(ssid="City-Street-5G")))


def measure(how: Spoiling, size: tuple[int, int], *, trials: int, seed: int, error: str = "L") -> Rate:
    """Try `trials` times to read a claim that is spoilt as said."""
    sealed = usual_claim()
    code = draw_code(sealed, error)
    chance = np.random.default_rng(seed)
    firsts = [_trial(sealed, code, how, size, chance) for _ in range(trials)]
    return Rate(trials=trials, read=sum(one is not None for one in firsts), first=sum(one == 0 for one in firsts))


def _trial(
    sealed: bytes, code: np.ndarray, how: Spoiling, size: tuple[int, int], chance: np.random.Generator
) -> int | None:
    for look in range(LOOKS):
        if sealed in read_codes(spoil(code, *size, how, chance)):
            return look
    return None


def rows(trials: int, error: str) -> Iterator[tuple[str, str, Rate]]:
    """Yield the table, row by row."""
    for number, (words, how) in enumerate(CONDITIONS.items()):
        for size in SIZES:
            times = trials * PROMISED_TIMES if how is MODERATE else trials
            yield words, f"{size[0]}x{size[1]}", measure(how, size, trials=times, seed=number, error=error)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--error", choices=["L", "M"], default="L")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="folder for one frame of each condition")
    arguments = parser.parse_args()
    if arguments.picture:
        _pictures(arguments.picture, arguments.error)
    sys.stdout.write("| | frame | read within 3 s | at least (95 %) | at the first look |\n|---|---|---|---|---|\n")
    found = []
    for words, size, rate in rows(arguments.trials, arguments.error):
        read, first = rate.read / rate.trials, rate.first / rate.trials
        sys.stdout.write(f"| {words} | {size} | {read:.1%} | {rate.lower:.1%} | {first:.0%} |\n")
        sys.stdout.flush()
        found.append({"condition": words, "frame": size, "trials": rate.trials, "read": rate.read, "first": rate.first})
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _pictures(folder: Path, error: str) -> None:
    import cv2  # noqa: PLC0415 - for pictures only

    folder.mkdir(parents=True, exist_ok=True)
    code = draw_code(usual_claim(), error)
    for number, (words, how) in enumerate(CONDITIONS.items()):
        for size in SIZES:
            frame = spoil(code, *size, how, np.random.default_rng(number))
            cv2.imwrite(str(folder / f"{number}-{size[1]}-{words.replace(' ', '-').replace(',', '')}.png"), frame)


if __name__ == "__main__":
    main()
