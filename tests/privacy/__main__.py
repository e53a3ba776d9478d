"""`make privacy`: how much of people can be seen in what the recorder stores.

Plays streets and films through the whole recorder, opens and decodes what it stored, start-up
included, and compares with what was there. The worst frames are left as pictures.

python -m tests.privacy [--json FILE] [--only busy,empty] [--seconds 30] [--pictures DIR] [--pairs DIR]
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from agent.core.policy.decision import PeopleMode
from agent.core.video import I420, FrameSize, RawFrame
from tests.privacy.corpus import Film, films
from tests.privacy.playing import MODELS, play
from tests.privacy.scoring import Score, masked_pixels

TARGETS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "person pixels left": ("<= 0.0005", lambda value: value <= 0.0005),
    "worst second": ("<= 0.01", lambda value: value <= 0.01),
    "persons masked": (">= 0.995", lambda value: value >= 0.995),
    "heads masked": (">= 0.998", lambda value: value >= 0.998),
    "bare events": ("0", lambda value: value == 0),
    "plates masked": (">= 0.97", lambda value: value >= 0.97),
    "falsely masked": ("<= 0.20, empty <= 0.02", lambda value: value <= 0.20),
}
WORST_PICTURES = 3
PAIR_WIDTH_PX = 1000
EMPTY_FALSELY_MASKED = 0.02


def main() -> None:
    """Play, score, tell; exit with 0 whatever came out: the table is for people to judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--only", default="", help="names of films, such as busy,empty")
    parser.add_argument("--seconds", type=float, default=30, help="how much of each film")
    parser.add_argument("--size", default="1280x720", help="of the simulated street")
    parser.add_argument("--people", type=PeopleMode, default=PeopleMode.SCENE, help="scene or people")
    parser.add_argument("--no-reference", action="store_true", help="as if no view had been commissioned")
    parser.add_argument("--pictures", type=Path, help="leave the worst frames here")
    parser.add_argument(
        "--pairs", type=Path, help="leave the last frame of each film here: as it was, beside as it is stored"
    )
    arguments = parser.parse_args()
    console = Console(stderr=True)
    if not any(MODELS.glob("*.tflite")):
        console.print("no model here: `make models` fetches it; without one everything is hidden and nothing to score")
        sys.exit(69)
    width, height = arguments.size.split("x")
    wanted = set(filter(None, arguments.only.split(",")))
    rows = {}
    for film in films(FrameSize(int(width), int(height))):
        if wanted and film.name not in wanted:
            continue
        with console.status(f"playing {film.name}"):
            score = _score(
                film,
                arguments.seconds,
                arguments.people,
                arguments.pictures,
                arguments.pairs,
                known=not arguments.no_reference,
            )
        rows[film.name] = score.row()
        for event in score.bare_events:
            console.print(f"bare in {film.name}: {event}")
    console.print(_table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(_markdown(rows))


def _score(
    film: Film, seconds: float, people: PeopleMode, pictures: Path | None, pairs: Path | None, *, known: bool
) -> Score:
    frames = round(seconds * film.rate_hz)
    frames = frames if film.frames is None else min(frames, film.frames)
    reference = film.reference() if known else None
    last: list[np.ndarray] = []

    def witness(frame: RawFrame) -> None:
        last[:] = [_bgr(frame.pixels)] if pairs is not None else []

    played = play(film.camera, frames=frames, view=film.view, people=people, reference=reference, witness=witness)
    score = Score()
    number = -1
    for number, picture in enumerate(played.pictures):
        if pairs is not None and number + 1 == frames:
            _keep_pair(pairs / f"{film.name}.jpg", last[0], _bgr(picture))
        truth = film.truth(number)
        if truth is None:
            continue
        masked = masked_pixels(picture)
        whole = bool(masked.all())
        score.add(number, int(number / film.rate_hz), masked, truth.people, truth.plates, truth.elsewhere, whole=whole)
        if pictures is not None and score.worst[-1][0] > 0:
            _keep(pictures / film.name, score.worst[-1], picture.packed)
    if number + 1 != frames:
        sys.exit(f"{film.name}: {frames} frames were played and {number + 1} came out; nothing can be said")
    return score


def _keep_pair(path: Path, before: np.ndarray, after: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    both = np.hstack([before, np.full((before.shape[0], 8, 3), 255, np.uint8), after])
    cv2.imwrite(str(path), cv2.resize(both, (PAIR_WIDTH_PX, PAIR_WIDTH_PX * both.shape[0] // both.shape[1])))


def _bgr(pixels: I420) -> np.ndarray:
    height, width = pixels.y.shape
    packed = np.concatenate([pixels.y.ravel(), pixels.u.ravel(), pixels.v.ravel()]).reshape(height * 3 // 2, width)
    return np.asarray(cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _keep(folder: Path, worst: tuple[float, int], packed: np.ndarray | None) -> None:
    """Write a frame in which somebody can be seen, unless worse ones are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{worst[0]:.3f}-frame-{worst[1]:05d}.png"
    kept = sorted([*(path.name for path in folder.glob("*.png")), name], reverse=True)[:WORST_PICTURES]
    for path in folder.glob("*.png"):
        if path.name not in kept:
            path.unlink()
    if name in kept and packed is not None:
        cv2.imwrite(str(folder / name), cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420))


def _verdict(film: str, metric: str, value: float) -> str:
    if metric not in TARGETS:
        return ""
    met = value <= EMPTY_FALSELY_MASKED if (film, metric) == ("empty", "falsely masked") else TARGETS[metric][1](value)
    return "" if met else "!"


def _cell(film: str, metric: str, value: float) -> str:
    shown = str(value) if isinstance(value, int) else f"{value:.4f}"
    return shown + _verdict(film, metric, value)


def _metrics(rows: dict[str, dict[str, float | int]]) -> list[str]:
    return list(next(iter(rows.values()))) if rows else []


def _table(rows: dict[str, dict[str, float | int]]) -> Table:
    shown = Table("", "target", *rows, box=None)
    for metric in _metrics(rows):
        shown.add_row(
            metric,
            TARGETS.get(metric, ("", None))[0],
            *(_cell(film, metric, row[metric]) for film, row in rows.items()),
        )
    return shown


def _markdown(rows: dict[str, dict[str, float | int]]) -> str:
    lines = [f"| | target | {' | '.join(rows)} |", "|---|---|" + "---|" * len(rows)]
    for metric in _metrics(rows):
        cells = [_cell(film, metric, row[metric]) for film, row in rows.items()]
        lines.append(f"| {metric} | {TARGETS.get(metric, ('', None))[0]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
