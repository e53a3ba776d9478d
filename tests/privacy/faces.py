"""How many faces a face detector still finds in what the recorder stores of real people.

Plays films through the whole recorder, opens and decodes what it stored, and lets the same detector look at
the same frames before and after. The figures of the simulated street have no faces that it knows, so
these are the real clips, where they are at hand; none to be found in a clip says nothing, and is told.

python -m tests.privacy.faces [--only vtest.avi,classroom.gif] [--seconds 25] [--json FILE] [--pictures DIR]
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from agent.adapters.clock import SystemClock
from agent.adapters.videofile import VideoFileCamera
from agent.core.policy.decision import PeopleMode
from agent.core.video import I420, RawFrame
from agent.core.zones import View
from agent.ports import Camera
from tests.privacy.corpus import SHARED
from tests.privacy.face_finder import FaceFinder, Rgb, fetch
from tests.privacy.playing import MODELS, play
from tests.privacy.scoring import masked_pixels

CLIPS = {
    "vtest.avi": View(4, 3),
    "classroom.gif": View(16, 9),
    "face-demographics-walking.gif": View(16, 9),
    "head-pose-face-detection-female.gif": View(16, 9),
    "people-detection.gif": View(16, 9),
    "worker-zone-detection.gif": View(16, 9),
}
LOOK_EVERY = 10  # frames


@dataclass(slots=True, kw_only=True)
class Row:
    """One clip.

    Attributes:
        looked_at: Frames in which faces were looked for.
        shown: Of those, frames that were not hidden whole.
        before: Faces in the frames as the camera gave them.
        before_in_shown: Of those, in frames that were not hidden whole.
        after: Faces in what was stored.
    """

    looked_at: int = 0
    shown: int = 0
    before: int = 0
    before_in_shown: int = 0
    after: int = 0


def main() -> None:
    """Play, look, tell; exit status 1 if a face is found in what was stored."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names of clips")
    parser.add_argument("--seconds", type=float, default=25, help="how much of each; short clips are repeated")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--pictures", type=Path, help="leave frames here in which a face was found")
    arguments = parser.parse_args()
    if not any(MODELS.glob("*.tflite")):
        sys.exit("no model here: `make models` fetches it")
    finder = FaceFinder(fetch())
    wanted = set(filter(None, arguments.only.split(",")))
    rows = {
        name: _looked_at(name, view, arguments.seconds, finder, arguments.pictures)
        for name, view in CLIPS.items()
        if (SHARED / name).exists() and (not wanted or name in wanted)
    }
    sys.stdout.write(markdown(rows))
    if arguments.json:
        found = {name: asdict(row) for name, row in rows.items()}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    sys.exit(int(any(row.after for row in rows.values())))


def _looked_at(name: str, view: View, seconds: float, finder: FaceFinder, pictures: Path | None) -> Row:
    row = Row()
    before: list[int] = []
    seen = 0

    def witness(frame: RawFrame) -> None:
        nonlocal seen
        if seen % LOOK_EVERY == 0:
            before.append(len(finder.find(_rgb(frame.pixels))))
        seen += 1

    camera = _camera(name)
    played = play(camera, frames=round(seconds * _rate(camera)), view=view, people=PeopleMode.SCENE, witness=witness)
    for number, picture in enumerate(played.pictures):
        if number % LOOK_EVERY:
            continue
        faces = finder.find(_rgb(picture))
        shown = not masked_pixels(picture).all()
        row.looked_at += 1
        row.shown += shown
        row.before += before[number // LOOK_EVERY]
        row.before_in_shown += before[number // LOOK_EVERY] * shown
        row.after += len(faces)
        if faces and pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            marked = np.ascontiguousarray(_rgb(picture)[..., ::-1])
            for face in faces:
                corners = (round(face.left), round(face.top)), (round(face.right), round(face.bottom))
                cv2.rectangle(marked, *corners, (0, 0, 255), 1)
            cv2.imwrite(str(pictures / f"{name}-{number:05d}.png"), marked)
    return row


def _camera(name: str) -> Callable[[], Camera]:
    return lambda: VideoFileCamera(SHARED / name, SystemClock(), paced=False, loop=True)


def _rate(make: Callable[[], Camera]) -> Fraction:
    camera = make()
    mode = camera.open()
    camera.close()
    return mode.rate_hz


def _rgb(pixels: I420) -> Rgb:
    packed = np.concatenate([pixels.y.ravel(), pixels.u.ravel(), pixels.v.ravel()])
    height, width = pixels.y.shape
    return np.asarray(cv2.cvtColor(packed.reshape(height * 3 // 2, width), cv2.COLOR_YUV2RGB_I420), np.uint8)


def markdown(rows: dict[str, Row]) -> str:
    """Return the numbers as a table."""
    lines = ["| clip | frames looked at | hidden whole | faces before | of them in frames shown | faces after |"]
    lines.append("|---|---|---|---|---|---|")
    lines += [
        f"| {name} | {row.looked_at} | {row.looked_at - row.shown} |"
        f" {row.before} | {row.before_in_shown} | {row.after} |"
        for name, row in rows.items()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
